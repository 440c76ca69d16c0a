//! Locks that driftlock did not write so. None of them is compared, and none is overwritten: it may be the only trace
//! of what happened to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use needs::needs;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::harness::{FILES, TREES, World};
use crate::watch::{names, no_panic, not_checked, refused, refused_and_untouched, says, snapshot};

fn world() -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.write("m/b", "22");
    world.write("z", "333");
    world.lock();
    world
}

/// Makes sure that a lock with these bytes is refused by everything that reads it, and left as it is.
fn is_refused(world: &World, bytes: &[u8], problem: &str) {
    let lock = world.path("locks/tree.lock.json");
    fs::write(&lock, bytes).unwrap();
    let before = snapshot(world, &["locks", "root"]);
    not_checked(world, 2, &["locks/tree.lock.json is refused", problem]);
    for arguments in [&["lock"][..], &["lock", "--dry-run"], &["diff", "locks/tree.lock.json", "live"]] {
        let finished = world.driftlock(arguments).code(2);
        no_panic(&finished);
        assert_eq!(finished.stdout(), "", "{arguments:?}");
        says(&finished.stderr(), &["tree.lock.json", "to do: "]);
    }
    says(&world.driftlock(["lock"]).code(2).stderr(), &["was left as it is", "restore it from git"]);
    assert_eq!(snapshot(world, &["locks", "root"]), before, "nothing is overwritten");
    // Once it is gone, as the message says, all is well again.
    fs::remove_file(&lock).unwrap();
    world.lock();
    world.check(0);
}

#[test]
fn malformed_locks() {
    let world = world();
    let good = String::from_utf8(world.lock_bytes()).unwrap();
    let lines: Vec<_> = good.split_inclusive('\n').collect();
    let swapped = |a: usize, b: usize| {
        let mut lines = lines.clone();
        lines.swap(a, b);
        lines.concat()
    };
    let digest_line = lines[4];
    assert!(digest_line.starts_with("\"digest\"") && lines.len() == 12, "{good}");
    let other_digest =
        good.replace(digest_line, "\"digest\": \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\",\n");
    for (bytes, problem) in [
        (String::new(), "it is empty"),
        ("\n".to_owned(), "line 1"),
        ("{}\n".to_owned(), "line 1"),
        ("null\n".to_owned(), "line 1"),
        (good.replace("\"driftlock\": 1", "\"driftlock\": 2"), "format version 2 is unknown, only 1 is known"),
        (good.replace("\"driftlock\": 1", "\"driftlock\": 1.0"), "format version 1.0 is unknown, only 1 is known"),
        (good.replace("\"driftlock\": 1", "\"driftlock\": \"1\""), "line 2"),
        (good.replace("\"check\": \"tree\"", "\"check\": \"other\""), "it belongs to the check other"),
        (good.replace("\"check\": \"tree\"", "\"check\": \"tr\\u0065e\""), "differ in spacing"),
        (good.replace("\"kind\": \"trees\"", "\"kind\": \"leaves\""), "`kind` is not known"),
        (other_digest, "it was changed by hand or damaged"),
        (good.replace("\"size\":3", "\"size\":4"), "it was changed by hand or damaged"),
        (good.replace("\"size\":3", "\"size\":03"), "line 10"),
        (good.replace("\"size\":3", "\"size\": 3"), "it should read"),
        (good.replace("\"size\":3,", "\"size\":3,\"colour\":1,"), "colour"),
        (good.replace("\"path\":\"z\"", "\"path\":\"../z\""), "line 10"),
        (good.replace("\"path\":\"z\"", "\"path\":\"/z\""), "line 10"),
        (good.replace("\"path\":\"z\"", "\"path\":\"z\\u0000\""), "line 10"),
        (good.replace("\"path\":\"z\"", "\"path\":\"m/b\""), "m/b is there twice"),
        (swapped(2, 3), "line 3"),
        (swapped(7, 8), "is out of order: it sorts before the path above it"),
        (lines[..8].concat() + &lines[9..].concat(), "it was changed by hand or damaged"),
        (good.replace('\n', "\r\n"), "its lines end with CR LF"),
        (format!("\u{feff}{good}"), "a byte order mark"),
        (format!("\n{good}"), "line 1"),
        (format!("{good}\n"), "after the end"),
        (format!("{good}{good}"), "after the end"),
        (format!("{good}\0"), "after the end"),
        (good.trim_end().to_owned(), "it ends in the middle"),
        (good[..good.len() / 2].to_owned(), "it ends in the middle"),
        (lines[..9].concat(), "it ends in the middle"),
        (good.replace("},\n]", "},\n\n]").replace("}\n]", "},\n]"), "comma"),
        (good.replace("},\n", "}\n"), "the line before it has no comma"),
        (good.replace("\"333", "\"\0"), "\0"),
    ] {
        if bytes == good {
            assert_eq!(problem, "\0", "a change that changes nothing tests nothing");
            continue;
        }
        is_refused(&world, bytes.as_bytes(), problem);
    }
    assert_eq!(String::from_utf8(world.lock_bytes()).unwrap(), good, "the same lock after all that");
    is_refused(&world, &good.replace("\"path\":\"z\"", "\"path\":\"z\0\"").into_bytes(), "line 10");
    let mut bytes = good.clone().into_bytes();
    bytes[good.find("\"z\"").unwrap() + 1] = 0xff;
    is_refused(&world, &bytes, "line 10");
}

