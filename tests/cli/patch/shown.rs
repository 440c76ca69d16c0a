//! `check --show-changes`: the lines that changed, in reports that were asked for them.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::harness::{FILES, World};
use crate::watch::says;

const PLANTED: &str = "hunter2-planted";

/// A world with a reference that has what is locked, and these files changed since: before and after.
fn world(more: &str, files: &[(&str, &[u8], &[u8])]) -> World {
    let declaration = format!("{FILES}reference = \"reference\"\n{more}");
    let world = World::declaring(&declaration);
    for (path, before, _) in files {
        world.write(path, before);
    }
    fs::create_dir(world.path("reference")).unwrap();
    for (path, before, _) in files {
        let there = world.path("reference").join(path);
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        fs::write(there, before).unwrap();
    }
    world.lock();
    for (path, _, after) in files {
        world.write(path, after);
    }
    world
}

fn diff(report: &Value, path: &str) -> Value {
    let drift = report["checks"][1]["drift"].as_array().unwrap();
    drift.iter().find(|drift| drift["path"] == path).unwrap_or_else(|| panic!("{path}: {report:#}"))["diff"].clone()
}

/// All that a run has put anywhere: its report in every form, and its folder.
fn everywhere(world: &World, arguments: &[&str]) -> String {
    let mut all = String::new();
    for format in ["text", "json", "html", "github", "junit", "sarif", "slack", "prometheus"] {
        let finished = world.driftlock([&["check", "--format", format], arguments].concat()).code(1);
        all += &(finished.stdout() + &finished.stderr());
    }
    for folder in fs::read_dir(world.path("reports")).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            fs::read_dir(folder).unwrap().for_each(|file| all += &fs::read_to_string(file.unwrap().path()).unwrap());
        }
    }
    all
}

#[test]
fn the_lines_are_in_the_report_if_they_are_asked_for() {
    let files: &[(&str, &[u8], &[u8])] = &[("a.yml", b"one\ntwo\n", b"one\n2\n")];
    let world = world("", files);
    fs::write(world.root("new.yml"), "new\n").unwrap();
    let text = world.driftlock(["check", "--show-changes"]).code(1).stdout();
    says(&text, &["      @@ -1,2 +1,2 @@\n       one\n      -two\n      +2\n", "      +new\n"]);
    let report = world.driftlock(["check", "--show-changes", "--json"]).code(1).json();
    let lines = json!(["@@ -1,2 +1,2 @@", " one", "-two", "+2"]);
    assert_eq!(diff(&report, "a.yml"), json!({"hidden": null, "lines": lines, "left_out": 0}));
    let html = world.driftlock(["check", "--show-changes", "--format", "html"]).code(1).stdout();
    says(&html, &["<span class=\"line bad\">-two</span><span class=\"line good\">+2</span>"]);
    // What was kept is read back with them.
    let folder = crate::watch::names(world.path("reports")).pop().unwrap();
    let kept = format!("reports/{folder}");
    assert_eq!(
        world.driftlock(["report", "--format", "html", &kept]).code(0).stdout().matches("-two</span>").count(),
        1
    );
    says(&world.driftlock(["report", &kept]).code(0).stdout(), &["      -two\n"]);
}

#[test]
fn no_report_has_contents_that_was_not_asked_for_them() {
    let secret = PLANTED.as_bytes();
    let files: &[(&str, &[u8], &[u8])] = &[("a.yml", b"one\n", secret), ("web/.env", b"x", secret)];
    let all = everywhere(&world("", files), &[]);
    assert!(!all.contains(PLANTED), "{all}");
    assert!(!all.contains("\"diff\""), "{all}");
    // The check itself can ask; then it is there, and only in three forms.
    let world = world("show_changes = true\n", &files[..1]);
    for (format, has_it) in [
        ("text", true),
        ("json", true),
        ("html", true),
        ("github", false),
        ("junit", false),
        ("sarif", false),
        ("slack", false),
        ("prometheus", false),
    ] {
        let finished = world.driftlock(["check", "--format", format]).code(1);
        assert_eq!(finished.stdout().contains(PLANTED), has_it, "{format}");
    }
}

