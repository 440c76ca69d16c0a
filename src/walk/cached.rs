//! Files, directories and links that an earlier run read: looks them up in the stat cache instead of reading them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Statx};

use super::Task;
use super::dir_entries::DirEntries;
use super::effort::Reader;
use super::inspect::{self, Inspected, refused};
use super::listing::{self, OpenDirectory, SelectedNames};
use super::nar_walk;
use super::notes::Notes;
use super::open::{self, Mount, OpenMode};
use super::queue::DirRef;
use super::tree::EntryState;
use super::worker::{file_content, file_record};
use crate::declaration::Matched;
use crate::manifest::{Content, Record, Sha256Digest, Unverified};
use crate::stat_cache::listing::{Listed, Names, is_target};
use crate::stat_cache::{CacheUpdates, CacheView, CachedDigest, Stamp};

/// The result of looking up a name.
pub enum Lookup {
    /// A regular file or a link that is in the cache.
    Hit { record: Record, status: Statx },
    /// Anything else, inspected.
    Miss(Inspected),
}

impl Lookup {
    /// The status, if it was read.
    pub const fn status(&self) -> Option<&Statx> {
        match self {
            Self::Hit { status, .. } | Self::Miss(Inspected::File(_, status) | Inspected::Settled(_, Some(status))) => {
                Some(status)
            }
            Self::Miss(Inspected::Settled(_, None) | Inspected::Directory) => None,
        }
    }
}

/// Opens a directory and returns the names in it that a check records or enters, like [`listing::open`] and
/// [`listing::list_names`]. Does not list a directory whose listing is cached.
pub fn list(
    task: &Task<'_>,
    dir: &DirRef,
    above: Option<BorrowedFd<'_>>,
    parent: Option<Mount>,
    notes: &mut Notes,
    buffer: &mut Vec<u8>,
) -> Result<(OpenDirectory, DirEntries), Unverified> {
    let Notes { mounts, updates, matched, .. } = notes;
    // The extended attributes of a directory can be read only if it is opened.
    let cache = task.cache.as_deref().filter(|_| !task.attributes.xattrs);
    if let Some(cache) = cache
        && let Some((at, opened, nodes)) = listing_by_status(task, cache, dir, (above, parent), matched)
    {
        updates.listed.push(at);
        return Ok((opened, nodes));
    }
    updates.cache_miss = true;
    let opened = listing::open(task, dir, above, parent, mounts).map_err(listing::OpenError::reason)?;
    updates.inode_mismatch |= !is_listed_inode(dir, &opened.status);
    let stamp = cache.and_then(|cache| cache.listing_holds(&opened.status));
    let mut all = Names::default();
    let nodes = listing::list_names(task, dir, &opened.file, buffer, matched, |listed, name| {
        if stamp.is_some() {
            all.push(listed, name);
        }
    });
    let nodes = nodes.map_err(|errno| refused("list it", errno))?;
    if let (Some(cache), Some(stamp)) = (cache, stamp)
        && let Ok(after) = open::status(&opened.file)
        && cache.listing_holds(&after) == Some(stamp)
        && let Some(names) = all.sorted()
    {
        updates.listings.push(stamp, &names);
    }
    Ok((opened, nodes))
}

