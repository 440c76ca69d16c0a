//! One module, in the order of its Nix archive: each file is read once, for its own digest and for the archive's.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{FileType, Statx};

use super::desk::{LISTING, What};
use super::fill::{BEYOND, BUFFER, Buffer, Holes, Stopped, fill, sizeless};
use super::hash::{Hashed, same};
use super::listing::{self, Closed};
use super::nodes::Nodes;
use super::observe::{self, ATTEMPTS, Seen, pause, refused};
use super::open::{self, Mount, Purpose};
use super::queue::Place;
use super::tree::{Part, State};
use super::worker::{Worker, file_record, join};
use crate::digest::{Sha256, nar};
use crate::manifest::{AttributeSet, Attributes, Content, Record, Sha256Digest, Unverified};

/// Directories above the current one that stay open; those further up are opened again on the way back, so that the
/// depth of a tree costs no descriptors. With a file and a step of a long path open beside them, seven workers fit into
/// a limit of 64.
const KEPT_OPEN: usize = 4;

/// A directory that the walk is in.
struct Level {
    place: Place,
    file: Option<OwnedFd>,
    mount: Mount,
    attributes: Option<Box<Attributes>>,
    nodes: Nodes,
    next: usize,
}

/// The archive as far as it is written.
struct Archive {
    hasher: Sha256,
    /// Pieces of structure that are not in `hasher` yet.
    pieces: Vec<u8>,
    /// Whether everything so far can be in an archive: it knows no FIFOs, sockets and devices, and what could not be
    /// read is in none.
    whole: bool,
}

impl Archive {
    fn flush(&mut self) {
        self.hasher.update(&self.pieces);
        self.pieces.clear();
    }
}

/// See [`super::file`].
pub fn file(file: &OwnedFd) -> Result<(Record, Sha256Digest), Unverified> {
    let mut status = open::status(file).map_err(|errno| refused("read its status", errno))?;
    let mut archive = Archive { hasher: Sha256::new(), pieces: Vec::new(), whole: true };
    nar::archive(&mut archive.pieces);
    archive.flush();
    let sha256 = contents(file, &mut status, &mut false, &mut archive, &mut Buffer::new(BUFFER + BEYOND), &|| ())?;
    let record = file_record(file, &status, sha256, AttributeSet::default())?;
    Ok((record, archive.hasher.finish()))
}

/// Collects everything below a directory, and its NAR.
pub fn collect(worker: &mut Worker<'_>, place: Place, parent: Option<Mount>) {
    let mut archive = Archive { hasher: Sha256::new(), pieces: Vec::new(), whole: true };
    let mut buffer = Buffer::new(BUFFER + BEYOND);
    // All of it is read, whatever is known.
    worker.notes[place.task].learned.news = true;
    nar::archive(&mut archive.pieces);
    let mut levels: Vec<Level> = Vec::new();
    levels.extend(enter(worker, place, None, parent, &mut archive));
    while let Some(level) = levels.last_mut() {
        let Some((_, state)) = level.nodes.get(level.next) else {
            nar::close(&mut archive.pieces);
            archive.flush();
            if let Some(level) = levels.pop() {
                let top = levels.is_empty();
                leave(worker, level, (top && archive.whole).then_some(&archive));
                nar::close(&mut archive.pieces);
            }
            continue;
        };
        level.next += 1;
        let &State::Pending(listed) = state else { continue };
        let state = if listed.file_type == FileType::Directory {
            State::Directory(worker.run.new_directory(level.place.task))
        } else {
            leaf(worker, level, listed.file_type, &mut archive, &mut buffer)
        };
        level.nodes.put(level.next - 1, state);
        let Some((name, state)) = level.nodes.get(level.next - 1) else { continue };
        if let &State::Directory(id) = state {
            nar::entry(&mut archive.pieces, name);
            let place = Place { task: level.place.task, id, path: join(&level.place.path, name), inode: None };
            let mount = level.mount;
            let depth = levels.len();
            if let Some(far) = depth.checked_sub(KEPT_OPEN) {
                levels[far].file = None;
            }
            let entered = enter(worker, place, levels.last(), Some(mount), &mut archive);
            levels.extend(entered);
        }
    }
}

