//! Eight messages at once with AVX2. Single ones gain from the rotations of BMI2.

use core::arch::x86_64::*;

use crate::State;
use crate::vector::{self, Vector, kernel};

/// Proof that this CPU has every feature that the eight lanes are compiled for: [`Avx2::detect`] alone makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2"))
            .then_some(Self(()))
    }
}

#[rustfmt::skip]
kernel!(
    Avx2, 8, "avx2,bmi1,bmi2", __m256i, block,
    _mm256_set1_epi32, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm256_add_epi32, _mm256_xor_si256, _mm256_and_si256, _mm256_srli_epi32, rotate
);

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(words: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(words), _mm256_slli_epi32::<LEFT>(words))
}

#[inline]
#[target_feature(enable = "avx2")]
fn block(blocks: &[&[u8; 64]; 8]) -> [Words; 16] {
    let [low, high] = [transposed(blocks, 0), transposed(blocks, 1)];
    let mut words = [low[0]; 16];
    words[..8].copy_from_slice(&low);
    words[8..].copy_from_slice(&high);
    words
}

/// The eight words of one half of each block, so that each vector has the same word of all of them.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(blocks: &[&[u8; 64]; 8], half: usize) -> [Words; 8] {
    // The bytes of each word the other way round.
    let swap = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
    let mut rows = [swap; 8];
    for (row, block) in rows.iter_mut().zip(blocks) {
        let bytes: &[u8; 32] = &block.as_chunks().0[half];
        // SAFETY: the reference is to 32 readable bytes, and this load asks for no alignment.
        *row = _mm256_shuffle_epi8(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }, swap);
    }
    // Within each half of a vector: pairs of words, and then pairs of pairs.
    let [a, b, c, d, e, f, g, h] = rows;
    let pairs = [
        _mm256_unpacklo_epi32(a, b),
        _mm256_unpackhi_epi32(a, b),
        _mm256_unpacklo_epi32(c, d),
        _mm256_unpackhi_epi32(c, d),
        _mm256_unpacklo_epi32(e, f),
        _mm256_unpackhi_epi32(e, f),
        _mm256_unpacklo_epi32(g, h),
        _mm256_unpackhi_epi32(g, h),
    ];
    let fours = |low: usize, high: usize| {
        [_mm256_unpacklo_epi64(pairs[low], pairs[high]), _mm256_unpackhi_epi64(pairs[low], pairs[high])]
    };
    let [[a, b], [c, d]] = [fours(0, 2), fours(1, 3)];
    let [[e, f], [g, h]] = [fours(4, 6), fours(5, 7)];
    let low = |x, y| Words(_mm256_permute2x128_si256::<0x20>(x, y));
    let high = |x, y| Words(_mm256_permute2x128_si256::<0x31>(x, y));
    [low(a, e), low(b, f), low(c, g), low(d, h), high(a, e), high(b, f), high(c, g), high(d, h)]
}
