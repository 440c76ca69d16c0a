//! Checks the owner of a declaration. A declaration says what is read and written with the authority of the user who
//! runs driftlock. So one that was found, not named, must belong to that user or to root: the rule of git's
//! `safe.directory`.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::shown;
use crate::error::{Error, ErrorKind};

/// Write permission for every user.
const OTHERS_WRITE: u32 = 0o002;

/// Checks that a declaration which was found at `path`, and is open, comes from a trusted user.
///
/// # Errors
/// The file, or a link to it, belongs to another user, or every user may write to the file.
pub fn trusted(path: &Path, file: &File) -> Result<(), Error> {
    let user = rustix::process::geteuid().as_raw();
    let is_trusted = |owner: u32| owner == user || owner == 0 || (user == 0 && sudo_user() == Some(owner));
    let refused = |problem: String| {
        let help = format!("read it; if you want it to be used all the same, name it: --config {}", shown(path));
        Error::new(
            ErrorKind::Declaration,
            format!("the declaration {} was found and is not used: {problem}", shown(path)),
            help,
        )
    };
    let unknown = |error: io::Error| refused(format!("its owner could not be read: {error}"));
    // The open file counts. A link counts too, because paths in the declaration are relative to the link's directory.
    let link = std::fs::symlink_metadata(path).map_err(unknown)?;
    let opened = file.metadata().map_err(unknown)?;
    for owner in [link.uid(), opened.uid()] {
        if !is_trusted(owner) {
            return Err(refused(format!("it belongs to the user {owner}, and this is the user {user}")));
        }
    }
    if opened.mode() & OTHERS_WRITE != 0 {
        return Err(refused("every user may write to it".to_owned()));
    }
    Ok(())
}

/// The user who became root with sudo.
fn sudo_user() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}
