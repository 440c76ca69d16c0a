//! Two messages, interleaved instruction by instruction through the SHA extensions of x86.
//!
//! Every round waits for the one before it, so a single message leaves the CPU's SHA unit idle most of the time: latency
//! holds it back, not throughput. A second, independent message fills the gaps, and takes little longer than one.

use core::arch::x86_64::*;
use core::hint::black_box;

use crate::{K, State};

/// Proof that this CPU has every feature that the two lanes are compiled for: [`ShaNi::detect`]
/// alone makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShaNi(());

impl ShaNi {
    /// The standard library asks the CPU once and remembers, so this is cheap enough for every
    /// call.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3"))
            .then_some(Self(()))
    }

    /// Runs as many blocks as both slices have.
    pub(crate) fn compress_pair(self, a: &mut State, a_blocks: &[[u8; 64]], b: &mut State, b_blocks: &[[u8; 64]]) {
        // SAFETY: the call asks for nothing but the CPU features that `interleave` is compiled
        // for, and `self` exists only because `detect` found all of them.
        unsafe { interleave(a, a_blocks, b, b_blocks) }
    }
}

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
