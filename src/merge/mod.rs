//! Two locks that grew out of one, merged by entry: what `driftlock merge-driver` does for git.
//!
//! What is merged as a whole is a unit: an entry, or in a `trees` check all that is directly below the root by one name,
//! since the `nar` of a module says what all of it is. A unit that one side alone changed is taken from that side. One that
//! both changed, each in its own way, is a conflict.

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
    /// Where it stands.
    fn path(&self) -> Option<&EntryPath> {
        match self {
            Self::Entry(entry) => Some(&entry.path),
            Self::Conflict(conflict) => conflict.first().map(|entry| &entry.path),
        }
    }
}

/// What both sides changed. One of the two may have removed it, and then has nothing here.
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
    /// The entry that comes first in the order of paths.
    #[must_use]
    pub fn first(&self) -> Option<&'a Entry> {
        self.ours.first().into_iter().chain(self.theirs.first()).min_by_key(|entry| &entry.path).copied()
    }
}

/// Reads a lock to its end.
///
/// # Errors
/// A lock that turns out to be malformed.
pub fn read(lock: &mut impl Entries) -> Result<Vec<Entry>, LockError> {
    let mut entries = Vec::new();
    while let Some(entry) = lock.next()? {
        // Locks give valid paths, and what could be read, only.
        if let (Ok(path), Ok(record)) = (EntryPath::new(entry.path), entry.state) {
            entries.push(Entry { path, record: record.clone() });
        }
    }
    Ok(entries)
}

/// What each of the three has of a unit.
#[derive(Debug, Default)]
struct Unit<'a> {
    base: Vec<&'a Entry>,
    ours: Vec<&'a Entry>,
    theirs: Vec<&'a Entry>,
}

/// Merges two lists of entries, which both are in the order of paths, as is the `base` that they grew out of. Where that is not
/// known, all that differs is a conflict.
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

/// An entry that only one side changed, or none, and which of the two have it.
struct Clean<'a> {
    entry: &'a Entry,
    of_ours: bool,
    of_theirs: bool,
}

/// Makes a conflict of what can't be there at once: a file of one side, and what lies below it as a directory on the other.
fn apart<'a>(mut clean: Vec<Clean<'a>>, conflicts: &mut Vec<Conflict<'a>>) -> Vec<&'a Entry> {
    // With `/` before all else, what is below a directory follows it.
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
