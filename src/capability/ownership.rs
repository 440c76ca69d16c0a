//! Whose declaration it is. A declaration says what is read and written with the authority of the user who runs
//! driftlock, so one that was found and not named has to be that user's, or root's: the rule of git's `safe.directory`.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::shown;
use crate::trouble::Trouble;

/// Write permission for every user.
const OTHERS_WRITE: u32 = 0o002;

/// Makes sure that a declaration which was found at `path`, and is open, comes from a user whom this run can trust.
///
/// # Errors
/// A file, or a link to it, that belongs to another user, and a file that every user may write.
pub fn trusted(path: &Path, file: &File) -> Result<(), Trouble> {
    let user = rustix::process::geteuid().as_raw();
    let is_trusted = |owner: u32| owner == user || owner == 0 || (user == 0 && sudo_user() == Some(owner));
    let refused = |problem: String| {
        let remedy = format!("read it; if you want it to be used all the same, name it: --config {}", shown(path));
        Trouble::new(format!("the declaration {} was found and is not used: {problem}", shown(path)), remedy)
    };
    let unknown = |error: io::Error| refused(format!("its owner could not be asked for: {error}"));
    // What is open is what counts. A link is as good as a declaration: what it says is relative to where it lies.
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

/// Who has become root by sudo.
fn sudo_user() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}
