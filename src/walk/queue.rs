//! The work that is left, shared by all workers.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::open::Mount;
use super::tree::DirectoryId;
use super::worker::Slot;
use crate::path::split_last;

/// A directory, by the task it belongs to and its path. No job holds anything open, so that however much is left to
/// do, a run needs a handful of descriptors only.
#[derive(Clone, Debug)]
pub struct Place {
    pub task: usize,
    pub id: DirectoryId,
    /// Relative to the root; empty for the root itself.
    pub path: Box<[u8]>,
    /// The inode with which it was listed; nothing for the root.
    pub inode: Option<u64>,
}

impl Place {
    /// Whether `other` is a name in this directory.
    pub fn is_directly_above(&self, other: &Self) -> bool {
        self.task == other.task && !other.path.is_empty() && *split_last(&other.path).0 == *self.path
    }
}

/// Something for one worker to do.
#[derive(Debug)]
pub enum Job {
    /// List a directory, queue what is below, and read the files in it.
    Directory { place: Place, parent: Option<Mount> },
    /// A part of the names of a directory that has very many: that of this number among those that this worker listed.
    Names { place: Place, owner: usize, part: usize },
    /// A whole module, of which a NAR is wanted: its bytes go through one stream, in order.
    Module { place: Place, parent: Option<Mount> },
}

/// A file that is too large to belong to the thread that finds it: the next free thread takes the largest.
///
/// It is not held open while it waits, as nothing is; the thread that takes it looks at its name again.
#[derive(Debug)]
pub struct LargeFile {
    /// In bytes, when it was last looked at.
    pub size: u64,
    /// Then, too.
    pub inode: u64,
    /// The directory that it is in.
    pub place: Place,
    pub mount: Mount,
    pub name: Box<[u8]>,
    /// Where its result belongs.
    pub slot: Slot,
}

impl Ord for LargeFile {
    fn cmp(&self, other: &Self) -> Ordering {
        self.size.cmp(&other.size)
    }
}

impl PartialOrd for LargeFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for LargeFile {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for LargeFile {}

/// What a worker is given.
pub enum Work {
    Job(Job),
    Large(LargeFile),
}

/// A stack, so that a walk goes deep before it goes wide and little is left waiting; and the large files, largest first,
/// so that none of them is begun when all else is done.
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: Vec<Job>,
    large: BinaryHeap<LargeFile>,
    /// The sizes of all of them together.
    large_bytes: u64,
    /// Jobs and large files that were taken and may still queue others.
    taken: usize,
    /// Workers that have nothing to do.
    waiting: usize,
}

impl Inner {
    fn pop_large(&mut self) -> Option<LargeFile> {
        let file = self.large.pop()?;
        self.large_bytes = self.large_bytes.saturating_sub(file.size);
        Some(file)
    }
}

impl Queue {
    pub fn new(jobs: Vec<Job>) -> Self {
        Self { inner: Mutex::new(Inner { jobs, ..Inner::default() }), wake: Condvar::new() }
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
        // Waking is a system call, whether anybody waits or not.
        match inner.jobs.len() - before {
            added if added == 0 || inner.waiting == 0 => {}
            1 => self.wake.notify_one(),
            _ => self.wake.notify_all(),
        }
    }

    /// Adds a large file.
    pub fn add_large(&self, file: LargeFile) {
        let mut inner = self.lock();
        inner.large_bytes = inner.large_bytes.saturating_add(file.size);
        inner.large.push(file);
        drop(inner);
        self.wake.notify_one();
    }

    /// The bytes of all large files that wait.
    pub fn large_bytes(&self) -> u64 {
        self.lock().large_bytes
    }

    /// Takes the largest file, for a worker that is at work on another file or not.
    ///
    /// One that is leaves it to a worker that has nothing to do: two files on one core share it.
    pub fn take_large(&self, busy: bool) -> Option<LargeFile> {
        let mut inner = self.lock();
        if busy && inner.waiting > 0 {
            return None;
        }
        let file = inner.pop_large()?;
        inner.taken += 1;
        Some(file)
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

    /// Takes work, and waits for some as long as some may come.
    pub fn take(&self) -> Option<Work> {
        let mut inner = self.lock();
        loop {
            let large = inner.pop_large().map(Work::Large);
            if let Some(work) = large.or_else(|| inner.jobs.pop().map(Work::Job)) {
                inner.taken += 1;
                return Some(work);
            }
            if inner.taken == 0 {
                return None;
            }
            inner.waiting += 1;
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting -= 1;
        }
    }

    /// Says that what was taken will queue nothing more.
    pub fn done(&self) {
        let mut inner = self.lock();
        inner.taken -= 1;
        if inner.taken == 0 && inner.jobs.is_empty() && inner.large.is_empty() {
            self.wake.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(size: u64) -> LargeFile {
        let place = Place { task: 0, id: 0, path: Box::default(), inode: None };
        LargeFile { size, inode: 0, place, mount: Mount::default(), name: Box::default(), slot: Slot::default() }
    }

    fn directory() -> Job {
        Job::Directory { place: Place { task: 0, id: 0, path: Box::default(), inode: None }, parent: None }
    }

    #[test]
    fn large_files_come_first_and_the_largest_of_them_before_all() {
        let queue = Queue::new(vec![directory()]);
        for size in [3, 9, 5] {
            queue.add_large(large(size));
        }
        assert_eq!(queue.large_bytes(), 17);
        let sizes: Vec<_> = std::iter::from_fn(|| match queue.take() {
            Some(Work::Large(file)) => Some(file.size),
            _ => None,
        })
        .collect();
        assert_eq!(sizes, [9, 5, 3]);
        assert_eq!(queue.large_bytes(), 0);
    }

    #[test]
    fn a_busy_worker_leaves_a_large_file_to_one_that_waits() {
        let queue = Queue::new(vec![directory()]);
        let Some(Work::Job(_)) = queue.take() else { panic!("there is a job") };
        std::thread::scope(|scope| {
            let idle = scope.spawn(|| queue.take());
            while queue.lock().waiting == 0 {
                std::thread::yield_now();
            }
            // It is woken by what is added, and counts as waiting until it is awake.
            queue.lock().large.push(large(7));
            assert!(queue.take_large(true).is_none());
            queue.wake.notify_one();
            assert!(matches!(idle.join(), Ok(Some(Work::Large(LargeFile { size: 7, .. })))));
        });
        queue.add_large(large(8));
        assert_eq!(queue.take_large(true).map(|file| file.size), Some(8), "no thread waits any more");
    }

    #[test]
    fn no_thread_is_sent_home_while_a_large_file_may_still_lead_to_more() {
        let queue = Queue::new(Vec::new());
        queue.add_large(large(1));
        assert!(queue.take_large(false).is_some());
        std::thread::scope(|scope| {
            let idle = scope.spawn(|| queue.take().is_some());
            while queue.lock().waiting == 0 {
                std::thread::yield_now();
            }
            // It turned out to be a directory.
            queue.add([directory()]);
            assert!(idle.join().is_ok_and(|found| found));
            queue.done();
            let idle = scope.spawn(|| queue.take().is_some());
            while queue.lock().waiting == 0 {
                std::thread::yield_now();
            }
            queue.done();
            assert!(idle.join().is_ok_and(|found| !found));
        });
    }
}
