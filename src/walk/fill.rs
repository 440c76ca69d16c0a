//! Reads a file into a buffer, and notices contents that its status does not announce.

use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;

use rustix::fs::{SeekFrom, Statx};
use rustix::io::Errno;

use super::effort::Reader;
use super::inspect::{ATTEMPTS, pause, refused};
use crate::manifest::Unverified;

/// The bytes to read at once. Two such buffers fit into the second-level cache of every CPU of the last decade with
/// room to spare. With twice the size, copying out of the page cache was slower (`docs/performance.md`).
pub const BUFFER: usize = 64 << 10;

/// The alignment of a buffer, in bytes: a cache line. On some CPUs the kernel copies six times slower to the sixteenth
/// byte of a page, where allocations often start.
const ALIGNED: usize = 64;

/// An aligned buffer.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub fn new(length: usize) -> Self {
        let bytes: Box<[u8]> = vec![0; length + ALIGNED].into();
        // The offset is less than the `ALIGNED` bytes that were added.
        let start = bytes.as_ptr().align_offset(ALIGNED).min(ALIGNED);
        Self { bytes, start, length }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

/// Files of at least this size are searched for holes.
const SPARSE: u64 = 1 << 20;

/// Why a file could not be read to its end.
pub enum FillError {
    /// It is shorter or longer than its status said.
    Changed,
    /// It has contents, but its status says that it is empty.
    Sizeless,
    Failed(Errno),
}

/// Space for one byte after the end of the file. It must not be there: files of FUSE can have more bytes than they
/// state.
pub const EOF_PROBE: usize = 1;

/// The most bytes to read from a file that states no size.
const SIZELESS: usize = 4 << 20;

/// Reads a file that states no size, such as one below `/proc/sys`, until two reads agree.
pub fn read_sizeless(file: &OwnedFd, reader: &Reader) -> Result<Vec<u8>, Unverified> {
    let read = || -> Result<Vec<u8>, Unverified> {
        let mut all = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(file, &mut buffer, all.len() as u64) {
                Ok(0) => return Ok(all),
                Ok(read) if all.len() + read > SIZELESS => return Err(Unverified::Sizeless { limit: SIZELESS }),
                Ok(read) => all.extend_from_slice(&buffer[..read]),
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

/// Fills the buffer, except for [`EOF_PROBE`], with bytes of a file of `size` bytes, from `offset` on.
pub fn fill(
    reader: &Reader,
    file: &OwnedFd,
    holes: &mut Holes,
    offset: u64,
    size: u64,
    buffer: &mut [u8],
) -> Result<usize, FillError> {
    let read = |buffer: &mut [u8], at| reader.read(file, buffer, at).map_err(FillError::Failed);
    let left = size - offset;
    if size == 0 {
        // The kernel's own files, such as those below /proc, state no size. Their contents must not count as empty.
        return match read(&mut buffer[..1], 0)? {
            0 => Ok(0),
            _ => Err(FillError::Sizeless),
        };
    }
    let most = buffer.len() - EOF_PROBE;
    let wanted = usize::try_from(left).map_or(most, |left| left.min(most));
    let is_last = wanted as u64 == left;
    let mut filled = 0;
    // Whether a read has shown that the file ends here.
    let mut ends = false;
    while filled < wanted {
        let at = offset + filled as u64;
        let span = usize::try_from(holes.span(file, at, size)?).unwrap_or(usize::MAX).min(wanted - filled);
        let beyond = if is_last && filled + span == wanted { EOF_PROBE } else { 0 };
        let part = &mut buffer[filled..filled + span + beyond];
        filled += if holes.in_hole {
            part[..span].fill(0);
            span
        } else {
            match read(part, at)? {
                0 => return Err(FillError::Changed),
                read if read > span => return Err(FillError::Changed),
                read => {
                    ends |= beyond > 0 && read == span;
                    read
                }
            }
        };
    }
    if is_last && !ends && read(&mut buffer[filled..filled + EOF_PROBE], size)? > 0 {
        return Err(FillError::Changed);
    }
    Ok(filled)
}

/// Tracks the holes of a sparse file: zeros that need not be read.
pub struct Holes {
    sparse: bool,
    in_hole: bool,
    /// The offset up to which `in_hole` holds.
    until: u64,
}

impl Holes {
    pub fn new(status: &Statx) -> Self {
        let sparse = status.stx_size >= SPARSE && status.stx_blocks.saturating_mul(512) < status.stx_size;
        Self { sparse, in_hole: false, until: 0 }
    }

    /// How many bytes from `at` on are all in a hole, or all outside of one.
    fn span(&mut self, file: &OwnedFd, at: u64, size: u64) -> Result<u64, FillError> {
        if !self.sparse {
            return Ok(u64::MAX);
        }
        if at >= self.until {
            match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(data) if data > at => (self.in_hole, self.until) = (true, data.min(size)),
                Ok(_) => {
                    let hole = rustix::fs::seek(file, SeekFrom::Hole(at)).map_err(FillError::Failed)?;
                    (self.in_hole, self.until) = (false, hole);
                }
                // There is no data up to the end.
                Err(Errno::NXIO) => (self.in_hole, self.until) = (true, size),
                // The file system does not report holes.
                Err(Errno::INVAL | Errno::OPNOTSUPP) => (self.in_hole, self.sparse) = (false, false),
                Err(errno) => return Err(FillError::Failed(errno)),
            }
        }
        Ok(if self.sparse { self.until.saturating_sub(at).max(1) } else { u64::MAX })
    }
}
