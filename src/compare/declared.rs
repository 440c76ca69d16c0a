//! Compares live containers with what Compose files declare, and with the lock for what they do not declare.

use std::mem::size_of;

use super::{Comparison, DifferenceBudget, compare_baseline, compare_baseline_within, difference_budget, merge};
use crate::baseline::Baseline;
use crate::compose::Project;
use crate::manifest::list::EntryResult;
use crate::manifest::{Entries, List, LockError};
use crate::path::EntryPath;

/// Like [`compare_baseline`], for a check that may have a Compose project.
///
/// # Errors
/// Those of [`compare_baseline`].
pub fn compare_declared(
    room: &mut DifferenceBudget,
    project: Option<&Project>,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    match project {
        None => compare_baseline(room, lock, live),
        Some(project) => {
            let live = List::read(live)?;
            merge(room, true, &mut project.expected(&List::read(lock)?, &live).entries(), &mut live.entries())
        }
    }
}

/// Like [`compare_baseline_within`], for a check that may have a Compose project.
///
/// # Errors
/// Those of [`compare_baseline_within`].
pub fn compare_declared_within(
    budget: &mut usize,
    project: Option<&Project>,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    let Some(project) = project else { return compare_baseline_within(budget, lock, live) };
    let mut room = DifferenceBudget::of(*budget);
    // All entries are kept in memory, not only the differences.
    let mut entries: Vec<(EntryPath, EntryResult)> = Vec::new();
    while let Some(entry) = live.next()? {
        let weight = size_of::<(EntryPath, EntryResult)>() + difference_budget::record(entry.state.ok());
        // Streams give valid paths only.
        match room.take(entry.path, entry.path.len() + weight).then(|| EntryPath::new(entry.path)) {
            Some(Ok(path)) => entries.push((path, entry.state.cloned().map_err(Clone::clone))),
            _ => return Err(LockError::TooDifferent),
        }
    }
    let live = List::new(entries);
    let expected = project.expected(&List::read(lock)?, &live);
    let found = merge(&mut room, false, &mut expected.entries(), &mut live.entries());
    *budget = room.bytes;
    found
}
