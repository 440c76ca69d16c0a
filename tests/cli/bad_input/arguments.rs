//! Arguments that mean nothing.

use std::fs;

use crate::harness::World;
use crate::watch::{no_panic, refused_and_untouched, snapshot, strace};
use needs::needs;

#[test]
fn unknown_check() {
    let world = World::new();
    for command in ["check", "lock"] {
        refused_and_untouched(&world, &[command, "--check", "tre"], &["--check tre", "driftlock.toml", "one of: tree"]);
        refused_and_untouched(&world, &[command, "--check", "tree", "--check", "x\n"], &["--check x\\n:"]);
    }
}

#[test]
fn bad_flags_are_usage_errors() {
    let world = World::new();
    world.write("m/a", "1");
    let before = snapshot(&world, &["."]);
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["check", "--frobnicate"],
        &["check", "extra"],
        &["check", "--threads", "0"],
        &["check", "--threads", "-1"],
        &["check", "--threads", "many"],
        &["check", "--threads", "99999999999999999999999"],
        &["check", "--limit-rate", "0"],
        &["check", "--limit-rate", "-5M"],
        &["check", "--limit-rate", "100K"],
        &["lock", "--limit-rate", "50MB"],
        &["check", "--limit-rate", "99999999999999999999G"],
        &["check", "--color", "pink"],
        &["check", "--config"],
        &["check", "--config", ""],
        &["lock", "--check"],
        &["lock", "--output", "x"],
        &["diff", "a"],
        &["diff", "a", "b", "c"],
        &["hash"],
        &["hash", "--format", "md5", "root"],
        &["capabilities", "--probe"],
        &["completions"],
        &["completions", "tcsh"],
        &["init", "somewhere"],
    ] {
        let finished = world.driftlock(arguments).code(2);
        no_panic(&finished);
        assert_eq!(finished.stdout(), "", "{arguments:?}");
        assert!(
            finished.stderr().contains("Usage: driftlock") || finished.stderr().contains("--help"),
            "{arguments:?}"
        );
    }
    assert_eq!(snapshot(&world, &["."]), before);
}

/// Too many threads would overload the machine, so driftlock uses fewer, with the same result.
#[needs(strace)]
fn absurd_number_of_threads() {
    let world = World::new();
    world.write("m/a", "1");
    for threads in ["4000", "1000000", "18446744073709551615"] {
        for command in ["lock", "check"] {
            let options = ["-e", "trace=clone,clone3"];
            no_panic(&strace(&world, &options, &[command, "--threads", threads]).code(0));
            let trace = fs::read_to_string(world.path("trace")).unwrap();
            let started = trace.lines().filter(|line| line.contains(" clone(")).count();
            assert!((1..1000).contains(&started), "{started} of {threads}");
        }
    }
}

#[test]
fn paths_to_hash_or_diff_that_are_no_such_thing() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let fifo = world.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0)
        .unwrap();
    for (path, problem) in [
        ("nowhere", "No such file"),
        ("fifo", "neither a directory nor a regular file"),
        ("/dev/zero", "neither a directory nor a regular file"),
        ("driftlock.toml/x", "Not a directory"),
        ("a\u{1b}[2J", "No such file"),
    ] {
        for arguments in [&["hash", path][..], &["diff", path, "locks/tree.lock.json"], &["diff", path, "live"]] {
            let finished = refused_and_untouched(&world, arguments, &[problem, "to do: "]);
            assert!(!finished.stderr().contains('\u{1b}'));
        }
    }
    // One that can't be opened is no reason to be silent about why nothing was printed.
    refused_and_untouched(&world, &["hash", "root/m/a", "nowhere"], &["nowhere"]);
    refused_and_untouched(&world, &["capabilities", "--probe", "nowhere"], &["nowhere does not exist", "that exists"]);
}

#[test]
fn init_takes_no_other_place_and_says_so() {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    let refused = world.driftlock(["init", "--config", "elsewhere/x.toml"]).code(2).stderr();
    assert!(refused.contains("--config elsewhere/x.toml") && refused.contains("to do:"), "{refused}");
    assert!(!world.path("driftlock.toml").exists());
    world.write("a", "a");
    assert_eq!(world.driftlock(["init", "--json"]).code(0).json()["written"], "driftlock.toml");
}
