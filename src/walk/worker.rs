//! One worker: takes jobs until there are no more, and keeps what it found to itself until the end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::FileType;

use super::hash::{self, Lane};
use super::known::{self, Looked};
use super::listing;
use super::observe::{self, Seen, refused};
use super::open::Mount;
use super::queue::{Job, Place};
use super::tree::{DirectoryId, Node, PART, State};
use super::{NarOf, Run, module};
use crate::manifest::{Content, Kind, Record, Unverified};
use crate::stat_cache::Learned;

/// What one worker found.
pub struct Found {
    pub tasks: Vec<FoundInTask>,
}

/// What one worker found for one task.
#[derive(Default)]
pub struct FoundInTask {
    pub parts: Vec<Part>,
    pub own: Vec<(DirectoryId, Result<Record, Unverified>)>,
    pub mounts: Vec<Vec<u8>>,
    pub learned: Learned,
}

/// Some of the nodes of a directory.
pub struct Part {
    pub directory: DirectoryId,
    pub number: usize,
    pub nodes: Vec<Node>,
}

/// Where a file that is being read belongs.
pub struct Tag {
    task: usize,
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

/// Works until nothing is left to do.
pub fn work(run: &Run<'_>) -> Found {
    let mut lanes: [Lane<Tag>; 2] = Default::default();
    let mut worker = Worker {
        run,
        found: Found { tasks: run.tasks.iter().map(|_| FoundInTask::default()).collect() },
        batch: None,
        buffer: Vec::new(),
    };
    while let Some(job) = run.queue.take() {
        worker.begin(job);
        let worker = std::cell::RefCell::new(&mut worker);
        // Files keep coming from one job after another, so that both lanes are always full.
        hash::all(
            &mut lanes,
            || worker.borrow_mut().next_file(),
            |opened, hashed| worker.borrow_mut().settle(opened, hashed),
        );
    }
    worker.found
}

pub struct Worker<'a> {
    pub run: &'a Run<'a>,
    pub found: Found,
    batch: Option<Batch>,
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
                match listing::open(&self.run.tasks[place.task], &place, None, &mut self.found.tasks[place.task].mounts)
                {
                    Ok(opened) => self.start_batch(place, opened.file, opened.mount, number, nodes),
                    Err(closed) => {
                        let reason = closed.reason();
                        for node in &mut nodes {
                            node.state = State::unverified(reason.clone());
                        }
                        self.found.tasks[place.task].parts.push(Part { directory: place.id, number, nodes });
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
        let opened = match listing::open(task, &place, parent, &mut found.mounts) {
            Ok(opened) => opened,
            Err(closed) => {
                found.own.push((place.id, Err(closed.reason())));
                return;
            }
        };
        let mut nodes = match listing::names(task, &place, &opened.file, &mut self.buffer) {
            Ok(nodes) => nodes,
            Err(errno) => {
                found.own.push((place.id, Err(refused("list it", errno))));
                return;
            }
        };
        self.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
        let record = Record { content: Content::Directory { nar: None }, attributes: opened.attributes };
        found.own.push((place.id, Ok(record)));
        if nodes.len() <= PART {
            self.start_batch(place, opened.file, opened.mount, 0, nodes);
            return;
        }
        let mut jobs = Vec::new();
        // From the end: what is split off has room for itself alone, and what is left gives up the room for it.
        let parts = nodes.len().div_ceil(PART);
        for number in (0..parts).rev() {
            let part = nodes.split_off(number * PART);
            nodes.shrink_to_fit();
            jobs.push(Job::Names { place: place.clone(), number, nodes: part });
        }
        self.run.queue.add(jobs);
    }

    /// Queues the directories among the names, and leaves the rest as the batch.
    fn start_batch(&mut self, place: Place, directory: OwnedFd, mount: Mount, number: usize, mut nodes: Vec<Node>) {
        let run = self.run;
        let mut jobs = Vec::new();
        for node in &mut nodes {
            if let State::Pending(FileType::Directory) = node.state {
                let (id, job) = below(run, &place, &node.name, mount);
                node.state = State::Directory(id);
                jobs.push(job);
            }
        }
        run.queue.add(jobs.into_iter().rev());
        let parts = &mut self.found.tasks[place.task].parts;
        parts.push(Part { directory: place.id, number, nodes });
        let part = parts.len() - 1;
        self.batch = Some(Batch { place, directory, mount, part, next: 0 });
    }

    /// The next file to read, from the batch or from whatever job comes next.
    fn next_file(&mut self) -> Option<hash::Opened<Tag>> {
        loop {
            while let Some(batch) = &mut self.batch {
                let task = batch.place.task;
                let found = &mut self.found.tasks[task];
                let Some(node) = found.parts[batch.part].nodes.get(batch.next) else {
                    self.batch = None;
                    self.run.queue.done();
                    break;
                };
                let tag = Tag { task, part: batch.part, node: batch.next };
                batch.next += 1;
                let State::Pending(listed) = node.state else { continue };
                let asked = &self.run.tasks[task];
                let directory = batch.directory.as_fd();
                let looked = known::look(asked, directory, &node.name, listed);
                let path = || join(&batch.place.path, &node.name);
                let noted = match looked.status() {
                    Some(status) if Mount::of(status) != batch.mount => {
                        listing::note_mount(asked, &path(), status, Some(batch.mount), &mut found.mounts).err()
                    }
                    _ => None,
                };
                let state = match (noted, looked) {
                    (Some(reason), _) => State::unverified(reason),
                    (None, Looked::Known { record, at, .. }) => {
                        found.learned.trusted.push(at);
                        State::Recorded(record)
                    }
                    (None, Looked::Unknown(Seen::File(file, status))) => {
                        return Some(hash::Opened { tag, file, status });
                    }
                    (None, Looked::Unknown(Seen::Settled(settled, _))) => settled,
                    (None, Looked::Unknown(Seen::Directory)) => {
                        // It became a directory after it was listed.
                        let (id, job) = below(self.run, &batch.place, &node.name, batch.mount);
                        self.run.queue.add([job]);
                        State::Directory(id)
                    }
                };
                found.parts[tag.part].nodes[tag.node].state = state;
            }
            let job = self.run.queue.take_now()?;
            self.begin(job);
        }
    }

    /// Keeps the digest of a file.
    fn settle(&mut self, opened: hash::Opened<Tag>, hashed: hash::Hashed) {
        let hash::Opened { tag, file, status } = opened;
        let task = &self.run.tasks[tag.task];
        let found = &mut self.found.tasks[tag.task];
        let state = hashed.and_then(|sha256| {
            self.run.progress.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
            found.learned.read.extend(task.known.and_then(|known| known.learn(&status, sha256)));
            file_record(&file, &status, sha256, task.attributes)
        });
        found.parts[tag.part].nodes[tag.node].state = state.map_or_else(State::unverified, State::Recorded);
    }
}

/// The record of a regular file whose digest is known.
pub fn file_record(
    file: &OwnedFd,
    status: &rustix::fs::Statx,
    sha256: crate::manifest::Sha256Digest,
    attributes: crate::manifest::AttributeSet,
) -> Result<Record, Unverified> {
    let attributes =
        observe::of_open(file.as_fd(), status, attributes).map_err(|errno| refused("read its attributes", errno))?;
    Ok(Record { content: file_content(status, sha256), attributes })
}

/// The content of a regular file whose digest is known.
pub const fn file_content(status: &rustix::fs::Statx, sha256: crate::manifest::Sha256Digest) -> Content {
    Content::File { executable: status.stx_mode & 0o100 != 0, size: status.stx_size, sha256 }
}

/// A new directory below another, and the job to collect it.
fn below(run: &Run<'_>, above: &Place, name: &[u8], mount: Mount) -> (DirectoryId, Job) {
    let id = run.new_directory(above.task);
    let place = Place { task: above.task, id, path: join(&above.path, name) };
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
