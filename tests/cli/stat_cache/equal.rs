//! What is wholly as it was when it was equal to the lock is not compared again, and all else is.

mod locks;
mod places;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use needs::needs;
use serde_json::Value;
use sha2::Digest as _;

use super::directories::{SAME, behind, exchange, known};
use super::{CACHE, check, same, settle, world};
use crate::harness::{FILES, TREES, World, drift, the_check};
use crate::watch::strace;

/// More entries than any test has.
pub(super) const MORE: u64 = 1_000_000;

/// How many entries the cache says of each check that all of them were as the lock has them; `u64::MAX` if they were not.
/// Where these numbers stand is in `src/stat_cache/file.rs`.
fn remembered(cache: &[u8]) -> Vec<u64> {
    let checks = u32::from_le_bytes(cache[56..60].try_into().unwrap()) as usize;
    // The last are the locks.
    let of = |check| u64::from_le_bytes(cache[60 + 80 * check + 40..][..8].try_into().unwrap());
    (0..checks - 1).map(of).collect()
}

/// Makes the cache say that there were [`MORE`] entries, wherever it says that all were equal. So a run that takes its
/// word for it, and does not compare, shows; there is no other way in which this number gets into a report. Gives what it
/// said before.
pub(super) fn mark(path: &Path) -> Vec<u64> {
    let mut cache = fs::read(path).unwrap();
    let before = remembered(&cache);
    for (check, entries) in before.iter().enumerate().filter(|(_, entries)| **entries != u64::MAX) {
        cache[60 + 80 * check + 40..][..8].copy_from_slice(&(entries % MORE + MORE).to_le_bytes());
    }
    let end = cache.len() - 32;
    let digest = sha2::Sha256::digest(&cache[..end]);
    cache[end..].copy_from_slice(&digest);
    fs::write(path, cache).unwrap();
    before
}

/// The checks that are declared; the first of a report is that all locks are there.
fn declared(report: &Value) -> &[Value] {
    &report["checks"].as_array().unwrap()[1..]
}

/// For each check, whether the next run with the cache takes it for equal without comparing. Leaves the cache as it would
/// be without this question.
fn skips(world: &World, code: i32) -> Vec<bool> {
    let path = world.path(CACHE);
    let before = fs::read(&path).unwrap();
    mark(&path);
    let (with, without) = (check(world, code), world.check(code));
    let entries = |report: &Value| -> Vec<u64> {
        declared(report).iter().map(|check| check["counts"]["entries"].as_u64().unwrap()).collect()
    };
    let pairs = entries(&with).into_iter().zip(entries(&without));
    let skipped: Vec<_> =
        pairs.map(|(with, without)| [without, without + MORE].iter().position(|it| *it == with)).collect();
    fs::write(&path, before).unwrap();
    check(world, code);
    skipped.into_iter().map(|which| which.unwrap() == 1).collect()
}

/// What the report says, if everything is compared; anything else in the next run is a failure.
fn compares(world: &World, what: &str) -> Value {
    mark(&world.path(CACHE));
    same(world, what)
}

