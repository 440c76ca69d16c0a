//! Listing one directory: which names a check records, and which subdirectories it enters.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, RawDir, Statx};
use rustix::io::Errno;

use super::Task;
use super::dir_entries::DirEntries;
use super::inspect::{self, ATTEMPTS, pause, refused};
use super::open::{self, Mount, OpenMode};
use super::queue::DirRef;
use super::tree::EntryState;
use crate::declaration::Matched;
use crate::manifest::{Attributes, Crossing, Kind, Unverified};
use crate::path::split_last;
use crate::stat_cache::listing::Listed;

/// Bytes of names to request from the kernel at once: a directory of about a thousand entries in one call.
const BUFFER: usize = 64 << 10;

/// An open directory.
pub struct OpenDirectory {
    pub file: OwnedFd,
    pub status: Statx,
    pub mount: Mount,
    pub attributes: Option<Box<Attributes>>,
}

/// Why a directory could not be opened.
pub enum OpenError {
    /// It is no longer a directory.
    Replaced,
    Unverified(Unverified),
}

impl OpenError {
    pub fn reason(self) -> Unverified {
        match self {
            Self::Replaced => Unverified::Replaced,
            Self::Unverified(reason) => reason,
        }
    }
}

/// Opens a directory. If the directory `above` it is open, the kernel looks up one name instead of the whole path.
pub fn open_handle(
    task: &Task<'_>,
    dir: &DirRef,
    above: Option<BorrowedFd<'_>>,
    mode: OpenMode,
) -> Result<OwnedFd, Errno> {
    match above {
        Some(above) => open::directory(above, split_last(&dir.path).1, mode),
        None => open::directory(task.root, &dir.path, mode),
    }
}

/// Opens a directory to list it, and notes a mount that begins here. For `above`, see [`open_handle`].
pub fn open(
    task: &Task<'_>,
    dir: &DirRef,
    above: Option<BorrowedFd<'_>>,
    parent: Option<Mount>,
    mounts: &mut Vec<Crossing>,
) -> Result<OpenDirectory, OpenError> {
    let mut attempt = 0;
    let file = loop {
        attempt += 1;
        match open_handle(task, dir, above, OpenMode::List) {
            Ok(file) => break file,
            Err(Errno::NOENT) if attempt < ATTEMPTS => pause(attempt),
            Err(Errno::NOENT) => return Err(OpenError::Unverified(Unverified::Vanished)),
            Err(Errno::NOTDIR | Errno::LOOP) if dir.id != 0 => return Err(OpenError::Replaced),
            Err(errno) => return Err(OpenError::Unverified(refused("open it", errno))),
        }
    };
    let failed = |action| move |errno| OpenError::Unverified(refused(action, errno));
    let status = open::status(&file).map_err(failed("read its status"))?;
    let mount = note_mount(task, &dir.path, &status, parent, mounts).map_err(OpenError::Unverified)?;
    let attributes =
        inspect::of_open(AsFd::as_fd(&file), &status, task.attributes).map_err(failed("read its attributes"))?;
    Ok(OpenDirectory { file, status, mount, attributes })
}

/// Notes that a path is on another mount than the directory above it; refuses that with `one_file_system`.
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

/// The names in a directory that a check records or enters, sorted by their bytes. Calls `all` with every name.
pub fn list_names(
    task: &Task<'_>,
    dir: &DirRef,
    directory: &OwnedFd,
    buffer: &mut Vec<u8>,
    matched: &mut Matched,
    mut all: impl FnMut(Listed, &[u8]),
) -> Result<DirEntries, Errno> {
    let mut picked = SelectedNames::new(task, dir, matched);
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
            // Some file systems do not report types. A name that is already gone again is left to the read.
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

/// Collects the names in a directory that a check records or enters.
pub struct SelectedNames<'a> {
    task: &'a Task<'a>,
    /// The directory's path with a trailing `/`, or empty for the root, and then the current name. Always empty if
    /// every name is selected: the paths of deeply nested directories take much memory.
    path: Vec<u8>,
    above: usize,
    matched: &'a mut Matched,
    pub nodes: DirEntries,
}

impl<'a> SelectedNames<'a> {
    pub fn new(task: &'a Task<'a>, dir: &DirRef, matched: &'a mut Matched) -> Self {
        let mut path = Vec::new();
        if !task.selection.is_everything() && !dir.path.is_empty() {
            path.extend_from_slice(&dir.path);
            path.push(b'/');
        }
        Self { task, above: path.len(), path, matched, nodes: DirEntries::default() }
    }

    /// Adds a name if the check records or enters it.
    pub fn add(&mut self, listed: Listed, name: &[u8]) {
        if !self.task.selection.is_everything() {
            self.path.truncate(self.above);
            self.path.extend_from_slice(name);
            if !wanted(self.task, &self.path, listed.file_type, self.matched) {
                return;
            }
        }
        self.nodes.push(name, EntryState::Pending(listed));
    }
}

/// Whether a check records or enters a path; notes which globs match. A link where a glob could descend is recorded, so
/// that changing its target is drift.
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
