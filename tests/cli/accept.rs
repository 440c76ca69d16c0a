//! `driftlock accept`: single drifts into the lock, and all others as they were.

mod names;
mod random;
mod sources;
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sha2::Digest as _;

use crate::harness::{World, drift, unprivileged};
use crate::watch::{refused, says, snapshot};
use needs::needs;

/// Two checks, as the seed has them.
const STACK: &str = "locks = \"audit/locks\"\nreports = \"audit/runtime\"\n\n[check.compose_hashes]\nkind = \"files\"\nroot = \
                     \"root/stacks\"\ninclude = [\"*/*.yml\"]\n\n[check.addon_hashes]\nkind = \"trees\"\nroot = \
                     \"root/addons\"\n";

/// A stack with four drifts in two files and two modules.
fn drifted() -> World {
    let world = World::declaring(STACK);
    for path in ["stacks/edge/a.yml", "stacks/odoo/a.yml", "addons/ocr/a.py", "addons/ocr/b.py", "addons/qr/c.py"] {
        world.write(path, path);
    }
    world.lock();
    for path in ["stacks/edge/a.yml", "stacks/odoo/a.yml", "addons/ocr/a.py", "addons/qr/new.py"] {
        world.write(path, format!("{path} changed"));
    }
    world
}

fn lines(world: &World, lock: &str) -> Vec<String> {
    fs::read_to_string(world.path(lock)).unwrap().lines().map(str::to_owned).collect()
}

/// The task: one command.
#[test]
fn one_of_several_is_one_command() {
    let world = drifted();
    let before = lines(&world, "audit/locks/compose_hashes.lock.json");
    let others = snapshot(&world, &["audit/locks/addon_hashes.lock.json", "root"]);
    let text = world.driftlock(["accept", "root/stacks/edge/a.yml"]).code(0).stdout();
    let sha256 = text.split("sha256 ").nth(1).unwrap();
    assert_eq!(
        text,
        format!(
            "accepted into audit/locks/compose_hashes.lock.json:\n    modified: root/stacks/edge/a.yml (size 17 → 25, sha256 \
             {sha256}"
        )
    );
    assert!(text.ends_with("\naccepted 1, 3 drifts left\n"), "{text}");
    let after = lines(&world, "audit/locks/compose_hashes.lock.json");
    let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert_eq!((before.len(), changed.len()), (after.len(), 2), "the digest and one entry: {changed:?}");
    says(changed[1].1, &["{\"path\":\"edge/a.yml\",\"type\":\"file\",\"size\":25,"]);
    assert_eq!(snapshot(&world, &["audit/locks/addon_hashes.lock.json", "root"]), others);
    let report = world.driftlock(["check", "--json", "--no-report"]).code(1).json();
    let left: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|check| check["counts"]["drifted"].clone()).collect();
    assert_eq!(left[1..], [1, 2]);
}

#[test]
fn a_module_is_taken_whole_or_not_at_all() {
    let world = drifted();
    world.write("addons/ocr/deep/new.py", "new");
    world.driftlock(["lock", "--dry-run"]).code(0);
    let before = snapshot(&world, &["audit"]);
    refused(
        world.driftlock(["accept", "root/addons/ocr/a.py"]),
        &[
            "the check addon_hashes: the module root/addons/ocr is locked as a whole, by its `nar`, and more of it drifted: \
             root/addons/ocr/deep, root/addons/ocr/deep/new.py",
            "take all of it, `driftlock accept root/addons/ocr`",
        ],
    );
    // Not even what could have been taken of another check.
    refused(world.driftlock(["accept", "root/stacks/edge/a.yml", "root/addons/ocr/a.py"]), &["is locked as a whole"]);
    assert_eq!(snapshot(&world, &["audit"]), before);
    let text = world.driftlock(["accept", "root/addons/ocr"]).code(0).stdout();
    says(&text, &["\naccepted 3, 3 drifts left\n"]);
    // The other module drifts still, and has the `nar` of what was locked; this one has that of what is there.
    let accepted = lines(&world, "audit/locks/addon_hashes.lock.json");
    world.lock();
    let locked = lines(&world, "audit/locks/addon_hashes.lock.json");
    let nar = |lines: &[String], module: &str| lines.iter().find(|line| line.contains(module)).unwrap().clone();
    assert_eq!(nar(&accepted, "\"ocr\""), nar(&locked, "\"ocr\""));
    assert_ne!(nar(&accepted, "\"qr\""), nar(&locked, "\"qr\""));
    let nix = crate::model::sri(&{
        let mut model = crate::model::Model::default();
        for path in ["a.py", "b.py", "deep/new.py"] {
            let contents = fs::read(world.root(format!("addons/ocr/{path}"))).unwrap();
            model.add(format!("ocr/{path}").as_bytes(), crate::model::Item::File { contents, mode: 0o644 });
        }
        sha2::Sha256::digest(model.nar(b"ocr")).to_vec()
    });
    says(&nar(&accepted, "\"ocr\""), &[&nix]);
}

