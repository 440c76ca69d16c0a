//! SHA-256 (FIPS 180-4, section 6.2.2) written once, for one word or for a vector of words.
//!
//! Lane `n` of every vector belongs to message `n` ([`many`]); or all lanes are consecutive blocks of one message, whose
//! schedules do not depend on each other ([`one`]).
//!
//! All of it is inlined into a function that is compiled for the features of its vector, or it would be slow.

use crate::{K, State};

/// `N` words side by side.
pub(crate) trait Vector<const N: usize>: Copy {
    /// Proof that this CPU has the instructions: there is no vector without one.
    type Proof: Copy;

    /// The same word in every lane.
    fn splat(proof: Self::Proof, word: u32) -> Self;
    /// A word for each lane.
    fn load(proof: Self::Proof, words: &[u32; N]) -> Self;
    fn store(self, words: &mut [u32; N]);
    /// The sixteen big-endian words of a block for each lane.
    fn block(proof: Self::Proof, blocks: &[&[u8; 64]; N]) -> [Self; 16];
    /// The sum, modulo 2³².
    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn shift<const RIGHT: i32>(self) -> Self;
    /// Rotates to the right by `RIGHT`; `LEFT` is what is missing to 32.
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self;
}

/// The plain word.
impl Vector<1> for u32 {
    type Proof = ();

    #[inline(always)]
    fn splat((): (), word: u32) -> Self {
        word
    }

    #[inline(always)]
    fn load((): (), &[word]: &[u32; 1]) -> Self {
        word
    }

    #[inline(always)]
    fn store(self, words: &mut [u32; 1]) {
        *words = [self];
    }

    #[inline(always)]
    fn block((): (), &[block]: &[&[u8; 64]; 1]) -> [Self; 16] {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = Self::from_be_bytes(*bytes);
        }
        words
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn shift<const RIGHT: i32>(self) -> Self {
        self >> RIGHT
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        self.rotate_right(RIGHT as Self)
    }
}

