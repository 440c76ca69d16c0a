//! The walk: collects every entry below the roots of all checks at once, on all cores, through handles only.
//!
//! Workers take directories from a shared stack ([`queue`]). A worker that lists a directory queues its subdirectories
//! and reads its files, several at a time ([`hash`]). Large files go into a queue of their own, from which every worker
//! takes the largest first. If a check needs the NAR of a module, one worker walks the whole module in order
//! ([`nar_walk`]) and reads each file once for both digests; it may walk several modules at once, to hash them side by
//! side ([`nar_streams`]). Nothing is recursive, and nothing that waits holds a descriptor.

mod ahead;
mod cached;
mod contents;
mod coverage;
mod dir_entries;
mod effort;
mod fill;
mod hard_links;
mod hash;
mod inspect;
mod listing;
mod nar_results;
mod nar_stage;
mod nar_streams;
mod nar_walk;
mod notes;
mod open;
mod progress;
mod queue;
mod reading;
mod status;
mod threads;
mod touched;
mod tree;
mod worker;
mod worker_state;

pub use cached::{cached_digest, stamp};
pub use contents::{Contents, contents};
pub use coverage::Coverage;
pub use effort::Effort;
pub use progress::{AtWork, Progress};
pub use status::status;
pub use threads::{Threads, default_threads};
pub use touched::RunStart;
pub use tree::{Tree, TreeEntries};

use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::capability;
use crate::declaration::{Matched, Selection};
use crate::digest;
use crate::manifest::{AttributeSet, Content, Crossing, Kind, Record, Uncovered, Unverified};
use crate::stat_cache::{CacheUpdates, CacheView};
use driftlock_lanes::Kernel;
use effort::Reader;
use hard_links::HardLinks;
use notes::Notes;
use queue::{DirRef, Job, Queue};
use rustix::fs::Statx;
use threads::{Allotment, LateWorkers};
use tree::{DirectoryId, EntryState, PartialTree};
use worker_state::{HangTarget, WorkerState};

/// What to collect below one root.
#[derive(Debug)]
pub struct Task<'a> {
    pub root: BorrowedFd<'a>,
    /// The root, as messages show it.
    pub name: String,
    pub kind: Kind,
    pub selection: &'a Selection,
    pub attributes: AttributeSet,
    pub one_file_system: bool,
    pub nar: NarOf,
    /// When the run started, to find entries that were touched since; `None` to skip that.
    pub start: Option<RunStart>,
    /// Whether an entry that was touched during the run is unverified.
    pub strict: bool,
    /// What an earlier run read. A NAR needs all bytes, so a module with a NAR is read even if it is cached.
    pub cache: Option<Arc<CacheView>>,
    /// Whether to record a link that stands where a glob has a directory.
    pub links_on_the_way: bool,
    /// What all checks cover, and the resolved path of this root. `None`: do not report links that lead out of the
    /// checks.
    pub coverage: Option<(&'a Coverage<'a>, &'a Path)>,
}

/// For which directories to compute the digest of the Nix archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NarOf {
    Nothing,
    /// For each directory directly below the root.
    Modules,
    /// For the root as a whole.
    Root,
}

/// What was found below one root.
#[derive(Debug)]
pub struct Collection {
    pub tree: Tree,
    /// Entries that are on another mount than their directory, sorted.
    pub mounts: Vec<Crossing>,
    /// How many entries were touched during the run: see [`Tree::touched`].
    pub touched: u64,
    /// The NAR of the root if [`NarOf::Root`] asked for it, or why the root could not be read.
    pub root: Result<Option<crate::manifest::Sha256Digest>, Unverified>,
    /// Which parts of [`Task::cache`] were used, and what to add to it.
    pub updates: CacheUpdates,
    /// What the checks lead to and do not cover, sorted.
    pub uncovered: Vec<Uncovered>,
}

/// Collects the entries of all tasks. The result does not depend on the number of threads.
#[must_use]
pub fn collect(tasks: Vec<Task<'_>>, effort: Effort, progress: &Progress) -> Vec<Collection> {
    let run = Run::new(tasks, effort, progress);
    let notes = std::thread::scope(|scope| {
        let run = &run;
        let start_late = move || {
            let spawn = |number| {
                let work = move || run.late.push(worker::work(run, number, None));
                std::thread::Builder::new().spawn_scoped(scope, work).ok()
            };
            run.late_workers().map_while(spawn).for_each(drop);
            run.has_late_workers()
        };
        // This thread is a worker too. If the system can't start more threads, those that run do all the work.
        let spawn = |number| {
            let work = move || worker::work(run, number, Some(&start_late));
            std::thread::Builder::new().spawn_scoped(scope, work).ok()
        };
        let workers: Vec<_> = (1..run.workers).map_while(spawn).collect();
        let mut notes = vec![worker::work(run, 0, Some(&start_late))];
        let join =
            |worker: std::thread::ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        notes.extend(workers.into_iter().map(join));
        notes
    });
    run.finish(notes, None)
}

