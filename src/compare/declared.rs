//! Compares live containers with what Compose files declare, and with the lock for what they do not declare.

use std::mem::size_of;

use super::{Comparison, Room, against, against_within, merge, room};
use crate::baseline::Baseline;
use crate::compose::Project;
use crate::manifest::list::EntryResult;
use crate::manifest::{Entries, List, LockError};
use crate::path::EntryPath;

/// Like [`against()`], for a check that may have a Compose project.
///
/// # Errors
/// Those of [`against()`].
pub fn with_declared(
    room: &mut Room,
    project: Option<&Project>,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    match project {
        None => against(room, lock, live),
        Some(project) => {
            let live = List::read(live)?;
            merge(room, true, &mut project.expected(&List::read(lock)?, &live).entries(), &mut live.entries())
        }
    }
}

/// Like [`against_within`], for a check that may have a Compose project.
///
/// # Errors
/// Those of [`against_within`].
pub fn with_declared_within(
    budget: &mut usize,
    project: Option<&Project>,
    lock: &mut Baseline,
    live: &mut impl Entries,
) -> Result<Comparison, LockError> {
    let Some(project) = project else { return against_within(budget, lock, live) };
    let mut room = Room::of(*budget);
    // All entries are kept in memory, not only the differences.
    let mut entries: Vec<(EntryPath, EntryResult)> = Vec::new();
    while let Some(entry) = live.next()? {
        let weight = size_of::<(EntryPath, EntryResult)>() + room::record(entry.state.ok());
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
