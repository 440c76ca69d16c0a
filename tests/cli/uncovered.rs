//! A PASS says what it covers: what a declaration names and is not looked at is said.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};

use needs::needs;

use crate::harness::{FILES, TREES, World, drift, the_check};
use crate::watch::says;

fn files(include: &str, more: &str) -> String {
    FILES.replace("[\"**\"]", &format!("[{include}]")) + more
}

/// What lies below the root, what is declared, and what must be said of it: in the text, and in the JSON.
#[needs(landlock)]
fn what_is_not_looked_at_is_said() {
    let stacks = files("\"**/docker-compose*.yml\"", "");
    let rows: [(&str, String, &[&str], Value); 9] = [
        (
            "a glob that matches nothing",
            files("\"*.conf\", \"*.cnf\"", "exclude = [\"old-*\", \"**/*.pyc\"]\n"),
            &["[WARN] Tree: 2 globs match nothing: include \"*.cnf\", exclude \"old-*\""],
            json!([{"glob": "*.cnf", "list": "include"}, {"glob": "old-*", "list": "exclude"}]),
        ),
        ("the same, and that is fine", files("\"*.conf\", \"*.cnf\"", "allow_empty = true\n"), &[], json!([])),
        (
            "an exclude of trees",
            format!("{TREES}exclude = [\"cache\"]\n"),
            &["[WARN] Tree: 1 glob matches nothing: exclude \"cache\""],
            json!([{"glob": "cache", "list": "exclude"}]),
        ),
        (
            "a directory that is a link",
            stacks.clone(),
            &["[WARN] Tree: 1 link leads to what no check covers: root/current -> ../elsewhere"],
            json!([{"path": "current", "target": "../elsewhere"}]),
        ),
        (
            "a file that is a link to one beside it",
            stacks.clone(),
            &["1 link leads to what no check covers: root/web/docker-compose.dev.yml -> devel.yaml"],
            json!([{"path": "web/docker-compose.dev.yml", "target": "devel.yaml"}]),
        ),
        ("a link to what the globs pick as well", stacks.clone(), &[], json!([])),
        (
            "a link out of trees, to an absolute path",
            TREES.to_owned(),
            &["root/m/link -> /etc/hostname"],
            json!([{"path": "m/link", "target": "/etc/hostname"}]),
        ),
        ("a link inside of trees", TREES.to_owned(), &[], json!([])),
        (
            "a link to what another check covers",
            format!("{TREES}\n[check.other]\nkind = \"trees\"\nroot = \"other\"\n"),
            &[],
            json!([]),
        ),
    ];
    for (row, declaration, said, uncovered) in rows {
        let world = World::declaring(&declaration);
        world.write("web/docker-compose.yml", "a");
        world.write("web/devel.yaml", "a");
        world.write("x.conf", "a");
        fs::create_dir_all(world.path("elsewhere")).unwrap();
        fs::create_dir(world.path("state")).unwrap();
        fs::create_dir_all(world.path("other/m")).unwrap();
        fs::write(world.path("other/m/a"), "a").unwrap();
        let link = |target: &str, path: &str| {
            fs::create_dir_all(world.root(path).parent().unwrap()).unwrap();
            symlink(target, world.root(path)).unwrap();
        };
        match row {
            "a directory that is a link" => link("../elsewhere", "current"),
            "a file that is a link to one beside it" => link("devel.yaml", "web/docker-compose.dev.yml"),
            "a link to what the globs pick as well" => {
                link("docker-compose.yml", "web/docker-compose.dev.yml");
                link("web", "current");
            }
            "a link out of trees, to an absolute path" => link("/etc/hostname", "m/link"),
            "a link inside of trees" => link("../web/./devel.yaml", "m/link"),
            "a link to what another check covers" => link("../../other/m/a", "m/link"),
            _ => {}
        }
        let locked = world.driftlock(["lock"]).code(0).stdout();
        let checked = world.driftlock(["check"]).code(0).stdout();
        for said in said {
            assert!(checked.contains(said), "{row}: {said}\n{checked}");
            assert!(locked.contains(said.trim_start_matches("[WARN] Tree: ")), "{row}: {said}\n{locked}");
        }
        assert_eq!(checked.contains("[WARN]"), !said.is_empty(), "{row}: {checked}");
        assert_eq!(the_check(&world.check(0))["uncovered"], uncovered, "{row}");
        let found = world.driftlock(["lock", "--json"]).code(0).json();
        assert_eq!(found["locks"][0]["uncovered"], uncovered, "{row}");
        // With the same again, where only what changed is read.
        for _ in 0..2 {
            let cached = world.driftlock(["check", "--json", "--stat-cache", "state/cache"]).code(0).json();
            assert_eq!(the_check(&cached)["uncovered"], uncovered, "{row}");
        }
        // Where it is trouble, it is no PASS, and there is no lock.
        let strict = declaration.replacen("kind =", "uncovered = \"trouble\"\nkind =", 1);
        fs::write(world.path("driftlock.toml"), strict).unwrap();
        let code = if said.is_empty() { 0 } else { 2 };
        let report = world.check(code);
        assert_eq!(the_check(&report)["status"], if code == 0 { "PASS" } else { "FAIL" }, "{row}");
        fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
        world.driftlock(["lock"]).code(code);
        assert_eq!(world.path("locks/tree.lock.json").exists(), code == 0, "{row}");
    }
}

