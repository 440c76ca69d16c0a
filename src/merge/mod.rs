//! Merges two locks with a common ancestor, entry by entry: what `driftlock merge-driver` does for git.
//!
//! The merge works on units. A unit is an entry or, in a `trees` check, everything with the same name directly below
//! the root, because a module's `nar` covers all of it. If only one side changed a unit, that side wins. If both sides
//! changed it differently, it is a conflict.

mod write;

use std::collections::HashMap;

use crate::manifest::{Content, Entries, Entry, Kind, LockError};
use crate::path::{EntryPath, first_name};

pub use write::write;

/// A merged lock, in the order of paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged<'a>(pub Vec<Part<'a>>);

/// A piece of a merged lock.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Entry(&'a Entry),
    Conflict(Conflict<'a>),
}

impl Part<'_> {
    /// The first path in it.
    fn path(&self) -> Option<&EntryPath> {
        match self {
            Self::Entry(entry) => Some(&entry.path),
            Self::Conflict(conflict) => conflict.first().map(|entry| &entry.path),
        }
    }
}

/// A unit that both sides changed. A side that removed it has no entries here.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict<'a> {
    pub ours: Vec<&'a Entry>,
    pub theirs: Vec<&'a Entry>,
}

impl<'a> Merged<'a> {
    /// The conflicts.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict<'a>> {
        self.0.iter().filter_map(|part| match part {
            Part::Conflict(conflict) => Some(conflict),
            Part::Entry(_) => None,
        })
    }
}

impl<'a> Conflict<'a> {
    /// The first entry in the order of paths.
    #[must_use]
    pub fn first(&self) -> Option<&'a Entry> {
        self.ours.first().into_iter().chain(self.theirs.first()).min_by_key(|entry| &entry.path).copied()
    }
}

/// Reads a whole lock.
///
/// # Errors
/// The lock is malformed.
pub fn read(lock: &mut impl Entries) -> Result<Vec<Entry>, LockError> {
    let mut entries = Vec::new();
    while let Some(entry) = lock.next()? {
        // A lock has only valid paths and entries that could be read.
        if let (Ok(path), Ok(record)) = (EntryPath::new(entry.path), entry.state) {
            entries.push(Entry { path, record: record.clone() });
        }
    }
    Ok(entries)
}

/// The entries of a unit in each of the three locks.
#[derive(Debug, Default)]
struct Unit<'a> {
    base: Vec<&'a Entry>,
    ours: Vec<&'a Entry>,
    theirs: Vec<&'a Entry>,
}

/// Merges two lists of entries and their common `base`, all in the order of paths. Without a base, every difference is
/// a conflict.
#[must_use]
pub fn merge<'a>(kind: Kind, base: Option<&'a [Entry]>, ours: &'a [Entry], theirs: &'a [Entry]) -> Merged<'a> {
    type Side = for<'u, 'a> fn(&'u mut Unit<'a>) -> &'u mut Vec<&'a Entry>;
    let sides: [(&[Entry], Side); 3] = [
        (base.unwrap_or_default(), |unit| &mut unit.base),
        (ours, |unit| &mut unit.ours),
        (theirs, |unit| &mut unit.theirs),
    ];
    let mut units: HashMap<&[u8], Unit<'_>> = HashMap::new();
    for (entries, side) in sides {
        for entry in entries {
            let path = entry.path.as_bytes();
            let name = if kind == Kind::Trees { first_name(path) } else { path };
            side(units.entry(name).or_default()).push(entry);
        }
    }
    let mut clean = Vec::new();
    let mut conflicts = Vec::new();
    for Unit { base: before, ours, theirs } in units.into_values() {
        let (of_ours, of_theirs) = (ours == theirs || theirs == before, ours == theirs || ours == before);
        if ours != theirs && (base.is_none() || !of_ours && !of_theirs) {
            conflicts.push(Conflict { ours, theirs });
        } else {
            let taken = if of_ours { ours } else { theirs };
            clean.extend(taken.into_iter().map(|entry| Clean { entry, of_ours, of_theirs }));
        }
    }
    let clean = apart(clean, &mut conflicts);
    let mut parts: Vec<_> = clean.into_iter().map(Part::Entry).collect();
    parts.extend(conflicts.into_iter().map(Part::Conflict));
    parts.sort_by(|a, b| a.path().cmp(&b.path()));
    Merged(parts)
}

/// An entry without a conflict, and which of the two sides have it.
struct Clean<'a> {
    entry: &'a Entry,
    of_ours: bool,
    of_theirs: bool,
}

/// Makes a conflict of entries that can't exist together: a file on one side, and entries below the same path on the
/// other.
fn apart<'a>(mut clean: Vec<Clean<'a>>, conflicts: &mut Vec<Conflict<'a>>) -> Vec<&'a Entry> {
    // With `/` sorted first, the entries below a directory follow it directly.
    fn names(path: &EntryPath) -> impl Iterator<Item = u8> {
        path.as_bytes().iter().map(|&byte| if byte == b'/' { 0 } else { byte })
    }
    fn is_below(entry: &Entry, above: &Entry) -> bool {
        let rest = entry.path.as_bytes().strip_prefix(above.path.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"/")) && !matches!(above.record.content, Content::Directory { .. })
    }
    clean.sort_by(|a, b| names(&a.entry.path).cmp(names(&b.entry.path)));
    let mut left = Vec::with_capacity(clean.len());
    let mut rest = &clean[..];
    while let Some((head, after)) = rest.split_first() {
        let below = after.iter().take_while(|one| is_below(one.entry, head.entry)).count();
        let (group, later) = rest.split_at(1 + below);
        rest = later;
        if group.iter().all(|one| one.of_ours) || group.iter().all(|one| one.of_theirs) {
            left.extend(group.iter().map(|one| one.entry));
            continue;
        }
        let of = |side: fn(&Clean<'_>) -> bool| {
            let mut entries: Vec<_> = group.iter().filter(|one| side(one)).map(|one| one.entry).collect();
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            entries
        };
        conflicts.push(Conflict { ours: of(|one| one.of_ours), theirs: of(|one| one.of_theirs) });
    }
    left
}
