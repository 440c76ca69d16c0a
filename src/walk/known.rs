//! Files, directories and links whose contents need not be read, since they are known from a run before.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Statx};

use super::Task;
use super::listing::{self, Opened, Picked};
use super::nodes::Nodes;
use super::notes::Notes;
use super::observe::{self, Seen, refused};
use super::open::{self, Mount, Purpose};
use super::queue::Place;
use super::tree::State;
use super::worker::{file_content, file_record};
use crate::declaration::Matched;
use crate::manifest::{Content, Record, Sha256Digest, Unverified};
use crate::stat_cache::listing::{Listed, Names, is_target};
use crate::stat_cache::{Fact, Known, Learned, Stamp};

/// What a name turned out to be, where something may be known of it.
pub enum Looked {
    /// A regular file whose contents are known, or a link whose target is.
    Known { record: Record, status: Statx },
    /// All else.
    Unknown(Seen),
}

impl Looked {
    /// The status, if it was asked for.
    pub const fn status(&self) -> Option<&Statx> {
        match self {
            Self::Known { status, .. } | Self::Unknown(Seen::File(_, status) | Seen::Settled(_, Some(status))) => {
                Some(status)
            }
            Self::Unknown(Seen::Settled(_, None) | Seen::Directory) => None,
        }
    }
}

/// Opens a directory, and gives the names in it that a check has to do with, as [`listing::open`] and [`listing::names`]
/// do. Where its listing is known, it is not listed.
pub fn list(
    task: &Task<'_>,
    place: &Place,
    above: Option<BorrowedFd<'_>>,
    parent: Option<Mount>,
    notes: &mut Notes,
    buffer: &mut Vec<u8>,
) -> Result<(Opened, Nodes), Unverified> {
    let Notes { mounts, learned, matched, .. } = notes;
    // A directory's extended attributes are to be had only if it is opened.
    let known = task.known.as_deref().filter(|_| !task.attributes.xattrs);
    if let Some(known) = known
        && let Some((at, opened, nodes)) = by_status(task, known, place, (above, parent), matched)
    {
        learned.listed.push(at);
        return Ok((opened, nodes));
    }
    learned.news = true;
    let opened = listing::open(task, place, above, parent, mounts).map_err(listing::Closed::reason)?;
    learned.not_as_listed |= !is_the_one(place, &opened.status);
    let stamp = known.and_then(|known| known.listing_holds(&opened.status));
    let mut all = Names::default();
    let nodes = listing::names(task, place, &opened.file, buffer, matched, |listed, name| {
        if stamp.is_some() {
            all.push(listed, name);
        }
    });
    let nodes = nodes.map_err(|errno| refused("list it", errno))?;
    if let (Some(known), Some(stamp)) = (known, stamp)
        && let Ok(after) = open::status(&opened.file)
        && known.listing_holds(&after) == Some(stamp)
        && let Some(names) = all.sorted()
    {
        learned.listings.push(stamp, &names);
    }
    Ok((opened, nodes))
}