/// Like [`collect`], but returns early if the walk is given up ([`Progress::give_up`]): then with what was found so
/// far, and `true`. Threads that wait for the file system stay behind, with everything that they use.
#[must_use]
pub fn collect_until_given_up(
    tasks: Vec<Task<'static>>,
    effort: Effort,
    progress: &'static Progress,
) -> (Vec<Collection>, bool) {
    let run = Arc::new(Run::new(tasks, effort, progress));
    let late = run.clone();
    let start_late = move || {
        let spawn = |number| {
            let (run, guard) = (late.clone(), progress.begin_worker());
            let work = move || {
                let _ended = guard;
                run.late.push(worker::work(&run, number, None));
                drop(run);
            };
            std::thread::Builder::new().spawn(work).ok()
        };
        late.late_workers().map_while(spawn).for_each(drop);
        late.has_late_workers()
    };
    let spawn = |number| {
        let (run, guard, start_late) = (run.clone(), progress.begin_worker(), start_late.clone());
        let work = move || {
            let _ended = guard;
            let notes = worker::work(&run, number, Some(&start_late));
            drop((run, start_late));
            notes
        };
        std::thread::Builder::new().spawn(work).ok()
    };
    let workers: Vec<_> = (0..run.workers).map_while(spawn).collect();
    if workers.is_empty() {
        return (run.finish(vec![worker::work(&run, 0, None)], None), false);
    }
    let given_up = progress.wait();
    let join = |worker: std::thread::JoinHandle<Vec<Notes>>| match &given_up {
        Some(_) if !worker.is_finished() => run.tasks.iter().map(|_| Notes::default()).collect(),
        _ => worker.join().unwrap_or_else(|panic| resume_unwind(panic)),
    };
    let notes = workers.into_iter().map(join).collect();
    let is_given_up = given_up.is_some();
    (run.finish(notes, given_up), is_given_up)
}

/// Reads one open regular file: its record, and the digest of the Nix archive of this file alone.
///
/// # Errors
/// The file could not be read, or it changed while it was read.
pub fn file(file: &OwnedFd, effort: Effort) -> Result<(Record, crate::manifest::Sha256Digest), Unverified> {
    nar_walk::file(file, &Reader::new(effort, effort.threads.within_limits(1, 1).helpers))
}

/// The state that all workers share.
struct Run<'a> {
    tasks: Vec<Task<'a>>,
    /// [`Task::start`].
    start: Option<RunStart>,
    queue: Queue,
    /// For each task, the next free [`DirectoryId`].
    directories: Vec<AtomicU32>,
    /// Files with several hard links.
    hard_links: HardLinks,
    progress: &'a Progress,
    /// What each worker has found, and what it is doing.
    states: Vec<Arc<WorkerState>>,
    /// The number of workers that start at once. Fewer run if the system can't start more threads.
    workers: usize,
    late: LateWorkers,
    /// The number of workers that read a file of at least [`ahead::LONG`] bytes.
    long: AtomicUsize,
    kernel: Kernel,
    /// How many files each worker hashes at once.
    lanes: usize,
    /// How many modules each worker may walk at once.
    modules: usize,
    reader: Arc<Reader>,
}

impl Task<'_> {
    /// The state of an inspected entry: whether it was touched since the run started.
    fn state(&self, record: Record, status: &Statx, repeated: bool, touched: &mut u64) -> EntryState {
        match self.start {
            Some(start) if repeated || start.is_before(status) => {
                if self.strict {
                    return EntryState::unverified(Unverified::Touched);
                }
                *touched += 1;
                EntryState::Touched(Box::new(record))
            }
            _ => EntryState::Recorded(record),
        }
    }
}

