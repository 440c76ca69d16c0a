//! A manifest in memory, for entries that do not come from a walk.

use super::{Entries, LockError, Observed, Record, Unverified};
use crate::path::EntryPath;

/// The record of a path, or why it is not known.
pub type EntryResult = Result<Record, Unverified>;

/// Entries in the order of paths, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(Vec<(EntryPath, EntryResult)>);

impl List {
    /// Sorts the entries. If two have the same path, the first one is kept.
    #[must_use]
    pub fn new(mut entries: Vec<(EntryPath, EntryResult)>) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        Self(entries)
    }

    /// Reads a whole stream.
    ///
    /// # Errors
    /// The lock is malformed.
    pub fn read(stream: &mut impl Entries) -> Result<Self, LockError> {
        let mut entries = Vec::new();
        while let Some(entry) = stream.next()? {
            // Streams have only valid paths.
            if let Ok(path) = EntryPath::new(entry.path) {
                entries.push((path, entry.state.cloned().map_err(Clone::clone)));
            }
        }
        Ok(Self(entries))
    }

    /// All of them, in the order of paths.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&EntryPath, &EntryResult)> {
        self.0.iter().map(|(path, found)| (path, found))
    }

    /// All entries in the order of paths.
    #[must_use]
    pub fn entries(&self) -> ListEntries<'_> {
        ListEntries(self.0.iter())
    }
}

/// See [`List::entries`].
#[derive(Debug)]
pub struct ListEntries<'a>(std::slice::Iter<'a, (EntryPath, EntryResult)>);

impl Entries for ListEntries<'_> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        Ok(self.0.next().map(|(path, found)| Observed { path: path.as_bytes(), state: found.as_ref() }))
    }
}
