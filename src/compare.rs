//! Compares two streams of entries by an ordered merge: what drifted, and what could not be verified.
//!
//! Every path of either side ends as verified, drifted or unverified. Each path is counted once, where its verdict is
//! decided, so [`Counts`] adds up.

mod baseline;
mod change;
mod container;
mod declared;
mod difference_budget;
mod excerpt;
mod live;
mod moves;
mod unreadable;

pub use baseline::compare_baseline;
pub use change::Change;
pub use declared::compare_declared;
pub use difference_budget::{DifferenceBudget, LeftOut};
pub use excerpt::{Excerpt, Hidden, LINES, LONGEST};
pub use live::LiveStatus;

use serde::{Deserialize, Serialize};
use unreadable::UnreadableDirs;

use crate::manifest::{Attributes, Content, Entries, LockError, Observed, Record, Unverified};
use crate::path::EntryPath;

/// A difference between the lock and the live state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub path: EntryPath,
    pub change: Change,
    /// The record in the lock (for a move, that of `from`); `None` if the path was added.
    pub expected: Option<Record>,
    /// The live record; `None` if the path was removed.
    pub actual: Option<Record>,
    /// The previous path, if the content moved.
    pub from: Option<EntryPath>,
    /// When the live entry was written, and by which owner, if that was read.
    pub live: Option<LiveStatus>,
    /// The lines that changed, if requested.
    pub diff: Option<Box<Excerpt>>,
}

/// Finds the drift of a path in a comparison's list, which is sorted by path.
#[must_use]
pub fn drift_of<'a>(drift: &'a [Drift], path: &EntryPath) -> Option<&'a Drift> {
    drift.binary_search_by(|item| item.path.cmp(path)).ok().and_then(|index| drift.get(index))
}

/// An entry that could not be verified, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedEntry {
    pub path: EntryPath,
    pub reason: Unverified,
}

/// The number of entries by verdict. `verified + drifted + unverified == entries`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Paths in the lock, in the live state, or in both. A move counts as two.
    pub entries: u64,
    pub verified: u64,
    pub drifted: u64,
    pub unverified: u64,
}

/// The result of a comparison. Both lists are sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub drift: Vec<Drift>,
    pub unverified: Vec<UnverifiedEntry>,
    pub counts: Counts,
    /// Entries that are counted but not listed.
    pub left_out: LeftOut,
}

/// Compares two streams. Differences that do not fit into `budget` are only counted or, if it
/// [refuses](DifferenceBudget::refusing) them, an error.
///
/// # Errors
/// The lock is malformed, and [`LockError::TooDifferent`]. Nothing that was found before that counts.
pub fn compare(
    budget: &mut DifferenceBudget,
    expected: &mut impl Entries,
    actual: &mut impl Entries,
) -> Result<Comparison, LockError> {
    let refuses = budget.refuses();
    let mut merge = Merge { found: Comparison::default(), unreadable: UnreadableDirs::default(), budget };
    let mut left = expected.next()?;
    let mut right = actual.next()?;
    loop {
        if refuses && !merge.found.left_out.is_nothing() {
            return Err(LockError::TooDifferent);
        }
        match (&left, &right) {
            (None, None) => break,
            (Some(gone), None) => {
                merge.only_expected(gone);
                left = expected.next()?;
            }
            (None, Some(new)) => {
                merge.only_actual(new);
                right = actual.next()?;
            }
            (Some(before), Some(now)) => match before.path.cmp(now.path) {
                std::cmp::Ordering::Less => {
                    merge.only_expected(before);
                    left = expected.next()?;
                }
                std::cmp::Ordering::Greater => {
                    merge.only_actual(now);
                    right = actual.next()?;
                }
                std::cmp::Ordering::Equal => {
                    merge.both(before, now);
                    right = actual.next()?;
                    // Nearly all entries are equal. Their lines in the lock need not be parsed.
                    while let Some(now) = &right
                        && expected.skip_if_equal(now)?
                    {
                        merge.found.verified();
                        right = actual.next()?;
                    }
                    left = expected.next()?;
                }
            },
        }
    }
    moves::pair(&mut merge.found.drift);
    Ok(merge.found)
}

impl Comparison {
    /// The result for this many entries that are all equal.
    #[must_use]
    pub fn of_equal(entries: u64) -> Self {
        Self { counts: Counts { entries, verified: entries, ..Counts::default() }, ..Self::default() }
    }

    /// The number of entries, if all of them are equal.
    #[must_use]
    pub fn equal(&self) -> Option<u64> {
        let Counts { entries, verified, .. } = self.counts;
        (entries == verified).then_some(entries)
    }

    const fn verified(&mut self) {
        self.counts.entries += 1;
        self.counts.verified += 1;
    }
}

/// A comparison in progress.
struct Merge<'a> {
    found: Comparison,
    unreadable: UnreadableDirs,
    budget: &'a mut DifferenceBudget,
}

