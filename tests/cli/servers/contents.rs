//! `diff --server NAME --patch`: the lines that drifted on a server, and what keeps them from being shown.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use needs::needs;
use serde_json::{Value, json};

use super::super::harness::{Finished, World, the_check};
use super::super::patch::{NASTY, lock_of};
use super::super::watch::{says, shell};
use super::site::{Far, Site};

/// A site whose servers have their root at `there/root`, a copy of the one that is locked.
fn site(hosts: &[(&str, Far)], files: &[(&[u8], &[u8])]) -> Site {
    let world = World::new();
    for (path, contents) in files {
        world.write(path, contents);
    }
    shell(&world, "bash", "mkdir there && cp -a root there/root").code(0);
    let declaration = format!(
        "locks = \"locks\"\nreports = \"reports\"\n\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\nexclude = \
         [\"m/secret\"]\nserver_root = \"{}\"\n",
        world.path("there/root").display()
    );
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    world.lock();
    Site::with(world, hosts)
}

const FILES: [(&[u8], &[u8]); 6] = [
    (b"m/a", b"one\ntwo\nthree\n"),
    (b"m/b", b"b\n"),
    (b"m/moved", b"a file that moves\n"),
    (b"m/crlf", b"a\r\nb\r\n"),
    (b"m/binary", b"\0\x01\x02\xff"),
    (b"m/secret", b"not covered\n"),
];

