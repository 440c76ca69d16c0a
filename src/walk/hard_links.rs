//! Files with several hard links: a run reads each inode once.
//!
//! The kernel reports the inode, size and times of each name. If these are the same as when the inode was read to its
//! end without changes, its digest holds for the other name too. An inode that changed just before the run is read
//! under each name, because it could change again and keep its times.
//!
//! Only inodes with several names are kept, and only until all of their names were met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Statx;

use super::open::Mount;
use super::queue::LargeFile;
use crate::manifest::Sha256Digest;
use crate::stat_cache::{Moment, Stamp};

/// An inode with several names, and its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    mount: Mount,
    stamp: Stamp,
}

/// The state of an inode.
#[derive(Debug)]
enum InodeState {
    /// A worker is reading it. These other names wait for the result.
    InWork(Vec<LargeFile>),
    /// Its digest, and the number of names still to come.
    Read(Sha256Digest, u32),
}

/// What to do with a name of an inode.
pub enum Claim {
    /// Nothing: this is its digest.
    Known(Sha256Digest),
    /// Read it, then call [`HardLinks::settle`].
    Read,
    /// Come back later: it is being read under another name.
    Later,
}

/// All inodes with several names that a walk has met.
#[derive(Debug)]
pub struct HardLinks {
    settled_before: Moment,
    inodes: Mutex<HashMap<Inode, InodeState>>,
}

impl HardLinks {
    /// For a walk that starts `now`, in nanoseconds since 1970.
    pub fn new(now: i64) -> Self {
        Self { settled_before: Moment::settled_before(now), inodes: Mutex::default() }
    }

    /// The inode of a file, if it has other names and is not empty.
    pub fn inode(&self, status: &Statx) -> Option<Inode> {
        if status.stx_nlink < 2 || status.stx_size == 0 {
            return None;
        }
        let stamp = Stamp::of(status)?;
        let settled = stamp.changed <= self.settled_before && stamp.modified <= self.settled_before;
        settled.then_some(Inode { mount: Mount::of(status), stamp })
    }

    fn inodes(&self) -> MutexGuard<'_, HashMap<Inode, InodeState>> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what to do with a name of an inode. `name` returns the file to queue if the name has to wait.
    pub fn claim(&self, inode: Inode, name: impl FnOnce() -> Option<LargeFile>) -> Claim {
        let mut inodes = self.inodes();
        match inodes.entry(inode) {
            Entry::Vacant(new) => {
                new.insert(InodeState::InWork(Vec::new()));
                Claim::Read
            }
            Entry::Occupied(mut known) => match known.get_mut() {
                InodeState::InWork(waiting) => {
                    waiting.extend(name());
                    Claim::Later
                }
                InodeState::Read(sha256, left) => {
                    let sha256 = *sha256;
                    *left -= 1;
                    if *left == 0 {
                        known.remove();
                    }
                    Claim::Known(sha256)
                }
            },
        }
    }

    /// Stores the digest of an inode with `links` names that was claimed for reading; `None` if it changed. Returns the
    /// names that wait for it.
    pub fn settle(&self, inode: Inode, links: u32, sha256: Option<Sha256Digest>) -> Vec<LargeFile> {
        let mut inodes = self.inodes();
        let before = match sha256 {
            Some(sha256) => inodes.insert(inode, InodeState::Read(sha256, links.saturating_sub(1).max(1))),
            None => inodes.remove(&inode),
        };
        match before {
            Some(InodeState::InWork(waiting)) => waiting,
            _ => Vec::new(),
        }
    }
}
