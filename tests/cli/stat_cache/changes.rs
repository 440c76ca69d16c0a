//! Whatever is changed is found, as it is without a cache, and goes on being found.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use needs::needs;

use super::{check, known, settle, trusted, world};
use crate::harness::{TREES, World, drift, the_check};
use crate::machine::cases;

/// One change to `m/a`, and what the check must find.
type Deed = (&'static str, fn(&World, &Path), &'static [(&'static str, &'static str)]);

const DEEDS: &[Deed] = &[
    ("appends", |_, a| fs::write(a, "m/a\nmore").unwrap(), &[("modified", "m/a")]),
    ("writes the same number of bytes", |_, a| fs::write(a, "m/A\n").unwrap(), &[("modified", "m/a")]),
    (
        "writes the same number of bytes and restores the time",
        |_, a| {
            let time = fs::metadata(a).unwrap().modified().unwrap();
            fs::write(a, "m/A\n").unwrap();
            fs::File::options().write(true).open(a).unwrap().set_modified(time).unwrap();
            assert_eq!(fs::metadata(a).unwrap().modified().unwrap(), time);
        },
        &[("modified", "m/a")],
    ),
    (
        "renames another file over it, with the same size and time",
        |world, a| {
            let time = fs::metadata(a).unwrap().modified().unwrap();
            let other = world.path("other");
            fs::write(&other, "m/A\n").unwrap();
            fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
            fs::rename(other, a).unwrap();
        },
        &[("modified", "m/a")],
    ),
    (
        "swaps two files, whose inodes are as they were",
        |world, a| {
            let (b, c) = (world.root("m/b"), world.path("c"));
            fs::rename(a, &c).unwrap();
            fs::rename(&b, a).unwrap();
            fs::rename(&c, &b).unwrap();
        },
        &[("moved", "m/a"), ("moved", "m/b")],
    ),
    (
        "puts a link to another file in its place",
        |world, a| {
            fs::remove_file(a).unwrap();
            fs::hard_link(world.root("m/b"), a).unwrap();
        },
        &[("modified", "m/a")],
    ),
    ("removes it", |_, a| fs::remove_file(a).unwrap(), &[("removed", "m/a")]),
    ("moves it", |world, a| fs::rename(a, world.root("m/z")).unwrap(), &[("moved", "m/z")]),
    ("copies it", |world, a| assert_eq!(fs::copy(a, world.root("m/z")).unwrap(), 4), &[("added", "m/z")]),
    (
        "makes it executable",
        |_, a| fs::set_permissions(a, fs::Permissions::from_mode(0o755)).unwrap(),
        &[("executable_changed", "m/a")],
    ),
    (
        "makes it a link",
        |_, a| {
            fs::remove_file(a).unwrap();
            symlink("b", a).unwrap();
        },
        &[("type_changed", "m/a")],
    ),
    (
        "writes through a mapping",
        |_, a| {
            let script = "import mmap,sys\nf=open(sys.argv[1],'r+b')\nmmap.mmap(f.fileno(),4)[2:3]=b'A'\n";
            assert!(Command::new("python3").args(["-c", script]).arg(a).status().unwrap().success());
        },
        &[("modified", "m/a")],
    ),
    (
        "cuts it off and writes it again as it was",
        |_, a| {
            fs::write(a, "").unwrap();
            fs::write(a, "m/a\n").unwrap();
        },
        &[],
    ),
];

#[needs("python3")]
fn every_single_change_is_found_and_goes_on_being_found() {
    // Side by side, since each has to wait for its own clock.
    std::thread::scope(|scope| {
        for (what, act, expected) in DEEDS {
            scope.spawn(move || {
                let world = known(TREES);
                act(&world, &world.root("m/a"));
                let code = i32::from(!expected.is_empty());
                let expected: Vec<_> =
                    expected.iter().map(|&(change, path)| (change.to_owned(), path.to_owned())).collect();
                for _ in 0..2 {
                    let found = check(&world, code);
                    assert_eq!(drift(&found), expected, "{what}");
                    assert_eq!(the_check(&found)["drift"], the_check(&world.check(code))["drift"], "{what}");
                }
                settle();
                // What drifted is as well known as what did not, and drift all the same.
                check(&world, code);
                let again = check(&world, code);
                let files = fs::read_dir(world.root("m")).unwrap();
                let files = files.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count();
                assert_eq!((drift(&again), trusted(&again)), (expected, files as u64), "{what}");
            });
        }
    });
}

/// A file that changes right after it was read, within one tick of the clock, over and over.
#[test]
fn a_change_right_after_a_run_is_never_missed() {
    let world = known(TREES);
    let a = world.root("m/a");
    let time = fs::metadata(&a).unwrap().modified().unwrap();
    for round in 0..cases(100) {
        let changed = round % 2 == 0;
        fs::write(&a, if changed { "m/A\n" } else { "m/a\n" }).unwrap();
        if round % 3 == 0 {
            fs::File::options().write(true).open(&a).unwrap().set_modified(time).unwrap();
        }
        let found = check(&world, i32::from(changed));
        assert_eq!(drift(&found).len(), usize::from(changed), "round {round}");
        assert_eq!(trusted(&found), 2, "round {round}: the other two are as they were");
    }
}

