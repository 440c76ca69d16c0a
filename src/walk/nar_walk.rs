//! Walks one module in the order of its Nix archive. Each file is read once, for its own digest and for the archive's.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::ahead::{Ahead, Feeder};
use super::dir_entries::{DirEntries, EntryRef};
use super::effort::Reader;
use super::fill::{BUFFER, Buffer, EOF_PROBE, FillError, Holes, fill, read_sizeless};
use super::hash::{Hashed, same};
use super::inspect::{self, ATTEMPTS, Inspected, pause, refused};
use super::listing::{self, OpenError};
use super::open::{self, Mount, OpenMode};
use super::queue::DirRef;
use super::tree::{EntryState, NameChunk};
use super::worker::{Worker, file_record, join};
use super::worker_state::{HangTarget, LISTING_SLOT};
use crate::digest::{Sha256, nar};
use crate::manifest::{AttributeSet, Attributes, Content, Record, Sha256Digest, Unverified};

/// How many directories above the current one stay open. Those further up are opened again on the way back, so a deep
/// tree needs no more descriptors. Together with a file and a step of a long path, seven workers fit into a limit of 64
/// descriptors.
const KEPT_OPEN: usize = 4;

/// A directory on the path that the walk is in.
struct Level {
    dir: DirRef,
    file: Option<OwnedFd>,
    mount: Mount,
    attributes: Option<Box<Attributes>>,
    nodes: DirEntries,
    next: usize,
}

/// The archive as far as it is written.
struct Archive {
    hasher: Sha256,
    /// Parts that are not in `hasher` yet.
    pending: Vec<u8>,
    /// Whether everything so far was read and can be in an archive, which has no FIFOs, sockets and devices.
    whole: bool,
}

impl Archive {
    fn flush(&mut self) {
        self.hasher.update(&self.pending);
        self.pending.clear();
    }
}

/// See [`super::file`].
pub fn file(file: &OwnedFd, reader: &Reader) -> Result<(Record, Sha256Digest), Unverified> {
    let mut status = open::status(file).map_err(|errno| refused("read its status", errno))?;
    let mut archive = Archive { hasher: Sha256::new(), pending: Vec::new(), whole: true };
    nar::archive(&mut archive.pending);
    archive.flush();
    let sha256 =
        contents(reader, file, &mut status, &mut false, &mut archive, &mut Buffer::new(BUFFER + EOF_PROBE), &|| ())?;
    let record = file_record(file, &status, sha256, AttributeSet::default())?;
    Ok((record, archive.hasher.finish()))
}

/// Collects everything below a directory, and its NAR.
pub fn collect(worker: &mut Worker<'_>, dir: DirRef, parent: Option<Mount>) {
    let mut archive = Archive { hasher: Sha256::new(), pending: Vec::new(), whole: true };
    let mut buffer = Buffer::new(BUFFER + EOF_PROBE);
    // A NAR needs all bytes, so nothing is looked up in the cache.
    worker.notes[dir.task].updates.cache_miss = true;
    nar::archive(&mut archive.pending);
    let mut levels: Vec<Level> = Vec::new();
    levels.extend(enter(worker, dir, None, parent, &mut archive));
    while let Some(level) = levels.last_mut() {
        let Some((_, state)) = level.nodes.get(level.next) else {
            nar::close(&mut archive.pending);
            archive.flush();
            if let Some(level) = levels.pop() {
                let top = levels.is_empty();
                leave(worker, level, (top && archive.whole).then_some(&archive));
                nar::close(&mut archive.pending);
            }
            continue;
        };
        level.next += 1;
        let EntryRef::Pending(listed) = state else { continue };
        let state = if listed.file_type == FileType::Directory {
            EntryState::Directory(worker.run.new_directory(level.dir.task))
        } else {
            leaf(worker, level, listed.file_type, &mut archive, &mut buffer)
        };
        level.nodes.put(level.next - 1, state);
        let Some((name, state)) = level.nodes.get(level.next - 1) else { continue };
        if let EntryRef::Directory(id) = state {
            nar::entry(&mut archive.pending, name);
            let dir = DirRef { task: level.dir.task, id, path: join(&level.dir.path, name), inode: None };
            let mount = level.mount;
            let depth = levels.len();
            if let Some(far) = depth.checked_sub(KEPT_OPEN) {
                levels[far].file = None;
            }
            let entered = enter(worker, dir, levels.last(), Some(mount), &mut archive);
            levels.extend(entered);
        }
    }
}

