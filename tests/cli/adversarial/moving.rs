//! Rows 16 to 20, 27 and 28: files that are large, deep, many, or that change during the walk.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{meanwhile, pairs};
use crate::harness::{World, drift, the_check, unverified};
use crate::machine;

/// A file that takes so long to read (it is sparse, and hashed all the same) that what changes it again and again does
/// so during every attempt, on a busy machine too.
fn slow_file(world: &World) -> fs::File {
    fs::create_dir(world.root("m")).unwrap();
    let file = fs::File::create(world.root("m/f")).unwrap();
    file.set_len(SLOW).unwrap();
    file
}

/// Large enough that something happens to it while it is read, on a machine that has much else to do as well.
const SLOW: u64 = 1 << 28;

#[test]
fn row_16_file_that_grows_while_it_is_read_is_unstable() {
    let world = World::new();
    let file = slow_file(&world);
    world.write("m/still", "1");
    world.lock();
    let before = world.lock_bytes();
    meanwhile(
        |turn| file.set_len(SLOW + turn).unwrap(),
        || {
            let report = world.check(2);
            assert_eq!(unverified(&report), ["m/f"]);
            assert!(the_check(&report)["unverified"][0]["reason"].as_str().unwrap().contains("unstable"));
            let refused = world.driftlock(["lock"]).code(2);
            assert!(refused.stderr().contains("m/f"), "{}", refused.stderr());
        },
    );
    assert_eq!(world.lock_bytes(), before, "the old lock is untouched");
}

#[test]
fn row_17_file_that_is_truncated_while_it_is_read_is_unstable() {
    let world = World::new();
    let file = slow_file(&world);
    world.lock();
    meanwhile(
        |turn| file.set_len(SLOW - (turn % 2) * (SLOW / 4)).unwrap(),
        || assert_eq!(unverified(&world.check(2)), ["m/f"]),
    );
}