/// What moved is one drift: it is taken from where it was, too. Between two modules it holds them together.
#[test]
fn what_moved_is_taken_from_where_it_was() {
    let world = drifted();
    fs::rename(world.root("stacks/odoo/a.yml"), world.root("stacks/odoo/b.yml")).unwrap();
    world.driftlock(["lock", "--check", "compose_hashes"]).code(0);
    fs::rename(world.root("stacks/odoo/b.yml"), world.root("stacks/odoo/c.yml")).unwrap();
    for name in ["root/stacks/odoo/b.yml", "root/stacks/odoo/c.yml"] {
        let text = world.driftlock(["accept", "--dry-run", "--check", "compose_hashes", name]).code(0).stdout();
        says(&text, &["    moved: root/stacks/odoo/c.yml (", "\nwould accept 2, 0 drifts would be left\n"]);
    }
    fs::rename(world.root("addons/ocr/b.py"), world.root("addons/qr/b.py")).unwrap();
    refused(
        world.driftlock(["accept", "root/addons/ocr"]),
        &[
            "the modules root/addons/ocr, root/addons/qr are locked as a whole, by their `nar`, something moved between \
             them, and more drifted: root/addons/qr/new.py",
            "`driftlock accept root/addons/ocr root/addons/qr`",
        ],
    );
    says(&world.driftlock(["accept", "root/addons/ocr", "qr"]).code(0).stdout(), &["accepted 4, 2 drifts left"]);
    world.driftlock(["check", "--check", "addon_hashes"]).code(0);
}

/// Of two files that were swapped, each is one drift.
#[test]
fn one_of_two_that_were_swapped() {
    let world = World::declaring(crate::harness::FILES);
    world.write("a", "1");
    world.write("b", "22");
    world.lock();
    world.write("a", "22");
    world.write("b", "1");
    says(&world.driftlock(["accept", "root/a"]).code(0).stdout(), &["accepted 1, 1 drift left"]);
    assert_eq!(drift(&world.check(1)), [("modified".to_owned(), "b".to_owned())]);
}

#[test]
fn dry_run_writes_nothing_and_json_says_the_same() {
    let world = drifted();
    let before = snapshot(&world, &["."]);
    let text = world.driftlock(["accept", "--dry-run", "qr", "root/stacks/odoo/a.yml"]).code(0).stdout();
    says(
        &text,
        &["would accept into audit/locks/compose_hashes.lock.json:\n", "would accept 2, 2 drifts would be left\n"],
    );
    let value = world.driftlock(["accept", "--dry-run", "--json", "qr"]).code(0).json();
    let numbers = ["accepted", "left", "unverified"].map(|key| value[key].as_u64().unwrap());
    assert_eq!((numbers, &value["dry_run"]), ([1, 3, 0], &true.into()));
    assert_eq!(value["locks"].as_array().unwrap().len(), 1);
    let lock = &value["locks"][0];
    assert_eq!((&lock["check"], &lock["lock"]), (&"addon_hashes".into(), &"audit/locks/addon_hashes.lock.json".into()));
    assert_eq!(lock["accepted"][0]["path"], "qr/new.py");
    assert_eq!(snapshot(&world, &["."]), before);
    let wet = world.driftlock(["accept", "qr", "root/stacks/odoo/a.yml"]).code(0).stdout();
    assert_eq!(text.replace("would accept", "accepted").replace("would be left", "left"), wet);
    let quiet = world.driftlock(["accept", "--quiet", "ocr"]).code(0).stdout();
    assert_eq!(quiet, "");
    says(&world.driftlock(["check"]).code(1).stdout(), &["1 drifted"]);
}

