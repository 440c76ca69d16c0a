//! Declarations that are malformed, not to be read, or not there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use needs::needs;

use crate::harness::{TREES, World, unprivileged};
use crate::watch::{names, refused, refused_and_untouched, says, snapshot};

/// The commands that read a declaration.
const READERS: [&[&str]; 5] = [&["check"], &["check", "--json"], &["lock"], &["lock", "--dry-run"], &["capabilities"]];

/// Makes sure that these bytes are refused as a declaration, by every command that reads one.
fn is_refused(name: &str, bytes: &[u8], expected: &[&str]) {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    fs::write(world.path(name), bytes).unwrap();
    for arguments in READERS {
        let finished = refused_and_untouched(&world, arguments, &[name]);
        says(&finished.stderr(), expected);
    }
}

fn toml(text: &str, expected: &[&str]) {
    is_refused("driftlock.toml", text.as_bytes(), expected);
}

fn json(text: &str, expected: &[&str]) {
    is_refused("driftlock.json", text.as_bytes(), expected);
}

#[test]
fn malformed_toml() {
    toml("locks = \n", &["driftlock.toml:1", "malformed TOML"]);
    toml("locks = \"a\"\n\n[check.tree\nkind = \"trees\"\n", &["driftlock.toml:3", "malformed TOML"]);
    toml("[check.tree]\nkind = trees\nroot = \"root\"\n", &["driftlock.toml:2", "write `\"trees\"`"]);
    toml("[check.tree]\nkind = \"trees\"\nkind = \"files\"\nroot = \"root\"\n", &["toml:3", "duplicate key", "line 2"]);
    toml("", &["empty", "driftlock init"]);
    toml("# only a comment\n", &["no checks", "driftlock init"]);
    toml(&format!("[check.{}]\nkind = \"trees\"\n", "a.".repeat(100_000) + "a"), &["deep"]);
}

