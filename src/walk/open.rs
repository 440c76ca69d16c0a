//! Opening below a root: by handle, never through a link, never blocking.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::manifest::Boundary;

/// Longest path that one call is given, in bytes. Linux takes 4,096 with the NUL.
const PATH_LIMIT: usize = 4000;

/// Whether this kernel (5.6 and later) and whatever filters its system calls let `openat2` through.
static OPENAT2_WORKS: AtomicBool = AtomicBool::new(true);

/// What a directory is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To list it, and to look at names in it.
    List,
    /// To look at it and at names in it. The kernel opens nothing for that, and only notes the place.
    Look,
}

/// Opens the directory `path` below `root`; the empty path is the root itself, opened anew so that its reading
/// position is its own. Paths longer than the kernel takes are opened in steps.
pub fn directory(root: BorrowedFd<'_>, path: &[u8], purpose: Purpose) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = match purpose {
        Purpose::List => flags | OFlags::RDONLY,
        Purpose::Look => flags | OFlags::PATH,
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

/// Takes as many whole names off the front of a path as one call can be given.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PATH_LIMIT {
        return (path, b"");
    }
    match path[..PATH_LIMIT].iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        // A name of over 255 bytes does not exist; the kernel says so.
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
            // A rename elsewhere on the system made the lookup inconclusive; names one by one are not affected.
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

/// Opens one name in a directory for reading. What is opened is known to be a regular file only once its status says
/// so; `O_NONBLOCK` sees to it that a FIFO put there in between does not hold the run up.
///
/// The time of the last access does not move, where the kernel allows that: to the owner of a file, and to root.
pub fn file(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(directory, name, flags, Mode::empty()),
        result => result,
    }
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::MNT_ID);

/// The status of what is open.
pub fn status(file: impl AsFd) -> Result<Statx, Errno> {
    rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, WANTED)
}

/// The status of a name in a directory, of the link itself where it is one.
pub fn status_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Statx, Errno> {
    rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, WANTED)
}

/// The type in a status.
pub fn file_type(status: &Statx) -> FileType {
    FileType::from_raw_mode(status.stx_mode.into())
}

/// Which mount, and which file system, something lies on. Where the kernel (before 5.8) can't tell the mount, the
/// device alone decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mount {
    id: u64,
    device: (u32, u32),
}

impl Mount {
    /// What begins where something with this status lies below `above`, if anything does.
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
