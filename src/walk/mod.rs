//! The walk: every entry below the roots of all checks at once, by all cores, through handles only.
//!
//! Workers take directories from a shared stack ([`queue`]). A worker that lists a directory queues the directories in
//! it and reads its files, two at a time ([`hash`]); large files it leaves to all workers, who take the largest first.
//! Where a lock wants the NAR of a module, one worker takes the whole module in order ([`module`]) and reads each file
//! once for both digests. Nothing is recursive, and nothing holds a descriptor while it waits.

mod contents;
mod hash;
mod known;
mod linked;
mod listing;
mod module;
mod nodes;
mod observe;
mod open;
mod queue;
mod reach;
mod reading;
mod touched;
mod tree;
mod worker;

pub use contents::{Contents, contents};
pub use known::{fact, stamp};
pub use reach::Reach;
pub use touched::Start;
pub use tree::{Tree, TreeEntries};

use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::capability;
use crate::declaration::{Matched, Selection};
use crate::manifest::{AttributeSet, Content, Crossing, Kind, Record, Uncovered, Unverified};
use crate::stat_cache::{Known, Learned};
use linked::Linked;
use queue::{Job, Place, Queue};
use rustix::fs::Statx;
use tree::{DirectoryId, State};
use worker::FoundInTask;

/// What to collect below one root.
#[derive(Debug)]
pub struct Task<'a> {
    pub root: BorrowedFd<'a>,
    pub kind: Kind,
    pub selection: &'a Selection,
    pub attributes: AttributeSet,
    pub one_file_system: bool,
    pub nar: NarOf,
    /// When the run started, to tell what was touched since; nothing where nobody asks.
    pub start: Option<Start>,
    /// What was touched during the run is unverified.
    pub strict: bool,
    /// What is known of files, directories and links that were read before. A NAR needs all bytes, so a module of which one is wanted is
    /// read whatever is known.
    pub known: Option<&'a Known>,
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

/// How far a run is, for whoever wants to show it.
#[derive(Debug, Default)]
pub struct Progress {
    pub entries: AtomicU64,
    /// Bytes that were read of regular files whose digest is known.
    pub bytes: AtomicU64,
}

/// More threads than this are never started, whoever asks: each takes several mappings of memory, of which a process may
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

/// The threads that a run uses if nobody says how many: one a core.
#[must_use]
pub fn default_threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Collects everything that the tasks ask for. The result does not depend on the number of threads.
#[must_use]
pub fn collect(tasks: &[Task<'_>], threads: NonZeroUsize, progress: &Progress) -> Vec<Collection> {
    let jobs = (0..tasks.len()).rev().map(|task| {
        let place = Place { task, id: 0, path: Box::default(), inode: None };
        match tasks[task].nar {
            NarOf::Root => Job::Module { place, parent: None },
            NarOf::Modules | NarOf::Nothing => Job::Directory { place, parent: None },
        }
    });
    let run = Run {
        tasks,
        queue: Queue::new(jobs.collect()),
        directories: tasks.iter().map(|_| AtomicU32::new(1)).collect(),
        linked: Linked::new(capability::clock().0),
        progress,
        workers: threads.get().min(MOST_THREADS).min(affordable()),
        long: AtomicUsize::new(0),
    };
    let mut found = std::thread::scope(|scope| {
        // This thread is a worker too. Where the system has no thread left, those that there are do all the work.
        let run = &run;
        let spawn = |number| std::thread::Builder::new().spawn_scoped(scope, move || worker::work(run, number)).ok();
        let workers: Vec<_> = (1..run.workers).map_while(spawn).collect();
        let mut found = vec![worker::work(run, 0)];
        // A worker that panicked must not end as a tree with a hole in it.
        let join =
            |worker: std::thread::ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        found.extend(workers.into_iter().map(join));
        found
    });
    for number in 0..found.len() {
        for (slot, state) in std::mem::take(&mut found[number].elsewhere) {
            found[slot.worker].put(&slot, state);
        }
    }
    tasks.iter().enumerate().map(|(task, asked)| run.assemble(task, asked, &mut found)).collect()
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
    tasks: &'a [Task<'a>],
    queue: Queue,
    /// For each task, the next directory's number.
    directories: Vec<AtomicU32>,
    /// Files with several names.
    linked: Linked,
    progress: &'a Progress,
    /// How many were asked for, this thread among them. There are fewer if the system has no threads left.
    workers: usize,
    /// How many have a file before them that takes long.
    long: AtomicUsize,
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

impl Run<'_> {
    fn new_directory(&self, task: usize) -> DirectoryId {
        self.directories[task].fetch_add(1, Ordering::Relaxed)
    }

    /// Puts together what the workers found for one task.
    fn assemble(&self, task: usize, asked: &Task<'_>, found: &mut [worker::Found]) -> Collection {
        let count = self.directories[task].load(Ordering::Relaxed) as usize;
        let mut mounts = Vec::new();
        let mut learned = Learned::default();
        let mut matched = Matched::default();
        let mut links = Vec::new();
        let mut touched = 0;
        let mut pieces = Vec::new();
        for found in found {
            let FoundInTask { pieces: piece, notes: mut found } = std::mem::take(&mut found.tasks[task]);
            mounts.append(&mut found.mounts);
            learned.append(&mut found.learned);
            touched += found.touched;
            matched.merge(&found.matched);
            links.append(&mut found.links);
            pieces.push(piece);
        }
        links.sort();
        links.dedup();
        let mut uncovered = asked.selection.unmatched(&matched);
        uncovered.extend(links);
        mounts.sort();
        // A large file is looked at twice.
        mounts.dedup();
        let root = pieces.iter().find_map(|pieces| pieces.own.iter().find(|(id, _)| *id == 0));
        let root = match root {
            Some((_, Ok(Record { content: Content::Directory { nar }, .. }))) => Ok(*nar),
            Some((_, Err(reason))) => Err(reason.clone()),
            _ => Err(Unverified::Vanished),
        };
        Collection { tree: Tree::new(asked.kind, count, pieces), mounts, touched, root, learned, uncovered }
    }
}
