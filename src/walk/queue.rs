//! The work that is left, shared by all workers.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::open::Mount;
use super::tree::{DirectoryId, Node};

/// A directory, by the task it belongs to and its path. No job holds anything open, so that however much is left to
/// do, a run needs a handful of descriptors only.
#[derive(Clone, Debug)]
pub struct Place {
    pub task: usize,
    pub id: DirectoryId,
    /// Relative to the root; empty for the root itself.
    pub path: Box<[u8]>,
}

/// Something for one worker to do.
#[derive(Debug)]
pub enum Job {
    /// List a directory, queue what is below, and read the files in it.
    Directory { place: Place, parent: Option<Mount> },
    /// A part of the names of a directory that has very many.
    Names { place: Place, number: usize, nodes: Vec<Node> },
    /// A whole module, of which a NAR is wanted: its bytes go through one stream, in order.
    Module { place: Place, parent: Option<Mount> },
}

/// A stack, so that a walk goes deep before it goes wide and little is left waiting.
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

struct Inner {
    jobs: Vec<Job>,
    /// Jobs that were taken and may still queue others.
    taken: usize,
}

impl Queue {
    pub fn new(jobs: Vec<Job>) -> Self {
        Self { inner: Mutex::new(Inner { jobs, taken: 0 }), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock; were it to, the list of jobs would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds jobs; the last one is done first.
    pub fn add(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut inner = self.lock();
        let before = inner.jobs.len();
        inner.jobs.extend(jobs);
        match inner.jobs.len() - before {
            0 => {}
            1 => self.wake.notify_one(),
            _ => self.wake.notify_all(),
        }
    }

    /// Takes a job if there is one that can be done beside others.
    pub fn take_now(&self) -> Option<Job> {
        let mut inner = self.lock();
        if matches!(inner.jobs.last(), None | Some(Job::Module { .. })) {
            return None;
        }
        inner.taken += 1;
        inner.jobs.pop()
    }

    /// Takes a job, and waits for one as long as one may come.
    pub fn take(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if let Some(job) = inner.jobs.pop() {
                inner.taken += 1;
                return Some(job);
            }
            if inner.taken == 0 {
                return None;
            }
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says that a job that was taken will queue nothing more.
    pub fn done(&self) {
        let mut inner = self.lock();
        inner.taken -= 1;
        if inner.taken == 0 && inner.jobs.is_empty() {
            self.wake.notify_all();
        }
    }
}
