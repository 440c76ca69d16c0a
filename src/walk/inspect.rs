//! Inspects one name in a directory: what it is now, without following links and without blocking.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use super::open;
use super::tree::EntryState;
use crate::manifest::{AttributeSet, Attributes, Content, Record, Unverified, Xattrs};

/// The number of attempts before something that keeps changing is reported as unstable.
pub const ATTEMPTS: u32 = 3;

/// How long to wait for a lease to end, with some margin: the kernel breaks a lease after 45 seconds, unless
/// `fs.lease-break-time` says otherwise.
const LEASE: Duration = Duration::from_secs(50);
const LEASE_PAUSE: Duration = Duration::from_millis(50);

/// Waits before the next attempt.
pub fn pause(attempt: u32) {
    std::thread::sleep(Duration::from_millis(u64::from(attempt) * 20));
}

/// The result of inspecting a name.
pub enum Inspected {
    /// A regular file, open for reading.
    File(OwnedFd, Statx),
    /// A directory, which the walk enters.
    Directory,
    /// The final state, without reading contents.
    Settled(EntryState, Option<Statx>),
}

/// Inspects a name that its directory lists as `listed`.
pub fn inspect(directory: BorrowedFd<'_>, name: &[u8], listed: FileType, attributes: AttributeSet) -> Inspected {
    let mut believed = listed;
    let mut leased = Duration::ZERO;
    let mut attempt = 0;
    while attempt <= ATTEMPTS {
        match try_inspect(directory, name, believed, attributes) {
            // The kernel has asked the holder of the lease to release it.
            Err(Retry::Leased) if leased < LEASE => {
                std::thread::sleep(LEASE_PAUSE);
                leased += LEASE_PAUSE;
                continue;
            }
            Err(Retry::Leased) => return settled(Unverified::Leased),
            Ok(seen) => return seen,
            Err(Retry::OtherType(actual)) => believed = actual,
            Err(Retry::Gone) if attempt < ATTEMPTS => pause(attempt + 1),
            Err(Retry::Gone) => return settled(Unverified::Vanished),
            Err(Retry::Refused(action, errno)) => return settled(refused(action, errno)),
        }
        attempt += 1;
    }
    settled(Unverified::Unstable { attempts: ATTEMPTS })
}

fn settled(reason: Unverified) -> Inspected {
    Inspected::Settled(EntryState::unverified(reason), None)
}

/// The reason for an error number of the kernel.
pub fn refused(action: &'static str, errno: Errno) -> Unverified {
    Unverified::Refused { action, errno: errno.raw_os_error() }
}

