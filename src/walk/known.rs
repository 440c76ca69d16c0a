//! Files whose contents need not be read, since they are known from a run before.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Statx};

use super::Task;
use super::observe::{self, Seen, refused};
use super::open;
use super::tree::State;
use super::worker::{file_content, file_record};
use crate::manifest::Record;
use crate::stat_cache::Known;

/// What a name turned out to be, where something may be known of it.
pub enum Looked {
    /// A regular file whose contents are known, and where that stands.
    Known { record: Record, at: u32, status: Statx },
    /// All else.
    Unknown(Seen),
}

impl Looked {
    /// The status, if it was asked for.
    pub const fn status(&self) -> Option<&Statx> {
        match self {
            Self::Known { status, .. } | Self::Unknown(Seen::File(_, status) | Seen::Settled(_, Some(status))) => {
                Some(status)
            }
            Self::Unknown(Seen::Settled(_, None) | Seen::Directory) => None,
        }
    }
}

/// Looks at a name, of which the directory's listing said that it is a `listed`.
pub fn look(task: &Task<'_>, directory: BorrowedFd<'_>, name: &[u8], listed: FileType) -> Looked {
    let Some(known) = task.known else {
        return Looked::Unknown(observe::name(directory, name, listed, task.attributes));
    };
    if let Some(found) = by_name(task, known, directory, name, listed) {
        return found;
    }
    match observe::name(directory, name, listed, task.attributes) {
        Seen::File(file, status) => by_handle(task, known, file, &status),
        seen => Looked::Unknown(seen),
    }
}

/// Looks a regular file up by its status, without opening it. Whatever is not as expected gives nothing.
fn by_name(task: &Task<'_>, known: &Known, directory: BorrowedFd<'_>, name: &[u8], listed: FileType) -> Option<Looked> {
    // Extended attributes are to be had through an open file only.
    if listed != FileType::RegularFile || task.attributes.xattrs || known.is_empty() {
        return None;
    }
    let status = open::status_at(directory, name).ok()?;
    let (at, sha256) = known.find(&status)?;
    let attributes = observe::of_status(&status, task.attributes);
    Some(Looked::Known { record: Record { content: file_content(&status, sha256), attributes }, at, status })
}

/// Looks up a file that had to be opened, and gives it to be read if nothing is known of it.
fn by_handle(task: &Task<'_>, known: &Known, file: OwnedFd, status: &Statx) -> Looked {
    if task.attributes.xattrs
        && let Some((at, sha256)) = known.find(status)
    {
        return match file_record(&file, status, sha256, task.attributes) {
            Ok(record) => Looked::Known { record, at, status: *status },
            Err(reason) => Looked::Unknown(Seen::Settled(State::unverified(reason), Some(*status))),
        };
    }
    known.write_back(|| open::directory(task.root, b"").and_then(rustix::fs::syncfs));
    Looked::Unknown(match open::status(&file) {
        Ok(status) => Seen::File(file, status),
        Err(errno) => Seen::Settled(State::unverified(refused("read its status", errno)), Some(*status)),
    })
}
