//! One worker: takes jobs until there are no more, and keeps what it found to itself until the end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::hash::{self, Lane};
use super::known::{self, Looked};
use super::listing;
use super::nodes::Nodes;
use super::observe::{self, Seen, refused};
use super::open::Mount;
use super::queue::{Job, Place, Work};
use super::reading::{Named, Purpose};
use super::tree::{DirectoryId, PART, Part, Pieces, State};
use super::{NarOf, Run, Task, module};
use crate::declaration::Matched;
use crate::manifest::{Content, Crossing, Kind, Record, Uncovered, Unverified};
use crate::path::{EntryPath, ROOT};
use crate::stat_cache::Learned;
use crate::stat_cache::listing::Listed;

/// From this size on, in bytes, a file is not read by whoever finds it, but queued for all ([`LargeFile`]). Below it, a
/// file takes less than a millisecond.
const LARGE: u64 = 1 << 20;

/// Beside a file of which so many bytes are left, no small ones are read, as long as another core can do that: it takes a
/// tenth of a second more, so it may well be what the run ends with, and they would hold it up.
const LONG: u64 = 256 << 20;

/// What one worker found.
pub struct Found {
    pub tasks: Vec<FoundInTask>,
    /// What became of large files that other workers had found.
    pub elsewhere: Vec<(Slot, State)>,
}

impl Found {
    /// Keeps what became of a file that this worker found.
    pub fn put(&mut self, slot: &Slot, state: State) {
        self.tasks[slot.task].pieces.parts[slot.part].nodes.put(slot.node, state);
    }
}

/// What one worker found for one task.
#[derive(Default)]
pub struct FoundInTask {
    pub pieces: Pieces,
    pub notes: Notes,
}

/// What one worker found for one task beside its entries.
#[derive(Default)]
pub struct Notes {
    pub mounts: Vec<Crossing>,
    /// How many entries were touched during the run, and are taken all the same.
    pub touched: u64,
    pub learned: Learned,
    pub matched: Matched,
    /// Links that lead to what no check covers.
    pub links: Vec<Uncovered>,
}

impl Notes {
    /// Looks where a link leads.
    pub fn note_link(&mut self, task: &Task<'_>, directory: &[u8], name: &[u8], state: &State) {
        if let State::Recorded(Record { content: Content::Symlink { target }, .. }) = state
            && let Some((reach, root)) = task.reach
        {
            let path = join(directory, name);
            if !reach.covers(root, &path, target) {
                let path = EntryPath::new(path).ok();
                self.links.extend(path.map(|path| Uncovered::Link { path, target: target.clone() }));
            }
        }
    }
}

/// Where what becomes of a file belongs.
#[derive(Debug, Default)]
pub struct Slot {
    /// Who found it.
    pub worker: usize,
    pub task: usize,
    part: usize,
    node: usize,
}

/// The files that a worker has before it.
struct Batch {
    place: Place,
    directory: OwnedFd,
    mount: Mount,
    part: usize,
    /// The next node to look at.
    next: usize,
}

/// Works until nothing is left to do, as the worker of this number.
pub fn work(run: &Run<'_>, number: usize) -> Found {
    let mut lanes: [Lane<Purpose>; 2] = Default::default();
    let matched = |task: &Task<'_>| Notes { matched: task.selection.unmatched_yet(), ..Notes::default() };
    let tasks = run.tasks.iter().map(|task| FoundInTask { notes: matched(task), ..FoundInTask::default() }).collect();
    let found = Found { tasks, elsewhere: Vec::new() };
    let mut worker = Worker { run, number, found, batch: None, recent: None, long: false, buffer: Vec::new() };
    while let Some(work) = run.queue.take() {
        let mut first = match work {
            Work::Job(job) => {
                worker.begin(job);
                None
            }
            Work::Large(file) => worker.open_large(file),
        };
        let worker = std::cell::RefCell::new(&mut worker);
        // Files keep coming from one job after another, so that both lanes are always full.
        hash::all(
            &mut lanes,
            |free| first.take().or_else(|| worker.borrow_mut().next_file(free)),
            |opened, hashed| worker.borrow_mut().settle(opened, hashed),
        );
    }
    worker.found
}

pub struct Worker<'a> {
    pub run: &'a Run<'a>,
    pub number: usize,
    pub found: Found,
    batch: Option<Batch>,
    /// The directory that was gone through last, still open: the next one is often in it.
    recent: Option<(Place, OwnedFd)>,
    /// Whether it has a [`LONG`] file before it.
    long: bool,
    /// For listings.
    pub buffer: Vec<u8>,
}

