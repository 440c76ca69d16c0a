//! Whatever happens in any order, what is found with a cache is what is found without one.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::Value;

use super::equal::{MORE, mark};
use super::{CACHE, settle, world};
use crate::harness::{TREES, World, the_check};
use crate::machine::{cases, is_whole_suite};
use crate::model::on_disk;

/// Something that is done to a tree. What can't be done to the tree as it is does nothing.
#[derive(Clone, Debug)]
enum Deed {
    Write(String, u8),
    /// Writes through what is there, and puts the mtime back.
    Overwrite(String, u8),
    MakeDirectory(String),
    Remove(String),
    Rename(String, String),
    Exchange(String, String),
    HardLink(String, String),
    Link(String, String),
    /// Makes a link and renames it over what is there, as `ln -sfn` does.
    Retarget(String, String),
    Fifo(String),
    Mode(String, u32),
}

/// Paths that often meet.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "a.x"]), 1..4).prop_map(|names| names.join("/"))
}

fn deed() -> impl Strategy<Value = Deed> {
    let mode = prop::sample::select(vec![0o755_u32, 0o644, 0o700]);
    prop_oneof![
        4 => (path(), any::<u8>()).prop_map(|(path, byte)| Deed::Write(path, byte)),
        2 => (path(), any::<u8>()).prop_map(|(path, byte)| Deed::Overwrite(path, byte)),
        2 => path().prop_map(Deed::MakeDirectory),
        2 => path().prop_map(Deed::Remove),
        3 => (path(), path()).prop_map(|(from, to)| Deed::Rename(from, to)),
        3 => (path(), path()).prop_map(|(a, b)| Deed::Exchange(a, b)),
        2 => (path(), path()).prop_map(|(from, to)| Deed::HardLink(from, to)),
        2 => (path(), path()).prop_map(|(path, target)| Deed::Link(path, target)),
        2 => (path(), path()).prop_map(|(path, target)| Deed::Retarget(path, target)),
        1 => path().prop_map(Deed::Fifo),
        1 => (path(), mode).prop_map(|(path, mode)| Deed::Mode(path, mode)),
    ]
}

/// What happens between two checks: some deeds, whether the mtimes of directories are put back, whether what is there then is
/// locked, and whether there is time for all of it to settle.
#[derive(Clone, Debug)]
struct Round {
    deeds: Vec<Deed>,
    hidden: bool,
    locks: bool,
    settles: bool,
}

fn round() -> impl Strategy<Value = Round> {
    (prop::collection::vec(deed(), 0..5), any::<[bool; 3]>()).prop_map(|(deeds, [hidden, locks, settles])| Round {
        deeds,
        hidden,
        locks,
        settles,
    })
}

fn act(root: &Path, deed: &Deed) -> std::io::Result<()> {
    match deed {
        Deed::Write(path, byte) => {
            let path = root.join(path);
            if path.symlink_metadata().is_ok_and(|status| !status.is_file()) {
                return Ok(());
            }
            fs::create_dir_all(path.parent().unwrap())?;
            fs::write(path, [*byte; 3])
        }
        Deed::Overwrite(path, byte) => {
            let path = root.join(path);
            let status = path.symlink_metadata()?;
            if status.is_file() {
                fs::write(&path, [*byte; 3])?;
                File::options().write(true).open(path)?.set_modified(status.modified()?)?;
            }
            Ok(())
        }
        Deed::MakeDirectory(path) => fs::create_dir_all(root.join(path)),
        Deed::Remove(path) => {
            let path = root.join(path);
            if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        }
        Deed::Rename(from, to) => fs::rename(root.join(from), root.join(to)),
        Deed::Exchange(a, b) => Ok(renameat_with(CWD, root.join(a), CWD, root.join(b), RenameFlags::EXCHANGE)?),
        Deed::HardLink(from, to) => fs::hard_link(root.join(from), root.join(to)),
        Deed::Link(path, target) => symlink(target, root.join(path)),
        Deed::Retarget(path, target) => {
            let new = root.join("new");
            symlink(target, &new)?;
            fs::rename(&new, root.join(path)).or_else(|_| fs::remove_file(new))
        }
        Deed::Fifo(path) => Command::new("mkfifo").arg(root.join(path)).output().map(drop),
        Deed::Mode(path, mode) => {
            let path = root.join(path);
            if path.symlink_metadata()?.is_symlink() {
                return Ok(());
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))
        }
    }
}

