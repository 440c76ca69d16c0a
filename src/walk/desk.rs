//! What a worker has found so far, and what it is at: for a run that does not wait for it any longer.
//!
//! A read from a file system that does not answer holds its thread up for ever, and no call takes it back. So what was found
//! lies where others can take it, and a worker holds it only while it adds to it, never while it reads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use driftlock_lanes::MOST_LANES;

use super::tree::{DirectoryId, Pieces};
use super::worker::Slot;

/// See the module's documentation.
#[derive(Debug)]
pub struct Desk {
    /// By task. Nothing once it was taken away.
    pieces: Mutex<Option<Vec<Pieces>>>,
    at: Mutex<At>,
}

/// The place beside the files that a worker reads at once: where it lists a directory, or goes through a module.
pub const LISTING: usize = MOST_LANES;

/// What a worker is at.
#[derive(Debug, Default)]
struct At {
    /// How often it went on. One that does not go on waits for an answer.
    beat: u64,
    /// Which of the spots.
    now: Option<usize>,
    spots: [Spot; LISTING + 1],
}

/// Something that is being read.
#[derive(Clone, Debug, Default)]
pub struct Spot {
    pub task: usize,
    pub path: Vec<u8>,
    pub what: What,
}

/// Where it is to be said that it does not answer.
#[derive(Clone, Copy, Debug, Default)]
pub enum What {
    #[default]
    Nowhere,
    Directory(DirectoryId),
    Entry(Slot),
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub fn new(tasks: usize) -> Self {
        let pieces = (0..tasks).map(|_| Pieces::default()).collect();
        Self { pieces: Mutex::new(Some(pieces)), at: Mutex::default() }
    }

    /// Works on what was found for a task. Once that was taken away, the run is about to end, and nothing is left to do.
    pub fn pieces<T>(&self, task: usize, work: impl FnOnce(&mut Pieces) -> T) -> T {
        let mut pieces = held(&self.pieces);
        if let Some(pieces) = &mut *pieces {
            return work(&mut pieces[task]);
        }
        drop(pieces);
        loop {
            std::thread::park();
        }
    }

    /// Takes away what was found.
    pub fn take(&self) -> Vec<Pieces> {
        held(&self.pieces).take().unwrap_or_default()
    }

    /// Begins with something else in one of the places.
    pub fn begin(&self, place: usize, task: usize, what: What, directory: &[u8], name: &[u8]) {
        let mut at = held(&self.at);
        at.beat += 1;
        at.now = Some(place);
        let spot = &mut at.spots[place];
        (spot.task, spot.what) = (task, what);
        spot.path.clear();
        spot.path.extend_from_slice(directory);
        if !directory.is_empty() && !name.is_empty() {
            spot.path.push(b'/');
        }
        spot.path.extend_from_slice(name);
    }

    /// Goes on with what is in one of the places.
    pub fn go_on(&self, place: usize) {
        let mut at = held(&self.at);
        at.beat += 1;
        at.now = Some(place);
    }

    /// Waits for work, and for no answer.
    pub fn rest(&self) {
        held(&self.at).now = None;
    }

    /// How often it went on, and what it is at.
    pub fn look(&self) -> Option<(u64, Spot)> {
        let at = held(&self.at);
        Some((at.beat, at.spots[at.now?].clone()))
    }
}
