//! Files that are written whole or not at all.
//!
//! The bytes go into `.<name>.tmp` beside the file, are synced, and take the file's name in one step; then the directory
//! is synced. A crash leaves the old file or the new one. The temporary file has a fixed name and is held by a lock of
//! the kernel while it is written: what a crash leaves of it is taken over by the next run, and two runs at once do not
//! mix. It is never unlinked, since the sandbox takes the right to unlink anything away; where writing fails it is
//! emptied and stays.
//!
//! Where others may write too (a sticky directory), one of them may have made a file of that name, to be the owner of ours:
//! a file of another user is left alone, and a name that can't be foreseen is taken. A user who may read the file may hold
//! it: after some seconds an error says who does.

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

/// The file is in place, and may be gone again after a power cut: its directory could not be synced.
#[derive(Debug, thiserror::Error)]
#[error("it is in place, but its directory could not be synced: {0}")]
pub struct NotSynced(io::Error);

/// What a file is written through.
pub type Out<'a> = BufWriter<&'a File>;

/// Writes a file whole. One that is there keeps its mode, and its group where the kernel lets it.
///
/// # Errors
/// Those of the file system, or of `write`; the old file is then untouched. [`io::ErrorKind::WouldBlock`] if another
/// run is writing the same file. [`NotSynced`] inside an error says that the file is the new one.
pub fn replace(dir: &Dir, name: &str, write: impl FnOnce(&mut Out<'_>) -> io::Result<()>) -> io::Result<()> {
    put(dir, name, Access::of(dir, name), PATIENCE, write, |temporary| dir.rename(temporary, dir, name))
}

/// [`replace`] for a private file: only its owner can read or write it, whatever the umask. Another
/// run that is writing it is not waited for.
///
/// # Errors
/// Those of [`replace`].
pub fn replace_private(dir: &Dir, name: &str, write: impl FnOnce(&mut Out<'_>) -> io::Result<()>) -> io::Result<()> {
    put(dir, name, Access::PRIVATE, Duration::ZERO, write, |temporary| dir.rename(temporary, dir, name))
}

/// Writes a file whole where there is none.
///
/// # Errors
/// Those of [`replace`], and [`io::ErrorKind::AlreadyExists`].
pub fn create_new(dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    put(
        dir,
        name,
        Access::SHARED,
        PATIENCE,
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
    access: Access,
    patience: Duration,
    write: impl FnOnce(&mut Out<'_>) -> io::Result<()>,
    rename: impl FnOnce(&str) -> io::Result<()>,
) -> io::Result<()> {
    let (file, temporary) = temporary_file(dir, name, access, patience)?;
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

/// Creates a new file whole, in a directory that no other process writes to.
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

/// How long a file that another process holds is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a temporary file, alone, and gives its name.
fn temporary_file(dir: &Dir, name: &str, access: Access, patience: Duration) -> io::Result<(File, String)> {
    let mut access = access;
    let usual = temporary(name);
    if !is_foreign(dir, &usual)? {
        let file = access.creating(|mode| take_over(dir, &usual, mode, patience))?;
        if access.give(&file)? {
            return Ok((file, usual));
        }
    }
    // Each of these is seeded by chance.
    let chance = RandomState::new().build_hasher().finish();
    let fresh = format!(".{name}.{chance:016x}.tmp");
    let file = access.creating(|mode| dir.open_with(&fresh, options(mode).create_new(true)))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    access.give(&file)?;
    Ok((file, fresh))
}

/// Who runs this.
#[derive(Debug)]
pub struct Own {
    pub user: u32,
    /// All groups, the effective one too.
    pub groups: Vec<u32>,
}

/// It is asked for once, and from inside of the sandbox it can't be.
static OWN: OnceLock<Own> = OnceLock::new();

/// Finds out who runs this, before the sandbox is entered.
pub fn own() -> &'static Own {
    OWN.get_or_init(|| {
        use rustix::process::{Gid, getegid, geteuid, getgroups};
        let mut groups: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        groups.push(getegid().as_raw());
        Own { user: geteuid().as_raw(), groups }
    })
}

/// Whether something of this name may be there to trap us: in a directory where all may make files and none may remove
/// those of others, and of another user.
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
    // A link planted under the temporary name is not followed.
    cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Opens the temporary file of the usual name, alone: it is locked, and still the one that has the name.
fn take_over(dir: &Dir, temporary: &str, mode: u32, patience: Duration) -> io::Result<File> {
    for _ in 0..100 {
        let file = dir.open_with(temporary, options(mode).create(true))?;
        let ours = rustix::fs::fstat(&file)?;
        if is_foreign(dir, temporary)? {
            let problem = format!("{temporary} beside it is another user's all of a sudden; remove it");
            return Err(io::Error::other(problem));
        }
        hold(&file, temporary, patience)?;
        // The process that held it before may have given it its final name between the opening and the locking.
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

/// Locks a file, and waits while another process has it.
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

/// The kernel's list of locks. It is opened before the sandbox is entered.
static HOLDERS: OnceLock<File> = OnceLock::new();

/// Makes it known, for the message about a file that another process holds.
pub fn know_holders(list: File) {
    // A second one says the same.
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
