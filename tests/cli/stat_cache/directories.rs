//! Directories that are as they were are not listed again, and whatever happens to the names in them is found.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use needs::needs;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::Value;

use super::{CACHE, check, private_directory, same, settle, trusted, world};
use crate::harness::{TREES, World, drift, the_check, unprivileged, unverified};
use crate::watch::strace;

/// What two reports of the same tree have in common, with a cache and without.
pub(super) const SAME: [&str; 7] = ["status", "counts", "digest", "live_digest", "drift", "unverified", "mounts"];

/// A locked tree with directories in directories, and a cache that knows all of it.
pub(super) fn known(declaration: &str) -> World {
    let world = world(declaration);
    for name in ["m/a", "m/d/one", "m/d/two", "m/e/one", "m/e/two", "m/d/deep/file", "loose"] {
        world.write(name, format!("{name}\n"));
    }
    fs::create_dir(world.root("m/empty")).unwrap();
    symlink("one", world.root("m/d/link")).unwrap();
    world.lock();
    settle();
    check(&world, 0);
    assert_eq!(listed(&world, 0), none());
    world
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

/// The directories below the root that a check with the cache lists.
fn listed(world: &World, code: i32) -> BTreeSet<String> {
    let options = ["-y", "-e", "trace=getdents64"];
    strace(world, &options, &["check", "--json", "--stat-cache", CACHE]).code(code);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    let root = world.path("root");
    let shown = |line: &str| {
        let path = line.split_once("getdents64(")?.1.split_once('<')?.1.split_once('>')?.0;
        let below = Path::new(path).strip_prefix(&root).ok()?;
        Some(below.to_str().unwrap().to_owned())
    };
    trace.lines().filter_map(shown).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// All directories below one, and itself.
fn directories(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_path_buf()];
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(directories(&entry.path()));
        }
    }
    all
}

/// Makes a change, and restores the mtimes of all directories to hide it.
pub(super) fn behind(world: &World, deed: impl FnOnce(&World)) {
    let root = world.path("root");
    let before: Vec<_> =
        directories(&root).into_iter().map(|path| (fs::metadata(&path).unwrap().modified().unwrap(), path)).collect();
    deed(world);
    for (time, path) in before {
        // A time that is set to what it is moves the ctime too.
        if path.symlink_metadata().is_ok_and(|status| status.is_dir() && status.modified().unwrap() != time) {
            File::open(path).unwrap().set_modified(time).unwrap();
        }
    }
}

pub(super) fn exchange(world: &World, a: &str, b: &str) {
    renameat_with(CWD, world.root(a), CWD, world.root(b), RenameFlags::EXCHANGE).unwrap();
}

