//! Properties of random trees on disk: the lock depends on content alone, and any one change is found, exactly.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::sample::Index;

use crate::harness::{World, memory, unprivileged};
use crate::machine;
use crate::model::{Expected, Item, Model, assert_drift, assert_locked, below, declaration, model, on_disk, parent};

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["trees", "files"])
}

/// The same tree in another place, made in another order, with other times, and hard links for files that are equal.
fn twin(place: &tempfile::TempDir, model: &Model, order: &[Vec<u8>], declaration: &str) -> World {
    let deep = place.path().join("other place/\u{e9}/deeper");
    fs::create_dir_all(&deep).unwrap();
    let world = World::below(&deep, declaration);
    model.build_in(&world.path("root"), order);
    let mut files: Vec<(&Item, &Vec<u8>)> = Vec::new();
    for (number, (path, item)) in model.0.iter().enumerate() {
        let Item::File { .. } = item else { continue };
        let there = below(&world.path("root"), path);
        if let Some((_, first)) = files.iter().find(|(other, _)| *other == item) {
            fs::remove_file(&there).unwrap();
            fs::hard_link(below(&world.path("root"), first), &there).unwrap();
        }
        files.push((item, path));
        let time = SystemTime::UNIX_EPOCH + Duration::new(number as u64 * 40_000_000, 7);
        File::open(&there).unwrap().set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
    }
    world
}

proptest! {
    #![proptest_config(on_disk(30, 100))]

    /// And it is what the model says it is, entry by entry, with the NAR of each module.
    #[test]
    fn the_lock_depends_on_content_alone(
        (model, order) in model().prop_flat_map(|model| {
            let paths: Vec<_> = model.0.keys().cloned().collect();
            (Just(model), Just(paths).prop_shuffle())
        }),
        kind in kind(),
        attributes in any::<bool>(),
        threads in prop::sample::select(vec!["2", "3", "7"]),
    ) {
        let declared = declaration(kind, attributes, &[]);
        let first = World::in_memory(&declared);
        model.build(&first.path("root"));
        first.driftlock(["lock", "--threads", "1"]).code(0);
        let lock = first.lock_bytes();
        assert_locked(&first, &model, kind, attributes);

        // Elsewhere, otherwise made; another directory to work in, umask, locale, zone and number of threads.
        let place = tempfile::tempdir_in(memory()).unwrap();
        let second = twin(&place, &model, &order, &declared);
        let mut command = Command::new("sh");
        let config = second.path("driftlock.toml");
        command.args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_driftlock"), "lock", "--config"]);
        command.arg(&config).args(["--threads", threads]);
        let mut run = second.command(command).env("LC_ALL", "tr_TR.UTF-8").env("LANG", "C.UTF-8");
        run.command.current_dir("/");
        run.env("TZ", "Pacific/Kiritimati").code(0);
        prop_assert_eq!(&lock, &second.lock_bytes());

        // The lock of the one is the lock of the other: equal trees, nothing found.
        fs::copy(first.path("locks/tree.lock.json"), second.path("locks/tree.lock.json")).unwrap();
        let report = second.check(0);
        assert_drift(&report, kind, attributes, [&model, &model], &[]);

        // Another user; who makes his own reports, and his own lock.
        fs::remove_dir_all(first.path("locks")).unwrap();
        fs::create_dir(first.path("locks")).unwrap();
        fs::set_permissions(first.path("locks"), Permissions::from_mode(0o777)).unwrap();
        first.command(unprivileged(&first, &["lock", "--threads", "7"])).code(0);
        prop_assert_eq!(&lock, &first.lock_bytes());
    }

    /// Parsed and written again, a lock has the same bytes, and `lock` leaves the file alone.
    #[test]
    fn a_lock_that_would_not_change_is_not_touched(model in model(), kind in kind(), attributes in any::<bool>()) {
        let world = World::in_memory(&declaration(kind, attributes, &[]));
        model.build(&world.path("root"));
        world.lock();
        let (path, bytes) = (world.path("locks/tree.lock.json"), world.lock_bytes());
        let before = fs::metadata(&path).unwrap();
        let said = world.lock().stdout();
        prop_assert!(said.starts_with("unchanged "), "{}", said);
        let after = fs::metadata(&path).unwrap();
        let identity = |found: &fs::Metadata| (found.ino(), found.mtime(), found.mtime_nsec(), found.ctime_nsec());
        prop_assert_eq!(identity(&before), identity(&after));
        prop_assert_eq!(&bytes, &world.lock_bytes());
        prop_assert_eq!(&bytes, &crate::damage::written_again(&bytes).unwrap());
    }
}

