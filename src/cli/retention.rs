//! `reports_keep`: removes the oldest reports.
//!
//! It starts with the oldest and stops at the first report that can't be removed. Removing a newer one would leave a
//! gap in the chain, which looks as if a user had removed that report.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};

use super::complain;
use super::history::History;
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::report::{self, SERVERS};
use crate::store;

/// Why a folder stays.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error("it is not a directory")]
    NoFolder,
    #[error("it contains {0}, which `driftlock check` does not write")]
    Foreign(String),
    #[error("it could not be removed: {0}")]
    Io(#[from] io::Error),
}

/// Removes the oldest reports until `most` are left. `own` is the folder of the report that was just saved; `offset` is
/// the offset of local time from UTC. If a report can't be removed, prints a message; the exit code does not change.
pub fn prune(reports: &Dir, shown: &str, most: NonZeroUsize, own: &str, offset: &str) {
    let help = "look at it, and move it elsewhere or remove it; newer reports stay until then";
    let history = match History::read(reports) {
        Ok(history) => history,
        Err(error) => {
            let problem = format!("reports_keep: the reports directory {shown} could not be read: {error}");
            return complain(&Error::new(ErrorKind::Output, problem, "correct its permissions"));
        }
    };
    let folders = history.folders(offset);
    let old = &folders[..folders.len().saturating_sub(most.get())];
    // If the clock was set back, this run may be among the oldest.
    for name in old.iter().take_while(|name| **name != own) {
        let Err(stays) = remove(reports, name) else { continue };
        complain(&Error::new(ErrorKind::Output, format!("reports_keep: {shown}/{name} stays: {stays}"), help));
        if history.is_in_chain(name) {
            break;
        }
    }
    if !old.is_empty() {
        // If this fails, a power cut may bring a folder back. The next run removes it.
        let _ = store::sync(reports);
    }
}

/// Removes a report's folder, if it contains only files that a check writes. Otherwise, removes nothing.
fn remove(reports: &Dir, name: &str) -> Result<(), Stays> {
    let folder = open(reports, name)?;
    let mut servers = Vec::new();
    let files = ours(&folder, "", |entry| entry == SERVERS)?;
    if !files.directories.is_empty() {
        let all = open(&folder, SERVERS)?;
        let names = ours(&all, SERVERS, |_| true)?;
        if let Some(file) = names.files.first() {
            return Err(Stays::Foreign(format!("{SERVERS}/{file}")));
        }
        for server in names.directories {
            let folder = open(&all, &server)?;
            let found = ours(&folder, &format!("{SERVERS}/{server}"), |_| false)?;
            servers.push((folder, server, found.files));
        }
        for (folder, server, files) in servers {
            unlink(&folder, &files)?;
            drop(folder);
            rmdir(&all, &server)?;
        }
        rmdir(&folder, SERVERS)?;
    }
    unlink(&folder, &files.files)?;
    rmdir(reports, name)
}

/// The contents of a report's folder.
struct Ours {
    files: Vec<String>,
    directories: Vec<String>,
}

/// Lists a folder, named `place` in messages, and checks that it contains only the files of a report and `expected`
/// directories.
fn ours(folder: &Dir, place: &str, expected: impl Fn(&str) -> bool) -> Result<Ours, Stays> {
    let mut found = Ours { files: Vec::new(), directories: Vec::new() };
    for entry in folder.entries()? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let foreign = || {
            let name = escaped(name.as_encoded_bytes());
            Stays::Foreign(if place.is_empty() { name.to_string() } else { format!("{place}/{name}") })
        };
        let name = name.to_str().ok_or_else(foreign)?;
        if kind.is_file() && is_ours(name) {
            found.files.push(name.to_owned());
        } else if kind.is_dir() && expected(name) {
            found.directories.push(name.to_owned());
        } else {
            return Err(foreign());
        }
    }
    Ok(found)
}

/// Whether a check writes a file with this name into a report's folder, or leaves it if it is interrupted.
fn is_ours(name: &str) -> bool {
    [report::JSON_NAME, report::TEXT_NAME].iter().any(|ours| *ours == name || store::temporary(ours) == name)
}

fn open(directory: &Dir, name: &str) -> Result<Dir, Stays> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory.as_fd(), name, flags, Mode::empty()) {
        Ok(folder) => Ok(Dir::from_std_file(folder.into())),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => Err(Stays::NoFolder),
        Err(errno) => Err(Stays::Io(errno.into())),
    }
}

fn unlink(folder: &Dir, files: &[String]) -> Result<(), Stays> {
    files
        .iter()
        .try_for_each(|file| Ok(unlinkat(folder.as_fd(), file.as_str(), AtFlags::empty()).map_err(io::Error::from)?))
}

fn rmdir(directory: &Dir, name: &str) -> Result<(), Stays> {
    Ok(unlinkat(directory.as_fd(), name, AtFlags::REMOVEDIR).map_err(io::Error::from)?)
}
