//! Opens what another party asks for, if it is in one of the directories that it was allowed: roots, and sockets of
//! engines.
//!
//! The real path comes from the open handle, so nothing can be swapped in between. A request for a path elsewhere gets
//! the same answer whether the path exists or not.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::directory::{future, resolved};
use super::{Directory, connected, root, shown};
use crate::error::{Error, ErrorKind};

/// Opens a root, as [`root`] does.
///
/// # Errors
/// Those of [`root`], and a root outside the allowed directories.
pub fn root_within(path: &Path, allowed: &[Directory]) -> Result<Directory, Error> {
    let opened = root(path);
    let lies = match &opened {
        Ok(directory) => directory.resolved.clone(),
        Err(_) => future(path),
    };
    if is_within(lies, allowed) { opened } else { Err(elsewhere(path)) }
}

/// Connects to the socket of an engine, as [`engine`](super::engine) does.
///
/// # Errors
/// Those of [`engine`](super::engine), and a socket outside the allowed directories, to which it does not connect.
pub fn engine_within(path: &Path, silence: Duration, allowed: &[Directory]) -> Result<OwnedFd, Error> {
    // A handle that only tells where the socket is.
    let Ok(socket) = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        // Connecting will report the reason.
        return if is_within(future(path), allowed) { super::engine(path, silence) } else { Err(elsewhere(path)) };
    };
    if !is_within(resolved(socket.as_fd()), allowed) {
        return Err(elsewhere(path));
    }
    let link = format!("/proc/self/fd/{}", socket.as_raw_fd());
    connected(Path::new(&link), path, silence)
}

fn is_within(lies: Option<PathBuf>, allowed: &[Directory]) -> bool {
    let allowed = |lies: PathBuf| {
        allowed.iter().filter_map(|directory| directory.resolved.as_ref()).any(|allowed| lies.starts_with(allowed))
    };
    lies.is_some_and(allowed)
}

fn elsewhere(path: &Path) -> Error {
    Error::new(
        ErrorKind::Input,
        format!("{} lies in none of the directories that `--allow` names there", shown(path)),
        "correct `server_root` or `socket`, or allow its directory where `driftlock collect` is started",
    )
}
