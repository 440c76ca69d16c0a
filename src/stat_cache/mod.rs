//! The stat cache of `driftlock check --stat-cache`: digests of files that were read before, each with what the kernel
//! says of a file that no change of its contents leaves as it was.
//!
//! A [`Fact`] is a statement about an inode, not about a path: while this inode had this size and these times, its
//! contents had this digest. It holds for ever on a file system whose kernel sets the time of change (ctime) whenever
//! contents change, from a clock that goes forward only. `utimensat` can set a file's mtime to anything, its ctime to
//! nothing but now, so contents that were swapped under a restored mtime are found. `docs/stat-cache.md` says what else
//! has to be true, and who could hide drift.
//!
//! The contents of a directory are the names in it, and the kernel sets its ctime whenever one is made, removed, renamed or
//! put in another's place. So what was listed is known by the same rules ([`listing`]). That spares the listing, and
//! nothing else: each name is looked at in each run, as it is after a listing, through a handle on the very
//! directory whose times were compared. A link's target is what it was made with, so it is known likewise.
//!
//! Where a walk meets nothing but what is known, each name with the inode that it had, what it finds is what the run
//! before found, entry for entry. If that was compared with the same lock and was the same, so is this
//! ([`Facts::equal`]).
//!
//! Four rules keep facts true:
//!
//! - A file or directory is kept only if it was read from end to end with the same size and times before and after.
//! - One whose times are not older than the run, by [`SETTLING`], is not kept: it may change once more within one
//!   tick of the clock, and look the same. (Git calls such an entry racily clean.)
//! - Before a run reads its first file, the kernel has written back what was changed through mappings. It moves the times
//!   of a file when a process first stores into a page that is clean, not with each store, so what is stored into a page
//!   that is waiting to be written back is in no time. From then on, every page is clean.
//! - Only the file system of the check's root is trusted, and only if it is one of [`location::KEEPS_CHANGE_TIMES`]. Of
//!   encrypted directories, listings are not: other names show in them once the key is gone, and no time tells.