type Deed = (&'static str, fn(&World), &'static [&'static str]);

/// Each with the directories that have to be listed again.
const DEEDS: &[Deed] = &[
    ("makes a file", |world| drop(world.write("m/d/new", "new")), &["m/d"]),
    ("makes an empty file in an empty directory", |world| drop(world.write("m/empty/new", "")), &["m/empty"]),
    ("makes a directory", |world| fs::create_dir(world.root("m/d/new")).unwrap(), &["m/d", "m/d/new"]),
    ("makes a link", |world| symlink("x", world.root("m/e/new")).unwrap(), &["m/e"]),
    ("makes a hard link", |world| fs::hard_link(world.root("m/a"), world.root("m/e/new")).unwrap(), &["m/e"]),
    (
        "makes a FIFO",
        |world| assert!(Command::new("mkfifo").arg(world.root("m/e/new")).status().unwrap().success()),
        &["m/e"],
    ),
    ("makes a file at the top", |world| drop(world.write("new", "new")), &[""]),
    ("removes a file", |world| fs::remove_file(world.root("m/d/one")).unwrap(), &["m/d"]),
    ("removes a link", |world| fs::remove_file(world.root("m/d/link")).unwrap(), &["m/d"]),
    ("removes an empty directory", |world| fs::remove_dir(world.root("m/empty")).unwrap(), &["m"]),
    ("removes a directory", |world| fs::remove_dir_all(world.root("m/d")).unwrap(), &["m"]),
    (
        "renames a file in its directory",
        |world| fs::rename(world.root("m/d/one"), world.root("m/d/uno")).unwrap(),
        &["m/d"],
    ),
    (
        "renames a file over another",
        |world| fs::rename(world.root("m/d/one"), world.root("m/d/two")).unwrap(),
        &["m/d"],
    ),
    (
        "moves a file to another directory",
        |world| fs::rename(world.root("m/d/one"), world.root("m/e/uno")).unwrap(),
        &["m/d", "m/e"],
    ),
    ("exchanges two files of one directory", |world| exchange(world, "m/d/one", "m/d/two"), &["m/d"]),
    ("exchanges two files of two directories", |world| exchange(world, "m/d/one", "m/e/two"), &["m/d", "m/e"]),
    ("exchanges a file and a directory", |world| exchange(world, "m/d/one", "m/d/deep"), &["m/d", "m/d/one"]),
    (
        "exchanges two directories with the same names in them",
        |world| exchange(world, "m/d", "m/e"),
        &["m", "m/d", "m/e"],
    ),
    ("exchanges two directories high above", |world| exchange(world, "m", "m/d/deep"), &[]),
    (
        "moves a directory, with what is in it",
        |world| fs::rename(world.root("m"), world.root("n")).unwrap(),
        &["", "n"],
    ),
    (
        "puts a link to a directory in its place",
        |world| {
            fs::rename(world.root("m/d"), world.path("elsewhere")).unwrap();
            symlink("../../elsewhere", world.root("m/d")).unwrap();
        },
        &["m"],
    ),
    (
        "puts a file in the place of a directory",
        |world| {
            fs::remove_dir_all(world.root("m/d")).unwrap();
            fs::write(world.root("m/d"), "x").unwrap();
        },
        &["m"],
    ),
    (
        "puts a copy in the place of a directory, with one more file",
        |world| {
            assert!(
                Command::new("cp").arg("-a").arg(world.root("m/e")).arg(world.path("copy")).status().unwrap().success()
            );
            fs::write(world.path("copy/three"), "").unwrap();
            fs::remove_dir_all(world.root("m/e")).unwrap();
            fs::rename(world.path("copy"), world.root("m/e")).unwrap();
        },
        &["m", "m/e"],
    ),
];

#[needs(strace)]
fn whatever_happens_to_names_is_found_and_goes_on_being_found() {
    std::thread::scope(|scope| {
        for (what, deed, expected) in DEEDS {
            scope.spawn(move || {
                let world = known(TREES);
                if what.contains("high above") {
                    // A directory can't change places with one that it is in.
                    fs::create_dir(world.root("k")).unwrap();
                    world.lock();
                    settle();
                    check(&world, 0);
                    behind(&world, |world| exchange(world, "m", "k"));
                    assert_eq!(listed(&world, 1), set(&["", "k", "m"]), "{what}");
                } else {
                    behind(&world, deed);
                    assert_eq!(listed(&world, 1), set(expected), "{what}");
                }
                for _ in 0..2 {
                    let found = same(&world, what);
                    assert!(!drift(&found).is_empty(), "{what}");
                }
                settle();
                same(&world, what);
                assert_eq!(listed(&world, 1), none(), "{what}: what drifted is known as well");
                same(&world, what);
            });
        }
    });
}

/// A name that comes or goes right after a run, within one tick of the clock, over and over.
#[needs(strace)]
fn a_name_that_comes_or_goes_right_after_a_run_is_never_missed() {
    let world = known(TREES);
    for round in 0..200 {
        let (a, b) = if round % 2 == 0 { ("m/d/one", "m/d/uno") } else { ("m/d/uno", "m/d/one") };
        behind(&world, |world| fs::rename(world.root(a), world.root(b)).unwrap());
        let found = check(&world, i32::from(round % 2 == 0));
        assert_eq!(drift(&found).len(), (round + 1) % 2, "round {round}");
    }
    assert_eq!(listed(&world, 0), set(&["m/d"]), "not known yet");
}

/// The same, but the directory is old enough at the time of the run to be kept, and changes at once afterwards.
#[needs(strace)]
fn a_name_that_comes_right_after_a_run_that_kept_the_directory_is_never_missed() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let world = known(TREES);
                for round in 0..5 {
                    behind(&world, |world| drop(world.write(format!("m/d/{round}"), "")));
                    assert_eq!(drift(&check(&world, 1)).len(), round + 1, "thread {thread}, round {round}");
                    settle();
                    // This run lists and keeps it.
                    check(&world, 1);
                }
            });
        }
    });
}

