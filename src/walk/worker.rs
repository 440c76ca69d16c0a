//! One worker: takes jobs until there are none left, and stores the results in its [`WorkerState`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::ahead::LONG;
use super::cached::{self, Lookup};
use super::dir_entries::EntryRef;
use super::hash::{self, Lanes};
use super::inspect::{self, Inspected, refused};
use super::listing;
use super::nar_results::{self, Archives};
use super::notes::Notes;
use super::open::Mount;
use super::queue::{DirRef, Job, Work};
use super::reading::{HashTag, OpenFile};
use super::threads::CacheTest;
use super::tree::{CHUNK, DirectoryId, EntryState, NameChunk};
use super::worker_state::{HangTarget, LISTING_SLOT, WorkerState};
use super::{NarOf, Run, Task, nar_walk};
use crate::manifest::{Content, Kind, Record, Unverified};
use crate::path::ROOT;
use crate::stat_cache::listing::Listed;

/// A file of at least this many bytes is not read by the worker that finds it, but queued for all
/// ([`LargeFile`](super::queue::LargeFile)). Smaller files take less than a millisecond.
const LARGE: u64 = 1 << 20;

/// Where to store the result for a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResultSlot {
    /// The worker that listed the file.
    pub worker: usize,
    pub task: usize,
    pub chunk: usize,
    pub node: usize,
}

impl ResultSlot {
    /// Stores the result.
    pub fn put(self, run: &Run<'_>, state: EntryState) {
        run.states[self.worker].with_tree(self.task, |tree| tree.chunks[self.chunk].nodes.put(self.node, state));
    }
}

/// The files that a worker goes through.
struct Batch {
    dir: DirRef,
    directory: OwnedFd,
    mount: Mount,
    /// The worker whose state has the names, and the chunk there.
    owner: usize,
    chunk: usize,
    /// The next name to inspect.
    next: usize,
}

/// Runs the worker `number` until no work is left. Returns its notes by task; the entries are in its [`WorkerState`].
/// Calls `start_late` when a file is not in the page cache, until it returns false.
pub fn work(run: &Run<'_>, number: usize, start_late: Option<&dyn Fn() -> bool>) -> Vec<Notes> {
    let mut lanes: Lanes<HashTag> = Lanes::new(run.kernel, run.lanes);
    let matched = |task: &Task<'_>| Notes { matched: task.selection.unmatched_yet(), ..Notes::default() };
    let notes = run.tasks.iter().map(matched).collect();
    let state = &*run.states[number];
    let (buffer, name) = (Vec::new(), Vec::new());
    let test = CacheTest::new(start_late.filter(|_| run.workers < run.states.len()));
    let (batch, recent, long, archives) = (None, None, false, None);
    let mut worker = Worker { run, number, state, notes, test, batch, recent, long, archives, buffer, name };
    // Not before the threads are started: both take a while.
    if let Some(start) = run.start {
        start.pass();
    }
    while let Some(work) = run.queue.take_ready().or_else(|| {
        nar_results::finish(&mut worker);
        run.queue.take()
    }) {
        let mut first = match work {
            Work::Job(job) => {
                worker.begin(job);
                None
            }
            Work::Large(file) => worker.open_large(file, 0),
        };
        let worker = std::cell::RefCell::new(&mut worker);
        // One job after another supplies files, so that the lanes are always full.
        lanes.hash_all(
            &run.reader,
            |lane| state.tick(lane),
            |free| first.take().or_else(|| worker.borrow_mut().next_file(free)),
            |opened, hashed| worker.borrow_mut().settle(opened, hashed),
        );
        state.idle();
    }
    worker.notes
}