pub mod binding;
pub mod file;
pub mod listing;
pub mod location;
pub mod stamped;

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{FileType, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::manifest::Sha256Digest;
use listing::Listed;
use stamped::Stamped;

/// How much older than the start of a run a file's times have to be for its digest to be kept.
///
/// More than the coarsest clock that stamps files: a second, on ext4 with inodes of 128 bytes and on XFS of old. A tick
/// of the kernel (at most 10 ms) and the difference between its clocks are small beside that.
pub const SETTLING: Duration = Duration::from_secs(2);

/// A moment as the kernel stamps files: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// What has to be the same for the contents of a file or directory to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        Self::of_type(status, FileType::RegularFile)
    }

    /// The same of a directory.
    #[must_use]
    pub fn of_directory(status: &Statx) -> Option<Self> {
        Self::of_type(status, FileType::Directory)
    }

    /// The same of a symbolic link.
    #[must_use]
    pub fn of_link(status: &Statx) -> Option<Self> {
        Self::of_type(status, FileType::Symlink)
    }

    fn of_type(status: &Statx, wanted: FileType) -> Option<Self> {
        const NEEDED: StatxFlags = StatxFlags::TYPE
            .union(StatxFlags::INO)
            .union(StatxFlags::SIZE)
            .union(StatxFlags::MTIME)
            .union(StatxFlags::CTIME);
        let told = StatxFlags::from_bits_retain(status.stx_mask).contains(NEEDED);
        let is_wanted = FileType::from_raw_mode(status.stx_mode.into()) == wanted;
        (told && is_wanted).then_some(Self {
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

/// What is remembered of one check from one run to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// By inode, each one once.
    pub files: Vec<Fact>,
    /// The names in directories ([`listing`]), the same.
    pub listings: Stamped,
    /// The targets of links, the same.
    pub links: Stamped,
    /// What is known of how that compared with the lock.
    pub equal: Option<Equal>,
}

/// That a run found what the lock has, entry for entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equal {
    /// How many there were.
    pub entries: u64,
    /// Of all bytes of the lock.
    pub lock: Sha256Digest,
}

/// A device number.
pub type Device = (u32, u32);

/// What is known of the files and directories of one check.
#[derive(Debug)]
pub struct Known {
    device: Device,
    settled_before: Moment,
    facts: Facts,
    /// Whether the file system has written back what was changed before the run; nothing before it was asked to.
    written_back: OnceLock<bool>,
}

impl Known {
    /// What is on another device than `device` is neither found nor kept.
    #[must_use]
    pub const fn new(device: Device, settled_before: Moment, facts: Facts) -> Self {
        Self { device, settled_before, facts, written_back: OnceLock::new() }
    }

    /// Whether files are known.
    #[must_use]
    pub const fn knows_files(&self) -> bool {
        !self.facts.files.is_empty()
    }

    /// Whether listings are known.
    #[must_use]
    pub const fn knows_listings(&self) -> bool {
        !self.facts.listings.is_empty()
    }

    /// Whether links are known.
    #[must_use]
    pub const fn knows_links(&self) -> bool {
        !self.facts.links.is_empty()
    }

    /// Finds the digest of a file with this status, and where its fact stands. It is looked for `near` another one first:
    /// files that lie in one directory often have inodes side by side.
    #[must_use]
    pub fn find(&self, status: &Statx, near: u32) -> Option<(u32, Sha256Digest)> {
        let stamp = Stamp::of(status).filter(|_| self.is_here(status))?;
        let files = &self.facts.files;
        let part = around(files, stamp.inode, near as usize);
        let at = part.start + files[part].binary_search_by_key(&stamp.inode, |fact| fact.stamp.inode).ok()?;
        let fact = &files[at];
        (fact.stamp == stamp).then_some((u32::try_from(at).ok()?, fact.sha256))
    }

    /// Finds the names in a directory with this status, sorted by their bytes; and where its listing stands.
    #[must_use]
    pub fn find_listing(&self, status: &Statx) -> Option<(u32, impl Iterator<Item = (Listed, &[u8])> + Clone)> {
        let stamp = Stamp::of_directory(status).filter(|_| self.is_here(status))?;
        let (at, names) = self.facts.listings.find(&stamp)?;
        Some((at, listing::names(names)))
    }

    /// Finds the target of a link with this status, and where that stands.
    #[must_use]
    pub fn find_link(&self, status: &Statx) -> Option<(u32, &[u8])> {
        let stamp = Stamp::of_link(status).filter(|_| self.is_here(status))?;
        self.facts.links.find(&stamp)
    }

    /// How what the run before found compared with the lock.
    #[must_use]
    pub const fn equal(&self) -> Option<Equal> {
        self.facts.equal
    }

    /// To be called before the status is asked for under which a file's digest is kept. The first call of a run has
    /// the file system written back by `sync`, and all others wait for it; where that fails, nothing is learnt.
    pub fn write_back(&self, sync: impl FnOnce() -> Result<(), Errno>) {
        self.written_back.get_or_init(|| sync().is_ok());
    }

    /// What is learnt from a file that was read while it had this status; nothing if that may not hold.
    #[must_use]
    pub fn learn(&self, status: &Statx, sha256: Sha256Digest) -> Option<Fact> {
        let stamp = Stamp::of(status).filter(|stamp| self.is_here(status) && self.has_settled(stamp))?;
        (self.written_back.get() == Some(&true)).then_some(Fact { stamp, sha256 })
    }

    /// The stamp under which the names in a directory with this status can be kept, if they can be: they may be listed
    /// after this, and if the directory still has the same stamp then, that is what was in it.
    #[must_use]
    pub fn listing_holds(&self, status: &Statx) -> Option<Stamp> {
        Stamp::of_directory(status).filter(|stamp| self.holds_unless_encrypted(status, stamp))
    }

    /// The same for the target of a link.
    #[must_use]
    pub fn link_holds(&self, status: &Statx) -> Option<Stamp> {
        Stamp::of_link(status).filter(|stamp| self.holds_unless_encrypted(status, stamp))
    }

    fn holds_unless_encrypted(&self, status: &Statx, stamp: &Stamp) -> bool {
        let encrypted = status.stx_attributes.contains(StatxAttributes::ENCRYPTED);
        !encrypted && self.is_here(status) && self.has_settled(stamp)
    }

    fn has_settled(&self, stamp: &Stamp) -> bool {
        stamp.modified < self.settled_before && stamp.changed < self.settled_before
    }

    fn is_here(&self, status: &Statx) -> bool {
        (status.stx_dev_major, status.stx_dev_minor) == self.device
    }

    /// What is known after a run that found `equal` ([`Facts::equal`]): the facts that it used and those that it learnt.
    /// Says whether that is any other than before.
    #[must_use]
    pub fn after(mut self, mut learned: Learned, equal: Option<Equal>) -> (Facts, bool) {
        let Facts { files, listings, links, equal: before } = &mut self.facts;
        let trusted = Used::new(&learned.trusted, files.len());
        let mut same = learned.read.is_empty() && trusted.all();
        if !same {
            after_reading(files, &trusted, &mut learned.read);
        }
        for (known, used, new) in
            [(listings, &learned.listed, &learned.listings), (links, &learned.linked, &learned.links)]
        {
            let used = Used::new(used, known.len());
            if !(new.is_empty() && used.all()) {
                *known = known.merged(used.places(), new);
                same = false;
            }
        }
        same &= *before == equal;
        *before = equal;
        (self.facts, !same)
    }
}

/// Which facts a run used, by where they stand.
struct Used(Vec<bool>);

impl Used {
    /// `places` may have one several times: a file with two links is looked up twice.
    fn new(places: &[u32], facts: usize) -> Self {
        let mut used = vec![false; facts];
        for &place in places {
            used[place as usize] = true;
        }
        Self(used)
    }

    fn all(&self) -> bool {
        self.0.iter().all(|&used| used)
    }

    /// The places, in order.
    fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter_map(|(place, &used)| used.then_some(place))
    }
}

