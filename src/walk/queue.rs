//! The work that is left, shared by all workers.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::open::Mount;
use super::tree::DirectoryId;
use super::worker::ResultSlot;
use crate::path::split_last;

/// A directory, by its task and its path. Jobs hold nothing open, so a run needs only a few descriptors, however long
/// the queue is.
#[derive(Clone, Debug)]
pub struct DirRef {
    pub task: usize,
    pub id: DirectoryId,
    /// Relative to the root; empty for the root itself.
    pub path: Box<[u8]>,
    /// The inode that its parent's listing has for it; `None` for the root.
    pub inode: Option<u64>,
}

impl DirRef {
    /// Whether `other` is directly in this directory.
    pub fn is_directly_above(&self, other: &Self) -> bool {
        self.task == other.task && !other.path.is_empty() && *split_last(&other.path).0 == *self.path
    }
}

/// Work for one worker.
#[derive(Debug)]
pub enum Job {
    /// List a directory, queue its subdirectories, and read its files.
    Directory { dir: DirRef, parent: Option<Mount> },
    /// One chunk of the names of a large directory, which the worker `owner` listed.
    Names { dir: DirRef, owner: usize, chunk: usize },
    /// A whole module with a NAR: its bytes go through one stream, in order.
    Module { dir: DirRef, parent: Option<Mount> },
}

/// A file that is too large for the worker that finds it. The next free worker takes the largest.
///
/// It is not held open while it waits; the worker that takes it inspects its name again.
#[derive(Debug)]
pub struct LargeFile {
    /// In bytes, when it was last inspected.
    pub size: u64,
    /// When it was last inspected.
    pub inode: u64,
    /// The directory that it is in.
    pub dir: DirRef,
    pub mount: Mount,
    pub name: Box<[u8]>,
    /// Where to store its result.
    pub slot: ResultSlot,
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

/// What a worker takes.
pub enum Work {
    Job(Job),
    Large(LargeFile),
}

/// The jobs are a stack: the walk goes deep first, and little waits. Large files come first, the largest before all
/// others, so that none of them starts last.
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: Vec<Job>,
    large: BinaryHeap<LargeFile>,
    /// The sum of their sizes.
    large_bytes: u64,
    /// Jobs and large files that are in work and may still queue others.
    taken: usize,
    /// Idle workers.
    waiting: usize,
}

impl Inner {
    fn pop(&mut self) -> Option<Work> {
        let large = self.pop_large().map(Work::Large);
        let work = large.or_else(|| self.jobs.pop().map(Work::Job))?;
        self.taken += 1;
        Some(work)
    }

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
        // Nothing panics while it holds the lock. Even if it did, the list of jobs would be complete.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds jobs; the last one is taken first.
    pub fn add(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut inner = self.lock();
        let before = inner.jobs.len();
        inner.jobs.extend(jobs);
        // Waking is a system call, even if no worker waits.
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

    /// The number of jobs and large files that no worker has taken.
    pub fn waiting(&self) -> usize {
        let inner = self.lock();
        inner.jobs.len() + inner.large.len()
    }

    /// Whether a worker waits for work.
    pub fn has_idle_worker(&self) -> bool {
        self.lock().waiting > 0
    }

    /// The sizes of all waiting large files, in bytes.
    pub fn large_bytes(&self) -> u64 {
        self.lock().large_bytes
    }

    /// Takes the largest file, for a worker that is `busy` with another file or not.
    ///
    /// A busy worker leaves it to an idle one, since two files on one core share it.
    pub fn take_large(&self, busy: bool) -> Option<LargeFile> {
        let mut inner = self.lock();
        if busy && inner.waiting > 0 {
            return None;
        }
        let file = inner.pop_large()?;
        inner.taken += 1;
        Some(file)
    }

    /// Takes a job if the next one can be done while other files are read.
    pub fn take_now(&self) -> Option<Job> {
        let mut inner = self.lock();
        if matches!(inner.jobs.last(), None | Some(Job::Module { .. })) {
            return None;
        }
        inner.taken += 1;
        inner.jobs.pop()
    }

    /// Takes a module for a worker that has one already, if at least `others` jobs remain for other workers. As it queues
    /// nothing, the worker does not say when it is [`done`](Self::done).
    pub fn take_module(&self, others: usize) -> Option<(DirRef, Option<Mount>)> {
        let mut inner = self.lock();
        if !inner.large.is_empty() || inner.jobs.len() <= others {
            return None;
        }
        match inner.jobs.pop()? {
            Job::Module { dir, parent } => Some((dir, parent)),
            other => {
                inner.jobs.push(other);
                None
            }
        }
    }

    /// Takes work if there is some now.
    pub fn take_ready(&self) -> Option<Work> {
        self.lock().pop()
    }

    /// Takes work; waits while other workers may still add some.
    pub fn take(&self) -> Option<Work> {
        let mut inner = self.lock();
        loop {
            if let Some(work) = inner.pop() {
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

    /// Marks one taken job or file as done: it will queue nothing more.
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
        let dir = DirRef { task: 0, id: 0, path: Box::default(), inode: None };
        LargeFile { size, inode: 0, dir, mount: Mount::default(), name: Box::default(), slot: ResultSlot::default() }
    }

    fn directory() -> Job {
        Job::Directory { dir: DirRef { task: 0, id: 0, path: Box::default(), inode: None }, parent: None }
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
    fn another_module_only_if_enough_is_left_for_others() {
        let module = || {
            let dir = DirRef { task: 0, id: 0, path: Box::default(), inode: None };
            Job::Module { dir, parent: None }
        };
        let queue = Queue::new(vec![directory(), module(), module()]);
        assert!(queue.take_module(3).is_none());
        assert!(queue.take_module(2).is_some());
        queue.add_large(large(1));
        assert!(queue.take_module(0).is_none(), "a large file comes first");
        assert!(matches!(queue.take_ready(), Some(Work::Large(_))));
        assert!(queue.take_module(0).is_some());
        assert!(queue.take_module(0).is_none(), "it is a directory");
        assert!(matches!(queue.take_ready(), Some(Work::Job(Job::Directory { .. }))));
        assert!(queue.take_ready().is_none());
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
            // It counts as waiting until it has woken up.
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
            // The large file turned out to be a directory.
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
