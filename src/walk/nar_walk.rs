//! Walks one module in the order of its Nix archive. Each file is read once, for its own digest and for the archive's.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::dir_entries::EntryRef;
use super::effort::Reader;
use super::inspect::{self, Inspected, refused};
use super::listing::{self, OpenError};
use super::nar_results::{Archives, FileTag, ModuleTag, UNKNOWN, finish, store, with_digest};
use super::nar_stage::Digests;
use super::nar_streams::{Context, NarStreams};
use super::open::{self, Mount, OpenMode};
use super::queue::DirRef;
use super::tree::{EntryState, NameChunk};
use super::worker::{ResultSlot, Worker, file_record, join};
use super::worker_state::{HangTarget, LISTING_SLOT};
use crate::digest::nar;
use crate::manifest::{AttributeSet, Attributes, Content, Record, Sha256Digest, Unverified};

/// How many directories of a module stay open: the current one and those right above it. Those further up are opened
/// again on the way back, so a deep tree needs no more descriptors. Together with a file and a step of a long path,
/// seven workers fit into a limit of 64 descriptors.
pub const KEPT_OPEN: usize = 4;
/// The same for each of several modules at once.
pub const KEPT_OPEN_OF_SEVERAL: usize = 2;

/// A worker starts with at most one in so many of its share of the modules at once.
const SHARE: usize = 4;

/// A directory on the path that the walk is in.
struct Level {
    dir: DirRef,
    file: Option<OwnedFd>,
    mount: Mount,
    /// The names are in this chunk of the worker's results.
    chunk: usize,
    /// The next name.
    next: usize,
    attributes: Option<Box<Attributes>>,
}

/// See [`super::file`].
pub fn file(file: &OwnedFd, reader: &Reader) -> Result<(Record, Sha256Digest), Unverified> {
    let mut status = open::status(file).map_err(|errno| refused("read its status", errno))?;
    let mut archive = NarStreams::<Record, ()>::for_file(status.stx_size);
    let context = Context { reader, on_progress: &|| (), permit: &|| reader.permit_helper() };
    archive.begin(&context);
    archive.file(file, &mut status, &mut false, &context)?;
    archive.tag_file(file_record(file, &status, UNKNOWN, AttributeSet::default())?);
    archive.add(&context, nar::close);
    archive.end(Some(()));
    archive.hash_stages();
    let Digests { mut files, mut archives } = archive.done;
    let ended = files.pop().zip(archives.pop()).map(|((record, sha256), ((), nar))| (with_digest(record, sha256), nar));
    // Both are there: each stream that ended with a tag has a digest.
    ended.ok_or(Unverified::Vanished)
}

/// Collects everything below a directory, and its NAR, and maybe other modules that wait. Digests that are still missing
/// come with [`finish`].
pub fn collect(worker: &mut Worker<'_>, dir: DirRef, parent: Option<Mount>) {
    let (run, state) = (worker.run, worker.state);
    let context = Context {
        reader: &run.reader,
        on_progress: &|| state.tick(LISTING_SLOT),
        // Otherwise, no core is free.
        permit: &|| run.queue.has_idle_worker().then(|| run.reader.permit_helper()).flatten(),
    };
    let at_once = at_once(worker);
    if worker.archives.as_ref().is_some_and(|archives| archives.len() != at_once) {
        finish(worker);
        worker.archives = None;
    }
    let is_late = is_late(worker);
    let new = || Box::new(if is_late { Archives::short() } else { Archives::new(at_once) });
    let archives = worker.archives.take().unwrap_or_else(new);
    let mut walk = Walk { worker, archives, context, name: Vec::new() };
    let mut modules: Vec<Option<Module>> = (0..at_once).map(|_| None).collect();
    modules[0] = walk.begin(0, dir, parent);
    let mut more = true;
    loop {
        for slot in 0..modules.len() {
            while more && modules[slot].is_none() {
                match run.queue.take_module(run.workers) {
                    Some((dir, parent)) => modules[slot] = walk.begin(slot, dir, parent),
                    None => more = false,
                }
            }
            let Some(mut module) = modules[slot].take() else { continue };
            let alone = modules.len() == 1 || !more && modules.iter().all(Option::is_none);
            if !walk.go_on(slot, &mut module, alone) {
                modules[slot] = Some(module);
            }
        }
        if !more && modules.iter().all(Option::is_none) {
            break;
        }
    }
    let Walk { worker, archives, .. } = walk;
    worker.archives = Some(archives);
}

/// How many modules a worker should walk at once.
fn at_once(worker: &Worker<'_>) -> usize {
    let run = worker.run;
    // A file and its archive fill two lanes.
    if run.kernel.lanes() <= 2 || is_late(worker) {
        return 1;
    }
    // A module stays with its worker. So each walks only as many at once as leaves enough for all in the end.
    (run.queue.waiting() / run.workers / SHARE).clamp(1, run.modules)
}

/// Whether it is one of many workers that wait for a disk. Their stages could take much memory.
const fn is_late(worker: &Worker<'_>) -> bool {
    worker.number >= worker.run.workers
}

