//! Locks in the format of `sha256sum`.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::harness::{FILES, World};
use crate::watch::{names, not_checked, refused, says, snapshot};

fn world() -> World {
    World::declaring(&FILES.replace("kind", "lock = \"tree.lock.txt\"\nkind"))
}

#[test]
fn tree_with_something_that_the_format_can_not_hold() {
    let world = world();
    world.write("a", "1");
    symlink("a", world.root("link")).unwrap();
    mknodat(CWD, world.root("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let expected =
        ["2 of its entries can't be in a sha256sum lock", "fifo is a fifo", "link is a symlink", "`exclude`"];
    refused(world.driftlock(["lock"]), &expected);
    assert_eq!(names(world.path("locks")), [""; 0]);
    for name in ["link", "fifo"] {
        fs::remove_file(world.root(name)).unwrap();
    }
    world.lock();
    let before = snapshot(&world, &["locks"]);
    symlink("a", world.root("link")).unwrap();
    refused(world.driftlock(["lock"]), &["link is a symlink"]);
    assert_eq!(snapshot(&world, &["locks"]), before);
    // For a check it is something that was added.
    let report = world.check(1);
    assert_eq!(crate::harness::drift(&report), [("added".to_owned(), "link".to_owned())]);
}

#[test]
fn nothing_to_lock_can_not_be_told_from_a_lock_that_was_cut_off() {
    let world = World::declaring(&FILES.replace("kind", "allow_empty = true\nlock = \"tree.lock.txt\"\nkind"));
    refused(world.driftlock(["lock"]), &["finds nothing", "leave `lock` out of the check"]);
    assert_eq!(names(world.path("locks")), [""; 0]);
}

#[test]
fn malformed_text_locks() {
    let world = world();
    world.write("a", "1");
    world.write("b", "2");
    world.lock();
    let lock = world.path("locks/tree.lock.txt");
    let good = fs::read_to_string(&lock).unwrap();
    let digest = good[..64].to_owned();
    for (bytes, problem) in [
        (Vec::new(), "it is empty"),
        (b"\n".to_vec(), "line 1"),
        (good.trim_end().into(), "it ends in the middle, at line 2"),
        (good.replace('\n', "\n\n").into(), "line 2"),
        (format!("# comment\n{good}").into(), "line 1"),
        (format!("\u{feff}{good}").into(), "a byte order mark"),
        (format!("{good}trailing\n").into(), "line 3"),
        (good.replacen(&digest, &digest[1..], 1).into(), "line 1"),
        (good.replacen(&digest, &digest.to_uppercase(), 1).into(), "64 lower-case hexadecimal digits"),
        (good.replacen("  a", " a", 1).into(), "two blanks"),
        (format!("{good}{good}").into(), "is there twice"),
        (format!("{digest}  /etc/passwd\n").into(), "line 1: /etc/passwd is not below the root root"),
        (format!("{digest}  ../a\n").into(), "`..`"),
        (format!("{digest}  \n").into(), "its path is empty"),
        (format!("\\{digest}  a\\t\n").into(), "escape"),
        (format!("{digest}  a\0b\n").into(), "line 1"),
        (format!("SHA256 (a) = {digest}x\n").into(), "line 1"),
        (format!("MD5 (a) = {digest}\n").into(), "line 1"),
    ] {
        let bytes: Vec<u8> = bytes;
        fs::write(&lock, &bytes).unwrap();
        let before = snapshot(&world, &["locks"]);
        not_checked(&world, 2, &["locks/tree.lock.txt is refused", problem]);
        refused(world.driftlock(["lock"]), &["locks/tree.lock.txt is refused", problem, "was left as it is"]);
        assert_eq!(snapshot(&world, &["locks"]), before);
    }
    // Line ends of another system are told as that, and not as names that end in a carriage return.
    fs::write(&lock, good.replace('\n', "\r\n")).unwrap();
    let text = world.driftlock(["check"]).code(2).stdout();
    says(&text, &["its lines end with CR LF", "OVERALL: FAIL"]);
}
