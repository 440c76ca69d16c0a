//! Hashes the archives of a worker, and the files in them. Each byte is read once.
//!
//! What is read goes into a [`Stage`], of which each module that the worker walks at the same time has one. When one is
//! full, all of them are hashed, side by side. Once an archive is long, and if a core may be free, another thread takes
//! over hashing. That thread opens and reads nothing.

use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use rustix::fs::Statx;

use super::effort::Reader;
use super::fill::{BUFFER, FillError, Holes, fill, read_sizeless};
use super::hash::same;
use super::inspect::{ATTEMPTS, pause, refused};
use super::nar_stage::{Digests, Origin, Stage, Streams, Which, hash};
use super::open;
use crate::digest::{kernel, nar};
use crate::manifest::Unverified;

/// The bytes in a stage where a file and its archive are as many streams as a core can hash at once.
const SHORT: usize = 64 << 10;

/// The bytes in all stages of a worker where more streams are hashed at once. With many files, few lanes are empty.
const WIDE: usize = 1 << 20;

/// The bytes in a stage for the other thread. Waking it for each must cost little beside hashing them.
const ASIDE: usize = 512 << 10;

/// The stages that may wait for the other thread.
const QUEUED: usize = 2;

/// The length from which on an archive can get another thread, in bytes. Starting it must cost little beside hashing.
const LONG_ARCHIVE: u64 = 4 << 20;

/// How a worker reads, and what it tells meanwhile.
pub struct Context<'a> {
    pub reader: &'a Reader,
    /// Called for each buffer.
    pub on_progress: &'a dyn Fn(),
    /// Permits another thread: see [`Reader::permit_helper`].
    pub permit: &'a dyn Fn() -> Option<Arc<()>>,
}

/// See the module's documentation. `F` and `A` tell for what the digests are.
pub struct NarStreams<F, A> {
    slots: Vec<Slot<F, A>>,
    /// The bytes in a stage that is hashed here.
    capacity: usize,
    /// The slot of the archive to which everything is added.
    at: usize,
    /// A buffer for what is not the contents of files.
    frame: Vec<u8>,
    /// What the other thread hashes, if there is one.
    which: Which,
    /// The digests so far, for the caller to take.
    pub done: Digests<F, A>,
}

/// One archive after another.
struct Slot<F, A> {
    stage: Stage<F, A>,
    streams: Streams,
    /// The length of the archive that is open, in bytes.
    archive: Option<u64>,
    /// The other thread, which hashes this archive and the files in it.
    aside: Option<Aside<F, A>>,
}

impl<F: Send + 'static, A: Send + 'static> NarStreams<F, A> {
    /// For so many archives at once.
    pub fn new(count: usize) -> Self {
        Self::with_slots(count, if kernel().lanes() > 2 { WIDE / count.max(1) } else { SHORT })
    }

    /// For one archive at a time, with little memory.
    pub fn short() -> Self {
        Self::with_slots(1, SHORT)
    }

    /// For the archive of one file.
    pub fn for_file(size: u64) -> Self {
        if size < LONG_ARCHIVE { Self::short() } else { Self::new(1) }
    }

    /// With stages of so many bytes.
    fn with_slots(count: usize, capacity: usize) -> Self {
        let slot = |_| Slot { stage: Stage::new(capacity), streams: Streams::default(), archive: None, aside: None };
        let slots = (0..count).map(slot).collect();
        // A file and its archive fill two lanes. Otherwise, this core hashes files, as many at once as it can, and the
        // other one the archive.
        let which = if kernel().lanes() == 2 { Which::All } else { Which::Archives };
        Self { slots, capacity, at: 0, which, frame: Vec::new(), done: Digests::default() }
    }

    /// How many archives can be open at once.
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Continues with the archive of this slot.
    pub const fn select(&mut self, slot: usize) {
        self.at = slot;
    }

    /// Whether the stage of the current archive is so full that it is time for the next slot.
    pub fn is_full(&self) -> bool {
        let stage = &self.slots[self.at].stage;
        stage.room() < stage.len() / 2
    }

    fn slot(&mut self) -> &mut Slot<F, A> {
        &mut self.slots[self.at]
    }

    fn stage(&mut self) -> &mut Stage<F, A> {
        &mut self.slots[self.at].stage
    }

    /// Starts an archive.
    pub fn begin(&mut self, context: &Context<'_>) {
        self.stage().open_archive(true);
        self.slot().archive = Some(0);
        self.add(context, nar::archive);
    }

