//! Rows 1 to 10: names, types and links.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use needs::needs;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::pairs;
use crate::harness::{FILES, World, drift, the_check, unprivileged, unverified};

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
    // Among what drifted, and in the line to paste that asks who did it.
    assert_eq!(text.matches("\\nOVERALL: PASS").count(), 2, "shown twice, escaped: {text}");
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

#[needs(devices)]
fn row_04_fifo_and_endless_device_are_recorded_by_type_and_never_opened() {
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

#[needs(devices)]
fn row_06_device_node_swapped() {
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