#[test]
fn row_18_file_and_fifo_swapped_during_the_walk_never_block_it() {
    let world = World::new();
    for number in 0..200 {
        world.write(format!("m/{number}"), "1");
    }
    world.lock();
    mknodat(CWD, world.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let (target, fifo) = (world.root("m/100"), world.path("fifo"));
    let swap = |_| rustix::fs::renameat_with(CWD, &target, CWD, &fifo, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    meanwhile(swap, || {
        for _ in 0..30 {
            let started = Instant::now();
            let mut command = world.driftlock(["check", "--json"]).command;
            let code = command.output().unwrap().status.code();
            assert!(matches!(code, Some(0..=3)), "{code:?}");
            assert!(started.elapsed() < Duration::from_secs(20), "it blocked");
        }
    });
    assert!(
        fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo()
            || target.symlink_metadata().unwrap().file_type().is_fifo()
    );
}

#[test]
fn row_18_sigterm_ends_a_run_at_once() {
    let world = World::new();
    // Without bytes on the disk, and still many seconds of hashing.
    fs::File::create(world.root("large")).unwrap().set_len(200 << 30).unwrap();
    let mut child = world.driftlock(["lock"]).command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it can't be through with 200 GiB");
    let started = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
}

#[test]
fn row_19_large_sparse_file_is_right() {
    use std::os::unix::fs::FileExt as _;
    let world = World::new();
    let file = fs::File::create(world.root("sparse")).unwrap();
    // Holes of many buffers, before, between and behind what is written.
    file.set_len(300 << 20).unwrap();
    for at in [100_u64 << 20, (100 << 20) + 123_456_789, (300 << 20) - 1] {
        file.write_all_at(b"!", at).unwrap();
    }
    world.lock();
    let expected = Command::new("sha256sum").arg(world.root("sparse")).output().unwrap().stdout;
    assert_eq!(world.entry("sparse")["sha256"].as_str().unwrap().as_bytes(), &expected[..64]);
    // Read by one thread, and by two.
    let archive = |threads| {
        world.driftlock(["hash", "--format", "nar", "--threads", threads, "root", "root/sparse"]).code(0).stdout()
    };
    assert_eq!(archive("1"), archive("2"));
}

#[test]
fn row_20_path_longer_than_path_max() {
    // Twice the kernel's PATH_MAX in few entries, since a lock holds every path in full.
    const DEPTH: usize = 400;
    let world = World::new();
    let root = fs::File::open(world.path("root")).unwrap();
    let mut above = rustix::fd::OwnedFd::from(root);
    let name = "directory-with-a-name";
    for _ in 0..DEPTH {
        rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)).unwrap();
        above = rustix::fs::openat(&above, name, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let leaf = |contents: &[u8]| {
        let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::TRUNC;
        let file = rustix::fs::openat(&above, "leaf", flags, Mode::from_raw_mode(0o644)).unwrap();
        rustix::io::write(file, contents).unwrap();
    };
    leaf(b"1");
    // With few descriptors, too.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_driftlock")]);
    limited.arg("lock");
    world.command(limited).code(0);
    assert_eq!(world.entries().len(), DEPTH + 1);
    assert!(world.entries().last().unwrap()["path"].as_str().unwrap().len() > 2 * 4096);
    world.check(0);
    leaf(b"2");
    let report = world.check(1);
    assert_eq!(drift(&report).len(), 1);
    assert!(drift(&report)[0].1.ends_with("/leaf"));
    // `rm -rf` and the standard library clean up as deep as this.
}

#[test]
fn row_27_very_many_tiny_files() {
    let world = World::new();
    let (in_each, wide) = (machine::cases(100), machine::cases(10_000));
    for directory in 0..100 {
        fs::create_dir_all(world.root(format!("m{}/{directory}", directory % 10))).unwrap();
        for file in 0..in_each {
            fs::write(world.root(format!("m{}/{directory}/{file}", directory % 10)), format!("{directory} {file}"))
                .unwrap();
        }
    }
    // And one directory that is very large.
    fs::create_dir(world.root("wide")).unwrap();
    for file in 0..wide {
        fs::write(world.root(format!("wide/{file}")), file.to_string()).unwrap();
    }
    world.lock();
    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 10 + 100 + 100 * in_each + 1 + wide);
    // Every digest, against a program that is not ours.
    let expected = Command::new("sh")
        .args(["-c", "find . -type f -print0 | xargs -0 sha256sum | sed 's/  \\.\\//  /' | LC_ALL=C sort -k2"])
        .current_dir(world.path("root"))
        .output()
        .unwrap();
    let entries = world.entries();
    let mut ours: Vec<_> = entries
        .iter()
        .filter(|entry| entry["type"] == "file")
        .map(|entry| format!("{}  {}\n", entry["sha256"].as_str().unwrap(), entry["path"].as_str().unwrap()))
        .collect();
    ours.sort_by(|a, b| a[66..].cmp(&b[66..]));
    assert_eq!(ours.concat().as_bytes(), expected.stdout);
    fs::write(world.root("wide/3333"), "x").unwrap();
    assert_eq!(drift(&world.check(1)), pairs(&[("modified", "wide/3333")]));
}

#[test]
fn row_28_directory_swapped_for_a_link_during_the_walk_never_leads_out_of_the_root() {
    let world = World::new();
    for number in 0..50 {
        world.write(format!("m/{number}/dir/inside"), "1");
    }
    fs::create_dir(world.path("outside")).unwrap();
    fs::write(world.path("outside/secret"), "secret").unwrap();
    symlink(world.path("outside"), world.path("link")).unwrap();
    world.lock();
    let (target, link) = (world.root("m/25/dir"), world.path("link"));
    let swap = |_| rustix::fs::renameat_with(CWD, &target, CWD, &link, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    meanwhile(swap, || {
        for _ in 0..40 {
            let output = world.driftlock(["check", "--json"]).command.output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(!text.contains("secret\""), "it went through the link: {text}");
            let report: serde_json::Value = serde_json::from_str(&text).unwrap();
            for (change, path) in drift(&report) {
                assert!(path.starts_with("m/25/dir"), "{change} {path}");
            }
        }
    });
}