#[needs(strace)]
fn what_is_equal_is_not_read_from_the_lock_again() {
    let world = world(TREES);
    for number in 0..1500 {
        world.write(format!("m/wide/file{number}"), number.to_string());
    }
    for number in 0..50 {
        symlink(format!("wide/file{number}"), world.root(format!("m/link{number}"))).unwrap();
    }
    world.lock();
    assert!(world.lock_bytes().len() > 150_000, "larger than the buffer that it is read into");
    settle();
    let calls = |cache: &[&str]| {
        let options = ["-y", "-e", "trace=read,pread64,readv,preadv,preadv2,mmap,readlink,readlinkat,sendfile"];
        let arguments = [&["check", "--json"], cache].concat();
        let report = strace(&world, &options, &arguments).code(0).json();
        let trace = fs::read_to_string(world.path("trace")).unwrap();
        let of_lock: Vec<_> =
            trace.lines().filter(|line| line.contains("/locks/tree.lock.json>")).map(str::to_owned).collect();
        let bytes = |line: &String| line.rsplit_once(" = ").unwrap().1.trim().parse::<usize>().unwrap();
        let read = of_lock.iter().map(bytes).sum::<usize>();
        let links = trace.lines().filter(|line| line.contains("readlink") && line.contains("/root/m"));
        (report, read, links.count())
    };
    let with = ["--stat-cache", CACHE];
    let all = world.lock_bytes().len();
    let (full, read, links) = calls(&[]);
    assert!(read >= all && links == 50, "{read} {links}");
    let (first, read, links) = calls(&with);
    assert!(read >= 2 * all && links >= 50, "it is compared, and its digest is taken: {read} {links}");
    // Its first bytes tell what it is, and come with the first buffer once more.
    for _ in 0..2 {
        let (again, read, links) = calls(&with);
        assert!((131_072..=131_072 + 4096).contains(&read), "{read} of {all} bytes");
        assert_eq!(links, 0);
        for key in SAME {
            assert_eq!(the_check(&again)[key], the_check(&full)[key], "{key}");
            assert_eq!(the_check(&again)[key], the_check(&first)[key], "{key}");
        }
    }
    assert_eq!(skips(&world, 0), [true]);
    same(&world, "as it was");
}

#[needs(strace)]
fn every_kind_of_check_is_known_to_be_equal_only_while_it_is() {
    let attributes = |names: &str| TREES.replace("root = ", &format!("attributes = [{names}]\nroot = "));
    let text = FILES.replace("root = ", "lock = \"tree.lock.txt\"\nexclude = [\"**/link\"]\nroot = ");
    std::thread::scope(|scope| {
        for declared in [
            attributes("\"mode\""),
            attributes("\"mode\", \"owner\""),
            FILES.to_owned(),
            text,
            FILES.replace("**", "m/d/*") + "exclude = [\"**/two\"]\n",
        ] {
            scope.spawn(move || {
                let world = known(&declared);
                // Who owns it depends on how the root is mounted, too.
                let skipped = [!declared.contains("owner")];
                assert_eq!(skips(&world, 0), skipped, "{declared}");
                behind(&world, |world| exchange(world, "m/d/one", "m/e/two"));
                for round in 0..4 {
                    assert!(!drift(&compares(&world, &declared)).is_empty(), "{declared} {round}");
                    assert_eq!(remembered(&fs::read(world.path(CACHE)).unwrap()), [u64::MAX], "{declared}");
                    if round == 1 {
                        settle();
                    }
                }
                exchange(&world, "m/d/one", "m/e/two");
                assert_eq!(drift(&compares(&world, &declared)), []);
                settle();
                same(&world, &declared);
                same(&world, &declared);
                assert_eq!(skips(&world, 0), skipped, "{declared}");
            });
        }
    });
}

