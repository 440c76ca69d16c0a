//! Compares without verdicts: two locks, a lock with the live state, two servers; and writes the drift as a patch.

pub mod patch;
pub mod servers;

use std::ffi::OsStr;
use std::path::Path;

use cap_std::fs::File;

use super::Follow;
use crate::baseline::Baseline;
use crate::capability::shown;
use crate::compare::{self, Comparison, DifferenceBudget};
use crate::declaration::{Check, LockFormat};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Kind, LockError};
use crate::session::{OpenCheck, Run, Wanted};

/// Compares two locks, with the paths of their files.
///
/// # Errors
/// The locks can't be compared, or one is malformed.
pub fn locks(
    (a, before): (&Path, &mut Baseline),
    (b, now): (&Path, &mut Baseline),
) -> Result<(Kind, Comparison), Error> {
    if let (Baseline::Json(before), Baseline::Json(now)) = (&*before, &*now)
        && before.header().attributes != now.header().attributes
    {
        return Err(Error::new(
            ErrorKind::Lock,
            format!("{} and {} were written with different attributes", shown(a), shown(b)),
            "compare locks that were written with the same `attributes`",
        ));
    }
    let kind = kind(now);
    if before.old() != now.old() && now.old().is_some() {
        return Err(Error::new(
            ErrorKind::Lock,
            format!("{} is an old lock, which does not record everything that {} does", shown(b), shown(a)),
            "name the old lock first",
        ));
    }
    of_one_kind((a, before), (b, now))?;
    let is_text = matches!(before, Baseline::Text(_)) || matches!(now, Baseline::Text(_));
    let found = compare::compare_baseline(&mut DifferenceBudget::default(), before, now)
        .map_err(|error| refused(a, b, &error))?;
    if is_text && have_no_path_in_common(&found) {
        return Err(Error::new(
            ErrorKind::Lock,
            format!("{} and {} have no path in common", shown(a), shown(b)),
            format!(
                "if one is a lock of the old scripts, its paths begin with the root: compare it with the live state, \
                 `driftlock diff {} live`",
                shown(a)
            ),
        ));
    }
    Ok((kind, found))
}

/// Compares an open lock with the live state of its check. `read` reads a lock for which the check is not needed.
///
/// # Errors
/// The lock belongs to no check of the run or can't be read, or the check can't be collected.
pub fn with_live<'r>(
    run: &'r Run,
    (a, file): (&Path, File),
    read: impl FnOnce(File) -> Result<Baseline, Error>,
    follow: impl Follow,
) -> Result<(OpenCheck<'r>, Comparison), Error> {
    // A text lock may have the root in its paths. Only the check tells.
    let name = a.file_name().unwrap_or_default();
    let is_text = |check: &Check| {
        let old = check.lock.old.as_ref().is_some_and(|old| **old == *name);
        old || (check.lock.format == LockFormat::Sha256sum && *check.lock.name == *name)
    };
    let mut lock = match run.checks().find(|open| is_text(open.check)) {
        None => read(file)?,
        Some(check) => {
            let lock = check.lock_in(name == OsStr::new(&check.check.lock.name), file);
            lock.map_err(|error| refused(a, a, &error))?
        }
    };
    let is_its = |check: &Check| match &lock {
        Baseline::Json(reader) => reader.header().check == check.name,
        Baseline::Text(_) | Baseline::Old(_) => *name == *check.lock.name || is_text(check),
    };
    let Some(check) = run.checks().find(|open| is_its(open.check)) else {
        return Err(Error::new(
            ErrorKind::Lock,
            format!("{} is the lock of no check that {} declares", shown(a), shown(&run.session.declared.file)),
            "name the declaration that it belongs to with --config FILE",
        ));
    };
    lock.belongs_to(check.check)
        .map_err(|error| Error::new(ErrorKind::Lock, format!("{}: {error}", shown(a)), error.help()))?;
    let mut found = Comparison::default();
    for (_, live) in follow.follow(|progress| run.collect(vec![check], Wanted::of, false, progress)) {
        found = compare::compare_baseline(&mut DifferenceBudget::default(), &mut lock, &mut live?.entries())
            .map_err(|error| refused(a, a, &error))?;
    }
    Ok((check, found))
}

/// Refuses locks of different kinds. A text lock is one of files, unless it is an old lock of modules. Only its check
/// tells.
fn of_one_kind((a, before): (&Path, &Baseline), (b, now): (&Path, &Baseline)) -> Result<(), Error> {
    let kinds = [kind(before), kind(now)];
    if kinds[0] == kinds[1] {
        return Ok(());
    }
    let problem = format!(
        "{} and {} can't be compared: one is a lock of {}, the other of {}",
        shown(a),
        shown(b),
        kinds[0].name(),
        kinds[1].name()
    );
    let text = [(a, before), (b, now)].into_iter().find(|(_, lock)| matches!(lock, Baseline::Text(_)));
    Err(Error::new(
        ErrorKind::Lock,
        problem,
        match text {
            Some((text, _)) => format!(
                "if {} is a lock of modules of the old scripts, compare it with the live state: \
                 `driftlock diff {} live`",
                shown(text),
                shown(text)
            ),
            None => "name two locks of the same kind".to_owned(),
        },
    ))
}

/// Whether two locks with entries have no path in common.
fn have_no_path_in_common(found: &Comparison) -> bool {
    let of = |change: &dyn Fn(&compare::Drift) -> bool| found.drift.iter().any(change);
    found.counts.verified == 0
        && found.left_out.is_nothing()
        && !of(&|drift| drift.expected.is_some() && drift.actual.is_some() && drift.from.is_none())
        && of(&|drift| drift.expected.is_some())
        && of(&|drift| drift.actual.is_some())
}

fn kind(lock: &Baseline) -> Kind {
    match lock {
        Baseline::Json(reader) => reader.header().kind,
        Baseline::Text(_) => Kind::Files,
        Baseline::Old(old) => old.kind(),
    }
}

/// The error for a lock that is refused: one of these two.
#[must_use]
pub fn refused(a: &Path, b: &Path, error: &LockError) -> Error {
    let which = if a == b { shown(a) } else { format!("{} or {}", shown(a), shown(b)) };
    Error::new(ErrorKind::Lock, format!("the lock {which} is refused: {error}"), error.help())
}