/// The directories below one and itself, each with its mtime.
///
/// Those that a deed has closed are left out, unless the tests run as root.
fn times(directory: &Path, all: &mut Vec<(std::path::PathBuf, std::time::SystemTime)>) {
    let Ok(modified) = fs::metadata(directory).and_then(|status| status.modified()) else { return };
    all.push((directory.to_path_buf(), modified));
    let Ok(listing) = fs::read_dir(directory) else { return };
    for entry in listing.map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            times(&entry.path(), all);
        }
    }
}

/// How a verdict came about.
#[derive(Clone, Copy, Debug, Default)]
struct Spared {
    /// Entries that were trusted.
    trusted: u64,
    /// Runs that did not compare.
    equal: u64,
}

impl std::ops::Add for Spared {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { trusted: self.trusted + other.trusted, equal: self.equal + other.equal }
    }
}

/// The exit code, and all of a report that does not tell how it came about.
fn found(world: &World, arguments: &[&str]) -> (Option<i32>, Value, Spared) {
    let output = world.driftlock(arguments).command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut check = the_check(&report).clone();
    let trusted = check.as_object_mut().unwrap().remove("trusted").unwrap().as_u64().unwrap();
    let counts = check["counts"].as_object_mut().unwrap();
    let marked = counts["entries"].as_u64().unwrap() >= MORE;
    for count in counts.values_mut() {
        *count = (count.as_u64().unwrap() % MORE).into();
    }
    (output.status.code(), check, Spared { trusted, equal: u64::from(marked) })
}

fn live(declaration: &str, rounds: &[Round]) -> Spared {
    let world = world(declaration);
    let root = world.path("root");
    for path in ["a/a/a", "a/b", "b/a", "b/c/a.x", "c"] {
        world.write(path, path);
    }
    world.lock();
    let mut spared = Spared::default();
    for (number, Round { deeds, hidden, locks, settles }) in rounds.iter().enumerate() {
        let mut before = Vec::new();
        times(&root, &mut before);
        for deed in deeds {
            // What can't be done is not done.
            let _ = act(&root, deed);
        }
        for (path, time) in before.into_iter().filter(|_| *hidden) {
            if path.symlink_metadata().is_ok_and(|status| status.is_dir() && status.modified().unwrap() != time) {
                let _ = File::open(path).and_then(|directory| directory.set_modified(time));
            }
        }
        if *locks {
            // Nothing at all can't be locked.
            world.driftlock(["lock"]).command.output().unwrap();
        }
        if *settles {
            settle();
        }
        let without = found(&world, &["check", "--json"]);
        for _ in 0..3 {
            let with = found(&world, &["check", "--json", "--stat-cache", CACHE]);
            assert_eq!((with.0, &with.1), (without.0, &without.1), "after round {number} of {rounds:#?}");
            spared = spared + with.2;
            mark(&world.path(CACHE));
        }
    }
    spared
}

/// As many trees at once as make the waiting worth it.
const AT_ONCE: usize = 12;

proptest! {
    #![proptest_config(on_disk(1, 0))]

    #[test]
    fn what_is_found_is_what_is_found_without_it(
        // Each case takes some twenty seconds of waiting, so none is made smaller.
        lives in prop::collection::vec(prop::collection::vec(round(), cases(10) as usize), AT_ONCE),
    ) {
        let declarations = [
            TREES.to_owned(),
            TREES.replace("trees", "files") + "include = [\"a/**\", \"*/c/*\", \"c\"]\nexclude = [\"**/a.x\"]\n",
            TREES.replace("root = ", "attributes = [\"mode\", \"owner\"]\nroot = "),
        ];
        let spared = std::thread::scope(|scope| {
            let begin = |(number, rounds)| {
                let declaration: &String = &declarations[number % 3];
                scope.spawn(move || live(declaration, rounds))
            };
            let lives: Vec<_> = lives.iter().map(Vec::as_slice).enumerate().map(begin).collect();
            let spared = lives.into_iter().map(|life| life.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            spared.fold(Spared::default(), std::ops::Add::add)
        });
        let (trusted, equal) = if is_whole_suite() { (100, 30) } else { (10, 3) };
        prop_assert!(spared.trusted > trusted && spared.equal > equal, "{spared:?}");
    }
}
