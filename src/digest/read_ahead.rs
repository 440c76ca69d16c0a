//! Reads and hashes a stream on another thread, ahead of its consumer.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::{Sha256, Sha256Digest};

/// Bytes per block.
const BLOCK: usize = 128 << 10;

/// The most blocks in the queue.
const WAITING: usize = 4;

/// A stream that is read ahead. The thread ends when this is dropped.
#[derive(Debug)]
pub struct ReadAhead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    /// Consumed blocks, to reuse their memory.
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    /// How much of the block was consumed.
    position: usize,
}

impl ReadAhead {
    /// Starts to read; do not call it before the sandbox is entered. The thread returns the SHA-256 of the first
    /// `hashed` bytes, or of all if there are fewer.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        input: impl Read + Send + 'scope,
        hashed: u64,
    ) -> io::Result<(Self, ScopedJoinHandle<'scope, Sha256Digest>)> {
        let (full, blocks) = sync_channel(WAITING);
        let (empty, to_fill) = channel();
        let thread = Builder::new().spawn_scoped(scope, move || read(input, hashed, &full, &to_fill))?;
        Ok((Self { blocks, empty, block: Vec::new(), position: 0 }, thread))
    }
}

fn read(
    mut input: impl Read,
    mut hashed: u64,
    full: &SyncSender<io::Result<Vec<u8>>>,
    to_fill: &Receiver<Vec<u8>>,
) -> Sha256Digest {
    let mut hasher = Sha256::new();
    loop {
        let mut block = to_fill.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        let read = loop {
            match input.read(&mut block) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let ended = !matches!(read, Ok(1..));
        let read = read.map(|read| {
            block.truncate(read);
            let part = usize::try_from(hashed).unwrap_or(usize::MAX).min(read);
            hashed -= part as u64;
            hasher.update(&block[..part]);
            block
        });
        // The consumer may stop early.
        if full.send(read).is_err() || ended {
            return hasher.finish();
        }
    }
}

impl Read for ReadAhead {
    /// Returns no bytes at the end and after an error.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position == self.block.len() {
            // Sending fails only if the thread has ended.
            let _ = self.empty.send(std::mem::take(&mut self.block));
            self.position = 0;
            self.block = self.blocks.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
        }
        let read = (&self.block[self.position..]).read(out)?;
        self.position += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gives_what_is_read_and_its_digest(
            length in prop_oneof![0..100_usize, BLOCK - 2..BLOCK + 2, 0..7 * BLOCK],
            hashed in prop_oneof![0..200_u64, any::<u64>()],
            byte: u8,
        ) {
            let bytes: Vec<u8> = (0..length).map(|at| byte.wrapping_add((at / 1000) as u8)).collect();
            std::thread::scope(|scope| {
                let (mut ahead, digest) = ReadAhead::start(scope, &*bytes, hashed).unwrap();
                let mut given = Vec::new();
                ahead.read_to_end(&mut given).unwrap();
                let mut here = Sha256::new();
                here.update(&bytes[..length.min(usize::try_from(hashed).unwrap_or(usize::MAX))]);
                prop_assert_eq!((given, digest.join().unwrap()), (bytes.clone(), here.finish()));
                Ok(())
            })?;
        }
    }

    /// Endless, or fails after this many bytes.
    struct Input(Option<usize>);

    impl Read for Input {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some(left) = &mut self.0 else { return Ok(out.len()) };
            let read = out.len().min(*left);
            *left -= read;
            if read == 0 { Err(ErrorKind::TimedOut.into()) } else { Ok(read) }
        }
    }

    #[test]
    fn a_stream_that_is_left_in_the_middle_ends_its_thread() {
        std::thread::scope(|scope| {
            let (mut ahead, thread) = ReadAhead::start(scope, Input(None), 5).unwrap();
            ahead.read_exact(&mut [0; 10]).unwrap();
            drop(ahead);
            thread.join().unwrap();
        });
    }

    #[test]
    fn an_error_comes_behind_what_was_read_before_it() {
        std::thread::scope(|scope| {
            let (mut ahead, _) = ReadAhead::start(scope, Input(Some(BLOCK + 7)), 5).unwrap();
            let mut given = Vec::new();
            assert_eq!(ahead.read_to_end(&mut given).unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(given.len(), BLOCK + 7);
            assert_eq!(ahead.read(&mut [0]).unwrap(), 0);
        });
    }
}
