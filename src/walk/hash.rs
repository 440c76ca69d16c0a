//! Digests of many files on one core: two files at a time, each read once, each proven to have held still.

use std::os::fd::OwnedFd;

use driftlock_lanes::{INITIAL, State as Chain, compress, compress_pair};
use rustix::fs::{SeekFrom, Statx};
use rustix::io::Errno;

use super::observe::{ATTEMPTS, pause, refused};
use super::open;
use crate::digest::{Sha256, digest_of, padding};
use crate::manifest::{Sha256Digest, Unverified};

/// Bytes that are read at once. Two such buffers fit into the second-level cache of every CPU of the last decade and leave
/// room in it; with twice as many, copying out of the page cache was slower (`docs/performance.md`).
pub const BUFFER: usize = 64 << 10;

/// Room behind the bytes of a file for the padding of SHA-256.
const PADDING: usize = 72;

/// From this size on, holes are looked for.
const SPARSE: u64 = 1 << 20;

/// A regular file to hash, and whatever its owner knows it by.
pub struct Opened<T> {
    pub tag: T,
    pub file: OwnedFd,
    pub status: Statx,
    /// Whether it did not hold still at first, and was read again.
    pub repeated: bool,
}

/// A file that was read from end to end while its size and times stayed the same, and its digest; or why not.
pub type Hashed = Result<Sha256Digest, Unverified>;

/// Hashes all files that `next` gives, and gives each to `done`. `reads` is told which of the lanes reads on. `next` is told
/// which of the lanes is free, and what the other one is at; a lane for which it has nothing is asked for again after each
/// buffer of the other.
pub fn all<T>(
    lanes: &mut [Lane<T>; 2],
    reads: impl Fn(usize),
    mut next: impl FnMut(Free) -> Option<Opened<T>>,
    mut done: impl FnMut(Opened<T>, Hashed),
) {
    loop {
        for index in 0..lanes.len() {
            let beside = lanes[1 - index].left();
            let lane = &mut lanes[index];
            while lane.ready().is_empty() {
                if lane.reading.is_some() {
                    reads(index);
                }
                if let Some((opened, result)) = lane.refill() {
                    done(opened, result);
                } else if lane.reading.is_none() {
                    let Some(opened) = next(Free { first: index == 0, beside }) else { break };
                    lane.start(opened);
                }
            }
        }
        let [a, b] = &mut *lanes;
        let blocks = match (a.ready().len(), b.ready().len()) {
            (0, 0) => return,
            (blocks, 0) | (0, blocks) => blocks,
            (in_a, in_b) => in_a.min(in_b),
        };
        match (a.ready().is_empty(), b.ready().is_empty()) {
            (false, false) => {
                let (a_chain, a_blocks) = a.take(blocks);
                let (b_chain, b_blocks) = b.take(blocks);
                compress_pair(a_chain, a_blocks, b_chain, b_blocks);
            }
            (false, true) => {
                let (chain, blocks) = a.take(blocks);
                compress(chain, blocks);
            }
            _ => {
                let (chain, blocks) = b.take(blocks);
                compress(chain, blocks);
            }
        }
    }
}

/// A lane without a file.
#[derive(Clone, Copy)]
pub struct Free {
    /// Whether it is the first of the two.
    pub first: bool,
    /// Bytes of the other one's file that are not read yet; nothing if it has no file either.
    pub beside: Option<u64>,
}

/// One of the two files in work.
pub struct Lane<T> {
    buffer: Box<[u8]>,
    /// The part of the buffer that still has to go through the compression, always whole blocks.
    position: usize,
    end: usize,
    chain: Chain,
    reading: Option<Reading<T>>,
}

struct Reading<T> {
    opened: Opened<T>,
    /// Whether all bytes and the padding are in the buffer or through.
    complete: bool,
    offset: u64,
    attempt: u32,
    holes: Holes,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER + PADDING].into(), position: 0, end: 0, chain: INITIAL, reading: None }
    }
}

impl<T> Lane<T> {
    fn ready(&self) -> &[[u8; 64]] {
        self.buffer[self.position..self.end].as_chunks().0
    }

    fn take(&mut self, blocks: usize) -> (&mut Chain, &[[u8; 64]]) {
        let start = self.position;
        self.position += blocks * 64;
        (&mut self.chain, self.buffer[start..self.position].as_chunks().0)
    }

    /// Bytes of the file that are not read yet.
    fn left(&self) -> Option<u64> {
        let reading = self.reading.as_ref()?;
        Some(reading.opened.status.stx_size.saturating_sub(reading.offset))
    }

    fn start(&mut self, opened: Opened<T>) {
        let holes = Holes::new(&opened.status);
        self.reading = Some(Reading { opened, complete: false, offset: 0, attempt: 1, holes });
        (self.position, self.end, self.chain) = (0, 0, INITIAL);
    }

