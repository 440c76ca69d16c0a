//! Opens the file of those who may sign seals.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::shown;
use super::waits::waits;
use crate::error::{Error, ErrorKind};

/// Where the file is looked for if none is named.
const ALLOWED_SIGNERS: &str = "/etc/driftlock/allowed_signers";

/// Opens the given file, or that of the machine; `None` if none is given and the machine has none.
///
/// # Errors
/// The file is missing although it is named, or can't be opened, or is no regular file.
pub fn allowed_signers(given: Option<&Path>) -> Result<Option<(PathBuf, cap_std::fs::File)>, Error> {
    let path = given.unwrap_or(Path::new(ALLOWED_SIGNERS));
    let opened = waits(path, || -> io::Result<File> {
        // A FIFO in its place must not block the run.
        let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        let is_file = file.metadata()?.is_file();
        if is_file { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
    });
    // A link to nothing is a file of signers that got lost, and not a machine that has none.
    let is_missing =
        || matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
    match opened {
        Ok(file) => Ok(Some((path.to_path_buf(), cap_std::fs::File::from_std(file)))),
        Err(error) if given.is_none() && error.kind() == io::ErrorKind::NotFound && is_missing() => Ok(None),
        Err(error) => Err(Error::new(
            ErrorKind::Seal,
            format!("the allowed signers {} could not be opened: {error}", shown(path)),
            "name the file with --seal FILE, or correct its permissions; without it, no seal can be verified",
        )),
    }
}
