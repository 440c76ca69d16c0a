//! The stat cache of `driftlock check --stat-cache`: the digests of files that were read before, each with the part of
//! the file's status that any change of contents changes.
//!
//! A [`CachedDigest`] is a statement about an inode, not about a path: while this inode had this size and these times, its
//! contents had this digest. It stays true on a file system whose kernel sets the time of change (ctime) whenever
//! contents change, from a clock that only goes forward. `utimensat` can set a file's mtime to any time, but its ctime
//! only to the present. So swapped contents are found even if their mtime was restored. `docs/stat-cache.md` lists the
//! other assumptions, and who could hide drift.
//!
//! The contents of a directory are the names in it. The kernel sets the directory's ctime whenever a name is created,
//! removed, renamed or replaced, so listings are cached by the same rules ([`listing`]). This saves only the listing:
//! the walk still looks at each name, through a handle on the same directory whose times were compared. The target of a
//! link never changes, so it is cached too.
//!
//! If a walk meets only what is cached, each name with its cached inode, it finds the same entries as the run before.
//! If these were equal to the same lock, the new entries are too ([`CheckCache::equal`]).
//!
//! Four rules keep the cache true:
//!
//! - A file or directory is cached only if it had the same size and times before and after it was read to its end.
//! - It is not cached if its times are not older than the run by [`SETTLING`]: it could change again within one tick of
//!   the clock and look the same. (git calls such an entry racily clean.)
//! - Before a run reads its first file, the kernel writes back what was changed through mappings. The kernel changes a
//!   file's times at the first store into a clean page, not at each store, so a store into a page that waits for
//!   write-back changes no time. After the write-back, every page is clean.
//! - Only the file system of the check's root is trusted, and only if it is one of [`location::KEEPS_CHANGE_TIMES`].
//!   Listings of encrypted directories are not cached: once the key is gone they show other names, with the same times.

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

/// How much older than the start of a run a file's times must be for its digest to be cached.
///
/// This is more than the coarsest resolution of file times: a second, on ext4 with 128-byte inodes and on old XFS. A
/// tick of the kernel (at most 10 ms) and the difference between its clocks are small beside that.
pub const SETTLING: Duration = Duration::from_secs(2);

/// A file time: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    pub seconds: i64,
    /// Less than 1,000,000,000.
    pub nanoseconds: u32,
}

impl Moment {
    /// The latest change that a cached file may have, for a run that starts `now`, in nanoseconds since 1970.
    #[must_use]
    pub fn settled_before(now: i64) -> Self {
        const SECOND: i64 = 1_000_000_000;
        let settled = now.saturating_sub(i64::try_from(SETTLING.as_nanos()).unwrap_or(i64::MAX));
        let nanoseconds = settled.rem_euclid(SECOND).unsigned_abs();
        Self { seconds: settled.div_euclid(SECOND), nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) }
    }
}

/// The part of a status that stays the same only if the contents of a file or directory stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    pub inode: u64,
    pub size: u64,
    pub modified: Moment,
    /// The ctime, which only the kernel sets.
    pub changed: Moment,
}

impl Stamp {
    /// The stamp of a regular file; `None` for anything else, or if the kernel did not report every field.
    #[must_use]
    pub fn of(status: &Statx) -> Option<Self> {
        Self::of_type(status, FileType::RegularFile)
    }

    /// Likewise for a directory.
    #[must_use]
    pub fn of_directory(status: &Statx) -> Option<Self> {
        Self::of_type(status, FileType::Directory)
    }

    /// Likewise for a symbolic link.
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
pub struct CachedDigest {
    pub stamp: Stamp,
    pub sha256: Sha256Digest,
}

/// What is cached of one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckCache {
    /// Sorted by inode, without duplicates.
    pub files: Vec<CachedDigest>,
    /// The names in directories ([`listing`]), sorted likewise.
    pub listings: Stamped,
    /// The targets of links, sorted likewise.
    pub links: Stamped,
    /// The result of the last comparison, if everything was equal.
    pub equal: Option<Equal>,
}

/// A run found exactly the entries of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equal {
    /// The number of entries.
    pub entries: u64,
    /// The digest of all bytes of the lock.
    pub lock: Sha256Digest,
}

