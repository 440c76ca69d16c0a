//! The file of allowed signers, read by driftlock and by `ssh-keygen`. What driftlock accepts, `ssh-keygen` accepts.

use std::fs;

use needs::needs;

use super::scene::{OPS, oracle, public, scene, seal};
use crate::harness::World;

/// A file, with `KEY` for the key; whether driftlock accepts the seal, and whether `ssh-keygen` does for the principal
/// ops@example.org. driftlock takes any principal, and reports it.
type Row = (&'static str, bool, bool);

const ROWS: [Row; 34] = [
    ("ops@example.org KEY\n", true, true),
    ("ops@example.org KEY", true, true),
    ("# a comment\n\n \t\n  ops@example.org\tKEY and more\n", true, true),
    ("other@example.org,ops@example.org KEY\n", true, true),
    ("\"ops@example.org\" KEY\n", true, true),
    ("*@example.org KEY\n", true, true),
    ("*@other.org KEY\n", true, false),
    ("other@example.org KEY\n", true, false),
    ("!ops@example.org KEY\n", false, false),
    ("ops@example.org,!ops@example.org KEY\n", false, false),
    ("ops@example.org namespaces=\"driftlock\" KEY\n", true, true),
    ("ops@example.org NAMESPACES=\"driftlock\" KEY\n", true, true),
    ("ops@example.org namespaces=\"git,driftlock\" KEY\n", true, true),
    ("ops@example.org namespaces=\"git\" KEY\n", false, false),
    ("ops@example.org namespaces=\"Driftlock\" KEY\n", false, false),
    ("ops@example.org namespaces=\"driftlock2\" KEY\n", false, false),
    ("ops@example.org namespaces=\"drift*\" KEY\n", false, true),
    ("ops@example.org namespaces=\"!driftlock,*\" KEY\n", false, false),
    ("ops@example.org namespaces=\"git\",namespaces=\"driftlock\" KEY\n", false, false),
    ("ops@example.org namespaces=\"git\" KEY\nops@example.org namespaces=\"driftlock\" KEY\n", true, true),
    ("ops@example.org valid-after=\"20200101\",valid-before=\"21000101\" KEY\n", true, true),
    ("ops@example.org valid-after=\"202001010000Z\" KEY\n", true, true),
    ("ops@example.org valid-after=\"21000101Z\" KEY\n", false, false),
    ("ops@example.org valid-before=\"20200101Z\" KEY\n", false, false),
    ("ops@example.org valid-before=\"20200101\" KEY\nops@example.org KEY\n", true, true),
    ("ops@example.org valid-before=\"20200101Z\",valid-before=\"21000101Z\" KEY\n", false, false),
    ("ops@example.org valid-after=\"21000101Z\",valid-before=\"20200101Z\" KEY\n", false, false),
    ("ops@example.org valid-before=\"2020\" KEY\n", false, false),
    ("ops@example.org cert-authority KEY\n", false, false),
    ("ops@example.org cert-authority KEY\nops@example.org KEY\n", false, true),
    ("ops@example.org no-such-option KEY\n", false, false),
    ("ops@example.org KEY\r\n", false, true),
    ("ops@example.org\nKEY\n", false, false),
    ("", false, false),
];

/// Whether `check` passes with this file.
fn accepted(world: &World) -> bool {
    let mut run = world.driftlock(["check", "--quiet", "--no-report", "--seal", "allowed"]);
    match run.command.output().unwrap().status.code() {
        Some(0) => true,
        Some(2) => false,
        other => panic!("{other:?}"),
    }
}

#[needs("ssh-keygen")]
fn what_driftlock_accepts_ssh_keygen_accepts() {
    let world = scene("ed25519");
    seal(&world);
    let key = public(&world, "key");
    let key = key.rsplit_once(" a comment").map_or(&*key, |(key, _)| key);
    let found = ROWS.map(|(text, ..)| {
        fs::write(world.path("allowed"), text.replace("KEY", key)).unwrap();
        (text, accepted(&world), oracle(&world, "allowed", OPS))
    });
    assert_eq!(found, ROWS);
}
