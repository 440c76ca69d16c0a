//! Hashes a long stream with SHA-256 on another thread, while its reader uses the same bytes.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Sha256, Sha256Digest};

/// Bytes per block. A shorter stream is hashed without a thread.
const BLOCK: usize = 256 << 10;

/// The most blocks in the queue.
const WAITING: usize = 2;

/// A SHA-256 stream. It starts a thread at the first full [`BLOCK`], so do not use it before the sandbox is entered.
#[derive(Debug)]
pub struct BackgroundHasher {
    /// Bytes that were not sent to the thread yet.
    block: Vec<u8>,
    hasher: Hasher,
}

#[derive(Debug)]
enum Hasher {
    Here(Sha256),
    There(Thread),
}

#[derive(Debug)]
struct Thread {
    blocks: SyncSender<Vec<u8>>,
    /// Hashed blocks, to reuse their memory.
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Sha256>,
}

impl Default for BackgroundHasher {
    fn default() -> Self {
        Self { block: Vec::new(), hasher: Hasher::Here(Sha256::new()) }
    }
}

impl BackgroundHasher {
    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while self.block.len() + bytes.len() >= BLOCK {
            let (here, behind) = bytes.split_at(BLOCK - self.block.len());
            self.block.extend_from_slice(here);
            bytes = behind;
            self.hand_over();
        }
        self.block.extend_from_slice(bytes);
    }

    fn hand_over(&mut self) {
        if let Hasher::Here(hasher) = &mut self.hasher {
            match start(hasher) {
                Some(thread) => self.hasher = Hasher::There(thread),
                // No thread could be started.
                None => hasher.update(&self.block),
            }
        }
        if let Hasher::There(Thread { blocks, empty, .. }) = &self.hasher {
            let next = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
            // Sending fails only if the thread panicked; `finish` reports that.
            let _ = blocks.send(std::mem::replace(&mut self.block, next));
        }
        self.block.clear();
    }

    /// The digest of all bytes.
    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        let mut hasher = match self.hasher {
            Hasher::Here(hasher) => hasher,
            Hasher::There(Thread { blocks, empty, thread }) => {
                drop((blocks, empty));
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }
        };
        hasher.update(&self.block);
        hasher.finish()
    }
}

/// Starts a thread that continues from `hasher`, if possible.
fn start(hasher: &Sha256) -> Option<Thread> {
    let (blocks, full) = sync_channel::<Vec<u8>>(WAITING);
    let (through, empty) = channel();
    let mut hasher = hasher.clone();
    let work = move || {
        for mut block in full {
            hasher.update(&block);
            block.clear();
            // After the last block, nothing receives it.
            let _ = through.send(block);
        }
        hasher
    };
    let thread = Builder::new().spawn(work).ok()?;
    Some(Thread { blocks, empty, thread })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_stream_that_is_hashed_here(
            lengths in prop::collection::vec(prop_oneof![0..100_usize, Just(BLOCK), BLOCK - 2..BLOCK + 2, 0..3 * BLOCK], 0..8),
            byte: u8,
        ) {
            let (mut aside, mut here) = (BackgroundHasher::default(), Sha256::new());
            for (number, length) in lengths.into_iter().enumerate() {
                let bytes = vec![byte.wrapping_add(number as u8); length];
                aside.update(&bytes);
                here.update(&bytes);
            }
            prop_assert_eq!(aside.finish(), here.finish());
        }
    }

    #[test]
    fn a_stream_that_is_left_in_the_middle_ends_its_thread() {
        let mut aside = BackgroundHasher::default();
        aside.update(&vec![1; 5 * BLOCK]);
        let Hasher::There(Thread { blocks, empty, thread }) = aside.hasher else { panic!("no thread was to be had") };
        drop((blocks, empty));
        thread.join().unwrap();
    }
}