/// A device number.
pub type Device = (u32, u32);

/// The cache of one check, as its walk sees it.
#[derive(Debug)]
pub struct CacheView {
    device: Device,
    settled_before: Moment,
    cache: CheckCache,
    /// Whether changed pages were written back; unset before the first attempt.
    written_back: OnceLock<bool>,
}

impl CacheView {
    /// Anything on another device than `device` is neither looked up nor cached.
    #[must_use]
    pub const fn new(device: Device, settled_before: Moment, cache: CheckCache) -> Self {
        Self { device, settled_before, cache, written_back: OnceLock::new() }
    }

    /// Whether it has files.
    #[must_use]
    pub const fn has_files(&self) -> bool {
        !self.cache.files.is_empty()
    }

    /// Whether it has listings.
    #[must_use]
    pub const fn has_listings(&self) -> bool {
        !self.cache.listings.is_empty()
    }

    /// Whether it has links.
    #[must_use]
    pub const fn has_links(&self) -> bool {
        !self.cache.links.is_empty()
    }

    /// Looks up the digest of a file with this status; also returns its index. Searches `near` another index first,
    /// because files in one directory often have adjacent inodes.
    #[must_use]
    pub fn find(&self, status: &Statx, near: u32) -> Option<(u32, Sha256Digest)> {
        let stamp = Stamp::of(status).filter(|_| self.is_here(status))?;
        let files = &self.cache.files;
        let part = around(files, stamp.inode, near as usize);
        let at = part.start + files[part].binary_search_by_key(&stamp.inode, |cached| cached.stamp.inode).ok()?;
        let cached = &files[at];
        (cached.stamp == stamp).then_some((u32::try_from(at).ok()?, cached.sha256))
    }

    /// Looks up the names in a directory with this status, sorted by their bytes; also returns the index of its
    /// listing.
    #[must_use]
    pub fn find_listing(&self, status: &Statx) -> Option<(u32, impl Iterator<Item = (Listed, &[u8])> + Clone)> {
        let stamp = Stamp::of_directory(status).filter(|_| self.is_here(status))?;
        let (at, names) = self.cache.listings.find(&stamp)?;
        Some((at, listing::names(names)))
    }

    /// Looks up the target of a link with this status; also returns its index.
    #[must_use]
    pub fn find_link(&self, status: &Statx) -> Option<(u32, &[u8])> {
        let stamp = Stamp::of_link(status).filter(|_| self.is_here(status))?;
        self.cache.links.find(&stamp)
    }

    /// The result of the previous run's comparison, if everything was equal.
    #[must_use]
    pub const fn equal(&self) -> Option<Equal> {
        self.cache.equal
    }

    /// Must be called before the `statx` under whose stamp a digest is cached. The first call of a run writes the file
    /// system back with `sync`, and the other calls wait for it. If that fails, nothing new is cached.
    pub fn write_back(&self, sync: impl FnOnce() -> Result<(), Errno>) {
        self.written_back.get_or_init(|| sync().is_ok());
    }

    /// The digest to cache for a file that was read while it had this status; `None` if it might not hold.
    #[must_use]
    pub fn to_cache(&self, status: &Statx, sha256: Sha256Digest) -> Option<CachedDigest> {
        let stamp = Stamp::of(status).filter(|stamp| self.is_here(status) && self.has_settled(stamp))?;
        (self.written_back.get() == Some(&true)).then_some(CachedDigest { stamp, sha256 })
    }

    /// The stamp for caching the listing of a directory with this status, if it can be cached. List the directory after
    /// this call; if it then still has the same stamp, the listing is valid.
    #[must_use]
    pub fn listing_holds(&self, status: &Statx) -> Option<Stamp> {
        Stamp::of_directory(status).filter(|stamp| self.holds_unless_encrypted(status, stamp))
    }

    /// Likewise for the target of a link.
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

