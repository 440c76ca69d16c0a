//! `kill -9` at every call that writes, in driftlock, its launcher and `ssh-keygen`. What is left is the old seal with its
//! signature, the new one with its own, or a pair that `check` refuses: never a PASS in between.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use needs::needs;

use super::scene::{SEAL, SIGNATURE, oracle, scene, seal, sealed, verdict};
use crate::harness::World;
use crate::watch::{contents, names, strace};

const CALLS: [&str; 9] =
    ["openat", "openat2", "write", "ftruncate", "fsync", "rename", "renameat", "renameat2", "flock"];

/// No process makes so many calls of one name.
const MOST: u32 = 400;

type Pair = [Option<Vec<u8>>; 2];

fn pair(world: &World) -> Pair {
    [SEAL, SIGNATURE].map(|file| fs::read(world.path(file)).ok())
}

fn put(world: &World, pair: &Pair) {
    for (file, bytes) in [SEAL, SIGNATURE].iter().zip(pair) {
        match bytes {
            Some(bytes) => fs::write(world.path(file), bytes).unwrap(),
            None => drop(fs::remove_file(world.path(file))),
        }
    }
}

/// Seals, and kills that process of the run which makes this call for the `number`th time. Whether any was killed.
fn sealed_until(world: &World, call: &str, number: u32) -> bool {
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let mut run = strace(world, &["-e", &inject], &["seal", "--key", "key"]);
    let output = run.command.output().unwrap();
    match (output.status.code(), output.status.signal()) {
        (Some(0), None) => false,
        // Another process of the run was killed, and driftlock says so.
        (Some(2), None) | (None, Some(9)) => true,
        other => panic!("{call} {number}: {other:?}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// From `old` on, kills everywhere. `new` is what an undisturbed run makes.
fn kill_everywhere(world: &World, old: &Pair, new: &Pair) -> [u32; 3] {
    // The old pair, the new one, and neither.
    let (mut seen, mut left) = ([0; 3], HashSet::new());
    for call in CALLS {
        for number in 1.. {
            assert!(number < MOST, "{call} has no end");
            put(world, old);
            let was_killed = sealed_until(world, call, number);
            let now = pair(world);
            let at = format!("{call} {number}");
            let kind = if now == *new { 1 } else { usize::from(now != *old) * 2 };
            seen[kind] += 1;
            // Later runs do the same where the same is left.
            if !left.insert(contents(world, "locks")) && was_killed {
                continue;
            }
            if kind == 1 || kind == 0 && old[0].is_some() {
                assert!(verdict(world, &["--seal", "allowed"], 0).1.is_empty(), "{at}");
            } else {
                assert!(now == *old || now == [new[0].clone(), old[1].clone()], "{at}");
                let (_, found) = verdict(world, &["--seal", "allowed"], 2);
                let half = found[0].contains("driftlock.seal.sig is refused: it is not a signature of these bytes")
                    || found[0].contains("locks/driftlock.seal.sig is missing")
                    || found[0].contains("locks/driftlock.seal is missing");
                assert!(half, "{at}: {found:?}");
            }
            if !was_killed {
                assert_eq!(now, *new, "{at}");
                break;
            }
            // The next run mends it.
            seal(world);
            assert!(oracle(world, "allowed", super::scene::OPS), "{at}");
            let names = names(world.path("locks"));
            let known =
                |name: &String| name.trim_start_matches('.').trim_end_matches(".tmp").starts_with("driftlock.seal");
            assert!(
                names.iter().all(|name| name == "tree.lock.json" || name == ".tree.lock.json.tmp" || known(name)),
                "{names:?}"
            );
        }
    }
    seen
}

#[needs("ssh-keygen", strace)]
fn a_seal_that_was_killed_is_the_old_one_or_the_new_one_or_refused() {
    let world = scene("ed25519");
    seal(&world);
    let old = pair(&world);
    seal(&world);
    let new = pair(&world);
    assert_eq!(sealed(&world)["serial"], 2);
    let seen = kill_everywhere(&world, &old, &new);
    assert!(seen[0] > 20 && seen[1] >= 9 && seen[2] > 3, "{seen:?}");
}

#[needs("ssh-keygen", strace)]
fn the_first_seal_that_was_killed_is_whole_or_refused() {
    let world = scene("ed25519");
    seal(&world);
    let new = pair(&world);
    kill_everywhere(&world, &[None, None], &new);
}
