//! What is compared again since it is another lock, or may be one; and several of them.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use needs::needs;
use serde_json::Value;

use super::{MORE, compares, declared, exchange, mark, remembered, skips};
use crate::harness::{FILES, TREES, World, drift, the_check};
use crate::stat_cache::directories::known;
use crate::stat_cache::{CACHE, check, same, settle, world};

const LOCK: &str = "locks/tree.lock.json";

/// Another digit in the last entry of a lock, far behind what is read of it when it is opened, or near.
fn forged(lock: &[u8]) -> Vec<u8> {
    let mut lock = lock.to_vec();
    let text = String::from_utf8(lock.clone()).unwrap();
    let at = text.rfind("\"sha256\":\"").map(|at| at + 10).unwrap();
    lock[at] = if lock[at] == b'0' { b'1' } else { b'0' };
    lock
}

/// Does something to a file, and puts its mtime back.
fn behind(path: &Path, deed: impl FnOnce(&Path)) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    deed(path);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn write(path: &Path, bytes: &[u8]) {
    behind(path, |path| fs::write(path, bytes).unwrap());
}

/// One change to a lock with these bytes.
type Deed = (&'static str, fn(&Path, &[u8]));

/// None of them touches what the lock states of itself at its beginning, its size (but for the last two), or its mtime.
const DEEDS: &[Deed] = &[
    ("writes another digest", |path, good| write(path, &forged(good))),
    ("renames another lock over it", |path, good| {
        let time = fs::metadata(path).unwrap().modified().unwrap();
        let other = path.with_extension("other");
        fs::write(&other, forged(good)).unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        fs::rename(other, path).unwrap();
    }),
    ("stores another digest through a mapping", |path, good| {
        let at = good.iter().zip(forged(good)).position(|(a, b)| *a != b).unwrap();
        let script = "import mmap,sys\nf=open(sys.argv[1],'r+b')\nat=int(sys.argv[2])\n\
                          mmap.mmap(f.fileno(),0)[at:at+1]=sys.argv[3].encode()\n";
        let digit = char::from(forged(good)[at]).to_string();
        behind(path, |path| {
            let mut python = Command::new("python3");
            python.args(["-c", script]).arg(path).args([&at.to_string(), &digit]);
            assert!(python.status().unwrap().success());
        });
        assert_eq!(fs::read(path).unwrap(), forged(good));
    }),
    ("cuts it off", |path, good| write(path, &good[..good.len() - 3])),
    ("writes on behind its end", |path, good| write(path, &[good, b"x\n"].concat())),
];

#[needs(strace, "python3")]
fn a_lock_that_was_tampered_with_is_refused_as_without_a_cache() {
    std::thread::scope(|scope| {
        for (what, deed) in DEEDS {
            for large in [false, true] {
                scope.spawn(move || {
                    let world = world(TREES);
                    for number in 0..if large { 1500 } else { 3 } {
                        world.write(format!("m/file{number}"), number.to_string());
                    }
                    world.lock();
                    let good = world.lock_bytes();
                    assert_eq!(good.len() > 131_072 + 4096, large);
                    settle();
                    check(&world, 0);
                    assert_eq!(skips(&world, 0), [true], "{what}");
                    deed(&world.path(LOCK), &good);
                    for _ in 0..2 {
                        let found = compares(&world, what);
                        assert_eq!(found["overall"], "FAIL", "{what}");
                        assert!(declared(&found)[0]["trouble"].is_object(), "{what}: {found:#}");
                        check(&world, 2);
                        assert_eq!(remembered(&fs::read(world.path(CACHE)).unwrap()), [u64::MAX], "{what}");
                        settle();
                    }
                    fs::write(world.path(LOCK), &good).unwrap();
                    assert_eq!(drift(&compares(&world, what)), []);
                    settle();
                    check(&world, 0);
                    check(&world, 0);
                    assert_eq!(skips(&world, 0), [true], "{what}");
                });
            }
        }
    });
}

/// A lock of another state of the tree, which is a good one, with the same number of bytes.
#[needs(strace)]
fn another_lock_that_is_as_good_is_compared() {
    let world = known(TREES);
    let good = world.lock_bytes();
    assert_eq!(skips(&world, 0), [true]);
    world.write("m/a", "m/A\n");
    world.lock();
    let other = world.lock_bytes();
    assert!(other != good && other.len() == good.len());
    world.write("m/a", "m/a\n");
    fs::write(world.path(LOCK), &good).unwrap();
    settle();
    check(&world, 0);
    check(&world, 0);
    assert_eq!(skips(&world, 0), [true]);
    write(&world.path(LOCK), &other);
    for _ in 0..3 {
        assert_eq!(drift(&compares(&world, "other")), [("modified".to_owned(), "m/a".to_owned())]);
        settle();
    }
    // The same bytes in another file are the same lock, once they are known.
    fs::write(world.path("copy"), &good).unwrap();
    fs::rename(world.path("copy"), world.path(LOCK)).unwrap();
    assert_eq!(drift(&compares(&world, "back")), []);
    settle();
    check(&world, 0);
    check(&world, 0);
    assert_eq!(skips(&world, 0), [true]);
    fs::write(world.path("copy"), &good).unwrap();
    fs::rename(world.path("copy"), world.path(LOCK)).unwrap();
    settle();
    assert_eq!(skips(&world, 0), [true], "its digest is that of the lock that all was equal to");
}

/// Two files of the tree, and two locks, change places at once.
#[needs(strace)]
fn a_lock_that_fits_what_was_changed_is_no_drift() {
    let world = known(TREES);
    let before = world.lock_bytes();
    exchange(&world, "m/d/one", "m/e/two");
    world.lock();
    assert_eq!(drift(&compares(&world, "locked")), []);
    fs::write(world.path(LOCK), before).unwrap();
    assert_eq!(drift(&compares(&world, "the old lock")).len(), 2);
    fs::remove_file(world.path(LOCK)).unwrap();
    let found = compares(&world, "no lock");
    assert_eq!(declared(&found)[0]["status"], "SKIP", "{found:#}");
}

#[test]
fn a_lock_is_believed_only_once_it_has_settled() {
    let world = world(TREES);
    world.write("m/a", "a");
    settle();
    world.lock();
    check(&world, 0);
    assert_eq!(skips(&world, 0), [false], "everything but the lock is known");
    assert_eq!(remembered(&fs::read(world.path(CACHE)).unwrap()), [u64::MAX]);
    settle();
    assert_eq!(skips(&world, 0), [false]);
    assert_eq!(skips(&world, 0), [true]);
    // What was learnt is kept when a lock goes through the same once more.
    let lock = world.lock_bytes();
    fs::write(world.path(LOCK), &lock).unwrap();
    assert_eq!(skips(&world, 0), [false]);
}

#[needs(strace)]
fn a_text_lock_is_known_by_its_bytes() {
    let world = known(&FILES.replace("root = ", "lock = \"tree.lock.txt\"\nexclude = [\"**/link\"]\nroot = "));
    let path = world.path("locks/tree.lock.txt");
    let good = fs::read(&path).unwrap();
    // It is read whole each time, so it need not have settled.
    fs::write(&path, &good).unwrap();
    assert_eq!(skips(&world, 0), [true]);
    let mut other = good.clone();
    other[0] = if other[0] == b'0' { b'1' } else { b'0' };
    for _ in 0..3 {
        write(&path, &other);
        assert_eq!(drift(&compares(&world, "one digit")).len(), 1);
    }
    write(&path, &good);
    assert_eq!(drift(&compares(&world, "as it was")), []);
    settle();
    check(&world, 0);
    assert_eq!(skips(&world, 0), [true]);
}

/// Each check is equal, or is not, for itself.
#[needs(strace)]
fn of_several_checks_each_is_known_for_itself() {
    let two = "\n[check.two]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"m/e/*\"]\n\n\
               [check.three]\nkind = \"trees\"\nroot = \"root/m/d\"\nattributes = [\"mode\"]\n";
    let world = known(&format!("{TREES}{two}"));
    assert_eq!(skips(&world, 0), [true; 3]);
    let status = |found: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        declared(found).iter().map(|check| (text(&check["name"]), text(&check["status"]))).collect()
    };
    let names: Vec<_> = status(&check(&world, 0)).into_iter().map(|(name, _)| name).collect();
    let with_drift = |drifts: &[&str]| {
        let of = |name: &String| if drifts.contains(&&**name) { "FAIL" } else { "PASS" };
        names.iter().map(|name| (name.clone(), of(name).to_owned())).collect::<Vec<_>>()
    };
    fs::write(world.root("m/e/one"), "m/e/ONE\n").unwrap();
    for _ in 0..3 {
        assert_eq!(status(&compares_some(&world, &["tree", "two"], &names)), with_drift(&["tree", "two"]));
        settle();
    }
    fs::write(world.root("m/e/one"), "m/e/one\n").unwrap();
    settle();
    check(&world, 0);
    assert_eq!(skips(&world, 0), [true; 3]);
    assert!(Command::new("chmod").arg("600").arg(world.root("m/d/one")).status().unwrap().success());
    assert_eq!(status(&compares_some(&world, &["tree", "three"], &names)), with_drift(&["three"]));
    // Locks that change places: none is the lock of the other check.
    fs::rename(world.path("locks/two.lock.json"), world.path("locks/three.lock.json")).unwrap();
    compares(&world, "moved");
    // One check alone has a cache of its own.
    for _ in 0..2 {
        let arguments = ["check", "--json", "--stat-cache", "state/one", "--check", "tree"];
        assert_eq!(drift(&world.driftlock(arguments).code(0).json()), []);
        settle();
    }
    assert_eq!(mark(&world.path("state/one")).iter().filter(|entries| **entries != u64::MAX).count(), 1);
    let one = world.driftlock(["check", "--json", "--stat-cache", "state/one", "--check", "tree"]).code(0).json();
    assert!(the_check(&one)["counts"]["entries"].as_u64().unwrap() > MORE);
}

/// Checks with what all checks say if they were equal marked: those that are to be compared are, and the others not.
fn compares_some(world: &World, compared: &[&str], names: &[String]) -> Value {
    let marked = mark(&world.path(CACHE));
    let output = world.driftlock(["check", "--json", "--stat-cache", CACHE]).command.output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    for ((check, name), before) in declared(&found).iter().zip(names).zip(marked) {
        let skipped = check["counts"]["entries"].as_u64().unwrap() > MORE;
        assert_eq!(skipped, before != u64::MAX && !compared.contains(&&**name), "{name}");
    }
    // The marks are no part of what is known.
    fs::remove_file(world.path(CACHE)).unwrap();
    same(world, "from scratch");
    found
}

/// `$1` is driftlock. A lock in memory is never known; one that is read whole is.
const IN_MEMORY: &str = r#"
set -eu
mkdir locks; mount -t tmpfs tmpfs locks
"$1" lock --quiet
sleep 2.2
for run in 1 2 3; do "$1" check --json --stat-cache state/cache > report.json; done
cp state/cache after
sed -i 's/b/B/' root/m/b
touch -r root/m/a root/m/b
code=0; "$1" check --json --stat-cache state/cache > report.json || code=$?
[ $code = 1 ] || exit 9
"#;

#[needs(mounts)]
fn a_lock_on_another_kind_of_file_system_is_not_known() {
    std::thread::scope(|scope| {
        for (declaration, is_known) in
            [(TREES.to_owned(), false), (FILES.replace("root = ", "lock = \"tree.lock.txt\"\nroot = "), true)]
        {
            scope.spawn(move || {
                let world = world(&declaration);
                world.write("m/a", "a");
                world.write("m/b", "b");
                let mut command = Command::new("unshare");
                command.args(["--mount", "--propagation", "private", "sh", "-c", IN_MEMORY, "sh"]);
                command.arg(env!("CARGO_BIN_EXE_driftlock"));
                world.command(command).code(0);
                let kept = remembered(&fs::read(world.path("after")).unwrap());
                assert_eq!(kept != [u64::MAX], is_known, "{declaration}");
                let found: Value = serde_json::from_slice(&fs::read(world.path("report.json")).unwrap()).unwrap();
                assert_eq!(drift(&found), [("modified".to_owned(), "m/b".to_owned())]);
            });
        }
    });
}