/// The same JSON to every parser, and not the same bytes: another tool has written it.
#[needs("jq")]
fn lock_written_again_by_jq() {
    let world = world();
    let good = world.lock_bytes();
    for options in [&["."][..], &["-c", "."], &["-S", "."], &["--tab", "."]] {
        fs::write(world.path("locks/tree.lock.json"), &good).unwrap();
        let output = Command::new("jq").args(options).arg(world.path("locks/tree.lock.json")).output().unwrap();
        assert!(output.status.success(), "jq reads our lock");
        is_refused(&world, &output.stdout, "line ");
    }
}

#[test]
fn lock_of_another_kind_or_with_other_attributes() {
    let world = world();
    let before = snapshot(&world, &["locks"]);
    fs::write(world.path("driftlock.toml"), FILES).unwrap();
    not_checked(&world, 2, &["it was written for kind \"trees\", and the declaration says \"files\""]);
    let attributes = TREES.replace("kind", "attributes = [\"mode\"]\nkind");
    fs::write(world.path("driftlock.toml"), &attributes).unwrap();
    not_checked(&world, 2, &["with attributes [], and the declaration asks for [mode]"]);
    refused(world.driftlock(["diff", "locks/tree.lock.json", "live"]), &["attributes", "to do: "]);
    assert_eq!(snapshot(&world, &["locks"]), before);
    // Here the declaration was changed and not the lock, so `lock` is the remedy that the message names.
    world.lock();
    world.check(0);
    fs::write(world.path("driftlock.toml"), TREES).unwrap();
    not_checked(&world, 2, &["with attributes [mode], and the declaration asks for []"]);
}

/// A lock copied over another check's.
#[test]
fn lock_of_another_check() {
    let world = World::declaring(&format!("{TREES}\n[check.other]\nkind = \"trees\"\nroot = \"root\"\n"));
    world.write("m/a", "1");
    world.lock();
    fs::copy(world.path("locks/other.lock.json"), world.path("locks/tree.lock.json")).unwrap();
    not_checked(&world, 2, &["it belongs to the check other, not to tree"]);
    let before = snapshot(&world, &["locks"]);
    let finished = world.driftlock(["lock"]).code(2);
    says(&finished.stderr(), &["it belongs to the check other", "the lock of tree was left as it is"]);
    says(&finished.stdout(), &["unchanged locks/other.lock.json"]);
    assert_eq!(snapshot(&world, &["locks"]), before);
}

