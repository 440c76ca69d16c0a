//! Files that are written whole or not at all.
//!
//! The bytes go into `.<name>.tmp` beside the file, are synced, and take the file's name in one step; then the directory
//! is synced. A crash leaves the old file or the new one. The temporary file has a fixed name and is held by a lock of
//! the kernel while it is written: what a crash leaves of it is taken over by the next run, and two runs at once do not
//! mix. It is never unlinked, since the sandbox takes the right to unlink anything away; where writing fails it is
//! emptied and stays.

use std::io::{self, BufWriter, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use cap_std::fs::{Dir, File, OpenOptions};
use rustix::fs::{AtFlags, FlockOperation, RenameFlags, flock};
use rustix::io::Errno;

/// The file is in place, and may be gone again after a power cut: its directory could not be synced.
#[derive(Debug, thiserror::Error)]
#[error("it is in place, but its directory could not be synced: {0}")]
pub struct NotSynced(io::Error);

/// The mode of a new file, before the umask.
const SHARED: u32 = 0o666;
const PRIVATE: u32 = 0o600;

/// Writes a file whole.
///
/// # Errors
/// Those of the file system, or of `write`; the old file is then untouched. [`io::ErrorKind::WouldBlock`] if another
/// run is writing the same file. [`NotSynced`] inside an error says that the file is the new one.
pub fn replace(dir: &Dir, name: &str, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    put(dir, name, SHARED, write, |temporary| dir.rename(temporary, dir, name))
}

/// [`replace`] for a file that is nobody else's business: only its owner can read or write it, whatever the umask.
///
/// # Errors
/// Those of [`replace`].
pub fn replace_private(
    dir: &Dir,
    name: &str,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    put(dir, name, PRIVATE, write, |temporary| dir.rename(temporary, dir, name))
}

/// Writes a file whole where there is none.
///
/// # Errors
/// Those of [`replace`], and [`io::ErrorKind::AlreadyExists`].
pub fn create_new(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    put(
        dir,
        name,
        SHARED,
        |out| out.write_all(bytes),
        |temporary| match rustix::fs::renameat_with(dir.as_fd(), temporary, dir.as_fd(), name, RenameFlags::NOREPLACE) {
            // Some file systems can't promise it; a look has to do there.
            Err(Errno::INVAL) if dir.symlink_metadata(name).is_err() => dir.rename(temporary, dir, name),
            Err(Errno::INVAL) => Err(Errno::EXIST.into()),
            result => Ok(result?),
        },
    )
}

/// What a file is called while it is being written.
#[must_use]
pub fn temporary(name: &str) -> String {
    format!(".{name}.tmp")
}

fn put(
    dir: &Dir,
    name: &str,
    mode: u32,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    rename: impl FnOnce(&str) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary(name);
    let file = take_over(dir, &temporary, mode)?;
    let written = file.set_len(0).and_then(|()| {
        let mut out = BufWriter::with_capacity(256 << 10, &file);
        write(&mut out)?;
        out.flush()?;
        drop(out);
        file.sync_all()?;
        rename(&temporary)
    });
    if let Err(error) = written {
        // Best effort: what counts is that the old file is untouched, and the error that is told is the first one.
        let _ = file.set_len(0);
        return Err(error);
    }
    sync(dir).map_err(|error| io::Error::new(error.kind(), NotSynced(error)))
}

/// Creates a new file whole, in a directory that nobody else writes to.
///
/// # Errors
/// Those of the file system.
pub fn create(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace(dir, name, |out| out.write_all(bytes))
}

/// Syncs a directory, so that the names in it are on the disk.
///
/// # Errors
/// Those of the file system.
pub fn sync(dir: &Dir) -> io::Result<()> {
    let handle: OwnedFd = rustix::fs::openat(
        dir.as_fd(),
        c".",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    match rustix::fs::fsync(handle) {
        // Some file systems have no syncing of directories.
        Err(Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

/// Opens the temporary file, alone: it is locked, and still the one that has the name.
fn take_over(dir: &Dir, temporary: &str, mode: u32) -> io::Result<File> {
    for _ in 0..100 {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        cap_std::fs::OpenOptionsExt::mode(&mut options, mode);
        // A link planted under the temporary name is not followed.
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = dir.open_with(temporary, &options)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let ours = rustix::fs::fstat(&file)?;
        // Whoever held it before may have given it its final name between the opening and the locking.
        match rustix::fs::statat(dir.as_fd(), temporary, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) && named.st_nlink == 1 => {
                return Ok(file);
            }
            Ok(named) if named.st_nlink != 1 => {
                return Err(io::Error::other(format!("{temporary} beside it has other hard links; remove it")));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}
