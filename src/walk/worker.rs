//! One worker: takes jobs until there are no more, and keeps what it found on its desk.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::desk::{Desk, LISTING, What};
use super::hash::{self, Lanes};
use super::known::{self, Looked};
use super::listing;
use super::notes::Notes;
use super::observe::{self, Seen, refused};
use super::open::Mount;
use super::queue::{Job, Place, Work};
use super::reading::{Named, Purpose};
use super::tree::{DirectoryId, PART, Part, State};
use super::{NarOf, Run, Task, module};
use crate::manifest::{Content, Kind, Record, Unverified};
use crate::path::ROOT;
use crate::stat_cache::listing::Listed;

/// From this size on, in bytes, a file is not read by the thread that finds it, but queued for all
/// ([`LargeFile`](super::queue::LargeFile)). Below it, a file takes less than a millisecond.
const LARGE: u64 = 1 << 20;

/// Beside a file of which so many bytes are left, no small ones are read, as long as another core can do that: it takes a
/// tenth of a second more, so it may well be what the run ends with, and they would hold it up.
const LONG: u64 = 256 << 20;

/// Where what becomes of a file belongs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    /// Who found it.
    pub worker: usize,
    pub task: usize,
    part: usize,
    node: usize,
}

impl Slot {
    /// Keeps what became of it.
    pub fn put(self, run: &Run<'_>, state: State) {
        run.desks[self.worker].pieces(self.task, |pieces| pieces.parts[self.part].nodes.put(self.node, state));
    }
}

/// The files that a worker has before it.
struct Batch {
    place: Place,
    directory: OwnedFd,
    mount: Mount,
    /// Whose desk the names are on, and where.
    owner: usize,
    part: usize,
    /// The next node to look at.
    next: usize,
}

/// Works until nothing is left to do, as the worker of this number. What it gives is beside what is on its desk, by task.
pub fn work(run: &Run<'_>, number: usize) -> Vec<Notes> {
    let mut lanes: Lanes<Purpose> = Lanes::new(run.kernel, run.lanes);
    let matched = |task: &Task<'_>| Notes { matched: task.selection.unmatched_yet(), ..Notes::default() };
    let notes = run.tasks.iter().map(matched).collect();
    let desk = &*run.desks[number];
    let (buffer, name) = (Vec::new(), Vec::new());
    let mut worker = Worker { run, number, desk, notes, batch: None, recent: None, long: false, buffer, name };
    while let Some(work) = run.queue.take() {
        let mut first = match work {
            Work::Job(job) => {
                worker.begin(job);
                None
            }
            Work::Large(file) => worker.open_large(file, 0),
        };
        let worker = std::cell::RefCell::new(&mut worker);
        // Files keep coming from one job after another, so that the lanes are always full.
        lanes.all(
            |lane| desk.go_on(lane),
            |free| first.take().or_else(|| worker.borrow_mut().next_file(free)),
            |opened, hashed| worker.borrow_mut().settle(opened, hashed),
        );
        desk.rest();
    }
    worker.notes
}

pub struct Worker<'a> {
    pub run: &'a Run<'a>,
    pub number: usize,
    pub desk: &'a Desk,
    /// By task.
    pub notes: Vec<Notes>,
    batch: Option<Batch>,
    /// The directory that was gone through last, still open: the next one is often in it.
    recent: Option<(Place, OwnedFd)>,
    /// Whether it has a [`LONG`] file before it.
    long: bool,
    /// For listings.
    pub buffer: Vec<u8>,
    /// For a name.
    name: Vec<u8>,
}

