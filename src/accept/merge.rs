//! Builds the lock with the chosen drifts, by an ordered merge of the old lock and the live entries.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::units::left;
use super::{AcceptError, Choice, Drifted};
use crate::manifest::{Entries, Kind, List, Observed};
use crate::path::{EntryPath, first_name};

/// Returns all entries of the new lock: the live ones for the chosen drifts, and the old lock's for the rest.
///
/// `lock` and `live` are the two sides of the comparison, read from their beginnings.
///
/// # Errors
/// The lock is malformed, or a chosen entry could not be read.
pub fn taken(
    drifted: &Drifted,
    choice: &Choice,
    lock: &mut impl Entries,
    live: &mut impl Entries,
) -> Result<List, AcceptError> {
    let taken = paths(drifted, choice);
    let mut entries = Vec::new();
    let mut before = lock.next()?;
    let mut now = live.next()?;
    loop {
        let (order, path) = match (&before, &now) {
            (None, None) => break,
            (Some(before), None) => (Ordering::Less, before.path),
            (None, Some(now)) => (Ordering::Greater, now.path),
            (Some(before), Some(now)) => (before.path.cmp(now.path), before.path.min(now.path)),
        };
        let chosen = taken.contains(path);
        let entry = match (chosen, order) {
            (true, Ordering::Less) | (false, Ordering::Greater) => None,
            (true, _) => now.as_ref(),
            (false, _) => before.as_ref(),
        };
        if let Some(Observed { state, .. }) = entry
            && let Ok(path) = EntryPath::new(path)
        {
            let record = state.map_err(|reason| AcceptError::Unverified(path.clone(), reason.clone()))?;
            entries.push((path, Ok(record.clone())));
        }
        if order.is_le() {
            before = lock.next()?;
        }
        if order.is_ge() {
            now = live.next()?;
        }
    }
    Ok(List::new(entries))
}

/// The paths whose live state is taken: those of the chosen drifts, and modules all of whose drifts were chosen.
fn paths<'a>(drifted: &'a Drifted, choice: &Choice) -> HashSet<&'a [u8]> {
    let drift = &drifted.found.drift;
    let chosen = drift.iter().zip(choice).filter(|(_, chosen)| **chosen);
    let own = chosen.flat_map(|(item, _)| [Some(item.path.as_bytes()), left(item, drift)]).flatten();
    let own: HashSet<&[u8]> = own.collect();
    match drifted.kind {
        Kind::Trees => own.iter().flat_map(|path| [*path, first_name(path)]).collect(),
        _ => own,
    }
}
