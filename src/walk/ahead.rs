//! Reads a long file on another thread, ahead of the one that hashes it: one stream of SHA-256 keeps one core busy, and
//! copying out of the page cache takes a fifth as long as hashing.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use rustix::fs::Statx;
use rustix::io::Errno;

use super::effort::Reader;
use super::fill::{Buffer, EOF_PROBE, FillError, Holes, fill};

/// A file of at least this size is read ahead if it is hashed alone, in bytes. And while a worker reads a file with so
/// many bytes left, it starts no small files if another core can do that. Such a file takes a tenth of a second more, so
/// it may be the last of the run, and small files beside it would slow it down.
pub const LONG: u64 = 256 << 20;

/// The bytes in a buffer. Waking the other thread for each must cost little beside hashing them.
const LENGTH: usize = 512 << 10;

/// The buffers that may wait to be hashed.
const WAITING: usize = 2;

/// A file that is read ahead. The thread ends when this is dropped.
pub struct Ahead {
    filled: Receiver<Result<(Buffer, usize), FillError>>,
    empty: Sender<Buffer>,
}

/// What the other thread does.
pub struct Feeder {
    size: u64,
    holes: Holes,
    filled: SyncSender<Result<(Buffer, usize), FillError>>,
    empty: Receiver<Buffer>,
    /// Of new buffers.
    length: usize,
    _permit: Arc<()>,
}

impl Ahead {
    /// Reads a file with this status ahead, and returns a first buffer for [`next`](Self::next). Behind its bytes, each
    /// buffer has `space` for more. `spawn` calls [`Feeder::run`] in another thread; `None` if it can't. For `permit`,
    /// see [`Reader::permit_ahead`].
    pub fn start(
        permit: Arc<()>,
        status: &Statx,
        space: usize,
        spawn: impl FnOnce(Feeder) -> io::Result<()>,
    ) -> Option<(Self, Buffer)> {
        let (to_hash, filled) = sync_channel(WAITING);
        let (empty, to_fill) = channel();
        let length = LENGTH + space.max(EOF_PROBE);
        let holes = Holes::new(status);
        spawn(Feeder { size: status.stx_size, holes, filled: to_hash, empty: to_fill, length, _permit: permit })
            .ok()?;
        Some((Self { filled, empty }, Buffer::new(length)))
    }

    /// Replaces the buffer by one with the next bytes of the file, and returns how many these are.
    pub fn next(&self, buffer: &mut Buffer) -> Result<usize, FillError> {
        // It is disconnected if the thread has ended too early.
        let (filled, length) = self.filled.recv().unwrap_or(Err(FillError::Failed(Errno::IO)))?;
        // The thread has ended if this was the last one.
        let _ = self.empty.send(std::mem::replace(buffer, filled));
        Ok(length)
    }
}

impl Feeder {
    /// Reads the file to its end, or to the first error.
    pub fn run(mut self, reader: &Reader, file: &OwnedFd) {
        let mut offset = 0;
        loop {
            let mut buffer = self.empty.try_recv().unwrap_or_else(|_| Buffer::new(self.length));
            let part = &mut buffer[..LENGTH + EOF_PROBE];
            let read = fill(reader, file, &mut self.holes, offset, self.size, part);
            let read = read.map(|length| {
                offset += length as u64;
                (buffer, length)
            });
            let ended = read.is_err() || offset >= self.size;
            // The one that hashes may stop early.
            if self.filled.send(read).is_err() || ended {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::num::NonZeroUsize;
    use std::thread;

    use super::super::effort::Effort;
    use super::super::open;
    use super::*;

    /// A file of so many bytes, and what is in it.
    fn file_of(length: usize) -> (OwnedFd, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|at| (at / 1000) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file.into(), bytes)
    }

    /// What is read of a file until its end or an error.
    fn read(file: &OwnedFd, status: &Statx) -> (Vec<u8>, Option<FillError>) {
        let reader = Reader::default();
        thread::scope(|scope| {
            let spawn = |feeder: Feeder| {
                scope.spawn(|| feeder.run(&reader, file));
                Ok(())
            };
            let (ahead, mut buffer) = Ahead::start(Arc::default(), status, 72, spawn).unwrap();
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < status.stx_size {
                match ahead.next(&mut buffer) {
                    Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                    Err(error) => return (bytes, Some(error)),
                }
                assert!(buffer.len() >= LENGTH + 72, "the space behind the bytes is gone");
            }
            (bytes, None)
        })
    }

    #[test]
    fn every_byte_in_order() {
        for length in [1, LENGTH - 1, LENGTH, LENGTH + 1, 7 * LENGTH, 7 * LENGTH + 5] {
            let (file, bytes) = file_of(length);
            let (found, error) = read(&file, &open::status(&file).unwrap());
            assert!(found == bytes && error.is_none(), "{length}");
        }
    }

    #[test]
    fn another_length_than_the_status_says_is_a_change() {
        for (length, stated) in [(5 * LENGTH, 5 * LENGTH + 1), (5 * LENGTH, 5 * LENGTH - 1), (1, 5 * LENGTH)] {
            let (file, bytes) = file_of(length);
            let mut status = open::status(&file).unwrap();
            // With so many blocks, it has no holes.
            (status.stx_size, status.stx_blocks) = (stated as u64, u64::MAX);
            let (found, error) = read(&file, &status);
            assert!(bytes.starts_with(&found) && matches!(error, Some(FillError::Changed)), "{length}, {stated}");
        }
    }

    #[test]
    fn the_thread_ends_with_the_one_that_hashes() {
        let (file, _) = file_of(20 * LENGTH);
        let reader = Reader::default();
        // The scope waits for it.
        thread::scope(|scope| {
            let spawn = |feeder: Feeder| {
                scope.spawn(|| feeder.run(&reader, &file));
                Ok(())
            };
            let (ahead, mut buffer) = Ahead::start(Arc::default(), &open::status(&file).unwrap(), 0, spawn).unwrap();
            assert!(matches!(ahead.next(&mut buffer), Ok(LENGTH)));
        });
    }

    #[test]
    fn without_a_thread_there_is_none() {
        let (file, _) = file_of(1);
        let spawn = |_| Err(io::ErrorKind::WouldBlock.into());
        assert!(Ahead::start(Arc::default(), &open::status(&file).unwrap(), 0, spawn).is_none());
    }

    #[test]
    fn only_long_files_and_only_where_a_second_thread_is_welcome() {
        let rate = std::num::NonZeroU64::new(1 << 20);
        let reads = |helpers, gentle, rate, size| {
            Reader::new(Effort::new(None, gentle, rate), helpers).permit_ahead(size).is_some()
        };
        assert!(reads(1, false, None, LONG));
        assert!(!reads(1, false, None, LONG - 1));
        assert!(!reads(0, false, None, LONG));
        assert!(!reads(1, true, None, LONG));
        assert!(!reads(1, false, rate, LONG));
    }

    #[test]
    fn few_files_at_once() {
        for (threads, most) in [(1, 0), (2, 1), (3, 1), (7, 3), (64, 4)] {
            let effort = Effort::new(NonZeroUsize::new(threads), false, None);
            let reader = Reader::new(effort, effort.threads.within_limits(1, 1).helpers);
            let mut permits: Vec<_> = (0..10).map_while(|_| reader.permit_ahead(LONG)).collect();
            assert_eq!(permits.len(), most, "{threads}");
            if permits.pop().is_some() {
                assert!(reader.permit_ahead(LONG).is_some());
            }
        }
    }
}
