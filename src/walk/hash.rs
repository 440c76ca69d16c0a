//! Hashes several files at a time on one core. Each is read once, and its status is the same before and after.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use driftlock_lanes::{INITIAL, Kernel, MOST_LANES, State as Chain};
use rustix::fs::Statx;

use super::ahead::{Ahead, Feeder};
use super::effort::Reader;
use super::fill::{BUFFER, Buffer, EOF_PROBE, FillError, Holes, fill, read_sizeless};
use super::inspect::{ATTEMPTS, pause, refused};
use super::open;
use crate::digest::{Sha256, digest_of, padding};
use crate::manifest::{Sha256Digest, Unverified};

/// Space after the bytes of a file for the padding of SHA-256.
const PADDING: usize = 72;

/// A regular file to hash, with a tag that the caller chooses.
pub struct FileToHash<T> {
    pub tag: T,
    pub file: Arc<OwnedFd>,
    pub status: Statx,
    /// Whether it changed while it was read, and was read again.
    pub repeated: bool,
    /// Whether it is hashed with nothing beside it, if it is long.
    pub alone: bool,
}

/// The digest of a file that was read to its end while its size and times stayed the same; or why there is none.
pub type Hashed = Result<Sha256Digest, Unverified>;

/// The files that one worker hashes at once.
pub struct Lanes<T> {
    kernel: Kernel,
    lanes: Vec<Lane<T>>,
    /// The SHA-256 state of each lane.
    chains: Vec<Chain>,
}

/// A lane without a file.
#[derive(Clone, Copy)]
pub struct FreeLane {
    pub lane: usize,
    /// Whether it is in the first half of the lanes.
    pub first: bool,
    /// The most bytes that the file of another lane has left; `None` if no other lane has a file.
    pub beside: Option<u64>,
}

impl<T> Lanes<T> {
    /// Creates `count` lanes; the kernel compresses as many at once as it can.
    pub fn new(kernel: Kernel, count: usize) -> Self {
        let count = count.clamp(1, MOST_LANES);
        Self { kernel, lanes: (0..count).map(|_| Lane::default()).collect(), chains: vec![INITIAL; count] }
    }

    /// Hashes all files that `next` returns, and passes each to `done`. Calls `reads` with the lane that reads on, and
    /// `next` with a free lane. After `next` has returned nothing, it is called again when another lane has finished
    /// its buffer.
    pub fn hash_all(
        &mut self,
        reader: &Arc<Reader>,
        reads: impl Fn(usize),
        mut next: impl FnMut(FreeLane) -> Option<FileToHash<T>>,
        mut done: impl FnMut(FileToHash<T>, Hashed),
    ) {
        loop {
            let mut asks = true;
            for index in 0..self.lanes.len() {
                while self.lanes[index].ready().is_empty() {
                    let lane = &mut self.lanes[index];
                    if lane.reading.is_some() {
                        reads(index);
                        if let Some((opened, result)) = lane.refill(&mut self.chains[index], reader) {
                            done(opened, result);
                        }
                        continue;
                    }
                    let opened = if asks { next(self.free(index)) } else { None };
                    asks = opened.is_some();
                    let Some(opened) = opened else { break };
                    self.lanes[index].start(opened, &mut self.chains[index], reader);
                }
            }
            let ready = self.lanes.iter().map(|lane| lane.ready().len()).filter(|blocks| *blocks > 0);
            let Some(blocks) = ready.min() else { return };
            let count = self.lanes.len();
            let mut messages = [&[][..]; MOST_LANES];
            for (message, lane) in messages.iter_mut().zip(&mut self.lanes) {
                *message = lane.take(blocks);
            }
            self.kernel.compress_each(&mut self.chains, &messages[..count]);
        }
    }

    fn free(&self, lane: usize) -> FreeLane {
        let beside = self.lanes.iter().filter_map(Lane::left).max();
        FreeLane { lane, first: lane < self.lanes.len().div_ceil(2), beside }
    }
}

/// The state of one file.
pub struct Lane<T> {
    buffer: Buffer,
    /// The part of the buffer that is not compressed yet, always whole blocks.
    position: usize,
    end: usize,
    reading: Option<Reading<T>>,
}

struct Reading<T> {
    opened: FileToHash<T>,
    /// Whether all bytes and the padding were put into the buffer.
    complete: bool,
    offset: u64,
    attempt: u32,
    holes: Holes,
    /// What reads ahead, and the buffer of the lane, which is not used meanwhile.
    ahead: Option<(Ahead, Buffer)>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { buffer: Buffer::new(BUFFER + PADDING), position: 0, end: 0, reading: None }
    }
}

impl<T> Lane<T> {
    fn ready(&self) -> &[[u8; 64]] {
        self.buffer[self.position..self.end].as_chunks().0
    }

    /// Takes up to this many blocks.
    fn take(&mut self, blocks: usize) -> &[[u8; 64]] {
        let start = self.position;
        self.position = self.end.min(start + blocks * 64);
        self.buffer[start..self.position].as_chunks().0
    }