/// The next name in a directory, the place for its result, and what it was listed as.
fn next_name(worker: &Worker<'_>, level: &mut Level, name: &mut Vec<u8>) -> Option<(ResultSlot, FileType)> {
    let (task, chunk) = (level.dir.task, level.chunk);
    worker.state.with_tree(task, |tree| {
        while let Some((next, state)) = tree.chunks[chunk].nodes.get(level.next) {
            level.next += 1;
            if let EntryRef::Pending(listed) = state {
                name.clear();
                name.extend_from_slice(next);
                let slot = ResultSlot { worker: worker.number, task, chunk, node: level.next - 1 };
                return Some((slot, listed.file_type));
            }
        }
        None
    })
}

/// A module whose walk is not at its end.
struct Module {
    /// Whether everything so far was read and can be in an archive, which has no FIFOs, sockets and devices.
    whole: bool,
    levels: Vec<Level>,
}

/// What a worker needs to walk modules.
struct Walk<'w, 'r> {
    worker: &'w mut Worker<'r>,
    archives: Box<Archives>,
    context: Context<'w>,
    /// The name of the current entry.
    name: Vec<u8>,
}

/// What an entry turned out to be.
enum Leaf {
    Directory,
    /// A file whose digest comes later.
    Read,
    Settled(EntryState),
}

impl Walk<'_, '_> {
    /// Starts a module in a slot. If its directory can't be read, there is no module.
    fn begin(&mut self, slot: usize, dir: DirRef, parent: Option<Mount>) -> Option<Module> {
        self.archives.select(slot);
        // A NAR needs all bytes, so nothing is looked up in the cache.
        self.worker.notes[dir.task].updates.cache_miss = true;
        self.archives.begin(&self.context);
        let mut module = Module { whole: true, levels: Vec::new() };
        self.enter(&mut module, dir, parent);
        if module.levels.is_empty() {
            self.archives.end(None);
            return None;
        }
        Some(module)
    }

    /// Walks to the end of the module, or until its stage is full, unless it is `alone`. Whether that was the end.
    fn go_on(&mut self, slot: usize, module: &mut Module, alone: bool) -> bool {
        self.archives.select(slot);
        while let Some(level) = module.levels.last_mut() {
            match next_name(self.worker, level, &mut self.name) {
                Some((place, listed)) => self.entry(module, place, listed),
                None => self.leave(module),
            }
            self.store();
            if !alone && self.archives.is_full() {
                return module.levels.is_empty();
            }
        }
        true
    }

    fn store(&mut self) {
        if !self.archives.done.is_empty() {
            store(self.worker, &mut self.archives);
        }
    }

    /// Opens and lists a directory. If that fails, notes the reason, and there is no archive.
    fn enter(&mut self, module: &mut Module, dir: DirRef, parent: Option<Mount>) {
        let worker = &mut *self.worker;
        let task = &worker.run.tasks[dir.task];
        let notes = &mut worker.notes[dir.task];
        worker.state.begin(LISTING_SLOT, dir.task, HangTarget::Directory(dir.id), &dir.path, b"");
        let above = module.levels.last().and_then(|level| level.file.as_ref()).map(AsFd::as_fd);
        let entered = listing::open(task, &dir, above, parent, &mut notes.mounts).and_then(|opened| {
            match listing::list_names(task, &dir, &opened.file, &mut worker.buffer, &mut notes.matched, |_, _| {}) {
                Ok(names) => Ok((opened, names)),
                Err(errno) => Err(OpenError::Unverified(refused("list it", errno))),
            }
        });
        let (opened, nodes) = match entered {
            Ok(entered) => entered,
            Err(closed) => {
                module.whole = false;
                worker.state.with_tree(dir.task, |tree| tree.directories.push((dir.id, Err(closed.reason()))));
                return;
            }
        };
        worker.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
        self.archives.add(&self.context, nar::directory);
        let listing::OpenDirectory { file, mount, mut attributes, status: _ } = opened;
        // The record of the module itself has the digest of the archive.
        let record = (!module.levels.is_empty())
            .then(|| Record { content: Content::Directory { nar: None }, attributes: attributes.take() });
        let chunk = worker.state.with_tree(dir.task, |tree| {
            tree.directories.extend(record.map(|record| (dir.id, Ok(record))));
            tree.chunks.push(NameChunk { directory: dir.id, number: 0, nodes });
            tree.chunks.len() - 1
        });
        module.levels.push(Level { dir, file: Some(file), mount, chunk, next: 0, attributes });
    }

    /// Leaves the last directory, whose entries are all done.
    fn leave(&mut self, module: &mut Module) {
        self.archives.add(&self.context, nar::close);
        let Some(Level { dir: DirRef { task, id, .. }, attributes, .. }) = module.levels.pop() else { return };
        if !module.levels.is_empty() {
            // The entry of this directory.
            self.archives.add(&self.context, nar::close);
        } else if module.whole {
            self.archives.end(Some(ModuleTag { task, id, attributes }));
        } else {
            self.archives.end(None);
            let record = Record { content: Content::Directory { nar: None }, attributes };
            self.worker.state.with_tree(task, |tree| tree.directories.push((id, Ok(record))));
        }
    }