impl Worker<'_> {
    /// Starts a job. What it leaves behind is a batch of files, or nothing.
    fn begin(&mut self, job: Job) {
        match job {
            Job::Directory { place, parent } => self.directory(place, parent),
            Job::Names { place, owner, part } => {
                // The directory was noted when it was listed, so its mount is no news: no parent to compare with.
                let task = &self.run.tasks[place.task];
                let notes = &mut self.notes[place.task];
                self.desk.begin(LISTING, place.task, What::Nowhere, &place.path, b"");
                match listing::open(task, &place, None, None, &mut notes.mounts) {
                    Ok(opened) => {
                        known::opened_again(task, &place, &opened.status, &mut notes.learned);
                        self.start_batch(place, opened.file, opened.mount, owner, part);
                    }
                    Err(closed) => {
                        notes.learned.news = true;
                        let reason = closed.reason();
                        self.run.desks[owner].pieces(place.task, |pieces| {
                            for (_, state) in pieces.parts[part].nodes.iter_mut() {
                                *state = State::unverified(reason.clone());
                            }
                        });
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
        let notes = &mut self.notes[place.task];
        self.desk.begin(LISTING, place.task, What::Directory(place.id), &place.path, b"");
        let above = self.recent.as_ref().filter(|(recent, _)| recent.is_directly_above(&place));
        let above = above.map(|(_, directory)| directory.as_fd());
        let (opened, mut nodes) = match known::list(task, &place, above, parent, notes, &mut self.buffer) {
            Ok(listed) => listed,
            Err(reason) => {
                self.desk.pieces(place.task, |pieces| pieces.own.push((place.id, Err(reason))));
                return;
            }
        };
        let record = Record { content: Content::Directory { nar: None }, attributes: opened.attributes };
        if place.id == 0 && record.attributes.is_some() {
            nodes.push(ROOT, State::Recorded(record.clone()));
            nodes.sort();
        }
        self.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
        // From the end: what is split off has room for itself alone, and what is left gives up the room for it, but for
        // the names.
        let number = nodes.len().div_ceil(PART);
        let mut parts = Vec::new();
        for number in (1..number).rev() {
            let part = nodes.split_off(number * PART);
            nodes.shrink_to_fit();
            parts.push(Part { directory: place.id, number, nodes: part });
        }
        parts.push(Part { directory: place.id, number: 0, nodes });
        let count = parts.len();
        // All at once: where they are taken away, a directory has all of its names, or is not listed yet.
        let first = self.desk.pieces(place.task, |pieces| {
            pieces.own.push((place.id, Ok(record)));
            pieces.parts.append(&mut parts);
            pieces.parts.len() - count
        });
        if count == 1 {
            self.start_batch(place, opened.file, opened.mount, self.number, first);
            return;
        }
        let owner = self.number;
        self.run.queue.add((first..first + count).map(|part| Job::Names { place: place.clone(), owner, part }));
    }

    /// Queues the directories among the names, and leaves the rest as the batch.
    fn start_batch(&mut self, place: Place, directory: OwnedFd, mount: Mount, owner: usize, part: usize) {
        let run = self.run;
        let mut jobs = Vec::new();
        run.desks[owner].pieces(place.task, |pieces| {
            for (name, state) in pieces.parts[part].nodes.iter_mut() {
                if let State::Pending(listed) = *state
                    && listed.file_type == FileType::Directory
                {
                    let (id, job) = below(run, &place, name, mount, Some(listed.inode));
                    *state = State::Directory(id);
                    jobs.push(job);
                }
            }
        });
        run.queue.add(jobs.into_iter().rev());
        self.batch = Some(Batch { place, directory, mount, owner, part, next: 0 });
    }

    /// The next file to read, from whatever there is to do.
    ///
    /// The first half of the lanes takes large files as long as there are some, the others what is left beside them. So a
    /// large file never waits for small ones, and two share a core only if no other core is free. Beside a [`LONG`] one the
    /// others take nothing else than large ones once the batch is done, which no other thread can do, as long as
    /// another core has none that long. More than two lanes hold each other up, so there they take large ones only if
    /// the other cores have more of these before them than this one has of the long one.
    fn next_file(&mut self, free: hash::Free) -> Option<hash::Opened<Purpose>> {
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
                self.recent = Some((batch.place, batch.directory));
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

    /// The next file in a batch that is to be read here and now.
    fn next_in(&mut self, batch: &mut Batch, lane: usize) -> Option<hash::Opened<Purpose>> {
        let task = batch.place.task;
        loop {
            let name = &mut self.name;
            let listed = self.run.desks[batch.owner].pieces(task, |pieces| {
                let nodes = &pieces.parts[batch.part].nodes;
                while let Some((next, state)) = nodes.get(batch.next) {
                    batch.next += 1;
                    if let &State::Pending(listed) = state {
                        name.clear();
                        name.extend_from_slice(next);
                        return Some(listed);
                    }
                }
                None
            })?;
            let slot = Slot { worker: batch.owner, task, part: batch.part, node: batch.next - 1 };
            self.desk.begin(lane, task, What::Entry(slot), &batch.place.path, name);
            let at = At { place: &batch.place, directory: batch.directory.as_fd(), mount: batch.mount };
            match look(self.run, &at, name, listed, &mut self.notes[task]) {
                Ok((file, status)) if status.stx_size < LARGE && status.stx_nlink == 1 => {
                    return Some(hash::Opened { tag: Purpose::of(slot), file, status, repeated: false });
                }
                Ok((file, status)) => {
                    let file = Named {
                        file,
                        status,
                        place: &batch.place,
                        mount: batch.mount,
                        name: self.name[..].into(),
                        slot,
                    };
                    if status.stx_size >= LARGE {
                        self.run.queue.add_large(file.queued());
                    } else if let Some(opened) = self.unless_known(file) {
                        return Some(opened);
                    }
                }
                Err(state) => slot.put(self.run, state),
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
