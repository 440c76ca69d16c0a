//! The SHA-256 block function, over one message or over two at once.
//!
//! Every round of SHA-256 waits for the one before it, so a single message leaves the CPU's SHA
//! unit idle most of the time: latency holds it back, not throughput. A second, independent
//! message, interleaved instruction by instruction, fills the gaps: on CPUs with the SHA extensions
//! two messages can take little longer than one.
//!
//! A single message goes to the `sha2` crate, and so does a pair on CPUs without those extensions.
//! `sha2` is also the twin that the tests hold the two lanes against.
#![allow(unsafe_code, reason = "the crate's one exception: code compiled for CPU features, and its loads")]

use sha_ni::ShaNi;

/// A SHA-256 chaining state: the eight words H0 to H7 of FIPS 180-4, section 6.2.
pub type State = [u32; 8];

/// The state before the first block: FIPS 180-4, section 5.3.3.
pub const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Runs the blocks into the state.
pub fn compress(state: &mut State, blocks: &[[u8; 64]]) {
    sha2::block_api::compress256(state, blocks);
}

/// Runs two independent messages at once: `a_blocks` into `a`, and `b_blocks` into `b`.
///
/// What one slice has more than the other gains nothing from a second lane: the blocks that have no
/// partner go through [`compress`].
pub fn compress_pair(a: &mut State, a_blocks: &[[u8; 64]], b: &mut State, b_blocks: &[[u8; 64]]) {
    compress_pair_with(ShaNi::detect(), a, a_blocks, b, b_blocks);
}

/// Name of the implementation chosen at run time: `sha-ni x2` where two messages are interleaved,
/// else `sha2`.
pub fn implementation() -> &'static str {
    match ShaNi::detect() {
        Some(_) => "sha-ni x2",
        None => "sha2",
    }
}

fn compress_pair_with(
    lanes: Option<ShaNi>,
    a: &mut State,
    a_blocks: &[[u8; 64]],
    b: &mut State,
    b_blocks: &[[u8; 64]],
) {
    let paired = a_blocks.len().min(b_blocks.len());
    let (a_paired, a_alone) = a_blocks.split_at(paired);
    let (b_paired, b_alone) = b_blocks.split_at(paired);
    match lanes {
        Some(lanes) => lanes.compress_pair(a, a_paired, b, b_paired),
        None => {
            compress(a, a_paired);
            compress(b, b_paired);
        }
    }
    compress(a, a_alone);
    compress(b, b_alone);
}

#[cfg(target_arch = "x86_64")]
mod sha_ni {
    use core::arch::x86_64::*;
    use core::hint::black_box;

    use super::State;

    /// Proof that this CPU has every feature that the two lanes are compiled for: [`ShaNi::detect`]
    /// alone makes one.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct ShaNi(());

    impl ShaNi {
        /// The standard library asks the CPU once and remembers, so this is cheap enough for every
        /// call.
        pub(super) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3"))
                .then_some(Self(()))
        }

