//! A file that a worker opened to read it: whether it has to be read, and what becomes of it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::desk::What;
use super::hash;
use super::linked::{Claim, Inode};
use super::listing;
use super::open::Mount;
use super::queue::{LargeFile, Place};
use super::tree::State;
use super::worker::{At, Slot, Worker, file_record, look};
use crate::stat_cache::listing::Listed;

/// What a file that is being read is for.
pub struct Purpose {
    slot: Slot,
    /// The inode, if it has several names.
    inode: Option<Inode>,
}

impl Purpose {
    /// For a file that has one name.
    pub const fn of(slot: Slot) -> Self {
        Self { slot, inode: None }
    }
}

/// A file that is open, and where it was found.
pub struct Named<'a> {
    pub file: OwnedFd,
    pub status: Statx,
    pub place: &'a Place,
    pub mount: Mount,
    pub name: Box<[u8]>,
    pub slot: Slot,
}

impl Named<'_> {
    /// The same as something to come back to, not open.
    pub fn queued(self) -> LargeFile {
        let Self { file: _, status, place, mount, name, slot } = self;
        LargeFile { size: status.stx_size, inode: status.stx_ino, place: place.clone(), mount, name, slot }
    }
}

impl Worker<'_> {
    /// Opens a large file that was queued, if it is still a file that can be read.
    pub fn open_large(&mut self, file: LargeFile, lane: usize) -> Option<hash::Opened<Purpose>> {
        let LargeFile { place, mount, name, slot, inode, size: _ } = file;
        let notes = &mut self.notes[place.task];
        self.desk.begin(lane, place.task, What::Entry(slot), &place.path, &name);
        let looked = listing::open(&self.run.tasks[place.task], &place, None, None, &mut notes.mounts)
            .map_err(|closed| State::unverified(closed.reason()))
            .and_then(|opened| {
                let at = At { place: &place, directory: opened.file.as_fd(), mount };
                let listed = Listed { file_type: FileType::RegularFile, inode };
                look(self.run, &at, &name, listed, notes)
            });
        self.run.queue.done();
        match looked {
            Ok((file, status)) => self.unless_known(Named { file, status, place: &place, mount, name, slot }),
            Err(state) => {
                slot.put(self.run, state);
                None
            }
        }
    }

    /// The file to read, unless its inode is read under another name.
    pub fn unless_known(&mut self, named: Named<'_>) -> Option<hash::Opened<Purpose>> {
        let inode = self.run.linked.inode(&named.status);
        let Named { status, .. } = named;
        let mut named = Some(named);
        let claim = inode.map_or(Claim::Read, |inode| self.run.linked.claim(inode, || named.take().map(Named::queued)));
        let Named { file, slot, .. } = named?;
        match claim {
            Claim::Known(sha256) => {
                self.keep(slot, &file, &status, false, Ok(sha256));
                None
            }
            Claim::Read => Some(hash::Opened { tag: Purpose { slot, inode }, file, status, repeated: false }),
            Claim::Later => None,
        }
    }

    /// Keeps what became of a file that was read.
    pub fn settle(&mut self, opened: hash::Opened<Purpose>, hashed: hash::Hashed) {
        let hash::Opened { tag: Purpose { slot, inode }, file, status, repeated } = opened;
        if let Some(inode) = inode {
            let sha256 = hashed.as_ref().ok().filter(|_| !repeated);
            for name in self.run.linked.settle(inode, status.stx_nlink, sha256.copied()) {
                self.run.queue.add_large(name);
            }
        }
        if hashed.is_ok() {
            self.run.progress.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
        }
        self.keep(slot, &file, &status, repeated, hashed);
    }

    /// Keeps the digest of a file.
    fn keep(&mut self, slot: Slot, file: &OwnedFd, status: &Statx, repeated: bool, hashed: hash::Hashed) {
        let task = &self.run.tasks[slot.task];
        let notes = &mut self.notes[slot.task];
        let state = hashed.and_then(|sha256| {
            notes.learned.read.extend(task.known.as_deref().and_then(|known| known.learn(status, sha256)));
            file_record(file, status, sha256, task.attributes)
        });
        let state = match state {
            Ok(record) => task.state(record, status, repeated, &mut notes.touched),
            Err(reason) => State::unverified(reason),
        };
        slot.put(self.run, state);
    }
}
