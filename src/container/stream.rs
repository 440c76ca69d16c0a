//! The engine's socket, read and written with a bound on the time that takes.
//!
//! Plain `read` and `write` on the handle: the sandbox lets neither `recv` nor `poll` through. What bounds a single call is
//! the timeout that the socket was given before the sandbox was entered; what bounds all of them is the deadline.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::error::EngineError;

/// How long an engine may take. Memory is bounded where it is used.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a byte from it. The socket's own timeout is to be the same.
    pub silence: Duration,
    /// For all answers about one check, save archives.
    pub answers: Duration,
    /// For one archive.
    pub archive: Duration,
}

/// Enough for an engine with a thousand containers on a loaded machine.
pub const PATIENCE: Patience =
    Patience { silence: Duration::from_secs(20), answers: Duration::from_secs(60), archive: Duration::from_secs(600) };

/// How many bytes are read at once.
const BUFFER: usize = 64 << 10;

#[derive(Debug)]
pub struct Stream<'a> {
    socket: BorrowedFd<'a>,
    pub patience: Patience,
    started: Instant,
    allowed: Duration,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<'a> Stream<'a> {
    pub fn new(socket: BorrowedFd<'a>, patience: Patience) -> Self {
        let buffer = vec![0; BUFFER].into();
        Self { socket, patience, started: Instant::now(), allowed: patience.answers, buffer, start: 0, end: 0 }
    }

    /// Gives the engine this long from now on.
    pub fn allow(&mut self, time: Duration) {
        (self.started, self.allowed) = (Instant::now(), time);
    }

    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), EngineError> {
        while !bytes.is_empty() {
            self.in_time()?;
            match rustix::io::write(self.socket, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(errno) => self.failed(errno)?,
            }
        }
        Ok(())
    }

    /// What was read and not taken yet; reads if that is nothing. Never empty.
    pub fn fill(&mut self) -> Result<&[u8], EngineError> {
        while self.start == self.end {
            self.in_time()?;
            match rustix::io::read(self.socket, &mut self.buffer[..]) {
                Ok(0) => return Err(EngineError::Closed),
                Ok(read) => (self.start, self.end) = (0, read),
                Err(errno) => self.failed(errno)?,
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Takes bytes of what [`fill`](Self::fill) gave.
    pub fn take(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    fn in_time(&self) -> Result<(), EngineError> {
        if self.started.elapsed() < self.allowed { Ok(()) } else { Err(EngineError::TooSlow(self.allowed)) }
    }

    fn failed(&self, errno: Errno) -> Result<(), EngineError> {
        match errno {
            Errno::INTR => Ok(()),
            Errno::AGAIN => Err(EngineError::Silent(self.patience.silence)),
            Errno::PIPE | Errno::CONNRESET => Err(EngineError::Closed),
            errno => Err(EngineError::Io(errno.into())),
        }
    }
}
