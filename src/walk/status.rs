//! The status of one entry below a root, for people who want to know when it was written and by whom.

use std::os::fd::{AsFd as _, BorrowedFd};

use super::open::{self, Purpose};
use crate::compare::LiveStatus;
use crate::path::{ROOT, split_last};

/// The status of an entry below a root, which may be a link but has none on the way to it; nothing if it can't be had any more.
#[must_use]
pub fn status(root: BorrowedFd<'_>, path: &[u8]) -> Option<LiveStatus> {
    let (above, name) = split_last(path);
    let status = if path == ROOT {
        open::status(root)
    } else {
        open::directory(root, above, Purpose::Look).and_then(|directory| open::status_at(directory.as_fd(), name))
    };
    status.ok().and_then(|status| LiveStatus::new(status.stx_mtime.tv_sec, status.stx_uid, status.stx_gid))
}
