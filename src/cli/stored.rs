//! Reads saved reports.

use std::io::{self, Read as _};
use std::path::Path;

use cap_std::fs::{Dir, File, OpenOptions};

use crate::capability::shown;
use crate::error::{Error, ErrorKind};
use crate::report::{self, Report};

/// The largest report that is read, in bytes.
const REPORT_LIMIT: u64 = 1 << 30;

/// Opens the JSON in a report's folder. A FIFO in its place must not block the run.
pub fn open_in(folder: &Dir) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = folder.open_with(report::JSON_NAME, &options)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Reads a report from its file, named `path` in messages.
///
/// # Errors
/// It can't be read, is not a report, is incomplete, or contradicts itself.
pub fn read(file: File, path: &Path) -> Result<Report, Error> {
    report::json::read(&bytes(file, path)?).map_err(|error| refused(path, &error))
}

/// Reads a report of one machine.
///
/// # Errors
/// Those of [`read`], and a report of several servers.
pub fn read_one(file: File, path: &Path) -> Result<Report, Error> {
    report::json::read_one(&bytes(file, path)?).map_err(|error| refused(path, &error))
}

fn bytes(file: File, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(REPORT_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > REPORT_LIMIT {
        return Err(Error::new(
            ErrorKind::Input,
            format!("the report {} is larger than {REPORT_LIMIT} bytes", shown(path)),
            "use `jq`, or name a smaller report",
        ));
    }
    Ok(bytes)
}

/// The error for a report that is refused.
fn refused(path: &Path, error: &report::json::ReportError) -> Error {
    Error::new(ErrorKind::Input, format!("the report {} is refused: {error}", shown(path)), error.help())
}

/// The error for a file that can't be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::Input,
        format!("{} could not be read: {error}", shown(path)),
        "check the file and its permissions",
    )
}