/// By their names, in a directory of secrets, and by what is in them, before or after.
#[test]
fn a_secret_is_in_no_report() {
    let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{PLANTED}\n");
    let (secret, key) = (PLANTED.as_bytes(), key.as_bytes());
    let files: &[(&str, &[u8], &[u8])] = &[
        (".env", b"a", secret),
        ("web/prod.env", secret, b"a"),
        ("web/tls.PEM", b"a", secret),
        ("web/id_ed25519", b"a", secret),
        ("secrets/db", b"a", secret),
        ("web/db_password.txt", b"a", secret),
        ("web/plain", key, b"a"),
        ("web/other", b"a", key),
    ];
    let world = world("", files);
    let all = everywhere(&world, &["--show-changes"]);
    assert!(!all.contains(PLANTED), "{all}");
    let report = world.driftlock(["check", "--show-changes", "--json"]).code(1).json();
    for (path, ..) in files {
        assert_eq!(diff(&report, path), json!({"hidden": "secret", "lines": [], "left_out": 0}), "{path}");
    }
    // One that is named letter for letter is no accident; a glob is none.
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    for (include, shown) in [("\".env\", \"**\"", true), ("\"*.env\", \"**\"", false)] {
        fs::write(world.path("driftlock.toml"), declaration.replace("\"**\"", include)).unwrap();
        let text = world.driftlock(["check", "--show-changes"]).code(1).stdout();
        assert_eq!(text.contains(PLANTED), shown, "{text}");
    }
}

#[test]
fn what_is_not_shown_is_said() {
    let large = vec![b'x'; (64 << 10) + 1];
    let long = (0..50).map(|number| format!("{number}\n")).collect::<String>();
    let wide = "w".repeat(1000);
    let files: &[(&str, &[u8], &[u8])] = &[
        ("binary", b"a", b"\0"),
        ("not-utf8", b"\xff", b"a"),
        ("large", b"a", &large),
        ("long", b"", long.as_bytes()),
        ("wide", b"a", wide.as_bytes()),
        ("elsewhere", b"locked", b"a"),
        ("no-lines", b"a\r\n\x1b[31m\xe2\x80\xae", b"a"),
    ];
    let world = world("", files);
    fs::write(world.path("reference/elsewhere"), "other").unwrap();
    let report = world.driftlock(["check", "--show-changes", "--json"]).code(1).json();
    let hidden = |why: &str| json!({"hidden": why, "lines": [], "left_out": 0});
    for (path, why) in [("binary", "binary"), ("not-utf8", "binary"), ("large", "large"), ("elsewhere", "no_reference")]
    {
        assert_eq!(diff(&report, path), hidden(why), "{path}");
    }
    let long = diff(&report, "long");
    assert_eq!((long["lines"].as_array().unwrap().len(), &long["left_out"]), (20, &json!(31)));
    assert_eq!(diff(&report, "wide")["lines"][3], format!("+{}…", "w".repeat(399)));
    let text = world.driftlock(["check", "--show-changes"]).code(1).stdout();
    says(&text, &["      (a binary file)\n", "(not shown: it is larger than 64 KiB)", "      … and 31 lines more\n"]);
    says(&text, &["(not shown: no reference has the locked contents)", "-\\u{1b}[31m\\u{202e}"]);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    // A link in the reference leads nowhere.
    fs::remove_file(world.path("reference/binary")).unwrap();
    symlink(world.root("long"), world.path("reference/binary")).unwrap();
    let report = world.driftlock(["check", "--show-changes", "--json"]).code(1).json();
    assert_eq!(diff(&report, "binary"), hidden("no_reference"));
    world.driftlock(["check", "--show-changes", "--server", "web"]).code(2);
}
