//! How far a walk is: for the line that shows it, and for giving it up.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::desk::Desk;

/// How far a run is.
#[derive(Debug, Default)]
pub struct Progress {
    pub entries: AtomicU64,
    /// Bytes that were read of regular files whose digest is known.
    pub bytes: AtomicU64,
    walk: Mutex<Walk>,
    changed: Condvar,
}

/// A walk that is under way.
#[derive(Debug, Default)]
struct Walk {
    desks: Vec<Arc<Desk>>,
    /// How people know the root of each task.
    roots: Vec<String>,
    /// Workers that have ended.
    ended: usize,
    given_up: Option<Vec<usize>>,
}

/// A worker that is at something.
#[derive(Clone, Debug)]
pub struct AtWork {
    pub worker: usize,
    /// How often it has gone on. Where this stays the same, it waits for an answer.
    pub beat: u64,
    /// The root that the path is below, as people know it.
    pub root: String,
    pub path: Vec<u8>,
}

impl Progress {
    fn walk(&self) -> MutexGuard<'_, Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all workers are at. Those that have nothing to do are left out.
    #[must_use]
    pub fn at_work(&self) -> Vec<AtWork> {
        let walk = self.walk();
        let at_work = walk.desks.iter().enumerate().filter_map(|(worker, desk)| {
            let (beat, spot) = desk.look()?;
            Some(AtWork { worker, beat, root: walk.roots.get(spot.task)?.clone(), path: spot.path })
        });
        at_work.collect()
    }

    /// Gives the walk up, if one is under way: what was found until now is what is found. These workers wait for an answer.
    pub fn give_up(&self, waiting: Vec<usize>) -> bool {
        let mut walk = self.walk();
        if walk.desks.is_empty() {
            return false;
        }
        walk.given_up.get_or_insert(waiting);
        self.changed.notify_all();
        true
    }

    pub(super) fn begin(&self, desks: Vec<Arc<Desk>>, roots: Vec<String>) {
        *self.walk() = Walk { desks, roots, ..Walk::default() };
    }

    pub(super) fn end(&self) {
        *self.walk() = Walk::default();
    }

    /// Waits until so many workers have ended, or the walk was given up; gives those that waited for an answer then.
    pub(super) fn wait(&self, workers: usize) -> Option<Vec<usize>> {
        let mut walk = self.walk();
        while walk.ended < workers && walk.given_up.is_none() {
            walk = self.changed.wait(walk).unwrap_or_else(PoisonError::into_inner);
        }
        if walk.ended < workers { walk.given_up.clone() } else { None }
    }
}

/// Says that a worker has ended when it goes, in whichever way.
pub(super) struct Ending<'a>(pub &'a Progress);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.walk().ended += 1;
        self.0.changed.notify_all();
    }
}
