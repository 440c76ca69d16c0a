//! `driftlock hash`, against the tools whose formats it prints.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use crate::harness::World;
use crate::watch::says;
use needs::needs;

fn world() -> World {
    let world = World::new();
    for (name, contents) in [
        (&b"m/a"[..], "1"),
        (b"m/empty", ""),
        (b"m/back\\slash", "2"),
        (b"m/new\nline", "3"),
        (b"m/carriage\rreturn", "4"),
        (b"m/not-utf8-\xff", "5"),
        (b"m/deep/er/z", "6"),
        (b"m/deep-er", "7"),
        (b"m/sp ace", "8"),
        (b"z", "9"),
    ] {
        world.write(name, contents);
    }
    world.write("m/run", "#!/bin/sh\n");
    fs::set_permissions(world.root("m/run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a", world.root("m/link")).unwrap();
    fs::create_dir(world.root("m/nothing")).unwrap();
    world
}

fn run(world: &World, command: &[&str]) -> Vec<u8> {
    let mut run = Command::new(command[0]);
    run.args(&command[1..]);
    world.command(run).code(0).output.stdout
}

#[test]
fn sha256sum_prints_the_same_and_accepts_it() {
    let world = world();
    let ours = world.driftlock(["hash", "root"]).code(0);
    says(&ours.stderr(), &["note: 1 entry that", "--format json"]);
    // By the bytes of the paths, as `sort -z` in the C locale does it.
    let theirs = run(&world, &["bash", "-c", "find root -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum"]);
    assert_eq!(String::from_utf8_lossy(&ours.output.stdout), String::from_utf8_lossy(&theirs));
    assert_eq!(ours.output.stdout, theirs);
    fs::write(world.path("sums"), &ours.output.stdout).unwrap();
    run(&world, &["sha256sum", "--check", "--strict", "--quiet", "sums"]);

    let arguments = ["root/z", "root/m/back\\slash", "root/m/a", "./root/m/new\nline", "root/m/a"];
    let ours = world.driftlock([&["hash"], &arguments[..]].concat()).code(0).output.stdout;
    assert_eq!(ours, run(&world, &[&["sha256sum"], &arguments[..]].concat()), "in the order of the arguments");
    assert_eq!(world.driftlock(["hash", "-q", "root"]).code(0).stderr(), "", "--quiet leaves the note out");
}

#[needs("nix")]
fn nix_prints_the_same() {
    let world = world();
    let paths = ["root", "root/m", "root/m/a", "root/m/run", "root/m/empty", "root/m/deep", "root/m/nothing"];
    let ours = world.driftlock([&["hash", "--format", "nar"], &paths[..]].concat()).code(0).stdout();
    let flags = ["nix", "--extra-experimental-features", "nix-command", "hash", "path", "--sri"];
    let mut nix = Command::new(flags[0]);
    nix.args(&flags[1..]).args(paths);
    let theirs = world.command(nix).env("HOME", "/nonexistent").code(0).stdout();
    assert_eq!(ours, theirs);
    assert_eq!(ours.lines().count(), paths.len());
}

#[test]
fn nix_has_no_archive_of_special_files() {
    let world = world();
    let _socket = std::os::unix::net::UnixListener::bind(world.root("m/socket")).unwrap();
    let finished = world.driftlock(["hash", "--format", "nar", "root/m", "root/z"]).code(2);
    says(&finished.stderr(), &["root/m has no Nix archive: root/m/socket is neither", "another --format"]);
    assert_eq!(finished.stdout().lines().count(), 1, "the other path is hashed all the same");
}

#[test]
fn json_has_the_entries_as_a_lock_has_them() {
    let world = world();
    world.lock();
    let value = world.driftlock(["hash", "--format", "json", "root"]).code(0).json();
    let mut expected = world.entries();
    for entry in &mut expected {
        let entry = entry.as_object_mut().unwrap();
        entry.remove("nar");
        if let Some(path) = entry.get_mut("path") {
            *path = format!("root/{}", path.as_str().unwrap()).into();
        } else {
            entry["path_base64"] = data_encoding::BASE64.encode(b"root/m/not-utf8-\xff").into();
        }
    }
    assert_eq!(value, serde_json::Value::Array(expected));
    assert_eq!(world.driftlock(["hash", "--json", "root"]).code(0).json(), value, "--json is the same");
    let file = world.driftlock(["hash", "--json", "root/z"]).code(0).json();
    assert_eq!((&file[0]["path"], &file[0]["size"], file.as_array().unwrap().len()), (&"root/z".into(), &1.into(), 1));
    fs::create_dir(world.path("none")).unwrap();
    assert_eq!(world.driftlock(["hash", "--json", "none"]).code(0).json(), serde_json::json!([]));
}

/// The operator named the link, so it is followed; below it none is.
#[test]
fn a_link_that_is_named_is_followed() {
    let world = world();
    symlink("root/m", world.path("link")).unwrap();
    let [named, real] =
        ["link", "root/m"].map(|path| world.driftlock(["hash", "--format", "nar", path]).code(0).stdout());
    assert_eq!(named, real);
    let text = world.driftlock(["hash", "link"]).code(0).stdout();
    says(&text, &["  link/a\n"]);
    assert!(!text.contains("link/link"), "{text}");
}

#[test]
fn what_can_not_be_read_is_told_and_the_rest_is_hashed() {
    let world = world();
    fs::set_permissions(world.root("m/a"), fs::Permissions::from_mode(0o000)).unwrap();
    for format in ["sha256sum", "nar", "json"] {
        let arguments = ["hash", "--format", format, "root/m", "root/m/run"];
        let finished = world.command(crate::harness::unprivileged(&world, &arguments)).code(2);
        says(&finished.stderr(), &["root/m/a could not be hashed: could not open it: Permission denied", "to do: "]);
        says(&finished.stdout(), &[if format == "nar" { "sha256-" } else { "root/m/run" }]);
        assert!(!finished.stdout().contains("root/m/a\n") && !finished.stdout().contains("root/m/a\""));
        assert_eq!(finished.stdout().lines().count() == 1, format == "nar", "no archive of a part");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let world = world();
    for format in ["sha256sum", "nar", "json"] {
        let hash =
            |threads| world.driftlock(["hash", "--format", format, "--threads", threads, "root"]).code(0).stdout();
        assert_eq!(hash("1"), hash("2"));
        assert_eq!(hash("1"), hash("7"));
    }
}
