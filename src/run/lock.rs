//! Writes the live state as locks, and reports what that changes.

use std::io;

use cap_std::fs::Dir;

use super::nothing_found;
use super::state::Live;
use crate::baseline::{Baseline, OldLock};
use crate::compare::{self, Comparison, DifferenceBudget};
use crate::compose::Misfits;
use crate::declaration::{Check, LockFormat};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Entries as _, LockError, Sha256Digest, Uncovered, json, text};
use crate::path::{EntryPath, ROOT, escaped};
use crate::report::uncovered;
use crate::session::{Collected, OpenCheck, not_written};
use crate::store;

/// The most paths to name in a message; the others are only counted.
const NAMED: usize = 20;

/// The result of locking one check.
pub struct Lock<'r> {
    pub check: OpenCheck<'r>,
    /// The path of the lock file, as messages show it.
    pub path: String,
    /// `None` if the lock was left unchanged, because an export has no lock of this check.
    pub result: Result<Option<Change>, Error>,
    /// Reasons why the lock may not be a good baseline.
    pub warnings: Vec<Error>,
    /// The entries of an export.
    pub live: Option<Collected>,
}

/// How a lock changed.
#[derive(Debug)]
pub struct Change {
    pub entries: u64,
    /// The difference from the old lock; `None` if there was none.
    pub since: Option<Comparison>,
    /// Whether the file was written, or would be written without `dry_run`.
    pub written: bool,
    /// What a reader could think is covered, but is not.
    pub uncovered: Vec<Uncovered>,
    /// Which type of old lock it replaces, if any.
    pub old_lock: Option<OldLock>,
}

/// Writes the locks that change. A run that may only read the locks returns what would change.
pub fn lock(all: Vec<Live<'_>>) -> Vec<Lock<'_>> {
    let locked = all.into_iter().map(|Live { check, found }| Lock { live: None, ..one(check, found.map(Some)) });
    locked.collect()
}

/// The same for an export, which may have no lock of a check.
pub fn lock_exported<'r>(all: Vec<(OpenCheck<'r>, Result<Option<Collected>, Error>)>) -> Vec<Lock<'r>> {
    all.into_iter().map(|(check, found)| one(check, found)).collect()
}

fn one(check: OpenCheck<'_>, found: Result<Option<Collected>, Error>) -> Lock<'_> {
    let path = check.new_lock_path();
    let mut warnings = Vec::new();
    let (result, live) = match found {
        Err(trouble) => (Err(trouble), None),
        Ok(None) => (Ok(None), None),
        Ok(Some(live)) => (write_changed(&check, &live, &mut warnings).map(Some), Some(live)),
    };
    Lock { check, path, result, warnings, live }
}

/// Writes the lock of a check if it would change.
fn write_changed(check: &OpenCheck<'_>, live: &Collected, warnings: &mut Vec<Error>) -> Result<Change, Error> {
    check.names_one_server()?;
    let entries = acceptable(check, live)?;
    warnings.extend(touched(check.check, live));
    warnings.extend(misfits(check.check, &check.misfits(live)?));
    // This stream has no errors.
    let digest = json::digest(&mut live.entries()).map_err(|error| check.refused(&error))?;
    let old = check.lock().map_err(|trouble| keep_evidence(trouble, check.check))?;
    let mut changed = true;
    let old_lock = old.as_ref().and_then(Baseline::old);
    let since = match old {
        None => None,
        Some(mut old) => {
            let belongs = old.belongs_to(check.check);
            if let Err(error @ LockError::OtherCheck { .. }) = &belongs {
                return Err(keep_evidence(check.refused(error), check.check));
            }
            let compared = compare::compare_baseline(&mut DifferenceBudget::default(), &mut old, &mut live.entries());
            let comparison = compared.map_err(|error| keep_evidence(check.refused(&error), check.check))?;
            changed = belongs.is_err()
                || match &old {
                    Baseline::Json(old) => old.stated_digest() != digest.sri(),
                    // Another program may have written it with another order or spelling, so compare the bytes.
                    Baseline::Old(_) => true,
                    Baseline::Text(_) => comparison.counts.drifted > 0 || !is_canonical(check, live),
                };
            Some(comparison)
        }
    };
    if changed {
        write_lock(check, live, digest)?;
    }
    Ok(Change { entries, since, written: changed, uncovered: live.uncovered.clone(), old_lock })
}

/// Writes the lock of a check over any old one, if the run may write.
///
/// # Errors
/// Those of the file system.
pub(super) fn write_lock(check: &OpenCheck<'_>, live: &Collected, digest: Sha256Digest) -> Result<(), Error> {
    let written = || match check.run.locks_to_write(check)? {
        Some(locks) => write(&locks, check.check, live, digest),
        None => Ok(()),
    };
    written().map_err(|error| not_written(&check.new_lock_path(), &error))
}

/// Whether the old text lock has exactly the bytes that would be written.
fn is_canonical(check: &OpenCheck<'_>, live: &Collected) -> bool {
    let mut bytes = Vec::new();
    let path = check.check.lock.path(check.server());
    text::write(&mut bytes, &mut live.entries()).is_ok()
        && check.run.locks().and_then(|locks| locks.read(path).ok()).is_some_and(|there| there == bytes)
}

/// A warning about entries that were touched during the run, so that their state may not be a good baseline.
pub(super) fn touched(check: &Check, live: &Collected) -> Option<Error> {
    let touched: Vec<_> = live.touched.iter().map(|path| escaped(path).to_string()).collect();
    (!touched.is_empty()).then(|| {
        Error::new(
            ErrorKind::Lock,
            format!("the check {}: {}", check.name, listed(&touched, "were touched during the run")),
            "find out what writes there, and run it again; with `strict = true` in the check, such entries are refused",
        )
    })
}

/// A warning about entries that the Compose files contradict: they stay drift.
fn misfits(check: &Check, Misfits { different, missing }: &Misfits) -> Option<Error> {
    let parts = [(different, "are not what its Compose files declare"), (missing, "are not there")];
    let parts = parts.iter().filter(|(names, _)| !names.is_empty()).map(|(names, what)| {
        let shown: Vec<_> = names.iter().take(NAMED).map(EntryPath::to_string).collect();
        let more = if names.len() > NAMED { ", …" } else { "" };
        format!("{} {what}: {}{more}", names.len(), shown.join(", "))
    });
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| {
        Error::new(
            ErrorKind::Lock,
            format!("the check {}: of its containers {}", check.name, parts.join("; ")),
            "start the stack as its files declare, or write the file that `config` names again; then lock it again",
        )
    })
}

