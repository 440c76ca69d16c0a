//! Hard links: an inode is read once within a run, and what is said of each of its names is what reading it says.

use std::fs;
use std::time::Duration;

use needs::needs;
use serde_json::Value;

use crate::harness::{FILES, TREES, World, drift, the_check, unverified};
use crate::watch::strace;

const LARGE: usize = 3 << 20;
const SMALL: usize = 70_000;

/// Eight names of a large file and five of a small one, over several directories, and a file by itself.
fn build(world: &World) {
    let large = world.write("m/large", vec![b'l'; LARGE]);
    let small = world.write("n/small", vec![b's'; SMALL]);
    for number in 0..7 {
        fs::create_dir_all(world.root(format!("d{}", number % 3))).unwrap();
        fs::hard_link(&large, world.root(format!("d{}/large{number}", number % 3))).unwrap();
    }
    for number in 0..4 {
        fs::hard_link(&small, world.root(format!("n/small{number}"))).unwrap();
    }
    world.write("n/own", vec![b'o'; SMALL]);
}

/// Waits until what was written is older than what may change within one tick of the clock.
fn settle() {
    std::thread::sleep(driftlock::internals::stat_cache::SETTLING + Duration::from_millis(300));
}

/// What a run read of files below its root, as the kernel saw it.
fn bytes_read(world: &World) -> usize {
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    let root = world.path("root").to_str().unwrap().to_owned() + "/";
    let reads =
        trace.lines().filter(|line| line.contains("pread64(") || line.contains("read(") || line.contains("resumed>"));
    let ours = reads.filter(|line| line.contains(&root));
    ours.filter_map(|line| line.rsplit_once(" = ")?.1.parse::<usize>().ok()).sum()
}

#[needs(strace)]
fn several_names_of_one_inode_are_read_once() {
    for declaration in [TREES, FILES] {
        let world = World::declaring(declaration);
        build(&world);
        world.lock();
        settle();
        for threads in ["1", "4"] {
            // One line for each call, even if several threads run.
            let options = ["-y", "-e", "trace=pread64,read,readv", "-e", "signal=none", "--seccomp-bpf"];
            let arguments = ["check", "--json", "--threads", threads];
            let report = strace(&world, &options, &arguments).code(0).json();
            assert_eq!(unverified(&report), Vec::<String>::new());
            assert_eq!(report["bytes"], LARGE + 2 * SMALL, "{threads} threads");
            // What another thread interrupts is on two lines, the second without a path: none is counted twice.
            let read = bytes_read(&world);
            assert!(read <= LARGE + 2 * SMALL, "{threads} threads read {read} bytes");
            assert!(read > 0);
        }
    }
}

#[test]
fn one_that_was_changed_just_now_is_read_under_each_name() {
    let world = World::new();
    build(&world);
    world.lock();
    // Its time of change is that of the moment.
    fs::hard_link(world.root("m/large"), world.root("m/one more")).unwrap();
    let report = world.check(1);
    assert_eq!(drift(&report), [("added".to_owned(), "m/one more".to_owned())]);
    assert!(report["bytes"].as_u64().unwrap() >= 9 * LARGE as u64, "{}", report["bytes"]);
}

#[test]
fn each_name_has_the_drift_of_the_inode() {
    for declaration in [TREES, FILES] {
        let world = World::declaring(declaration);
        build(&world);
        world.lock();
        fs::write(world.root("m/large"), vec![b'x'; LARGE]).unwrap();
        // One of the names becomes a file of its own.
        fs::remove_file(world.root("d0/large0")).unwrap();
        world.write("d0/large0", vec![b'l'; LARGE]);
        settle();
        let report = world.check(1);
        let modified: Vec<_> = drift(&report).into_iter().map(|(change, path)| format!("{change} {path}")).collect();
        let expected = ["d0/large3", "d0/large6", "d1/large1", "d1/large4", "d2/large2", "d2/large5", "m/large"];
        assert_eq!(modified, expected.map(|path| format!("modified {path}")));
        assert_eq!(report["bytes"], 2 * LARGE + 2 * SMALL);
    }
}

/// Two names below two roots are two names of one inode; the record of each is of its own check.
#[test]
fn checks_share_what_was_read_and_not_what_is_said() {
    let two =
        TREES.to_owned() + "[check.other]\nkind = \"trees\"\nroot = \"root\"\nattributes = [\"mode\", \"owner\"]\n";
    let world = World::declaring(&two);
    build(&world);
    world.lock();
    let lock: Value = serde_json::from_slice(&fs::read(world.path("locks/other.lock.json")).unwrap()).unwrap();
    assert_eq!(lock["entries"][1]["mode"], "0755");
    settle();
    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["unverified"], 0);
    // The file of one name is read for each check, as it always was.
    assert!(report["bytes"].as_u64().unwrap() <= (2 * LARGE + 4 * SMALL) as u64, "{}", report["bytes"]);
}

/// The lock, with its digests of Nix archives, and the stat cache know nothing of links.
#[test]
fn the_lock_and_the_stat_cache_are_those_of_single_files() {
    let (linked, single) = (World::new(), World::new());
    build(&linked);
    build(&single);
    for directory in ["m", "n", "d0", "d1", "d2"] {
        for entry in fs::read_dir(single.root(directory)).unwrap() {
            let path = entry.unwrap().path();
            let contents = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, contents).unwrap();
        }
    }
    for world in [&linked, &single] {
        world.lock();
        fs::create_dir(world.path("state")).unwrap();
    }
    assert_eq!(linked.lock_bytes(), single.lock_bytes());
    settle();
    let cached = |world: &World| world.driftlock(["check", "--json", "--stat-cache", "state/cache"]).code(0).json();
    assert_eq!(cached(&linked)["bytes"], LARGE + 2 * SMALL);
    let again = cached(&linked);
    assert_eq!((&again["bytes"], &the_check(&again)["trusted"]), (&0.into(), &14.into()));
    assert_eq!(cached(&single)["bytes"], 8 * LARGE + 6 * SMALL);
}