/// The same, but the file is old enough at the time of the run to be kept, and changes at once afterwards.
#[test]
fn a_change_right_after_a_run_that_kept_the_file_is_never_missed() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let world = world(TREES);
                let files: Vec<_> = (0..8).map(|number| world.write(format!("m/{number}"), "before")).collect();
                world.lock();
                settle();
                for (round, file) in files.iter().enumerate() {
                    check(&world, i32::from(round > 0));
                    let time = fs::metadata(file).unwrap().modified().unwrap();
                    fs::write(file, "behind").unwrap();
                    fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
                    let found = check(&world, 1);
                    assert_eq!(drift(&found).len(), round + 1, "thread {thread}, round {round}");
                }
            });
        }
    });
}

/// What is stored through a mapping moves the times of a file only once for each page and each time that it is written
/// back. A process that has a page open for storing is found all the same, since the page is written back before the
/// file is read.
#[needs("python3")]
fn what_is_stored_through_a_mapping_after_a_run_is_found() {
    const STORES: &str = "import mmap, sys\nfile = open(sys.argv[1], 'r+b')\nmapping = mmap.mmap(file.fileno(), 4)\n\
                          for line in sys.stdin:\n    mapping[2:3] = line[:1].encode()\n    print(flush=True)\n";
    let world = known(TREES);
    let mut process = Command::new("python3")
        .args(["-c", STORES])
        .arg(world.root("m/a"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let mut store = |letter: char| {
        writeln!(stdin, "{letter}").unwrap();
        assert_eq!(stdout.read_line(&mut String::new()).unwrap(), 1);
        assert_eq!(fs::read(world.root("m/a")).unwrap(), format!("m/{letter}\n").into_bytes());
        fs::metadata(world.root("m/a")).unwrap().modified().unwrap()
    };
    for _ in 0..3 {
        // Until the page waits to be written back: storing into it moves no time then.
        let mut before = store('a');
        let mut tries = 0;
        loop {
            let now = store('a');
            if now == before {
                break;
            }
            before = now;
            tries += 1;
            assert!(tries < 20, "each store finds a page that was just written back");
        }
        settle();
        // This run reads and keeps it, since its times are old enough.
        assert_eq!(trusted(&check(&world, 0)), 2);
        store('A');
        assert_eq!(drift(&check(&world, 1)), [("modified".to_owned(), "m/a".to_owned())]);
    }
    drop(stdin);
    assert!(process.wait().unwrap().success());
}

/// Some deeds after another, and after each of them the same report with and without.
#[test]
fn what_is_found_is_what_is_found_without_it() {
    let world = known(TREES);
    let deeds: [fn(&World); 9] = [
        |world| drop(world.write("m/new", "new")),
        |world| drop(world.write("loose", "loose")),
        |world| fs::rename(world.root("m"), world.root("n")).unwrap(),
        |world| fs::rename(world.root("n"), world.root("m")).unwrap(),
        |world| drop(world.write("m/b", "")),
        |world| fs::hard_link(world.root("m/new"), world.root("m/newer")).unwrap(),
        |world| fs::remove_dir_all(world.root("m")).unwrap(),
        |world| drop(world.write("m/a", "m/a\n")),
        |world| drop(world.write("m/b", "m/b\n")),
    ];
    for (number, deed) in deeds.into_iter().enumerate() {
        deed(&world);
        if number % 4 == 0 {
            settle();
        }
        for _ in 0..2 {
            let found = check(&world, 1);
            let without = world.check(1);
            for key in ["status", "counts", "digest", "live_digest", "drift", "unverified"] {
                assert_eq!(the_check(&found)[key], the_check(&without)[key], "{key} after deed {number}");
            }
        }
    }
}

#[test]
fn attributes_are_looked_at_each_time() {
    let all = TREES.replace("root = ", "attributes = [\"mode\", \"owner\", \"xattrs\"]\nroot = ");
    let world = known(&all);
    fs::set_permissions(world.root("m/a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(drift(&check(&world, 1)), [("mode_changed".to_owned(), "m/a".to_owned())]);
    fs::set_permissions(world.root("m/a"), fs::Permissions::from_mode(0o644)).unwrap();
    check(&world, 0);
    rustix::fs::setxattr(world.root("m/a"), "user.x", b"1", rustix::fs::XattrFlags::CREATE).unwrap();
    assert_eq!(drift(&check(&world, 1)), [("xattrs_changed".to_owned(), "m/a".to_owned())]);
    settle();
    check(&world, 1);
    let found = check(&world, 1);
    assert_eq!((drift(&found).len(), trusted(&found)), (1, 3));
}