/// What is done, and whether what is there then is what the lock has.
type Deed = (&'static str, fn(&World), bool);

/// With modes in the lock, and owners too where they are changed.
const DEEDS: &[Deed] = &[
    ("nothing but a look", |world| drop(fs::read(world.root("m/a")).unwrap()), true),
    ("exchanges two files", |world| exchange(world, "m/d/one", "m/e/two"), false),
    ("exchanges two files of one directory", |world| exchange(world, "m/d/one", "m/d/two"), false),
    ("exchanges two directories", |world| exchange(world, "m/d", "m/e"), false),
    ("exchanges two links", |world| exchange(world, "m/d/link", "m/e/other"), false),
    ("exchanges a link and a file", |world| exchange(world, "m/d/link", "m/d/one"), false),
    ("exchanges two files with the same contents", |world| exchange(world, "m/same", "m/d/same"), true),
    (
        "renames a link to a known file over another",
        |world| {
            fs::hard_link(world.root("m/e/two"), world.path("other")).unwrap();
            fs::rename(world.path("other"), world.root("m/d/one")).unwrap();
        },
        false,
    ),
    (
        "renames a directory, and another one to its name",
        |world| {
            fs::rename(world.root("m/d"), world.path("d")).unwrap();
            fs::rename(world.root("m/e"), world.root("m/d")).unwrap();
            fs::rename(world.path("d"), world.root("m/e")).unwrap();
        },
        false,
    ),
    (
        "renames the directory above, and a copy to its name",
        |world| {
            let mut copy = Command::new("cp");
            assert!(copy.arg("-a").args([world.root("m"), world.path("copy")]).status().unwrap().success());
            fs::write(world.path("copy/d/deep/file"), "other").unwrap();
            fs::rename(world.root("m"), world.path("m")).unwrap();
            fs::rename(world.path("copy"), world.root("m")).unwrap();
        },
        false,
    ),
    (
        "puts an equal copy in the place of a directory",
        |world| {
            let mut copy = Command::new("cp");
            assert!(copy.arg("-a").args([world.root("m/d"), world.path("copy")]).status().unwrap().success());
            fs::rename(world.root("m/d"), world.path("d")).unwrap();
            fs::rename(world.path("copy"), world.root("m/d")).unwrap();
        },
        true,
    ),
    ("moves a directory up", |world| fs::rename(world.root("m/d/deep"), world.root("m/deep")).unwrap(), false),
    ("removes a directory", |world| fs::remove_dir_all(world.root("m/d")).unwrap(), false),
    ("removes an empty directory", |world| fs::remove_dir(world.root("m/empty")).unwrap(), false),
    ("removes a link", |world| fs::remove_file(world.root("m/d/link")).unwrap(), false),
    (
        "retargets a link",
        |world| {
            assert!(Command::new("ln").args(["-sfn", "two"]).arg(world.root("m/d/link")).status().unwrap().success());
        },
        false,
    ),
    (
        "makes a link anew",
        |world| {
            fs::remove_file(world.root("m/d/link")).unwrap();
            symlink("one", world.root("m/d/link")).unwrap();
        },
        true,
    ),
    (
        "makes a name anew for a file that has another",
        |world| {
            fs::hard_link(world.root("m/a"), world.path("kept")).unwrap();
            fs::remove_file(world.root("m/a")).unwrap();
            fs::rename(world.path("kept"), world.root("m/a")).unwrap();
        },
        true,
    ),
    ("changes a mode", |world| assert!(chmod(world, "600", "m/a")), false),
    ("changes the mode of a directory", |world| assert!(chmod(world, "700", "m/empty")), false),
    ("changes the mode of the root", |world| assert!(chmod(world, "700", "")), false),
    (
        "changes a mode, and puts it back",
        |world| assert!(chmod(world, "600", "m/a") && chmod(world, "644", "m/a")),
        true,
    ),
    ("changes an owner", |world| chown(world.root("m/a"), Some(65534), None).unwrap(), false),
    ("changes the owner of a directory", |world| chown(world.root("m/empty"), None, Some(65534)).unwrap(), false),
    ("changes the owner of a link", |world| lchown(world.root("m/d/link"), Some(65534), None).unwrap(), false),
    (
        "makes a FIFO",
        |world| assert!(Command::new("mkfifo").arg(world.root("m/d/pipe")).status().unwrap().success()),
        false,
    ),
    ("makes a socket", |world| drop(std::os::unix::net::UnixListener::bind(world.root("m/d/socket")).unwrap()), false),
];

fn chmod(world: &World, mode: &str, path: &str) -> bool {
    Command::new("chmod").arg(mode).arg(world.root(path)).status().unwrap().success()
}

#[needs(root)]
fn whatever_is_done_is_compared_again() {
    std::thread::scope(|scope| {
        for (what, deed, is_equal) in DEEDS {
            let owners = what.contains("owner");
            let attributes = if owners { "\"mode\", \"owner\"" } else { "\"mode\"" };
            let world = world(&TREES.replace("root = ", &format!("attributes = [{attributes}]\nroot = ")));
            for name in ["m/a", "m/d/one", "m/d/two", "m/e/one", "m/e/two", "m/d/deep/file"] {
                world.write(name, format!("{name}\n"));
            }
            for name in ["m/same", "m/d/same"] {
                world.write(name, "same");
            }
            fs::create_dir(world.root("m/empty")).unwrap();
            symlink("one", world.root("m/d/link")).unwrap();
            symlink("two", world.root("m/e/other")).unwrap();
            scope.spawn(move || {
                world.lock();
                settle();
                check(&world, 0);
                assert_eq!(skips(&world, 0), [!owners], "{what}");
                behind(&world, deed);
                if *what != "nothing but a look" {
                    compares(&world, what);
                }
                // What drifted goes on being drift, known or not.
                for round in 0..4 {
                    let found = same(&world, what);
                    assert_eq!(drift(&found).is_empty(), *is_equal, "{what}: {found:#}");
                    let equal = remembered(&fs::read(world.path(CACHE)).unwrap()) != [u64::MAX];
                    assert_eq!(equal, *is_equal, "{what}");
                    if round == 1 {
                        settle();
                    }
                }
                assert_eq!(skips(&world, i32::from(!is_equal)), [*is_equal], "{what}");
            });
        }
    });
}

/// They are read from each file and directory in each run.
#[test]
fn extended_attributes_are_compared_each_time() {
    let world = world(&TREES.replace("root = ", "attributes = [\"xattrs\"]\nroot = "));
    world.write("m/a", "a");
    symlink("a", world.root("m/link")).unwrap();
    world.lock();
    settle();
    check(&world, 0);
    for _ in 0..2 {
        assert_eq!(skips(&world, 0), [false]);
    }
    rustix::fs::setxattr(world.root("m"), "user.x", b"1", rustix::fs::XattrFlags::CREATE).unwrap();
    assert_eq!(drift(&compares(&world, "set")), [("xattrs_changed".to_owned(), "m".to_owned())]);
}

/// What can't be known from one run to the next is looked at and compared each time.
#[test]
fn special_files_are_compared_each_time() {
    let world = world(TREES);
    world.write("m/a", "a");
    assert!(Command::new("mkfifo").arg(world.root("m/pipe")).status().unwrap().success());
    let socket = std::os::unix::net::UnixListener::bind(world.root("m/socket")).unwrap();
    world.lock();
    settle();
    check(&world, 0);
    for _ in 0..2 {
        assert_eq!(skips(&world, 0), [false]);
    }
    behind(&world, |world| exchange(world, "m/pipe", "m/socket"));
    assert_eq!(drift(&compares(&world, "exchanged")).len(), 2);
    drop(socket);
}

/// What is done, and which paths are drift then.
type Expected = (fn(&World), &'static [&'static str]);