/// Where a run is of one check alone, the others cover what they cover.
#[test]
fn other_checks_cover_what_they_cover_though_they_are_not_run() {
    let other = "\n[check.other]\nkind = \"files\"\nroot = \"other\"\ninclude = [\"*.yml\"]\n";
    let world = World::declaring(&format!("{TREES}{other}"));
    fs::create_dir(world.path("other")).unwrap();
    fs::write(world.path("other/a.yml"), "a").unwrap();
    fs::write(world.path("other/b"), "b").unwrap();
    world.write("m/a", "a");
    symlink("../../other/a.yml", world.root("m/covered")).unwrap();
    symlink("../../other/b", world.root("m/not")).unwrap();
    world.lock();
    let expected = json!([{"path": "m/not", "target": "../../other/b"}]);
    for arguments in [&["check", "--json"][..], &["check", "--json", "--check", "tree"]] {
        assert_eq!(the_check(&world.driftlock(arguments).code(0).json())["uncovered"], expected, "{arguments:?}");
    }
}

/// Real stacks have them: `current -> releases/5`. What lies behind is told to be unseen, and pointing the link elsewhere is
/// drift.
#[test]
fn a_link_on_the_way_of_a_glob_is_an_entry() {
    let world = World::declaring(&files(
        "\"*/docker-compose.yml\", \"a/{b,c}/x\"",
        "exclude = [\"old\"]\nallow_empty = true\n",
    ));
    for release in ["1", "2"] {
        fs::create_dir_all(world.path(format!("releases/{release}"))).unwrap();
        fs::write(world.path(format!("releases/{release}/docker-compose.yml")), release).unwrap();
    }
    world.write("web/docker-compose.yml", "web");
    fs::create_dir(world.root("a")).unwrap();
    for (target, link) in
        [("../releases/1", "current"), ("../../releases/1", "a/b"), ("../../releases/1", "web/deep"), ("x", "old")]
    {
        symlink(target, world.root(link)).unwrap();
    }
    world.lock();
    let paths: Vec<_> = world.entries().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect();
    // No glob leads through web/deep.
    assert_eq!(paths, ["a/b", "current", "web/docker-compose.yml"]);
    fs::remove_file(world.root("current")).unwrap();
    symlink("../releases/2", world.root("current")).unwrap();
    assert_eq!(drift(&world.check(1)), [("modified".to_owned(), "current".to_owned())]);

    // A lock in the format of sha256sum can't hold it, and is as it was.
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("driftlock.toml"), format!("{declaration}lock = \"tree.lock.txt\"\n")).unwrap();
    world.driftlock(["lock"]).code(0);
    let lock = fs::read_to_string(world.path("locks/tree.lock.txt")).unwrap();
    assert_eq!(lock.lines().count(), 1, "{lock}");
    world.driftlock(["check"]).code(0);
}

