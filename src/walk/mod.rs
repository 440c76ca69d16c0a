//! The walk: every entry below the roots of all checks at once, by all cores, through handles only.
//!
//! Workers take directories from a shared stack ([`queue`]). A worker that lists a directory queues the directories in
//! it and reads its files, two at a time ([`hash`]); large files it leaves to all workers, who take the largest first.
//! Where a lock wants the NAR of a module, one worker takes the whole module in order ([`module`]) and reads each file
//! once for both digests. Nothing is recursive, and nothing holds a descriptor while it waits.

mod contents;
mod desk;
mod fill;
mod hash;
mod known;
mod linked;
mod listing;
mod module;
mod nodes;
mod notes;
mod observe;
mod open;
mod progress;
mod queue;
mod reach;
mod reading;
mod status;
mod touched;
mod tree;
mod worker;

pub use contents::{Contents, contents};
pub use known::{fact, stamp};
pub use progress::{AtWork, Progress};
pub use reach::Reach;
pub use status::status;
pub use touched::Start;
pub use tree::{Tree, TreeEntries};

use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::capability;
use crate::declaration::{Matched, Selection};
use crate::digest;
use crate::manifest::{AttributeSet, Content, Crossing, Kind, Record, Uncovered, Unverified};
use crate::stat_cache::{Known, Learned};
use desk::{Desk, What};
use driftlock_lanes::Kernel;
use linked::Linked;
use notes::Notes;
use progress::Ending;
use queue::{Job, Place, Queue};
use rustix::fs::Statx;
use tree::{DirectoryId, Pieces, State};

/// What to collect below one root.
#[derive(Debug)]
pub struct Task<'a> {
    pub root: BorrowedFd<'a>,
    /// The root as people know it.
    pub name: String,
    pub kind: Kind,
    pub selection: &'a Selection,
    pub attributes: AttributeSet,
    pub one_file_system: bool,
    pub nar: NarOf,
    /// When the run started, to tell what was touched since; `None` if that is not wanted.
    pub start: Option<Start>,
    /// What was touched during the run is unverified.
    pub strict: bool,
    /// What is known of files, directories and links that were read before. A NAR needs all bytes, so a module of which one is
    /// wanted is read whatever is known.
    pub known: Option<Arc<Known>>,
    /// Whether a link on the way of a glob is an entry, too.
    pub links_on_the_way: bool,
    /// Where links may lead, and where the root really lies. Without it nothing is said of links.
    pub reach: Option<(&'a Reach<'a>, &'a Path)>,
}

/// Of what the digest of the Nix archive is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NarOf {
    Nothing,
    /// Of each directory directly below the root.
    Modules,
    /// Of the root as a whole.
    Root,
}

/// What was found below one root.
#[derive(Debug)]
pub struct Collection {
    pub tree: Tree,
    /// Where something lies that is on another mount than the directory it is in, sorted.
    pub mounts: Vec<Crossing>,
    /// How many entries were touched during the run: see [`Tree::touched`].
    pub touched: u64,
    /// The root itself: its NAR if that was asked for, or why it could not be read.
    pub root: Result<Option<crate::manifest::Sha256Digest>, Unverified>,
    /// What was taken from [`Task::known`], and what is to be added to it.
    pub learned: Learned,
    /// What lies on the way and is not looked at, sorted.
    pub uncovered: Vec<Uncovered>,
}

/// More threads than this are never started: each takes several mappings of memory, of which a process may
/// have 65,530, and no machine reads faster with more.
const MOST_THREADS: usize = 512;

/// The address space that a thread takes, in bytes: its stack, what the C library sets aside for its allocations, and its
/// buffers.
const OF_A_THREAD: u64 = 72 << 20;

/// As many threads as half of the address space that this process may use has room for. The other half is for what they
/// find: an allocation that fails ends the process.
fn affordable() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    limit.map_or(MOST_THREADS, |limit| usize::try_from(limit / 2 / OF_A_THREAD).unwrap_or(MOST_THREADS)).max(1)
}

/// How many files each of the workers may have open at once, of so many at most.
///
/// Beside these a worker has three directories open, and the process its own files and two for each root.
fn open_files(most: usize, workers: usize, tasks: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let each = limit.saturating_sub(16).saturating_sub(tasks.saturating_mul(2)) / workers;
    each.saturating_sub(3).clamp(most.min(2), most)
}

