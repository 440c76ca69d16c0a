//! Reads the contents of one file below a root, to show what changed in it.

use std::os::fd::BorrowedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::inspect::refused;
use super::open::{self, OpenMode};
use crate::manifest::Unverified;
use crate::path::split_last;

/// The contents of a file.
#[derive(Debug)]
pub struct Contents {
    pub executable: bool,
    pub bytes: Vec<u8>,
}

/// Reads a file below a root, if it has at most `limit` bytes. Neither the file nor anything on the path to it may be a
/// link.
///
/// # Errors
/// Why the file could not be read.
pub fn contents(root: BorrowedFd<'_>, path: &[u8], limit: usize) -> Result<Contents, Unverified> {
    let (above, name) = split_last(path);
    let directory =
        open::directory(root, above, OpenMode::PathOnly).map_err(|errno| refused("open its directory", errno))?;
    let failed = |errno| refused("read it", errno);
    // Only regular files are opened: opening a device can have side effects.
    let is_file = |status: &rustix::fs::Statx| open::file_type(status) == FileType::RegularFile;
    let named = open::status_at(std::os::fd::AsFd::as_fd(&directory), name).map_err(failed)?;
    if !is_file(&named) {
        return Err(Unverified::Replaced);
    }
    let file = open::file(std::os::fd::AsFd::as_fd(&directory), name).map_err(failed)?;
    let status = open::status(&file).map_err(failed)?;
    if !is_file(&status) {
        return Err(Unverified::Replaced);
    }
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) => return Ok(Contents { executable: status.stx_mode & 0o100 != 0, bytes }),
            Ok(read) if bytes.len() + read <= limit => bytes.extend_from_slice(&buffer[..read]),
            Ok(_) => return Err(failed(Errno::FBIG)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}
