//! Listing one directory: which of its names a check records, and where it goes on.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, RawDir, Statx};
use rustix::io::Errno;

use super::Task;
use super::nodes::Nodes;
use super::observe::{self, ATTEMPTS, pause, refused};
use super::open::{self, Mount, Purpose};
use super::queue::Place;
use super::tree::State;
use crate::declaration::Matched;
use crate::manifest::{Attributes, Crossing, Kind, Unverified};
use crate::path::split_last;
use crate::stat_cache::listing::Listed;

/// Bytes of names that the kernel is asked for at once: a directory of about a thousand entries in one call.
const BUFFER: usize = 64 << 10;

/// A directory, open.
pub struct Opened {
    pub file: OwnedFd,
    pub status: Statx,
    pub mount: Mount,
    pub attributes: Option<Box<Attributes>>,
}

/// Why a directory is not open.
pub enum Closed {
    /// It is a directory no more.
    Replaced,
    Unverified(Unverified),
}

impl Closed {
    pub fn reason(self) -> Unverified {
        match self {
            Self::Replaced => Unverified::Replaced,
            Self::Unverified(reason) => reason,
        }
    }
}

/// Opens a directory by its place. From the directory `above` it, if that is open, the kernel has one name to look up and
/// not all of the path.
pub fn reach(
    task: &Task<'_>,
    place: &Place,
    above: Option<BorrowedFd<'_>>,
    purpose: Purpose,
) -> Result<OwnedFd, Errno> {
    match above {
        Some(above) => open::directory(above, split_last(&place.path).1, purpose),
        None => open::directory(task.root, &place.path, purpose),
    }
}

/// Opens a directory to list it, and notes where another file system begins. `above` as in [`reach`].
pub fn open(
    task: &Task<'_>,
    place: &Place,
    above: Option<BorrowedFd<'_>>,
    parent: Option<Mount>,
    mounts: &mut Vec<Crossing>,
) -> Result<Opened, Closed> {
    let mut attempt = 0;
    let file = loop {
        attempt += 1;
        match reach(task, place, above, Purpose::List) {
            Ok(file) => break file,
            Err(Errno::NOENT) if attempt < ATTEMPTS => pause(attempt),
            Err(Errno::NOENT) => return Err(Closed::Unverified(Unverified::Vanished)),
            Err(Errno::NOTDIR | Errno::LOOP) if place.id != 0 => return Err(Closed::Replaced),
            Err(errno) => return Err(Closed::Unverified(refused("open it", errno))),
        }
    };
    let failed = |action| move |errno| Closed::Unverified(refused(action, errno));
    let status = open::status(&file).map_err(failed("read its status"))?;
    let mount = note_mount(task, &place.path, &status, parent, mounts).map_err(Closed::Unverified)?;
    let attributes =
        observe::of_open(AsFd::as_fd(&file), &status, task.attributes).map_err(failed("read its attributes"))?;
    Ok(Opened { file, status, mount, attributes })
}

/// Notes that a path lies on another mount than the directory above it; with `one_file_system` that is refused.
pub fn note_mount(
    task: &Task<'_>,
    path: &[u8],
    status: &Statx,
    parent: Option<Mount>,
    mounts: &mut Vec<Crossing>,
) -> Result<Mount, Unverified> {
    if let Some(what) = parent.and_then(|parent| Mount::boundary(parent, status)) {
        if task.one_file_system {
            return Err(Unverified::OtherFileSystem(what));
        }
        mounts.push(Crossing { path: path.to_vec(), what });
    }
    Ok(Mount::of(status))
}

/// The names in a directory that a check has to do with, sorted by their bytes: directories to go into, and all else
/// that it records. `all` is told every name.
pub fn names(
    task: &Task<'_>,
    place: &Place,
    directory: &OwnedFd,
    buffer: &mut Vec<u8>,
    matched: &mut Matched,
    mut all: impl FnMut(Listed, &[u8]),
) -> Result<Nodes, Errno> {
    let mut picked = Picked::new(task, place, matched);
    buffer.reserve(BUFFER);
    let spare: &mut [MaybeUninit<u8>] = buffer.spare_capacity_mut();
    let mut entries = RawDir::new(directory, spare);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::INTR) => continue,
            entry => entry?,
        };
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let mut listed = entry.file_type();
        if listed == FileType::Unknown {
            // Some file systems do not say; the name is then looked at, and one that is gone again is left to the
            // read.
            listed = open::status_at(AsFd::as_fd(directory), name)
                .map_or(FileType::RegularFile, |status| open::file_type(&status));
        }
        let listed = Listed { file_type: listed, inode: entry.ino() };
        all(listed, name);
        picked.add(listed, name);
    }
    let mut nodes = picked.nodes;
    nodes.sort();
    nodes.shrink_to_fit();
    Ok(nodes)
}

/// Those names in a directory that a check has to do with.
pub struct Picked<'a> {
    task: &'a Task<'a>,
    /// The directory's path with a `/` behind it, or nothing for the root; and room for a name. Nothing where all names are
    /// picked: the paths of directories in directories have many bytes together.
    path: Vec<u8>,
    above: usize,
    matched: &'a mut Matched,
    pub nodes: Nodes,
}

impl<'a> Picked<'a> {
    pub fn new(task: &'a Task<'a>, place: &Place, matched: &'a mut Matched) -> Self {
        let mut path = Vec::new();
        if !task.selection.is_everything() && !place.path.is_empty() {
            path.extend_from_slice(&place.path);
            path.push(b'/');
        }
        Self { task, above: path.len(), path, matched, nodes: Nodes::default() }
    }

    /// Adds a name if the check has to do with it.
    pub fn add(&mut self, listed: Listed, name: &[u8]) {
        if !self.task.selection.is_everything() {
            self.path.truncate(self.above);
            self.path.extend_from_slice(name);
            if !wanted(self.task, &self.path, listed.file_type, self.matched) {
                return;
            }
        }
        self.nodes.push(name, State::Pending(listed));
    }
}

/// Whether a check has to do with a path, and which globs say so. A link that a glob could go through if it was a
/// directory is recorded, so that pointing it elsewhere is drift.
fn wanted(task: &Task<'_>, path: &[u8], file_type: FileType, matched: &mut Matched) -> bool {
    if task.selection.excludes_noting(path, matched) {
        return false;
    }
    match task.kind {
        Kind::Trees => true,
        _ if file_type == FileType::Directory => task.selection.descends(path),
        _ if task.selection.includes_noting(path, matched) => true,
        _ => file_type == FileType::Symlink && task.links_on_the_way && task.selection.descends(path),
    }
}