    /// Adds what `write` writes: anything but the contents of files.
    pub fn add(&mut self, context: &Context<'_>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        write(&mut frame);
        let mut rest = &frame[..];
        while rest.len() > self.stage().room() {
            let (here, later) = rest.split_at(self.stage().room());
            self.stage().add(here);
            self.flush(context.permit);
            rest = later;
        }
        self.stage().add(rest);
        self.frame = frame;
    }

    /// Ends the archive. Without a tag, there is no digest. The stage is not empty, as every archive ends with a frame.
    pub fn end(&mut self, tag: Option<A>) {
        self.stage().end_archive(tag);
        self.slot().archive = None;
        if self.slot().aside.is_some() {
            self.flush(&|| None);
        }
        if let Some(aside) = self.slot().aside.take() {
            self.done.append(aside.finish());
            self.slot().stage = Stage::new(self.capacity);
        }
    }

    /// Reads a file into the archive. If it changed meanwhile, removes what was read, and reads it again.
    pub fn file(
        &mut self,
        file: &OwnedFd,
        status: &mut Statx,
        repeated: &mut bool,
        context: &Context<'_>,
    ) -> Result<(), Unverified> {
        for attempt in 1..=ATTEMPTS {
            let start = self.start_file(status, context);
            match self.contents(file, status, context) {
                Ok(()) => match open::status(file) {
                    Ok(after) if same(status, &after) => {
                        self.stage().add(nar::padding(status.stx_size));
                        return Ok(());
                    }
                    Ok(_) => {}
                    Err(errno) => return Err(self.failed(start, refused("read its status", errno))),
                },
                Err(FillError::Changed) => {}
                Err(FillError::Sizeless) => {
                    self.take_back(start);
                    let contents = read_sizeless(file, context.reader)?;
                    status.stx_size = contents.len() as u64;
                    self.start_file(status, context);
                    self.contents_in_memory(&contents, context);
                    self.stage().add(nar::padding(status.stx_size));
                    return Ok(());
                }
                Err(FillError::Failed(errno)) => return Err(self.failed(start, refused("read it", errno))),
            }
            self.take_back(start);
            *repeated = true;
            pause(attempt);
            *status = open::status(file).map_err(|errno| refused("read its status", errno))?;
        }
        Err(Unverified::Unstable { attempts: ATTEMPTS })
    }

    /// Sets what the digest of the last file is for. Nothing may be added between the file and this.
    pub fn tag_file(&mut self, tag: F) {
        self.stage().tag_file(tag);
    }

    /// Adds what is before the contents. Returns where that starts in the stage, if the file fits into it.
    fn start_file(&mut self, status: &Statx, context: &Context<'_>) -> Option<usize> {
        let mut header = Vec::new();
        nar::regular(&mut header, status.stx_mode & 0o100 != 0, status.stx_size);
        let length = usize::try_from(status.stx_size).unwrap_or(usize::MAX).saturating_add(header.len());
        self.room_for(length, context);
        let fits = length <= self.stage().room();
        // After a rewind, the archive is at the mark already.
        if !fits && self.stage().origin == Origin::Onward {
            self.stage().origin = Origin::Mark;
        }
        let start = self.stage().len();
        self.stage().add(&header);
        self.stage().open_file(true);
        fits.then_some(start)
    }

    fn contents(&mut self, file: &OwnedFd, status: &Statx, context: &Context<'_>) -> Result<(), FillError> {
        let size = status.stx_size;
        let mut holes = Holes::new(status);
        let mut offset = 0;
        loop {
            (context.on_progress)();
            let filled = fill(context.reader, file, &mut holes, offset, size, self.stage().space(BUFFER))?;
            self.stage().filled(filled);
            offset += filled as u64;
            if offset >= size {
                self.stage().close_file(true);
                return Ok(());
            }
            if self.stage().room() == 0 {
                self.next_stage_of_file(context);
            }
        }
    }

    fn contents_in_memory(&mut self, mut contents: &[u8], context: &Context<'_>) {
        loop {
            let (here, later) = contents.split_at(contents.len().min(self.stage().room()));
            self.stage().add(here);
            contents = later;
            if contents.is_empty() {
                self.stage().close_file(true);
                return;
            }
            self.next_stage_of_file(context);
        }
    }

    fn next_stage_of_file(&mut self, context: &Context<'_>) {
        self.stage().close_file(false);
        self.flush(context.permit);
        self.stage().open_file(false);
    }