/// Why an attempt did not succeed.
enum Retry {
    /// It has another type than expected.
    OtherType(FileType),
    Gone,
    /// Another process holds a lease on it.
    Leased,
    Refused(&'static str, Errno),
}

fn failed(action: &'static str) -> impl FnOnce(Errno) -> Retry {
    move |errno| if errno == Errno::NOENT { Retry::Gone } else { Retry::Refused(action, errno) }
}

fn try_inspect(
    directory: BorrowedFd<'_>,
    name: &[u8],
    believed: FileType,
    attributes: AttributeSet,
) -> Result<Inspected, Retry> {
    match believed {
        FileType::Directory => Ok(Inspected::Directory),
        FileType::RegularFile => {
            let file = match open::file(directory, name) {
                Ok(file) => file,
                // A link, a socket, or a device without a driver: it was replaced after the listing.
                Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Err(actual(directory, name)),
                Err(Errno::AGAIN) => return Err(Retry::Leased),
                Err(errno) => return Err(failed("open it")(errno)),
            };
            let status = open::status(&file).map_err(failed("read its status"))?;
            match open::file_type(&status) {
                FileType::RegularFile => Ok(Inspected::File(file, status)),
                other => Err(Retry::OtherType(other)),
            }
        }
        _ => {
            let status = open::status_at(directory, name).map_err(failed("read its status"))?;
            let file_type = open::file_type(&status);
            if file_type != believed {
                return Err(Retry::OtherType(file_type));
            }
            let (major, minor) = (status.stx_rdev_major, status.stx_rdev_minor);
            let content = match file_type {
                FileType::Symlink => match rustix::fs::readlinkat(directory, name, Vec::new()) {
                    Ok(target) => Content::Symlink { target: target.into_bytes().into() },
                    Err(Errno::INVAL) => return Err(actual(directory, name)),
                    Err(errno) => return Err(failed("read the link")(errno)),
                },
                FileType::Fifo => Content::Fifo,
                FileType::Socket => Content::Socket,
                FileType::CharacterDevice => Content::CharDevice { major, minor },
                FileType::BlockDevice => Content::BlockDevice { major, minor },
                _ => return Err(Retry::Refused("tell its type", Errno::OPNOTSUPP)),
            };
            let attributes = of_name(directory, name, &status, attributes).map_err(failed("read its attributes"))?;
            Ok(Inspected::Settled(EntryState::Recorded(Record { content, attributes }), Some(status)))
        }
    }
}

fn actual(directory: BorrowedFd<'_>, name: &[u8]) -> Retry {
    match open::status_at(directory, name) {
        Ok(status) => Retry::OtherType(open::file_type(&status)),
        Err(errno) => failed("read its status")(errno),
    }
}

/// The attributes of an open file or directory.
pub fn of_open(file: BorrowedFd<'_>, status: &Statx, wanted: AttributeSet) -> Result<Option<Box<Attributes>>, Errno> {
    attributes(status, wanted, || {
        read_xattrs(
            |buffer| rustix::fs::flistxattr(file, spare_capacity(buffer)),
            |name, buffer| rustix::fs::fgetxattr(file, name, spare_capacity(buffer)),
        )
    })
}

/// The attributes that follow from the status: all except extended attributes.
pub fn of_status(status: &Statx, wanted: AttributeSet) -> Option<Box<Attributes>> {
    attributes(status, AttributeSet { xattrs: false, ..wanted }, || Ok(Xattrs::new())).ok().flatten()
}

/// The attributes of a name that is never opened for reading: a link, FIFO, socket or device.
///
/// Linux before 6.13 reads the extended attributes of these by path only. The path of an `O_PATH` handle in `/proc`
/// leads to exactly what was inspected.
fn of_name(
    directory: BorrowedFd<'_>,
    name: &[u8],
    status: &Statx,
    wanted: AttributeSet,
) -> Result<Option<Box<Attributes>>, Errno> {
    attributes(status, wanted, || {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
        read_xattrs(
            |buffer| rustix::fs::listxattr(&*path, spare_capacity(buffer)),
            |name, buffer| rustix::fs::getxattr(&*path, name, spare_capacity(buffer)),
        )
    })
}

fn attributes(
    status: &Statx,
    wanted: AttributeSet,
    xattrs: impl FnOnce() -> Result<Xattrs, Errno>,
) -> Result<Option<Box<Attributes>>, Errno> {
    if wanted.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(Attributes {
        mode: wanted.mode.then_some(status.stx_mode & 0o7777),
        owner: wanted.owner.then_some((status.stx_uid, status.stx_gid)),
        xattrs: if wanted.xattrs { Some(xattrs()?) } else { None },
    })))
}

/// Reads all extended attributes; none if the file system does not support them (`EOPNOTSUPP`).
fn read_xattrs(
    list: impl Fn(&mut Vec<u8>) -> Result<usize, Errno>,
    get: impl Fn(CString, &mut Vec<u8>) -> Result<usize, Errno>,
) -> Result<Xattrs, Errno> {
    let names = match filled(&list) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        names => names?,
    };
    let mut xattrs = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let query = CString::new(name).map_err(|_| Errno::INVAL)?;
        let value = filled(&|buffer: &mut Vec<u8>| get(query.clone(), buffer))?;
        xattrs.push((name.into(), value.into()));
    }
    xattrs.sort();
    Ok(xattrs)
}

/// Calls with larger and larger buffers, up to 64 KiB, Linux's limit for both lists and values.
fn filled(call: &impl Fn(&mut Vec<u8>) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    for capacity in [256, 4 << 10, 64 << 10] {
        let mut buffer = Vec::with_capacity(capacity);
        match call(&mut buffer) {
            Err(Errno::RANGE) => {}
            result => return result.map(|_| buffer),
        }
    }
    Err(Errno::RANGE)
}