    /// Adds an entry of the last directory to the archive.
    fn entry(&mut self, module: &mut Module, slot: ResultSlot, listed: FileType) {
        let leaf = if listed == FileType::Directory { Leaf::Directory } else { self.leaf(module, slot, listed) };
        match leaf {
            Leaf::Read => {}
            Leaf::Settled(state) => slot.put(self.worker.run, state),
            Leaf::Directory => {
                let id = self.worker.run.new_directory(slot.task);
                slot.put(self.worker.run, EntryState::Directory(id));
                let name = &self.name;
                self.archives.add(&self.context, |frame| nar::entry(frame, name));
                let Some(Level { dir, mount, .. }) = module.levels.last() else { return };
                let dir = DirRef { task: slot.task, id, path: join(&dir.path, name), inode: None };
                let mount = *mount;
                let kept = if self.archives.len() > 1 { KEPT_OPEN_OF_SEVERAL } else { KEPT_OPEN };
                if let Some(far) = module.levels.len().checked_sub(kept) {
                    module.levels[far].file = None;
                }
                self.enter(module, dir, Some(mount));
            }
        }
    }

    /// Reads an entry that is not listed as a directory.
    fn leaf(&mut self, module: &mut Module, slot: ResultSlot, listed: FileType) -> Leaf {
        let Self { worker, name, .. } = self;
        let Some(level) = module.levels.last_mut() else {
            return Leaf::Settled(EntryState::unverified(Unverified::Vanished));
        };
        let task = &worker.run.tasks[slot.task];
        worker.state.begin(LISTING_SLOT, slot.task, HangTarget::Entry(slot), &level.dir.path, name);
        let directory = match &level.file {
            Some(file) => file,
            // Back from deep below; this directory was closed meanwhile.
            None => match open::directory(task.root, &level.dir.path, OpenMode::List) {
                Ok(file) => level.file.insert(file),
                Err(errno) => {
                    module.whole = false;
                    return Leaf::Settled(EntryState::unverified(refused("open the directory it is in", errno)));
                }
            },
        };
        let seen = inspect::inspect(directory.as_fd(), name, listed, task.attributes);
        let notes = &mut worker.notes[slot.task];
        if let Inspected::File(_, status) | Inspected::Settled(_, Some(status)) = &seen
            && Mount::of(status) != level.mount
        {
            let path = join(&level.dir.path, name);
            if let Err(reason) = listing::note_mount(task, &path, status, Some(level.mount), &mut notes.mounts) {
                module.whole = false;
                return Leaf::Settled(EntryState::unverified(reason));
            }
        }
        match seen {
            Inspected::Directory => Leaf::Directory,
            Inspected::Settled(state, status) => {
                notes.note_link(task, &level.dir.path, name, &state);
                let state = match (state, status) {
                    (EntryState::Recorded(record), Some(status)) => {
                        task.state(record, &status, false, &mut notes.touched)
                    }
                    (state, _) => state,
                };
                let record = match &state {
                    EntryState::Recorded(record) => Some(record),
                    EntryState::Touched(record) => Some(&**record),
                    _ => None,
                };
                if let Some(Record { content: Content::Symlink { target }, .. }) = record {
                    self.archives.add(&self.context, |frame| {
                        nar::entry(frame, name);
                        nar::symlink(frame, target);
                        nar::close(frame);
                    });
                } else {
                    module.whole = false;
                }
                Leaf::Settled(state)
            }
            Inspected::File(file, status) => self.file(module, slot, &file, status),
        }
    }

    /// Reads a file into the archive.
    fn file(&mut self, module: &mut Module, slot: ResultSlot, file: &OwnedFd, mut status: Statx) -> Leaf {
        let Self { worker, archives, context, name, .. } = self;
        let task = &worker.run.tasks[slot.task];
        worker.test.opened(file);
        archives.add(context, |frame| nar::entry(frame, name));
        let mut repeated = false;
        let record = archives
            .file(file, &mut status, &mut repeated, context)
            .and_then(|()| file_record(file, &status, UNKNOWN, task.attributes));
        worker.run.progress.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
        let record = record.map_err(EntryState::unverified).and_then(|record| {
            match task.state(record, &status, repeated, &mut worker.notes[slot.task].touched) {
                EntryState::Recorded(record) => Ok((record, false)),
                EntryState::Touched(record) => Ok((*record, true)),
                state => Err(state),
            }
        });
        match record {
            Ok((record, touched)) => {
                archives.tag_file(FileTag { slot, record, touched });
                archives.add(context, |frame| {
                    nar::close(frame);
                    nar::close(frame);
                });
                Leaf::Read
            }
            Err(state) => {
                module.whole = false;
                Leaf::Settled(state)
            }
        }
    }
}
