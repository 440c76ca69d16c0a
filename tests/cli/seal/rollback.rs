//! `--seal-state`: an old seal, or a second one with the same serial, is refused once a newer one was seen.

use std::fs;

use needs::needs;

use super::scene::{SEAL, SIGNATURE, scene, seal, verdict};
use crate::harness::World;
use crate::watch::{says, snapshot, strace};

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
    let declaration = super::scene::sealed(&world)["declaration"].clone();
    let start = format!(
        "{{\n\"driftlock_seal_state\": 1,\n\"serial\": 1,\n\"declaration\": {declaration},\n\"seal\": \"sha256-"
    );
    assert!(first.starts_with(&start), "{first}");
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

/// Two baselines with one state: nothing is let through, and the message says whose state it may be.
#[needs("ssh-keygen")]
fn a_state_of_another_baseline_is_told() {
    let world = remembering();
    fs::create_dir(world.path("other")).unwrap();
    fs::write(world.path("other/driftlock.toml"), crate::harness::TREES.replace("\"root\"", "\"../root\"")).unwrap();
    let other = ["--config", "other/driftlock.toml"];
    world.driftlock([&["lock"], &other[..]].concat()).code(0);
    let seal_with = |serial: &str, config: &[&str]| {
        world.driftlock([&["seal", "--key", "key", "--serial", serial], config].concat()).code(0);
    };
    let check = |state: &str, config: &[&str], code| {
        let arguments = [&["--seal", "allowed", "--seal-state", state, "--no-report"], config].concat();
        let (report, found) = verdict(&world, &arguments, code);
        (found, report["seal"]["troubles"][0]["remedy"].as_str().unwrap_or_default().to_owned())
    };
    let mine: &[&str] = &[];
    seal_with("5", mine);
    seal_with("3", &other);
    assert_eq!(check(STATE, mine, 0).0, [""; 0]);
    let (found, remedy) = check(STATE, &other, 2);
    let expected =
        "the seal is refused: its serial is 3, but 5 was seen before, for another declaration, according to state/seal";
    assert_eq!(found, [expected]);
    says(
        &remedy,
        &[
            "if that file is also the state of another baseline, name one for each with --seal-state; if not, find out who",
        ],
    );
    // The same serial by chance.
    seal_with("5", &other);
    let (found, remedy) = check(STATE, &other, 2);
    let expected = "the seal is refused: its serial is 5, but another seal with this serial was seen before, for another \
                    declaration, according to state/seal";
    assert_eq!(found, [expected]);
    says(&remedy, &["name one for each with --seal-state"]);
    // A higher one is a successor as far as anyone can tell. Then the first one is refused, and not let through.
    seal_with("7", &other);
    assert_eq!(check(STATE, &other, 0).0, [""; 0]);
    seal_with("6", mine);
    let (found, _) = check(STATE, mine, 2);
    says(&found[0], &["its serial is 6, but 7 was seen before, for another declaration, according to state/seal"]);
    // With one for each, both hold.
    assert_eq!(check("state/mine", mine, 0).0, [""; 0]);
    assert_eq!(check("state/other", &other, 0).0, [""; 0]);
}

/// `kill -9` at every call that writes it leaves the old state or the new one.
#[needs("ssh-keygen", strace)]
fn a_state_is_written_whole_or_not_at_all() {
    let world = remembering();
    assert!(check(&world, 0).is_empty());
    let old = fs::read(world.path(STATE)).unwrap();
    seal(&world);
    assert!(check(&world, 0).is_empty());
    let new = fs::read(world.path(STATE)).unwrap();
    let arguments = ["check", "--no-report", "--quiet", "--seal", "allowed", "--seal-state", STATE];
    // How often each was found after a kill.
    let mut seen = [0; 2];
    for call in ["openat2", "write", "fsync", "ftruncate", "renameat", "renameat2", "flock"] {
        for number in 1..200 {
            fs::write(world.path(STATE), &old).unwrap();
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let mut run = strace(&world, &["-e", &inject], &arguments);
            let code = run.command.output().unwrap().status.code();
            let now = fs::read(world.path(STATE)).unwrap();
            assert!(now == new || (now == old && code != Some(0)), "{call} {number}");
            if code == Some(0) {
                break;
            }
            seen[usize::from(now == new)] += 1;
            assert!(check(&world, 0).is_empty(), "{call} {number}");
            assert_eq!(fs::read(world.path(STATE)).unwrap(), new, "{call} {number}");
        }
    }
    assert!(seen[0] > 5 && seen[1] > 0, "{seen:?}");
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
