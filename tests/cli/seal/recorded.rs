//! Signatures of security keys, which no test machine has. They were made once, with OpenSSH's own stand-in for such a
//! key (`sk-dummy.so` of Debian's package openssh-tests 9.2p1):
//!
//! ```sh
//! export SSH_SK_PROVIDER=/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so
//! ssh-keygen -t ed25519-sk -N '' -f key   # and ecdsa-sk; with -O no-touch-required for `untouched`
//! driftlock lock && driftlock seal --key key   # in the world of `scene`; `untouched` was signed by `ssh-keygen -Y sign`
//! ```
//!
//! The keys themselves were thrown away. The seal is the same for all of them, so these tests also pin its bytes.

use std::fs;

use needs::needs;

use super::scene::{OPS, SEAL, SIGNATURE, oracle, verdict};
use crate::harness::World;
use crate::watch::says;

/// The world in which the seal was made, with one of the recorded signatures.
fn recorded(name: &str) -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let recorded = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/seal/recorded");
    for (from, to) in [
        ("driftlock.seal".to_owned(), SEAL),
        (format!("{name}.sig"), SIGNATURE),
        (format!("{name}.allowed"), "allowed"),
    ] {
        fs::copy(recorded.join(from), world.path(to)).unwrap();
    }
    world
}

#[needs("ssh-keygen")]
fn signatures_of_security_keys_are_verified() {
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        let world = recorded(kind);
        assert!(oracle(&world, "allowed", OPS), "{kind}");
        let (report, found) = verdict(&world, &["--seal", "allowed"], 0);
        assert!(found.is_empty(), "{kind}: {found:?}");
        assert_eq!((&report["seal"]["signer"], &report["seal"]["key"]), (&OPS.into(), &kind.into()));
        // Flags and counter are signed too: they are the last five bytes.
        let signature = fs::read_to_string(world.path(SIGNATURE)).unwrap();
        let lines: Vec<_> = signature.lines().collect();
        let [body @ .., _] = &lines[1..] else { panic!() };
        let bytes = data_encoding::BASE64.decode(body.concat().as_bytes()).unwrap();
        for at in bytes.len() - 5..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x40;
            let text = data_encoding::BASE64.encode(&other);
            let wrapped: Vec<_> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let armored = format!("{}\n{}\n{}\n", lines[0], wrapped.join("\n"), lines[lines.len() - 1]);
            fs::write(world.path(SIGNATURE), armored).unwrap();
            assert!(!oracle(&world, "allowed", OPS));
            let (_, found) = verdict(&world, &["--seal", "allowed"], 2);
            says(&found[0], &["driftlock.seal.sig is refused: it is not a signature of these bytes"]);
        }
    }
}

/// A program that has the key file can have a plugged-in security key sign without a touch. `ssh-keygen -Y verify` accepts that.
#[needs("ssh-keygen")]
fn a_signature_without_a_touch_is_refused() {
    let world = recorded("untouched");
    assert!(oracle(&world, "allowed", OPS));
    let (_, found) = verdict(&world, &["--seal", "allowed"], 2);
    says(&found[0], &["driftlock.seal.sig is refused: it was made with a security key that was not touched"]);
}