    /// The cache to keep after a run that found `equal` ([`CheckCache::equal`]): what the run used and what it added.
    /// Also returns whether that differs from before.
    #[must_use]
    pub fn after(mut self, mut updates: CacheUpdates, equal: Option<Equal>) -> (CheckCache, bool) {
        let CheckCache { files, listings, links, equal: before } = &mut self.cache;
        let trusted = Used::new(&updates.trusted, files.len());
        let mut same = updates.read.is_empty() && trusted.all();
        if !same {
            after_reading(files, &trusted, &mut updates.read);
        }
        for (known, used, new) in
            [(listings, &updates.listed, &updates.listings), (links, &updates.linked, &updates.links)]
        {
            let used = Used::new(used, known.len());
            if !(new.is_empty() && used.all()) {
                *known = known.merged(used.places(), new);
                same = false;
            }
        }
        same &= *before == equal;
        *before = equal;
        (self.cache, !same)
    }
}

/// Which cached items a run used, by index.
struct Used(Vec<bool>);

impl Used {
    /// `places` may have duplicates: a file with two links is looked up twice.
    fn new(places: &[u32], digests: usize) -> Self {
        let mut used = vec![false; digests];
        for &place in places {
            used[place as usize] = true;
        }
        Self(used)
    }

    fn all(&self) -> bool {
        self.0.iter().all(|&used| used)
    }

    /// The indices, in order.
    fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter_map(|(place, &used)| used.then_some(place))
    }
}

/// The range of the sorted digests in which this inode must be; a small one if it is `near`.
fn around(digests: &[CachedDigest], inode: u64, near: usize) -> Range<usize> {
    let mut reach = 8;
    loop {
        let part = near.saturating_sub(reach)..near.saturating_add(reach).min(digests.len());
        if part.start == 0 && part.end == digests.len() || part.is_empty() {
            return 0..digests.len();
        }
        let behind_start = part.start == 0 || digests[part.start].stamp.inode <= inode;
        let before_end = part.end == digests.len() || inode < digests[part.end].stamp.inode;
        if behind_start && before_end {
            return part;
        }
        reach *= 8;
    }
}

/// Keeps the `trusted` digests, and adds those that were `read`.
fn after_reading(digests: &mut Vec<CachedDigest>, trusted: &Used, read: &mut Vec<CachedDigest>) {
    let mut left = 0;
    for from in trusted.places() {
        digests[left] = digests[from];
        left += 1;
    }
    digests.truncate(left);
    digests.append(read);
    digests.sort_unstable_by_key(|cached| (cached.stamp.inode, cached.stamp.changed, cached.sha256));
    digests.dedup();
    // If one inode got two different digests (hard links, read at different times), the file has changed.
    let inode = |cached: &CachedDigest| cached.stamp.inode;
    let contradicted: Vec<u64> =
        digests.windows(2).filter(|two| inode(&two[0]) == inode(&two[1])).map(|two| inode(&two[0])).collect();
    digests.retain(|cached| contradicted.binary_search(&inode(cached)).is_err());
}

/// What a walk used of a [`CacheView`], and what it adds.
#[derive(Debug, Default)]
pub struct CacheUpdates {
    /// Indices of trusted digests. A file with two links is there twice.
    pub trusted: Vec<u32>,
    /// New digests, from files that were read.
    pub read: Vec<CachedDigest>,
    /// Indices of trusted listings.
    pub listed: Vec<u32>,
    /// New listings.
    pub listings: Stamped,
    /// Indices of trusted links.
    pub linked: Vec<u32>,
    /// Targets of links that were read.
    pub links: Stamped,
    /// Whether the walk met anything that was not cached.
    pub cache_miss: bool,
    /// Whether a name had another inode than in its listing. This happens for a mount over the name; kernels before 5.8
    /// show mounts in no other way.
    pub inode_mismatch: bool,
}

impl CacheUpdates {
    /// Adds the updates of another worker.
    pub fn append(&mut self, other: &mut Self) {
        self.trusted.append(&mut other.trusted);
        self.read.append(&mut other.read);
        self.listed.append(&mut other.listed);
        self.listings.append(&mut other.listings);
        self.linked.append(&mut other.linked);
        self.links.append(&mut other.links);
        self.cache_miss |= other.cache_miss;
        self.inode_mismatch |= other.inode_mismatch;
    }
}

#[cfg(test)]
mod tests;