/// A directory that several workers share, changed in the middle.
#[needs(time)]
fn a_change_in_the_middle_of_many_names_is_compared() {
    let world = world(TREES);
    for number in 0..3500 {
        world.write(format!("broad/{number:04}"), number.to_string());
    }
    world.lock();
    settle();
    check(&world, 0);
    assert_eq!(skips(&world, 0), [true]);
    let deeds: [Expected; 4] = [
        (|world| exchange(world, "broad/1500", "broad/1501"), &["broad/1500", "broad/1501"]),
        (|world| exchange(world, "broad/1500", "broad/1501"), &[]),
        (
            |world| {
                fs::hard_link(world.root("broad/3000"), world.path("other")).unwrap();
                fs::rename(world.path("other"), world.root("broad/1700")).unwrap();
            },
            &["broad/1700"],
        ),
        (|world| fs::remove_file(world.root("broad/1700")).unwrap(), &["broad/1700"]),
    ];
    for (number, (deed, expected)) in deeds.into_iter().enumerate() {
        behind(&world, deed);
        for _ in 0..2 {
            let found = compares(&world, &number.to_string());
            let paths: BTreeSet<_> = drift(&found).into_iter().map(|(_, path)| path).collect();
            assert_eq!(paths, expected.iter().map(|path| (*path).to_owned()).collect(), "{number}");
            settle();
        }
    }
}