/// The part of the facts, which are sorted by inode, that has this inode if any has it: a small one if it is `near`.
fn around(facts: &[Fact], inode: u64, near: usize) -> Range<usize> {
    let mut reach = 8;
    loop {
        let part = near.saturating_sub(reach)..near.saturating_add(reach).min(facts.len());
        if part.start == 0 && part.end == facts.len() || part.is_empty() {
            return 0..facts.len();
        }
        let behind_start = part.start == 0 || facts[part.start].stamp.inode <= inode;
        let before_end = part.end == facts.len() || inode < facts[part.end].stamp.inode;
        if behind_start && before_end {
            return part;
        }
        reach *= 8;
    }
}

/// Leaves the facts that were `trusted`, and adds those that were `read`.
fn after_reading(facts: &mut Vec<Fact>, trusted: &Used, read: &mut Vec<Fact>) {
    let mut left = 0;
    for from in trusted.places() {
        facts[left] = facts[from];
        left += 1;
    }
    facts.truncate(left);
    facts.append(read);
    facts.sort_unstable_by_key(|fact| (fact.stamp.inode, fact.stamp.changed, fact.sha256));
    facts.dedup();
    // An inode of which two different things were learnt (hard links, read at different times) has changed since.
    let inode = |fact: &Fact| fact.stamp.inode;
    let contradicted: Vec<u64> =
        facts.windows(2).filter(|two| inode(&two[0]) == inode(&two[1])).map(|two| inode(&two[0])).collect();
    facts.retain(|fact| contradicted.binary_search(&inode(fact)).is_err());
}

/// What a walk learnt, with a [`Known`] at hand.
#[derive(Debug, Default)]
pub struct Learned {
    /// Facts that were trusted, by where they stand. A file with two links is there twice.
    pub trusted: Vec<u32>,
    /// Facts from files that were read.
    pub read: Vec<Fact>,
    /// Listings that were trusted, by where they stand.
    pub listed: Vec<u32>,
    /// Listings of directories that were listed.
    pub listings: Stamped,
    /// Links that were trusted, by where they stand.
    pub linked: Vec<u32>,
    /// Targets of links that were read.
    pub links: Stamped,
    /// Whether anything was met that was not known.
    pub news: bool,
    /// Whether a name stood for another inode than the one that it was listed with. What is mounted over it does so, and a
    /// kernel before 5.8 tells no mount otherwise.
    pub not_as_listed: bool,
}

impl Learned {
    /// Adds what another worker learnt.
    pub fn append(&mut self, other: &mut Self) {
        self.trusted.append(&mut other.trusted);
        self.read.append(&mut other.read);
        self.listed.append(&mut other.listed);
        self.listings.append(&mut other.listings);
        self.linked.append(&mut other.linked);
        self.links.append(&mut other.links);
        self.news |= other.news;
        self.not_as_listed |= other.not_as_listed;
    }
}

#[cfg(test)]
mod tests;