impl Worker<'_> {
    /// Starts a job. What it leaves behind is a batch of files, or nothing.
    fn begin(&mut self, job: Job) {
        match job {
            Job::Directory { place, parent } => self.directory(place, parent),
            Job::Names { place, number, mut nodes } => {
                // The directory was noted when it was listed, so its mount is no news: no parent to compare with.
                let task = &self.run.tasks[place.task];
                let found = &mut self.found.tasks[place.task];
                match listing::open(task, &place, None, None, &mut found.notes.mounts) {
                    Ok(opened) => {
                        known::opened_again(task, &place, &opened.status, &mut found.notes.learned);
                        self.start_batch(place, opened.file, opened.mount, number, nodes);
                    }
                    Err(closed) => {
                        found.notes.learned.news = true;
                        let reason = closed.reason();
                        for (_, state) in nodes.iter_mut() {
                            *state = State::unverified(reason.clone());
                        }
                        found.pieces.parts.push(Part { directory: place.id, number, nodes });
                    }
                }
            }
            Job::Module { place, parent } => module::collect(self, place, parent),
        }
        if self.batch.is_none() {
            self.run.queue.done();
        }
    }

    fn directory(&mut self, place: Place, parent: Option<Mount>) {
        let task = &self.run.tasks[place.task];
        let found = &mut self.found.tasks[place.task];
        let above = self.recent.as_ref().filter(|(recent, _)| recent.is_directly_above(&place));
        let above = above.map(|(_, directory)| directory.as_fd());
        let (opened, mut nodes) = match known::list(task, &place, above, parent, &mut found.notes, &mut self.buffer) {
            Ok(listed) => listed,
            Err(reason) => {
                found.pieces.own.push((place.id, Err(reason)));
                return;
            }
        };
        let record = Record { content: Content::Directory { nar: None }, attributes: opened.attributes };
        if place.id == 0 && record.attributes.is_some() {
            nodes.push(ROOT, State::Recorded(record.clone()));
            nodes.sort();
        }
        self.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
        found.pieces.own.push((place.id, Ok(record)));
        if nodes.len() <= PART {
            self.start_batch(place, opened.file, opened.mount, 0, nodes);
            return;
        }
        let mut jobs = Vec::new();
        // From the end: what is split off has room for itself alone, and what is left gives up the room for it, but for
        // the names.
        let parts = nodes.len().div_ceil(PART);
        for number in (0..parts).rev() {
            let part = nodes.split_off(number * PART);
            nodes.shrink_to_fit();
            jobs.push(Job::Names { place: place.clone(), number, nodes: part });
        }
        self.run.queue.add(jobs);
    }

    /// Queues the directories among the names, and leaves the rest as the batch.
    fn start_batch(&mut self, place: Place, directory: OwnedFd, mount: Mount, number: usize, mut nodes: Nodes) {
        let run = self.run;
        let mut jobs = Vec::new();
        for (name, state) in nodes.iter_mut() {
            if let State::Pending(listed) = *state
                && listed.file_type == FileType::Directory
            {
                let (id, job) = below(run, &place, name, mount, Some(listed.inode));
                *state = State::Directory(id);
                jobs.push(job);
            }
        }
        run.queue.add(jobs.into_iter().rev());
        let parts = &mut self.found.tasks[place.task].pieces.parts;
        parts.push(Part { directory: place.id, number, nodes });
        let part = parts.len() - 1;
        self.batch = Some(Batch { place, directory, mount, part, next: 0 });
    }

    /// The next file to read, from whatever there is to do.
    ///
    /// The first lane takes large files as long as there are some, the second one what is left beside them. So a large
    /// file never waits for small ones, and two share a core only if no other core is free. Beside a [`LONG`] one the
    /// second lane takes nothing else than large ones once the batch is done, which nobody else can do, as long as
    /// another core has none that long.
    fn next_file(&mut self, free: hash::Free) -> Option<hash::Opened<Purpose>> {
        let busy = free.beside.is_some();
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
            if (free.first || only_large)
                && let Some(file) = self.run.queue.take_large(busy)
            {
                if let Some(opened) = self.open_large(file) {
                    return Some(opened);
                }
                continue;
            }
            if only_large {
                return None;
            }
            if let Some(mut batch) = self.batch.take() {
                let opened = self.next_in(&mut batch);
                if opened.is_some() {
                    self.batch = Some(batch);
                    return opened;
                }
                self.recent = Some((batch.place, batch.directory));
                self.run.queue.done();
            }
            if let Some(job) = self.run.queue.take_now() {
                self.begin(job);
            } else {
                let file = self.run.queue.take_large(busy)?;
                if let Some(opened) = self.open_large(file) {
                    return Some(opened);
                }
            }
        }
    }

    /// The next file in a batch that is to be read here and now.
    fn next_in(&mut self, batch: &mut Batch) -> Option<hash::Opened<Purpose>> {
        let task = batch.place.task;
        loop {
            let found = &mut self.found.tasks[task];
            let (name, state) = found.pieces.parts[batch.part].nodes.get(batch.next)?;
            let slot = Slot { worker: self.number, task, part: batch.part, node: batch.next };
            batch.next += 1;
            let &State::Pending(listed) = state else { continue };
            let at = At { place: &batch.place, directory: batch.directory.as_fd(), mount: batch.mount };
            match look(self.run, &at, name, listed, &mut found.notes) {
                Ok((file, status)) if status.stx_size < LARGE && status.stx_nlink == 1 => {
                    return Some(hash::Opened { tag: Purpose::of(slot), file, status, repeated: false });
                }
                Ok((file, status)) => {
                    let file = Named { file, status, place: &batch.place, mount: batch.mount, name: name.into(), slot };
                    if status.stx_size >= LARGE {
                        self.run.queue.add_large(file.queued());
                    } else if let Some(opened) = self.unless_known(file) {
                        return Some(opened);
                    }
                }
                Err(state) => self.found.put(&slot, state),
            }
        }
    }
}

