//! A cache that is damaged, belongs to another run, or could have been written by other users is discarded.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use needs::needs;
use sha2::Digest as _;

use super::{CACHE, check, known, run, settle, thrown_away, trusted};
use crate::harness::{FILES, Finished, TREES, drift};
use crate::machine::is_whole_suite;
use crate::watch::{no_panic, says};

/// A byte that is another one, and a length that is too short: nothing of it is used, the drift that is there is found, and a
/// good cache is written in its place. The reader's own test has every bit and every length.
#[test]
fn a_damaged_cache_is_thrown_away() {
    let world = known(TREES);
    world.write("m/a", "m/A\n");
    settle();
    check(&world, 1);
    let path = world.path(CACHE);
    let good = fs::read(&path).unwrap();
    assert_eq!(trusted(&check(&world, 1)), 3);
    // All but the clock, which is read anew, and the checksum.
    let written_anew = || {
        let now = fs::read(&path).unwrap();
        (&now[..48], &now[56..now.len() - 32]) == (&good[..48], &good[56..good.len() - 32])
    };
    let look = |run: &Finished, what: &str| {
        no_panic(run);
        let report = run.json();
        let found = (drift(&report), trusted(&report), &report["overall"]);
        assert_eq!(found, (vec![("modified".to_owned(), "m/a".to_owned())], 0, &"FAIL".into()), "{what}");
    };
    let step = if is_whole_suite() { 1 } else { 4 };
    let magic = driftlock::internals::stat_cache::file::NAME.len();
    // The header, and some of what follows.
    for at in (0..96).chain((96..good.len()).step_by(29 * step)).chain([good.len() - 1]) {
        let mut damaged = good.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        let what = format!("byte {at}");
        if at < magic {
            // This could be a file of the user.
            let run = run(&world, 3);
            look(&run, &what);
            says(&run.stderr(), &["holds something else; it is neither used nor replaced"]);
            assert_eq!(fs::read(&path).unwrap(), damaged, "{what}");
        } else {
            let run = run(&world, 1);
            look(&run, &what);
            says(&run.stderr(), &["is discarded, and everything is read"]);
            assert!(written_anew(), "{what}");
        }
    }
    for length in (0..good.len()).step_by(53 * step).chain([good.len() - 1]) {
        fs::write(&path, &good[..length]).unwrap();
        look(&run(&world, 1), &format!("cut off at {length}"));
        assert!(written_anew(), "cut off at {length}");
    }
    fs::write(&path, [&good[..], b"\0"].concat()).unwrap();
    let longer = run(&world, 1);
    look(&longer, "longer");
    says(&longer.stderr(), &["its length is wrong"]);
    assert_eq!(trusted(&check(&world, 1)), 3);
}

/// A clock that is set moves the moment at which the machine was started, going by it. So does starting it.
#[needs(time_namespace)]
fn a_cache_from_before_the_clock_was_set_is_thrown_away() {
    const WHY: &str = "the clock was set or the machine was restarted since it was written";
    let world = known(TREES);
    let path = world.path(CACHE);
    let good = fs::read(&path).unwrap();
    let set = |seconds: f64| {
        let mut other = good[..good.len() - 32].to_vec();
        let booted = i64::from_le_bytes(other[48..56].try_into().unwrap());
        other[48..56].copy_from_slice(&(booted + (seconds * 1e9) as i64).to_le_bytes());
        let digest = sha2::Sha256::digest(&other);
        fs::write(&path, [&other[..], &digest[..]].concat()).unwrap();
    };
    for seconds in [-3600.0, -1.5, 1.5, 3600.0] {
        set(seconds);
        thrown_away(&world, WHY);
    }
    set(0.5);
    assert_eq!(trusted(&check(&world, 0)), 3, "what has settled for two seconds does not mind half of one");
    let mut started_later = Command::new("unshare");
    started_later.args(["--time", "--boottime", "1000", env!("CARGO_BIN_EXE_driftlock")]);
    started_later.args(["check", "--json", "--stat-cache", CACHE]);
    let run = world.command(started_later).code(0);
    assert_eq!((run.stderr().contains(WHY), trusted(&run.json())), (true, 0), "{}", run.stderr());
    thrown_away(&world, WHY);
}

#[test]
fn a_cache_of_another_declaration_or_lock_is_thrown_away() {
    const WHY: &str = "it belongs to another declaration, lock, user or boot";
    let world = known(TREES);
    let declare = |text: &str| fs::write(world.path("driftlock.toml"), text).unwrap();
    for other in [
        TREES.replace("root = ", "exclude = [\"nothing\"]\nroot = "),
        TREES.replace("root = ", "one_file_system = true\nroot = "),
        TREES.to_owned(),
    ] {
        declare(&other);
        thrown_away(&world, WHY);
    }
    // Another lock with the same contents of files.
    fs::create_dir(world.root("directory")).unwrap();
    check(&world, 1);
    world.lock();
    thrown_away(&world, WHY);
    fs::rename(world.path("root"), world.path("before")).unwrap();
    fs::create_dir(world.path("root")).unwrap();
    for entry in fs::read_dir(world.path("before")).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), world.path("root").join(entry.file_name())).unwrap();
    }
    thrown_away(&world, WHY);
    // The same directory under another name of the check, with a lock of its own.
    declare(&TREES.replace("check.tree", "check.other"));
    let report = world.driftlock(["check", "--json", "--stat-cache", CACHE]).code(1);
    assert!(report.stderr().contains(WHY), "a lock that is missing makes another cache");
    declare(TREES);
    thrown_away(&world, WHY);
    // Two checks, and one of them alone.
    declare(&format!("{TREES}\n[check.two]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"m/*\"]\n"));
    world.lock();
    let run = run(&world, 0);
    assert!(run.stderr().contains(WHY));
    let both = check(&world, 0);
    assert_eq!((&both["checks"][1]["trusted"], &both["checks"][2]["trusted"]), (&3.into(), &3.into()));
    let one = world.driftlock(["check", "--json", "--stat-cache", CACHE, "--check", "two"]).code(0);
    assert_eq!((one.stderr().contains(WHY), &one.json()["checks"][1]["trusted"]), (true, &0.into()));
}

#[test]
fn a_text_lock_binds_by_all_of_its_bytes() {
    let world = known(&FILES.replace("root = ", "lock = \"tree.lock.txt\"\nroot = "));
    let lock = world.path("locks/tree.lock.txt");
    let lines = fs::read_to_string(&lock).unwrap();
    let mut lines: Vec<_> = lines.lines().collect();
    lines.reverse();
    fs::write(&lock, lines.join("\n") + "\n").unwrap();
    thrown_away(&world, "it belongs to another declaration, lock, user or boot");
}

#[needs(root)]
fn a_cache_that_others_could_have_written_is_thrown_away() {
    let world = known(TREES);
    let path = world.path(CACHE);
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        thrown_away(&world, "others can write to it");
    }
    fs::hard_link(&path, world.path("link")).unwrap();
    thrown_away(&world, "it has other hard links");
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    thrown_away(&world, "it belongs to another user");
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
}
