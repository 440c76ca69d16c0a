//! Four messages at once with SSE2, which every x86-64 CPU has.

use core::arch::x86_64::*;

use crate::State;
use crate::vector::{self, Vector, kernel};

/// Proof that this CPU has SSE2: [`Sse2::detect`] alone makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sse2(());

impl Sse2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("sse2").then_some(Self(()))
    }
}

#[rustfmt::skip]
kernel!(
    Sse2, 4, "sse2", __m128i, block,
    _mm_set1_epi32, _mm_loadu_si128, _mm_storeu_si128,
    _mm_add_epi32, _mm_xor_si128, _mm_and_si128, _mm_srli_epi32, rotate
);

#[inline]
#[target_feature(enable = "sse2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(words: __m128i) -> __m128i {
    _mm_or_si128(_mm_srli_epi32::<RIGHT>(words), _mm_slli_epi32::<LEFT>(words))
}

#[inline]
#[target_feature(enable = "sse2")]
fn block(blocks: &[&[u8; 64]; 4]) -> [Words; 16] {
    let mut words = [Words(_mm_setzero_si128()); 16];
    for (quarter, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *words = transposed(blocks, quarter);
    }
    words
}

/// The four words of one quarter of each block, so that each vector has the same word of all of them.
#[inline]
#[target_feature(enable = "sse2")]
fn transposed(blocks: &[&[u8; 64]; 4], quarter: usize) -> [Words; 4] {
    let mut rows = [_mm_setzero_si128(); 4];
    for (row, block) in rows.iter_mut().zip(blocks) {
        let bytes: &[u8; 16] = &block.as_chunks().0[quarter];
        // SAFETY: the reference is to sixteen readable bytes, and this load asks for no alignment.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        // The bytes of each word the other way round: those of each half, then the halves.
        let halves = _mm_or_si128(_mm_srli_epi16::<8>(bytes), _mm_slli_epi16::<8>(bytes));
        *row = _mm_shufflehi_epi16::<0b10_11_00_01>(_mm_shufflelo_epi16::<0b10_11_00_01>(halves));
    }
    let [a, b, c, d] = rows;
    let [ab, cd] = [_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d)];
    let [ab_high, cd_high] = [_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d)];
    [
        Words(_mm_unpacklo_epi64(ab, cd)),
        Words(_mm_unpackhi_epi64(ab, cd)),
        Words(_mm_unpacklo_epi64(ab_high, cd_high)),
        Words(_mm_unpackhi_epi64(ab_high, cd_high)),
    ]
}