/// No file that can't be in a lock of `sha256sum`, and no lock of nothing, gets in by way of a single entry.
#[test]
fn a_lock_of_sha256sum_takes_files_alone() {
    let world = World::declaring(&crate::harness::FILES.replace("include", "lock = \"tree.lock.txt\"\ninclude"));
    world.write("a", "1");
    world.write("b", "2");
    // As `sha256sum` would have written it, in another order.
    let sums = ["b", "a"].map(|name| {
        let text = world.driftlock(["hash", &format!("root/{name}")]).code(0).stdout();
        text.replace("  root/", " *")
    });
    fs::create_dir(world.path("locks")).unwrap();
    fs::write(world.path("locks/tree.lock.txt"), sums.concat()).unwrap();
    world.write("a", "changed");
    std::os::unix::fs::symlink("a", world.root("link")).unwrap();
    world.write("new", "3");
    refused(world.driftlock(["accept", "root/link"]), &["can't be in a sha256sum lock", "link is a symlink"]);
    says(&world.driftlock(["accept", "root/a", "root/new"]).code(0).stdout(), &["accepted 2, 1 drift left"]);
    fs::remove_file(world.root("link")).unwrap();
    world.check(0);
    let accepted = fs::read(world.path("locks/tree.lock.txt")).unwrap();
    says(&world.driftlock(["lock"]).code(0).stdout(), &["unchanged "]);
    assert_eq!(accepted, fs::read(world.path("locks/tree.lock.txt")).unwrap());
    for name in ["a", "b", "new"] {
        fs::remove_file(world.root(name)).unwrap();
    }
    refused(world.driftlock(["accept", "root"]), &["the check tree finds nothing"]);
}

/// What could not be read stays as it was locked, and is never taken.
#[needs("setpriv")]
fn what_could_not_be_read_is_not_taken() {
    let world = drifted();
    fs::create_dir_all(world.path("audit/runtime")).unwrap();
    for path in ["audit/locks", "audit/runtime"] {
        fs::set_permissions(world.path(path), fs::Permissions::from_mode(0o777)).unwrap();
    }
    for path in ["stacks/odoo/a.yml", "addons/ocr/b.py"] {
        fs::set_permissions(world.root(path), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let accept = |arguments: &[&str]| world.command(unprivileged(&world, &[&["accept"], arguments].concat()));
    refused(
        accept(&["root/stacks/odoo/a.yml"]),
        &["root/stacks/odoo/a.yml could not be read: ", "nothing was accepted"],
    );
    refused(accept(&["ocr"]), &["the module root/addons/ocr can't be taken: ocr/b.py in it could not be read: "]);
    let text = accept(&["root/stacks/edge/a.yml", "qr"]).code(0).stdout();
    says(&text, &["accepted 2, 1 drift left, 2 unverified\n"]);
    for path in ["stacks/odoo/a.yml", "addons/ocr/b.py"] {
        fs::set_permissions(world.root(path), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!(
        (&report["checks"][1]["counts"]["drifted"], &report["checks"][2]["counts"]["drifted"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn a_check_without_a_lock_or_with_an_old_one_says_what_to_do() {
    let world = drifted();
    fs::remove_file(world.path("audit/locks/addon_hashes.lock.json")).unwrap();
    let finished = world.driftlock(["accept", "root/stacks/edge/a.yml"]).code(2);
    says(&finished.stdout(), &["accepted 1, 1 drift left\n"]);
    says(
        &finished.stderr(),
        &["the check addon_hashes has no lock that could accept changes", "driftlock lock --check addon_hashes"],
    );
    world.driftlock(["accept", "--check", "compose_hashes", "root/stacks/odoo/a.yml"]).code(0);
    fs::write(world.path("audit/locks/compose_hashes.lock.json"), "{}\n").unwrap();
    refused(
        world.driftlock(["accept", "--check", "compose_hashes", "root/stacks/odoo/a.yml"]),
        &["audit/locks/compose_hashes.lock.json is refused"],
    );
}
