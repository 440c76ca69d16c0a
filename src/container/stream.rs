//! The engine's socket, with time limits.
//!
//! Uses plain `read` and `write`, because the sandbox allows neither `recv` nor `poll`. The socket's timeout, which was
//! set before the sandbox was entered, limits a single call; the deadline limits all of them.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::error::EngineError;

/// The time limits for an engine. Memory is limited where it is used.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Without receiving a byte. The socket's own timeout should be the same.
    pub silence: Duration,
    /// For all responses for one check, except archives.
    pub answers: Duration,
    /// For one archive.
    pub archive: Duration,
}

/// Enough for an engine with a thousand containers on a loaded machine.
pub const TIMEOUTS: Timeouts =
    Timeouts { silence: Duration::from_secs(20), answers: Duration::from_secs(60), archive: Duration::from_secs(600) };

/// The bytes to read at once.
const BUFFER: usize = 64 << 10;

#[derive(Debug)]
pub struct Stream<'a> {
    socket: BorrowedFd<'a>,
    pub timeouts: Timeouts,
    started: Instant,
    allowed: Duration,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<'a> Stream<'a> {
    pub fn new(socket: BorrowedFd<'a>, timeouts: Timeouts) -> Self {
        let buffer = vec![0; BUFFER].into();
        Self { socket, timeouts, started: Instant::now(), allowed: timeouts.answers, buffer, start: 0, end: 0 }
    }

    /// Sets the deadline to this much time from now.
    pub fn allow(&mut self, time: Duration) {
        (self.started, self.allowed) = (Instant::now(), time);
    }

    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), EngineError> {
        while !bytes.is_empty() {
            self.check_deadline()?;
            match rustix::io::write(self.socket, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(errno) => self.failed(errno)?,
            }
        }
        Ok(())
    }

    /// The bytes that were read and not taken yet; reads more if there are none. Never empty.
    pub fn fill(&mut self) -> Result<&[u8], EngineError> {
        while self.start == self.end {
            self.check_deadline()?;
            match rustix::io::read(self.socket, &mut self.buffer[..]) {
                Ok(0) => return Err(EngineError::Closed),
                Ok(read) => (self.start, self.end) = (0, read),
                Err(errno) => self.failed(errno)?,
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Takes bytes that [`fill`](Self::fill) returned.
    pub fn take(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    fn check_deadline(&self) -> Result<(), EngineError> {
        if self.started.elapsed() < self.allowed { Ok(()) } else { Err(EngineError::TooSlow(self.allowed)) }
    }

    fn failed(&self, errno: Errno) -> Result<(), EngineError> {
        match errno {
            Errno::INTR => Ok(()),
            Errno::AGAIN => Err(EngineError::Silent(self.timeouts.silence)),
            Errno::PIPE | Errno::CONNRESET => Err(EngineError::Closed),
            errno => Err(EngineError::Io(errno.into())),
        }
    }
}
