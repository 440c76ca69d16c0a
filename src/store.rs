//! Writes files whole or not at all.
//!
//! The bytes go into `.<name>.tmp` in the same directory. That file is synced and renamed to the final name, and the
//! directory is synced. A crash leaves the old file or the new one; [`Durability`] says what a power cut may leave of
//! files that wait less for the disk. The temporary file has a fixed name, and the writer holds a kernel lock on it. So
//! the next run reuses what a crash left, and two runs at once do not mix. The sandbox does not allow unlinking, so a
//! failed write empties the temporary file and leaves it.
//!
//! In a sticky directory, another user could create a file with the temporary name, to own our file. So a file of
//! another user is left alone, and a random name is used instead. A user who may read the file may also lock it; after
//! some seconds an error names the process that holds the lock.

mod access;

pub use access::groups_to_keep;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, BufWriter, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use cap_std::fs::{Dir, File, OpenOptions};
use rustix::fs::{AtFlags, FlockOperation, RenameFlags, flock};
use rustix::io::Errno;

use access::Access;

/// The new file is in place, but its directory could not be synced. A power cut could still lose it.
#[derive(Debug, thiserror::Error)]
#[error("it is in place, but its directory could not be synced: {0}")]
pub struct NotSynced(io::Error);

/// What of a written file survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The file, under its name.
    Full,
    /// Either the whole file under its name, or no file of this name.
    Whole,
    /// Nothing: the file may be missing or empty.
    Nothing,
}

/// What a file is written through.
pub type Out<'a> = BufWriter<&'a File>;