/// The default number of threads: one a core.
#[must_use]
pub fn default_threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Collects everything that the tasks ask for. The result does not depend on the number of threads.
#[must_use]
pub fn collect(tasks: Vec<Task<'_>>, threads: NonZeroUsize, progress: &Progress) -> Vec<Collection> {
    let run = Run::new(tasks, threads, progress);
    let notes = std::thread::scope(|scope| {
        // This thread is a worker too. Where the system has no thread left, those that there are do all the work.
        let run = &run;
        let spawn = |number| std::thread::Builder::new().spawn_scoped(scope, move || worker::work(run, number)).ok();
        let workers: Vec<_> = (1..run.workers).map_while(spawn).collect();
        let mut notes = vec![worker::work(run, 0)];
        let join =
            |worker: std::thread::ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        notes.extend(workers.into_iter().map(join));
        notes
    });
    run.finish(notes, None)
}

/// The same, unless it is given up ([`Progress::give_up`]): then what was found until that moment, and `true`. Threads that
/// wait for an answer stay behind, with all that they may look at once more.
#[must_use]
pub fn collect_until_given_up(
    tasks: Vec<Task<'static>>,
    threads: NonZeroUsize,
    progress: &'static Progress,
) -> (Vec<Collection>, bool) {
    let run = Arc::new(Run::new(tasks, threads, progress));
    let spawn = |number| {
        let run = run.clone();
        let work = move || {
            let _ended = Ending(progress);
            let notes = worker::work(&run, number);
            drop(run);
            notes
        };
        std::thread::Builder::new().spawn(work).ok()
    };
    let workers: Vec<_> = (0..run.workers).map_while(spawn).collect();
    if workers.is_empty() {
        return (run.finish(vec![worker::work(&run, 0)], None), false);
    }
    let given_up = progress.wait(workers.len());
    let join = |worker: std::thread::JoinHandle<Vec<Notes>>| match &given_up {
        Some(_) if !worker.is_finished() => run.tasks.iter().map(|_| Notes::default()).collect(),
        _ => worker.join().unwrap_or_else(|panic| resume_unwind(panic)),
    };
    let notes = workers.into_iter().map(join).collect();
    let is_given_up = given_up.is_some();
    (run.finish(notes, given_up), is_given_up)
}

/// Reads one regular file that is open already: its record, and the digest of the Nix archive that it alone makes.
///
/// # Errors
/// Why it could not be read, or that it did not hold still.
pub fn file(file: &OwnedFd) -> Result<(Record, crate::manifest::Sha256Digest), Unverified> {
    module::file(file)
}

/// What all workers share.
struct Run<'a> {
    tasks: Vec<Task<'a>>,
    queue: Queue,
    /// For each task, the next directory's number.
    directories: Vec<AtomicU32>,
    /// Files with several names.
    linked: Linked,
    progress: &'a Progress,
    /// What each worker has found, and what it is at.
    desks: Vec<Arc<Desk>>,
    /// How many were asked for, this thread among them. There are fewer if the system has no threads left.
    workers: usize,
    /// How many have a file before them that takes long.
    long: AtomicUsize,
    kernel: Kernel,
    /// How many files each worker reads at once.
    lanes: usize,
}

impl Task<'_> {
    /// What becomes of an entry that was looked at, by whether it was touched since the run started.
    fn state(&self, record: Record, status: &Statx, repeated: bool, touched: &mut u64) -> State {
        match self.start {
            Some(start) if repeated || start.is_before(status) => {
                if self.strict {
                    return State::unverified(Unverified::Touched);
                }
                *touched += 1;
                State::Touched(Box::new(record))
            }
            _ => State::Recorded(record),
        }
    }
}