pub struct Worker<'a> {
    pub run: &'a Run<'a>,
    pub number: usize,
    pub state: &'a WorkerState,
    /// By task.
    pub notes: Vec<Notes>,
    pub test: CacheTest<'a>,
    batch: Option<Batch>,
    /// The last directory, still open: the next one is often in it.
    recent: Option<(DirRef, OwnedFd)>,
    /// Whether it reads a [`LONG`] file.
    long: bool,
    /// The archives of modules.
    pub archives: Option<Box<Archives>>,
    /// A buffer for listings.
    pub buffer: Vec<u8>,
    /// A buffer for a name.
    name: Vec<u8>,
}

impl Worker<'_> {
    /// Starts a job. Afterwards there is a batch of files, or none.
    fn begin(&mut self, job: Job) {
        match job {
            Job::Directory { dir, parent } => self.directory(dir, parent),
            Job::Names { dir, owner, chunk } => {
                // A mount here was noted when the directory was listed, so there is no parent to compare with.
                let task = &self.run.tasks[dir.task];
                let notes = &mut self.notes[dir.task];
                self.state.begin(LISTING_SLOT, dir.task, HangTarget::None, &dir.path, b"");
                match listing::open(task, &dir, None, None, &mut notes.mounts) {
                    Ok(opened) => {
                        cached::note_reopened(task, &dir, &opened.status, &mut notes.updates);
                        self.start_batch(dir, opened.file, opened.mount, owner, chunk);
                    }
                    Err(closed) => {
                        notes.updates.cache_miss = true;
                        let reason = closed.reason();
                        self.run.states[owner].with_tree(dir.task, |tree| {
                            let nodes = &mut tree.chunks[chunk].nodes;
                            nodes.update(|_, _| Some(EntryState::unverified(reason.clone())));
                        });
                    }
                }
            }
            Job::Module { dir, parent } => nar_walk::collect(self, dir, parent),
        }
        if self.batch.is_none() {
            self.run.queue.done();
        }
    }

    fn directory(&mut self, dir: DirRef, parent: Option<Mount>) {
        let task = &self.run.tasks[dir.task];
        let notes = &mut self.notes[dir.task];
        self.state.begin(LISTING_SLOT, dir.task, HangTarget::Directory(dir.id), &dir.path, b"");
        let above = self.recent.as_ref().filter(|(recent, _)| recent.is_directly_above(&dir));
        let above = above.map(|(_, directory)| directory.as_fd());
        let (opened, mut nodes) = match cached::list(task, &dir, above, parent, notes, &mut self.buffer) {
            Ok(listed) => listed,
            Err(reason) => {
                self.state.with_tree(dir.task, |tree| tree.directories.push((dir.id, Err(reason))));
                return;
            }
        };
        let record = Record { content: Content::Directory { nar: None }, attributes: opened.attributes };
        if dir.id == 0 && record.attributes.is_some() {
            nodes.push(ROOT, EntryState::Recorded(record.clone()));
            nodes.sort();
        }
        self.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
        // Splits from the end: each chunk gets memory of its own size, and the rest releases that memory.
        let number = nodes.len().div_ceil(CHUNK);
        let mut chunks = Vec::new();
        for number in (1..number).rev() {
            let chunk = nodes.split_off(number * CHUNK);
            nodes.shrink_to_fit();
            chunks.push(NameChunk { directory: dir.id, number, nodes: chunk });
        }
        chunks.push(NameChunk { directory: dir.id, number: 0, nodes });
        let count = chunks.len();
        // All chunks at once: if the walk is given up, a directory has all of its names or none.
        let first = self.state.with_tree(dir.task, |tree| {
            tree.directories.push((dir.id, Ok(record)));
            tree.chunks.append(&mut chunks);
            tree.chunks.len() - count
        });
        if count == 1 {
            self.start_batch(dir, opened.file, opened.mount, self.number, first);
            return;
        }
        let owner = self.number;
        self.run.queue.add((first..first + count).map(|chunk| Job::Names { dir: dir.clone(), owner, chunk }));
    }

    /// Queues the directories among the names. The rest become the batch.
    fn start_batch(&mut self, dir: DirRef, directory: OwnedFd, mount: Mount, owner: usize, chunk: usize) {
        let run = self.run;
        let mut jobs = Vec::new();
        run.states[owner].with_tree(dir.task, |tree| {
            tree.chunks[chunk].nodes.update(|name, state| match state {
                EntryRef::Pending(listed) if listed.file_type == FileType::Directory => {
                    let (id, job) = below(run, &dir, name, mount, Some(listed.inode));
                    jobs.push(job);
                    Some(EntryState::Directory(id))
                }
                _ => None,
            });
        });
        run.queue.add(jobs.into_iter().rev());
        self.batch = Some(Batch { dir, directory, mount, owner, chunk, next: 0 });
    }

    /// The next file to read, from the batch, the large files or the next job.
    ///
    /// The first half of the lanes prefers large files; the other lanes take them only if nothing else is left. So a
    /// large file never waits for small ones, and two large files share a core only if no other core is free. While a
    /// [`LONG`] file is read, and some other core has none, the other lanes take only large files once the batch is
    /// done, since no other worker can take over the batch. More than two lanes slow each other down. In that case the
    /// other lanes take large files only if [`Run::shares_long`] says so.
    fn next_file(&mut self, free: hash::FreeLane) -> Option<hash::FileToHash<HashTag>> {
        let busy = free.beside.is_some();
        let lane = free.lane;
        let long = free.beside.is_some_and(|left| left >= LONG);
        if self.long != long {
            self.long = long;
            match long {
                true => self.run.long.fetch_add(1, Ordering::Relaxed),
                false => self.run.long.fetch_sub(1, Ordering::Relaxed),
            };
        }
        loop {
            let only_large = long && self.batch.is_none() && self.run.long.load(Ordering::Relaxed) < self.run.workers;
            if only_large && self.run.lanes > 2 && !self.run.shares_long(free.beside) {
                return None;
            }
            if (free.first || only_large)
                && let Some(file) = self.run.queue.take_large(busy)
            {
                if let Some(opened) = self.open_large(file, lane) {
                    return Some(opened);
                }
                continue;
            }
            if only_large {
                return None;
            }
            if let Some(mut batch) = self.batch.take() {
                let opened = self.next_in(&mut batch, lane);
                if opened.is_some() {
                    self.batch = Some(batch);
                    return opened;
                }
                self.recent = Some((batch.dir, batch.directory));
                self.run.queue.done();
            }
            if let Some(job) = self.run.queue.take_now() {
                self.begin(job);
            } else {
                let file = self.run.queue.take_large(busy)?;
                if let Some(opened) = self.open_large(file, lane) {
                    return Some(opened);
                }
            }
        }
    }

    /// The next file in a batch that this worker reads itself.
    fn next_in(&mut self, batch: &mut Batch, lane: usize) -> Option<hash::FileToHash<HashTag>> {
        let task = batch.dir.task;
        loop {
            let name = &mut self.name;
            let listed = self.run.states[batch.owner].with_tree(task, |tree| {
                let nodes = &tree.chunks[batch.chunk].nodes;
                while let Some((next, state)) = nodes.get(batch.next) {
                    batch.next += 1;
                    if let EntryRef::Pending(listed) = state {
                        name.clear();
                        name.extend_from_slice(next);
                        return Some(listed);
                    }
                }
                None
            })?;
            let slot = ResultSlot { worker: batch.owner, task, chunk: batch.chunk, node: batch.next - 1 };
            self.state.begin(lane, task, HangTarget::Entry(slot), &batch.dir.path, name);
            let at = OpenDir { dir: &batch.dir, directory: batch.directory.as_fd(), mount: batch.mount };
            match inspect_name(self.run, &at, name, listed, &mut self.notes[task]) {
                Ok((file, status)) if status.stx_size < LARGE && status.stx_nlink == 1 => {
                    self.test.opened(&file);
                    let (tag, file) = (HashTag::of(slot), Arc::new(file));
                    return Some(hash::FileToHash { tag, file, status, repeated: false, alone: false });
                }
                Ok((file, status)) => {
                    self.test.opened(&file);
                    let file = OpenFile {
                        file,
                        status,
                        dir: &batch.dir,
                        mount: batch.mount,
                        name: self.name[..].into(),
                        slot,
                    };
                    if status.stx_size >= LARGE {
                        self.run.queue.add_large(file.queued());
                    } else if let Some(opened) = self.unless_read_elsewhere(file) {
                        return Some(opened);
                    }
                }
                Err(state) => slot.put(self.run, state),
            }
        }
    }
}

