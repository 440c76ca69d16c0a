//! How many threads walk: one for each core, and more once files turn out not to be in the page cache.
//!
//! A thread that waits for a disk uses no core, and a disk serves many reads at once. With a warm cache, more threads
//! than cores only cost time to start. So a worker tests some of the files that it opens. Each that is not in the page
//! cache doubles the number of threads, as far as there is work for them (`docs/performance.md` has what that gains).

use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::{Errno, ReadWriteFlags};
use rustix::process::{Resource, getrlimit};

use super::nar_walk::{KEPT_OPEN, KEPT_OPEN_OF_SEVERAL};
use super::notes::Notes;

/// The number of threads when files are not in the page cache, on a machine with fewer cores.
const WAITING: usize = 32;

/// A worker tests the first file that it opens, and then one in so many, as long as they are in the page cache: a test
/// is a system call.
const TESTED: u32 = 16;

/// The most threads. Each takes several memory mappings, of which a process may have 65,530, and no machine reads
/// faster with more.
const MOST: usize = 512;

/// The address space of one thread, in bytes: its stack, its allocation arena and its buffers.
const ADDRESS_SPACE: u64 = 72 << 20;

/// The most threads that help others.
const HELPERS: usize = 4;

/// Descriptors that a worker has open beside the files that it hashes, and at least with those: those of a module.
const DIRECTORIES: usize = 3;
const OF_MODULE: usize = 9;

/// How many threads walk.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// The number that starts at once.
    pub first: NonZeroUsize,
    /// The number once files turn out not to be in the page cache.
    pub most: usize,
}

impl Threads {
    /// Exactly so many.
    #[must_use]
    pub const fn exactly(count: NonZeroUsize) -> Self {
        Self { first: count, most: count.get() }
    }

    /// So many as asked for; otherwise one for each core, and more for a cold cache.
    #[must_use]
    pub fn new(asked: Option<NonZeroUsize>) -> Self {
        asked.map_or_else(
            || {
                let cores = default_threads();
                Self { first: cores, most: WAITING.max(cores.get()) }
            },
            Self::exactly,
        )
    }

    /// So many of these as the limits of this process allow, if each can hash up to `lanes` streams at once.
    pub(super) fn within_limits(self, lanes: usize, tasks: usize) -> Allotment {
        let affordable = affordable();
        let first = self.first.get().min(MOST).min(affordable);
        // The process has its own files and two for each root.
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let limit = limit.saturating_sub(16).saturating_sub(tasks.saturating_mul(2));
        let most = self.most.min(MOST).min(affordable).min(limit / (lanes + DIRECTORIES).max(OF_MODULE)).max(first);
        let each = limit / most;
        Allotment {
            first,
            most,
            lanes: each.saturating_sub(DIRECTORIES).clamp(lanes.min(2), lanes),
            // Each must find a free core, and takes as much address space as the others.
            helpers: (first / 2).min(HELPERS).min(affordable.saturating_sub(most)),
            // What a module has open beside its directories is there once.
            modules: (each.saturating_sub(OF_MODULE - KEPT_OPEN) / KEPT_OPEN_OF_SEVERAL).clamp(1, lanes),
        }
    }
}

/// What a walk gets.
pub struct Allotment {
    /// The number of threads that start at once.
    pub first: usize,
    /// The number of all threads.
    pub most: usize,
    /// The files that each thread may hash at once.
    pub lanes: usize,
    /// The modules that each thread may walk at once.
    pub modules: usize,
    /// The threads that may help those at once.
    pub helpers: usize,
}

/// The default number of threads with a warm cache: one for each core.
#[must_use]
pub fn default_threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The number of threads that fit into half of this process' address space limit. The other half is for the entries: a
/// failed allocation ends the process.
fn affordable() -> usize {
    let limit = getrlimit(Resource::As).current;
    limit.map_or(MOST, |limit| usize::try_from(limit / 2 / ADDRESS_SPACE).unwrap_or(MOST)).max(1)
}

/// The threads that start once files are not in the page cache.
#[derive(Default)]
pub struct LateWorkers {
    /// How many were started.
    started: AtomicUsize,
    notes: Mutex<Vec<Vec<Notes>>>,
}

impl LateWorkers {
    /// The numbers of the next workers to start, which the caller does. There are `most` workers, of which `first`
    /// started at once, and `waiting` jobs that none has taken.
    pub fn next(&self, first: usize, most: usize, waiting: usize) -> Range<usize> {
        let until = |started: usize| most.min(first + started + waiting.min(first + started)) - first;
        let before = self.started.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |started| Some(until(started)));
        let (Ok(before) | Err(before)) = before;
        first + before..first + until(before)
    }

    /// Whether all were started.
    pub fn are_all(&self, first: usize, most: usize) -> bool {
        first + self.started.load(Ordering::Relaxed) >= most
    }

    /// Stores the notes of one that has ended.
    pub fn push(&self, notes: Vec<Notes>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(notes);
    }

    /// Takes the notes of all that have ended.
    pub fn take(&self) -> Vec<Vec<Notes>> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tests files of one worker.
pub struct CacheTest<'a> {
    /// Starts more workers; returns whether there are more to start.
    start: Option<&'a dyn Fn() -> bool>,
    /// The number of files to open before the next test.
    skip: u32,
}

impl<'a> CacheTest<'a> {
    pub const fn new(start: Option<&'a dyn Fn() -> bool>) -> Self {
        Self { start, skip: 0 }
    }

    /// Notes that a file was opened.
    pub fn opened(&mut self, file: &OwnedFd) {
        let Some(start) = self.start else { return };
        if self.skip > 0 {
            self.skip -= 1;
        } else if is_cached(file) {
            self.skip = TESTED - 1;
        } else if !start() {
            self.start = None;
        }
    }
}

/// Whether the first byte of a file can be read without waiting. If the kernel can't tell, it counts as cached.
fn is_cached(file: &OwnedFd) -> bool {
    let mut byte = [0];
    let read = rustix::io::preadv2(file, &mut [std::io::IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT);
    read != Err(Errno::AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cold_files_double_the_threads_as_far_as_there_is_work() {
        let late = LateWorkers::default();
        assert_eq!(late.next(2, 32, 0), 2..2, "nothing waits");
        assert_eq!(late.next(2, 32, 1), 2..3);
        assert_eq!(late.next(2, 32, 100), 3..6);
        assert_eq!(late.next(2, 32, 100), 6..12);
        assert_eq!(late.next(2, 32, 100), 12..24);
        assert!(!late.are_all(2, 32));
        assert_eq!(late.next(2, 32, 100), 24..32);
        assert_eq!(late.next(2, 32, 100), 32..32);
        assert!(late.are_all(2, 32));
    }
}
