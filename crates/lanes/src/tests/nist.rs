//! Vectors of NIST: the examples of FIPS 180-4, and those of the validation system for SHA ("SHAVS", `SHA256ShortMsg.rsp` and
//! `SHA256Monte.rsp`).

use super::*;

/// Messages with their digests.
fn vectors() -> Vec<(Vec<u8>, &'static str)> {
    let short = |hex: &str| -> Vec<u8> {
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    vec![
        (b"".to_vec(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc".to_vec(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".to_vec(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (
            b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
                .to_vec(),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
        ),
        (vec![b'a'; 1_000_000], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        (short("d3"), "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"),
        (short("11af"), "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98"),
        (short("b4190e"), "dff2e73091f6c05e528896c4c831b9448653dc2ff043528f6769437bc7b975c2"),
        (short("74ba2521"), "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e"),
        (short("c299209682"), "f0887fe961c9cd3beab957e8222494abb969b1ce4c6557976df8b0f6d20e9166"),
    ]
}

#[test]
fn alone() {
    for kernel in Kernel::all() {
        for (message, digest) in vectors() {
            assert_eq!(single(kernel, &message), digest, "{kernel}");
        }
    }
}

#[test]
fn in_every_lane() {
    let vectors = vectors();
    for kernel in Kernel::all() {
        for turn in 0..kernel.lanes() {
            let in_turn: Vec<_> = vectors.iter().cycle().skip(turn).take(kernel.lanes()).collect();
            let messages: Vec<_> = in_turn.iter().map(|(message, _)| &message[..]).collect();
            let digests: Vec<_> = in_turn.iter().map(|(_, digest)| *digest).collect();
            assert_eq!(each(kernel, &messages), digests, "{kernel}");
        }
    }
}

/// The seed of the Monte Carlo test, and the first and the last of its hundred checkpoints.
const SEED: &str = "6d1e72ad03ddeb5de891e572e2396f8da015d899ef0e79503152d6010a3fe691";
const FIRST: &str = "e93c330ae5447738c8aa85d71a6c80f2a58381d05872d26bdd39f1fcd4f2b788";
const LAST: &str = "6a912ba4188391a78e6f13d88ed2d14e13afce9db6f7dcbf4a48c24f3db02778";

/// A thousand digests, each of the three before it; with the same in each of so many lanes.
fn checkpoint(kernel: Kernel, lanes: usize, seed: State) -> State {
    let mut before = [seed; 3];
    for _ in 0..1000 {
        let mut message = [0; 96];
        for (bytes, word) in message.as_chunks_mut().0.iter_mut().zip(before.as_flattened()) {
            *bytes = word.to_be_bytes();
        }
        let blocks = padded(&message);
        let mut states = vec![INITIAL; lanes];
        kernel.compress_each(&mut states, &vec![&blocks[..]; lanes]);
        assert!(states.iter().all(|state| *state == states[0]), "{kernel}");
        before = [before[1], before[2], states[0]];
    }
    before[2]
}

#[test]
fn monte_carlo() {
    for kernel in Kernel::all() {
        for lanes in [1, kernel.lanes()] {
            let (seed, _) = SEED.as_bytes().as_chunks();
            let mut state = INITIAL;
            for (word, hex) in state.iter_mut().zip(seed) {
                *word = u32::from_str_radix(str::from_utf8(hex as &[u8; 8]).unwrap(), 16).unwrap();
            }
            let mut checkpoints = Vec::new();
            for _ in 0..100 {
                state = checkpoint(kernel, lanes, state);
                checkpoints.push(hex(&state));
            }
            assert_eq!((&checkpoints[0][..], &checkpoints[99][..]), (FIRST, LAST), "{kernel}");
        }
    }
}
