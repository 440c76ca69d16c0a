//! How much of the machine a walk takes, and how it therefore reads files.

use std::num::{NonZeroU64, NonZeroUsize};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::{Errno, IoSliceMut, ReadWriteFlags};

use super::ahead::LONG;
use super::threads::Threads;

/// `RWF_DONTCACHE`, as `linux/fs.h` has it since Linux 6.14: bytes that such a read brings into the page cache leave it
/// again right after, and those that were in it stay.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// How much of the machine a walk takes.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub threads: Threads,
    /// Whether to leave the page cache to others.
    pub gentle: bool,
    /// The most bytes to read in a second.
    pub rate: Option<NonZeroU64>,
}

impl Effort {
    /// So many threads as asked for; otherwise one for each core. A walk that is to take little of the machine starts
    /// no more for a cold cache.
    #[must_use]
    pub fn new(threads: Option<NonZeroUsize>, gentle: bool, rate: Option<NonZeroU64>) -> Self {
        let mut threads = Threads::new(threads);
        if gentle || rate.is_some() {
            threads.most = threads.first.get();
        }
        Self { threads, gentle, rate }
    }
}

impl From<Threads> for Effort {
    fn from(threads: Threads) -> Self {
        Self { threads, gentle: false, rate: None }
    }
}

/// Reads files for all workers of a walk.
#[derive(Debug, Default)]
pub struct Reader {
    gentle: bool,
    /// The number of threads that may help workers at once.
    most_helpers: usize,
    /// Has a clone for each of them.
    helpers: Arc<()>,
    pace: Option<Pace>,
}

impl Reader {
    /// With so many threads that may help.
    pub fn new(effort: Effort, helpers: usize) -> Self {
        let pace = effort.rate.map(|rate| Pace { rate, free: Mutex::new(Instant::now()) });
        let most_helpers = if effort.gentle || pace.is_some() { 0 } else { helpers };
        Self { gentle: effort.gentle, most_helpers, helpers: Arc::default(), pace }
    }

    /// Whether another thread should read a file of `size` bytes that is hashed alone: see
    /// [`permit_helper`](Self::permit_helper).
    pub fn permit_ahead(&self, size: u64) -> Option<Arc<()>> {
        (size >= LONG).then(|| self.permit_helper()).flatten()
    }

    /// Whether another thread should help a worker. That thread holds the permit until it ends.
    pub fn permit_helper(&self) -> Option<Arc<()>> {
        (Arc::strong_count(&self.helpers) <= self.most_helpers).then(|| Arc::clone(&self.helpers))
    }

    /// Reads into the buffer from `offset` on, and waits as long as the rate demands it. The number of bytes read.
    pub fn read(&self, file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let read = loop {
            match self.read_once(file, buffer, offset) {
                Err(Errno::INTR) => {}
                result => break result?,
            }
        };
        if let Some(pace) = &self.pace {
            pace.wait(read as u64);
        }
        Ok(read)
    }

    fn read_once(&self, file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        if self.gentle {
            match rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], offset, DONT_CACHE) {
                // An older kernel, or a file system without it.
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {}
                result => return result,
            }
        }
        rustix::io::pread(file, buffer, offset)
    }
}

/// Spreads reads over time, for all threads together.
#[derive(Debug)]
struct Pace {
    /// Bytes per second.
    rate: NonZeroU64,
    /// When all bytes so far may have been read.
    free: Mutex<Instant>,
}

impl Pace {
    /// Waits until so many more bytes may have been read. Time in which nothing was read is not made up for.
    fn wait(&self, bytes: u64) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.rate.get() as f64);
        let now = Instant::now();
        let until = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            *free = (*free).max(now) + takes;
            *free
        };
        std::thread::sleep(until.saturating_duration_since(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_together_keep_to_the_rate() {
        let pace = Pace { rate: NonZeroU64::new(10_000_000).unwrap(), free: Mutex::new(Instant::now()) };
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| pace.wait(100_000)));
            }
        });
        // 2 MB at 10 MB a second. Load can only make it longer.
        assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    }
}
