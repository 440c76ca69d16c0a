//! The contents of one file below a root, whole: for people who want to see what changed in it.

use std::os::fd::BorrowedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::observe::refused;
use super::open::{self, Purpose};
use crate::manifest::Unverified;
use crate::path::split_last;

/// A file that was read.
#[derive(Debug)]
pub struct Contents {
    pub executable: bool,
    pub bytes: Vec<u8>,
}

/// Reads a file below a root, if it has no more than `limit` bytes. Nothing on the way to it, and not itself, may be a link.
///
/// # Errors
/// Why it could not be read.
pub fn contents(root: BorrowedFd<'_>, path: &[u8], limit: usize) -> Result<Contents, Unverified> {
    let (above, name) = split_last(path);
    let directory =
        open::directory(root, above, Purpose::Look).map_err(|errno| refused("open its directory", errno))?;
    let failed = |errno| refused("read it", errno);
    // What is no regular file is not opened: opening a device can do things.
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