/// What an operator's hand does on a server.
fn edited(site: &Site) {
    let there = site.world.path("there/root/m");
    fs::write(there.join("a"), "one\n2\nthree").unwrap();
    fs::remove_file(there.join("b")).unwrap();
    fs::rename(there.join("moved"), there.join("elsewhere")).unwrap();
    fs::write(there.join("crlf"), "a\r\nc\r\n").unwrap();
    fs::write(there.join("binary"), b"\0\x01\xfe").unwrap();
    fs::set_permissions(there.join("binary"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a", there.join("link")).unwrap();
    fs::write(there.join("new"), "new\n").unwrap();
}

fn patch(site: &Site, arguments: &[&str], code: i32) -> Finished {
    let finished = site.driftlock(&[&["diff", "--patch", "--server", "web"], arguments].concat()).code(code);
    fs::write(site.world.path("patch"), &finished.output.stdout).unwrap();
    finished
}

fn apply(site: &Site, directory: &str) {
    let script = format!("cd {directory} && git apply ../patch");
    shell(&site.world, "bash", &script).env("GIT_CEILING_DIRECTORIES", "/").env("HOME", "/nonexistent").code(0);
}

/// The way of a hand edit: into the repository with one command, or back on the server with one.
#[needs(sshd, "git", "bash")]
fn a_change_on_a_server_is_taken_or_undone_with_a_patch() {
    let site = site(&[("web", Far::Driftlock)], &FILES);
    edited(&site);
    let live = lock_of(&site.world, "there/root");
    shell(&site.world, "bash", "mkdir here && cp -a root here/root").code(0);
    let finished = patch(&site, &[], 1);
    assert_eq!(finished.stderr(), "");
    says(&finished.stdout(), &["--- a/root/m/a\n+++ b/root/m/a\n", "\n-two\n-three\n+2\n+three\n\\ No newline at end"]);
    assert!(!finished.stdout().contains("not covered"));
    apply(&site, "here");
    assert_eq!(lock_of(&site.world, "here/root"), live);
    patch(&site, &["--reverse"], 1);
    apply(&site, "there");
    assert_eq!(lock_of(&site.world, "there/root"), site.world.lock_bytes());
    site.driftlock(&["check", "--server", "web"]).code(0);
    assert!(patch(&site, &[], 0).output.stdout.is_empty());
}

#[needs(sshd, "git", "bash")]
fn names_of_every_kind_come_over_the_connection() {
    let site = site(&[("web", Far::Driftlock)], &NASTY.map(|name| (name, &b"before\n"[..])));
    for name in NASTY {
        let path = site.world.path("there").join(site.world.root(name).strip_prefix(site.world.path("")).unwrap());
        fs::write(path, [&b"after "[..], name].concat()).unwrap();
    }
    let live = lock_of(&site.world, "there/root");
    patch(&site, &[], 1);
    shell(&site.world, "bash", "mkdir here && cp -a root here/root").code(0);
    apply(&site, "here");
    assert_eq!(lock_of(&site.world, "here/root"), live);
}

/// What is locked is not in the checkout any more: another tree has it, or it is said.
#[needs(sshd)]
fn the_local_root_is_the_reference_or_the_one_that_is_named() {
    let site = site(&[("web", Far::Driftlock)], &FILES);
    fs::create_dir(site.world.path("old")).unwrap();
    fs::create_dir_all(site.world.path("old/root/m")).unwrap();
    fs::copy(site.world.root("m/a"), site.world.path("old/root/m/a")).unwrap();
    edited(&site);
    site.world.write("m/a", "changed here as well");
    let finished = patch(&site, &[], 3);
    says(
        &finished.stderr(),
        &["there/root/m/a is not in the patch: the reference does not have it: the file there has another"],
    );
    assert!(!finished.stdout().contains("root/m/a\n"), "{}", finished.stdout());
    let finished = patch(&site, &["--reference", "old"], 3);
    says(&finished.stdout(), &["--- a/root/m/a\n+++ b/root/m/a\n"]);
}

/// A key with a forced command gives contents only if that says so, and no more than the check covers.
#[needs(sshd)]
fn a_server_gives_contents_only_where_it_is_told_to() {
    let allow = |more: &str| Far::Forced(format!("driftlock collect --allow {}{more}", std::env::temp_dir().display()));
    let site = site(&[("web", allow("")), ("open", allow(" --contents"))], &FILES);
    edited(&site);
    let finished = patch(&site, &[], 2);
    assert_eq!(finished.stdout(), "");
    says(
        &finished.stderr(),
        &["web: it says: contents of files are not given here", "add `--contents` to `driftlock collect`"],
    );
    let open = site.driftlock(&["diff", "--patch", "--server", "open"]).code(1).stdout();
    says(&open, &["+++ b/root/m/a\n"]);
    // All else goes on as it was.
    site.driftlock(&["check", "--server", "web"]).code(1);
}

/// Without a forced command the operator's own account is the one that reads. One server at a time, and no JSON.
#[needs(sshd)]
fn a_patch_is_about_one_server() {
    let site = site(&[("web", Far::Driftlock), ("b", Far::Driftlock)], &FILES);
    says(&patch(&site, &["--server", "b"], 2).stderr(), &["a patch is about one server, and 2 are named"]);
    says(&patch(&site, &["--json"], 2).stderr(), &["a patch can't be printed as JSON"]);
    says(&patch(&site, &["--check", "nothing"], 2).stderr(), &["declares no such check"]);
    fs::remove_file(site.world.path("locks/tree.lock.json")).unwrap();
    let finished = patch(&site, &[], 2);
    says(&finished.stderr(), &["there is nothing to check on it"]);
}

/// Nothing of it is shown, whatever else is true.
#[needs(sshd)]
fn a_server_that_sends_other_contents_is_refused_and_nothing_is_shown() {
    let filtered = |filter: &str| Far::Script(format!("{} \"$@\" | {filter}", env!("CARGO_BIN_EXE_driftlock")));
    let planted = "c2VjcmV0Cg==";
    let lies: [(&str, Far, &str); 8] = [
        (
            "other",
            filtered(&format!("sed -u '/^.\"further\":0/s/base64\":\".*\"/base64\":\"{planted}\"/'")),
            "the contents that it sent of m/a do not have the digest that it stated for the check tree",
        ),
        (
            "last",
            filtered(&format!("sed -u '/^.\"further\":3/s/base64\":\".*\"/base64\":\"{planted}\"/'")),
            "the contents that it sent of m/new do not have the digest",
        ),
        ("no-base64", filtered("sed -u '/^.\"further\":0/s/base64\":\"/base64\":\"*/'"), "it has invalid Base64"),
        ("other-turn", filtered("sed -u 's/^.\"further\":1/{\"further\":2/'"), "it is about entry 2 instead of 1"),
        ("neither", filtered("sed -u '/^.\"further\":1,/s/\"base64\"/\"more\"/'"), "unknown field `more`"),
        ("less", filtered("sed -u '/^.\"further\":3/d'"), "unknown field `done`"),
        ("more", filtered("sed -u '/^.\"done\":4/s/$/\\nmore/'"), "there is data after the end"),
        ("cut", filtered("sed -u '/^.\"done\":4/d'"), "its answer ends early"),
    ];
    let hosts: Vec<_> = lies.iter().map(|(name, far, _)| (*name, far.clone())).collect();
    let site = site(&hosts, &FILES);
    edited(&site);
    for (name, _, expected) in &lies {
        let finished = site.driftlock(&["diff", "--patch", "--server", name]).code(2);
        assert_eq!(finished.stdout(), "", "{name}");
        says(&finished.stderr(), &[&format!("{name}: "), expected]);
        assert!(!finished.stderr().contains("secret") && !finished.stderr().contains(planted), "{name}");
    }
}

/// Nor in a report, which has what was compared before the lie.
#[needs(sshd)]
fn a_report_has_nothing_of_contents_that_are_others() {
    let filter = "sed -u '/^.\"further\":0/s/base64\":\".*\"/base64\":\"c2VjcmV0Cg==\"/'";
    let far = Far::Script(format!("{} \"$@\" | {filter}", env!("CARGO_BIN_EXE_driftlock")));
    let site = site(&[("web", far)], &FILES);
    edited(&site);
    let report = site.driftlock(&["check", "--show-changes", "--server", "web", "--json"]).code(3).json();
    says(
        report["checks"][1]["trouble"]["problem"].as_str().unwrap(),
        &["the contents that it sent of m/a do not have the digest that it stated for the check tree"],
    );
    let drift = the_check(&report)["drift"].as_array().unwrap();
    assert!(!drift.is_empty() && drift.iter().all(|drift| drift.get("diff").is_none() && drift.get("live").is_none()));
}

/// What the server says of a file that it does not give is shown as words, and harmless.
#[needs(sshd)]
fn what_a_server_does_not_give_is_named() {
    let filter = "sed -u 's/^.\"further\":0.*/{\"further\":0,\"failed\":\"gone\\\\u001b[31m\"}/'";
    let far = Far::Script(format!("{} \"$@\" | {filter}", env!("CARGO_BIN_EXE_driftlock")));
    let site = site(&[("web", far)], &FILES);
    edited(&site);
    let finished = patch(&site, &[], 3);
    says(&finished.stderr(), &["there/root/m/a is not in the patch: gone\\u{1b}[31m"]);
    assert!(!finished.stderr().contains('\u{1b}'));
    says(&finished.stdout(), &["+++ b/root/m/new\n"]);
}

/// In reports, too: with the declared roots as they are here, and nothing of what may be a secret.
#[needs(sshd)]
fn a_report_about_a_server_shows_the_lines_that_changed() {
    let allow = |more: &str| Far::Forced(format!("driftlock collect --allow {}{more}", std::env::temp_dir().display()));
    let heard = Far::Script(format!("tee -a \"$TMPDIR/heard\" | {} \"$@\"", env!("CARGO_BIN_EXE_driftlock")));
    let files = [&FILES[..], &[(b"m/.env", b"a\n"), (b"m/plain", b"a\n")]].concat();
    let site = site(&[("web", allow(" --contents")), ("shut", allow("")), ("any", heard)], &files);
    edited(&site);
    let there = site.world.path("there/root/m");
    fs::write(there.join(".env"), "hunter2\n").unwrap();
    fs::write(there.join("plain"), "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n").unwrap();
    let report = |server: &str| {
        let report = site.driftlock(&["check", "--server", server, "--show-changes", "--json"]).code(1).json();
        assert!(!report.to_string().contains("hunter2"));
        the_check(&report)["drift"].as_array().unwrap().clone()
    };
    let diff = |drift: &[Value], path: &str| drift.iter().find(|drift| drift["path"] == path).unwrap()["diff"].clone();
    let hidden = |why: &str| json!({"hidden": why, "lines": [], "left_out": 0});
    for server in ["web", "any"] {
        let drift = report(server);
        let lines = ["@@ -1,3 +1,3 @@", " one", "-two", "-three", "+2", "+three", "\\ No newline at end of file"];
        assert_eq!(diff(&drift, "m/a"), json!({"hidden": null, "lines": lines, "left_out": 0}));
        assert_eq!(diff(&drift, "m/new")["lines"], json!(["@@ -0,0 +1,1 @@", "+new"]));
        assert_eq!(diff(&drift, "m/binary"), hidden("binary"));
        assert_eq!((diff(&drift, "m/.env"), diff(&drift, "m/plain")), (hidden("secret"), hidden("secret")));
        assert_eq!(diff(&drift, "m/elsewhere"), Value::Null);
    }
    // What is named like a secret is not even asked for.
    let heard = fs::read_to_string(site.world.path("far-tmp/heard")).unwrap();
    let asked = |path: &str, contents: bool| format!("\"path\":\"{path}\",\"contents\":{contents}}}");
    says(&heard, &[&asked("m/.env", false), &asked("m/a", true)]);
    let drift = report("shut");
    assert_eq!((diff(&drift, "m/a"), diff(&drift, "m/.env")), (hidden("not_given"), hidden("secret")));
    let text = site.driftlock(&["check", "--server", "shut", "--show-changes"]).code(1).stdout();
    says(&text, &["(not shown: the server gives contents only to `driftlock collect --contents`)\n"]);
    // What is here is the reference only while it is what is locked.
    site.world.write("m/a", "changed here as well");
    assert_eq!(diff(&report("web"), "m/a"), hidden("no_reference"));
    let plain = site.driftlock(&["check", "--server", "web", "--json"]).code(1).stdout();
    assert!(!plain.contains("\"diff\"") && plain.contains("\"live\""), "{plain}");
}

/// The second request, as one who has the key would write it.
#[test]
fn the_far_end_gives_what_the_check_covers_and_nothing_else() {
    let world = World::new();
    for (path, contents) in FILES {
        world.write(path, contents);
    }
    fs::write(world.path("outside"), "secret").unwrap();
    symlink(world.path("outside"), world.root("m/link")).unwrap();
    let root = world.path("root");
    let check = json!({"kind": "trees", "root": root, "exclude": ["m/secret"]});
    let ask = |contents: Value, code: i32| {
        let first = json!({"driftlock_collect": 5, "require_sandbox": false, "extent": "contents", "declaration": {"check": {"tree": check}}});
        fs::write(world.path("request"), format!("{first}\n{}\n", json!({ "further": contents }))).unwrap();
        let mut run = world.driftlock(["collect", "--contents", "--allow", root.to_str().unwrap()]);
        run.command.stdin(fs::File::open(world.path("request")).unwrap());
        let answer = run.code(code).stdout();
        let behind = answer.split_once("{\"done\":1}\n").unwrap().1;
        behind.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let item = |path: &str| json!({"check": "tree", "path": path, "contents": true});
    // As `stat` has it, of a link itself.
    let status = |path: &str| {
        let path = world.root(path);
        let stat = shell(&world, "sh", &format!("stat -c '%Y %u %g' '{}'", path.display())).code(0).stdout();
        let numbers: Vec<i64> = stat.split_whitespace().map(|number| number.parse().unwrap()).collect();
        json!({"mtime": numbers[0], "uid": numbers[1], "gid": numbers[2]})
    };
    let not_covered = "the check does not cover it";
    assert_eq!(
        ask(json!([item("m"), item("m/b"), item("m/link"), item("m/nothing"), item("m/secret")]), 0),
        [
            json!({"further": 0, "live": status("m"), "failed": "it is not a file"}),
            json!({"further": 1, "live": status("m/b"), "base64": "Ygo="}),
            json!({"further": 2, "live": status("m/link"), "failed": "it is not a file"}),
            json!({"further": 3, "live": null, "failed": not_covered}),
            json!({"further": 4, "live": null, "failed": not_covered}),
            json!({"done": 5}),
        ]
    );
    for (refused, problem) in [
        (json!([item("../outside")]), "an invalid path"),
        (json!([item("/etc/passwd")]), "an invalid path"),
        (json!([{"check": "other", "path": "m/a", "contents": true}]), "a check that was not requested"),
        (json!([item("m/b"), item("m/a")]), "not in order"),
        (json!((0..1001).map(|number| item(&format!("{number:04}"))).collect::<Vec<_>>()), "more than 1000 entries"),
    ] {
        let answer = ask(refused, 2);
        says(answer[0]["failed"]["problem"].as_str().unwrap(), &[problem]);
        assert_eq!(answer.len(), 1);
    }
}
