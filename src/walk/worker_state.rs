//! What a worker has found so far, and what it is doing, for a walk that is given up.
//!
//! A read from a file system that does not respond blocks its thread forever, and no call interrupts it. So results are
//! stored where other threads can take them. A worker locks them only while it adds to them, never while it reads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use driftlock_lanes::MOST_LANES;

use super::tree::{DirectoryId, PartialTree};
use super::worker::ResultSlot;

/// See the module's documentation.
#[derive(Debug)]
pub struct WorkerState {
    /// By task; `None` once they were taken.
    trees: Mutex<Option<Vec<PartialTree>>>,
    at: Mutex<Current>,
}

/// The slot after those of the files being hashed: for listing a directory, and for a module.
pub const LISTING_SLOT: usize = MOST_LANES;

/// What a worker is doing.
#[derive(Debug, Default)]
struct Current {
    /// The number of steps so far. If this does not change, the worker waits for the file system.
    beat: u64,
    /// The slot of the current operation; `None` if the worker is idle.
    now: Option<usize>,
    operations: [Operation; LISTING_SLOT + 1],
}

/// Something that is being read.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    pub task: usize,
    pub path: Vec<u8>,
    pub what: HangTarget,
}

/// The entry to mark as unverified if an operation hangs.
#[derive(Clone, Copy, Debug, Default)]
pub enum HangTarget {
    #[default]
    None,
    Directory(DirectoryId),
    Entry(ResultSlot),
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerState {
    pub fn new(tasks: usize) -> Self {
        let trees = (0..tasks).map(|_| PartialTree::default()).collect();
        Self { trees: Mutex::new(Some(trees)), at: Mutex::default() }
    }

    /// Runs `work` on the results for a task. Once they were taken, the run is about to end, so this blocks forever.
    pub fn with_tree<T>(&self, task: usize, work: impl FnOnce(&mut PartialTree) -> T) -> T {
        let mut trees = held(&self.trees);
        if let Some(trees) = &mut *trees {
            return work(&mut trees[task]);
        }
        drop(trees);
        loop {
            std::thread::park();
        }
    }

    /// Takes the results.
    pub fn take_trees(&self) -> Vec<PartialTree> {
        held(&self.trees).take().unwrap_or_default()
    }

    /// Starts another operation in a slot.
    pub fn begin(&self, slot: usize, task: usize, what: HangTarget, directory: &[u8], name: &[u8]) {
        let mut at = held(&self.at);
        at.beat += 1;
        at.now = Some(slot);
        let operation = &mut at.operations[slot];
        (operation.task, operation.what) = (task, what);
        operation.path.clear();
        operation.path.extend_from_slice(directory);
        if !directory.is_empty() && !name.is_empty() {
            operation.path.push(b'/');
        }
        operation.path.extend_from_slice(name);
    }

    /// Continues the operation in a slot.
    pub fn tick(&self, slot: usize) {
        let mut at = held(&self.at);
        at.beat += 1;
        at.now = Some(slot);
    }

    /// Marks the worker as idle: it waits for work, not for the file system.
    pub fn idle(&self) {
        held(&self.at).now = None;
    }

    /// The number of steps, and the current operation; `None` if the worker is idle.
    pub fn current(&self) -> Option<(u64, Operation)> {
        let at = held(&self.at);
        Some((at.beat, at.operations[at.now?].clone()))
    }
}
