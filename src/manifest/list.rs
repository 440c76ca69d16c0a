//! A manifest in memory: what was collected from elsewhere than a tree of files.

use super::{Entries, LockError, Observed, Record, Unverified};
use crate::path::EntryPath;

/// What was found at one path, or why that is not known.
pub type Found = Result<Record, Unverified>;

/// Entries in the one order of paths, each path once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(Vec<(EntryPath, Found)>);

impl List {
    /// Sorts the entries. Of two with one path the first one counts.
    #[must_use]
    pub fn new(mut entries: Vec<(EntryPath, Found)>) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        Self(entries)
    }

    /// Reads a stream to its end.
    ///
    /// # Errors
    /// A lock that turns out to be malformed.
    pub fn read(stream: &mut impl Entries) -> Result<Self, LockError> {
        let mut entries = Vec::new();
        while let Some(entry) = stream.next()? {
            // Streams give valid paths only.
            if let Ok(path) = EntryPath::new(entry.path) {
                entries.push((path, entry.state.cloned().map_err(Clone::clone)));
            }
        }
        Ok(Self(entries))
    }

    /// All entries in the one order of paths.
    #[must_use]
    pub fn entries(&self) -> ListEntries<'_> {
        ListEntries(self.0.iter())
    }
}

/// See [`List::entries`].
#[derive(Debug)]
pub struct ListEntries<'a>(std::slice::Iter<'a, (EntryPath, Found)>);

impl Entries for ListEntries<'_> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        Ok(self.0.next().map(|(path, found)| Observed { path: path.as_bytes(), state: found.as_ref() }))
    }
}
