//! `check --stat-cache`: an unchanged tree is not read again, every change is found as without it, and a cache about
//! which there is any doubt is thrown away.

mod changes;
mod directories;
mod doubt;
mod equal;
mod interrupted;
mod places;
mod random;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use driftlock::internals::stat_cache::location::KEEPS_CHANGE_TIMES;
use needs::needs;
use serde_json::Value;

use crate::harness::{Finished, TREES, World, the_check};

/// Waits until all that was changed so far is old enough to be kept.
fn settle() {
    std::thread::sleep(driftlock::internals::stat_cache::SETTLING + Duration::from_millis(100));
}

/// A world on a file system whose files can be known again, with a directory for the cache.
fn world(declaration: &str) -> World {
    let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from(env!("CARGO_TARGET_TMPDIR"))];
    let keeps = |place: &&PathBuf| {
        let system = rustix::fs::statfs(place.as_path()).unwrap();
        KEEPS_CHANGE_TIMES.iter().any(|(_, number)| i128::from(*number) == i128::from(system.f_type))
    };
    let place = places.iter().find(keeps).unwrap_or_else(|| panic!("none of {places:?} is on ext4, xfs or btrfs"));
    let world = World::below(place, declaration);
    private_directory(&world.path("state"));
    world
}

fn private_directory(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

const CACHE: &str = "state/cache";

fn run(world: &World, code: i32) -> Finished {
    world.driftlock(["check", "--json", "--stat-cache", CACHE]).code(code)
}

/// Checks with the cache, and gives the report.
fn check(world: &World, code: i32) -> Value {
    run(world, code).json()
}

fn trusted(report: &Value) -> u64 {
    the_check(report)["trusted"].as_u64().unwrap()
}

/// The same is found with the cache and without, in every check and every respect; gives the report with it.
fn same(world: &World, what: &str) -> Value {
    let report = |arguments: &[&str]| {
        let output = world.driftlock(arguments).command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut checks = report["checks"].as_array().unwrap().clone();
        for check in &mut checks {
            check.as_object_mut().unwrap().remove("trusted").unwrap();
        }
        (output.status.code(), checks, report)
    };
    let with = report(&["check", "--json", "--stat-cache", CACHE]);
    let without = report(&["check", "--json"]);
    assert_eq!((with.0, with.1), (without.0, without.1), "{what}");
    with.2
}

/// A locked tree of `m/a`, `m/b` and `m/run`, with a cache that knows all of it.
fn known(declaration: &str) -> World {
    let world = world(declaration);
    for name in ["m/a", "m/b"] {
        world.write(name, format!("{name}\n"));
    }
    fs::set_permissions(world.write("m/run", "#!/bin/sh\n"), fs::Permissions::from_mode(0o755)).unwrap();
    world.lock();
    settle();
    let first = check(&world, 0);
    assert_eq!(trusted(&first), 0);
    assert_eq!(trusted(&check(&world, 0)), 3);
    world
}

/// Says that the cache is not used and why, reads everything, and trusts again the time after that.
fn thrown_away(world: &World, why: &str) {
    let run = run(world, 0);
    assert!(run.stderr().contains(why), "{why}: {}", run.stderr());
    assert_eq!(trusted(&run.json()), 0);
    assert_eq!(trusted(&check(world, 0)), 3);
}

/// The system calls of a check that have to do with opening and reading, with the paths of their descriptors.
fn traced(world: &World) -> (Value, String) {
    let trace = world.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "4096", "-e"]);
    command.arg("trace=getdents,getdents64,open,openat,openat2,read,readv,pread64,preadv,preadv2,mmap,sendfile,copy_file_range,splice");
    command.arg("-o").arg(&trace).arg(env!("CARGO_BIN_EXE_driftlock"));
    command.args(["check", "--json", "--stat-cache", CACHE]);
    let report = world.command(command).code(0).json();
    (report, String::from_utf8_lossy(&fs::read(trace).unwrap()).into_owned())
}

#[needs(strace)]
fn an_unchanged_tree_is_neither_listed_nor_read() {
    let world = world(TREES);
    for number in 0..1500 {
        world.write(format!("m/wide/file{number}"), number.to_string());
    }
    world.write("loose_file", "x");
    world.write(b"m/d/not\xffutf8_file", "x");
    fs::hard_link(world.root("loose_file"), world.root("m/link_file")).unwrap();
    symlink("wide", world.root("m/symlink")).unwrap();
    world.write("m/empty_file", "");
    world.lock();
    settle();
    // The report before this one is read, and its text has words of these.
    let is_file = |line: &&str| {
        line.contains("file") && line.contains("/root") && !line.contains("/proc/") && !line.contains("/reports/")
    };
    let (first, trace) = traced(&world);
    assert_eq!(trusted(&first), 0);
    assert!(trace.lines().filter(is_file).count() > 3000, "each is opened and read at first");
    let before = fs::metadata(world.path(CACHE)).unwrap();
    assert_eq!(before.permissions().mode() & 0o7777, 0o600);
    let others = ["loose_file", "m", "not?utf8_file", "d", "wide", "link_file", "symlink", "empty_file"];
    let names = (0..1500).map(|number| format!("file{number}").len()).chain(others.map(str::len));
    let names = names.map(|length| 10 + length as u64).sum::<u64>();
    let head = 16 + 32 + 8 + 4 + 80 * 2;
    // All files of the tree but one that has two names, the lock, four directories, and a link to `wide`.
    let expected = head + 72 * (1503 + 1) + 44 * 4 + names + (44 + 4) + 32;
    assert_eq!(before.len(), expected, "a file with two links is one fact");
    let lists = |trace: &str| trace.lines().filter(|line| line.contains("getdents") && line.contains("/root")).count();
    assert!(lists(&trace) >= 8, "each directory is listed at first, and its end is met");

    let (second, trace) = traced(&world);
    let opened: Vec<_> = trace.lines().filter(is_file).collect();
    assert_eq!(opened, Vec::<&str>::new());
    assert!(trace.contains("/root/m"), "directories are looked at");
    assert_eq!(lists(&trace), 0);
    assert_eq!(trusted(&second), 1504);
    let after = fs::metadata(world.path(CACHE)).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec()),
        "a cache that would be the same is not written"
    );
    for key in ["status", "counts", "digest", "live_digest", "drift", "unverified", "mounts"] {
        assert_eq!(the_check(&first)[key], the_check(&second)[key], "{key}");
        assert_eq!(the_check(&world.check(0))[key], the_check(&second)[key], "{key}");
    }
    let text = world.driftlock(["check", "--stat-cache", CACHE]).code(0).stdout();
    let line = "[INFO] Tree: contents of 1,504 of 1,508 entries not read again, but trusted from the stat cache";
    assert!(text.contains(line), "{text}");
}

#[test]
fn nothing_is_trusted_unless_asked_for() {
    let world = known(TREES);
    assert_eq!(trusted(&world.check(0)), 0);
    fs::remove_dir_all(world.path("state")).unwrap();
    let report = world.check(0);
    assert_eq!(trusted(&report), 0);
    assert!(!world.path("state").exists());
}