/// Opens and lists a directory. What fails is noted, and there is no archive then.
fn enter(
    worker: &mut Worker<'_>,
    place: Place,
    above: Option<&Level>,
    parent: Option<Mount>,
    archive: &mut Archive,
) -> Option<Level> {
    let task = &worker.run.tasks[place.task];
    let notes = &mut worker.notes[place.task];
    worker.desk.begin(LISTING, place.task, What::Directory(place.id), &place.path, b"");
    let above = above.and_then(|level| level.file.as_ref()).map(AsFd::as_fd);
    let entered =
        listing::open(task, &place, above, parent, &mut notes.mounts).and_then(|opened| {
            match listing::names(task, &place, &opened.file, &mut worker.buffer, &mut notes.matched, |_, _| {}) {
                Ok(names) => Ok((opened, names)),
                Err(errno) => Err(Closed::Unverified(refused("list it", errno))),
            }
        });
    match entered {
        Ok((opened, nodes)) => {
            worker.run.progress.entries.fetch_add(nodes.len() as u64, Ordering::Relaxed);
            nar::directory(&mut archive.pieces);
            let listing::Opened { file, mount, attributes, status: _ } = opened;
            Some(Level { place, file: Some(file), mount, attributes, nodes, next: 0 })
        }
        Err(closed) => {
            archive.whole = false;
            worker.desk.pieces(place.task, |pieces| pieces.own.push((place.id, Err(closed.reason()))));
            None
        }
    }
}

/// Notes a directory that was gone through.
fn leave(worker: &mut Worker<'_>, level: Level, archive: Option<&Archive>) {
    let nar = archive.map(|archive| archive.hasher.clone().finish());
    let record = Record { content: Content::Directory { nar }, attributes: level.attributes };
    worker.desk.pieces(level.place.task, |pieces| {
        pieces.own.push((level.place.id, Ok(record)));
        pieces.parts.push(Part { directory: level.place.id, number: 0, nodes: level.nodes });
    });
}

/// Reads something that is no directory, and adds it to the archive.
fn leaf(
    worker: &mut Worker<'_>,
    level: &mut Level,
    listed: FileType,
    archive: &mut Archive,
    buffer: &mut [u8],
) -> State {
    let task = &worker.run.tasks[level.place.task];
    let Some((name, _)) = level.nodes.get(level.next - 1) else { return State::unverified(Unverified::Vanished) };
    worker.desk.begin(LISTING, level.place.task, What::Nowhere, &level.place.path, name);
    let directory = match &level.file {
        Some(file) => file,
        // Back from deep below: this directory was closed in the meantime.
        None => match open::directory(task.root, &level.place.path, Purpose::List) {
            Ok(file) => level.file.insert(file),
            Err(errno) => {
                archive.whole = false;
                return State::unverified(refused("open the directory it is in", errno));
            }
        },
    };
    let seen = observe::name(directory.as_fd(), name, listed, task.attributes);
    if let Seen::File(_, status) | Seen::Settled(_, Some(status)) = &seen
        && Mount::of(status) != level.mount
    {
        let path = join(&level.place.path, name);
        let notes = &mut worker.notes[level.place.task];
        if let Err(reason) = listing::note_mount(task, &path, status, Some(level.mount), &mut notes.mounts) {
            archive.whole = false;
            return State::unverified(reason);
        }
    }
    match seen {
        Seen::Directory => State::Directory(worker.run.new_directory(level.place.task)),
        Seen::Settled(state, status) => {
            worker.notes[level.place.task].note_link(task, &level.place.path, name, &state);
            let state = match (state, status) {
                (State::Recorded(record), Some(status)) => {
                    let touched = &mut worker.notes[level.place.task].touched;
                    task.state(record, &status, false, touched)
                }
                (state, _) => state,
            };
            let record = match &state {
                State::Recorded(record) => Some(record),
                State::Touched(record) => Some(&**record),
                _ => None,
            };
            if let Some(Record { content: Content::Symlink { target }, .. }) = record {
                nar::entry(&mut archive.pieces, name);
                nar::symlink(&mut archive.pieces, target);
                nar::close(&mut archive.pieces);
            } else {
                archive.whole = false;
            }
            state
        }
        Seen::File(file, mut status) => {
            nar::entry(&mut archive.pieces, name);
            archive.flush();
            let mut repeated = false;
            let goes_on = || worker.desk.go_on(LISTING);
            let recorded = contents(&file, &mut status, &mut repeated, archive, buffer, &goes_on)
                .and_then(|sha256| file_record(&file, &status, sha256, task.attributes));
            nar::close(&mut archive.pieces);
            worker.run.progress.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
            match recorded {
                Ok(record) => {
                    let touched = &mut worker.notes[level.place.task].touched;
                    let state = task.state(record, &status, repeated, touched);
                    archive.whole &= !matches!(state, State::Unverified(_));
                    state
                }
                Err(reason) => {
                    archive.whole = false;
                    State::unverified(reason)
                }
            }
        }
    }
}

