//! `driftlock lock`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::World;
use crate::watch::{names, says, snapshot};

fn two_checks() -> World {
    let world = World::declaring(
        "locks = \"audit/locks\"\nreports = \"reports\"\n\n[check.conf]\nkind = \"files\"\nroot = \"root\"\n\
         include = [\"*.conf\"]\n\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\n",
    );
    world.write("a.conf", "1");
    world.write("m/b", "22");
    world
}

#[test]
fn says_what_it_wrote_what_is_unchanged_and_what_changed() {
    let world = two_checks();
    let text = world.driftlock(["lock"]).code(0).stdout();
    assert_eq!(
        text,
        "wrote audit/locks/conf.lock.json: 1 entry, there was no lock before\n\
         wrote audit/locks/tree.lock.json: 3 entries, there was no lock before\n"
    );
    let text = world.driftlock(["lock"]).code(0).stdout();
    assert_eq!(
        text,
        "unchanged audit/locks/conf.lock.json: 1 entry\nunchanged audit/locks/tree.lock.json: 3 entries\n"
    );
    world.write("m/b", "333");
    world.write("m/new", "1");
    fs::set_permissions(world.root("a.conf"), fs::Permissions::from_mode(0o755)).unwrap();
    let text = world.driftlock(["lock", "--check", "tree"]).code(0).stdout();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "wrote audit/locks/tree.lock.json: 4 entries, 3 changed since the last lock");
    assert!(lines[1].starts_with("    executable changed: root/a.conf (no → yes)"), "{text}");
    assert!(lines[2].starts_with("    modified: root/m/b (size 2 → 3, sha256 "), "{text}");
    assert!(lines[3].starts_with("    added: root/m/new (file, size 1, sha256 "), "{text}");
    assert_eq!(lines.len(), 4);
    fs::remove_file(world.root("m/b")).unwrap();
    let text = world.driftlock(["lock", "--check", "tree"]).code(0).stdout();
    says(&text, &["3 entries, 1 changed since the last lock\n    removed: root/m/b ("]);
    // Quiet, a dry run shows what would be written, and a success says nothing.
    let text = world.driftlock(["lock", "--quiet", "--dry-run"]).code(0).stdout();
    says(&text, &["would write audit/locks/conf.lock.json"]);
    assert!(!text.contains("unchanged"), "{text}");
    let done = world.driftlock(["lock", "--quiet"]).code(0);
    assert_eq!((done.stdout(), done.stderr()), (String::new(), String::new()));
}

#[test]
fn a_lock_that_would_not_change_is_not_touched() {
    let world = two_checks();
    world.lock();
    let before = snapshot(&world, &["audit"]);
    // What is no content is no reason: times, permissions, another thread count, the order of names.
    fs::File::options().write(true).open(world.root("m/b")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::set_permissions(world.root("m/b"), fs::Permissions::from_mode(0o600)).unwrap();
    for threads in ["1", "2", "7"] {
        world.driftlock(["lock", "--threads", threads]).code(0);
        assert_eq!(snapshot(&world, &["audit"]), before);
    }
    let locks = [names(world.path("audit")), names(world.path("audit/locks"))];
    assert_eq!(locks, [vec!["locks"], vec!["conf.lock.json", "tree.lock.json"]]);
}

#[test]
fn dry_run_writes_nothing_and_says_the_same() {
    let world = two_checks();
    let before = snapshot(&world, &["."]);
    let text = world.driftlock(["lock", "--dry-run"]).code(0).stdout();
    says(&text, &["would write audit/locks/conf.lock.json: 1 entry, there was no lock before\n"]);
    assert_eq!(snapshot(&world, &["."]), before, "not even the directory");
    world.lock();
    world.write("m/b", "333");
    let before = snapshot(&world, &["."]);
    let dry = world.driftlock(["lock", "--dry-run"]).code(0).stdout();
    assert_eq!(snapshot(&world, &["."]), before);
    let wet = world.driftlock(["lock"]).code(0).stdout();
    assert_eq!(dry.replace("would write ", "wrote "), wet);
    says(&wet, &["unchanged audit/locks/conf.lock.json", "wrote audit/locks/tree.lock.json", "modified: root/m/b"]);
}

#[test]
fn one_check_of_several() {
    let world = two_checks();
    let text = world.driftlock(["lock", "--check", "conf"]).code(0).stdout();
    assert_eq!(text.lines().count(), 1);
    assert_eq!(names(world.path("audit/locks")), ["conf.lock.json"]);
    world.driftlock(["lock"]).code(0);
    world.write("a.conf", "changed");
    let before = snapshot(&world, &["audit/locks/conf.lock.json"]);
    world.driftlock(["lock", "--check", "tree"]).code(0);
    assert_eq!(snapshot(&world, &["audit/locks/conf.lock.json"]), before);
    world.driftlock(["check", "--check", "conf"]).code(1);
    world.driftlock(["check", "--check", "tree"]).code(0);
}

#[test]
fn json() {
    let world = two_checks();
    let value = world.driftlock(["lock", "--json", "--dry-run"]).code(0).json();
    assert_eq!((&value["dry_run"], &value["locks"][0]["result"]), (&true.into(), &"would_write".into()));
    let value = world.driftlock(["lock", "--json"]).code(0).json();
    assert_eq!(
        value["locks"][0],
        serde_json::json!({
            "check": "conf", "differ_here": null, "server": null, "lock": "audit/locks/conf.lock.json", "result": "written", "old_lock": null, "entries": 1,
            "since_last_lock": null, "trouble": null, "uncovered": [],
        })
    );
    world.write("m/b", "333");
    fs::write(world.path("audit/locks/conf.lock.json"), "x").unwrap();
    let finished = world.driftlock(["lock", "--json"]).code(2);
    let value = finished.json();
    let [conf, tree] = [&value["locks"][0], &value["locks"][1]];
    assert_eq!((&conf["result"], &tree["result"]), (&"failed".into(), &"written".into()));
    assert!(conf["trouble"]["problem"].is_string() && conf["trouble"]["remedy"].is_string());
    assert_eq!(tree["since_last_lock"]["drift"][0]["path"], "m/b");
    assert_eq!(tree["since_last_lock"]["counts"]["drifted"], 1);
    says(&finished.stderr(), &["conf.lock.json is refused", "to do: "]);
    let value = world.driftlock(["lock", "--json", "--check", "tree"]).code(0).json();
    assert_eq!(value["locks"][0]["result"], "unchanged");
}

/// Many changes are counted, and all of them are in the JSON.
#[test]
fn many_changes_do_not_flood_the_terminal() {
    let world = two_checks();
    world.lock();
    for number in 0..500 {
        world.write(format!("{number}"), "1");
    }
    let text = world.driftlock(["lock", "--dry-run", "--check", "tree"]).code(0).stdout();
    assert!(text.lines().count() < 210, "{} lines", text.lines().count());
    says(&text, &["500 changed since the last lock", "… and 300 more; --json has every entry"]);
    let value = world.driftlock(["lock", "--dry-run", "--json", "--check", "tree"]).code(0).json();
    assert_eq!(value["locks"][0]["since_last_lock"]["drift"].as_array().unwrap().len(), 500);
}
