//! Cost that another user controls: a tree that is small on the disk but has long paths.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::fs::{Mode, OFlags, mkdirat, openat};

use crate::harness::{World, the_check};
use crate::watch::{no_panic, says};

/// 1,500 directories in each other, with names as long as they can be: half a megabyte of names, and 290 megabytes of paths.
#[test]
fn directories_in_directories_with_long_names() {
    const DEEP: u64 = 1500;
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let name = "n".repeat(255);
    let mut above: OwnedFd = fs::File::open(world.path("root")).unwrap().into();
    for _ in 0..DEEP {
        mkdirat(&above, &name, Mode::RWXU).unwrap();
        above = openat(&above, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let mut check = Command::new("sh");
    check.args(["-c", "ulimit -v 1500000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_driftlock"), "check"]);
    let checked = world.command(check).code(1);
    says(
        &checked.stdout(),
        &["[FAIL] Tree drift: nnn", "more entries drifted: more than a run keeps", "OVERALL: FAIL"],
    );
    assert!(checked.output.stdout.len() < 1 << 20, "{}", checked.output.stdout.len());
    let kept = world.driftlock(["report", "--json"]).code(0);
    assert!(kept.output.stdout.len() < 8 << 20, "{}", kept.output.stdout.len());
    let report = kept.json();
    let check = the_check(&report);
    let listed = check["drift"].as_array().unwrap().len() as u64;
    assert_eq!(check["counts"]["drifted"], DEEP);
    assert_eq!(check["left_out"]["drifted"].as_u64().unwrap() + listed, DEEP);
    assert!(listed > 4);
    for format in ["html", "github", "junit", "sarif", "slack", "prometheus"] {
        let printed = world.driftlock(["report", "--format", format]).code(0);
        assert!(printed.output.stdout.len() < 8 << 20, "{format}: {}", printed.output.stdout.len());
    }
}

/// Where there is little room for addresses there are fewer threads, and never an end without a word.
#[test]
fn many_threads_in_little_memory() {
    let world = World::new();
    for number in 0..400 {
        world.write(format!("m{}/{number}", number % 40), "1");
    }
    world.lock();
    for _ in 0..10 {
        let mut check = Command::new("sh");
        check.args(["-c", "ulimit -v 400000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_driftlock")]);
        check.args(["check", "--threads", "64"]);
        no_panic(&world.command(check).code(0));
    }
}
