//! `driftlock diff A B`: two locks, two reports, or a lock and the live state.

use std::io::{self, Write as _};
use std::path::Path;

use super::arguments::Common;
use super::progress::Shown;
use super::stalled::Watch;
use super::{after_printing, exit, stored};
use crate::baseline::{self, Baseline};
use crate::capability::{self, Operand, shown};
use crate::compare::Comparison;
use crate::declaration::LockFormat;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Kind, LockError};
use crate::report::{self, changes, difference};
use crate::run::diff;
use crate::sandbox::Grants;
use crate::session::{self, LocksAccess, Reads, Session};

/// One side of the comparison.
enum Side {
    Lock(Box<Baseline>),
    Report(Box<report::Report>),
}

/// Compares A with B, and prints the differences.
///
/// # Errors
/// A side can't be read or is malformed, or the sides can't be compared.
pub fn run(common: &Common, a: &Path, b: &Path) -> Result<u8, Error> {
    if b == Path::new("live") {
        return with_live(common, a);
    }
    if a == Path::new("live") {
        return Err(Error::new(
            ErrorKind::Usage,
            "`live` can only be the second side",
            format!("write `driftlock diff {} live`", shown(b)),
        ));
    }
    let (a_file, b_file) = (open(a)?, open(b)?);
    session::enter(&Grants::default(), common.plan().requirement)?;
    match (read(a, a_file)?, read(b, b_file)?) {
        (Side::Lock(mut before), Side::Lock(mut now)) => {
            let (kind, found) = diff::locks((a, &mut before), (b, &mut now))?;
            print_comparison(common, kind, "", &found)
        }
        (Side::Report(before), Side::Report(now)) => {
            let difference = difference::compare(&before, &now);
            let mut out = io::stdout().lock();
            let printed = if common.json {
                report::json::write_value(&mut out, &changes::between_reports(&difference))
            } else {
                difference::write(&mut out, &difference)
            };
            Ok(after_printing(if difference.is_empty() { 0 } else { exit::DRIFT }, printed))
        }
        _ => Err(Error::new(
            ErrorKind::Usage,
            format!("{} and {} can't be compared: one is a lock, the other a report", shown(a), shown(b)),
            "name two locks or two reports",
        )),
    }
}

fn with_live(common: &Common, a: &Path) -> Result<u8, Error> {
    let file = open(a)?;
    let open = || Session::open(&common.plan(), LocksAccess::Read, &Reads::Here);
    let session = Watch::telling(common).opening(open)?;
    let follow = Shown::telling(common);
    let run = session.enter(&[])?;
    let lock = |file| match read(a, file)? {
        Side::Lock(lock) => Ok(*lock),
        Side::Report(_) => Err(Error::new(
            ErrorKind::Usage,
            format!("{} is a report; only a lock can be compared with the live state", shown(a)),
            "name a lock, or run `driftlock check`",
        )),
    };
    let (check, found) = diff::with_live(&run, (a, file), lock, follow)?;
    print_comparison(common, check.check.kind, &check.place(), &found)
}

fn print_comparison(common: &Common, kind: Kind, root: &str, comparison: &Comparison) -> Result<u8, Error> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = if common.json {
        report::json::write_value(&mut out, &changes::value(comparison))
    } else {
        changes::write(&mut out, kind, root, comparison).and_then(|()| {
            let counts = comparison.counts;
            let entries = changes::entries(counts.entries);
            writeln!(out, "{entries}: {} differ, {} could not be read", counts.drifted, counts.unverified)
        })
    };
    let printed = printed.and_then(|()| out.flush());
    let drift = if comparison.counts.drifted > 0 { exit::DRIFT } else { 0 };
    let trouble = if comparison.counts.unverified > 0 { exit::TROUBLE } else { 0 };
    Ok(after_printing(drift | trouble, printed))
}

/// Opens a side: a file, or the JSON in the folder of a report.
fn open(path: &Path) -> Result<cap_std::fs::File, Error> {
    match capability::operand(path)? {
        Operand::File(file) => Ok(cap_std::fs::File::from_std(file)),
        Operand::Directory(folder) => stored::open_in(&folder.dir).map_err(|error| {
            Error::new(
                ErrorKind::Input,
                format!("{} is a directory without a readable {}: {error}", shown(path), report::JSON_NAME),
                "name a lock file, or the folder of a report",
            )
        }),
    }
}

/// Reads a side. The first bytes tell what it is: a JSON lock starts with `{` and a line with `driftlock`, a report
/// with `{` and another line. Everything else can only be a lock in `sha256sum` format.
fn read(path: &Path, file: cap_std::fs::File) -> Result<Side, Error> {
    let mut start = [0; 13];
    let mut have = 0;
    while have < start.len() {
        match rustix::io::pread(&file, &mut start[have..], have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(stored::unreadable(path, &errno.into())),
        }
    }
    let start = &start[..have];
    let is_lock = start == b"{\n\"driftlock\"";
    let refuse = |error: LockError| diff::refused(path, path, &error);
    if start.starts_with(b"{") && !is_lock && !baseline::holds_images(&file).map_err(refuse)? {
        return Ok(Side::Report(Box::new(stored::read_one(file, path)?)));
    }
    let format = if start.starts_with(b"{") { LockFormat::Json } else { LockFormat::Sha256sum };
    let lock = Baseline::read(file, format).map_err(refuse)?;
    Ok(Side::Lock(Box::new(lock)))
}