    /// The bytes of the file that are not read yet.
    fn left(&self) -> Option<u64> {
        let reading = self.reading.as_ref()?;
        Some(reading.opened.status.stx_size.saturating_sub(reading.offset))
    }

    fn start(&mut self, opened: FileToHash<T>, chain: &mut Chain, reader: &Arc<Reader>) {
        let holes = Holes::new(&opened.status);
        self.reading = Some(Reading { opened, complete: false, offset: 0, attempt: 1, holes, ahead: None });
        (self.position, self.end, *chain) = (0, 0, INITIAL);
        self.read_ahead(reader);
    }

    /// Lets another thread read the file, if it should.
    fn read_ahead(&mut self, reader: &Arc<Reader>) {
        let Some(Reading { opened, ahead, .. }) = self.reading.as_mut().filter(|reading| reading.opened.alone) else {
            return;
        };
        let Some(permit) = reader.permit_ahead(opened.status.stx_size) else { return };
        let (reader, file) = (Arc::clone(reader), Arc::clone(&opened.file));
        let spawn = |feeder: Feeder| std::thread::Builder::new().spawn(move || feeder.run(&reader, &file)).map(drop);
        // If the system can't start a thread, this one reads.
        *ahead = Ahead::start(permit, &opened.status, PADDING, spawn)
            .map(|(reads, buffer)| (reads, std::mem::replace(&mut self.buffer, buffer)));
    }

    /// Ends that.
    fn stop_ahead(&mut self) {
        if let Some((_, own)) = self.reading.as_mut().and_then(|reading| reading.ahead.take()) {
            self.buffer = own;
        }
    }

    /// Reads on after everything in the buffer was compressed; returns the file at its end.
    fn refill(&mut self, chain: &mut Chain, reader: &Arc<Reader>) -> Option<(FileToHash<T>, Hashed)> {
        let reading = self.reading.as_mut()?;
        if !reading.complete {
            match reading.fill(&mut self.buffer, reader) {
                Ok(filled) => {
                    (self.position, self.end) = (0, filled);
                    return None;
                }
                Err(FillError::Failed(errno)) => return self.finish(Err(refused("read it", errno))),
                Err(FillError::Changed) => return self.again(chain, reader),
                Err(FillError::Sizeless) => {
                    let whole = read_sizeless(&reading.opened.file, reader).map(|contents| {
                        reading.opened.status.stx_size = contents.len() as u64;
                        let mut hasher = Sha256::new();
                        hasher.update(&contents);
                        hasher.finish()
                    });
                    return self.finish(whole);
                }
            }
        }
        match open::status(&reading.opened.file) {
            Ok(after) if same(&reading.opened.status, &after) => {
                let digest = digest_of(chain);
                self.finish(Ok(digest))
            }
            Ok(after) => {
                reading.opened.status = after;
                self.again(chain, reader)
            }
            Err(errno) => self.finish(Err(refused("read its status", errno))),
        }
    }

    /// Starts the file over, unless that was done too often already.
    fn again(&mut self, chain: &mut Chain, reader: &Arc<Reader>) -> Option<(FileToHash<T>, Hashed)> {
        self.stop_ahead();
        let reading = self.reading.as_mut()?;
        if reading.attempt >= ATTEMPTS {
            let attempts = reading.attempt;
            return self.finish(Err(Unverified::Unstable { attempts }));
        }
        pause(reading.attempt);
        reading.attempt += 1;
        reading.opened.repeated = true;
        match open::status(&reading.opened.file) {
            Ok(status) => reading.opened.status = status,
            Err(errno) => return self.finish(Err(refused("read its status", errno))),
        }
        (reading.offset, reading.complete, reading.holes) = (0, false, Holes::new(&reading.opened.status));
        (self.position, self.end, *chain) = (0, 0, INITIAL);
        self.read_ahead(reader);
        None
    }

    fn finish(&mut self, result: Hashed) -> Option<(FileToHash<T>, Hashed)> {
        (self.position, self.end) = (0, 0);
        self.stop_ahead();
        self.reading.take().map(|reading| (reading.opened, result))
    }
}

/// Whether a file is unchanged: the same size, and the same times to the nanosecond.
pub fn same(before: &Statx, after: &Statx) -> bool {
    let times = |status: &Statx| {
        (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec, status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec)
    };
    before.stx_size == after.stx_size && times(before) == times(after)
}

impl<T> Reading<T> {
    /// Fills the buffer with the next bytes and, after the last of them, the padding. Returns the length: whole blocks.
    fn fill(&mut self, buffer: &mut Buffer, reader: &Reader) -> Result<usize, FillError> {
        let size = self.opened.status.stx_size;
        let filled = match &self.ahead {
            Some((ahead, _)) => ahead.next(buffer)?,
            None => {
                let contents = &mut buffer[..BUFFER + EOF_PROBE];
                fill(reader, &self.opened.file, &mut self.holes, self.offset, size, contents)?
            }
        };
        self.offset += filled as u64;
        if self.offset < size {
            return Ok(filled);
        }
        self.complete = true;
        let (tail, length) = padding(size);
        buffer[filled..filled + length].copy_from_slice(&tail[..length]);
        Ok(filled + length)
    }
}
