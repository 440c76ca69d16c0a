//! Where a declaration is found, and in which of its two formats.

use std::fs;

use crate::harness::{TREES, World};
use crate::watch::{names, says};

const JSON: &str = r#"{
  "locks": "locks",
  "reports": "reports",
  "check": {
    "tree": {"kind": "trees", "root": "root"},
    "conf": {
      "kind": "files",
      "root": "root",
      "include": ["**/*.conf"],
      "exclude": ["old/**"],
      "attributes": ["mode"],
      "lock": "configuration.lock.json",
      "modes": ["local", "server"],
      "allow_empty": true,
      "one_file_system": true,
      "server_root": "/etc"
    }
  }
}
"#;

const TOML: &str = r#"locks = "locks"
reports = "reports"

[check.tree]
kind = "trees"
root = "root"

[check.conf]
kind = "files"
root = "root"
include = ["**/*.conf"]
exclude = ["old/**"]
attributes = ["mode"]
lock = "configuration.lock.json"
modes = ["local", "server"]
allow_empty = true
one_file_system = true
server_root = "/etc"
"#;

#[test]
fn json_means_the_same_as_toml() {
    let locks = |world: &World| {
        assert_eq!(names(world.path("locks")), ["configuration.lock.json", "tree.lock.json"]);
        names(world.path("locks"))
            .iter()
            .map(|name| fs::read(world.path("locks").join(name)).unwrap())
            .collect::<Vec<_>>()
    };
    let [toml, json] = [("driftlock.toml", TOML), ("driftlock.json", JSON)].map(|(name, text)| {
        let world = World::new();
        fs::remove_file(world.path("driftlock.toml")).unwrap();
        fs::write(world.path(name), text).unwrap();
        for path in ["m/a", "b.conf", "m/c.conf", "old/d.conf"] {
            world.write(path, path);
        }
        world.driftlock(["lock"]).code(0);
        world.driftlock(["check"]).code(0);
        let locks = locks(&world);
        world.write("b.conf", "changed");
        let mut report = world.driftlock(["check", "--json"]).code(1).json();
        for key in ["timestamp", "started", "duration_ms", "previous"] {
            report[key] = serde_json::Value::Null;
        }
        for check in report["checks"].as_array_mut().unwrap() {
            check["resolved_root"] = serde_json::Value::Null;
            for drift in check["drift"].as_array_mut().unwrap() {
                drift["live"]["mtime"] = serde_json::Value::Null;
            }
        }
        (locks, report)
    });
    assert_eq!(toml, json);
}

#[test]
fn declaration_in_a_directory_above() {
    let world = World::new();
    world.write("m/deep/a", "1");
    world.lock();
    let bytes = world.lock_bytes();
    world.write("m/deep/a", "2");
    let mut run = world.driftlock(["check"]);
    run.command.current_dir(world.root("m/deep"));
    let text = run.code(1).stdout();
    // Paths as the declaration has them; the report's as it can be typed from here.
    let report = names(world.path("reports")).pop().unwrap();
    says(&text, &["modified: root/m/deep/a (", &format!("Report: ../../../reports/{report}/drift_report.json\n")]);
    world.write("m/deep/a", "1");
    for directory in ["root", "root/m", "root/m/deep"] {
        let mut run = world.driftlock(["lock"]);
        run.command.current_dir(world.path(directory));
        assert_eq!(run.code(0).stdout(), "unchanged locks/tree.lock.json: 3 entries\n");
    }
    assert_eq!(world.lock_bytes(), bytes);
}

#[test]
fn the_nearest_declaration_counts() {
    let world = World::new();
    world.write("inner/m/a", "1");
    fs::write(world.root("inner/driftlock.json"), r#"{"check": {"inner": {"kind": "trees", "root": "m"}}}"#).unwrap();
    let mut run = world.driftlock(["lock", "--dry-run"]);
    run.command.current_dir(world.root("inner/m"));
    says(&run.code(0).stdout(), &["audit/locks/inner.lock.json"]);
}

#[test]
fn config_names_one_anywhere() {
    let world = World::new();
    fs::create_dir(world.path("conf")).unwrap();
    let declaration = TREES.replace("\"root\"", "\"../root\"");
    fs::write(world.path("conf/servers.toml"), declaration).unwrap();
    world.write("m/a", "1");
    let text = world.driftlock(["lock", "--config", "conf/servers.toml"]).code(0).stdout();
    assert_eq!(text, "wrote locks/tree.lock.json: 2 entries, there was no lock before\n");
    assert_eq!(names(world.path("conf")), ["locks", "servers.toml"], "relative to the declaration");
    world.driftlock(["check", "-c", "conf/servers.toml"]).code(0);
    let absolute = world.path("conf/servers.toml");
    let mut run = world.driftlock(["check".as_ref(), "--config".as_ref(), absolute.as_os_str()]);
    run.command.current_dir("/");
    run.code(0);
}

/// The same content gives the same bytes, wherever it lies and however it is named.
#[test]
fn where_a_root_lies_is_no_part_of_a_lock() {
    let locks = ["root", "elsewhere/deep/root", "./root/../root/."].map(|root| {
        let world = World::declaring(&TREES.replace("\"root\"", &format!("\"{root}\"")));
        fs::create_dir_all(world.path(root).join("m")).unwrap();
        fs::write(world.path(root).join("m/a"), "1").unwrap();
        world.lock();
        world.lock_bytes()
    });
    assert!(locks[0] == locks[1] && locks[0] == locks[2]);
}
