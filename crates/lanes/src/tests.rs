use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// The ways to run a pair on this CPU: without the SHA instructions always, with them where it has
/// them.
fn ways() -> Vec<Option<ShaNi>> {
    let mut ways = vec![None];
    ways.extend(ShaNi::detect().map(Some));
    ways
}

/// A message with its padding (FIPS 180-4, section 5.1.1), in blocks.
fn padded(message: &[u8]) -> Vec<[u8; 64]> {
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    bytes.resize((message.len() + 9).next_multiple_of(64) - 8, 0);
    bytes.extend((message.len() as u64 * 8).to_be_bytes());
    bytes.as_chunks().0.to_vec()
}

fn hex(state: &State) -> String {
    state.iter().map(|word| format!("{word:08x}")).collect()
}

/// What `sha2` makes of the message, by its whole front door and not by the block function that we
/// call.
fn twin(message: &[u8]) -> String {
    let digest = Sha256::digest(message);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn single(message: &[u8]) -> String {
    let mut state = INITIAL;
    compress(&mut state, &padded(message));
    hex(&state)
}

fn pair(way: Option<ShaNi>, a: &[u8], b: &[u8]) -> (String, String) {
    let (mut x, mut y) = (INITIAL, INITIAL);
    compress_pair_with(way, &mut x, &padded(a), &mut y, &padded(b));
    (hex(&x), hex(&y))
}

/// The examples that NIST gives for SHA-256, with their digests.
fn nist() -> [(Vec<u8>, &'static str); 4] {
    [
        (b"".to_vec(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc".to_vec(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".to_vec(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (vec![b'a'; 1_000_000], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ]
}

#[test]
fn nist_examples_in_one_lane() {
    for (message, digest) in nist() {
        assert_eq!(single(&message), digest);
        assert_eq!(twin(&message), digest);
    }
}

#[test]
fn nist_examples_in_every_pairing() {
    for way in ways() {
        for (a, a_digest) in nist() {
            for (b, b_digest) in nist() {
                let (x, y) = pair(way, &a, &b);
                assert_eq!((x.as_str(), y.as_str()), (a_digest, b_digest), "{way:?}");
            }
        }
    }
}

/// Every padding there is, and every pair of block counts from one to four.
#[test]
fn all_lengths_up_to_three_blocks_in_both_lanes() {
    let message: Vec<u8> = (0..192u8).collect();
    for way in ways() {
        for a in 0..=192 {
            for b in [0, 55, 56, 64, 119, 120, 183, 184, 192] {
                let (a, b) = (&message[..a], &message[192 - b..]);
                assert_eq!(pair(way, a, b), (twin(a), twin(b)), "{way:?}");
                assert_eq!(pair(way, b, a), (twin(b), twin(a)), "{way:?}");
            }
        }
    }
}

#[test]
fn no_blocks_leave_the_states_alone() {
    for way in ways() {
        let (mut x, mut y) = (INITIAL, [7; 8]);
        compress_pair_with(way, &mut x, &[], &mut y, &[]);
        assert_eq!((x, y), (INITIAL, [7; 8]));

        let blocks = [[0x61; 64]; 3];
        let mut alone = [7; 8];
        compress(&mut alone, &blocks);
        compress_pair_with(way, &mut x, &[], &mut y, &blocks);
        assert_eq!((x, y), (INITIAL, alone));
        compress_pair_with(way, &mut y, &[], &mut x, &[]);
        assert_eq!((x, y), (INITIAL, alone));
    }
}

#[test]
fn the_public_pair_is_right_in_both_orders() {
    let (a, b) = (vec![0x00; 1000], vec![0xff; 1000]);
    for (a, b) in [(&a, &b), (&b, &a)] {
        let (mut x, mut y) = (INITIAL, INITIAL);
        compress_pair(&mut x, &padded(a), &mut y, &padded(b));
        assert_eq!((hex(&x), hex(&y)), (twin(a), twin(b)));
    }
}

#[test]
fn the_public_pair_takes_unequal_lengths() {
    let (mut x, mut y) = (INITIAL, INITIAL);
    compress_pair(&mut x, &padded(b"abc"), &mut y, &padded(&[0x61; 1000]));
    assert_eq!((hex(&x), hex(&y)), (twin(b"abc"), twin(&[0x61; 1000])));
}

/// Without this, every test above would pass on the fallback alone. The CPU is asked itself, not
/// the standard library.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_sha_instructions_are_under_test_where_the_cpu_has_them() {
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    let sha = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & 1 << 29 != 0;
    let ssse3 = __cpuid(1).ecx & 1 << 9 != 0;
    let sse41 = __cpuid(1).ecx & 1 << 19 != 0;
    if sha && ssse3 && sse41 {
        assert_eq!(implementation(), "sha-ni x2");
        assert!(matches!(ways()[..], [None, Some(_)]));
    } else {
        assert_eq!(implementation(), "sha2");
        assert!(matches!(ways()[..], [None]));
    }
}

proptest! {
    #[test]
    fn random_messages(a in vec(any::<u8>(), 0..2000), b in vec(any::<u8>(), 0..2000)) {
        for way in ways() {
            prop_assert_eq!(pair(way, &a, &b), (twin(&a), twin(&b)));
            prop_assert_eq!(pair(way, &b, &a), (twin(&b), twin(&a)));
        }
        prop_assert_eq!(single(&a), twin(&a));
    }

    /// Any states, not only those a message leads to, and each call goes on where the last one
    /// stopped.
    #[test]
    fn random_states_and_splits(
        states in any::<[State; 2]>(),
        seed in vec(any::<u8>(), 64),
        calls in vec((0usize..6, 0usize..6), 0..8),
    ) {
        let block = |i: usize| {
            core::array::from_fn(|j| seed[j].rotate_left(i as u32 % 8) ^ i as u8)
        };
        let a_count = calls.iter().map(|call| call.0).sum();
        let b_count: usize = calls.iter().map(|call| call.1).sum();
        let a: Vec<[u8; 64]> = (0..a_count).map(block).collect();
        let b: Vec<[u8; 64]> = (100..100 + b_count).map(block).collect();
        let [mut a_whole, mut b_whole] = states;
        compress(&mut a_whole, &a);
        compress(&mut b_whole, &b);

        for way in ways() {
            let [mut x, mut y] = states;
            let (mut a_rest, mut b_rest) = (&a[..], &b[..]);
            for &(a_count, b_count) in &calls {
                let (a_now, b_now);
                (a_now, a_rest) = a_rest.split_at(a_count);
                (b_now, b_rest) = b_rest.split_at(b_count);
                compress_pair_with(way, &mut x, a_now, &mut y, b_now);
            }
            prop_assert_eq!((x, y), (a_whole, b_whole));
        }
    }

    /// Blocks come straight out of read buffers, at any address.
    #[test]
    fn unaligned_blocks(
        bytes in vec(any::<u8>(), 1000),
        a_from in 0usize..64,
        b_from in 0usize..64,
    ) {
        let (a, _) = bytes[a_from..].as_chunks::<64>();
        let (b, _) = bytes[b_from..].as_chunks::<64>();
        let count = a.len().min(b.len());
        let (mut a_alone, mut b_alone) = (INITIAL, INITIAL);
        compress(&mut a_alone, &a.to_vec()[..count]);
        compress(&mut b_alone, &b.to_vec()[..count]);

        for way in ways() {
            let (mut x, mut y) = (INITIAL, INITIAL);
            compress_pair_with(way, &mut x, &a[..count], &mut y, &b[..count]);
            prop_assert_eq!((x, y), (a_alone, b_alone));
        }
    }
}