#[test]
fn lock_that_is_no_file() {
    let world = world();
    let lock = world.path("locks/tree.lock.json");
    let replaced_by = |problem: &str, replace: &dyn Fn()| {
        fs::rename(&lock, world.path("kept")).unwrap();
        replace();
        let before = snapshot(&world, &["locks", "kept", "root"]);
        not_checked(&world, 2, &["locks/tree.lock.json is refused", problem]);
        refused(world.driftlock(["lock"]), &["locks/tree.lock.json is refused", problem, "was left as it is"]);
        assert_eq!(snapshot(&world, &["locks", "kept", "root"]), before);
        if lock.is_dir() && !lock.is_symlink() {
            fs::remove_dir(&lock).unwrap();
        } else {
            fs::remove_file(&lock).unwrap();
        }
        fs::rename(world.path("kept"), &lock).unwrap();
        world.check(0);
    };
    replaced_by("not a regular file", &|| fs::create_dir(&lock).unwrap());
    replaced_by("not a regular file", &|| {
        mknodat(CWD, &lock, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    });
    replaced_by("symbolic links", &|| symlink("tree.lock.json", &lock).unwrap());
    // A link that leads out of the locks directory, even to a lock that is as it should be, or to an endless device.
    replaced_by("which is not in the locks directory", &|| symlink("../kept", &lock).unwrap());
    replaced_by("which is not in the locks directory", &|| symlink(world.path("kept"), &lock).unwrap());
    replaced_by("which is not in the locks directory", &|| symlink("/dev/zero", &lock).unwrap());
    replaced_by("which is not in the locks directory", &|| symlink("/etc/passwd", &lock).unwrap());
}

/// Whatever lies under the name of the temporary file, nothing is written through it.
#[test]
fn temporary_file_that_is_planted() {
    let world = world();
    let temporary = world.path("locks/.tree.lock.json.tmp");
    let old = world.lock_bytes();
    world.write("z", "changed");
    let outside = world.path("precious");
    fs::write(&outside, "precious").unwrap();
    let inside = world.path("locks/other.lock.json");
    fs::write(&inside, "precious").unwrap();
    let planted = |plant: &dyn Fn()| {
        plant();
        refused(world.driftlock(["lock"]), &["locks/tree.lock.json could not be written", "to do: "]);
        assert_eq!(world.lock_bytes(), old);
        assert_eq!((fs::read(&outside).unwrap(), fs::read(&inside).unwrap()), (b"precious".into(), b"precious".into()));
        if temporary.is_dir() && !temporary.is_symlink() {
            fs::remove_dir(&temporary).unwrap();
        } else {
            fs::remove_file(&temporary).unwrap();
        }
    };
    planted(&|| symlink("../precious", &temporary).unwrap());
    planted(&|| symlink(&outside, &temporary).unwrap());
    planted(&|| symlink("other.lock.json", &temporary).unwrap());
    planted(&|| fs::hard_link(&outside, &temporary).unwrap());
    planted(&|| fs::create_dir(&temporary).unwrap());
    planted(&|| mknodat(CWD, &temporary, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap());
    // A rest of a run that crashed is no obstacle.
    fs::write(&temporary, "half a lo").unwrap();
    world.lock();
    world.check(0);
    assert_eq!(names(world.path("locks")), ["other.lock.json", "tree.lock.json"]);
}

/// Reports that are to be compared are read as strictly.
#[test]
fn malformed_reports() {
    let world = world();
    let report = world.driftlock(["check", "--json"]).code(0).stdout();
    fs::create_dir_all(world.path("r/good")).unwrap();
    fs::write(world.path("r/good/drift_report.json"), &report).unwrap();
    world.driftlock(["diff", "r/good", "r/good/drift_report.json"]).code(0);
    for (number, (bytes, problem)) in [
        (String::new(), "Empty lock or report"),
        (report[..report.len() / 2].to_owned(), "it ends in the middle"),
        (format!("{report}x"), "it is not JSON"),
        (report.replace("driftlock-report-1", "driftlock-report-9"), "driftlock-report-9"),
        ("{\"overall\": \"PASS\"}\n".to_owned(), "it is not a report of driftlock"),
        (report.replace("\"verified\": 4", "\"verified\": 5"), "contradicts itself"),
        (report.replace("\"mode\": \"local\"", "\"mode\": \"lunar\""), "it does not follow its schema"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("r/{number}.json");
        fs::write(world.path(&name), bytes).unwrap();
        let problem = if number == 0 { "it is empty" } else { problem };
        refused_and_untouched(&world, &["diff", "r/good", &name], &[&name, problem, "to do: "]);
    }
    refused_and_untouched(&world, &["diff", "r/good", "locks/tree.lock.json"], &["one is a lock, the other a report"]);
    refused_and_untouched(&world, &["diff", "r/good", "live"], &["is a report; only a lock"]);
    refused_and_untouched(&world, &["diff", "live", "r/good"], &["`live` can only be the second side"]);
    refused_and_untouched(&world, &["diff", "r", "r/good"], &["without a readable drift_report.json"]);
    // A FIFO in its place must not hold the run up.
    fs::create_dir(world.path("r/fifo")).unwrap();
    mknodat(CWD, world.path("r/fifo/drift_report.json"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let mut command = Command::new("timeout");
    command.args(["10", env!("CARGO_BIN_EXE_driftlock"), "diff", "r/fifo", "r/good"]);
    refused(world.command(command), &["r/fifo", "to do: "]);
}
