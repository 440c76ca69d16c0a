//! By which names drifts are found.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{FILES, World};
use crate::watch::{refused, says};

/// Names that a shell, a terminal or a glob would make something else of.
const NASTY: [&[u8]; 11] = [
    b"a b",
    b"it's",
    b"\"",
    b"new\nline",
    b"\xff\xfe",
    b"[a].yml",
    b"*",
    b"-rf",
    b"back\\slash",
    "bidi\u{202e}gpj".as_bytes(),
    b"{a,b}",
];

fn nasty() -> World {
    let world = World::declaring(FILES);
    for name in NASTY {
        world.write(name, "1");
    }
    world.write("d/x", "1");
    world.write("d/y", "1");
    world.lock();
    for name in NASTY {
        world.write(name, "changed");
    }
    world.write("d/x", "changed");
    world.write("d/y", "changed");
    world
}

/// By its exact bytes each is itself alone, though some of them are globs that match others.
#[test]
fn exact_bytes_come_before_globs() {
    let world = nasty();
    for (number, name) in NASTY.iter().enumerate() {
        let path = [b"root/", *name].concat();
        let text = world.driftlock([OsStr::new("accept"), OsStr::from_bytes(&path)]).code(0).stdout();
        says(&text, &[&format!("accepted 1, {} drifts left\n", NASTY.len() + 1 - number)]);
    }
}

/// As a report shows them, too.
#[test]
fn a_name_may_be_written_as_a_report_shows_it() {
    let world = nasty();
    for shown in ["root/new\\nline", "root/\\xff\\xfe", "root/back\\\\slash", "root/bidi\\u{202e}gpj"] {
        says(&world.driftlock(["accept", "--dry-run", shown]).code(0).stdout(), &["would accept 1, 12 drifts"]);
    }
}

#[test]
fn globs_directories_and_the_root() {
    let world = nasty();
    for (names, number) in [
        (&["root/d"][..], 2),
        (&["root/d/"], 2),
        (&["./root/d/x"], 1),
        (&["root/d/*"], 2),
        (&["root/?/x"], 1),
        (&["root/*.yml"], 1),
        (&["root/[*]"], 1),
        (&["root/**"], 13),
        (&["root"], 13),
        (&["root/d/x", "root/d/x", "root/d"], 2),
        (&["root/d/{x,y}", "root/-rf"], 3),
    ] {
        let arguments = [&["accept", "--dry-run"], names].concat();
        let text = world.driftlock(&arguments).code(0).stdout();
        says(&text, &[&format!("would accept {number}, {} drifts", 13 - number)]);
    }
}

#[test]
fn a_name_that_nothing_has_is_an_error_and_nothing_is_taken() {
    let world = nasty();
    let before = world.lock_bytes();
    for name in ["root/nothing", "d/x", "root/d/xx", "root/*.none", "/etc/passwd", "", "root2", "roo", "root/\u{1b}31m"]
    {
        let finished = refused(
            world.driftlock(["accept", "root/d/x", name]),
            &["nothing that drifted has the path ", "; nothing was accepted", "driftlock check"],
        );
        assert!(!finished.stderr().contains('\u{1b}'));
    }
    refused(world.driftlock(["accept", "root/*{"]), &["the glob is malformed"]);
    refused(world.driftlock(["accept", &"{".repeat(5000)]), &["the glob is malformed: it is too large"]);
    assert_eq!(world.lock_bytes(), before);
}

/// The root is an entry of its own where attributes are asked for; with a slash it is a directory.
#[test]
fn the_root_itself() {
    let world = World::declaring(&FILES.replace("include", "attributes = [\"mode\"]\ninclude"));
    world.write("a", "1");
    world.lock();
    world.write("a", "2");
    fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o700)).unwrap();
    says(&world.driftlock(["accept", "--dry-run", "root/"]).code(0).stdout(), &["would accept 2, 0 drifts"]);
    says(
        &world.driftlock(["accept", "root"]).code(0).stdout(),
        &["mode changed: root (", "accepted 1, 1 drift left\n"],
    );
    says(&world.driftlock(["accept", "root"]).code(0).stdout(), &["accepted 1, 0 drifts left\n"]);
    world.check(0);
}
