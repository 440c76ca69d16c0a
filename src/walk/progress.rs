//! The progress of a walk: for the progress line, and for giving it up.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::worker_state::WorkerState;

/// The progress of a run.
#[derive(Debug, Default)]
pub struct Progress {
    pub entries: AtomicU64,
    /// The bytes of all hashed files.
    pub bytes: AtomicU64,
    walk: Mutex<Walk>,
    changed: Condvar,
}

/// A running walk.
#[derive(Debug, Default)]
struct Walk {
    states: Vec<Arc<WorkerState>>,
    /// The root of each task, as messages show it.
    roots: Vec<String>,
    /// The number of workers that have not ended.
    running: usize,
    given_up: Option<Vec<usize>>,
}

/// A worker that is not idle.
#[derive(Clone, Debug)]
pub struct AtWork {
    pub worker: usize,
    /// The number of steps so far. If this does not change, the worker waits for the file system.
    pub beat: u64,
    /// The root of `path`, as messages show it.
    pub root: String,
    pub path: Vec<u8>,
}

impl Progress {
    fn walk(&self) -> MutexGuard<'_, Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the workers are doing, without those that are idle.
    #[must_use]
    pub fn at_work(&self) -> Vec<AtWork> {
        let walk = self.walk();
        let at_work = walk.states.iter().enumerate().filter_map(|(worker, state)| {
            let (beat, operation) = state.current()?;
            Some(AtWork { worker, beat, root: walk.roots.get(operation.task)?.clone(), path: operation.path })
        });
        at_work.collect()
    }

    /// Gives up a running walk: the result is what was found until now. `waiting` are the workers that wait for the
    /// file system. Returns whether a walk was running.
    pub fn give_up(&self, waiting: Vec<usize>) -> bool {
        let mut walk = self.walk();
        if walk.states.is_empty() {
            return false;
        }
        walk.given_up.get_or_insert(waiting);
        self.changed.notify_all();
        true
    }

    pub(super) fn begin(&self, states: Vec<Arc<WorkerState>>, roots: Vec<String>) {
        *self.walk() = Walk { states, roots, ..Walk::default() };
    }

    pub(super) fn end(&self) {
        *self.walk() = Walk::default();
    }

    /// Counts a worker as running until the result is dropped, also after a panic.
    pub(super) fn begin_worker(&self) -> EndGuard<'_> {
        self.walk().running += 1;
        EndGuard(self)
    }

    /// Waits until all workers have ended, or the walk was given up; then returns the workers that waited for the file
    /// system.
    pub(super) fn wait(&self) -> Option<Vec<usize>> {
        let mut walk = self.walk();
        while walk.running > 0 && walk.given_up.is_none() {
            walk = self.changed.wait(walk).unwrap_or_else(PoisonError::into_inner);
        }
        if walk.running > 0 { walk.given_up.clone() } else { None }
    }
}

/// A worker that is running: see [`Progress::begin_worker`].
pub(super) struct EndGuard<'a>(&'a Progress);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let mut walk = self.0.walk();
        walk.running = walk.running.saturating_sub(1);
        self.0.changed.notify_all();
    }
}
