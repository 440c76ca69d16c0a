//! Limits the memory for differences. All are counted, and those that do not fit are not listed.
//!
//! A user who can write below a root decides how many differences there are and how long their paths are: 4,000 nested
//! directories are a megabyte of names and two gigabytes of paths.

use serde::{Deserialize, Serialize};

use crate::manifest::{Attributes, Content, Record, Unverified, json};

/// The approximate memory for the differences of a run, in bytes: about 300,000 entries.
const MOST: usize = 64 << 20;

/// Longer paths, in bytes, are rarely legitimate; all of them together get this much.
const LONG: usize = 1024;
const MOST_LONG: usize = 1 << 20;

/// The memory that is left for differences. The default is the budget of a run: differences that do not fit are only
/// counted.
#[derive(Debug)]
pub struct DifferenceBudget {
    bytes: usize,
    long: usize,
    refuses: bool,
}

impl Default for DifferenceBudget {
    fn default() -> Self {
        Self { bytes: MOST, long: MOST_LONG, refuses: false }
    }
}

impl DifferenceBudget {
    /// No limit.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self::of(usize::MAX)
    }

    /// A limit in bytes, without a limit for long paths.
    pub(super) const fn of(bytes: usize) -> Self {
        Self { bytes, long: usize::MAX, refuses: false }
    }

    /// A limit in bytes for a stream that may be endless: a comparison whose differences do not fit is an error
    /// ([`LockError::TooDifferent`](crate::manifest::LockError::TooDifferent)).
    #[must_use]
    pub const fn refusing(bytes: usize) -> Self {
        Self { bytes, long: usize::MAX, refuses: true }
    }

    /// Whether a comparison whose differences do not fit is an error.
    pub(super) const fn refuses(&self) -> bool {
        self.refuses
    }

    /// The memory that one comparison may take to prepare, in bytes.
    pub(super) const fn preparation(&self) -> usize {
        if self.refuses { self.bytes } else { usize::MAX }
    }

    /// Reserves memory for a difference; returns whether it fits.
    pub(super) fn take(&mut self, path: &[u8], weight: usize) -> bool {
        let long = if path.len() > LONG { self.long.checked_sub(path.len()) } else { Some(self.long) };
        let (Some(bytes), Some(long)) = (self.bytes.checked_sub(weight), long) else { return false };
        (self.bytes, self.long) = (bytes, long);
        true
    }

    /// Reserves memory for something that comes with the differences; returns whether it fits.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        self.bytes.checked_sub(bytes).inspect(|&left| self.bytes = left).is_some()
    }
}

/// Entries that were counted but not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub drifted: u64,
    pub unverified: u64,
}

impl LeftOut {
    #[must_use]
    pub const fn is_nothing(self) -> bool {
        self.drifted == 0 && self.unverified == 0
    }
}

/// The approximate memory of one side of a difference, in bytes.
pub(super) fn record(record: Option<&Record>) -> usize {
    let Some(record) = record else { return 0 };
    let target = match &record.content {
        Content::Symlink { target } => target.len(),
        // Its strings are those of its line, each with some overhead.
        Content::Container(_) => 2 * json::entry_line(b"", record).len(),
        _ => 0,
    };
    let attributes = record.attributes.as_deref().map_or(0, |attributes| {
        let xattrs = attributes.xattrs.iter().flatten();
        size_of::<Attributes>() + xattrs.map(|(name, value)| 32 + name.len() + value.len()).sum::<usize>()
    });
    target + attributes
}

/// The approximate memory of a reason, in bytes.
pub(super) fn reason(reason: &Unverified) -> usize {
    match reason {
        Unverified::Reported(_, text) => text.len(),
        Unverified::Below(above) => above.len(),
        _ => 0,
    }
}