/// Reads a file into both streams; one that did not hold still is taken back out of the archive and read again. `goes_on` is
/// told of each buffer.
fn contents(
    file: &OwnedFd,
    status: &mut Statx,
    repeated: &mut bool,
    archive: &mut Archive,
    buffer: &mut [u8],
    goes_on: &dyn Fn(),
) -> Hashed {
    for attempt in 1..=ATTEMPTS {
        let before = archive.hasher.clone();
        match once(file, status, &mut archive.hasher, buffer, goes_on) {
            Ok(sha256) => {
                let after = open::status(file).map_err(|errno| refused("read its status", errno))?;
                if same(status, &after) {
                    nar::close(&mut archive.pieces);
                    archive.flush();
                    return Ok(sha256);
                }
            }
            Err(Stopped::Changed) => {}
            Err(Stopped::Sizeless) => {
                archive.hasher = before;
                let contents = sizeless(file)?;
                status.stx_size = contents.len() as u64;
                return Ok(of_bytes(&contents, status, &mut archive.hasher));
            }
            Err(Stopped::Failed(errno)) => return Err(refused("read it", errno)),
        }
        archive.hasher = before;
        *repeated = true;
        pause(attempt);
        *status = open::status(file).map_err(|errno| refused("read its status", errno))?;
    }
    Err(Unverified::Unstable { attempts: ATTEMPTS })
}

/// Adds contents that are in memory to both streams.
fn of_bytes(contents: &[u8], status: &Statx, archive: &mut Sha256) -> Sha256Digest {
    let mut pieces = Vec::new();
    nar::regular(&mut pieces, status.stx_mode & 0o100 != 0, status.stx_size);
    archive.update(&pieces);
    archive.update(contents);
    archive.update(nar::padding(status.stx_size));
    let mut own = Sha256::new();
    own.update(contents);
    own.finish()
}

fn once(
    file: &OwnedFd,
    status: &Statx,
    archive: &mut Sha256,
    buffer: &mut [u8],
    goes_on: &dyn Fn(),
) -> Result<Sha256Digest, Stopped> {
    let size = status.stx_size;
    let mut pieces = Vec::new();
    nar::regular(&mut pieces, status.stx_mode & 0o100 != 0, size);
    archive.update(&pieces);
    let mut own = Sha256::new();
    let mut holes = Holes::new(status);
    let mut offset = 0;
    loop {
        goes_on();
        let filled = fill(file, &mut holes, offset, size, buffer)?;
        Sha256::update_both(&mut own, archive, &buffer[..filled]);
        offset += filled as u64;
        if offset >= size {
            break;
        }
    }
    archive.update(nar::padding(size));
    Ok(own.finish())
}
