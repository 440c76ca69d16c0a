//! Files that a worker opened: decides whether to hash them, and stores the results.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::ahead::LONG;
use super::hard_links::{Claim, Inode};
use super::hash;
use super::listing;
use super::open::Mount;
use super::queue::{DirRef, LargeFile};
use super::tree::EntryState;
use super::worker::{OpenDir, ResultSlot, Worker, file_record, inspect_name};
use super::worker_state::HangTarget;
use crate::stat_cache::listing::Listed;

/// Where the digest of a file belongs.
pub struct HashTag {
    slot: ResultSlot,
    /// The inode, if it has several names.
    inode: Option<Inode>,
}

impl HashTag {
    /// For a file with one name.
    pub const fn of(slot: ResultSlot) -> Self {
        Self { slot, inode: None }
    }
}

/// An open file, and where it was found.
pub struct OpenFile<'a> {
    pub file: OwnedFd,
    pub status: Statx,
    pub dir: &'a DirRef,
    pub mount: Mount,
    pub name: Box<[u8]>,
    pub slot: ResultSlot,
}

impl OpenFile<'_> {
    /// Closes the file, so that it can wait in the queue.
    pub fn queued(self) -> LargeFile {
        let Self { file: _, status, dir, mount, name, slot } = self;
        LargeFile { size: status.stx_size, inode: status.stx_ino, dir: dir.clone(), mount, name, slot }
    }
}

impl Worker<'_> {
    /// Opens a queued large file, if it is still a readable regular file.
    pub fn open_large(&mut self, file: LargeFile, lane: usize) -> Option<hash::FileToHash<HashTag>> {
        let LargeFile { dir, mount, name, slot, inode, size: _ } = file;
        let notes = &mut self.notes[dir.task];
        self.state.begin(lane, dir.task, HangTarget::Entry(slot), &dir.path, &name);
        let looked = listing::open(&self.run.tasks[dir.task], &dir, None, None, &mut notes.mounts)
            .map_err(|closed| EntryState::unverified(closed.reason()))
            .and_then(|opened| {
                let at = OpenDir { dir: &dir, directory: opened.file.as_fd(), mount };
                let listed = Listed { file_type: FileType::RegularFile, inode };
                inspect_name(self.run, &at, &name, listed, notes)
            });
        self.run.queue.done();
        match looked {
            Ok((file, status)) => self.unless_read_elsewhere(OpenFile { file, status, dir: &dir, mount, name, slot }),
            Err(state) => {
                slot.put(self.run, state);
                None
            }
        }
    }

    /// Returns the file for hashing, unless its inode is read under another name.
    pub fn unless_read_elsewhere(&mut self, file: OpenFile<'_>) -> Option<hash::FileToHash<HashTag>> {
        let inode = self.run.hard_links.inode(&file.status);
        let OpenFile { status, .. } = file;
        let mut file = Some(file);
        let claim =
            inode.map_or(Claim::Read, |inode| self.run.hard_links.claim(inode, || file.take().map(OpenFile::queued)));
        let OpenFile { file, slot, .. } = file?;
        match claim {
            Claim::Known(sha256) => {
                self.keep(slot, &file, &status, false, Ok(sha256));
                None
            }
            Claim::Read => {
                let alone = status.stx_size >= LONG && !self.run.shares_long(Some(status.stx_size));
                let (tag, file) = (HashTag { slot, inode }, Arc::new(file));
                Some(hash::FileToHash { tag, file, status, repeated: false, alone })
            }
            Claim::Later => None,
        }
    }

    /// Stores the result for a hashed file.
    pub fn settle(&mut self, opened: hash::FileToHash<HashTag>, hashed: hash::Hashed) {
        let hash::FileToHash { tag: HashTag { slot, inode }, file, status, repeated, alone: _ } = opened;
        if let Some(inode) = inode {
            let sha256 = hashed.as_ref().ok().filter(|_| !repeated);
            for name in self.run.hard_links.settle(inode, status.stx_nlink, sha256.copied()) {
                self.run.queue.add_large(name);
            }
        }
        if hashed.is_ok() {
            self.run.progress.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
        }
        self.keep(slot, &file, &status, repeated, hashed);
    }

    /// Stores the digest of a file.
    fn keep(&mut self, slot: ResultSlot, file: &OwnedFd, status: &Statx, repeated: bool, hashed: hash::Hashed) {
        let task = &self.run.tasks[slot.task];
        let notes = &mut self.notes[slot.task];
        let state = hashed.and_then(|sha256| {
            notes.updates.read.extend(task.cache.as_deref().and_then(|cache| cache.to_cache(status, sha256)));
            file_record(file, status, sha256, task.attributes)
        });
        let state = match state {
            Ok(record) => task.state(record, status, repeated, &mut notes.touched),
            Err(reason) => EntryState::unverified(reason),
        };
        slot.put(self.run, state);
    }
}