/// Looks a directory's listing up by its status. Whatever is not as expected gives nothing: it is opened and listed then.
///
/// The names are looked at from the handle whose status was compared, so wherever that directory is moved meanwhile, no
/// other one takes its place.
fn by_status(
    task: &Task<'_>,
    known: &Known,
    place: &Place,
    (above, parent): (Option<BorrowedFd<'_>>, Option<Mount>),
    matched: &mut Matched,
) -> Option<(u32, Opened, Nodes)> {
    if !known.knows_listings() {
        return None;
    }
    let file = listing::reach(task, place, above, Purpose::Look).ok()?;
    let status = open::status(&file).ok()?;
    let mount = Mount::of(&status);
    if parent.is_some_and(|parent| parent != mount) || !is_the_one(place, &status) {
        return None;
    }
    let (at, names) = known.find_listing(&status)?;
    let mut picked = Picked::new(task, place, matched);
    if task.selection.is_everything() {
        let (count, bytes) = names.clone().fold((0, 0), |(count, bytes), (_, name)| (count + 1, bytes + name.len()));
        picked.nodes.reserve(count, bytes);
    }
    for (listed, name) in names {
        picked.add(listed, name);
    }
    picked.nodes.shrink_to_fit();
    let attributes = observe::of_status(&status, task.attributes);
    Some((at, Opened { file, status, mount, attributes }, picked.nodes))
}

/// Whether a directory is the one that was listed in this place.
fn is_the_one(place: &Place, status: &Statx) -> bool {
    place.inode.is_none_or(|inode| inode == status.stx_ino)
}

/// Notes whether a directory that was opened once more is the one that was listed in this place, with the names in it that
/// are known.
pub fn opened_again(task: &Task<'_>, place: &Place, status: &Statx, learned: &mut Learned) {
    learned.not_as_listed |= !is_the_one(place, status);
    learned.news |= task.known.as_deref().is_none_or(|known| known.find_listing(status).is_none());
}

/// Looks at a name, of which the directory's listing said that it is a `listed`.
pub fn look(task: &Task<'_>, directory: BorrowedFd<'_>, name: &[u8], listed: Listed, learned: &mut Learned) -> Looked {
    let looked = match task.known.as_deref() {
        None => Looked::Unknown(observe::name(directory, name, listed.file_type, task.attributes)),
        Some(known) => by_status_of(task, known, directory, name, listed, learned).unwrap_or_else(|| {
            if listed.file_type == FileType::Symlink && !task.attributes.xattrs {
                learn_link(known, directory, name, learned);
            }
            by_handle(task, known, directory, name, listed, learned)
        }),
    };
    let as_listed = looked.status().is_some_and(|status| status.stx_ino == listed.inode);
    learned.not_as_listed |= !as_listed;
    learned.news |= !matches!(looked, Looked::Known { .. });
    looked
}

/// Looks a regular file or a link up by its status, without opening it. Whatever is not as expected gives nothing.
fn by_status_of(
    task: &Task<'_>,
    known: &Known,
    directory: BorrowedFd<'_>,
    name: &[u8],
    listed: Listed,
    learned: &mut Learned,
) -> Option<Looked> {
    let is_file = listed.file_type == FileType::RegularFile && known.knows_files();
    let is_link = listed.file_type == FileType::Symlink && known.knows_links();
    // Extended attributes are to be had through an open file only.
    if task.attributes.xattrs || !(is_file || is_link) {
        return None;
    }
    let status = open::status_at(directory, name).ok()?;
    let content = if is_file {
        file_content(&status, find(known, &status, learned)?)
    } else {
        let (at, target) = known.find_link(&status)?;
        learned.linked.push(at);
        Content::Symlink { target: target.into() }
    };
    Some(Looked::Known { record: Record { content, attributes: observe::of_status(&status, task.attributes) }, status })
}

/// Looks a file up that had to be opened, and gives it to be read if nothing is known of it.
fn by_handle(
    task: &Task<'_>,
    known: &Known,
    directory: BorrowedFd<'_>,
    name: &[u8],
    listed: Listed,
    learned: &mut Learned,
) -> Looked {
    let (file, status) = match observe::name(directory, name, listed.file_type, task.attributes) {
        Seen::File(file, status) => (file, status),
        seen => return Looked::Unknown(seen),
    };
    if task.attributes.xattrs
        && let Some(sha256) = find(known, &status, learned)
    {
        return match file_record(&file, &status, sha256, task.attributes) {
            Ok(record) => Looked::Known { record, status },
            Err(reason) => Looked::Unknown(Seen::Settled(State::unverified(reason), Some(status))),
        };
    }
    known.write_back(|| open::directory(task.root, b"", Purpose::List).and_then(rustix::fs::syncfs));
    Looked::Unknown(match open::status(&file) {
        Ok(status) => Seen::File(file, status),
        Err(errno) => Seen::Settled(State::unverified(refused("read its status", errno)), Some(status)),
    })
}

/// Finds the digest of a file with this status. It is looked for where that of the file before was.
fn find(known: &Known, status: &Statx, learned: &mut Learned) -> Option<Sha256Digest> {
    let (at, sha256) = known.find(status, learned.trusted.last().copied().unwrap_or(0))?;
    learned.trusted.push(at);
    Some(sha256)
}

/// Reads the target of a link to keep it, from a handle on the very link that has the stamp.
///
/// That a name stands for the same inode with the same times before and after would not do: XFS moves no time of two
/// links that change places (`RENAME_EXCHANGE`).
fn learn_link(known: &Known, directory: BorrowedFd<'_>, name: &[u8], learned: &mut Learned) {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(link) = rustix::fs::openat(directory, name, flags, Mode::empty())
        && let Ok(status) = open::status(&link)
        && let Some(stamp) = known.link_holds(&status)
        && let Ok(target) = rustix::fs::readlinkat(&link, c"", Vec::new())
        && is_target(target.as_bytes(), stamp.size)
    {
        learned.links.push(stamp, target.as_bytes());
    }
}

/// What is known of a file that is open, or was learnt by reading it; nothing if that may not hold.
pub fn fact(file: &OwnedFd, known: &Known, learned: &mut Learned) -> Option<Fact> {
    let status = open::status(file).ok()?;
    if let Some(sha256) = find(known, &status, learned) {
        return Some(Fact { stamp: Stamp::of(&status)?, sha256 });
    }
    known.write_back(|| rustix::fs::syncfs(file));
    let before = open::status(file).ok()?;
    let Content::File { sha256, .. } = super::file(file).ok()?.0.content else { return None };
    let fact = known.learn(&before, sha256).filter(|fact| stamp(file) == Some(fact.stamp))?;
    learned.read.push(fact);
    Some(fact)
}

/// The stamp of a regular file that is open.
pub fn stamp(file: impl AsFd) -> Option<Stamp> {
    Stamp::of(&open::status(file).ok()?)
}
