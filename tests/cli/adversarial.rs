//! Nasty inputs, one test a row of the list that the design keeps: what checkers of today get wrong, most of them in
//! silence. The rule above all rows: every entry ends as verified, drifted or unverified, the counts add up
//! ([`harness::the_check`] sees to that in each test), and nothing unverified is a PASS or gets into a lock.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::harness::{FILES, World, drift, is_root, the_check, unprivileged, unverified};

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(change, path)| (change.to_owned(), path.to_owned())).collect()
}

/// Makes sure that this test can be done: what it needs root for is not skipped in silence.
fn needs_root() {
    assert!(is_root(), "this test makes device nodes or mounts: run it as root (scripts/test does in CI)");
}

#[test]
fn row_01_name_that_is_not_utf8() {
    let world = World::new();
    world.write(b"m/caf\xe9.txt", "1");
    world.write(b"m/\xff\xfe", "2");
    world.lock();
    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 3);
    fs::write(world.root(b"m/\xff\xfe"), "3").unwrap();
    let report = world.check(1);
    let item = &the_check(&report)["drift"][0];
    // Base64 of `m/` and the two bytes, as `base64` prints it.
    assert_eq!(item["path_base64"], "bS///g==");
    assert_eq!(item["change"], "modified");
    assert!(item.get("path").is_none());
}

#[test]
fn row_02_newline_in_a_name_forges_no_line() {
    let world = World::new();
    world.write("m/x\n[PASS] All tree modules match baseline\nOVERALL: PASS", "1");
    world.lock();
    world.check(0);
    world.write("m/x\n[PASS] All tree modules match baseline\nOVERALL: PASS", "2");
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(!text.lines().any(|line| line == "OVERALL: PASS" || line.starts_with("[PASS] All tree")), "{text}");
    assert!(text.lines().any(|line| line == "OVERALL: FAIL"), "{text}");
    assert_eq!(text.matches("\\nOVERALL: PASS").count(), 1, "shown once, escaped: {text}");
    // The text format, in which coreutils has an escape for it.
    let world = World::declaring(&FILES.replace("[check.tree]", "[check.tree]\nlock = \"tree.lock.txt\""));
    world.write("a\nb", "1");
    world.lock();
    assert!(fs::read_to_string(world.path("locks/tree.lock.txt")).unwrap().starts_with('\\'));
    world.check(0);
}

#[test]
fn row_03_terminal_escapes_in_a_name_are_harmless_in_text_and_exact_in_json() {
    let world = World::new();
    let name = "m/\u{1b}[2J\u{1b}]0;x\u{7}\r\u{202e}txt.exe\u{9b}31m\u{200b}";
    world.write(name, "1");
    world.lock();
    world.write(name, "2");
    let text = world.driftlock(["check", "--color", "never"]).code(1).stdout();
    for hostile in ['\u{1b}', '\u{7}', '\r', '\u{202e}', '\u{9b}', '\u{200b}'] {
        assert!(!text.contains(hostile), "{hostile:?} in {text:?}");
    }
    let finished = world.driftlock(["check", "--json"]).code(1);
    assert_eq!(the_check(&finished.json())["drift"][0]["path"], name);
    assert!(!finished.output.stdout.contains(&0x1b), "JSON printed on a terminal is harmless too");
    assert!(!world.lock_bytes().contains(&0x1b));
    assert_eq!(world.entry(name)["size"], 1);
}