#[needs(strace)]
fn only_what_changed_is_listed() {
    let world = known(TREES);
    // What is in a file is no business of its directory.
    fs::write(world.root("m/d/one"), "m/d/ONE\n").unwrap();
    fs::set_permissions(world.root("m/e/one"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(listed(&world, 1), none());
    // The times of a directory are set to what they are already; its ctime tells.
    let d = File::open(world.root("m/d")).unwrap();
    d.set_modified(d.metadata().unwrap().modified().unwrap()).unwrap();
    assert_eq!(listed(&world, 1), set(&["m/d"]));
    assert_eq!(drift(&same(&world, "touched")), [("modified".to_owned(), "m/d/one".to_owned())]);
}

/// Globs are asked about every name each time: a directory that was moved with all above it keeps its times, and other
/// globs apply to what is in it.
#[needs(strace)]
fn globs_are_asked_about_names_that_are_known() {
    for declared in [
        TREES.replace("root = ", "exclude = [\"m/*/o*\", \"n/*/t*\"]\nroot = "),
        TREES.replace("trees", "files") + "include = [\"m/d/*\", \"n/e/*\", \"**/deep/*\"]\n",
    ] {
        let world = known(&declared);
        fs::rename(world.root("m"), world.root("n")).unwrap();
        let found = same(&world, "moved");
        assert!(drift(&found).iter().any(|(_, path)| path.starts_with("n/")), "{found:#}");
        fs::rename(world.root("n"), world.root("m")).unwrap();
        assert_eq!(drift(&same(&world, "moved back")), []);
    }
}

#[needs(root, strace)]
fn owners_of_directories_are_looked_at_each_time() {
    let world = attributes_are_looked_at_each_time("[\"mode\", \"owner\"]", &none());
    std::os::unix::fs::chown(world.root("m/d"), Some(65534), None).unwrap();
    assert_eq!(drift(&same(&world, "owner")), [("owner_changed".to_owned(), "m/d".to_owned())]);
}

/// Extended attributes are to be had only from a directory that was opened.
#[needs(strace, xattrs)]
fn extended_attributes_of_directories_are_looked_at_each_time() {
    let world = attributes_are_looked_at_each_time("[\"mode\", \"xattrs\"]", &set(&["", "m", "m/d"]));
    rustix::fs::setxattr(world.root("m/d"), "user.x", b"1", rustix::fs::XattrFlags::CREATE).unwrap();
    assert_eq!(drift(&same(&world, "xattr")), [("xattrs_changed".to_owned(), "m/d".to_owned())]);
}

/// A world whose modes of directories were looked at, and the directories that a run lists for that.
fn attributes_are_looked_at_each_time(attributes: &str, lists: &BTreeSet<String>) -> World {
    let world = world(&TREES.replace("root = ", &format!("attributes = {attributes}\nroot = ")));
    world.write("m/d/one", "1");
    world.lock();
    settle();
    check(&world, 0);
    assert_eq!(listed(&world, 0), *lists);
    fs::set_permissions(world.root("m/d"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(drift(&same(&world, "mode")), [("mode_changed".to_owned(), "m/d".to_owned())]);
    settle();
    same(&world, "kept");
    assert_eq!(drift(&same(&world, "known")), [("mode_changed".to_owned(), "m/d".to_owned())]);
    fs::set_permissions(world.root("m/d"), fs::Permissions::from_mode(0o755)).unwrap();
    check(&world, 0);
    world
}

#[needs(root)]
fn a_directory_that_can_not_be_listed_any_more_is_unverified() {
    let world = world(TREES);
    world.write("m/d/one", "1");
    world.lock();
    private_directory(&world.path("nobodys"));
    std::os::unix::fs::chown(world.path("nobodys"), Some(65534), Some(65534)).unwrap();
    fs::set_permissions(world.path("reports"), fs::Permissions::from_mode(0o777)).unwrap_or_default();
    let check = |code, cache: &[&str]| {
        let arguments = [&["check", "--json", "--output", "nobodys"], cache].concat();
        world.command(unprivileged(&world, &arguments)).code(code).json()
    };
    let cache = ["--stat-cache", "nobodys/cache"];
    settle();
    check(0, &cache);
    assert_eq!(trusted(&check(0, &cache)), 1);
    for mode in [0o711, 0o700] {
        fs::set_permissions(world.root("m/d"), fs::Permissions::from_mode(mode)).unwrap();
        for _ in 0..2 {
            let (with, without) = (check(2, &cache), check(2, &[]));
            assert_eq!(unverified(&with), ["m/d", "m/d/one"], "{mode:o}");
            assert_eq!(the_check(&with)["unverified"], the_check(&without)["unverified"], "{mode:o}");
            settle();
        }
    }
    fs::set_permissions(world.root("m/d"), fs::Permissions::from_mode(0o755)).unwrap();
    check(0, &cache);
}

/// Deeper than the kernel takes a path, with more names in one directory than a worker takes at once, more workers than
/// cores, and few descriptors.
#[needs("python3")]
fn deep_and_broad_trees_are_known_too() {
    let world = world(TREES);
    for number in 0..1500 {
        world.write(format!("broad/{number}"), "");
    }
    // By steps, since no call takes such a path.
    let script = "import os\nos.chdir('root')\nfor level in range(60):\n    os.mkdir('x' * 200)\n    os.chdir('x' * 200)\n    \
                  open('file', 'w').write(str(level))\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    world.command(command).code(0);
    world.lock();
    settle();
    let limited = |code| {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_driftlock")]);
        limited.args(["check", "--json", "--threads", "7", "--stat-cache", CACHE]);
        world.command(limited).code(code).json()
    };
    limited(0);
    assert_eq!(trusted(&limited(0)), 1560);
    assert_eq!(listed(&world, 0), none());
    world.write("broad/new", "");
    assert_eq!(drift(&limited(1)), [("added".to_owned(), "broad/new".to_owned())]);
}

/// A kernel that refuses a call, whichever: an entry is then verified by other means, or unverified, and never anything
/// else.
#[needs(strace)]
fn a_call_that_fails_hides_nothing() {
    let world = known(TREES);
    let entries = the_check(&check(&world, 0))["counts"]["entries"].clone();
    let places: Vec<_> = directories(&world.path("root"))
        .into_iter()
        .flat_map(|path| ["-P".to_owned(), path.to_str().unwrap().to_owned()])
        .collect();
    let mut ended = BTreeSet::new();
    let mut inject = |call: &str, error: &str, when: &str| {
        let inject = format!("inject={call}:error={error}{when}");
        let mut options = vec!["-q", "-e", &inject];
        options.extend(places.iter().map(String::as_str));
        let output = strace(&world, &options, &["check", "--json", "--stat-cache", CACHE]).command.output().unwrap();
        let code = output.status.code();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = &the_check(&report)["counts"];
        assert_eq!(drift(&report), [], "{inject}");
        match code {
            Some(0) => assert_eq!(counts["verified"], entries, "{inject}"),
            Some(2) => {
                assert!(the_check(&report)["trouble"].is_object() || counts["unverified"] != 0, "{inject}: {report:#}");
            }
            _ => panic!("{inject} ended with {code:?}"),
        }
        ended.insert((call.to_owned(), code));
        output.status.code()
    };
    // A kernel, or a filter, without this call; and one that can't say for certain. Names are then taken one by one.
    for error in ["ENOSYS", "EPERM", "EAGAIN"] {
        assert_eq!(inject("openat2", error, ""), Some(0), "{error}");
    }
    for (call, error) in [("statx", "EIO"), ("openat", "EACCES"), ("openat", "ENOENT"), ("openat2", "EMFILE")] {
        for when in 1..=8 {
            inject(call, error, &format!(":when={when}"));
        }
    }
    let ended = |call: &str, code| ended.contains(&(call.to_owned(), Some(code)));
    assert!(ended("statx", 2), "what can't be looked at is unverified");
    assert!(ended("openat", 0), "what can't be looked at without opening it is opened");
    // Nothing of it is left.
    check(&world, 0);
    assert_eq!(listed(&world, 0), none());
}

/// `$1` is driftlock. After each change, what is found with the cache and without: `DEED.json` and `DEED-full.json`.
const MOUNTS: &str = r#"
set -u
mkdir other; echo x > other/one; echo other > file
found() {
    code=0; "$1" check --json --stat-cache state/cache > "$2.json" 2>> errors || code=$?
    full=0; "$1" check --json > "$2-full.json" 2>> errors || full=$?
    [ $code = $full ] || { echo "$2: $code and not $full" >&2; cat errors >&2; exit 9; }
}
mount --bind other root/m/d || exit 9; found "$1" bound; found "$1" bound; umount root/m/d
mount --bind root/m/e root/m/d || exit 9; found "$1" neighbour; umount root/m/d
mount --bind root/m/d root/m/d || exit 9; found "$1" itself; umount root/m/d
mount -t tmpfs tmpfs root/m/d || exit 9; found "$1" empty; echo x > root/m/d/one; found "$1" filled; umount root/m/d
mount --bind file root/m/d/one || exit 9; found "$1" file; umount root/m/d/one
mount --bind root/m/d/two root/m/d/one || exit 9; found "$1" twin; umount root/m/d/one
mount --bind root/m/d/one root/m/d/one || exit 9; found "$1" same; umount root/m/d/one
found "$1" none
"#;

#[needs(mounts)]
fn what_is_mounted_over_a_directory_that_is_known_is_found() {
    std::thread::scope(|scope| {
        for one_file_system in [false, true] {
            scope.spawn(move || {
                let declared = TREES.replace("root = ", &format!("one_file_system = {one_file_system}\nroot = "));
                let world = known(&declared);
                let mut command = Command::new("unshare");
                command.args(["--mount", "--propagation", "private", "sh", "-c", MOUNTS, "sh"]);
                command.arg(env!("CARGO_BIN_EXE_driftlock"));
                world.command(command).code(0);
                for deed in ["bound", "neighbour", "itself", "empty", "filled", "file", "twin", "same", "none"] {
                    let report = |name: String| -> Value {
                        serde_json::from_slice(&fs::read(world.path(name)).unwrap()).unwrap()
                    };
                    let (with, without) = (report(format!("{deed}.json")), report(format!("{deed}-full.json")));
                    for key in SAME {
                        assert_eq!(the_check(&with)[key], the_check(&without)[key], "{deed}: {key}");
                    }
                    let seen = the_check(&with)["mounts"].as_array().unwrap().len() + unverified(&with).len();
                    assert_eq!(seen > 0, deed != "none", "{deed}: {with:#}");
                }
            });
        }
    });
}
