//! `driftlock diff`.

use std::fs;

use crate::harness::{FILES, World};
use crate::watch::{names, says, snapshot};

/// A lock kept as `old.json`, another as `locks/tree.lock.json`, and a root that has drifted from both.
fn three_states() -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.write("m/b", "1");
    world.lock();
    fs::copy(world.path("locks/tree.lock.json"), world.path("old.json")).unwrap();
    world.write("m/a", "2");
    fs::remove_file(world.root("m/b")).unwrap();
    world.write("m/c", "new");
    world.lock();
    world.write("m/a", "3");
    world
}

fn paths(value: &serde_json::Value) -> Vec<(String, String)> {
    let items = value["drift"].as_array().unwrap().iter();
    items.map(|item| (item["change"].as_str().unwrap().into(), item["path"].as_str().unwrap().into())).collect()
}

fn are(value: &serde_json::Value, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|&(change, path)| (change.to_owned(), path.to_owned())).collect();
    assert_eq!(paths(value), expected);
}

#[test]
fn two_locks() {
    let world = three_states();
    let before = snapshot(&world, &["."]);
    let text = world.driftlock(["diff", "old.json", "locks/tree.lock.json"]).code(1).stdout();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("    modified: m/a (sha256 6b86b2… → d4735e…)"), "{text}");
    assert!(lines[1].starts_with("    removed: m/b (file, size 1, "), "{text}");
    assert!(lines[2].starts_with("    added: m/c (file, size 3, "), "{text}");
    assert_eq!(lines[3..], ["4 entries: 3 differ, 0 could not be read"]);
    let value = world.driftlock(["diff", "--json", "old.json", "locks/tree.lock.json"]).code(1).json();
    are(&value, &[("modified", "m/a"), ("removed", "m/b"), ("added", "m/c")]);
    assert_eq!(value["counts"], serde_json::json!({"entries": 4, "verified": 1, "drifted": 3, "unverified": 0}));
    // The other way round.
    let value = world.driftlock(["diff", "--json", "locks/tree.lock.json", "old.json"]).code(1).json();
    are(&value, &[("modified", "m/a"), ("added", "m/b"), ("removed", "m/c")]);
    let same = world.driftlock(["diff", "old.json", "old.json"]).code(0).stdout();
    assert_eq!(same, "3 entries: 0 differ, 0 could not be read\n");
    // Offline: neither the declaration nor a root is needed.
    assert_eq!(snapshot(&world, &["."]), before);
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    fs::remove_dir_all(world.path("root")).unwrap();
    world.driftlock(["diff", "old.json", "locks/tree.lock.json"]).code(1);
}

#[test]
fn a_lock_and_what_is_there_now() {
    let world = three_states();
    let before = snapshot(&world, &["."]);
    let text = world.driftlock(["diff", "locks/tree.lock.json", "live"]).code(1).stdout();
    says(&text, &["    modified: root/m/a (sha256 ", "\n3 entries: 1 differ, 0 could not be read\n"]);
    let value = world.driftlock(["diff", "--json", "old.json", "live"]).code(1).json();
    are(&value, &[("modified", "m/a"), ("removed", "m/b"), ("added", "m/c")]);
    assert_eq!(snapshot(&world, &["."]), before, "no report is written");
    world.write("m/a", "2");
    world.driftlock(["diff", "locks/tree.lock.json", "live"]).code(0);
    // The lock of no check here.
    let finished = world.driftlock(["diff", "old.json", "live", "--check", "nothing"]).code(2);
    says(&finished.stderr(), &["--check nothing"]);
    fs::write(world.path("driftlock.toml"), crate::harness::TREES.replace("check.tree", "check.other")).unwrap();
    let finished = world.driftlock(["diff", "old.json", "live"]).code(2);
    says(&finished.stderr(), &["old.json is the lock of no check that driftlock.toml declares", "--config FILE"]);
}

#[test]
fn text_locks() {
    let world = World::declaring(&FILES.replace("kind", "lock = \"tree.lock.txt\"\nkind"));
    world.write("a", "1");
    world.write("b", "1");
    world.lock();
    fs::copy(world.path("locks/tree.lock.txt"), world.path("old.txt")).unwrap();
    world.write("a", "2");
    let text = world.driftlock(["diff", "locks/tree.lock.txt", "live"]).code(1).stdout();
    says(&text, &["    modified: root/a (sha256 ", "2 entries: 1 differ"]);
    world.lock();
    let text = world.driftlock(["diff", "old.txt", "locks/tree.lock.txt"]).code(1).stdout();
    says(&text, &["    modified: a (sha256 6b86b2… → d4735e…)"]);
    // A text lock has digests alone, and those are compared with a JSON lock's.
    fs::write(world.path("driftlock.toml"), FILES).unwrap();
    world.lock();
    world.driftlock(["diff", "locks/tree.lock.txt", "locks/tree.lock.json"]).code(0);
    world.driftlock(["diff", "old.txt", "locks/tree.lock.json"]).code(1);
}

#[test]
fn two_reports() {
    let world = three_states();
    world.driftlock(["check", "--output", "one"]).code(1);
    world.write("m/a", "2");
    world.driftlock(["check", "--output", "two"]).code(0);
    let folder = |of: &str| format!("{of}/{}", names(world.path(of))[0]);
    let (one, two) = (folder("one"), folder("two"));
    let text = world.driftlock(["diff", &one, &two]).code(1).stdout();
    says(&text, &["Earlier: ", " FAIL\n", "Later  : ", " PASS\n", "tree: FAIL → PASS", "root/m/a"]);
    let json = format!("{two}/drift_report.json");
    let value = world.driftlock(["diff", "--json", &one, &json]).code(1).json();
    assert_eq!(value["checks"][0]["name"], "tree");
    assert_eq!(value["checks"][0]["status"], serde_json::json!(["FAIL", "PASS"]));
    assert_eq!(value["checks"][0]["drift"]["gone"][0]["path"], "m/a");
    let text = world.driftlock(["diff", &one, &one]).code(0).stdout();
    says(&text, &["Both reports are equal in every check."]);
    let value = world.driftlock(["diff", "--json", &two, &two]).code(0).json();
    assert_eq!(value, serde_json::json!({"checks": []}));
}

/// What can't be read is no difference, and no agreement either.
#[test]
fn unreadable_entries() {
    let world = three_states();
    fs::set_permissions(world.root("m/c"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let run = |arguments: &[&str]| world.command(crate::harness::unprivileged(&world, arguments));
    let finished = run(&["diff", "locks/tree.lock.json", "live"]).code(3);
    says(&finished.stdout(), &["modified: root/m/a", "unverified: root/m/c (", "3 entries: 1 differ, 1 could not be"]);
    world.write("m/a", "2");
    let value = run(&["diff", "--json", "locks/tree.lock.json", "live"]).code(2).json();
    assert_eq!(value["unverified"][0]["path"], "m/c");
}
