//! Files and directories whose contents need not be read, since they are known from a run before.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Statx};

use super::Task;
use super::listing::{self, Opened, Picked};
use super::observe::{self, Seen, refused};
use super::open::{self, Mount, Purpose};
use super::queue::Place;
use super::tree::{Node, State};
use super::worker::{file_content, file_record};
use crate::manifest::{Record, Unverified};
use crate::stat_cache::listing::Names;
use crate::stat_cache::{Known, Learned};

/// What a name turned out to be, where something may be known of it.
pub enum Looked {
    /// A regular file whose contents are known, and where that stands.
    Known { record: Record, at: u32, status: Statx },
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
    mounts: &mut Vec<Vec<u8>>,
    buffer: &mut Vec<u8>,
    learned: &mut Learned,
) -> Result<(Opened, Vec<Node>), Unverified> {
    // A directory's extended attributes are to be had only if it is opened.
    let known = task.known.filter(|_| !task.attributes.xattrs);
    if let Some(known) = known
        && let Some((at, opened, nodes)) = by_status(task, known, place, above, parent)
    {
        learned.listed.push(at);
        return Ok((opened, nodes));
    }
    let opened = listing::open(task, place, above, parent, mounts).map_err(listing::Closed::reason)?;
    let stamp = known.and_then(|known| known.listing_holds(&opened.status));
    let mut all = Names::default();
    let nodes = listing::names(task, place, &opened.file, buffer, |listed, name| {
        if stamp.is_some() {
            all.push(listed, name);
        }
    });
    let nodes = nodes.map_err(|errno| refused("list it", errno))?;
    if let (Some(known), Some(stamp)) = (known, stamp)
        && let Ok(after) = open::status(&opened.file)
        && known.listing_holds(&after) == Some(stamp)
    {
        learned.listings.push(stamp, &all);
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
    above: Option<BorrowedFd<'_>>,
    parent: Option<Mount>,
) -> Option<(u32, Opened, Vec<Node>)> {
    if !known.knows_listings() {
        return None;
    }
    let file = listing::reach(task, place, above, Purpose::Look).ok()?;
    let status = open::status(&file).ok()?;
    let mount = Mount::of(&status);
    if parent.is_some_and(|parent| parent != mount) {
        return None;
    }
    let (at, names) = known.find_listing(&status)?;
    let mut picked = Picked::new(task, place);
    if task.selection.is_everything() {
        picked.nodes.reserve_exact(names.clone().count());
    }
    for (listed, name) in names {
        picked.add(listed, name);
    }
    picked.nodes.shrink_to_fit();
    let attributes = observe::of_status(&status, task.attributes);
    Some((at, Opened { file, status, mount, attributes }, picked.nodes))
}

/// Looks at a name, of which the directory's listing said that it is a `listed`. What is known of it may stand `near` what
/// was known of the name before.
pub fn look(task: &Task<'_>, directory: BorrowedFd<'_>, name: &[u8], listed: FileType, near: u32) -> Looked {
    let Some(known) = task.known else {
        return Looked::Unknown(observe::name(directory, name, listed, task.attributes));
    };
    // Extended attributes are to be had through an open file only.
    if listed == FileType::RegularFile
        && !task.attributes.xattrs
        && known.knows_files()
        && let Some(found) = by_name(task, known, directory, name, near)
    {
        return found;
    }
    match observe::name(directory, name, listed, task.attributes) {
        Seen::File(file, status) => by_handle(task, known, file, &status, near),
        seen => Looked::Unknown(seen),
    }
}

/// Looks a regular file up by its status, without opening it. Whatever is not as expected gives nothing.
fn by_name(task: &Task<'_>, known: &Known, directory: BorrowedFd<'_>, name: &[u8], near: u32) -> Option<Looked> {
    let status = open::status_at(directory, name).ok()?;
    let (at, sha256) = known.find(&status, near)?;
    let attributes = observe::of_status(&status, task.attributes);
    Some(Looked::Known { record: Record { content: file_content(&status, sha256), attributes }, at, status })
}

/// Looks up a file that had to be opened, and gives it to be read if nothing is known of it.
fn by_handle(task: &Task<'_>, known: &Known, file: OwnedFd, status: &Statx, near: u32) -> Looked {
    if task.attributes.xattrs
        && let Some((at, sha256)) = known.find(status, near)
    {
        return match file_record(&file, status, sha256, task.attributes) {
            Ok(record) => Looked::Known { record, at, status: *status },
            Err(reason) => Looked::Unknown(Seen::Settled(State::unverified(reason), Some(*status))),
        };
    }
    known.write_back(|| open::directory(task.root, b"", Purpose::List).and_then(rustix::fs::syncfs));
    Looked::Unknown(match open::status(&file) {
        Ok(status) => Seen::File(file, status),
        Err(errno) => Seen::Settled(State::unverified(refused("read its status", errno)), Some(*status)),
    })
}