/// A directory that is open.
pub struct At<'a> {
    pub place: &'a Place,
    pub directory: BorrowedFd<'a>,
    pub mount: Mount,
}

/// Looks at a name in a directory: a file to read, or what became of it. A directory that was none when it was listed is
/// queued.
pub fn look(
    run: &Run<'_>,
    at: &At<'_>,
    name: &[u8],
    listed: Listed,
    notes: &mut Notes,
) -> Result<(OwnedFd, Statx), State> {
    let task = &run.tasks[at.place.task];
    let looked = known::look(task, at.directory, name, listed, &mut notes.learned);
    if let Some(status) = looked.status()
        && Mount::of(status) != at.mount
    {
        listing::note_mount(task, &join(&at.place.path, name), status, Some(at.mount), &mut notes.mounts)
            .map_err(State::unverified)?;
    }
    let settled = |state: State, notes: &mut Notes| {
        notes.note_link(task, &at.place.path, name, &state);
        Err(state)
    };
    match looked {
        Looked::Known { record, .. } => settled(State::Recorded(record), notes),
        Looked::Unknown(Seen::File(file, status)) => Ok((file, status)),
        Looked::Unknown(Seen::Settled(State::Recorded(record), Some(status))) => {
            let state = State::Recorded(record);
            notes.note_link(task, &at.place.path, name, &state);
            let State::Recorded(record) = state else { return Err(state) };
            Err(task.state(record, &status, false, &mut notes.touched))
        }
        Looked::Unknown(Seen::Settled(state, _)) => settled(state, notes),
        Looked::Unknown(Seen::Directory) => {
            let (id, job) = below(run, at.place, name, at.mount, None);
            run.queue.add([job]);
            Err(State::Directory(id))
        }
    }
}

/// The record of a regular file whose digest is known.
pub fn file_record(
    file: &OwnedFd,
    status: &Statx,
    sha256: crate::manifest::Sha256Digest,
    attributes: crate::manifest::AttributeSet,
) -> Result<Record, Unverified> {
    let attributes =
        observe::of_open(file.as_fd(), status, attributes).map_err(|errno| refused("read its attributes", errno))?;
    Ok(Record { content: file_content(status, sha256), attributes })
}

/// The content of a regular file whose digest is known.
pub const fn file_content(status: &Statx, sha256: crate::manifest::Sha256Digest) -> Content {
    Content::File { executable: status.stx_mode & 0o100 != 0, size: status.stx_size, sha256 }
}

/// A new directory below another, listed with this `inode`, and the job to collect it.
fn below(run: &Run<'_>, above: &Place, name: &[u8], mount: Mount, inode: Option<u64>) -> (DirectoryId, Job) {
    let id = run.new_directory(above.task);
    let place = Place { task: above.task, id, path: join(&above.path, name), inode };
    let task = &run.tasks[above.task];
    let job = if above.id == 0 && task.kind == Kind::Trees && task.nar == NarOf::Modules {
        Job::Module { place, parent: Some(mount) }
    } else {
        Job::Directory { place, parent: Some(mount) }
    };
    (id, job)
}

/// A directory's path and a name in it.
pub fn join(directory: &[u8], name: &[u8]) -> Box<[u8]> {
    if directory.is_empty() { name.into() } else { [directory, name].join(&b'/').into() }
}