/// Looks up the listing of a directory by its status. Returns nothing if anything is unexpected: then the directory is
/// opened and listed.
///
/// The names are inspected through the handle whose status was compared. If the directory is moved meanwhile, no other
/// directory can take its place.
fn listing_by_status(
    task: &Task<'_>,
    cache: &CacheView,
    dir: &DirRef,
    (above, parent): (Option<BorrowedFd<'_>>, Option<Mount>),
    matched: &mut Matched,
) -> Option<(u32, OpenDirectory, DirEntries)> {
    if !cache.has_listings() {
        return None;
    }
    let file = listing::open_handle(task, dir, above, OpenMode::PathOnly).ok()?;
    let status = open::status(&file).ok()?;
    let mount = Mount::of(&status);
    if parent.is_some_and(|parent| parent != mount) || !is_listed_inode(dir, &status) {
        return None;
    }
    let (at, names) = cache.find_listing(&status)?;
    let mut picked = SelectedNames::new(task, dir, matched);
    if task.selection.is_everything() {
        let (count, bytes) = names.clone().fold((0, 0), |(count, bytes), (_, name)| (count + 1, bytes + name.len()));
        picked.nodes.reserve(count, bytes);
    }
    for (listed, name) in names {
        picked.add(listed, name);
    }
    picked.nodes.shrink_to_fit();
    let attributes = inspect::of_status(&status, task.attributes);
    Some((at, OpenDirectory { file, status, mount, attributes }, picked.nodes))
}

/// Whether a directory has the inode that its parent's listing has for it.
fn is_listed_inode(dir: &DirRef, status: &Statx) -> bool {
    dir.inode.is_none_or(|inode| inode == status.stx_ino)
}

/// Notes whether a directory that was opened again has the listed inode and a cached listing.
pub fn note_reopened(task: &Task<'_>, dir: &DirRef, status: &Statx, updates: &mut CacheUpdates) {
    updates.inode_mismatch |= !is_listed_inode(dir, status);
    updates.cache_miss |= task.cache.as_deref().is_none_or(|cache| cache.find_listing(status).is_none());
}

/// Looks up a name that its directory lists as `listed`, or inspects it.
pub fn look_up(
    task: &Task<'_>,
    directory: BorrowedFd<'_>,
    name: &[u8],
    listed: Listed,
    updates: &mut CacheUpdates,
) -> Lookup {
    let looked = match task.cache.as_deref() {
        None => Lookup::Miss(inspect::inspect(directory, name, listed.file_type, task.attributes)),
        Some(cache) => entry_by_status(task, cache, directory, name, listed, updates).unwrap_or_else(|| {
            if listed.file_type == FileType::Symlink && !task.attributes.xattrs {
                cache_link(cache, directory, name, updates);
            }
            entry_by_handle(task, cache, directory, name, listed, updates)
        }),
    };
    let as_listed = looked.status().is_some_and(|status| status.stx_ino == listed.inode);
    updates.inode_mismatch |= !as_listed;
    updates.cache_miss |= !matches!(looked, Lookup::Hit { .. });
    looked
}

/// Looks up a regular file or a link by its status, without opening it. Returns nothing if anything is unexpected.
fn entry_by_status(
    task: &Task<'_>,
    cache: &CacheView,
    directory: BorrowedFd<'_>,
    name: &[u8],
    listed: Listed,
    updates: &mut CacheUpdates,
) -> Option<Lookup> {
    let is_file = listed.file_type == FileType::RegularFile && cache.has_files();
    let is_link = listed.file_type == FileType::Symlink && cache.has_links();
    // Extended attributes can be read through an open file only.
    if task.attributes.xattrs || !(is_file || is_link) {
        return None;
    }
    let status = open::status_at(directory, name).ok()?;
    let content = if is_file {
        file_content(&status, find(cache, &status, updates)?)
    } else {
        let (at, target) = cache.find_link(&status)?;
        updates.linked.push(at);
        Content::Symlink { target: target.into() }
    };
    Some(Lookup::Hit { record: Record { content, attributes: inspect::of_status(&status, task.attributes) }, status })
}

/// Looks up a file that had to be opened; returns it for reading if it is not cached.
fn entry_by_handle(
    task: &Task<'_>,
    cache: &CacheView,
    directory: BorrowedFd<'_>,
    name: &[u8],
    listed: Listed,
    updates: &mut CacheUpdates,
) -> Lookup {
    let (file, status) = match inspect::inspect(directory, name, listed.file_type, task.attributes) {
        Inspected::File(file, status) => (file, status),
        seen => return Lookup::Miss(seen),
    };
    if task.attributes.xattrs
        && let Some(sha256) = find(cache, &status, updates)
    {
        return match file_record(&file, &status, sha256, task.attributes) {
            Ok(record) => Lookup::Hit { record, status },
            Err(reason) => Lookup::Miss(Inspected::Settled(EntryState::unverified(reason), Some(status))),
        };
    }
    cache.write_back(|| open::directory(task.root, b"", OpenMode::List).and_then(rustix::fs::syncfs));
    Lookup::Miss(match open::status(&file) {
        Ok(status) => Inspected::File(file, status),
        Err(errno) => Inspected::Settled(EntryState::unverified(refused("read its status", errno)), Some(status)),
    })
}

/// Finds the digest of a file with this status, searching near the previous hit first.
fn find(cache: &CacheView, status: &Statx, updates: &mut CacheUpdates) -> Option<Sha256Digest> {
    let (at, sha256) = cache.find(status, updates.trusted.last().copied().unwrap_or(0))?;
    updates.trusted.push(at);
    Some(sha256)
}

/// Reads the target of a link into the cache, through a handle on the link that has the stamp.
///
/// Comparing the stamps of the name before and after would not be enough: if two links are exchanged
/// (`RENAME_EXCHANGE`), XFS changes none of their times.
fn cache_link(cache: &CacheView, directory: BorrowedFd<'_>, name: &[u8], updates: &mut CacheUpdates) {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(link) = rustix::fs::openat(directory, name, flags, Mode::empty())
        && let Ok(status) = open::status(&link)
        && let Some(stamp) = cache.link_holds(&status)
        && let Ok(target) = rustix::fs::readlinkat(&link, c"", Vec::new())
        && is_target(target.as_bytes(), stamp.size)
    {
        updates.links.push(stamp, target.as_bytes());
    }
}

/// The cached digest of an open file; hashes the file if it is not cached. `None` if the digest can't be trusted later.
pub fn cached_digest(file: &OwnedFd, cache: &CacheView, updates: &mut CacheUpdates) -> Option<CachedDigest> {
    let status = open::status(file).ok()?;
    if let Some(sha256) = find(cache, &status, updates) {
        return Some(CachedDigest { stamp: Stamp::of(&status)?, sha256 });
    }
    cache.write_back(|| rustix::fs::syncfs(file));
    let before = open::status(file).ok()?;
    let Content::File { sha256, .. } = nar_walk::file(file, &Reader::default()).ok()?.0.content else { return None };
    let cached = cache.to_cache(&before, sha256).filter(|cached| stamp(file) == Some(cached.stamp))?;
    updates.read.push(cached);
    Some(cached)
}

/// The stamp of an open regular file.
pub fn stamp(file: impl AsFd) -> Option<Stamp> {
    Stamp::of(&open::status(file).ok()?)
}
