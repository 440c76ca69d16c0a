//! Directories, opened by their names once.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::shown;
use super::waits::waits;
use crate::trouble::Trouble;

/// A directory that was opened by name, once; from then on the handle is all that counts.
#[derive(Debug)]
pub struct Directory {
    pub dir: Dir,
    /// Where it really lies, links resolved, for people to read. Nothing where `/proc` is not there to tell.
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
        // Opening asks nothing of the file system. The sandbox is going to, when nothing can be told any more.
        rustix::fs::fstat(&dir)?;
        let resolved = resolved(dir.as_fd());
        Ok(Directory { dir, resolved })
    })
}

/// Where what is open lies, links resolved. Nothing where `/proc` is not there to tell.
pub(super) fn resolved(handle: BorrowedFd<'_>) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
    std::fs::read_link(link).ok().filter(|path| path.is_absolute())
}

/// Opens a root. Its own path may pass links; nothing below it ever does.
///
/// # Errors
/// A root that is missing, is no directory, or can't be read.
pub fn root(path: &Path) -> Result<Directory, Trouble> {
    open(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "create it, or correct `root` in the declaration",
            io::ErrorKind::NotADirectory => "declare the directory that it is in as `root`, and the file in `include`",
            io::ErrorKind::PermissionDenied => "run driftlock as a user who may read it",
            _ => "see why it can't be opened",
        };
        Trouble::new(format!("the root {} could not be opened: {error}", shown(path)), remedy)
    })
}

/// Opens the directory of the lock files; nothing if there is none.
///
/// # Errors
/// A directory that can't be opened.
pub fn locks(path: &Path) -> Result<Option<Directory>, Trouble> {
    match open(path) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::new(
            format!("the locks directory {} could not be opened: {error}", shown(path)),
            "correct `locks` in the declaration, or its permissions",
        )),
    }
}

/// Opens the locks of an export.
///
/// # Errors
/// What is no export, or can't be read.
pub fn export(path: &Path) -> Result<Directory, Trouble> {
    let locks = path.join("locks");
    open(&locks).map_err(|error| {
        Trouble::new(
            format!("the locks of the export {} could not be opened: {error}", shown(&locks)),
            "name a directory that `driftlock export --output` has written",
        )
    })
}

/// Opens a directory that is going to be written to and has to be there.
///
/// # Errors
/// A directory that can't be opened.
pub fn existing(path: &Path, what: &str) -> Result<Directory, Trouble> {
    open(path).map_err(|error| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Trouble::new(
            format!("the {what} directory {} could not be opened: {error}", shown(path)),
            "create it, or name another one",
        )
    })
}

/// Opens the directory that reports were written to.
///
/// # Errors
/// A directory that is missing or can't be opened.
pub fn reports(path: &Path) -> Result<Directory, Trouble> {
    open(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "run `driftlock check` first, or name the folder of a report",
            _ => "correct `reports` in the declaration, or name the folder of a report",
        };
        Trouble::new(format!("the reports directory {} could not be opened: {error}", shown(path)), remedy)
    })
}

/// What messages call the directory of the reports.
pub const REPORTS: &str = "reports";

/// Opens a directory that is going to be written to, and creates it if it is missing. A new one for reports gets a
/// `.gitignore`, so that they are not committed by mistake.
///
/// # Errors
/// A directory that can neither be opened nor created.
pub fn writable(path: &Path, what: &str, key: &str) -> Result<Directory, Trouble> {
    let is_new = what == REPORTS && waits(path, || std::fs::symlink_metadata(path)).is_err();
    let made = waits(path, || std::fs::create_dir_all(path)).and_then(|()| open(path)).inspect(|directory| {
        if is_new {
            // Reports do not belong into git. Where this fails they are kept all the same.
            let _ = directory.dir.write(".gitignore", "*\n");
        }
    });
    made.map_err(|error| {
        Trouble::new(
            format!("the {what} directory {} could not be created or opened: {error}", shown(path)),
            format!("correct {key}, or the permissions of the directory above"),
        )
    })
}

/// Opens the directory that a file is in, or is going to be, and gives the file's name in it. The file itself is not
/// looked at.
///
/// # Errors
/// A path that ends in no name, and a directory that can't be opened.
pub fn beside(file: &Path) -> io::Result<(Directory, String)> {
    let name = match (file.file_name().and_then(OsStr::to_str), file.as_os_str().as_bytes().last()) {
        (Some(name), Some(last)) if *last != b'/' => name.to_owned(),
        _ => {
            let problem = "the path ends in no name of a file, or in one that is not UTF-8";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    };
    let directory = open(file.parent().unwrap_or(Path::new(""))).map_err(|error| {
        io::Error::new(error.kind(), format!("the directory it is in could not be opened: {error}"))
    })?;
    Ok((directory, name))
}

/// The directory that the process was started in, for `driftlock init`.
///
/// # Errors
/// A directory that can't be opened.
pub fn here() -> Result<Directory, Trouble> {
    open(Path::new(".")).map_err(|error| {
        Trouble::new(format!("the working directory could not be opened: {error}"), "change to one that you may read")
    })
}

/// The git work tree that a directory lies in: the first one above it, or itself, that has a `.git`.
#[must_use]
pub fn work_tree(resolved: &Path) -> Option<PathBuf> {
    let has_git = |directory: &&Path| std::fs::symlink_metadata(directory.join(".git")).is_ok();
    resolved.ancestors().find(has_git).map(Path::to_path_buf)
}

/// Where a directory lies below the top of its git work tree. `git apply` takes the paths of a patch from there, wherever in the
/// tree it is started. Empty at the top of one, and outside.
#[must_use]
pub fn below_work_tree(resolved: &Path) -> PathBuf {
    let tree = work_tree(resolved);
    tree.and_then(|tree| resolved.strip_prefix(tree).ok().map(Path::to_path_buf)).unwrap_or_default()
}

/// Where a directory lies, links resolved, or is going to lie once it is created. Nothing if that can't be told.
#[must_use]
pub fn future(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|there| {
        let named = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        let resolved = waits(named, || std::fs::canonicalize(named)).ok()?;
        Some(resolved.join(path.strip_prefix(there).ok()?))
    })
}