#[test]
fn malformed_json() {
    json("{", &["driftlock.json", "JSON"]);
    json("{\"check\": {\"tree\": {\"kind\": \"trees\", \"root\": \"root\",}}}", &["driftlock.json:1", "JSON"]);
    json("{\"check\": {\"tree\": {\"kind\": \"trees\", \"root\": \"root\"}}} x", &["driftlock.json:1", "JSON"]);
    json("[]", &["must be a table, not an array"]);
    json("{\"check\": {\"a\": {}, \"a\": {}}}", &["two checks have this name"]);
    json("{\n\"check\": {\"tree\": {\"kind\": \"tree\", \"root\": \"root\"}}}", &["driftlock.json:2", "write `trees`"]);
    json(&format!("{{\"check\":{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_001)), &["deep"]);
}

#[test]
fn other_encodings() {
    is_refused("driftlock.toml", b"locks = \"\xff\"\n", &["byte 9 is not UTF-8", "save it as UTF-8"]);
    let with_mark = [b"\xef\xbb\xbf", TREES.as_bytes()].concat();
    is_refused("driftlock.toml", &with_mark, &["byte order mark", "without it"]);
    let utf16: Vec<u8> = TREES.encode_utf16().flat_map(u16::to_le_bytes).collect();
    is_refused("driftlock.toml", &[&b"\xff\xfe"[..], &utf16].concat(), &["UTF-16", "save it as UTF-8"]);
    is_refused("driftlock.toml", b"locks = \"a\\u0000b\"\n", &["NUL", "remove it"]);
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let check = "[check.tree]\nkind = \"trees\"\nroot = \"root\"\n";
    toml(&format!("{check}exlude = []\n"), &["driftlock.toml:4: check.tree.exlude", "write `exclude`"]);
    toml(&format!("report = \"x\"\n{check}"), &["driftlock.toml:1: report", "write `reports`"]);
    toml(&check.replace("\"trees\"", "\"tree\""), &["toml:2: check.tree.kind", "unknown kind `tree`", "write `trees`"]);
    toml(&format!("{check}attributes = [\"modes\"]\n"), &["toml:4", "write `mode`"]);
    toml(&format!("{check}colour = 1\n"), &["toml:4: check.tree.colour", "write one of"]);
    json("{\"check\": {\"t\": {\"kind\": \"trees\", \"roots\": \"root\"}}}", &["check.t.roots", "write `root`"]);
}

#[test]
fn values_that_make_no_sense() {
    let files = |include: &str| format!("[check.tree]\nkind = \"files\"\nroot = \"root\"\ninclude = [{include}]\n");
    toml(&files("\"/etc/*\""), &["toml:4", "absolute", "without the root's path"]);
    toml(&files("\"a/../../b\""), &["toml:4", "`..`", "relative to the check's root"]);
    toml(&files(""), &["toml:4", "empty", "`[\"**\"]`"]);
    toml(&files("\"a[\""), &["toml:4", "malformed"]);
    toml(&files("\"a//b\""), &["toml:4", "single slashes"]);
    toml(&files("1"), &["toml:4", "must be"]);
    toml("[check.tree]\nkind = \"files\"\nroot = \"root\"\n", &["include", "missing"]);
    toml("[check.tree]\nroot = \"root\"\n", &["check.tree.kind", "missing", "kind = \"files\""]);
    toml("[check.tree]\nkind = \"trees\"\n", &["check.tree.root", "missing"]);
    toml("[check.tree]\nkind = \"trees\"\nroot = \"root\"\ninclude = [\"**\"]\n", &["toml:4", "has no key `include`"]);
    toml("[check.\"a/b\"]\nkind = \"trees\"\nroot = \"root\"\n", &["toml:1", "`a/b` is not a valid check name"]);
    toml("[check.lock_files_exist]\nkind = \"trees\"\nroot = \"root\"\n", &["reserved"]);
    toml("[check.c]\nkind = \"containers\"\nroot = \"s\"\n", &["toml:3", "`containers` has no key `root`"]);
}

#[test]
fn two_checks_of_one_name_or_with_one_lock() {
    let a = "[check.a]\nkind = \"trees\"\nroot = \"root\"\n";
    toml(&format!("{a}{a}"), &["toml:4: check.a", "two checks have this name", "line 1", "another name"]);
    let b = "[check.b]\nkind = \"trees\"\nroot = \"root\"\nlock = \"a.lock.json\"\n";
    toml(&format!("{a}{b}"), &["toml:7: check.b.lock", "already used by check `a`", "give each check its own lock"]);
    toml(&b.replace("a.lock", "../../a.lock"), &["toml:4", "is not a valid name for a lock file", "plain name"]);
}

#[test]
fn declaration_that_is_no_file() {
    let world = World::new();
    fs::create_dir(world.path("directory.toml")).unwrap();
    mknodat(CWD, world.path("fifo.toml"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    symlink("/dev/zero", world.path("endless.toml")).unwrap();
    symlink("nowhere", world.path("dangling.toml")).unwrap();
    symlink("loop.toml", world.path("loop.toml")).unwrap();
    for (name, problem) in [
        ("directory.toml", "it is not a regular file"),
        ("fifo.toml", "it is not a regular file"),
        ("endless.toml", "it is not a regular file"),
        ("dangling.toml", "No such file"),
        ("loop.toml", "symbolic links"),
        ("missing.toml", "No such file"),
    ] {
        refused_and_untouched(&world, &["check", "--config", name], &[name, problem, "--config FILE"]);
    }
    refused_and_untouched(&world, &["check", "-c", "declaration.yaml"], &["declaration.yaml", ".toml nor in .json"]);
}

#[test]
fn huge_declaration() {
    let world = World::new();
    let huge = format!("{TREES}# {}\n", "x".repeat(5 << 20));
    fs::write(world.path("huge.toml"), huge).unwrap();
    refused_and_untouched(&world, &["check", "--config", "huge.toml"], &["huge.toml", "larger than 4194304 bytes"]);
    // Many checks are no reason to refuse anything.
    let many: String = (0..5000).map(|n| format!("[check.c{n}]\nkind = \"trees\"\nroot = \"root\"\n")).collect();
    fs::write(world.path("many.toml"), many).unwrap();
    world.driftlock(["capabilities", "--config", "many.toml"]).code(0);
}

#[test]
fn unreadable_declaration() {
    let world = World::new();
    fs::set_permissions(world.path("driftlock.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    let run = world.command(unprivileged(&world, &["check"]));
    refused(run, &["driftlock.toml", "Permission denied", "to do: "]);
}

#[test]
fn no_declaration_and_two() {
    let world = World::new();
    fs::write(world.path("driftlock.json"), "{}").unwrap();
    for arguments in READERS {
        refused_and_untouched(&world, arguments, &["both a driftlock.toml and a driftlock.json", "remove one of them"]);
    }
    fs::remove_file(world.path("driftlock.json")).unwrap();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    for arguments in READERS {
        refused_and_untouched(&world, arguments, &["no driftlock.toml or driftlock.json here or", "driftlock init"]);
    }
}

/// The names in a message may come from a hostile declaration.
#[test]
fn hostile_text_in_a_declaration_is_shown_harmless() {
    let world = World::new();
    let hostile = "[check.\"\\u001b[2J\\nOVERALL: PASS\"]\nkind = \"trees\"\nroot = \"root\"\n";
    fs::write(world.path("driftlock.toml"), hostile).unwrap();
    let before = snapshot(&world, &["."]);
    let finished = refused(world.driftlock(["check"]), &["is not a valid check name"]);
    assert!(!finished.stderr().contains('\u{1b}'));
    assert!(!finished.stderr().lines().any(|line| line.starts_with("OVERALL")), "{}", finished.stderr());
    assert_eq!(snapshot(&world, &["."]), before);
}

/// A working directory that is gone has no declaration above it.
#[test]
fn working_directory_that_was_removed() {
    let world = World::new();
    let mut command = Command::new("sh");
    command.args(["-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" check"]);
    command.arg(env!("CARGO_BIN_EXE_driftlock"));
    refused(world.command(command), &["working directory", "--config FILE"]);
}

/// Two other users for the tests below.
const ALICE: u32 = 65_533;
const BOB: u32 = 65_534;

/// Runs driftlock as a user, from a directory of the world.
fn as_user<'a>(world: &'a World, user: u32, directory: &str, arguments: &[&str]) -> crate::harness::Run<'a> {
    let copy = world.path("driftlock-copy");
    if !copy.exists() {
        // By another process: see `unprivileged`.
        let mut install = Command::new("install");
        install.args(["-m", "755", env!("CARGO_BIN_EXE_driftlock")]).arg(&copy);
        assert!(install.status().unwrap().success());
    }
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]).arg(copy);
    command.args(arguments);
    let mut run = world.command(command);
    run.command.current_dir(world.path(directory));
    run
}

#[needs(root)]
fn of_another_user_is_not_used_unless_it_is_named() {
    use std::os::unix::fs::{chown, lchown};
    let world = World::new();
    world.write("a", "a");
    fs::create_dir_all(world.path("below/here")).unwrap();
    let declaration = world.path("driftlock.toml");
    let own = |user: u32| chown(&declaration, Some(user), Some(user)).unwrap();
    // A place where all may write, as /tmp.
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o1777)).unwrap();
    let more: [&[&str]; 2] = [&["report"], &["export", "--output", "x"]];
    for reader in READERS.iter().chain(&more) {
        for directory in ["", "below/here"] {
            let found = if directory.is_empty() { "driftlock.toml" } else { "../../driftlock.toml" };
            for (owner, user) in [(BOB, 0), (ALICE, BOB)] {
                own(owner);
                let said = as_user(&world, user, directory, reader).code(2).stderr();
                let whose = format!("it belongs to the user {owner}, and this is the user {user}");
                let named = format!("if you want it to be used all the same, name it: --config {found}");
                says(&said, &[&format!("the declaration {found} was found and is not used"), &whose, &named]);
            }
        }
    }
    assert_eq!(names(world.path("")), ["below", "driftlock-copy", "driftlock.toml", "root"], "nothing was written");
    let lock = |user: u32, more: &[&str], code: i32| {
        let arguments = [&["lock", "--dry-run"], more].concat();
        as_user(&world, user, "below/here", &arguments).code(code).stderr()
    };
    // One's own, root's, and what was named.
    own(BOB);
    fs::create_dir(world.path("locks")).unwrap();
    lchown(world.path("locks"), Some(BOB), Some(BOB)).unwrap();
    lock(BOB, &[], 0);
    lock(0, &["--config", "../../driftlock.toml"], 0);
    own(0);
    lock(BOB, &[], 0);
    lock(0, &[], 0);
    // After sudo, root may also use a declaration of the user who called sudo, but of no other user.
    own(ALICE);
    let by_sudo = |user: u32, sudo: u32, code: i32| {
        let run = as_user(&world, user, "below/here", &["lock", "--dry-run"]);
        run.env("SUDO_UID", &sudo.to_string()).code(code);
    };
    by_sudo(0, ALICE, 0);
    by_sudo(0, BOB, 2);
    by_sudo(BOB, ALICE, 2);
    // Root's own file, that others can write, or that another's link leads to.
    own(0);
    fs::set_permissions(&declaration, fs::Permissions::from_mode(0o646)).unwrap();
    says(&lock(0, &[], 2), &["../../driftlock.toml was found and is not used: every user may write to it"]);
    fs::set_permissions(&declaration, fs::Permissions::from_mode(0o664)).unwrap();
    lock(0, &[], 0);
    symlink("../../driftlock.toml", world.path("below/here/driftlock.toml")).unwrap();
    lchown(world.path("below/here/driftlock.toml"), Some(BOB), Some(BOB)).unwrap();
    says(&lock(0, &[], 2), &["the declaration driftlock.toml was found and is not used: it belongs to the user 65534"]);
}