/// An open directory.
pub struct OpenDir<'a> {
    pub dir: &'a DirRef,
    pub directory: BorrowedFd<'a>,
    pub mount: Mount,
}

/// Inspects a name in a directory. Returns a file to read, or the final state as an error. Queues a directory that was
/// listed as something else.
pub fn inspect_name(
    run: &Run<'_>,
    at: &OpenDir<'_>,
    name: &[u8],
    listed: Listed,
    notes: &mut Notes,
) -> Result<(OwnedFd, Statx), EntryState> {
    let task = &run.tasks[at.dir.task];
    let looked = cached::look_up(task, at.directory, name, listed, &mut notes.updates);
    if let Some(status) = looked.status()
        && Mount::of(status) != at.mount
    {
        listing::note_mount(task, &join(&at.dir.path, name), status, Some(at.mount), &mut notes.mounts)
            .map_err(EntryState::unverified)?;
    }
    let settled = |state: EntryState, notes: &mut Notes| {
        notes.note_link(task, &at.dir.path, name, &state);
        Err(state)
    };
    match looked {
        Lookup::Hit { record, .. } => settled(EntryState::Recorded(record), notes),
        Lookup::Miss(Inspected::File(file, status)) => Ok((file, status)),
        Lookup::Miss(Inspected::Settled(EntryState::Recorded(record), Some(status))) => {
            let state = EntryState::Recorded(record);
            notes.note_link(task, &at.dir.path, name, &state);
            let EntryState::Recorded(record) = state else { return Err(state) };
            Err(task.state(record, &status, false, &mut notes.touched))
        }
        Lookup::Miss(Inspected::Settled(state, _)) => settled(state, notes),
        Lookup::Miss(Inspected::Directory) => {
            let (id, job) = below(run, at.dir, name, at.mount, None);
            run.queue.add([job]);
            Err(EntryState::Directory(id))
        }
    }
}