    /// Removes the file that started there.
    fn take_back(&mut self, start: Option<usize>) {
        if let Some(start) = start {
            self.stage().take_back(start);
            return;
        }
        // It began with the stage, or in an earlier one. If that one was hashed, the archive goes back.
        let origin = if self.stage().origin == Origin::Onward { Origin::Rewind } else { self.stage().origin };
        self.stage().clear();
        self.stage().origin = origin;
        self.stage().open_archive(false);
    }

    fn failed(&mut self, start: Option<usize>, reason: Unverified) -> Unverified {
        self.take_back(start);
        reason
    }

    /// Hashes the stage if it has no room for so many bytes, which it may not have afterwards either.
    fn room_for(&mut self, bytes: usize, context: &Context<'_>) {
        if self.stage().room() < bytes {
            self.flush(context.permit);
        }
    }

    /// Hashes what is in the stage, here or in the other thread.
    fn flush(&mut self, permit: &dyn Fn() -> Option<Arc<()>>) {
        if self.stage().is_empty() {
            return;
        }
        if self.slot().aside.is_none() && self.is_alone_and_long() {
            let streams = self.slot().streams.clone();
            self.slot().aside = permit().and_then(|permit| Aside::start(streams, self.which, permit));
        }
        let Slot { stage, streams, archive, aside } = &mut self.slots[self.at];
        let Some(aside) = aside else { return self.hash_stages() };
        if archive.is_some() {
            stage.interrupt_archive();
        }
        if self.which == Which::Archives {
            self.done.append(hash(std::iter::once((&mut *stage, streams)), Which::Files));
        }
        let returned = aside.done.try_recv().ok().map(|(mut stage, digests)| {
            self.done.append(digests);
            stage.clear();
            stage
        });
        // The first one was a smaller one.
        let mut next = returned.filter(|stage| stage.room() >= ASIDE).unwrap_or_else(|| Stage::new(ASIDE));
        if archive.is_some() {
            next.open_archive(false);
        }
        // Sending fails only if the thread panicked; `finish` reports that.
        let _ = aside.stages.send(std::mem::replace(stage, next));
    }

    /// Whether the current archive is a long one, and the only one.
    fn is_alone_and_long(&self) -> bool {
        let mut others = self.slots.iter().enumerate().filter(|(index, _)| *index != self.at);
        self.slots[self.at].archive.is_some_and(|length| length >= LONG_ARCHIVE)
            && others.all(|(_, slot)| slot.archive.is_none() && slot.stage.is_empty())
    }

    /// Hashes what is in all stages, side by side, except for those of archives that the other thread hashes.
    pub fn hash_stages(&mut self) {
        let filled = |slot: &&mut Slot<F, A>| !slot.stage.is_empty() && slot.aside.is_none();
        for slot in self.slots.iter_mut().filter(filled).filter(|slot| slot.archive.is_some()) {
            slot.stage.interrupt_archive();
        }
        let stages = self.slots.iter_mut().filter(filled).map(|slot| (&mut slot.stage, &mut slot.streams));
        self.done.append(hash(stages, Which::All));
        for slot in self.slots.iter_mut().filter(filled) {
            if let Some(length) = &mut slot.archive {
                *length += slot.stage.len() as u64;
            }
            slot.stage.clear();
            if slot.archive.is_some() {
                slot.stage.open_archive(false);
            }
        }
    }
}

/// A thread that hashes stages.
struct Aside<F, A> {
    stages: SyncSender<Stage<F, A>>,
    /// Hashed stages, to reuse their memory.
    done: Receiver<(Stage<F, A>, Digests<F, A>)>,
    thread: JoinHandle<()>,
}

impl<F: Send + 'static, A: Send + 'static> Aside<F, A> {
    /// Starts a thread that goes on from `streams`, if possible.
    fn start(mut streams: Streams, which: Which, permit: Arc<()>) -> Option<Self> {
        let (stages, full) = sync_channel::<Stage<F, A>>(QUEUED);
        let (hashed, done) = channel();
        let work = move || {
            let _permit = permit;
            for mut stage in full {
                let digests = hash(std::iter::once((&mut stage, &mut streams)), which);
                // Nothing receives it if the walk panicked.
                let _ = hashed.send((stage, digests));
            }
        };
        let thread = Builder::new().spawn(work).ok()?;
        Some(Self { stages, done, thread })
    }

    /// Waits until everything is hashed.
    fn finish(self) -> Digests<F, A> {
        let Self { stages, done, thread } = self;
        drop(stages);
        let mut digests = Digests::default();
        done.into_iter().for_each(|(_, later)| digests.append(later));
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        digests
    }
}

#[cfg(test)]
mod tests;
