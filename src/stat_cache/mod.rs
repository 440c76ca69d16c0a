//! The stat cache of `driftlock check --stat-cache`: digests of files that were read before, each with what the kernel
//! says of a file that no change of its contents leaves as it was.
//!
//! A [`Fact`] is a statement about an inode, not about a path: while this inode had this size and these times, its
//! contents had this digest. It holds for ever on a file system whose kernel sets the time of change (ctime) whenever
//! contents change, from a clock that goes forward only. `utimensat` can set a file's mtime to anything, its ctime to
//! nothing but now, so contents that were swapped under a restored mtime are found. `docs/stat-cache.md` says what else
//! has to be true, and who could hide drift.
//!
//! Four rules keep facts true:
//!
//! - A file is kept only if it was read from end to end with the same size and times before and after.
//! - A file whose times are not older than the run, by [`SETTLING`], is not kept: it may change once more within one
//!   tick of the clock, and look the same. (Git calls such an entry racily clean.)
//! - Before a run reads its first file, the kernel has written back what was changed through mappings. It moves the times
//!   of a file when a process first stores into a page that is clean, not with each store, so what is stored into a page
//!   that is waiting to be written back is in no time. From then on, every page is clean.
//! - Only the file system of the check's root is trusted, and only if it is one of [`location::KEEPS_CHANGE_TIMES`].

pub mod binding;
pub mod file;
pub mod location;

use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{FileType, Statx, StatxFlags};
use rustix::io::Errno;

use crate::manifest::Sha256Digest;

/// How much older than the start of a run a file's times have to be for its digest to be kept.
///
/// More than the coarsest clock that stamps files: a second, on ext4 with inodes of 128 bytes and on XFS of old. A tick
/// of the kernel (at most 10 ms) and the difference between its clocks are small beside that.
pub const SETTLING: Duration = Duration::from_secs(2);

/// A moment as the kernel stamps files: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub seconds: i64,
    /// Less than 1,000,000,000.
    pub nanoseconds: u32,
}

impl Moment {
    /// The moment by which a file must have had its last change for its digest to be kept by a run that starts `now`,
    /// in nanoseconds since 1970.
    #[must_use]
    pub fn settled_before(now: i64) -> Self {
        const SECOND: i64 = 1_000_000_000;
        let settled = now.saturating_sub(i64::try_from(SETTLING.as_nanos()).unwrap_or(i64::MAX));
        let nanoseconds = settled.rem_euclid(SECOND).unsigned_abs();
        Self { seconds: settled.div_euclid(SECOND), nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) }
    }
}

/// What has to be the same for a file's contents to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub inode: u64,
    pub size: u64,
    pub modified: Moment,
    /// The ctime, which only the kernel sets.
    pub changed: Moment,
}

impl Stamp {
    /// The stamp of a regular file; nothing of anything else, or if the kernel did not tell all of it.
    #[must_use]
    pub fn of(status: &Statx) -> Option<Self> {
        const NEEDED: StatxFlags = StatxFlags::TYPE
            .union(StatxFlags::INO)
            .union(StatxFlags::SIZE)
            .union(StatxFlags::MTIME)
            .union(StatxFlags::CTIME);
        let told = StatxFlags::from_bits_retain(status.stx_mask).contains(NEEDED);
        let regular = FileType::from_raw_mode(status.stx_mode.into()) == FileType::RegularFile;
        (told && regular).then_some(Self {
            inode: status.stx_ino,
            size: status.stx_size,
            modified: Moment { seconds: status.stx_mtime.tv_sec, nanoseconds: status.stx_mtime.tv_nsec },
            changed: Moment { seconds: status.stx_ctime.tv_sec, nanoseconds: status.stx_ctime.tv_nsec },
        })
    }
}

/// The digest of a file that was read while it had this stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    pub stamp: Stamp,
    pub sha256: Sha256Digest,
}