/// A kernel of its own: `$lanes` words of the CPU's in a vector, with the instructions of these features.
///
/// `$block` is a function that is compiled for the same features.
#[cfg(target_arch = "x86_64")]
macro_rules! kernel {
    (
        $proof:ident, $lanes:literal, $features:literal, $register:ident, $block:ident,
        $set:ident, $load:ident, $store:ident, $add:ident, $xor:ident, $and:ident, $right:ident, $rotate:ident
    ) => {
        impl $proof {
            pub(crate) const LANES: usize = $lanes;

            /// Runs as many blocks as each of the messages has.
            pub(crate) fn many(self, states: &mut [State; $lanes], messages: &[&[[u8; 64]]; $lanes], blocks: usize) {
                #[target_feature(enable = $features)]
                fn compiled(
                    proof: $proof,
                    states: &mut [State; $lanes],
                    messages: &[&[[u8; 64]]; $lanes],
                    blocks: usize,
                ) {
                    vector::many::<Words, $lanes>(proof, states, messages, blocks);
                }
                // SAFETY: the call asks for nothing but the CPU features, and `self` exists only because `detect` found
                // all of them.
                unsafe { compiled(self, states, messages, blocks) }
            }

            /// Runs the blocks of one message.
            pub(crate) fn one(self, state: &mut State, blocks: &[[u8; 64]]) {
                #[target_feature(enable = $features)]
                fn compiled(proof: $proof, state: &mut State, blocks: &[[u8; 64]]) {
                    vector::one::<Words, $lanes>(proof, state, blocks);
                }
                // SAFETY: as above.
                unsafe { compiled(self, state, blocks) }
            }
        }

        /// Words side by side. They are made of a proof, or of others of their kind: wherever there are some, the CPU has the
        /// features.
        #[derive(Clone, Copy)]
        struct Words($register);

        impl Vector<$lanes> for Words {
            type Proof = $proof;

            #[inline(always)]
            fn splat(_: $proof, word: u32) -> Self {
                // SAFETY: there is a proof of the features.
                Self(unsafe { $set(word.cast_signed()) })
            }

            #[inline(always)]
            fn load(_: $proof, words: &[u32; $lanes]) -> Self {
                // SAFETY: there is a proof of the features. The reference is to as many readable bytes as are loaded, and
                // this load asks for no alignment.
                Self(unsafe { $load(words.as_ptr().cast()) })
            }

            #[inline(always)]
            fn store(self, words: &mut [u32; $lanes]) {
                // SAFETY: there are `Words`. The reference is to as many writable bytes as are stored, and this store asks
                // for no alignment.
                unsafe { $store(words.as_mut_ptr().cast(), self.0) }
            }

            #[inline(always)]
            fn block(_: $proof, blocks: &[&[u8; 64]; $lanes]) -> [Self; 16] {
                // SAFETY: there is a proof of the features.
                unsafe { $block(blocks) }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: there are `Words`.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                // SAFETY: there are `Words`.
                Self(unsafe { $xor(self.0, other.0) })
            }

            #[inline(always)]
            fn and(self, other: Self) -> Self {
                // SAFETY: there are `Words`.
                Self(unsafe { $and(self.0, other.0) })
            }

            #[inline(always)]
            fn shift<const RIGHT: i32>(self) -> Self {
                // SAFETY: there are `Words`.
                Self(unsafe { $right::<RIGHT>(self.0) })
            }

            #[inline(always)]
            fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
                // SAFETY: there are `Words`.
                Self(unsafe { $rotate::<RIGHT, LEFT>(self.0) })
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use kernel;

/// One round. In place of moving all variables on by one, the next round is given them in another order. What `a` and `b`
/// differ in is what `b` and `c` of the next round differ in.
macro_rules! round {
    ($a:ident $b:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $b_xor_c:ident, $wk:expr) => {
        let sum = $e.rotate::<6, 26>().xor($e.rotate::<11, 21>()).xor($e.rotate::<25, 7>());
        let choice = $g.xor($e.and($f.xor($g)));
        let t1 = $h.add($wk).add(choice).add(sum);
        let sum = $a.rotate::<2, 30>().xor($a.rotate::<13, 19>()).xor($a.rotate::<22, 10>());
        let a_xor_b = $a.xor($b);
        let majority = $b.xor(a_xor_b.and($b_xor_c));
        $b_xor_c = a_xor_b;
        $d = $d.add(t1);
        $h = majority.add(sum).add(t1);
    };
}

/// Eight rounds, after which the variables are back in their order. The expression gives word plus constant of round `$t`.
macro_rules! eight_rounds {
    ($x:ident, $t:ident, $wk:expr) => {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = $x;
        let mut b_xor_c = b.xor(c);
        eight_rounds!(@ a b d e f g h, b_xor_c, $t, 0, $wk);
        eight_rounds!(@ h a c d e f g, b_xor_c, $t, 1, $wk);
        eight_rounds!(@ g h b c d e f, b_xor_c, $t, 2, $wk);
        eight_rounds!(@ f g a b c d e, b_xor_c, $t, 3, $wk);
        eight_rounds!(@ e f h a b c d, b_xor_c, $t, 4, $wk);
        eight_rounds!(@ d e g h a b c, b_xor_c, $t, 5, $wk);
        eight_rounds!(@ c d f g h a b, b_xor_c, $t, 6, $wk);
        eight_rounds!(@ b c e f g h a, b_xor_c, $t, 7, $wk);
        $x = [a, b, c, d, e, f, g, h];
    };
    (@ $a:ident $b:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $b_xor_c:ident, $t:ident, $number:literal, $wk:expr) => {
        let $t = $number;
        let wk = $wk;
        round!($a $b $d $e $f $g $h, $b_xor_c, wk);
    };
}

/// Word `t` + 16 of the schedule, in place of word `t`; both modulo 16.
#[inline(always)]
fn extend<V: Vector<N>, const N: usize>(w: &mut [V; 16], t: usize) -> V {
    let (w2, w7, w15) = (w[(t + 14) % 16], w[(t + 9) % 16], w[(t + 1) % 16]);
    let s0 = w15.rotate::<7, 25>().xor(w15.rotate::<18, 14>()).xor(w15.shift::<3>());
    let s1 = w2.rotate::<17, 15>().xor(w2.rotate::<19, 13>()).xor(w2.shift::<10>());
    w[t] = w[t].add(w7).add(s0).add(s1);
    w[t]
}

/// Runs as many blocks as each of the messages has.
#[inline(always)]
pub(crate) fn many<V: Vector<N>, const N: usize>(
    proof: V::Proof,
    states: &mut [State; N],
    messages: &[&[[u8; 64]]; N],
    blocks: usize,
) {
    let mut chain = [V::splat(proof, 0); 8];
    for (place, vector) in chain.iter_mut().enumerate() {
        let mut words = [0; N];
        for (word, state) in words.iter_mut().zip(&*states) {
            *word = state[place];
        }
        *vector = V::load(proof, &words);
    }
    for number in 0..blocks {
        let mut of_each = [&[0; 64]; N];
        for (block, message) in of_each.iter_mut().zip(messages) {
            *block = &message[number];
        }
        let mut w = V::block(proof, &of_each);
        let mut x = chain;
        let (first, others) = K.split_at(16);
        for (half, k) in first.as_chunks::<8>().0.iter().enumerate() {
            eight_rounds!(x, t, w[8 * half + t].add(V::splat(proof, k[t])));
        }
        for k in others.as_chunks::<16>().0 {
            for (half, k) in k.as_chunks::<8>().0.iter().enumerate() {
                eight_rounds!(x, t, extend(&mut w, 8 * half + t).add(V::splat(proof, k[t])));
            }
        }
        for (vector, new) in chain.iter_mut().zip(x) {
            *vector = vector.add(new);
        }
    }
    for (place, vector) in chain.iter().enumerate() {
        let mut words = [0; N];
        vector.store(&mut words);
        for (state, word) in states.iter_mut().zip(words) {
            state[place] = word;
        }
    }
}

/// Runs the blocks of one message: the schedules of `N` blocks side by side, and then the rounds of one block after the
/// other.
#[inline(always)]
pub(crate) fn one<V: Vector<N>, const N: usize>(proof: V::Proof, state: &mut State, blocks: &[[u8; 64]]) {
    let (groups, rest) = blocks.as_chunks::<N>();
    let mut wk = [[0; N]; 64];
    for group in groups {
        let mut of_each = [&[0; 64]; N];
        for (block, own) in of_each.iter_mut().zip(group) {
            *block = own;
        }
        let mut w = V::block(proof, &of_each);
        let (first, others) = K.split_at(16);
        let (first_wk, other_wk) = wk.split_at_mut(16);
        for t in 0..16 {
            w[t].add(V::splat(proof, first[t])).store(&mut first_wk[t]);
        }
        for (k, wk) in others.as_chunks::<16>().0.iter().zip(other_wk.as_chunks_mut::<16>().0) {
            for t in 0..16 {
                extend(&mut w, t).add(V::splat(proof, k[t])).store(&mut wk[t]);
            }
        }
        for lane in 0..N {
            let mut x = *state;
            for wk in wk.as_chunks::<8>().0 {
                eight_rounds!(x, t, wk[t][lane]);
            }
            for (word, new) in state.iter_mut().zip(x) {
                *word = word.wrapping_add(new);
            }
        }
    }
    let mut alone = [*state];
    many::<u32, 1>((), &mut alone, &[rest], rest.len());
    [*state] = alone;
}
