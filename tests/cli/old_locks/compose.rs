//! `compose_sha256.lock.txt`

use std::fs;

use super::{bash, drift, refused, the};
use crate::harness::World;

const LOCK: &str = "audit/locks/compose_sha256.lock.txt";

const CHECK: &str = "[check.compose_hashes]\nkind = \"files\"\nroot = \"infra/stacks\"\n\
                     include = [\"*/docker-compose*.yml\"]\nlock = \"compose_sha256.lock.txt\"\n";

/// Two stacks in a repository, and the lock that `script` makes of them.
fn stacks(declaration: &str, script: &str) -> World {
    let world = World::declaring(declaration);
    for stack in ["traefik", "odoo", "b \\ackslash"] {
        let directory = world.path("infra/stacks").join(stack);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("docker-compose.yml"), format!("# {stack}\n")).unwrap();
    }
    fs::create_dir_all(world.path("audit/locks")).unwrap();
    bash(&world, script);
    world
}

/// The files as the scripts find them, in no order, with the root as it is given.
fn script(root: &str) -> String {
    format!("find {root} -name 'docker-compose*.yml' -exec sha256sum {{}} + | sort -r >{LOCK}")
}

fn write(world: &World, path: &str, contents: &str) {
    let path = world.path("infra/stacks").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

#[test]
fn every_spelling_of_the_root_is_read() {
    let script = |from: &str, root: &str| {
        format!("lock=$PWD/{LOCK}; cd {from}; find {root} -name '*.yml' -exec sha256sum {{}} + >$lock")
    };
    for (from, root) in [
        (".", "infra/stacks"),
        (".", "./infra/stacks"),
        (".", "infra/stacks/"),
        (".", "\"$PWD/infra/stacks\""),
        ("infra", "stacks"),
        ("..", "\"$(basename \"$OLDPWD\")/infra/stacks\""),
        ("/", "\"${OLDPWD#/}/infra/stacks\""),
    ] {
        let world = stacks(CHECK, &script(from, root));
        let report = world.driftlock(["check", "--json"]).code(0).json();
        let check = the(&report, "compose_hashes");
        assert_eq!((&check["old_lock"], &check["counts"]["verified"]), (&"file_hashes".into(), &3.into()), "{root}");
        write(&world, "odoo/docker-compose.yml", "changed");
        let report = world.driftlock(["check", "--json"]).code(1).json();
        assert_eq!(drift(&report, "compose_hashes"), ["modified odoo/docker-compose.yml"], "{root}");
    }
}

#[test]
fn where_the_root_lies_on_a_server_counts_too() {
    let moved = |world: &World| {
        let lock = fs::read_to_string(world.path(LOCK)).unwrap();
        fs::write(world.path(LOCK), lock.replace("infra/stacks", "/srv/stacks")).unwrap();
    };
    let world = stacks(CHECK, &script("infra/stacks"));
    moved(&world);
    refused(&world, "compose_hashes", LOCK, "line 1: /srv/stacks/");
    for more in [
        "server_root = \"/srv/stacks/\"\n",
        "[server.web]\nhost = \"web\"\nroots = { compose_hashes = \"/srv/stacks\" }\n",
    ] {
        let world = stacks(&format!("{CHECK}{more}"), &script("infra/stacks"));
        moved(&world);
        let text = world.driftlock(["check"]).code(0).stdout();
        assert!(text.contains("[WARN] Compose: audit/locks/compose_sha256.lock.txt is an old lock"), "{text}");
    }
}

/// The scripts warn of a file that is gone, and do not see one that is new.
#[test]
fn what_the_scripts_do_not_see_is_drift() {
    let world = stacks(CHECK, &script("infra/stacks"));
    fs::remove_file(world.path("infra/stacks/odoo/docker-compose.yml")).unwrap();
    write(&world, "new/docker-compose.yml", "new");
    write(&world, "new/other.yml", "not picked");
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!(drift(&report, "compose_hashes"), ["added new/docker-compose.yml", "removed odoo/docker-compose.yml"]);
    assert_eq!(
        the(&report, "compose_hashes")["details"],
        "2 files drifted: infra/stacks/new/docker-compose.yml;infra/stacks/odoo/docker-compose.yml;"
    );
}

#[test]
fn lock_writes_paths_below_the_root_and_sha256sum_takes_them() {
    let world = stacks(CHECK, &script("infra/stacks"));
    write(&world, "odoo/docker-compose.yml", "changed");
    let old = fs::read(world.path(LOCK)).unwrap();
    let said = world.driftlock(["lock", "--dry-run"]).code(0).stdout();
    assert!(said.starts_with(&format!("would write {LOCK}: 3 entries, 1 changed since the last lock\n")), "{said}");
    assert_eq!(fs::read(world.path(LOCK)).unwrap(), old);
    let said = world.lock().stdout();
    assert!(said.contains("    it replaces an old lock\n"), "{said}");
    assert!(said.contains("    modified: infra/stacks/odoo/docker-compose.yml"), "{said}");
    let report = world.driftlock(["check", "--json"]).code(0).json();
    assert_eq!(the(&report, "compose_hashes")["old_lock"], serde_json::Value::Null);
    bash(&world, &format!("lock=$PWD/{LOCK}; cd infra/stacks; sha256sum --strict --check $lock"));
    assert_eq!(world.lock().stdout(), format!("unchanged {LOCK}: 3 entries\n"));

    // Or, without `lock`, one that can tell more, beside the old one.
    let world = stacks(CHECK, &script("infra/stacks"));
    let old = fs::read(world.path(LOCK)).unwrap();
    let json =
        CHECK.replace("lock = \"compose_sha256.lock.txt\"\n", "").replace("[check", "locks = \"audit/locks\"\n[check");
    fs::write(world.path("driftlock.toml"), json).unwrap();
    world.lock();
    assert_eq!(fs::read(world.path(LOCK)).unwrap(), old);
    assert!(world.path("audit/locks/compose_hashes.lock.json").exists());
}

#[test]
fn an_export_becomes_the_new_lock_and_an_old_lock_is_no_export() {
    let world = stacks(CHECK, &script("infra/stacks"));
    write(&world, "odoo/docker-compose.yml", "changed");
    world.driftlock(["export", "--output", "runtime"]).code(0);
    let said = world.driftlock(["lock", "--from", "runtime"]).code(0).stdout();
    assert!(said.contains("3 entries, 1 changed since the last lock\n    it replaces an old lock\n"), "{said}");
    world.driftlock(["check"]).code(0);
    bash(&world, &script("infra/stacks"));
    fs::copy(world.path(LOCK), world.path("runtime/locks/compose_sha256.lock.txt")).unwrap();
    let refused = world.driftlock(["lock", "--from", "runtime"]).code(2).stderr();
    assert!(refused.contains("it is an old lock, and a new one can't be made from it alone"), "{refused}");
}

#[test]
fn a_stat_cache_goes_with_it() {
    let world = stacks(CHECK, &script("infra/stacks"));
    fs::create_dir(world.path("cache")).unwrap();
    let check = |code| world.driftlock(["check", "--json", "--stat-cache", "cache/file"]).code(code).json();
    check(0);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(the(&check(0), "compose_hashes")["counts"]["verified"], 3);
    write(&world, "odoo/docker-compose.yml", "changed");
    assert_eq!(drift(&check(1), "compose_hashes"), ["modified odoo/docker-compose.yml"]);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let any = CHECK.replace("*/docker", "**/docker");
    // Nothing of it is there if its paths are relative to the root, and everything if they are not.
    let world = stacks(&any, &script("infra/stacks"));
    refused(&world, "compose_hashes", LOCK, "its paths may be relative to the root or start with it, as infra/stacks");
    // Some of it is there: they are relative to the root, which is what they are for `sha256sum` too.
    let world = stacks(&any, "mkdir -p infra/stacks/infra/stacks; cp -r infra/stacks/odoo infra/stacks/infra/stacks");
    bash(&world, &format!("lock=$PWD/{LOCK}; cd infra/stacks; find infra -type f -exec sha256sum {{}} + >$lock"));
    let report = world.driftlock(["check", "--json"]).code(1).json();
    let added =
        ["added b \\ackslash/docker-compose.yml", "added odoo/docker-compose.yml", "added traefik/docker-compose.yml"];
    assert_eq!(drift(&report, "compose_hashes"), added);
    assert_eq!(the(&report, "compose_hashes")["old_lock"], serde_json::Value::Null);
    // Two places of the root, one below the other.
    let world = stacks(
        &format!("{any}server_root = \"/srv\"\n[server.a]\nhost = \"a\"\nroots.compose_hashes = \"/srv/stacks\"\n"),
        &script("infra/stacks"),
    );
    bash(&world, &format!("sed -i 's#infra/stacks#/srv/stacks#' {LOCK}"));
    refused(&world, "compose_hashes", LOCK, "its paths could begin with the root /srv as well as with /srv/stacks");
}

/// `mv stacks/stacks/* stacks/` is drift, whatever a lock of the scripts would say.
#[test]
fn a_new_lock_whose_paths_begin_with_the_root_by_chance_is_none_of_the_scripts() {
    let check = CHECK.replace("infra/stacks", "stacks").replace("*/docker-compose*.yml", "stacks/*.yml");
    let world = World::declaring(&check);
    fs::create_dir_all(world.path("stacks/stacks")).unwrap();
    fs::write(world.path("stacks/stacks/a.yml"), "a").unwrap();
    world.lock();
    fs::rename(world.path("stacks/stacks/a.yml"), world.path("stacks/a.yml")).unwrap();
    let report = world.driftlock(["check", "--json"]);
    // Nothing matches the globs any more, which is trouble already.
    let report = report.code(1).json();
    assert_eq!(drift(&report, "compose_hashes"), ["removed stacks/a.yml"]);
}

#[test]
fn paths_elsewhere_and_paths_that_are_not_picked_are_refused() {
    let append = |path: &str| format!("{}\necho {} '' {path} >>{LOCK}", script("infra/stacks"), "a".repeat(64));
    for (path, problem) in [
        ("infra/other/docker-compose.yml", "line 4: infra/other/docker-compose.yml is not below the root infra/stacks"),
        (
            "/infra/stacks/a/docker-compose.yml",
            "line 4: /infra/stacks/a/docker-compose.yml is not below the root infra/stacks",
        ),
        (
            "infra/stacks/traefik/traefik.yml",
            "line 4: infra/stacks/traefik/traefik.yml is not among what the check records",
        ),
        ("infra/stacks/../docker-compose.yml", "line 4 is not a line of `sha256sum`: its path has a `.` or `..` in it"),
        ("infra/stacks/./docker-compose.yml", "line 4 is not a line of `sha256sum`: its path has a `.` or `..` in it"),
        ("infra/stacks//docker-compose.yml", "line 4"),
        ("infra/stacks/", "line 4"),
        ("infra/stacks/traefik/docker-compose.yml", "traefik/docker-compose.yml is there twice"),
    ] {
        refused(&stacks(CHECK, &append(path)), "compose_hashes", LOCK, problem);
    }
}

#[test]
fn diff_reads_it_as_check_does() {
    let world = stacks(CHECK, &script("infra/stacks"));
    let said = world.driftlock(["diff", LOCK, "live"]).code(0).stdout();
    assert_eq!(said, "3 entries: 0 differ, 0 could not be read\n");
    write(&world, "odoo/docker-compose.yml", "changed");
    let said = world.driftlock(["diff", LOCK, "live"]).code(1).stdout();
    assert!(said.contains("modified: infra/stacks/odoo/docker-compose.yml"), "{said}");
}

#[test]
fn malformed_ones_are_refused() {
    let world = stacks(CHECK, &script("infra/stacks"));
    let good = fs::read_to_string(world.path(LOCK)).unwrap();
    for (bad, problem) in [
        (String::new(), "it is empty"),
        (good.trim_end().to_owned(), "it ends in the middle"),
        (good.to_uppercase(), "is not a line of `sha256sum`"),
        (good.replace("  ", " "), "is not a line of `sha256sum`"),
        (format!("{good}\n"), "is not a line of `sha256sum`"),
        (format!("# made by hand\n{good}"), "is not a line of `sha256sum`"),
    ] {
        fs::write(world.path(LOCK), bad).unwrap();
        refused(&world, "compose_hashes", LOCK, problem);
    }
}
