//! Files with several names: what one inode holds is read once within a run.
//!
//! The kernel says of each name which inode it stands for, how large that is and when it was changed. Where all of this is as
//! it was when the inode was read, from end to end and while it held still, its digest is that of the other name too. One
//! that was changed just before the run is read under each name: it may change once more and keep its times.
//!
//! Only what has several names is remembered, and only until all of them were met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Statx;

use super::open::Mount;
use super::queue::LargeFile;
use crate::manifest::Sha256Digest;
use crate::stat_cache::{Moment, Stamp};

/// An inode with several names, as it was at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    mount: Mount,
    stamp: Stamp,
}

/// What is known of an inode.
#[derive(Debug)]
enum State {
    /// A worker reads it. These are other names of it, to be looked at when that is done.
    InWork(Vec<LargeFile>),
    /// Its digest, and how many of its names are still to come.
    Read(Sha256Digest, u32),
}

/// What to do with a name of an inode.
pub enum Claim {
    /// Nothing more: its digest is known.
    Known(Sha256Digest),
    /// To read it, and to say so by [`Linked::settle`].
    Read,
    /// To come back: it is read under another name.
    Later,
}

/// All inodes with several names that a walk has met.
#[derive(Debug)]
pub struct Linked {
    settled_before: Moment,
    inodes: Mutex<HashMap<Inode, State>>,
}

impl Linked {
    /// For a walk that starts `now`, in nanoseconds since 1970.
    pub fn new(now: i64) -> Self {
        Self { settled_before: Moment::settled_before(now), inodes: Mutex::default() }
    }

    /// The inode of a file, if it has other names and holds something.
    pub fn inode(&self, status: &Statx) -> Option<Inode> {
        if status.stx_nlink < 2 || status.stx_size == 0 {
            return None;
        }
        let stamp = Stamp::of(status)?;
        let settled = stamp.changed <= self.settled_before && stamp.modified <= self.settled_before;
        settled.then_some(Inode { mount: Mount::of(status), stamp })
    }

    fn inodes(&self) -> MutexGuard<'_, HashMap<Inode, State>> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what to do with one of an inode's names. `name` gives what to come back for.
    pub fn claim(&self, inode: Inode, name: impl FnOnce() -> Option<LargeFile>) -> Claim {
        let mut inodes = self.inodes();
        match inodes.entry(inode) {
            Entry::Vacant(new) => {
                new.insert(State::InWork(Vec::new()));
                Claim::Read
            }
            Entry::Occupied(mut known) => match known.get_mut() {
                State::InWork(waiting) => {
                    waiting.extend(name());
                    Claim::Later
                }
                State::Read(sha256, left) => {
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

    /// Keeps the digest of an inode of so many `links` that was claimed to be read, if it held still, and gives the names that
    /// wait for it.
    pub fn settle(&self, inode: Inode, links: u32, sha256: Option<Sha256Digest>) -> Vec<LargeFile> {
        let mut inodes = self.inodes();
        let before = match sha256 {
            Some(sha256) => inodes.insert(inode, State::Read(sha256, links.saturating_sub(1).max(1))),
            None => inodes.remove(&inode),
        };
        match before {
            Some(State::InWork(waiting)) => waiting,
            _ => Vec::new(),
        }
    }
}