    /// Reads on, now that everything in the buffer is through; gives the file back once it is at its end.
    fn refill(&mut self) -> Option<(Opened<T>, Hashed)> {
        let reading = self.reading.as_mut()?;
        if !reading.complete {
            match reading.fill(&mut self.buffer) {
                Ok(filled) => {
                    (self.position, self.end) = (0, filled);
                    return None;
                }
                Err(Stopped::Failed(errno)) => return self.finish(Err(refused("read it", errno))),
                Err(Stopped::Changed) => return self.again(),
                Err(Stopped::Sizeless) => {
                    let whole = sizeless(&reading.opened.file).map(|contents| {
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
                let digest = digest_of(&self.chain);
                self.finish(Ok(digest))
            }
            Ok(after) => {
                reading.opened.status = after;
                self.again()
            }
            Err(errno) => self.finish(Err(refused("read its status", errno))),
        }
    }

    /// Starts the file over, unless it was started over too often already.
    fn again(&mut self) -> Option<(Opened<T>, Hashed)> {
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
        (self.position, self.end, self.chain) = (0, 0, INITIAL);
        None
    }

    fn finish(&mut self, result: Hashed) -> Option<(Opened<T>, Hashed)> {
        (self.position, self.end) = (0, 0);
        self.reading.take().map(|reading| (reading.opened, result))
    }
}

/// Whether a file held still between two looks at its status: the same size and times, to the nanosecond.
pub fn same(before: &Statx, after: &Statx) -> bool {
    let times = |status: &Statx| {
        (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec, status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec)
    };
    before.stx_size == after.stx_size && times(before) == times(after)
}

/// Why reading a file came to an end before the file did.
pub enum Stopped {
    /// It is shorter or longer than its status said.
    Changed,
    /// It has contents, and its status says that it has none.
    Sizeless,
    Failed(Errno),
}

impl<T> Reading<T> {
    /// Fills the buffer with the next bytes and, behind the last of them, the padding. Gives the length: whole blocks.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        let size = self.opened.status.stx_size;
        let filled = fill(&self.opened.file, &mut self.holes, self.offset, size, &mut buffer[..BUFFER + BEYOND])?;
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

/// Room in a buffer for the byte behind the last one, which must not be there: files of FUSE can yield more than they say.
pub const BEYOND: usize = 1;

/// The most that is read of a file that states no size.
const SIZELESS: usize = 4 << 20;

/// Reads a file that states no size, such as one below `/proc/sys`, to its end; twice, and both have to agree.
pub fn sizeless(file: &OwnedFd) -> Result<Vec<u8>, Unverified> {
    let read = || -> Result<Vec<u8>, Unverified> {
        let mut all = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match rustix::io::pread(file, &mut buffer[..], all.len() as u64) {
                Ok(0) => return Ok(all),
                Ok(read) if all.len() + read > SIZELESS => return Err(Unverified::Sizeless { limit: SIZELESS }),
                Ok(read) => all.extend_from_slice(&buffer[..read]),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(refused("read it", errno)),
            }
        }
    };
    let mut before = read()?;
    for attempt in 1..=ATTEMPTS {
        let now = read()?;
        if now == before {
            return Ok(now);
        }
        before = now;
        pause(attempt);
    }
    Err(Unverified::Unstable { attempts: ATTEMPTS })
}

/// Fills the buffer but for [`BEYOND`] with the file's bytes from `offset` on, as far as the file of `size` bytes goes.
pub fn fill(file: &OwnedFd, holes: &mut Holes, offset: u64, size: u64, buffer: &mut [u8]) -> Result<usize, Stopped> {
    let left = size - offset;
    if size == 0 {
        // Files of the kernel's own (below /proc, say) state no size; what they hold must not pass for empty.
        return match retry(|| rustix::io::pread(file, &mut buffer[..1], 0))? {
            0 => Ok(0),
            _ => Err(Stopped::Sizeless),
        };
    }
    let most = buffer.len() - BEYOND;
    let wanted = usize::try_from(left).map_or(most, |left| left.min(most));
    let is_last = wanted as u64 == left;
    let mut filled = 0;
    // Whether it was seen that nothing comes behind the last byte.
    let mut ends = false;
    while filled < wanted {
        let at = offset + filled as u64;
        let span = usize::try_from(holes.span(file, at, size)?).unwrap_or(usize::MAX).min(wanted - filled);
        let beyond = if is_last && filled + span == wanted { BEYOND } else { 0 };
        let part = &mut buffer[filled..filled + span + beyond];
        filled += if holes.in_hole {
            part[..span].fill(0);
            span
        } else {
            match retry(|| rustix::io::pread(file, &mut *part, at))? {
                0 => return Err(Stopped::Changed),
                read if read > span => return Err(Stopped::Changed),
                read => {
                    ends |= beyond > 0 && read == span;
                    read
                }
            }
        };
    }
    if is_last && !ends && retry(|| rustix::io::pread(file, &mut buffer[filled..filled + BEYOND], size))? > 0 {
        return Err(Stopped::Changed);
    }
    Ok(filled)
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Stopped> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result.map_err(Stopped::Failed),
        }
    }
}

/// Where a sparse file has bytes and where it has none: those are zeros that need not be read.
pub struct Holes {
    sparse: bool,
    in_hole: bool,
    /// Up to where `in_hole` holds.
    until: u64,
}

impl Holes {
    pub fn new(status: &Statx) -> Self {
        let sparse = status.stx_size >= SPARSE && status.stx_blocks.saturating_mul(512) < status.stx_size;
        Self { sparse, in_hole: false, until: 0 }
    }

    /// How many bytes from `at` on are all in a hole or all outside.
    fn span(&mut self, file: &OwnedFd, at: u64, size: u64) -> Result<u64, Stopped> {
        if !self.sparse {
            return Ok(u64::MAX);
        }
        if at >= self.until {
            match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(data) if data > at => (self.in_hole, self.until) = (true, data.min(size)),
                Ok(_) => {
                    let hole = rustix::fs::seek(file, SeekFrom::Hole(at)).map_err(Stopped::Failed)?;
                    (self.in_hole, self.until) = (false, hole);
                }
                // No data up to the end.
                Err(Errno::NXIO) => (self.in_hole, self.until) = (true, size),
                // A file system that does not tell.
                Err(Errno::INVAL | Errno::OPNOTSUPP) => (self.in_hole, self.sparse) = (false, false),
                Err(errno) => return Err(Stopped::Failed(errno)),
            }
        }
        Ok(if self.sparse { self.until.saturating_sub(at).max(1) } else { u64::MAX })
    }
}
