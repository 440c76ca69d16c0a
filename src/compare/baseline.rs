//! Compares a lock of any format with the live entries. For an old lock, these are reduced to what it can record.

use std::collections::HashSet;

use super::{Comparison, DifferenceBudget, compare};
use crate::baseline::Baseline;
use crate::manifest::{Entries, LockError, text};
use crate::path::{EntryPath, escaped};

/// Compares a lock with live entries. The budget is as in [`compare`].
///
/// # Errors
/// Those of [`compare`], and a lock whose paths are ambiguous.
pub fn compare_baseline(
    budget: &mut DifferenceBudget,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    if lock.old().is_some() {
        let mut seen = lock.project_live(budget.preparation(), live)?;
        return compare(budget, lock, &mut seen);
    }
    let found = compare(budget, lock, live)?;
    if let Baseline::Text(text) = lock
        && let Some(root) = &text.or_below
    {
        refuse_if_ambiguous(root, &text.reader, &found)?;
    }
    Ok(found)
}

/// Refuses a lock whose paths were read as relative to the root if none of them exist, and a new entry is where one of
/// them would be if it began with `root`. Either everything moved, or it is a lock of the scripts.
fn refuse_if_ambiguous(root: &[u8], lock: &text::Reader, found: &Comparison) -> Result<(), LockError> {
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
            "its paths may be relative to the root or start with it, as {}, because the globs of the check match both; if they are relative, none of them exist",
            escaped(root)
        ),
        help: "change `include` so that it matches only paths below the root, such as `*/docker-compose*.yml`",
    })
}
