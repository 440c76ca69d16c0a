//! Opening below a root: by handle, never through a link, never blocking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::manifest::Boundary;

/// The longest path for one call, in bytes. Linux takes 4,096 with the NUL.
const PATH_LIMIT: usize = 4000;

/// Whether `openat2` works: it needs Linux 5.6, and a seccomp filter of the environment may block it.
static OPENAT2_WORKS: AtomicBool = AtomicBool::new(true);

/// What a directory is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// To list it, and to inspect names in it.
    List,
    /// To inspect it and names in it (`O_PATH`). The kernel opens nothing.
    PathOnly,
}

/// Opens the directory `path` below `root`. The empty path is the root itself, opened again so that its reading
/// position is independent. Paths that are too long for one call are opened in steps.
pub fn directory(root: BorrowedFd<'_>, path: &[u8], mode: OpenMode) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = match mode {
        OpenMode::List => flags | OFlags::RDONLY,
        OpenMode::PathOnly => flags | OFlags::PATH,
    };
    if path.is_empty() {
        return one_directory(root, b".", flags);
    }
    let mut rest = path;
    let mut reached: Option<OwnedFd> = None;
    loop {
        let (step, behind) = split(rest);
        let from = reached.as_ref().map_or(root, AsFd::as_fd);
        let next = below(from, step, flags)?;
        if behind.is_empty() {
            return Ok(next);
        }
        reached = Some(next);
        rest = behind;
    }
}

/// Splits off as many leading names of a path as fit into one call.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PATH_LIMIT {
        return (path, b"");
    }
    match path[..PATH_LIMIT].iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        // No name has more than 255 bytes; the kernel reports that.
        None => (path, b""),
    }
}

fn below(from: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    if !path.contains(&b'/') {
        return one_directory(from, path, flags);
    }
    if OPENAT2_WORKS.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(from, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => OPENAT2_WORKS.store(false, Ordering::Relaxed),
            // A rename elsewhere on the system interfered with the lookup. Opening name by name avoids that.
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    let mut reached: Option<OwnedFd> = None;
    for name in path.split(|&byte| byte == b'/') {
        reached = Some(one_directory(reached.as_ref().map_or(from, AsFd::as_fd), name, flags)?);
    }
    reached.ok_or(Errno::NOENT)
}

fn one_directory(from: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(from, name, flags, Mode::empty())
}

/// Opens one name in a directory for reading. Check its status: it may not be a regular file. `O_NONBLOCK` keeps a FIFO
/// that was put there meanwhile from blocking the run.
///
/// The access time does not change, if the kernel allows that: it does for the owner of the file and for root.
pub fn file(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(directory, name, flags, Mode::empty()),
        result => result,
    }
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::MNT_ID);

/// The status of an open file or directory.
pub fn status(file: impl AsFd) -> Result<Statx, Errno> {
    rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, WANTED)
}

/// The status of a name in a directory; of a link itself, not of its target.
pub fn status_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Statx, Errno> {
    rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, WANTED)
}

/// The type in a status.
pub fn file_type(status: &Statx) -> FileType {
    FileType::from_raw_mode(status.stx_mode.into())
}

/// The mount and file system of an entry. Before Linux 5.8, which can't report the mount, only the device counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mount {
    id: u64,
    device: (u32, u32),
}

impl Mount {
    /// What kind of boundary lies between `above` and an entry with this status, if any.
    pub fn boundary(above: Self, status: &Statx) -> Option<Boundary> {
        /// The inode that btrfs gives to the top of each subvolume (`BTRFS_FIRST_FREE_OBJECTID`).
        const SUBVOLUME: u64 = 256;
        let here = Self::of(status);
        if here == above {
            return None;
        }
        Some(match (here.id == above.id && here.id != 0, here.device == above.device) {
            (true, _) if file_type(status) == FileType::Directory && status.stx_ino == SUBVOLUME => Boundary::Subvolume,
            (false, true) => Boundary::BindMount,
            _ => Boundary::FileSystem,
        })
    }

    pub fn of(status: &Statx) -> Self {
        let known = status.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        let id = if known { status.stx_mnt_id } else { 0 };
        Self { id, device: (status.stx_dev_major, status.stx_dev_minor) }
    }
}