        /// Runs as many blocks as both slices have.
        pub(super) fn compress_pair(self, a: &mut State, a_blocks: &[[u8; 64]], b: &mut State, b_blocks: &[[u8; 64]]) {
            // SAFETY: the call asks for nothing but the CPU features that `interleave` is compiled
            // for, and `self` exists only because `detect` found all of them.
            unsafe { interleave(a, a_blocks, b, b_blocks) }
        }
    }

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

    /// One message's working variables, in the order that the SHA instructions want them (first
    /// letter highest).
    struct Lane {
        abef: __m128i,
        cdgh: __m128i,
    }

    impl Lane {
        #[inline]
        #[target_feature(enable = "sha,sse4.1,ssse3")]
        fn load(&[a, b, c, d, e, f, g, h]: &State) -> Self {
            Self { abef: words([f, e, b, a]), cdgh: words([h, g, d, c]) }
        }

        #[inline]
        #[target_feature(enable = "sha,sse4.1,ssse3")]
        fn store(&self, state: &mut State) {
            *state = [
                _mm_extract_epi32::<3>(self.abef) as u32,
                _mm_extract_epi32::<2>(self.abef) as u32,
                _mm_extract_epi32::<3>(self.cdgh) as u32,
                _mm_extract_epi32::<2>(self.cdgh) as u32,
                _mm_extract_epi32::<1>(self.abef) as u32,
                _mm_extract_epi32::<0>(self.abef) as u32,
                _mm_extract_epi32::<1>(self.cdgh) as u32,
                _mm_extract_epi32::<0>(self.cdgh) as u32,
            ];
        }

        /// Rounds 4n to 4n + 3, with their four words of the message schedule.
        #[inline]
        #[target_feature(enable = "sha,sse4.1,ssse3")]
        fn rounds(&mut self, n: usize, w: __m128i) {
            let k = words([K[4 * n], K[4 * n + 1], K[4 * n + 2], K[4 * n + 3]]);
            let wk = _mm_add_epi32(w, k);
            self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, wk);
            let wk = _mm_shuffle_epi32::<0b00_00_11_10>(wk);
            self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, wk);
        }
    }

    /// Lowest first.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn words([w0, w1, w2, w3]: [u32; 4]) -> __m128i {
        _mm_set_epi32(w3 as i32, w2 as i32, w1 as i32, w0 as i32)
    }

    /// The block as sixteen big-endian words.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn load(block: &[u8; 64]) -> [__m128i; 4] {
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let (quarters, _) = block.as_chunks::<16>();
        let quarter = |i: usize| {
            let bytes: &[u8; 16] = &quarters[i];
            // SAFETY: the reference is to sixteen readable bytes, and this load asks for no
            // alignment.
            let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
            _mm_shuffle_epi8(bytes, swap)
        };
        [quarter(0), quarter(1), quarter(2), quarter(3)]
    }

    /// Words 4n + 16 to 4n + 19 of the schedule, in place of words 4n to 4n + 3.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn schedule(n: usize, w: &mut [__m128i; 4]) {
        let [w0, w1, w2, w3] = [w[n % 4], w[(n + 1) % 4], w[(n + 2) % 4], w[(n + 3) % 4]];
        let t = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
        w[n % 4] = _mm_sha256msg2_epu32(t, w3);
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn interleave(a: &mut State, a_blocks: &[[u8; 64]], b: &mut State, b_blocks: &[[u8; 64]]) {
        let mut x = Lane::load(a);
        let mut y = Lane::load(b);

        for (a_block, b_block) in a_blocks.iter().zip(b_blocks) {
            // Two lanes and two schedules fill the sixteen registers, so the sums to add to must
            // wait in memory. Left to itself, the compiler carries them from block to block through
            // memory as well: it stores the new sum and loads it again at once, a tenth of the
            // whole time. `black_box` puts them there and nowhere else.
            let mut before = [x.abef, x.cdgh, y.abef, y.cdgh];
            black_box(&mut before);

            let mut v = load(a_block);
            let mut w = load(b_block);
            macro_rules! rounds {
                ($($n:literal)*) => { $(
                    x.rounds($n, v[$n % 4]);
                    if $n < 12 { schedule($n, &mut v); }
                    y.rounds($n, w[$n % 4]);
                    if $n < 12 { schedule($n, &mut w); }
                )* };
            }
            rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

            x.abef = _mm_add_epi32(x.abef, before[0]);
            x.cdgh = _mm_add_epi32(x.cdgh, before[1]);
            y.abef = _mm_add_epi32(y.abef, before[2]);
            y.cdgh = _mm_add_epi32(y.cdgh, before[3]);
        }

        x.store(a);
        y.store(b);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod sha_ni {
    use super::State;

    /// There is no such CPU here, and so no value of this type.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum ShaNi {}

    impl ShaNi {
        pub(super) fn detect() -> Option<Self> {
            None
        }

        pub(super) fn compress_pair(self, _: &mut State, _: &[[u8; 64]], _: &mut State, _: &[[u8; 64]]) {
            match self {}
        }
    }
}

#[cfg(test)]
mod tests;
