//! Lock files against `sha256sum`, on what this machine has below `/usr`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use needs::needs;

use crate::harness::{FILES, World, drift, the_check};
use crate::model::bytes;
use crate::real_tree::{files, real_tree};

/// The declaration of a `files` check with a text lock over a root.
fn text_lock(root: &str) -> String {
    FILES.replace("root = \"root\"", &format!("lock = \"tree.lock.txt\"\nroot = {root:?}"))
}

/// Every file, link and directory of a tree with its times, as `find` tells it: another one, and something changed.
fn state(root: &str) -> Vec<u8> {
    let mut find = Command::new("find");
    // What this user can't list is left out: `directories_of_usr` takes no directory that has some of it.
    find.args([root, "-type", "d", "(", "!", "-readable", "-o", "!", "-executable", ")", "-prune", "-o"]);
    let output = find.args(["-printf", "%p\\0%i %s %m %T@ %C@ %l\\0"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Runs a test on a tree that belongs to the machine. Packages may be installed while it runs: what it says counts if
/// the tree was the same before and after; it may say it again otherwise.
pub fn on_stable(root: &str, test: impl Fn()) {
    for attempt in 1..=3 {
        let before = state(root);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test));
        match result {
            Ok(()) => return,
            Err(panic) if state(root) == before => std::panic::resume_unwind(panic),
            Err(_) => eprintln!("{root} changed during attempt {attempt}"),
        }
    }
    panic!("{root} changed during each of three attempts: nothing is known");
}

/// The names of the directories in `/usr`: those that are looked at, and those that are left out, since they are large, or this
/// user can't read all of them. Files are of the same kinds in all of them, and gigabytes of them would prove no more.
pub fn directories_of_usr() -> (Vec<String>, Vec<String>) {
    const MOST: u64 = 256 << 20;
    let directories = fs::read_dir("/usr").unwrap().map(Result::unwrap);
    let directories = directories.filter(|entry| entry.file_type().unwrap().is_dir());
    let (taken, left_out): (Vec<_>, Vec<_>) =
        directories.map(|entry| entry.path()).partition(|path| size(path).is_some_and(|size| size <= MOST));
    let names = |paths: Vec<PathBuf>| -> Vec<String> {
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let (taken, left_out) = (names(taken), names(left_out));
    assert!(!taken.is_empty(), "all directories of /usr are unreadable, or larger than {MOST} bytes: {left_out:?}");
    (taken, left_out)
}

/// What the files below a directory have in bytes; `None` if this user can't read all of them.
fn size(directory: &Path) -> Option<u64> {
    let is_readable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok();
    let entries = fs::read_dir(directory).ok()?.map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.metadata().ok()? {
        status if status.is_dir() => size(&entry.path()),
        status if status.is_file() => is_readable(&entry.path()).then_some(status.len()),
        _ => Some(0),
    });
    sizes.sum()
}

/// Runs a command to its end with this on stdin.
fn fed(command: &mut Command, input: &[u8]) -> Output {
    use std::io::Write as _;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

/// What `sha256sum --zero` says of everything that `find` calls a file below a root: hex digits by path.
fn sha256sums(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let find = Command::new("find").current_dir(root).args([".", "-type", "f", "-print0"]).output().unwrap();
    let files: Vec<&[u8]> = find.stdout.split_inclusive(|&byte| byte == 0).collect();
    let run = |files: &[&[u8]]| {
        let mut xargs = Command::new("xargs");
        xargs.current_dir(root).args(["-r0", "sha256sum", "--zero"]);
        let output = fed(&mut xargs, &files.concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    // Two at a time, each with an output of its own.
    let (some, others) = files.split_at(files.len() / 2);
    let output = std::thread::scope(|scope| {
        let some = scope.spawn(|| run(some));
        [run(others), some.join().unwrap()].concat()
    });
    let lines = output.split(|&byte| byte == 0).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            assert_eq!(&line[64..68], b"  ./", "{}", String::from_utf8_lossy(line));
            (line[68..].to_vec(), String::from_utf8(line[..64].to_vec()).unwrap())
        })
        .collect()
}

#[test]
fn digests_of_a_real_tree_are_those_of_sha256sum_in_both_formats() {
    let sums = digests_are_those_of_sha256sum(real_tree(), &["1", "7"]);
    assert_eq!(sums.len(), files());
    text_locks_are_those_of_sha256sum(real_tree(), &sums);
}

/// Of what this machine has there. It has more links than a declaration may name, so there is no text lock of it.
#[needs("sha256sum", "xargs")]
fn digests_of_files_below_usr_are_those_of_sha256sum() {
    on_stable("/usr", || {
        let directories = directories_of_usr().0.into_iter().map(|name| Path::new("/usr").join(name));
        let mut compared = 0;
        // Of a directory without files there is nothing to lock.
        for directory in directories.filter(|directory| size(directory) != Some(0)) {
            compared += digests_are_those_of_sha256sum(&directory, &["2"]).len();
        }
        assert!(compared > 0);
    });
}

/// Gives what `sha256sum` says of each file.
fn digests_are_those_of_sha256sum(root: &Path, numbers_of_threads: &[&str]) -> BTreeMap<Vec<u8>, String> {
    let sums = sha256sums(root);
    let root = root.to_str().unwrap();
    let world = World::declaring(&FILES.replace("root = \"root\"", &format!("root = {root:?}")));
    let locks = numbers_of_threads
        .iter()
        .map(|threads| {
            let _ = fs::remove_dir_all(world.path("locks"));
            world.driftlock(["lock", "--threads", threads]).code(0);
            world.lock_bytes()
        })
        .collect::<Vec<_>>();
    assert!(locks.windows(2).all(|two| two[0] == two[1]), "the lock depends on the number of threads");
    let entries = world.entries();
    let of_type = |wanted: &'static str| entries.iter().filter(move |entry| entry["type"] == wanted);
    let locked: BTreeMap<_, _> = of_type("file")
        .map(|entry| (bytes(entry, "path").unwrap(), entry["sha256"].as_str().unwrap().to_owned()))
        .collect();
    assert_same(&locked, &sums);
    sums
}

fn text_locks_are_those_of_sha256sum(root: &Path, sums: &BTreeMap<Vec<u8>, String>) {
    let root = root.to_str().unwrap();
    // A text lock has no links, so they are excluded. No file is called so, which the number of lines shows.
    let world = World::declaring(&format!("{}exclude = [\"**/link*\"]\n", text_lock(root)));
    world.lock();
    let lock = fs::read(world.path("locks/tree.lock.txt")).unwrap();
    let mut judge = Command::new("sha256sum");
    judge.current_dir(root).args(["--check", "--strict", "--quiet"]).arg(world.path("locks/tree.lock.txt"));
    let said = judge.output().unwrap();
    assert!(said.status.success() && said.stdout.is_empty(), "{}", String::from_utf8_lossy(&said.stdout));
    assert_eq!(lock.iter().filter(|&&byte| byte == b'\n').count(), sums.len());

    // And the other way round: what `sha256sum` wrote, in the order in which it came, is a lock.
    let line = |(path, sum): (&Vec<u8>, &String)| {
        let path = std::str::from_utf8(path).unwrap();
        let escaped = path.replace('\\', "\\\\").replace('\n', "\\n");
        format!("{}{sum} *./{escaped}\n", if escaped == path { "" } else { "\\" })
    };
    let theirs: String = sums.iter().rev().map(line).collect();
    fs::write(world.path("locks/tree.lock.txt"), theirs).unwrap();
    assert_eq!(the_check(&world.check(0))["counts"]["verified"], sums.len());
}

fn assert_same(ours: &BTreeMap<Vec<u8>, String>, theirs: &BTreeMap<Vec<u8>, String>) {
    let differ = |a: &BTreeMap<Vec<u8>, String>, b: &BTreeMap<Vec<u8>, String>| {
        let odd: Vec<_> = a.iter().filter(|(path, sum)| b.get(*path) != Some(sum)).take(5).collect();
        odd.iter().map(|(path, sum)| format!("{sum}  {}", String::from_utf8_lossy(path))).collect::<Vec<_>>()
    };
    let (ours_alone, theirs_alone) = (differ(ours, theirs), differ(theirs, ours));
    assert!(ours_alone.is_empty() && theirs_alone.is_empty(), "ours {ours_alone:#?}, theirs {theirs_alone:#?}");
}

/// Names for which `sha256sum` has escapes, which look like its escapes or its format, and which are no text.
const NAMES: [&[u8]; 20] = [
    b"plain",
    b"with blank",
    b" leading",
    b"trailing ",
    b"*star",
    b"back\\slash",
    b"\\",
    b"new\nline",
    b"\n",
    b"carriage\rreturn",
    b"\\n",
    b"all\\\n\r\\r",
    b"tab\t",
    b"\xff\xfe",
    b"-",
    b"#comment",
    b"SHA256 (x) = y",
    b"0000000000000000000000000000000000000000000000000000000000000000  x",
    b"deeper/\\/\n",
    "\u{e9}\u{202e}".as_bytes(),
];

fn named_world() -> World {
    let world = World::in_memory(&text_lock("root"));
    for (number, name) in NAMES.into_iter().enumerate() {
        world.write(name, number.to_string());
    }
    world
}

/// Runs `sha256sum` in the root.
fn sha256sum(world: &World, arguments: &[&str], files: &[&[u8]]) -> Output {
    use std::os::unix::ffi::OsStrExt as _;
    let mut command = Command::new("sha256sum");
    command.current_dir(world.path("root")).args(arguments);
    command.args(files.iter().map(|name| std::ffi::OsStr::from_bytes(name)));
    command.output().unwrap()
}

/// The names that `sha256sum --check` says FAILED of, with its escapes; all of them if it refuses the lot.
fn failed(output: &Output) -> usize {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().filter(|line| line.contains(": FAILED")).count()
}

#[test]
fn sha256sum_accepts_what_we_write_of_any_name() {
    let world = named_world();
    world.lock();
    let lock = world.path("locks/tree.lock.txt");
    let said = sha256sum(&world, &["--check", "--strict", lock.to_str().unwrap()], &[]);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(String::from_utf8_lossy(&said.stdout).matches(": OK").count(), NAMES.len());
    // Byte for byte what it writes itself, given the names in our order. It takes `-` for its standard input.
    let mut names = NAMES;
    names.sort();
    let names = names.map(|name| if name == b"-" { b"./-" } else { name });
    let theirs = sha256sum(&world, &["--"], &names).stdout;
    assert_eq!(String::from_utf8_lossy(&fs::read(&lock).unwrap()), String::from_utf8_lossy(&theirs));
    // And so does `hash`, which has the same form.
    let mut hash = world.driftlock(["hash", "."]);
    hash.command.current_dir(world.path("root"));
    let hashed = hash.code(0).output.stdout;
    let said = fed(Command::new("sha256sum").current_dir(world.path("root")).args(["--check", "--strict"]), &hashed);
    assert!(said.status.success(), "{said:?}");
}

#[test]
fn we_accept_what_sha256sum_writes_and_find_what_it_finds() {
    let world = named_world();
    let lock = world.path("locks/tree.lock.txt");
    fs::create_dir(world.path("locks")).unwrap();
    let dotted: Vec<Vec<u8>> = NAMES.iter().map(|name| [b"./", *name].concat()).collect();
    let dotted: Vec<&[u8]> = dotted.iter().map(Vec::as_slice).collect();
    for arguments in [&["--text", "--"][..], &["--binary", "--"], &["--tag", "--"]] {
        for names in [&NAMES.map(|name| if name == b"-" { b"./-" } else { name })[..], &dotted] {
            let written = sha256sum(&world, arguments, names);
            assert!(written.status.success(), "{written:?}");
            fs::write(&lock, &written.stdout).unwrap();
            let report = world.check(0);
            assert_eq!(the_check(&report)["counts"]["verified"], NAMES.len(), "{arguments:?}");
            assert_eq!(failed(&sha256sum(&world, &["--check", lock.to_str().unwrap()], &[])), 0);

            // Some contents change, one file goes, and one becomes a link to what it was.
            for number in [3_usize, 7, 9, 11, 13] {
                world.write(NAMES[number], "other");
            }
            fs::remove_file(world.root(NAMES[14])).unwrap();
            fs::remove_file(world.root(NAMES[0])).unwrap();
            fs::write(world.path("outside"), "0").unwrap();
            symlink("../outside", world.root(NAMES[0])).unwrap();
            let theirs = failed(&sha256sum(&world, &["--check", lock.to_str().unwrap()], &[]));
            let report = world.check(1);
            let changed: BTreeSet<_> = the_check(&report)["drift"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| bytes(item, "path").unwrap())
                .collect();
            let expected: BTreeSet<_> = [0, 3, 7, 9, 11, 13, 14].map(|number: usize| NAMES[number].to_vec()).into();
            assert_eq!(changed, expected, "{:?}", drift(&report));
            // It follows the link, and so misses one.
            assert_eq!(theirs, expected.len() - 1);
            fs::remove_file(world.root(NAMES[0])).unwrap();
            for (number, name) in NAMES.into_iter().enumerate() {
                world.write(name, number.to_string());
            }
        }
    }
}

/// `lock` over a lock that `sha256sum` wrote brings it into our order; from then on it is left alone.
#[test]
fn a_lock_that_sha256sum_wrote_is_rewritten_in_our_order_once() {
    let world = named_world();
    NAMES[14..].iter().filter(|name| !name.contains(&b'/')).for_each(|name| fs::remove_file(world.root(name)).unwrap());
    fs::remove_dir_all(world.root("deeper")).unwrap();
    let lock = world.path("locks/tree.lock.txt");
    fs::create_dir(world.path("locks")).unwrap();
    fs::write(&lock, sha256sum(&world, &["--tag", "--"], &NAMES[..14]).stdout).unwrap();
    assert!(world.lock().stdout().starts_with("wrote "));
    let canonical = fs::read(&lock).unwrap();
    assert!(world.lock().stdout().starts_with("unchanged "));
    assert_eq!(fs::read(&lock).unwrap(), canonical);
}
