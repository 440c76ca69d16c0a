//! A lock, whichever it is, against what is there: of the latter, an old lock is shown what it can tell.

use std::collections::HashSet;

use super::{Comparison, Room, merge};
use crate::baseline::Baseline;
use crate::manifest::{Entries, LockError, text};
use crate::path::{EntryPath, escaped};

/// Compares a lock with a stream of what is there, and leaves out of the lists what there is no room for.
///
/// # Errors
/// A lock that turns out to be malformed, or can be read in two ways.
pub fn against(room: &mut Room, lock: &mut Baseline, live: &mut impl Entries) -> Result<Comparison, LockError> {
    compared(room, true, lock, live)
}

/// The same of a stream that may have no end, within a budget as that of [`compare_within`](super::compare_within).
///
/// # Errors
/// Those of [`against`], and [`LockError::TooDifferent`].
pub fn against_within(
    budget: &mut usize,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    let mut room = Room::of(*budget);
    let found = compared(&mut room, false, lock, live);
    *budget = room.bytes;
    found
}

fn compared(
    room: &mut Room,
    may_leave_out: bool,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    if lock.old().is_some() {
        let limit = if may_leave_out { usize::MAX } else { room.bytes };
        let mut seen = lock.seen(limit, live)?;
        return merge(room, may_leave_out, lock, &mut seen);
    }
    let found = merge(room, may_leave_out, lock, live)?;
    if let Baseline::Text(text) = lock
        && let Some(root) = &text.or_below
    {
        told_apart(root, &text.reader, &found)?;
    }
    Ok(found)
}

/// Refuses a lock whose paths were read as relative to the root, if nothing of it is there, and something new is where
/// its paths would be if they began with `root`: it can't be told whether all of it moved, or is the scripts'.
fn told_apart(root: &[u8], lock: &text::Reader, found: &Comparison) -> Result<(), LockError> {
    let gone: HashSet<&[u8]> = found
        .drift
        .iter()
        .filter_map(|drift| match (&drift.actual, &drift.from) {
            (None, _) => Some(drift.path.as_bytes()),
            (Some(_), from) => from.as_ref().map(EntryPath::as_bytes),
        })
        .collect();
    let new = found.drift.iter().filter(|drift| drift.expected.is_none() || drift.from.is_some());
    let is_below = |path: &[u8]| gone.contains(&*[root, b"/", path].concat());
    if !lock.entries().all(|entry| gone.contains(entry.path.as_bytes()))
        || !new.into_iter().any(|drift| is_below(drift.path.as_bytes()))
    {
        return Ok(());
    }
    Err(LockError::Old {
        problem: format!(
            "its paths could be relative to the root as well as begin with it, as {}, since the globs of the check pick \
             both; nothing of it is there if they are relative",
            escaped(root)
        ),
        remedy: "write `include` so that it picks the paths below the root alone, such as `*/docker-compose*.yml`",
    })
}