/// Opens and lists a directory. If that fails, notes the reason, and there is no archive.
fn enter(
    worker: &mut Worker<'_>,
    dir: DirRef,
    above: Option<&Level>,
    parent: Option<Mount>,
    archive: &mut Archive,
) -> Option<Level> {
    let task = &worker.run.tasks[dir.task];
    let notes = &mut worker.notes[dir.task];
    worker.state.begin(LISTING_SLOT, dir.task, HangTarget::Directory(dir.id), &dir.path, b"");
    let above = above.and_then(|level| level.file.as_ref()).map(AsFd::as_fd);
    let entered = listing::open(task, &dir, above, parent, &mut notes.mounts).and_then(|opened| {
        match listing::list_names(task, &dir, &opened.file, &mut worker.buffer, &mut notes.matched, |_, _| {}) {
            Ok(names) => Ok((opened, names)),
            Err(errno) => Err(OpenError::Unverified(refused("list it", errno))),
        }
    });
    match entered {
        Ok((opened, nodes)) => {
            worker.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
            nar::directory(&mut archive.pending);
            let listing::OpenDirectory { file, mount, attributes, status: _ } = opened;
            Some(Level { dir, file: Some(file), mount, attributes, nodes, next: 0 })
        }
        Err(closed) => {
            archive.whole = false;
            worker.state.with_tree(dir.task, |tree| tree.directories.push((dir.id, Err(closed.reason()))));
            None
        }
    }
}

/// Stores a directory whose contents are done.
fn leave(worker: &mut Worker<'_>, level: Level, archive: Option<&Archive>) {
    let nar = archive.map(|archive| archive.hasher.clone().finish());
    let record = Record { content: Content::Directory { nar }, attributes: level.attributes };
    worker.state.with_tree(level.dir.task, |tree| {
        tree.directories.push((level.dir.id, Ok(record)));
        tree.chunks.push(NameChunk { directory: level.dir.id, number: 0, nodes: level.nodes });
    });
}

/// Reads an entry that is not a directory, and adds it to the archive.
fn leaf(
    worker: &mut Worker<'_>,
    level: &mut Level,
    listed: FileType,
    archive: &mut Archive,
    buffer: &mut [u8],
) -> EntryState {
    let task = &worker.run.tasks[level.dir.task];
    let Some((name, _)) = level.nodes.get(level.next - 1) else { return EntryState::unverified(Unverified::Vanished) };
    worker.state.begin(LISTING_SLOT, level.dir.task, HangTarget::None, &level.dir.path, name);
    let directory = match &level.file {
        Some(file) => file,
        // Back from deep below; this directory was closed meanwhile.
        None => match open::directory(task.root, &level.dir.path, OpenMode::List) {
            Ok(file) => level.file.insert(file),
            Err(errno) => {
                archive.whole = false;
                return EntryState::unverified(refused("open the directory it is in", errno));
            }
        },
    };
    let seen = inspect::inspect(directory.as_fd(), name, listed, task.attributes);
    if let Inspected::File(_, status) | Inspected::Settled(_, Some(status)) = &seen
        && Mount::of(status) != level.mount
    {
        let path = join(&level.dir.path, name);
        let notes = &mut worker.notes[level.dir.task];
        if let Err(reason) = listing::note_mount(task, &path, status, Some(level.mount), &mut notes.mounts) {
            archive.whole = false;
            return EntryState::unverified(reason);
        }
    }
    match seen {
        Inspected::Directory => EntryState::Directory(worker.run.new_directory(level.dir.task)),
        Inspected::Settled(state, status) => {
            worker.notes[level.dir.task].note_link(task, &level.dir.path, name, &state);
            let state = match (state, status) {
                (EntryState::Recorded(record), Some(status)) => {
                    let touched = &mut worker.notes[level.dir.task].touched;
                    task.state(record, &status, false, touched)
                }
                (state, _) => state,
            };
            let record = match &state {
                EntryState::Recorded(record) => Some(record),
                EntryState::Touched(record) => Some(&**record),
                _ => None,
            };
            if let Some(Record { content: Content::Symlink { target }, .. }) = record {
                nar::entry(&mut archive.pending, name);
                nar::symlink(&mut archive.pending, target);
                nar::close(&mut archive.pending);
            } else {
                archive.whole = false;
            }
            state
        }
        Inspected::File(file, mut status) => {
            worker.test.opened(&file);
            nar::entry(&mut archive.pending, name);
            archive.flush();
            let mut repeated = false;
            let on_progress = || worker.state.tick(LISTING_SLOT);
            let recorded =
                contents(&worker.run.reader, &file, &mut status, &mut repeated, archive, buffer, &on_progress)
                    .and_then(|sha256| file_record(&file, &status, sha256, task.attributes));
            nar::close(&mut archive.pending);
            worker.run.progress.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
            match recorded {
                Ok(record) => {
                    let touched = &mut worker.notes[level.dir.task].touched;
                    let state = task.state(record, &status, repeated, touched);
                    archive.whole &= !matches!(state, EntryState::Unverified(_));
                    state
                }
                Err(reason) => {
                    archive.whole = false;
                    EntryState::unverified(reason)
                }
            }
        }
    }
}

