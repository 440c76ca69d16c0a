//! `driftlock diff A B`: two locks, two reports, or a lock and what is there now.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::Path;

use super::arguments::Common;
use super::stalled::Watch;
use super::{after_printing, exit, progress, stored};
use crate::baseline::{self, Baseline};
use crate::capability::{self, Operand, shown};
use crate::compare::{self, Comparison, Room};
use crate::declaration::{Check, LockFormat};
use crate::manifest::{Kind, LockError};
use crate::report::{self, changes, difference};
use crate::sandbox::Grants;
use crate::session::{self, LocksAccess, Session};
use crate::trouble::Trouble;

/// One side of the comparison.
enum Side {
    Lock(Box<Baseline>),
    Report(Box<report::json::Parsed>),
}

/// Compares A with B, and prints the differences.
///
/// # Errors
/// A side that can't be read or is malformed, and sides that can't be compared.
pub fn run(common: &Common, a: &Path, b: &Path) -> Result<u8, Trouble> {
    if b == Path::new("live") {
        return with_live(common, a);
    }
    if a == Path::new("live") {
        return Err(Trouble::new(
            "`live` can only be the second side",
            format!("write `driftlock diff {} live`", shown(b)),
        ));
    }
    let (a_file, b_file) = (open(a)?, open(b)?);
    session::enter(&Grants::default(), common.request().requirement)?;
    match (read(a, a_file)?, read(b, b_file)?) {
        (Side::Lock(mut before), Side::Lock(mut now)) => {
            if let (Baseline::Json(before), Baseline::Json(now)) = (&*before, &*now)
                && before.header().attributes != now.header().attributes
            {
                return Err(Trouble::new(
                    format!("{} and {} were written with different attributes", shown(a), shown(b)),
                    "compare locks that were written with the same `attributes`",
                ));
            }
            let kind = kind(&now);
            if before.old() != now.old() && now.old().is_some() {
                return Err(Trouble::new(
                    format!("{} is an old lock, which can't tell what {} can", shown(b), shown(a)),
                    "name the old lock first",
                ));
            }
            of_one_kind((a, &before), (b, &now))?;
            let is_text = matches!(*before, Baseline::Text(_)) || matches!(*now, Baseline::Text(_));
            let comparison = compare::against(&mut Room::default(), &mut before, &mut *now)
                .map_err(|error| refused(a, b, &error))?;
            if is_text && have_no_path_in_common(&comparison) {
                return Err(Trouble::new(
                    format!("{} and {} have no path in common", shown(a), shown(b)),
                    format!(
                        "if one is a lock of the scripts, its paths begin with the root, which its check tells: compare it with \
                         what is there, `driftlock diff {} live`",
                        shown(a)
                    ),
                ));
            }
            print_comparison(common, kind, "", &comparison)
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
        _ => Err(Trouble::new(
            format!("{} and {} can't be compared: one is a lock, the other a report", shown(a), shown(b)),
            "name two locks or two reports",
        )),
    }
}

/// Refuses locks that tell of different things. One of `sha256sum`'s form tells of files, or is one of modules of the scripts, which
/// only its check can say.
fn of_one_kind((a, before): (&Path, &Baseline), (b, now): (&Path, &Baseline)) -> Result<(), Trouble> {
    let kinds = [kind(before), kind(now)];
    if kinds[0] == kinds[1] {
        return Ok(());
    }
    let problem = format!(
        "{} and {} can't be compared: the one is a lock of {}, the other of {}",
        shown(a),
        shown(b),
        kinds[0].name(),
        kinds[1].name()
    );
    let text = [(a, before), (b, now)].into_iter().find(|(_, lock)| matches!(lock, Baseline::Text(_)));
    Err(Trouble::new(
        problem,
        match text {
            Some((text, _)) => format!(
                "if {} is a lock of modules of the scripts, its check tells how to read it: compare it with what is there, \
                 `driftlock diff {} live`",
                shown(text),
                shown(text)
            ),
            None => "name two locks of one kind".to_owned(),
        },
    ))
}

/// Whether two locks that both have something share no path.
fn have_no_path_in_common(found: &Comparison) -> bool {
    let of = |change: &dyn Fn(&compare::Drift) -> bool| found.drift.iter().any(change);
    found.counts.verified == 0
        && found.left_out.is_nothing()
        && !of(&|drift| drift.expected.is_some() && drift.actual.is_some() && drift.from.is_none())
        && of(&|drift| drift.expected.is_some())
        && of(&|drift| drift.actual.is_some())
}

fn with_live(common: &Common, a: &Path) -> Result<u8, Trouble> {
    let file = open(a)?;
    let session = Watch::telling(common).opening(|| Session::open(&common.request(), LocksAccess::Read))?;
    let show_progress = capability::wants_progress() && !common.quiet;
    let run = session.enter(&[])?;
    // A text lock may have the root in its paths, which takes the check to tell.
    let name = a.file_name().unwrap_or_default();
    let is_text = |check: &&Check| {
        let old = check.lock.old.as_ref().is_some_and(|old| **old == *name);
        old || (check.lock.format == LockFormat::Sha256sum && *check.lock.name == *name)
    };
    let side = match run.session.checks().find(is_text) {
        None => read(a, file)?,
        Some(check) => {
            let lock = run.lock_of(check, name == OsStr::new(&check.lock.name), file);
            Side::Lock(Box::new(lock.map_err(|error| refused(a, a, &error))?))
        }
    };
    let Side::Lock(mut lock) = side else {
        return Err(Trouble::new(
            format!("{} is a report; only a lock can be compared with what is there now", shown(a)),
            "name a lock, or run `driftlock check`",
        ));
    };
    let wanted: Vec<bool> = run
        .session
        .checks()
        .map(|check| match &*lock {
            Baseline::Json(reader) => reader.header().check == check.name,
            Baseline::Text(_) | Baseline::Old(_) => *name == *check.lock.name || is_text(&check),
        })
        .collect();
    let Some((index, check)) = run.session.checks().enumerate().find(|(index, _)| wanted[*index]) else {
        return Err(Trouble::new(
            format!("{} is the lock of no check that {} declares", shown(a), shown(&run.session.declared.file)),
            "name the declaration that it belongs to with --config FILE",
        ));
    };
    lock.belongs_to(check).map_err(|error| Trouble::new(format!("{}: {error}", shown(a)), error.remedy()))?;
    let mut collections =
        progress::during(show_progress, Watch::telling(common), |progress| run.collect(&wanted, false, progress));
    let collection = collections
        .swap_remove(index)
        .ok_or_else(|| Trouble::new("nothing was collected", "report this as a bug"))??;
    let comparison = compare::against(&mut Room::default(), &mut lock, &mut collection.entries())
        .map_err(|error| refused(a, a, &error))?;
    print_comparison(common, check.kind, &check.place(), &comparison)
}

fn print_comparison(common: &Common, kind: Kind, root: &str, comparison: &Comparison) -> Result<u8, Trouble> {
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

fn kind(lock: &Baseline) -> Kind {
    match lock {
        Baseline::Json(reader) => reader.header().kind,
        Baseline::Text(_) => Kind::Files,
        Baseline::Old(old) => old.kind(),
    }
}

/// Opens a side: a file, or the JSON in a report's folder.
fn open(path: &Path) -> Result<cap_std::fs::File, Trouble> {
    match capability::operand(path)? {
        Operand::File(file) => Ok(cap_std::fs::File::from_std(file)),
        Operand::Directory(folder) => stored::open_in(&folder.dir).map_err(|error| {
            Trouble::new(
                format!("{} is a directory without a readable {}: {error}", shown(path), report::JSON_NAME),
                "name a lock file, or the folder of a report",
            )
        }),
    }
}

/// Reads a side. Its first bytes tell what it is: a JSON lock starts with `{` and a line that says `driftlock`, a report
/// with `{` and anything else, and everything else can only be what `sha256sum` wrote.
fn read(path: &Path, file: cap_std::fs::File) -> Result<Side, Trouble> {
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
    let refuse = |error: LockError| refused(path, path, &error);
    if start.starts_with(b"{") && !is_lock && !baseline::holds_images(&file).map_err(refuse)? {
        return Ok(Side::Report(Box::new(stored::read(file, path)?)));
    }
    let format = if start.starts_with(b"{") { LockFormat::Json } else { LockFormat::Sha256sum };
    let lock = Baseline::read(file, format).map_err(refuse)?;
    Ok(Side::Lock(Box::new(lock)))
}

fn refused(a: &Path, b: &Path, error: &LockError) -> Trouble {
    let which = if a == b { shown(a) } else { format!("{} or {}", shown(a), shown(b)) };
    Trouble::new(format!("the lock {which} is refused: {error}"), error.remedy())
}
