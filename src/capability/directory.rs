//! Opens directories by name, each once.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::shown;
use super::waits::waits;
use crate::error::{Error, ErrorKind};

/// A directory that was opened by name once. From then on, only the handle counts.
#[derive(Debug)]
pub struct Directory {
    pub dir: Dir,
    /// Its real path, links resolved, for messages. `None` without `/proc`.
    pub resolved: Option<PathBuf>,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

pub(super) fn open(path: &Path) -> io::Result<Directory> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    waits(path, || {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // Opening does not reach the file system, but this does. Inside the sandbox, a hang could no longer be
        // reported.
        rustix::fs::fstat(&dir)?;
        let resolved = resolved(dir.as_fd());
        Ok(Directory { dir, resolved })
    })
}

/// The real path of a handle, links resolved. `None` without `/proc`.
pub(super) fn resolved(handle: BorrowedFd<'_>) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
    std::fs::read_link(link).ok().filter(|path| path.is_absolute())
}

/// Opens a root. Its own path may pass links; below it, none is followed.
///
/// # Errors
/// The root is missing, is not a directory, or can't be read.
pub fn root(path: &Path) -> Result<Directory, Error> {
    open(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "create it, or correct `root` in the declaration",
            io::ErrorKind::NotADirectory => "declare the directory that it is in as `root`, and the file in `include`",
            io::ErrorKind::PermissionDenied => "run driftlock as a user who may read it",
            _ => "check the path and the links on it",
        };
        Error::new(ErrorKind::Input, format!("the root {} could not be opened: {error}", shown(path)), help)
    })
}

/// Opens the directory of the lock files; `None` if it does not exist.
///
/// # Errors
/// The directory can't be opened.
pub fn locks(path: &Path) -> Result<Option<Directory>, Error> {
    match open(path) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(
            ErrorKind::Lock,
            format!("the locks directory {} could not be opened: {error}", shown(path)),
            "correct `locks` in the declaration, or its permissions",
        )),
    }
}

/// Opens the locks of an export.
///
/// # Errors
/// It is not an export, or can't be read.
pub fn export(path: &Path) -> Result<Directory, Error> {
    let locks = path.join("locks");
    open(&locks).map_err(|error| {
        Error::new(
            ErrorKind::Input,
            format!("the locks of the export {} could not be opened: {error}", shown(&locks)),
            "name a directory that `driftlock export --output` has written",
        )
    })
}

/// Opens an existing directory that will be written to.
///
/// # Errors
/// The directory can't be opened.
pub fn existing(path: &Path, what: &str) -> Result<Directory, Error> {
    open(path).map_err(|error| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Error::new(
            ErrorKind::Output,
            format!("the {what} directory {} could not be opened: {error}", shown(path)),
            "create it, or name another one",
        )
    })
}

/// Opens the directory that reports were written to.
///
/// # Errors
/// The directory is missing or can't be opened.
pub fn reports(path: &Path) -> Result<Directory, Error> {
    open(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "run `driftlock check` first, or name the folder of a report",
            _ => "correct `reports` in the declaration, or name the folder of a report",
        };
        Error::new(
            ErrorKind::Input,
            format!("the reports directory {} could not be opened: {error}", shown(path)),
            help,
        )
    })
}

/// The word for the reports directory in messages.
pub const REPORTS: &str = "reports";

/// Opens a directory that will be written to, and creates it if it is missing. A new one for reports gets a
/// `.gitignore`, so that reports are not committed by mistake.
///
/// # Errors
/// The directory can be neither opened nor created.
pub fn writable(path: &Path, what: &str, key: &str) -> Result<Directory, Error> {
    let is_new = what == REPORTS && waits(path, || std::fs::symlink_metadata(path)).is_err();
    let made = waits(path, || std::fs::create_dir_all(path)).and_then(|()| open(path)).inspect(|directory| {
        if is_new {
            // Reports do not belong in git. If this fails, they are kept anyway.
            let _ = directory.dir.write(".gitignore", "*\n");
        }
    });
    made.map_err(|error| {
        Error::new(
            ErrorKind::Output,
            format!("the {what} directory {} could not be created or opened: {error}", shown(path)),
            format!("correct {key}, or the permissions of the directory above"),
        )
    })
}

/// Opens the directory of a file, which need not exist, and returns the file's name in it. Does not look at the file
/// itself.
///
/// # Errors
/// The path does not end in a name, or the directory can't be opened.
pub fn parent_directory(file: &Path) -> io::Result<(Directory, String)> {
    let name = match (file.file_name().and_then(OsStr::to_str), file.as_os_str().as_bytes().last()) {
        (Some(name), Some(last)) if *last != b'/' => name.to_owned(),
        _ => {
            let problem = "the path does not end in a file name, or the name is not UTF-8";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    };
    let directory = open(file.parent().unwrap_or(Path::new(""))).map_err(|error| {
        io::Error::new(error.kind(), format!("the directory it is in could not be opened: {error}"))
    })?;
    Ok((directory, name))
}

/// The working directory, for `driftlock init`.
///
/// # Errors
/// The directory can't be opened.
pub fn here() -> Result<Directory, Error> {
    open(Path::new(".")).map_err(|error| {
        Error::new(
            ErrorKind::Input,
            format!("the working directory could not be opened: {error}"),
            "change to one that you may read",
        )
    })
}

/// The git work tree of a directory: the first directory upwards, starting with it, that has a `.git`.
#[must_use]
pub fn work_tree(resolved: &Path) -> Option<PathBuf> {
    let has_git = |directory: &&Path| std::fs::symlink_metadata(directory.join(".git")).is_ok();
    resolved.ancestors().find(has_git).map(Path::to_path_buf)
}

/// The path of a directory below the top of its git work tree; empty at the top and outside of one. `git apply` reads
/// the paths of a patch relative to the top, wherever it is started.
#[must_use]
pub fn below_work_tree(resolved: &Path) -> PathBuf {
    let tree = work_tree(resolved);
    tree.and_then(|tree| resolved.strip_prefix(tree).ok().map(Path::to_path_buf)).unwrap_or_default()
}

/// The real path, links resolved, of a directory that exists or will be created. `None` if it can't be found.
#[must_use]
pub fn future(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|there| {
        let named = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let resolved = waits(named, || std::fs::canonicalize(named)).ok()?;
        Some(resolved.join(path.strip_prefix(there).ok()?))
    })
}
