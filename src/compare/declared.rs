//! Compares live containers with what Compose files declare, and with the lock for what they do not declare.

use std::mem::size_of;

use super::{Comparison, DifferenceBudget, compare, compare_baseline, difference_budget};
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
    budget: &mut DifferenceBudget,
    project: Option<&Project>,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    let Some(project) = project else { return compare_baseline(budget, lock, live) };
    let live = if budget.refuses() { read_within(budget, live)? } else { List::read(live)? };
    let expected = project.expected(&List::read(lock)?, &live);
    compare(budget, &mut expected.entries(), &mut live.entries())
}

/// Reads all entries into memory, which counts for the budget.
fn read_within(budget: &mut DifferenceBudget, live: &mut impl Entries) -> Result<List, LockError> {
    let mut entries: Vec<(EntryPath, EntryResult)> = Vec::new();
    while let Some(entry) = live.next()? {
        let weight = size_of::<(EntryPath, EntryResult)>() + difference_budget::record(entry.state.ok());
        // Streams give valid paths only.
        match budget.take(entry.path, entry.path.len() + weight).then(|| EntryPath::new(entry.path)) {
            Some(Ok(path)) => entries.push((path, entry.state.cloned().map_err(Clone::clone))),
            _ => return Err(LockError::TooDifferent),
        }
    }
    Ok(List::new(entries))
}
