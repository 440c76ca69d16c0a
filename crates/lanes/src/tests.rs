//! Every kernel that this CPU has, against the published vectors and against `sha2`.

mod nist;

use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

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

/// What `sha2` makes of the message, by its whole front door and not by the block function that we call.
fn twin(message: &[u8]) -> String {
    let digest = Sha256::digest(message);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn single(kernel: Kernel, message: &[u8]) -> String {
    let mut state = INITIAL;
    kernel.compress(&mut state, &padded(message));
    hex(&state)
}

fn each(kernel: Kernel, messages: &[&[u8]]) -> Vec<String> {
    let padded: Vec<_> = messages.iter().map(|message| padded(message)).collect();
    let blocks: Vec<_> = padded.iter().map(|blocks| &blocks[..]).collect();
    let mut states = vec![INITIAL; messages.len()];
    kernel.compress_each(&mut states, &blocks);
    states.iter().map(hex).collect()
}

fn twins(messages: &[&[u8]]) -> Vec<String> {
    messages.iter().map(|message| twin(message)).collect()
}

/// Every padding there is, alone, and beside messages that end in other blocks.
#[test]
fn all_lengths_up_to_nine_blocks() {
    let message: Vec<u8> = (0..577).map(|number| (number % 251) as u8).collect();
    let beside = [0, 55, 56, 63, 64, 119, 120, 127, 128, 577];
    for kernel in Kernel::all() {
        for length in 0..=message.len() {
            let own = &message[..length];
            assert_eq!(single(kernel, own), twin(own), "{kernel}, {length}");
            let mut messages: Vec<_> = beside.iter().map(|length| &message[..*length]).collect();
            messages.truncate(kernel.lanes());
            messages[length % kernel.lanes()] = own;
            assert_eq!(each(kernel, &messages), twins(&messages), "{kernel}, {length}");
        }
    }
}

/// Any number of messages, more and fewer than there are lanes.
#[test]
fn any_number_of_messages() {
    let message: Vec<u8> = (0..200).collect();
    for kernel in Kernel::all() {
        for count in 0..=2 * MOST_LANES + 1 {
            let messages: Vec<_> = (0..count).map(|number| &message[number..][..(number * 37) % 150]).collect();
            assert_eq!(each(kernel, &messages), twins(&messages), "{kernel}, {count}");
        }
    }
}

/// One message in each lane by itself, with nothing in the others.
#[test]
fn no_blocks_leave_the_states_alone() {
    let blocks = [[0x61; 64]; 11];
    for kernel in Kernel::all() {
        let mut alone = [7; 8];
        Kernel(Way::Portable).compress(&mut alone, &blocks);
        for lane in 0..kernel.lanes() {
            let mut messages = vec![&[][..]; kernel.lanes()];
            let mut states = vec![[7; 8]; kernel.lanes()];
            kernel.compress_each(&mut states, &messages);
            assert_eq!(states, vec![[7; 8]; kernel.lanes()], "{kernel}");
            messages[lane] = &blocks;
            kernel.compress_each(&mut states, &messages);
            let mut expected = vec![[7; 8]; kernel.lanes()];
            expected[lane] = alone;
            assert_eq!(states, expected, "{kernel}, lane {lane}");
        }
    }
}

/// Without this, every test here would pass on fewer kernels. The CPU is asked itself, not the standard library.
#[test]
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn every_kernel_that_the_cpu_has_is_under_test() {
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    let extended = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let basic = __cpuid(1).ecx;
    let has = |register: u32, bit: u32| register & 1 << bit != 0;
    let mut expected = vec!["portable", "sse2"];
    if has(extended, 5) && has(extended, 3) && has(extended, 8) && has(basic, 27) {
        expected.push("avx2");
    }
    if has(extended, 29) && has(basic, 9) && has(basic, 19) {
        expected.push("sha-ni");
    }
    assert_eq!(Kernel::all().into_iter().map(Kernel::name).collect::<Vec<_>>(), expected);
    assert_eq!(Kernel::detect().name(), expected[expected.len() - 1]);
}

#[test]
fn kernels_are_found_by_their_names() {
    for kernel in Kernel::all() {
        assert_eq!(Kernel::named(kernel.name().as_bytes()), Ok(kernel));
        assert!(Kernel::NAMES.contains(&kernel.name()));
        assert!(kernel.lanes() <= MOST_LANES);
    }
    for unknown in [&b""[..], b"AVX2", b"avx2 ", b"sha", b"\xff"] {
        assert_eq!(Kernel::named(unknown), Err(NoKernel::Unknown));
    }
    let missing = if cfg!(target_arch = "x86_64") { "sha2" } else { "avx2" };
    assert_eq!(Kernel::named(missing.as_bytes()), Err(NoKernel::Missing));
}

proptest! {
    #[test]
    fn random_messages(messages in vec(vec(any::<u8>(), 0..2000), 0..2 * MOST_LANES)) {
        let messages: Vec<_> = messages.iter().map(|message| &message[..]).collect();
        for kernel in Kernel::all() {
            prop_assert_eq!(each(kernel, &messages), twins(&messages), "{}", kernel);
            for message in messages.iter().take(1) {
                prop_assert_eq!(single(kernel, message), twin(message), "{}", kernel);
            }
        }
    }

    /// Lengths around the ends of blocks, where the padding takes one block or two.
    #[test]
    fn lengths_near_the_ends_of_blocks(lengths in vec((0usize..9, 54usize..66), MOST_LANES)) {
        let message: Vec<u8> = (0..=255).cycle().take(700).collect();
        let messages: Vec<_> = lengths.iter().map(|(blocks, rest)| &message[*blocks..][..64 * blocks + rest]).collect();
        for kernel in Kernel::all() {
            prop_assert_eq!(each(kernel, &messages), twins(&messages), "{}", kernel);
        }
    }

    /// Any states, not only those a message leads to, and each call goes on where the last one stopped.
    #[test]
    fn random_states_and_splits(
        states in vec(any::<State>(), MOST_LANES),
        calls in vec(vec(0usize..12, MOST_LANES), 0..5),
        seed: u8,
    ) {
        let block = |number: usize| [(number as u8).wrapping_mul(31) ^ seed; 64];
        let messages: Vec<Vec<[u8; 64]>> = (0..MOST_LANES)
            .map(|lane| (0..calls.iter().map(|call| call[lane]).sum()).map(|number| block(100 * lane + number)).collect())
            .collect();
        let mut expected = states.clone();
        for (state, message) in expected.iter_mut().zip(&messages) {
            sha2::block_api::compress256(state, message);
        }
        for kernel in Kernel::all() {
            let mut states = states.clone();
            let mut rests: Vec<&[[u8; 64]]> = messages.iter().map(|message| &message[..]).collect();
            for call in &calls {
                let mut now = Vec::new();
                for (rest, count) in rests.iter_mut().zip(call) {
                    let (taken, left) = rest.split_at(*count);
                    now.push(taken);
                    *rest = left;
                }
                kernel.compress_each(&mut states, &now);
            }
            prop_assert_eq!(&states, &expected, "{}", kernel);
        }
    }

    /// Blocks come straight out of read buffers, at any address.
    #[test]
    fn unaligned_blocks(bytes in vec(any::<u8>(), 1000), from in vec(0usize..64, MOST_LANES)) {
        let messages: Vec<_> = from.iter().map(|from| bytes[*from..].as_chunks::<64>().0).collect();
        let mut expected = [INITIAL; MOST_LANES];
        for (state, message) in expected.iter_mut().zip(&messages) {
            let aligned = message.to_vec();
            sha2::block_api::compress256(state, &aligned);
        }
        for kernel in Kernel::all() {
            let mut states = [INITIAL; MOST_LANES];
            kernel.compress_each(&mut states, &messages);
            prop_assert_eq!(states, expected, "{}", kernel);
            let mut alone = INITIAL;
            kernel.compress(&mut alone, messages[0]);
            prop_assert_eq!(alone, expected[0], "{}", kernel);
        }
    }
}