/// Writes a lock over any old one.
pub(super) fn write(locks: &Dir, check: &Check, live: &Collected, digest: Sha256Digest) -> io::Result<()> {
    store::replace(locks, &check.lock.name, |out| match check.lock.format {
        LockFormat::Json => {
            let header = json::Header { check: check.name.clone(), kind: check.kind, attributes: check.attributes };
            json::write(out, &header, digest, &mut live.entries())
        }
        LockFormat::Sha256sum => text::write(out, &mut live.entries()),
    })
}

/// The error for an old lock that is refused. It is not overwritten: it may be the only evidence of what happened.
fn keep_evidence(error: Error, check: &Check) -> Error {
    error
        .map_problem(|problem| format!("{problem}; the lock of {} was left as it is", check.name))
        .with_help("restore it from git; or look at it, remove it, and run `driftlock lock` again")
}

/// Checks that every entry could be read and that the format can hold it. Returns the number of entries.
///
/// # Errors
/// Why they can't be locked.
pub(super) fn acceptable(open: &OpenCheck<'_>, live: &Collected) -> Result<u64, Error> {
    let check = open.check;
    let mut count: u64 = 0;
    let mut below: u64 = 0;
    let mut unverified = Vec::new();
    let mut others = Vec::new();
    // There are only about a dozen different remedies.
    let mut helps: Vec<&str> = Vec::new();
    let mut entries = live.entries();
    while let Ok(Some(entry)) = entries.next() {
        count += 1;
        below += u64::from(entry.path != ROOT);
        match entry.state {
            Err(reason) => {
                unverified.push(format!("{}: {reason}", escaped(entry.path)));
                if !helps.contains(&reason.help()) {
                    helps.push(reason.help());
                }
            }
            Ok(record) if check.lock.format == LockFormat::Sha256sum && record.content.sha256().is_none() => {
                others.push(format!("{} is a {}", escaped(entry.path), record.content.type_name()));
            }
            Ok(_) => {}
        }
    }
    if !unverified.is_empty() {
        return Err(Error::new(
            ErrorKind::Lock,
            format!("the check {} was not locked: {}", check.name, listed(&unverified, "could not be read")),
            format!("{}; the old lock is untouched", helps.join("; ")),
        ));
    }
    if below == 0 && !check.allow_empty {
        return Err(nothing_found(check, &open.place(), live.root_is_empty));
    }
    if count == 0 && check.lock.format == LockFormat::Sha256sum {
        return Err(Error::new(
            ErrorKind::Lock,
            format!(
                "the check {} finds nothing, and an empty sha256sum lock would look like one that was cut off",
                check.name
            ),
            "leave `lock` out of the check, so that it gets a JSON lock",
        ));
    }
    if !others.is_empty() {
        return Err(Error::new(
            ErrorKind::Lock,
            format!("the check {} was not locked: {}", check.name, listed(&others, "can't be in a sha256sum lock")),
            "leave `lock` out of the check, so that it gets a JSON lock, or `exclude` them",
        ));
    }
    if check.uncovered_is_trouble && !live.uncovered.is_empty() {
        let sentences = uncovered::sentences(&open.place(), &live.uncovered).join("; ");
        return Err(Error::new(
            ErrorKind::Lock,
            format!("the check {} was not locked: {sentences}", check.name),
            uncovered::help(&live.uncovered),
        ));
    }
    Ok(count)
}

fn listed(items: &[String], what: &str) -> String {
    let mut text = format!("{} of its entries {what}:", items.len());
    for item in items.iter().take(NAMED) {
        text.push_str("\n    ");
        text.push_str(item);
    }
    if items.len() > NAMED {
        text.push_str(&format!("\n    … and {} more", items.len() - NAMED));
    }
    text
}