/// One change of a tree.
#[derive(Clone, Copy, Debug)]
enum Mutation {
    Content,
    SameSize,
    Add,
    Remove,
    Rename,
    Executable,
    Type,
    Target,
    EmptyDirectory,
    // What is no drift.
    Excluded,
    OtherBits,
    Times,
    DirectoryBits,
}

use Mutation::{
    Add, Content, DirectoryBits, EmptyDirectory, Excluded, Executable, OtherBits, Remove, Rename, SameSize, Target,
    Times, Type,
};

const MUTATIONS: [Mutation; 13] = [
    Content,
    SameSize,
    Add,
    Remove,
    Rename,
    Executable,
    Type,
    Target,
    EmptyDirectory,
    Excluded,
    OtherBits,
    Times,
    DirectoryBits,
];

/// Writes a file whose mode may forbid that, and keeps the mode: the kernel takes setuid bits away when a user other than root
/// writes, and that would be a change too.
fn overwrite(path: &Path, contents: &[u8], mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Changes the tree on disk and the model of it; gives the drift that has to be found. Nothing: this tree has nothing
/// that could be changed so.
fn mutate(mutation: Mutation, at: &Index, world: &World, model: &mut Model, attributes: bool) -> Option<Vec<Expected>> {
    let root = world.path("root");
    let is = |wanted: fn(&Item) -> bool| -> Vec<Vec<u8>> {
        model.0.iter().filter(|(_, item)| wanted(item)).map(|(path, _)| path.clone()).collect()
    };
    let pick = |paths: Vec<Vec<u8>>| (!paths.is_empty()).then(|| at.get(&paths).clone());
    let a_file = || pick(is(|item| matches!(item, Item::File { .. })));
    let mut directories = is(|item| *item == Item::Directory);
    directories.push(Vec::new());
    let inside = |directory: &[u8], name: &[u8]| [directory, name].join(&b"/"[directory.is_empty().into()..]);
    let one = |path: Vec<u8>, change| Some(vec![(path, change, None)]);
    match mutation {
        Content | SameSize | Executable | OtherBits | Times => {
            let path = a_file()?;
            let there = below(&root, &path);
            let Item::File { contents, mode } = model.0.get_mut(&path)? else { return None };
            let modified = fs::metadata(&there).unwrap().modified().unwrap();
            let change = match mutation {
                Content => {
                    contents.push(b'!');
                    overwrite(&there, contents, *mode);
                    "modified"
                }
                // Hidden: the same size, and the old time restored.
                SameSize => {
                    let byte = at.index(contents.len().max(1));
                    *contents.get_mut(byte)? ^= 1;
                    overwrite(&there, contents, *mode);
                    File::open(&there).unwrap().set_modified(modified).unwrap();
                    "modified"
                }
                Times => {
                    File::open(&there).unwrap().set_modified(modified + Duration::from_secs(1)).unwrap();
                    return Some(Vec::new());
                }
                _ => {
                    *mode ^= if matches!(mutation, Executable) { 0o100 } else { 0o022 };
                    fs::set_permissions(&there, Permissions::from_mode(*mode)).unwrap();
                    match mutation {
                        Executable => "executable_changed",
                        _ if attributes => "mode_changed",
                        _ => return Some(Vec::new()),
                    }
                }
            };
            one(path, change)
        }
        Add | EmptyDirectory => {
            let path = inside(
                &directories[at.index(directories.len())],
                if matches!(mutation, Add) { b"new\xff\n" } else { b"new directory" },
            );
            let item = match mutation {
                Add => Item::File { contents: b"new".to_vec(), mode: 0o644 },
                _ => Item::Directory,
            };
            item.make(&below(&root, &path));
            model.0.insert(path.clone(), item);
            one(path, "added")
        }
        Remove => {
            let path = pick(model.0.keys().cloned().collect())?;
            let gone = model.subtree(&path);
            remove(&root, &path, model);
            Some(gone.into_iter().map(|path| (path, "removed", None)).collect())
        }
        Rename => {
            let from = pick(model.0.keys().cloned().collect())?;
            let moved = model.subtree(&from);
            directories.retain(|directory| !moved.contains(directory));
            let to = inside(&directories[at.index(directories.len())], b"renamed");
            fs::rename(below(&root, &from), below(&root, &to)).unwrap();
            let mut expected = Vec::new();
            for old in &moved {
                let new = [&to[..], &old[from.len()..]].concat();
                let item = model.0.remove(old)?;
                model.0.insert(new, item);
            }
            for old in &moved {
                let new = [&to[..], &old[from.len()..]].concat();
                let same =
                    |other: &&Vec<u8>| contents(&model.0, &to, &from, other) == contents(&model.0, &to, &from, old);
                // Only content that one file alone has lost is known to have moved.
                if contents(&model.0, &to, &from, old).is_some_and(|contents| !contents.is_empty())
                    && moved.iter().filter(same).count() == 1
                {
                    expected.push((new, "moved", Some(old.clone())));
                } else {
                    expected.extend([(old.clone(), "removed", None), (new, "added", None)]);
                }
            }
            Some(expected)
        }
        Type => {
            let path = pick(model.0.keys().cloned().collect())?;
            let gone = model.subtree(&path);
            let item = match &model.0[&path] {
                Item::Directory => Item::File { contents: b"was a directory".to_vec(), mode: 0o755 },
                Item::File { .. } => Item::Link { target: b"was/a/file".to_vec() },
                Item::Link { .. } => Item::Directory,
            };
            remove(&root, &path, model);
            item.make(&below(&root, &path));
            model.0.insert(path.clone(), item);
            let change = |gone| if gone == path { (gone, "type_changed", None) } else { (gone, "removed", None) };
            Some(gone.into_iter().map(change).collect())
        }
        Target => {
            let path = pick(is(|item| matches!(item, Item::Link { .. })))?;
            let Item::Link { target } = model.0.get_mut(&path)? else { return None };
            target[0] = if target[0] == b'x' { b'y' } else { b'x' };
            fs::remove_file(below(&root, &path)).unwrap();
            model.0[&path].make(&below(&root, &path));
            one(path, "modified")
        }
        Excluded => {
            let directory = below(&root, &directories[at.index(directories.len())]);
            fs::create_dir_all(directory.join("__pycache__/below")).unwrap();
            fs::write(directory.join("__pycache__/below/x"), "1").unwrap();
            fs::write(directory.join("left.pyc"), "1").unwrap();
            Some(Vec::new())
        }
        DirectoryBits => {
            // The model has no modes of directories, so what `attributes` make of them is left to other tests.
            let path = if attributes { None } else { pick(is(|item| *item == Item::Directory)) }?;
            fs::set_permissions(below(&root, &path), Permissions::from_mode(0o700)).unwrap();
            Some(Vec::new())
        }
    }
}

/// The content of the file that was `old` before `from` was renamed to `to`.
fn contents<'a>(
    items: &'a std::collections::BTreeMap<Vec<u8>, Item>,
    to: &[u8],
    from: &[u8],
    old: &[u8],
) -> Option<&'a [u8]> {
    match items.get(&[to, &old[from.len()..]].concat()) {
        Some(Item::File { contents, .. }) => Some(contents),
        _ => None,
    }
}

