//! Bytes that were read from something while it had a stamp: the names in a directory, or the target of a link.

use super::Stamp;

/// Stamps, each with the bytes that were read under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamped {
    all: Vec<One>,
    bytes: Vec<u8>,
}

/// One stamp, and where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct One {
    stamp: Stamp,
    start: usize,
    length: u32,
}

impl Stamped {
    /// Adds what was just read.
    pub fn push(&mut self, stamp: Stamp, bytes: &[u8]) {
        // Nothing has 4 GiB of names or target, and that could not be encoded.
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        self.all.push(One { stamp, start: self.bytes.len(), length });
        self.bytes.extend_from_slice(bytes);
    }

    /// The inverse of [`written`](Self::written): the stamps, each with the length of its bytes, and all bytes in a
    /// row. `None` if they are not sorted by inode, or if one has invalid bytes.
    #[must_use]
    pub fn from_written(
        stamps: Vec<(Stamp, u32)>,
        bytes: Vec<u8>,
        can_have: impl Fn(&Stamp, &[u8]) -> bool,
    ) -> Option<Self> {
        let mut start = 0;
        let mut all: Vec<One> = Vec::with_capacity(stamps.len());
        for (stamp, length) in stamps {
            let end = length as usize + start;
            let in_order = all.last().is_none_or(|before| before.stamp.inode < stamp.inode);
            if !in_order || !can_have(&stamp, bytes.get(start..end)?) {
                return None;
            }
            all.push(One { stamp, start, length });
            start = end;
        }
        (start == bytes.len()).then_some(Self { all, bytes })
    }

    /// Each stamp with its bytes.
    pub fn written(&self) -> impl Iterator<Item = (&Stamp, &[u8])> {
        self.all.iter().map(|one| (&one.stamp, self.of(one)))
    }

    fn of(&self, one: &One) -> &[u8] {
        &self.bytes[one.start..][..one.length as usize]
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Looks up a stamp, if all are sorted by inode; returns its index and its bytes.
    #[must_use]
    pub fn find(&self, stamp: &Stamp) -> Option<(u32, &[u8])> {
        let at = self.all.binary_search_by_key(&stamp.inode, |one| one.stamp.inode).ok()?;
        let one = &self.all[at];
        (one.stamp == *stamp).then_some((u32::try_from(at).ok()?, self.of(one)))
    }

    /// Adds those of another.
    pub fn append(&mut self, other: &mut Self) {
        let behind = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.all.extend(other.all.drain(..).map(|one| One { start: one.start + behind, ..one }));
    }

    /// The ones at the indices `kept`, and the new ones, sorted by inode.
    #[must_use]
    pub fn merged(&self, kept: impl Iterator<Item = usize>, new: &Self) -> Self {
        let mut all: Vec<(&Stamp, &[u8])> =
            kept.filter_map(|at| self.all.get(at)).map(|one| (&one.stamp, self.of(one))).chain(new.written()).collect();
        all.sort_unstable_by_key(|&(stamp, bytes)| (stamp.inode, stamp.changed, bytes));
        all.dedup();
        let mut merged = Self::default();
        for same in all.chunk_by(|(a, _), (b, _)| a.inode == b.inode) {
            // If two different contents were cached for one inode, it has changed since.
            if let [(stamp, bytes)] = same {
                merged.push(**stamp, bytes);
            }
        }
        merged
    }
}