impl<'a> Run<'a> {
    fn new(tasks: Vec<Task<'a>>, threads: NonZeroUsize, progress: &'a Progress) -> Self {
        let jobs = (0..tasks.len()).rev().map(|task| {
            let place = Place { task, id: 0, path: Box::default(), inode: None };
            match tasks[task].nar {
                NarOf::Root => Job::Module { place, parent: None },
                NarOf::Modules | NarOf::Nothing => Job::Directory { place, parent: None },
            }
        });
        let workers = threads.get().min(MOST_THREADS).min(affordable());
        let desks: Vec<_> = (0..workers).map(|_| Arc::new(Desk::new(tasks.len()))).collect();
        progress.begin(desks.clone(), tasks.iter().map(|task| task.name.clone()).collect());
        let directories = tasks.iter().map(|_| AtomicU32::new(1)).collect();
        let queue = Queue::new(jobs.collect());
        let kernel = digest::kernel();
        let lanes = open_files(kernel.lanes(), workers, tasks.len());
        Self {
            tasks,
            queue,
            directories,
            linked: Linked::new(i64::try_from(capability::moment().as_nanosecond()).unwrap_or(0)),
            progress,
            desks,
            workers,
            long: AtomicUsize::new(0),
            kernel,
            lanes,
        }
    }

    /// Whether a file of which so many bytes are left shares its core with other large ones: the other cores, each of which
    /// reads in all of its lanes while this one would read in one, would have more to do with these.
    fn shares_long(&self, left: Option<u64>) -> bool {
        let meanwhile = left.unwrap_or(0).saturating_mul(self.lanes as u64);
        self.queue.large_bytes() / self.workers as u64 >= meanwhile
    }

    fn new_directory(&self, task: usize) -> DirectoryId {
        self.directories[task].fetch_add(1, Ordering::Relaxed)
    }

    /// Puts together what the workers found, with what each of them noted. If it was given up, these waited for an answer.
    fn finish(&self, mut notes: Vec<Vec<Notes>>, given_up: Option<Vec<usize>>) -> Vec<Collection> {
        for &waiting in given_up.iter().flatten() {
            let Some((_, spot)) = self.desks[waiting].look() else { continue };
            match spot.what {
                What::Nowhere => {}
                What::Directory(id) => {
                    self.desks[waiting].pieces(spot.task, |pieces| pieces.own.push((id, Err(Unverified::Hangs))));
                }
                What::Entry(slot) => slot.put(self, State::unverified(Unverified::Hangs)),
            }
        }
        let mut pieces: Vec<_> = self.desks.iter().map(|desk| desk.take()).collect();
        self.progress.end();
        let assemble = |(number, task)| {
            let notes = notes.iter_mut().map(|notes| std::mem::take(&mut notes[number])).collect();
            let pieces = pieces.iter_mut().map(|pieces| std::mem::take(&mut pieces[number])).collect();
            self.assemble(number, task, pieces, notes, given_up.is_some())
        };
        self.tasks.iter().enumerate().map(assemble).collect()
    }

    /// Puts together what the workers found for one task.
    fn assemble(
        &self,
        task: usize,
        asked: &Task<'_>,
        pieces: Vec<Pieces>,
        notes: Vec<Notes>,
        given_up: bool,
    ) -> Collection {
        let count = self.directories[task].load(Ordering::Relaxed) as usize;
        let left = if given_up { Unverified::GivenUp } else { Unverified::Vanished };
        let mut mounts = Vec::new();
        let mut learned = Learned::default();
        let mut matched = Matched::default();
        let mut links = Vec::new();
        // Those who stayed behind may have met some.
        let mut touched = u64::from(given_up);
        for mut notes in notes {
            mounts.append(&mut notes.mounts);
            learned.append(&mut notes.learned);
            touched += notes.touched;
            matched.merge(&notes.matched);
            links.append(&mut notes.links);
        }
        links.sort();
        links.dedup();
        // What was not met may be behind what was not read.
        let mut uncovered = if given_up { Vec::new() } else { asked.selection.unmatched(&matched) };
        uncovered.extend(links);
        mounts.sort();
        // A large file is looked at twice.
        mounts.dedup();
        let root = pieces.iter().find_map(|pieces| pieces.own.iter().find(|(id, _)| *id == 0));
        let root = match root {
            Some((_, Ok(Record { content: Content::Directory { nar }, .. }))) => Ok(*nar),
            Some((_, Err(reason))) => Err(reason.clone()),
            _ => Err(left.clone()),
        };
        Collection { tree: Tree::new(asked.kind, count, pieces, left), mounts, touched, root, learned, uncovered }
    }
}