#[test]
fn globs_that_seem_to_mean_more_are_refused() {
    for (list, glob, said) in [
        (
            "include",
            "**.conf",
            "glob `**.conf` has `**` within a name, where it means the same as `*`; write `**/*.conf`",
        ),
        ("include", "nginx/**.conf", "write `nginx/**/*.conf`"),
        ("exclude", "**cache", "write `**/*cache`"),
        (
            "exclude",
            "!x",
            "starts with `!`, but globs can't be negated; write `'\\!x'` for a name that starts with `!`",
        ),
        ("include", "/root/*.conf", "glob `/root/*.conf` is absolute; write `*.conf`, without the check's root"),
        ("include", "/srv/far/*.conf", "write `*.conf`, without the check's root"),
        ("include", "/etc/*.conf", "write it relative to the check's root"),
    ] {
        let list = format!("{list} = ['{glob}']\n");
        let include = if list.starts_with("include") { "" } else { "include = [\"*\"]\n" };
        let check = "[check.tree]\nkind = \"files\"\nroot = \"root\"\nserver_root = \"/srv/far\"\n";
        let world = World::declaring(&format!("{check}{include}{list}"));
        says(&world.driftlock(["check"]).code(2).stderr(), &[said]);
    }
}

/// Not a block for each of eighty files.
#[test]
fn a_root_that_became_empty_is_one_line() {
    let world = World::new();
    for number in 0..80 {
        world.write(format!("m{}/{number}", number % 7), "x");
    }
    world.lock();
    fs::remove_dir_all(world.path("root")).unwrap();
    fs::create_dir(world.path("root")).unwrap();
    let text = world.driftlock(["check"]).code(1).stdout();
    let failed: Vec<_> = text.lines().filter(|line| line.contains("[FAIL]")).collect();
    let expected = "[FAIL] Tree drift: root is empty, or has nothing of what is locked: all 87 locked entries are gone; is it a \
                    submodule that is not checked out, or a file system that is not mounted?";
    assert_eq!(failed, [expected]);
    assert!(!text.contains("removed"), "{text}");
    assert_eq!(the_check(&world.check(1))["drift"].as_array().unwrap().len(), 87);
    let expected = ["the root root is empty", "a submodule that is not checked out (`git submodule update --init`)"];
    says(&world.driftlock(["lock"]).code(2).stderr(), &expected);
}

#[test]
fn the_summary_counts_entries() {
    let world = World::new();
    world.write("m/a", "a");
    world.lock();
    let text = world.driftlock(["check"]).code(0).stdout();
    says(&text, &["Failed: 0\nEntries: 2 verified, 0 drifted, 0 unverified\n\nOVERALL: PASS"]);
    // The lock files are a check, and are counted as one everywhere.
    says(&text, &["Total checks: 2\nPassed: 2\n"]);
    let github = world.driftlock(["check", "--format", "github"]).code(0).stdout();
    says(&github, &["No drift: 2 checks passed, 2 entries verified"]);
}

/// `chmod 777 root` is no change of anything below it.
#[needs("python3")]
fn attributes_of_the_root_itself_are_checked() {
    for kind in [TREES, FILES] {
        let world = World::declaring(&kind.replace("root = ", "attributes = [\"mode\", \"owner\"]\nroot = "));
        // Names on both sides of `.` in the order of bytes.
        for name in ["-a", "-/x", ".hidden", "m/a"] {
            world.write(name, "x");
        }
        fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o755)).unwrap();
        world.lock();
        assert_eq!(world.entry(".")["mode"], "0755");
        assert_eq!(world.entry(".")["type"], "directory");
        let verify = format!("{}/tests/independent/verify.py", env!("CARGO_MANIFEST_DIR"));
        let mut python = std::process::Command::new("python3");
        python.args([&*verify, "locks/tree.lock.json", "--root", "root", "--include", "**"]);
        world.command(python).code(0);
        world.check(0);
        fs::create_dir(world.path("state")).unwrap();
        for _ in 0..2 {
            world.driftlock(["check", "--stat-cache", "state/cache"]).code(0);
        }
        fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o777)).unwrap();
        let expected = [("mode_changed".to_owned(), ".".to_owned())];
        assert_eq!(drift(&world.check(1)), expected);
        let cached = world.driftlock(["check", "--json", "--stat-cache", "state/cache"]).code(1).json();
        assert_eq!(drift(&cached), expected);
        let text = world.driftlock(["check"]).code(1).stdout();
        says(&text, &["[FAIL] Tree drift: ", "mode changed: ", "0755 \u{2192} 0777"]);
        // An empty root is nothing, though it has attributes itself.
        fs::remove_dir_all(world.path("root")).unwrap();
        fs::create_dir(world.path("root")).unwrap();
        fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
        world.driftlock(["lock"]).code(2);
    }
}