/// Replaces a file. The new file keeps the mode of the old one, and its group if the kernel allows it.
///
/// # Errors
/// Those of the file system, or of `write`; the old file is then untouched. [`io::ErrorKind::WouldBlock`] if another
/// run is writing the same file. [`NotSynced`] inside an error says that the new file is in place.
pub fn replace(dir: &Dir, name: &str, write: impl FnOnce(&mut Out<'_>) -> io::Result<()>) -> io::Result<()> {
    replace_with(dir, name, Durability::Full, write)
}

/// [`replace`] with another [`Durability`].
///
/// # Errors
/// Those of [`replace`].
pub fn replace_with(
    dir: &Dir,
    name: &str,
    durability: Durability,
    write: impl FnOnce(&mut Out<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let manner = Manner { access: Access::of(dir, name), durability, patience: PATIENCE };
    write_and_rename(dir, name, manner, write, |temporary| dir.rename(temporary, dir, name))
}

/// [`replace`] for a private file: only its owner can read or write it, for any umask. Does not wait for
/// another run that is writing it.
///
/// # Errors
/// Those of [`replace`].
pub fn replace_private(dir: &Dir, name: &str, write: impl FnOnce(&mut Out<'_>) -> io::Result<()>) -> io::Result<()> {
    let manner = Manner { access: Access::PRIVATE, durability: Durability::Full, patience: Duration::ZERO };
    write_and_rename(dir, name, manner, write, |temporary| dir.rename(temporary, dir, name))
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// Those of [`replace`], and [`io::ErrorKind::AlreadyExists`].
pub fn create_new(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_and_rename(
        dir,
        name,
        Manner { access: Access::SHARED, durability: Durability::Full, patience: PATIENCE },
        |out| out.write_all(bytes),
        |temporary| match rustix::fs::renameat_with(dir.as_fd(), temporary, dir.as_fd(), name, RenameFlags::NOREPLACE) {
            // Some file systems do not support this flag; then a check before the rename must do.
            Err(Errno::INVAL) if dir.symlink_metadata(name).is_err() => dir.rename(temporary, dir, name),
            Err(Errno::INVAL) => Err(Errno::EXIST.into()),
            result => Ok(result?),
        },
    )
}

/// The temporary name of a file.
#[must_use]
pub fn temporary(name: &str) -> String {
    format!(".{name}.tmp")
}

/// How a file is written.
struct Manner {
    access: Access,
    durability: Durability,
    /// How long to wait for another run that writes the same file.
    patience: Duration,
}

fn write_and_rename(
    dir: &Dir,
    name: &str,
    Manner { access, durability, patience }: Manner,
    write: impl FnOnce(&mut Out<'_>) -> io::Result<()>,
    rename: impl FnOnce(&str) -> io::Result<()>,
) -> io::Result<()> {
    let (file, temporary) = temporary_file(dir, name, access, patience)?;
    let written = file.set_len(0).and_then(|()| {
        let mut out = BufWriter::with_capacity(256 << 10, &file);
        write(&mut out)?;
        out.flush()?;
        drop(out);
        if durability != Durability::Nothing {
            file.sync_all()?;
        }
        rename(&temporary)
    });
    if let Err(error) = written {
        // Best effort: the old file is untouched, and the caller reports the first error.
        let _ = file.set_len(0);
        return Err(error);
    }
    if durability != Durability::Full {
        return Ok(());
    }
    sync(dir).map_err(|error| io::Error::new(error.kind(), NotSynced(error)))
}

/// Creates a new file in a directory that no other process writes to.
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
        // Some file systems can't sync directories.
        Err(Errno::INVAL) => Ok(()),
        result => Ok(result?),
    }
}

/// How long to wait for a file that another process holds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens and locks a temporary file; returns its name too.
fn temporary_file(dir: &Dir, name: &str, access: Access, patience: Duration) -> io::Result<(File, String)> {
    let mut access = access;
    let usual = temporary(name);
    if !is_foreign(dir, &usual)? {
        let file = access.creating(|mode| take_over(dir, &usual, mode, patience))?;
        if access.give(&file)? {
            return Ok((file, usual));
        }
    }
    // Each `RandomState` has a random seed.
    let chance = RandomState::new().build_hasher().finish();
    let fresh = format!(".{name}.{chance:016x}.tmp");
    let file = access.creating(|mode| dir.open_with(&fresh, options(mode).create_new(true)))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    access.give(&file)?;
    Ok((file, fresh))
}

/// The user and groups of this process.
#[derive(Debug)]
pub struct Own {
    pub user: u32,
    /// All groups, including the effective one.
    pub groups: Vec<u32>,
}

/// Asked for once, because it is not available inside the sandbox.
static OWN: OnceLock<Own> = OnceLock::new();

/// Looks up the user and groups of this process, before the sandbox is entered.
pub fn own() -> &'static Own {
    OWN.get_or_init(|| {
        use rustix::process::{Gid, getegid, geteuid, getgroups};
        let mut groups: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        groups.push(getegid().as_raw());
        Own { user: geteuid().as_raw(), groups }
    })
}

/// Whether a file with this name may be a trap: it belongs to another user, in a directory where all users may create
/// files and none may remove those of others.
fn is_foreign(dir: &Dir, name: &str) -> io::Result<bool> {
    if rustix::fs::fstat(dir)?.st_mode & libc::S_ISVTX == 0 {
        return Ok(false);
    }
    match rustix::fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(status.st_uid != own().user),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn options(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    cap_std::fs::OpenOptionsExt::mode(&mut options, mode);
    // A planted link with the temporary name is not followed.
    cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Opens and locks the usual temporary file, and checks that the name still refers to it.
fn take_over(dir: &Dir, temporary: &str, mode: u32, patience: Duration) -> io::Result<File> {
    for _ in 0..100 {
        let file = dir.open_with(temporary, options(mode).create(true))?;
        let ours = rustix::fs::fstat(&file)?;
        if is_foreign(dir, temporary)? {
            let problem = format!("{temporary} beside it now belongs to another user; remove it");
            return Err(io::Error::other(problem));
        }
        hold(&file, temporary, patience)?;
        // The process that held it before may have renamed it between the open and the lock.
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

/// Locks a file, and waits while another process holds it.
fn hold(file: &File, name: &str, patience: Duration) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if waited < patience => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(Errno::WOULDBLOCK) => {
                let holder = holder(file).map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                return Err(io::Error::new(io::ErrorKind::WouldBlock, format!("{holder} holds {name} beside it")));
            }
            result => return Ok(result?),
        }
    }
}

/// The kernel's list of locks, opened before the sandbox is entered.
static HOLDERS: OnceLock<File> = OnceLock::new();

/// Provides that list, for the message about a file that another process holds.
pub fn know_holders(list: File) {
    // A second call would provide the same list.
    let _ = HOLDERS.set(list);
}

/// A process that holds a lock on a file.
fn holder(file: &File) -> Option<u32> {
    let status = rustix::fs::fstat(file).ok()?;
    let mut list = HOLDERS.get()?;
    list.rewind().ok()?;
    let mut text = String::new();
    list.take(1 << 20).read_to_string(&mut text).ok()?;
    let (major, minor) = (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev));
    let place = format!("{major:02x}:{minor:02x}:{}", status.st_ino);
    // `1: FLOCK  ADVISORY  READ 1234 fd:01:56789 0 EOF`. Source: proc_locks(5).
    text.lines().find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let at = fields.iter().position(|field| *field == place)?;
        fields.contains(&"FLOCK").then(|| fields.get(at.checked_sub(1)?)?.parse().ok())?
    })
}