fn remove(root: &Path, path: &[u8], model: &mut Model) {
    let there = below(root, path);
    match model.0[path] {
        Item::Directory => fs::remove_dir_all(there).unwrap(),
        _ => fs::remove_file(there).unwrap(),
    }
    for gone in model.subtree(path) {
        model.0.remove(&gone);
    }
}

proptest! {
    #![proptest_config(on_disk(24, 100))]

    /// Every kind of change is made to every tree, each to the tree as it was locked after the one before.
    #[test]
    fn one_change_is_found_and_exactly_that(
        model in model(),
        kind in kind(),
        attributes in any::<bool>(),
        indices in prop::collection::vec(any::<Index>(), MUTATIONS.len()),
    ) {
        let world = World::in_memory(&declaration(kind, attributes, &["**/__pycache__", "**/*.pyc"]));
        let mut model = model;
        model.add(b"module/\xff/file", Item::File { contents: b"x".to_vec(), mode: 0o644 });
        model.add(b"module/link", Item::Link { target: b"file".to_vec() });
        model.build(&world.path("root"));
        world.lock();
        for (mutation, at) in MUTATIONS.into_iter().zip(&indices) {
            let before = model.clone();
            let Some(expected) = mutate(mutation, at, &world, &mut model, attributes) else { continue };
            let directory = |path: &Vec<u8>| {
                [&before, &model].into_iter().filter_map(|model| model.0.get(path)).all(|item| *item == Item::Directory)
            };
            let expected: Vec<_> = expected
                .into_iter()
                .filter(|(path, ..)| kind == "trees" || !directory(path))
                .map(|(path, change, from)| (path.clone(), of_files(kind, &before, &model, &path, change), from))
                .collect();
            let code = i32::from(!expected.is_empty());
            println!("{mutation:?}: {expected:?} in {before:?}");
            assert_drift(&world.check(code), kind, attributes, [&before, &model], &expected);
            world.lock();
        }
        assert_drift(&world.check(0), kind, attributes, [&model, &model], &[]);
    }
}