#[test]
fn row_04_fifo_and_endless_device_are_recorded_by_type_and_never_opened() {
    needs_root();
    let world = World::new();
    mknodat(CWD, world.root("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    mknodat(CWD, world.root("zero"), FileType::CharacterDevice, Mode::from_raw_mode(0o644), makedev(1, 5)).unwrap();
    world.lock();
    assert_eq!(world.entry("fifo")["type"], "fifo");
    assert_eq!(world.entry("zero")["type"], "char_device");
    world.check(0);
    // A module with such a thing has no Nix archive, as `nix hash path` refuses it.
    let world = World::new();
    world.write("m/f", "1");
    mknodat(CWD, world.root("m/fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    world.lock();
    assert!(world.entry("m").get("nar").is_none());
    world.check(0);
}

#[test]
fn row_05_unix_socket_is_recorded_by_type() {
    let world = World::new();
    let _listener = UnixListener::bind(world.root("socket")).unwrap();
    world.lock();
    assert_eq!(world.entry("socket")["type"], "socket");
    world.check(0);
}

#[test]
fn row_06_device_node_swapped() {
    needs_root();
    let world = World::new();
    let node = |minor| {
        let _ = fs::remove_file(world.root("null"));
        mknodat(CWD, world.root("null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, minor))
            .unwrap();
    };
    node(3);
    world.lock();
    assert_eq!((world.entry("null")["major"].as_u64(), world.entry("null")["minor"].as_u64()), (Some(1), Some(3)));
    node(5);
    assert_eq!(drift(&world.check(1)), pairs(&[("modified", "null")]));
}

#[test]
fn row_07_unreadable_file_with_changed_content_is_unverified() {
    let world = World::new();
    world.write("m/open", "1");
    let secret = world.write("m/secret", "1");
    world.lock();
    fs::write(&secret, "2").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let arguments = ["check", "--json", "--output", "/nowhere"];
    let report = world.command(unprivileged(&world, &arguments)).code(2).json();
    assert_eq!(unverified(&report), ["m/secret"]);
    assert_eq!(report["overall"], "FAIL");
    assert_eq!(the_check(&report)["counts"]["verified"], 2);
    assert!(the_check(&report)["unverified"][0]["reason"].as_str().unwrap().contains("Permission denied"));
}

#[test]
fn row_08_children_of_an_unreadable_directory_are_neither_removed_nor_verified() {
    let world = World::new();
    world.write("m/closed/a", "1");
    world.write("m/closed/deep/b", "1");
    world.write("m/closed.txt", "1");
    world.lock();
    world.write("m/closed.txt", "2");
    fs::set_permissions(world.root("m/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let arguments = ["check", "--json", "--output", "/nowhere"];
    let report = world.command(unprivileged(&world, &arguments)).code(3).json();
    assert_eq!(unverified(&report), ["m/closed", "m/closed/a", "m/closed/deep", "m/closed/deep/b"]);
    assert_eq!(drift(&report), pairs(&[("modified", "m/closed.txt")]), "trouble does not hide drift beside it");
    fs::set_permissions(world.root("m/closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn row_09_links_are_never_followed() {
    let world = World::new();
    fs::create_dir(world.root("m")).unwrap();
    symlink("loop", world.root("m/loop")).unwrap();
    symlink("..", world.root("m/up")).unwrap();
    symlink("nowhere", world.root("m/dangling")).unwrap();
    symlink("/etc/shadow", world.root("m/absolute")).unwrap();
    world.lock();
    for (name, target) in [("loop", "loop"), ("up", ".."), ("dangling", "nowhere"), ("absolute", "/etc/shadow")] {
        let entry = world.entry(&format!("m/{name}"));
        assert_eq!((&entry["type"], &entry["target"]), (&"symlink".into(), &target.into()));
    }
    assert_eq!(world.entries().len(), 5, "nothing behind a link");
    world.check(0);
    // A link to a directory directly below the root is no module.
    symlink("m", world.root("link")).unwrap();
    assert_eq!(drift(&world.check(1)), pairs(&[("added", "link")]));
}

#[test]
fn row_10_long_link_target_is_read_in_full() {
    let world = World::new();
    let start = "t".repeat(4000);
    symlink(format!("{start}a"), world.root("link")).unwrap();
    world.lock();
    world.check(0);
    fs::remove_file(world.root("link")).unwrap();
    symlink(format!("{start}b"), world.root("link")).unwrap();
    assert_eq!(drift(&world.check(1)), pairs(&[("modified", "link")]));
}

#[test]
fn row_11_ancestor_of_the_root_replaced_by_a_link_is_told() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let clean = world.check(0);
    let resolved = |report: &serde_json::Value| the_check(report)["resolved_root"].as_str().unwrap().to_owned();
    assert_eq!(resolved(&clean), fs::canonicalize(world.path("root")).unwrap().to_str().unwrap());
    fs::rename(world.path("root"), world.path("elsewhere")).unwrap();
    symlink("elsewhere", world.path("root")).unwrap();
    let moved = world.check(0);
    assert_eq!(resolved(&moved), fs::canonicalize(world.path("elsewhere")).unwrap().to_str().unwrap());
}

#[test]
fn row_12_broken_hard_link_with_equal_content_is_no_drift() {
    let world = World::new();
    world.write("m/a", "same");
    fs::hard_link(world.root("m/a"), world.root("m/b")).unwrap();
    world.lock();
    fs::remove_file(world.root("m/b")).unwrap();
    world.write("m/b", "same");
    world.check(0);
}

#[test]
fn row_13_setuid_owner_capability_and_xattr_are_seen_when_asked_for() {
    needs_root();
    let world = World::new();
    let plain = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    world.write("m/a", "1");
    let file = world.root("m/a");
    let reset = || {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
        for name in ["user.note", "security.capability"] {
            let _ = rustix::fs::removexattr(&file, name);
        }
    };
    reset();
    world.lock();
    let setuid = || fs::set_permissions(&file, fs::Permissions::from_mode(0o4644)).unwrap();
    let owner = || std::os::unix::fs::chown(&file, Some(1), Some(1)).unwrap();
    let set = |name, value: &[u8]| rustix::fs::setxattr(&file, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    // cap_net_raw+p, as `setcap` writes it.
    let capability = || set("security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let note = || set("user.note", b"x");
    setuid();
    note();
    world.check(0);
    reset();
    let asked = plain.replace("kind =", "attributes = [\"mode\", \"owner\", \"xattrs\"]\nkind =");
    fs::write(world.path("driftlock.toml"), asked).unwrap();
    let refused = world.driftlock(["check"]).code(2);
    assert!(refused.stdout().contains("attributes"), "a lock without them is not compared: {}", refused.stdout());
    world.lock();
    assert_eq!(world.entry("m/a")["mode"], "0644");
    world.check(0);
    let changes: [(&dyn Fn(), &str); 4] = [
        (&setuid, "mode_changed"),
        (&owner, "owner_changed"),
        (&capability, "xattrs_changed"),
        (&note, "xattrs_changed"),
    ];
    for (change, word) in changes {
        change();
        assert_eq!(drift(&world.check(1)), pairs(&[(word, "m/a")]));
        reset();
        world.check(0);
    }
}

#[test]
fn row_14_every_change_of_type_is_said_as_such() {
    let world = World::new();
    let make = |kind: &str| {
        let path = world.root("x");
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fs::remove_dir(&path).unwrap();
        } else {
            let _ = fs::remove_file(&path);
        }
        match kind {
            "file" => fs::write(&path, "1").unwrap(),
            "directory" => fs::create_dir(&path).unwrap(),
            "symlink" => symlink("1", &path).unwrap(),
            _ => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap(),
        }
    };
    let kinds = ["file", "directory", "symlink", "fifo"];
    for before in kinds {
        make(before);
        world.lock();
        for now in kinds.into_iter().filter(|now| *now != before) {
            make(now);
            let report = world.check(1);
            assert_eq!(drift(&report), pairs(&[("type_changed", "x")]), "{before} to {now}");
            let item = &the_check(&report)["drift"][0];
            assert_eq!((&item["expected"]["type"], &item["actual"]["type"]), (&before.into(), &now.into()));
        }
        make(before);
        world.check(0);
    }
}

#[test]
fn row_15_moved_only_where_it_is_unambiguous() {
    let world = World::new();
    for (name, contents) in [("m/a", "one"), ("m/b", "two"), ("m/c", "three"), ("m/twin1", "twin"), ("m/twin2", "twin")]
    {
        world.write(name, contents);
    }
    world.write("m/empty", "");
    world.lock();
    fs::rename(world.root("m/a"), world.root("m/z")).unwrap();
    let report = world.check(1);
    assert_eq!(drift(&report), pairs(&[("moved", "m/z")]));
    assert_eq!(the_check(&report)["drift"][0]["from"], "m/a");
    assert_eq!(the_check(&report)["counts"]["drifted"], 2, "both paths drifted");
    fs::rename(world.root("m/z"), world.root("m/a")).unwrap();
    world.check(0);

    world.write("m/b", "three");
    world.write("m/c", "two");
    assert_eq!(drift(&world.check(1)), pairs(&[("moved", "m/b"), ("moved", "m/c")]), "two files swapped");
    world.write("m/b", "two");
    world.write("m/c", "three");

    fs::rename(world.root("m/twin1"), world.root("m/y")).unwrap();
    assert_eq!(drift(&world.check(1)), pairs(&[("moved", "m/y")]), "one of two equal files, and it is clear which");
    fs::rename(world.root("m/twin2"), world.root("m/x")).unwrap();
    let ambiguous = drift(&world.check(1));
    assert!(ambiguous.iter().all(|(change, _)| change == "added" || change == "removed"), "{ambiguous:?}");
    fs::rename(world.root("m/y"), world.root("m/twin1")).unwrap();
    fs::rename(world.root("m/x"), world.root("m/twin2")).unwrap();

    fs::rename(world.root("m/empty"), world.root("m/nothing")).unwrap();
    assert_eq!(
        drift(&world.check(1)),
        pairs(&[("removed", "m/empty"), ("added", "m/nothing")]),
        "empty files are all alike"
    );
}

/// Runs `change` again and again while `driftlock` runs.
fn meanwhile<T>(change: impl Fn(u64) + Sync, run: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                change(turn);
            }
        });
        // A panic of `run` has to end the other thread too.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A file that takes so long to read (it is sparse, and hashed all the same) that what changes it again and again does
/// so during every attempt, on a busy machine too.
fn slow_file(world: &World) -> fs::File {
    fs::create_dir(world.root("m")).unwrap();
    let file = fs::File::create(world.root("m/f")).unwrap();
    file.set_len(SLOW).unwrap();
    file
}

const SLOW: u64 = 1 << 30;

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
    file.set_len(10 << 30).unwrap();
    for at in [5_u64 << 30, (5 << 30) + 123_456_789, (10 << 30) - 1] {
        file.write_all_at(b"!", at).unwrap();
    }
    world.lock();
    let expected = Command::new("sha256sum").arg(world.root("sparse")).output().unwrap().stdout;
    assert_eq!(world.entry("sparse")["sha256"].as_str().unwrap().as_bytes(), &expected[..64]);
}

#[test]
fn row_20_path_longer_than_path_max() {
    let world = World::new();
    let root = fs::File::open(world.path("root")).unwrap();
    let mut above = rustix::fd::OwnedFd::from(root);
    // Short, since a lock holds every path in full: 25 MB of them.
    let name = "d";
    for _ in 0..5000 {
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
    assert_eq!(world.entries().len(), 5001);
    assert!(world.entries().last().unwrap()["path"].as_str().unwrap().len() > 9_990);
    world.check(0);
    leaf(b"2");
    let report = world.check(1);
    assert_eq!(drift(&report).len(), 1);
    assert!(drift(&report)[0].1.ends_with("/leaf"));
    // `rm -rf` and the standard library clean up as deep as this.
}

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

#[test]
fn row_26_another_file_system_over_a_part_of_the_root_is_told_or_refused() {
    needs_root();
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
fn row_27_very_many_tiny_files() {
    let world = World::new();
    for directory in 0..100 {
        fs::create_dir_all(world.root(format!("m{}/{directory}", directory % 10))).unwrap();
        for file in 0..300 {
            fs::write(world.root(format!("m{}/{directory}/{file}", directory % 10)), format!("{directory} {file}"))
                .unwrap();
        }
    }
    // And one directory that is very large.
    fs::create_dir(world.root("wide")).unwrap();
    for file in 0..10_000 {
        fs::write(world.root(format!("wide/{file}")), file.to_string()).unwrap();
    }
    world.lock();
    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 10 + 100 + 30_000 + 1 + 10_000);
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
    fs::write(world.root("wide/9999"), "x").unwrap();
    assert_eq!(drift(&world.check(1)), pairs(&[("modified", "wide/9999")]));
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