/// A device number.
pub type Device = (u32, u32);

/// What is known of the files of one check.
#[derive(Debug)]
pub struct Known {
    device: Device,
    settled_before: Moment,
    /// By inode, each one once.
    facts: Vec<Fact>,
    /// Whether the file system has written back what was changed before the run; nothing before it was asked to.
    written_back: OnceLock<bool>,
}

impl Known {
    /// `facts` are sorted by inode, each one once. Files on another device than `device` are neither found nor kept.
    #[must_use]
    pub const fn new(device: Device, settled_before: Moment, facts: Vec<Fact>) -> Self {
        Self { device, settled_before, facts, written_back: OnceLock::new() }
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Finds the digest of a file with this status, and where its fact stands.
    #[must_use]
    pub fn find(&self, status: &Statx) -> Option<(u32, Sha256Digest)> {
        let stamp = Stamp::of(status).filter(|_| self.is_here(status))?;
        let at = self.facts.binary_search_by_key(&stamp.inode, |fact| fact.stamp.inode).ok()?;
        let fact = &self.facts[at];
        (fact.stamp == stamp).then_some((u32::try_from(at).ok()?, fact.sha256))
    }

    /// To be called before the status is asked for under which a file's digest is kept. The first call of a run has
    /// the file system written back by `sync`, and all others wait for it; where that fails, nothing is learnt.
    pub fn write_back(&self, sync: impl FnOnce() -> Result<(), Errno>) {
        self.written_back.get_or_init(|| sync().is_ok());
    }

    /// What is learnt from a file that was read while it had this status; nothing if that may not hold.
    #[must_use]
    pub fn learn(&self, status: &Statx, sha256: Sha256Digest) -> Option<Fact> {
        let stamp = Stamp::of(status).filter(|_| self.is_here(status))?;
        let settled = stamp.modified < self.settled_before && stamp.changed < self.settled_before;
        (settled && self.written_back.get() == Some(&true)).then_some(Fact { stamp, sha256 })
    }

    fn is_here(&self, status: &Statx) -> bool {
        (status.stx_dev_major, status.stx_dev_minor) == self.device
    }

    /// What is known after a run: the facts that it used and those that it learnt. Says whether that is any other than
    /// before.
    #[must_use]
    pub fn after(mut self, mut learned: Learned) -> (Vec<Fact>, bool) {
        learned.trusted.sort_unstable();
        learned.trusted.dedup();
        let same = learned.read.is_empty() && learned.trusted.len() == self.facts.len();
        if same {
            return (self.facts, false);
        }
        for (to, &from) in learned.trusted.iter().enumerate() {
            self.facts[to] = self.facts[from as usize];
        }
        self.facts.truncate(learned.trusted.len());
        self.facts.append(&mut learned.read);
        self.facts.sort_unstable_by_key(|fact| (fact.stamp.inode, fact.stamp.changed, fact.sha256));
        self.facts.dedup();
        // An inode of which two different things were learnt (hard links, read at different times) has changed since.
        let inode = |fact: &Fact| fact.stamp.inode;
        let contradicted: Vec<u64> =
            self.facts.windows(2).filter(|two| inode(&two[0]) == inode(&two[1])).map(|two| inode(&two[0])).collect();
        self.facts.retain(|fact| contradicted.binary_search(&inode(fact)).is_err());
        (self.facts, true)
    }
}

/// What a walk learnt, with a [`Known`] at hand.
#[derive(Debug, Default)]
pub struct Learned {
    /// Facts that were trusted, by where they stand. A file with two links is there twice.
    pub trusted: Vec<u32>,
    /// Facts from files that were read.
    pub read: Vec<Fact>,
}

impl Learned {
    /// Adds what another worker learnt.
    pub fn append(&mut self, other: &mut Self) {
        self.trusted.append(&mut other.trusted);
        self.read.append(&mut other.read);
    }
}

#[cfg(test)]
mod tests;