/// A `files` lock has no directories: there, what became one is gone, and what was one is new.
fn of_files(kind: &str, before: &Model, after: &Model, path: &[u8], change: &'static str) -> &'static str {
    let is_directory = |model: &Model| model.0.get(path) == Some(&Item::Directory);
    match change {
        "type_changed" if kind == "files" && is_directory(before) => "added",
        "type_changed" if kind == "files" && is_directory(after) => "removed",
        _ => change,
    }
}

/// A directory so large that the workers share it, with directories among the files: the order is that of paths still,
/// however the workers take turns.
#[test]
fn a_directory_that_workers_share_is_in_order() {
    let mut model = Model::default();
    for number in 0..6000_usize {
        let contents = vec![b'x'; if number % 700 == 0 { 500_000 } else { number % 50 }];
        let name = if number % 100 == 0 { format!("{number}/below") } else { number.to_string() };
        model.add(name.as_bytes(), Item::File { contents, mode: 0o644 });
    }
    for kind in ["trees", "files"] {
        let world = World::in_memory(&declaration(kind, false, &[]));
        model.build(&world.path("root"));
        let rounds = ["1", "7", "2", "3", "7", "7"];
        for threads in &rounds[..machine::cases(6) as usize] {
            let _ = fs::remove_dir_all(world.path("locks"));
            world.driftlock(["lock", "--threads", threads]).code(0);
            assert_locked(&world, &model, kind, false);
        }
        assert_drift(&world.check(0), kind, false, [&model, &model], &[]);
    }
}

/// A free thread reads a large file, which another one may have found. Each result ends up at its path, for any thread
/// and for sizes around the limit from which a file is large.
#[test]
fn large_files_end_where_they_belong() {
    const LARGE: usize = 1 << 20;
    let mut model = Model::default();
    for number in 0..24_usize {
        let directory = ["", "a/", "a/b/", "z/"][number % 4];
        let size = [LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 77][number % 5 % 4];
        let contents = [number.to_string().repeat(size / 2), "x".repeat(size)].concat().into_bytes();
        model.add(
            format!("{directory}l{number}").as_bytes(),
            Item::File { contents: contents[..size].into(), mode: 0o755 },
        );
        model.add(format!("{directory}s{number}").as_bytes(), Item::File { contents: vec![b'y'; number], mode: 0o644 });
    }
    for kind in ["trees", "files"] {
        let world = World::in_memory(&declaration(kind, false, &[]));
        model.build(&world.path("root"));
        let rounds = ["1", "7", "2", "3", "7", "7"];
        for threads in &rounds[..machine::cases(6) as usize] {
            let _ = fs::remove_dir_all(world.path("locks"));
            world.driftlock(["lock", "--threads", threads]).code(0);
            assert_locked(&world, &model, kind, false);
            world.driftlock(["check", "--threads", threads]).code(0);
        }
    }
}

#[test]
fn parents_are_the_paths_that_they_are() {
    assert_eq!((parent(b"a/b/c"), parent(b"c")), (&b"a/b"[..], &b""[..]));
}