impl Merge<'_> {
    fn only_expected(&mut self, entry: &Observed<'_>) {
        match (self.unreadable.actual.above(entry.path), entry.state) {
            (Some(above), _) => self.unverified(entry.path, Unverified::Below(above.into())),
            (None, Ok(record)) => self.drifted(entry.path, Change::Removed, Some(record), None),
            (None, Err(reason)) => {
                self.unreadable.expected.add(entry.path);
                self.unverified(entry.path, reason.clone());
            }
        }
    }

    fn only_actual(&mut self, entry: &Observed<'_>) {
        match (self.unreadable.expected.above(entry.path), entry.state) {
            (Some(above), _) => self.unverified(entry.path, Unverified::Below(above.into())),
            (None, Ok(record)) => self.drifted(entry.path, Change::Added, None, Some(record)),
            (None, Err(reason)) => {
                self.unreadable.actual.add(entry.path);
                self.unverified(entry.path, reason.clone());
            }
        }
    }

    fn both(&mut self, before: &Observed<'_>, now: &Observed<'_>) {
        match (before.state, now.state) {
            (Ok(expected), Ok(actual)) => match difference(expected, actual) {
                Some(change) => self.drifted(now.path, change, Some(expected), Some(actual)),
                None => self.found.verified(),
            },
            (Ok(expected), Err(Unverified::Absent)) => self.drifted(now.path, Change::Removed, Some(expected), None),
            (Err(Unverified::Absent), Ok(actual)) => self.drifted(now.path, Change::Added, None, Some(actual)),
            (expected, actual) => {
                for (side, of) in [(expected, &mut self.unreadable.expected), (actual, &mut self.unreadable.actual)] {
                    if side.is_err() {
                        of.add(now.path);
                    }
                }
                if let Err(reason) = actual.and(expected) {
                    self.unverified(now.path, reason.clone());
                }
            }
        }
    }

    fn drifted(&mut self, path: &[u8], change: Change, expected: Option<&Record>, actual: Option<&Record>) {
        self.found.counts.entries += 1;
        self.found.counts.drifted += 1;
        let weight =
            size_of::<Drift>() + path.len() + difference_budget::record(expected) + difference_budget::record(actual);
        // Streams yield only valid paths. A path that is not kept is not validated again, since it may be long.
        match self.budget.take(path, weight).then(|| EntryPath::new(path)) {
            Some(Ok(path)) => {
                let (expected, actual) = (expected.cloned(), actual.cloned());
                self.found.drift.push(Drift { path, change, expected, actual, from: None, live: None, diff: None });
            }
            _ => self.found.left_out.drifted += 1,
        }
    }

    fn unverified(&mut self, path: &[u8], reason: Unverified) {
        self.found.counts.entries += 1;
        self.found.counts.unverified += 1;
        // A path that could not be read is stored twice, to recognize paths below it.
        let weight = size_of::<UnverifiedEntry>() + 64 + 2 * path.len() + difference_budget::reason(&reason);
        match self.budget.take(path, weight).then(|| EntryPath::new(path)) {
            Some(Ok(path)) => {
                self.found.unverified.push(UnverifiedEntry { path, reason });
            }
            _ => self.found.left_out.unverified += 1,
        }
    }
}

/// How two records of one path differ. What one side does not record is no difference: a `sha256sum` lock has only
/// digests. A directory's `nar` is not compared, since it follows from the entries below.
#[must_use]
pub fn difference(expected: &Record, actual: &Record) -> Option<Change> {
    use Content::{BlockDevice, CharDevice, Checksum, Container, Directory, Fifo, File, Module, Socket, Symlink};
    let same_content = match (&expected.content, &actual.content) {
        (File { sha256: before, size: size_before, .. }, File { sha256: now, size: size_now, .. }) => {
            before == now && size_before == size_now
        }
        (Checksum { sha256: before }, File { sha256: now, .. } | Checksum { sha256: now })
        | (File { sha256: before, .. }, Checksum { sha256: now })
        | (Module { sha256: before }, Module { sha256: now }) => before == now,
        (Symlink { target: before }, Symlink { target: now }) => before == now,
        (CharDevice { .. }, CharDevice { .. }) | (BlockDevice { .. }, BlockDevice { .. }) => {
            expected.content == actual.content
        }
        (Container(before), Container(now)) => return container::difference(before, now),
        (Directory { .. }, Directory { .. }) | (Fifo, Fifo) | (Socket, Socket) => true,
        _ => return Some(Change::TypeChanged),
    };
    if !same_content {
        return Some(Change::Modified);
    }
    if let (File { executable: before, .. }, File { executable: now, .. }) = (&expected.content, &actual.content)
        && before != now
    {
        return Some(Change::ExecutableChanged);
    }
    let none = Attributes::default();
    let (before, now) = (expected.attributes.as_deref(), actual.attributes.as_deref());
    let (before, now) = (before.unwrap_or(&none), now.unwrap_or(&none));
    if before.mode != now.mode {
        Some(Change::ModeChanged)
    } else if before.owner != now.owner {
        Some(Change::OwnerChanged)
    } else if before.xattrs != now.xattrs {
        Some(Change::XattrsChanged)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