impl<'a> Run<'a> {
    fn new(tasks: Vec<Task<'a>>, effort: Effort, progress: &'a Progress) -> Self {
        let jobs = (0..tasks.len()).rev().map(|task| {
            let dir = DirRef { task, id: 0, path: Box::default(), inode: None };
            match tasks[task].nar {
                NarOf::Root => Job::Module { dir, parent: None },
                NarOf::Modules | NarOf::Nothing => Job::Directory { dir, parent: None },
            }
        });
        let kernel = digest::kernel();
        let Allotment { first: workers, most, lanes, modules, helpers } =
            effort.threads.within_limits(kernel.lanes(), tasks.len());
        let states: Vec<_> = (0..most).map(|_| Arc::new(WorkerState::new(tasks.len()))).collect();
        progress.begin(states.clone(), tasks.iter().map(|task| task.name.clone()).collect());
        let directories = tasks.iter().map(|_| AtomicU32::new(1)).collect();
        let queue = Queue::new(jobs.collect());
        Self {
            start: tasks.iter().find_map(|task| task.start),
            tasks,
            queue,
            directories,
            hard_links: HardLinks::new(i64::try_from(capability::moment().as_nanosecond()).unwrap_or(0)),
            progress,
            states,
            workers,
            late: LateWorkers::default(),
            long: AtomicUsize::new(0),
            kernel,
            lanes,
            modules,
            reader: Arc::new(Reader::new(effort, helpers)),
        }
    }

    /// The numbers of the workers to start because a file is not in the page cache.
    fn late_workers(&self) -> std::ops::Range<usize> {
        self.late.next(self.workers, self.states.len(), self.queue.waiting())
    }

    /// Whether more of them can be started.
    fn has_late_workers(&self) -> bool {
        !self.late.are_all(self.workers, self.states.len())
    }

    /// Whether to hash other large files beside one that has `left` bytes left. That slows this file down. It is worth
    /// it if the other cores, which hash in all of their lanes, would need longer for the waiting large files.
    fn shares_long(&self, left: Option<u64>) -> bool {
        let meanwhile = left.unwrap_or(0).saturating_mul(self.lanes as u64);
        self.queue.large_bytes() / self.workers as u64 >= meanwhile
    }

    fn new_directory(&self, task: usize) -> DirectoryId {
        self.directories[task].fetch_add(1, Ordering::Relaxed)
    }

    /// Combines what the workers found. If the walk was given up, `given_up` has the workers that waited for the file
    /// system.
    fn finish(&self, mut notes: Vec<Vec<Notes>>, given_up: Option<Vec<usize>>) -> Vec<Collection> {
        notes.extend(self.late.take());
        for &waiting in given_up.iter().flatten() {
            let Some((_, operation)) = self.states[waiting].current() else { continue };
            match operation.what {
                HangTarget::None => {}
                HangTarget::Directory(id) => {
                    self.states[waiting]
                        .with_tree(operation.task, |tree| tree.directories.push((id, Err(Unverified::Hangs))));
                }
                HangTarget::Entry(slot) => slot.put(self, EntryState::unverified(Unverified::Hangs)),
            }
        }
        let mut trees: Vec<_> = self.states.iter().map(|state| state.take_trees()).collect();
        self.progress.end();
        let assemble = |(number, task)| {
            let notes = notes.iter_mut().map(|notes| std::mem::take(&mut notes[number])).collect();
            let trees = trees.iter_mut().map(|trees| std::mem::take(&mut trees[number])).collect();
            self.assemble(number, task, trees, notes, given_up.is_some())
        };
        self.tasks.iter().enumerate().map(assemble).collect()
    }

    /// Combines what the workers found for one task.
    fn assemble(
        &self,
        task: usize,
        asked: &Task<'_>,
        trees: Vec<PartialTree>,
        notes: Vec<Notes>,
        given_up: bool,
    ) -> Collection {
        let count = self.directories[task].load(Ordering::Relaxed) as usize;
        let left = if given_up { Unverified::GivenUp } else { Unverified::Vanished };
        let mut mounts = Vec::new();
        let mut updates = CacheUpdates::default();
        let mut matched = Matched::default();
        let mut links = Vec::new();
        // Workers that stayed behind may have met touched entries.
        let mut touched = u64::from(given_up);
        for mut notes in notes {
            mounts.append(&mut notes.mounts);
            updates.append(&mut notes.updates);
            touched += notes.touched;
            matched.merge(&notes.matched);
            links.append(&mut notes.links);
        }
        links.sort();
        links.dedup();
        // If the walk was given up, a glob may match something that was not read.
        let mut uncovered = if given_up { Vec::new() } else { asked.selection.unmatched(&matched) };
        uncovered.extend(links);
        mounts.sort();
        // A large file is inspected twice.
        mounts.dedup();
        let root = trees.iter().find_map(|tree| tree.directories.iter().find(|(id, _)| *id == 0));
        let root = match root {
            Some((_, Ok(Record { content: Content::Directory { nar }, .. }))) => Ok(*nar),
            Some((_, Err(reason))) => Err(reason.clone()),
            _ => Err(left.clone()),
        };
        Collection { tree: Tree::new(asked.kind, count, trees, left), mounts, touched, root, updates, uncovered }
    }
}
