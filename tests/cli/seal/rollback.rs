//! `--seal-state`: an old seal, or a second one with the same serial, is refused once a newer one was seen.

use std::fs;

use needs::needs;

use super::scene::{SEAL, SIGNATURE, scene, seal, verdict};
use crate::harness::World;
use crate::watch::{says, snapshot};

const LOCK: &str = "locks/tree.lock.json";
const STATE: &str = "state/seal";

/// A sealed world, and a directory for the state.
fn remembering() -> World {
    let world = scene("ed25519");
    fs::create_dir(world.path("state")).unwrap();
    seal(&world);
    world
}

/// All that a baseline is.
fn baseline(world: &World) -> Vec<(&'static str, Vec<u8>)> {
    [SEAL, SIGNATURE, LOCK].map(|file| (file, fs::read(world.path(file)).unwrap())).into()
}

fn put_back(world: &World, baseline: &[(&str, Vec<u8>)]) {
    baseline.iter().for_each(|(file, bytes)| fs::write(world.path(file), bytes).unwrap());
}

fn check(world: &World, code: i32) -> Vec<String> {
    verdict(world, &["--seal", "allowed", "--seal-state", STATE], code).1
}

#[needs("ssh-keygen")]
fn an_older_seal_is_refused_once_a_newer_one_was_seen() {
    let world = remembering();
    assert!(check(&world, 0).is_empty());
    let first = fs::read_to_string(world.path(STATE)).unwrap();
    assert!(first.starts_with("{\n\"driftlock_seal_state\": 1,\n\"serial\": 1,\n\"seal\": \"sha256-"), "{first}");
    let old = baseline(&world);
    // A run that sees nothing new writes nothing.
    let before = snapshot(&world, &["state"]);
    assert!(check(&world, 0).is_empty());
    assert_eq!(snapshot(&world, &["state"]), before);
    world.write("m/a", "2");
    world.driftlock(["lock"]).code(0);
    seal(&world);
    assert!(check(&world, 0).is_empty());
    let second = fs::read(world.path(STATE)).unwrap();
    // Locks, seal and signature of yesterday are all in order among themselves.
    put_back(&world, &old);
    world.write("m/a", "1");
    let found = check(&world, 2);
    assert_eq!(found, ["the seal is refused: its serial is 1, but 2 was seen before, according to state/seal"]);
    assert_eq!(fs::read(world.path(STATE)).unwrap(), second);
    // Drift is told beside it.
    world.write("m/a", "3");
    check(&world, 3);
    // Without the state, nothing tells the old one from the new one; docs/seals.md says so.
    world.write("m/a", "1");
    assert!(verdict(&world, &["--seal", "allowed"], 0).1.is_empty());
    fs::remove_file(world.path(STATE)).unwrap();
    assert!(check(&world, 0).is_empty());
}

#[needs("ssh-keygen")]
fn a_second_seal_with_the_same_serial_is_refused() {
    let world = remembering();
    assert!(check(&world, 0).is_empty());
    fs::remove_file(world.path(SEAL)).unwrap();
    world.write("m/a", "2");
    world.driftlock(["lock"]).code(0);
    seal(&world);
    let found = check(&world, 2);
    assert_eq!(
        found,
        [
            "the seal is refused: its serial is 1, but another seal with this serial was seen before, according to state/seal"
        ]
    );
    // A higher one takes its place.
    seal(&world);
    assert!(check(&world, 0).is_empty());
}

/// What an attacker signs is not remembered, so it can't lock the real one out.
#[needs("ssh-keygen")]
fn only_seals_of_allowed_signers_are_remembered() {
    let world = remembering();
    assert!(check(&world, 0).is_empty());
    let before = snapshot(&world, &["state"]);
    let good = baseline(&world);
    super::scene::keygen(&world, "ed25519", "stranger");
    world.driftlock(["seal", "--key", "stranger", "--serial", "18446744073709551615"]).code(0);
    assert_eq!(check(&world, 2).len(), 1);
    assert_eq!(snapshot(&world, &["state"]), before);
    put_back(&world, &good);
    assert!(check(&world, 0).is_empty());
}

/// Nor is a good seal of other locks, such as those of another project of the same signer.
#[needs("ssh-keygen")]
fn a_seal_of_other_locks_is_not_remembered() {
    let world = remembering();
    assert!(check(&world, 0).is_empty());
    let before = snapshot(&world, &["state"]);
    let good = baseline(&world);
    world.write("m/a", "2");
    world.driftlock(["lock"]).code(0);
    world.driftlock(["seal", "--key", "key", "--serial", "900"]).code(0);
    world.write("m/a", "1");
    world.driftlock(["lock"]).code(0);
    assert_eq!(check(&world, 2), ["the lock locks/tree.lock.json is not the one that was sealed"]);
    assert_eq!(snapshot(&world, &["state"]), before);
    put_back(&world, &good);
    assert!(check(&world, 0).is_empty());
}

#[needs("ssh-keygen")]
fn a_state_that_is_not_as_it_was_written_is_refused() {
    let world = remembering();
    assert!(check(&world, 0).is_empty());
    let good = fs::read_to_string(world.path(STATE)).unwrap();
    for bad in ["", "{}", &good[..good.len() - 1], &good.replace("1,", "2,"), &format!("{good}\n"), &"x".repeat(10_000)]
    {
        fs::write(world.path(STATE), bad).unwrap();
        let found = check(&world, 2);
        assert_eq!(found, ["the state of seals state/seal is refused: it is not as driftlock writes it"]);
        assert_eq!(fs::read_to_string(world.path(STATE)).unwrap(), bad, "it is evidence");
    }
    fs::remove_file(world.path(STATE)).unwrap();
    fs::create_dir(world.path(STATE)).unwrap();
    says(&check(&world, 2)[0], &["the state of seals state/seal is refused: it is not a regular file"]);
    fs::remove_dir(world.path(STATE)).unwrap();
    std::os::unix::fs::symlink("elsewhere", world.path(STATE)).unwrap();
    says(&check(&world, 2)[0], &["the state of seals state/seal is refused: "]);
    fs::remove_file(world.path(STATE)).unwrap();
    fs::remove_dir(world.path("state")).unwrap();
    says(&check(&world, 2)[0], &["the seal state directory state could not be opened"]);
}

#[needs("ssh-keygen")]
fn the_state_may_not_lie_where_a_check_looks_or_with_the_locks() {
    let world = remembering();
    for (place, why) in [
        ("locks/state", "the seal state directory"),
        ("locks/state", " overlap, and this run may not write to the locks"),
        ("root/state", "the root of the check tree is in the seal state directory"),
    ] {
        let refused = world.driftlock(["check", "--seal", "allowed", "--seal-state", place]).code(2);
        says(&refused.stderr(), &[why, "to do: "]);
        assert!(!world.path(place).exists());
    }
    let refused = world.driftlock(["check", "--seal-state", STATE]).code(2);
    says(&refused.stderr(), &["--seal-state state/seal: no seal is verified", "--seal FILE"]);
    for name in ["state/..", "state/", ""] {
        world.driftlock(["check", "--seal", "allowed", &format!("--seal-state={name}")]).code(2);
    }
}
