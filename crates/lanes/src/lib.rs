//! The SHA-256 block function, over one message or over several at once.
//!
//! A [`Kernel`] is a way to run it, chosen at run time: the fastest that this CPU has ([`Kernel::detect`]), or the one of
//! a certain name ([`Kernel::named`]).
//!
//! The crate `sha2` runs single messages where there are SHA extensions, and all of them on other architectures than
//! x86-64. It is also the twin that the tests hold every kernel against.
#![allow(unsafe_code, reason = "the crate's one exception: code compiled for CPU features, and its loads")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod sse2;
mod vector;

use core::fmt;

#[cfg(target_arch = "x86_64")]
use {avx2::Avx2, sha_ni::ShaNi, sse2::Sse2};

/// A SHA-256 chaining state: the eight words H0 to H7 of FIPS 180-4, section 6.2.
pub type State = [u32; 8];

/// The state before the first block: FIPS 180-4, section 5.3.3.
pub const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The round constants: FIPS 180-4, section 4.2.2.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The most messages that any kernel runs at once.
pub const MOST_LANES: usize = 8;

/// A way to run the block function that this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Way);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2(Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
    #[cfg(not(target_arch = "x86_64"))]
    Sha2,
}

/// Why there is no kernel of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKernel {
    /// No kernel is called so.
    Unknown,
    /// There is one, but not for this CPU.
    Missing,
}

impl Kernel {
    /// The names of all kernels, those of other CPUs among them.
    pub const NAMES: [&'static str; 5] = ["portable", "sse2", "avx2", "sha-ni", "sha2"];

    /// The fastest that this CPU has.
    #[must_use]
    pub fn detect() -> Self {
        Self::all().pop().unwrap_or(Self(Way::Portable))
    }

    /// The kernel of this name.
    ///
    /// # Errors
    /// There is none, or this CPU can't run it.
    pub fn named(name: &[u8]) -> Result<Self, NoKernel> {
        if !Self::NAMES.iter().any(|known| known.as_bytes() == name) {
            return Err(NoKernel::Unknown);
        }
        Self::all().into_iter().find(|kernel| kernel.name().as_bytes() == name).ok_or(NoKernel::Missing)
    }

    /// All that this CPU has, the fastest last.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![Way::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Sse2::detect().map(Way::Sse2));
            all.extend(Avx2::detect().map(Way::Avx2));
            all.extend(ShaNi::detect().map(Way::ShaNi));
        }
        #[cfg(not(target_arch = "x86_64"))]
        all.push(Way::Sha2);
        all.into_iter().map(Self).collect()
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Way::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Way::Sse2(_) => "sse2",
            #[cfg(target_arch = "x86_64")]
            Way::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Way::ShaNi(_) => "sha-ni",
            #[cfg(not(target_arch = "x86_64"))]
            Way::Sha2 => "sha2",
        }
    }

    /// How many messages it runs at once, at most.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self.0 {
            Way::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Way::Sse2(_) => Sse2::LANES,
            #[cfg(target_arch = "x86_64")]
            Way::Avx2(_) => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Way::ShaNi(_) => 2,
            #[cfg(not(target_arch = "x86_64"))]
            Way::Sha2 => 1,
        }
    }

    /// Runs the blocks into the state.
    pub fn compress(self, state: &mut State, blocks: &[[u8; 64]]) {
        match self.0 {
            Way::Portable => {
                let mut alone = [*state];
                vector::many::<u32, 1>((), &mut alone, &[blocks], blocks.len());
                [*state] = alone;
            }
            #[cfg(target_arch = "x86_64")]
            Way::Sse2(sse2) => sse2.one(state, blocks),
            #[cfg(target_arch = "x86_64")]
            Way::Avx2(avx2) => avx2.one(state, blocks),
            #[cfg(target_arch = "x86_64")]
            Way::ShaNi(_) => sha2::block_api::compress256(state, blocks),
            #[cfg(not(target_arch = "x86_64"))]
            Way::Sha2 => sha2::block_api::compress256(state, blocks),
        }
    }

    /// Runs independent messages: the blocks of each into the state of the same place. What one of them has more than
    /// all others goes through alone.
    ///
    /// # Panics
    /// If there are not as many messages as states.
    pub fn compress_each(self, states: &mut [State], messages: &[&[[u8; 64]]]) {
        assert_eq!(states.len(), messages.len(), "a message for each state");
        match self.0 {
            Way::Portable => self.alone(states, messages, 0),
            #[cfg(target_arch = "x86_64")]
            Way::Sse2(sse2) => {
                self.side_by_side(states, messages, |states, messages, blocks| sse2.many(states, messages, blocks));
            }
            #[cfg(target_arch = "x86_64")]
            Way::Avx2(avx2) => {
                self.side_by_side(states, messages, |states, messages, blocks| avx2.many(states, messages, blocks));
            }
            #[cfg(target_arch = "x86_64")]
            Way::ShaNi(sha_ni) => {
                self.side_by_side(states, messages, |[a, b], &[a_blocks, b_blocks]: &[_; 2], blocks| {
                    sha_ni.compress_pair(a, &a_blocks[..blocks], b, &b_blocks[..blocks]);
                });
            }
            #[cfg(not(target_arch = "x86_64"))]
            Way::Sha2 => self.alone(states, messages, 0),
        }
    }

    /// Runs messages in lanes, `N` at a time.
    #[cfg(target_arch = "x86_64")]
    fn side_by_side<const N: usize>(
        self,
        states: &mut [State],
        messages: &[&[[u8; 64]]],
        many: impl Fn(&mut [State; N], &[&[[u8; 64]]; N], usize),
    ) {
        for (states, messages) in states.chunks_mut(N).zip(messages.chunks(N)) {
            // What all that are not at their end yet have behind them.
            let mut done = 0;
            loop {
                let (mut lanes, mut rests, mut places) = ([INITIAL; N], [&[][..]; N], [0; N]);
                let (mut used, mut blocks) = (0, usize::MAX);
                for (place, message) in messages.iter().enumerate() {
                    if message.len() > done {
                        (lanes[used], rests[used], places[used]) = (states[place], &message[done..], place);
                        blocks = blocks.min(rests[used].len());
                        used += 1;
                    }
                }
                if used < 2 {
                    self.alone(states, messages, done);
                    break;
                }
                // A lane without a message runs along with the first, and its state is dropped.
                let first = rests[0];
                rests[used..].fill(first);
                many(&mut lanes, &rests, blocks);
                for (place, state) in places.iter().zip(&lanes).take(used) {
                    states[*place] = *state;
                }
                done += blocks;
            }
        }
    }

    /// Runs what each message has from block `done` on, one after the other.
    fn alone(self, states: &mut [State], messages: &[&[[u8; 64]]], done: usize) {
        for (state, message) in states.iter_mut().zip(messages) {
            self.compress(state, message.get(done..).unwrap_or_default());
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
