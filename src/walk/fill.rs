//! The bytes of a file into a buffer, without those that its status does not tell of.

use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;

use rustix::fs::{SeekFrom, Statx};
use rustix::io::Errno;

use super::observe::{ATTEMPTS, pause, refused};
use crate::manifest::Unverified;

/// Bytes that are read at once. Two such buffers fit into the second-level cache of every CPU of the last decade and leave
/// room in it; with twice as many, copying out of the page cache was slower (`docs/performance.md`).
pub const BUFFER: usize = 64 << 10;

/// Where a buffer begins, in bytes: at a line of the cache. On some CPUs the kernel copies six times slower to the sixteenth
/// byte of a page, where an allocation often begins.
const ALIGNED: usize = 64;

/// Room for the bytes of a file.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub fn new(length: usize) -> Self {
        let bytes: Box<[u8]> = vec![0; length + ALIGNED].into();
        // The most that it can be is less than what was added.
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

/// From this size on, holes are looked for.
const SPARSE: u64 = 1 << 20;

/// Why reading a file came to an end before the file did.
pub enum Stopped {
    /// It is shorter or longer than its status said.
    Changed,
    /// It has contents, and its status says that it has none.
    Sizeless,
    Failed(Errno),
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
