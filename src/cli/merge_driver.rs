//! `driftlock merge-driver`: merges locks by entry, for git. See `gitattributes(5)`, "Defining a custom merge driver".

use std::io::{self, BufReader, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use cap_std::fs::File;

use super::arguments::{Common, MergeDriverArguments};
use super::{complain, seal, stored};
use crate::capability::{self, Operand, shown};
use crate::error::{Error, ErrorKind};
use crate::manifest::json::Reader;
use crate::manifest::{Entry, LockError};
use crate::merge;
use crate::path::escaped;
use crate::sandbox::Grants;
use crate::session;
use crate::shell;

/// The exit code that tells git that there are conflicts.
const CONFLICT: u8 = 1;
/// The most conflicts to name.
const NAMED: usize = 5;

/// Merges two locks, and writes the result over our lock.
///
/// # Errors
/// A lock is refused, or the locks have different checks, kinds or attributes. git then has a conflict, and our lock is
/// unchanged.
pub fn run(common: &Common, arguments: &MergeDriverArguments) -> Result<u8, Error> {
    let mut out = File::from_std(capability::overwritable(&arguments.ours)?);
    let [base, ours, theirs] = [&arguments.base, &arguments.ours, &arguments.theirs].map(|path| open(path));
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let is_sealed = arguments.path.as_deref().is_some_and(seal::lies_beside);
    session::enter(&Grants { write: vec![out.as_fd()], ..Grants::default() }, common.plan().requirement)?;
    let name = arguments.path.as_deref().unwrap_or(&arguments.ours);
    let refused = |side: &str, error: &LockError| left(name, &format!("{side} is refused: {error}"));

    let is_new = base.metadata().is_ok_and(|metadata| metadata.len() == 0);
    // git merges several bases into one, which may contain conflicts. Such a base is ignored.
    let base = if is_new { Some(Vec::new()) } else { read(base).ok().map(|(_, entries)| entries) };
    let (ours, our_entries) = read(ours).map_err(|error| refused("our side", &error))?;
    let (theirs, their_entries) = read(theirs).map_err(|error| refused("their side", &error))?;
    if ours.header() != theirs.header() {
        return Err(left(name, "both sides changed the check itself: its name, its kind or its attributes"));
    }
    let header = ours.header();
    let merged = merge::merge(header.kind, base.as_deref(), &our_entries, &their_entries);
    let mut bytes = Vec::new();
    let digests = [ours.stated_digest(), theirs.stated_digest()];
    let written = merge::write(&mut bytes, header, digests, arguments.marker_size.into(), &merged);
    written.and_then(|()| overwrite(&mut out, &bytes)).map_err(|error| {
        let help = format!("make room, then merge it again: git checkout --merge -- {}", shell::word(bytes_of(name)));
        Error::new(ErrorKind::Output, format!("the merged lock {} could not be written: {error}", shown(name)), help)
    })?;
    if is_sealed {
        complain(&seal::outdated(&shown(&name.with_file_name(crate::seal::NAME))));
    }
    let conflicts: Vec<_> = merged.conflicts().filter_map(merge::Conflict::first).collect();
    if conflicts.is_empty() {
        return Ok(0);
    }
    let named: Vec<_> = conflicts.iter().take(NAMED).map(|entry| escaped(entry.path.as_bytes()).to_string()).collect();
    let more = match conflicts.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    complain(&Error::new(
        ErrorKind::Lock,
        format!("both sides changed in the lock {}: {}{more}", shown(name), named.join(", ")),
        format!(
            "merge the files themselves; then, at the top of the work tree: {}",
            anew(name, &format!("driftlock lock --check {}", shell::word(header.check.as_bytes())))
        ),
    ));
    Ok(CONFLICT)
}

/// The error if our lock stays unchanged.
fn left(name: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Lock,
        format!("the lock {} was not merged: {why}; our lock is unchanged", shown(name)),
        format!("at the top of the work tree: {}", anew(name, "driftlock lock")),
    )
}

/// The command that takes our lock, and then locks the live state.
fn anew(name: &Path, lock: &str) -> String {
    let name = shell::word(bytes_of(name));
    format!("git checkout --ours -- {name} && {lock} && git add {name}")
}

fn bytes_of(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn open(path: &Path) -> Result<File, Error> {
    match capability::operand(path)? {
        Operand::File(file) => Ok(File::from_std(file)),
        Operand::Directory(_) => Err(stored::unreadable(path, &io::ErrorKind::IsADirectory.into())),
    }
}

/// Reads a lock to its end.
fn read(file: File) -> Result<(Reader<BufReader<File>>, Vec<Entry>), LockError> {
    let mut reader = Reader::new(BufReader::new(file))?;
    let entries = merge::read(&mut reader)?;
    Ok((reader, entries))
}

/// Overwrites the file in place: it is git's temporary file, which git reads back by its name.
fn overwrite(out: &mut File, bytes: &[u8]) -> io::Result<()> {
    out.rewind()?;
    out.set_len(0)?;
    out.write_all(bytes)
}
