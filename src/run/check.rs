//! Compares the live state with the locks.

mod again;
mod server;

pub use server::server;

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::cache::StatCache;
use super::locked::{Checks, Locked, Observations};
use super::{Follow, since};
use crate::compare::{self, Comparison, DifferenceBudget, Hidden};
use crate::manifest::{Record, json};
use crate::patch::Effort;
use crate::report::{HostReport, Outcome};
use crate::session::{Collected, Run, Wanted};

/// Reads all checks of this machine in one pass over their roots, and compares each with its lock. `shows_all` adds the
/// lines that changed to every check, not only to those with `show_changes`. Also returns whether the run was given up.
///
/// The run lives as long as the process, because a thread that hangs may use it.
pub fn here(
    run: &'static Run,
    follow: impl Follow,
    mut cache: Option<&mut StatCache>,
    shows_all: bool,
) -> (HostReport, bool) {
    let begun = Instant::now();
    let mut checks = Checks::open(run.checks());
    if let Some(cache) = &mut cache {
        cache.load(run, &checks.locked);
    }
    let locked = checks.locked.iter_mut().collect();
    let wanted = |locked: &&mut Locked<'static>| Wanted {
        check: locked.check,
        known: cache.as_ref().and_then(|cache| cache.known(locked.place)),
    };
    let ((collected, given_up), bytes) = follow.follow(|progress| {
        (run.collect_until_given_up(locked, wanted, progress), progress.bytes.load(Ordering::Relaxed))
    });
    let mut room = DifferenceBudget::default();
    for (locked, found) in collected {
        match found {
            Ok(found) => compare(locked, found, &mut room, cache.as_deref_mut()),
            Err(trouble) => locked.report.outcome = Outcome::Failed(trouble),
        }
    }
    let duration = since(begun);
    // A file system that did not answer would not answer now.
    if !given_up {
        look_again(&mut checks.locked, shows_all);
    }
    (HostReport { server: None, seal: None, duration, bytes, checks: checks.reports() }, given_up)
}

/// Compares one check with what was collected.
fn compare(locked: &mut Locked<'_>, mut found: Collected, room: &mut DifferenceBudget, cache: Option<&mut StatCache>) {
    // In the run before, every entry was equal to this lock, and nothing has changed since. But an owner can also
    // change with the mount, without a change of the file.
    let comparable = cache.as_ref().filter(|_| !locked.check.check.attributes.owner && found.is_as_known());
    let compared = match comparable.and_then(|cache| cache.equal(locked)) {
        Some(entries) => Ok(Comparison::of_equal(entries)),
        None => {
            let project = locked.check.project().ok().flatten();
            compare::compare_declared(room, project, &mut locked.lock, &mut found.entries())
        }
    };
    let equal = compared.as_ref().ok().and_then(Comparison::equal).filter(|_| found.is_as_listed());
    locked.report.trusted = found.updates.trusted.len() as u64;
    let observations = Observations {
        mounts: std::mem::take(&mut found.mounts),
        uncovered: std::mem::take(&mut found.uncovered),
        touched: std::mem::take(&mut found.touched),
        is_empty: found.root_is_empty,
    };
    if let Some(cache) = cache {
        cache.record(locked, std::mem::take(&mut found.updates), equal);
    }
    // This stream has no errors.
    locked.judge(compared, observations, || json::digest(&mut found.entries()).ok().map(|digest| digest.sri()));
    // Freeing every name takes some milliseconds, and the process is about to end.
    std::mem::forget(found);
}

/// Adds the mtime and the owner to drifts, and the lines that changed: for checks with `show_changes`, or for all.
fn look_again(all: &mut [Locked<'_>], shows_all: bool) {
    let mut effort = Effort::default();
    for locked in all {
        let check = locked.check;
        let Some(found) = locked.found_mut() else { continue };
        check.look_at(found);
        if shows_all || check.check.show_changes {
            let contents = |path: &[u8], record: &Record| check.live_contents(path, record).map_err(|_| Hidden::Unread);
            check.show_changes(found, &contents, &mut effort);
        }
    }
}
