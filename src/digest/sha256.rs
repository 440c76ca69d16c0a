//! SHA-256 over a stream (FIPS 180-4), on top of the block function of [`driftlock_lanes`].

use super::side_by_side::compress_all;
use super::{Sha256Digest, kernel};
use driftlock_lanes::{INITIAL, State};

/// A SHA-256 stream. A clone continues from the same point, so you can go back to it.
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: State,
    /// The bytes of the last, incomplete block.
    rest: [u8; 64],
    rested: usize,
    /// Bytes so far.
    length: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    #[must_use]
    pub const fn new() -> Self {
        Self { state: INITIAL, rest: [0; 64], rested: 0, length: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let blocks = self.fill(bytes);
        kernel().compress(&mut self.state, blocks);
    }

    /// Adds bytes up to the last whole block. Returns the whole blocks, which the caller must compress, and keeps the
    /// rest.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [[u8; 64]] {
        self.length += bytes.len() as u64;
        let mut bytes = bytes;
        let missing = 64 - self.rested;
        if self.rested > 0 || bytes.len() < 64 {
            let taken = missing.min(bytes.len());
            self.rest[self.rested..self.rested + taken].copy_from_slice(&bytes[..taken]);
            self.rested += taken;
            bytes = &bytes[taken..];
            if self.rested < 64 {
                return &[];
            }
            kernel().compress(&mut self.state, &[self.rest]);
            self.rested = 0;
        }
        let (blocks, rest) = bytes.as_chunks::<64>();
        self.rest[..rest.len()].copy_from_slice(rest);
        self.rested = rest.len();
        blocks
    }

    /// Adds bytes to each of several streams: those of the same place.
    pub fn update_each(streams: &mut [Self], bytes: &[&[u8]]) {
        let blocks: Vec<_> = streams.iter_mut().zip(bytes).map(|(stream, bytes)| stream.fill(bytes)).collect();
        let mut states: Vec<_> = streams.iter().map(|stream| stream.state).collect();
        compress_all(kernel(), &mut states, &blocks);
        for (stream, state) in streams.iter_mut().zip(states) {
            stream.state = state;
        }
    }

    /// The digests of several streams.
    #[must_use]
    pub fn finish_each(streams: &[Self]) -> Vec<Sha256Digest> {
        let tails: Vec<_> = streams.iter().map(Self::tail).collect();
        let blocks: Vec<_> = tails.iter().map(|(tail, length)| tail[..*length].as_chunks().0).collect();
        let mut states: Vec<_> = streams.iter().map(|stream| stream.state).collect();
        compress_all(kernel(), &mut states, &blocks);
        states.iter().map(digest_of).collect()
    }

    /// What is not compressed yet and the padding, as an array and its used length: whole blocks.
    fn tail(&self) -> ([u8; 128], usize) {
        let (padding, length) = padding(self.length);
        let mut tail = [0; 128];
        let total = self.rested + length;
        tail[..self.rested].copy_from_slice(&self.rest[..self.rested]);
        tail[self.rested..total].copy_from_slice(&padding[..length]);
        (tail, total)
    }

    /// The digest of all bytes so far.
    #[must_use]
    pub fn finish(mut self) -> Sha256Digest {
        let (tail, length) = self.tail();
        kernel().compress(&mut self.state, tail[..length].as_chunks().0);
        digest_of(&self.state)
    }
}

/// The padding after a message of `length` bytes, as an array and its used length. Message and padding together are
/// whole blocks (FIPS 180-4, section 5.1.1).
#[must_use]
pub fn padding(length: u64) -> ([u8; 72], usize) {
    let mut tail = [0; 72];
    tail[0] = 0x80;
    // A byte 0x80, zeros up to a whole block, and eight bytes of length.
    let total = 9 + usize::try_from((64 - (length + 9) % 64) % 64).unwrap_or(0);
    tail[total - 8..total].copy_from_slice(&length.wrapping_mul(8).to_be_bytes());
    (tail, total)
}

/// The digest of a state that has processed the message and its padding.
#[must_use]
pub fn digest_of(state: &State) -> Sha256Digest {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    Sha256Digest(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::Digest as _;

    proptest! {
        #[test]
        fn equals_sha2_for_any_splits(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..12)) {
            let mut ours = Sha256::new();
            for piece in &pieces {
                ours.update(piece);
            }
            prop_assert_eq!(&ours.finish().0[..], &sha2::Sha256::digest(pieces.concat())[..]);
        }

        #[test]
        fn many_streams_in_any_pieces(streams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1000), 0..12), piece in 1..400_usize) {
            let mut ours = vec![Sha256::new(); streams.len()];
            for at in (0..1000).step_by(piece) {
                let part = |bytes: &Vec<u8>| at.min(bytes.len())..(at + piece).min(bytes.len());
                let bytes: Vec<_> = streams.iter().map(|bytes| &bytes[part(bytes)]).collect();
                Sha256::update_each(&mut ours, &bytes);
            }
            for (digest, bytes) in Sha256::finish_each(&ours).iter().zip(&streams) {
                prop_assert_eq!(&digest.0[..], &sha2::Sha256::digest(bytes)[..]);
            }
        }
    }

    #[test]
    fn padding_makes_whole_blocks() {
        for length in 0..200_u64 {
            let (_, added) = padding(length);
            assert_eq!((length + added as u64) % 64, 0, "{length}");
            assert!((9..=72).contains(&added));
        }
    }
}