/// Reads a file into both streams. If it changed meanwhile, resets the archive to before the file and reads it again.
/// Calls `on_progress` for each buffer.
fn contents(
    reader: &Reader,
    file: &OwnedFd,
    status: &mut Statx,
    repeated: &mut bool,
    archive: &mut Archive,
    buffer: &mut [u8],
    on_progress: &dyn Fn(),
) -> Hashed {
    for attempt in 1..=ATTEMPTS {
        let before = archive.hasher.clone();
        match once(reader, file, status, &mut archive.hasher, buffer, on_progress) {
            Ok(sha256) => {
                let after = open::status(file).map_err(|errno| refused("read its status", errno))?;
                if same(status, &after) {
                    nar::close(&mut archive.pending);
                    archive.flush();
                    return Ok(sha256);
                }
            }
            Err(FillError::Changed) => {}
            Err(FillError::Sizeless) => {
                archive.hasher = before;
                let contents = read_sizeless(file, reader)?;
                status.stx_size = contents.len() as u64;
                return Ok(of_bytes(&contents, status, &mut archive.hasher));
            }
            Err(FillError::Failed(errno)) => return Err(refused("read it", errno)),
        }
        archive.hasher = before;
        *repeated = true;
        pause(attempt);
        *status = open::status(file).map_err(|errno| refused("read its status", errno))?;
    }
    Err(Unverified::Unstable { attempts: ATTEMPTS })
}

/// Adds contents in memory to both streams.
fn of_bytes(contents: &[u8], status: &Statx, archive: &mut Sha256) -> Sha256Digest {
    let mut header = Vec::new();
    nar::regular(&mut header, status.stx_mode & 0o100 != 0, status.stx_size);
    archive.update(&header);
    archive.update(contents);
    archive.update(nar::padding(status.stx_size));
    let mut own = Sha256::new();
    own.update(contents);
    own.finish()
}

fn once(
    reader: &Reader,
    file: &OwnedFd,
    status: &Statx,
    archive: &mut Sha256,
    buffer: &mut [u8],
    on_progress: &dyn Fn(),
) -> Result<Sha256Digest, FillError> {
    let size = status.stx_size;
    let mut header = Vec::new();
    nar::regular(&mut header, status.stx_mode & 0o100 != 0, size);
    archive.update(&header);
    let mut own = Sha256::new();
    let mut holes = Holes::new(status);
    let mut offset = 0;
    std::thread::scope(|scope| {
        let mut ahead = reader.permit_ahead(size).and_then(|permit| {
            let spawn = |feeder: Feeder| {
                std::thread::Builder::new().spawn_scoped(scope, move || feeder.run(reader, file)).map(drop)
            };
            Ahead::start(permit, status, 0, spawn)
        });
        loop {
            on_progress();
            let filled = match &mut ahead {
                Some((ahead, buffer)) => ahead.next(buffer)?,
                None => fill(reader, file, &mut holes, offset, size, buffer)?,
            };
            let bytes = ahead.as_ref().map_or(&*buffer, |(_, buffer)| buffer);
            Sha256::update_both(&mut own, archive, &bytes[..filled]);
            offset += filled as u64;
            if offset >= size {
                break;
            }
        }
        Ok(())
    })?;
    archive.update(nar::padding(size));
    Ok(own.finish())
}