/// The record of a regular file with this digest.
pub fn file_record(
    file: &OwnedFd,
    status: &Statx,
    sha256: crate::manifest::Sha256Digest,
    attributes: crate::manifest::AttributeSet,
) -> Result<Record, Unverified> {
    let attributes =
        inspect::of_open(file.as_fd(), status, attributes).map_err(|errno| refused("read its attributes", errno))?;
    Ok(Record { content: file_content(status, sha256), attributes })
}

/// The content of a regular file with this digest.
pub const fn file_content(status: &Statx, sha256: crate::manifest::Sha256Digest) -> Content {
    Content::File { executable: status.stx_mode & 0o100 != 0, size: status.stx_size, sha256 }
}

/// Registers a directory below `above`, listed with this `inode`. Returns the job to collect it.
fn below(run: &Run<'_>, above: &DirRef, name: &[u8], mount: Mount, inode: Option<u64>) -> (DirectoryId, Job) {
    let id = run.new_directory(above.task);
    let dir = DirRef { task: above.task, id, path: join(&above.path, name), inode };
    let task = &run.tasks[above.task];
    let job = if above.id == 0 && task.kind == Kind::Trees && task.nar == NarOf::Modules {
        Job::Module { dir, parent: Some(mount) }
    } else {
        Job::Directory { dir, parent: Some(mount) }
    };
    (id, job)
}

/// Joins a directory's path and a name.
pub fn join(directory: &[u8], name: &[u8]) -> Box<[u8]> {
    if directory.is_empty() { name.into() } else { [directory, name].join(&b'/').into() }
}
