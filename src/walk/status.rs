//! Reads when an entry below a root was written, and who owns it.

use std::os::fd::{AsFd as _, BorrowedFd};

use super::open::{self, OpenMode};
use crate::compare::LiveStatus;
use crate::path::{ROOT, split_last};

/// The status of an entry below a root; `None` if it can't be read. The entry may be a link, but none may be on the
/// path to it.
#[must_use]
pub fn status(root: BorrowedFd<'_>, path: &[u8]) -> Option<LiveStatus> {
    let (above, name) = split_last(path);
    let status = if path == ROOT {
        open::status(root)
    } else {
        open::directory(root, above, OpenMode::PathOnly).and_then(|directory| open::status_at(directory.as_fd(), name))
    };
    status.ok().and_then(|status| LiveStatus::new(status.stx_mtime.tv_sec, status.stx_uid, status.stx_gid))
}
