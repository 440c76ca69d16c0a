//! Rows 21 to 26, 29 and 30: roots, locks, mounts, and time.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{meanwhile, pairs};
use crate::harness::{FILES, World, drift, the_check};
use needs::needs;

#[test]
fn row_21_missing_root_is_named() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    fs::remove_dir_all(world.path("root")).unwrap();
    let finished = world.driftlock(["check"]).code(2);
    assert!(finished.stdout().contains("root") && finished.stdout().contains("No such file"), "{}", finished.stdout());
}

#[test]
fn row_22_truncated_lock_is_refused() {
    let world = World::new();
    for number in 0..20 {
        world.write(format!("m/{number}"), "1");
    }
    world.lock();
    let whole = world.lock_bytes();
    let lines: Vec<_> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for length in lines[..lines.len() - 1].iter().copied().chain([1, 10, whole.len() / 2, whole.len() - 1]) {
        fs::write(world.path("locks/tree.lock.json"), &whole[..length]).unwrap();
        let report = world.check(2);
        assert_eq!(report["overall"], "FAIL", "cut at {length}");
        let finished = world.driftlock(["lock"]).code(2);
        assert!(finished.stderr().contains("tree.lock.json"), "{}", finished.stderr());
        assert_eq!(world.lock_bytes(), &whole[..length], "nothing overwritten");
    }
}

#[test]
fn row_23_empty_lock_file_is_refused() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    fs::write(world.path("locks/tree.lock.json"), "").unwrap();
    assert_eq!(world.check(2)["overall"], "FAIL");
    let world = World::declaring(&FILES.replace("[check.tree]", "[check.tree]\nlock = \"tree.lock.txt\""));
    world.write("a", "1");
    world.lock();
    fs::write(world.path("locks/tree.lock.txt"), "").unwrap();
    assert_eq!(world.check(2)["overall"], "FAIL");
}

#[test]
fn row_24_only_missing_or_only_extra_entries_are_drift() {
    let world = World::new();
    world.write("m/a", "1");
    world.write("m/b", "2");
    world.lock();
    fs::remove_file(world.root("m/a")).unwrap();
    assert_eq!(drift(&world.check(1)), pairs(&[("removed", "m/a")]));
    world.write("m/a", "1");
    world.write("m/c", "3");
    assert_eq!(drift(&world.check(1)), pairs(&[("added", "m/c")]));
    fs::remove_dir_all(world.root("m")).unwrap();
    assert_eq!(
        drift(&world.check(1)),
        pairs(&[("removed", "m"), ("removed", "m/a"), ("removed", "m/b")]),
        "all of it gone"
    );
}

#[test]
fn row_25_a_glob_is_no_prefix() {
    let world = World::declaring(&FILES.replace("\"**\"", "\"u\", \"d/*.conf\""));
    world.write("u", "1");
    world.write("u3.conf", "1");
    world.write("d/x.conf", "1");
    world.write("d/x.conf.bak", "1");
    world.write("e/d/x.conf", "1");
    world.lock();
    let paths: Vec<_> = world.entries().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["d/x.conf", "u"]);
}

#[needs(mounts)]
fn row_26_another_file_system_over_a_part_of_the_root_is_told_or_refused() {
    let world = World::new();
    world.write("m/data/a", "1");
    world.write("m/single", "1");
    world.lock();
    assert_eq!(the_check(&world.check(0))["mounts"], serde_json::json!([]));
    // In a mount namespace of its own, so that nothing is left behind whatever happens.
    let check = |code, expected: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        command.arg("mount -t tmpfs tmpfs root/m/data && echo -n 1 >root/m/data/a && mount --bind driftlock.toml root/m/single && exec \"$0\" check --json");
        command.arg(env!("CARGO_BIN_EXE_driftlock"));
        let report = world.command(command).code(code).json();
        let found = &the_check(&report)[if code & 2 == 0 { "mounts" } else { "unverified" }];
        let paths: Vec<_> =
            found.as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(paths, expected, "{report:#}");
        report
    };
    let report = check(1, &["m/data", "m/single"]);
    assert_eq!(drift(&report), pairs(&[("modified", "m/single")]));
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap() + "one_file_system = true\n";
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    check(2, &["m/data", "m/data/a", "m/single"]);
    world.check(0);
}

#[test]
fn row_29_a_check_beside_a_lock_sees_the_old_or_the_new_lock_whole() {
    let world = World::new();
    for number in 0..300 {
        world.write(format!("m/{number}"), "1");
    }
    world.lock();
    // The root stays as it is, and the lock is written over and over: with the declared attributes and without.
    let with = "kind = \"trees\"\nattributes = [\"mode\"]";
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("other.toml"), declaration.replace("kind = \"trees\"", with)).unwrap();
    meanwhile(
        |turn| {
            let config = if turn % 2 == 0 { "other.toml" } else { "driftlock.toml" };
            world.driftlock(["lock", "--config", config]).code(0);
        },
        || {
            for _ in 0..40 {
                let output = world.driftlock(["check", "--json"]).command.output().unwrap();
                let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let trouble = the_check(&report)["trouble"]["problem"].as_str().unwrap_or_default();
                // The one thing that may be wrong is that it belongs to the other declaration, which is then whole.
                assert!(output.status.code() == Some(0) || trouble.contains("attributes"), "{report:#}");
            }
        },
    );
}

#[test]
fn row_29_two_locks_at_once_do_not_mix() {
    let world = World::new();
    for number in 0..300 {
        world.write(format!("m/{number}"), "1");
    }
    let locked = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..8).map(|_| scope.spawn(|| world.driftlock(["lock"]).command.output().unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    for output in locked {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || stderr.contains("another driftlock"), "{stderr}");
    }
    world.check(0);
}

#[test]
fn row_30_clock_and_zone_have_no_influence() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let before = world.lock_bytes();
    for zone in ["UTC", "Asia/Tokyo", "America/St_Johns", "nonsense"] {
        fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
        world.driftlock(["lock"]).env("TZ", zone).code(0);
        assert_eq!(world.lock_bytes(), before);
        world.driftlock(["check"]).env("TZ", zone).code(0);
    }
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::open(world.root("m/a")).unwrap().set_modified(long_ago).unwrap();
    world.check(0);
}
