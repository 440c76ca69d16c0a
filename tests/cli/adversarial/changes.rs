//! Rows 11 to 15: changes, told as what they are.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use needs::needs;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::pairs;
use crate::harness::{World, drift, the_check};

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

#[needs(root, xattrs)]
fn row_13_setuid_owner_capability_and_xattr_are_seen_when_asked_for() {
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
