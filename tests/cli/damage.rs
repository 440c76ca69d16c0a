//! Damaged locks: each one is refused, and none of them ever leads to a PASS.

mod compared;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use driftlock::internals::manifest::{
    AttributeSet, Attributes, Content, Entries, Entry, Kind, LockError, Observed, Record, Sha256Digest, json,
};
use driftlock::internals::path::{EntryPath, ROOT};
use proptest::prelude::*;
use sha2::Digest as _;

use crate::harness::{FILES, TREES, World};
use crate::machine::{cases, is_whole_suite};
use crate::model::sri;

/// Entries in memory, as a stream.
struct Stream(Vec<Entry>, usize);

impl Entries for Stream {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        self.1 += 1;
        let entry = self.0.get(self.1 - 1);
        Ok(entry.map(|entry| Observed { path: entry.path.as_bytes(), state: Ok(&entry.record) }))
    }
}

pub fn read(lock: &[u8]) -> Result<(json::Header, Vec<Entry>), LockError> {
    let mut reader = json::Reader::new(lock)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next()? {
        entries.push(Entry { path: EntryPath::new(entry.path).unwrap(), record: entry.state.unwrap().clone() });
    }
    Ok((reader.header().clone(), entries))
}

pub fn write(header: &json::Header, entries: &[Entry]) -> Vec<u8> {
    let digest = json::digest(&mut Stream(entries.to_vec(), 0)).unwrap();
    let mut lock = Vec::new();
    json::write(&mut lock, header, digest, &mut Stream(entries.to_vec(), 0)).unwrap();
    lock
}

/// A lock, read and written.
pub fn written_again(lock: &[u8]) -> Result<Vec<u8>, LockError> {
    let (header, entries) = read(lock)?;
    Ok(write(&header, &entries))
}

/// A lock of anything is JSON, is read as what was written, and is written as the same bytes again.
pub fn is_read_as_written(header: json::Header, entries: Vec<Entry>) -> Result<(), TestCaseError> {
    let written = write(&header, &entries);
    prop_assert!(serde_json::from_slice::<serde_json::Value>(&written).is_ok(), "JSON for any parser");
    let read = read(&written).unwrap();
    prop_assert_eq!(&read, &(header, entries));
    prop_assert_eq!(written, write(&read.0, &read.1));
    Ok(())
}

/// A world with a small lock that has some of everything, and the lock.
fn locked() -> (World, Vec<u8>) {
    let world = World::in_memory(&TREES.replace("root = ", "attributes = [\"mode\"]\nroot = "));
    world.write("m/a", "1");
    world.write(b"m/\xff", "");
    symlink("a\n", world.root("m/link")).unwrap();
    world.lock();
    let lock = world.lock_bytes();
    (world, lock)
}

/// What a byte of a lock may become: what numbers, digests and JSON are made of, and an eighth of all others, another one at
/// each of eight neighbours. In a plain `cargo test` these are spread over 64 neighbours.
fn others(lock: &[u8], at: usize) -> impl Iterator<Item = u8> {
    let (before, step) = (lock[at], if is_whole_suite() { 8 } else { 64 });
    let is_special = |byte: &u8| byte.is_ascii_hexdigit() || b"\0\n\r\t \"\\/,.:-+{}[]\x7f\xff".contains(byte);
    (0..=255).filter(move |byte| *byte != before && (is_special(byte) || usize::from(*byte) % step == at % step))
}

fn refused(world: &World, lock: &[u8], what: &str) {
    let path = world.path("locks/tree.lock.json");
    fs::write(&path, lock).unwrap();
    println!("{what}: {}", String::from_utf8_lossy(lock));
    let report = world.check(2);
    assert_eq!((&report["overall"], &report["exit_code"]), (&"FAIL".into(), &2.into()));
    let check = &report["checks"].as_array().unwrap()[1];
    assert_eq!(check["status"], "FAIL");
    assert!(check["trouble"]["problem"].as_str().unwrap().contains("tree.lock.json is refused"), "{check:#}");
    assert!(check["drift"].as_array().unwrap().is_empty(), "a refused lock is not compared");
}

/// Some bytes of each line; the next test has all of them.
#[test]
fn a_lock_with_one_byte_changed_is_refused() {
    let (world, lock) = locked();
    for at in (0..lock.len()).step_by(5) {
        let mut damaged = lock.clone();
        match at % 4 {
            0 => damaged[at] ^= 1,
            1 => drop(damaged.remove(at)),
            2 => damaged.insert(at, lock[at]),
            _ => damaged[at] = b' ',
        }
        if damaged != lock {
            refused(&world, &damaged, "one byte");
        }
    }
    for length in (0..lock.len()).step_by(41) {
        refused(&world, &lock[..length], "cut off");
    }
    for behind in ["\n", " ", "}", "\0"] {
        refused(&world, &[&lock[..], behind.as_bytes()].concat(), "something behind");
    }
    for before in ["\n", " ", "\u{feff}"] {
        refused(&world, &[before.as_bytes(), &lock].concat(), "something before");
    }
    fs::write(world.path("locks/tree.lock.json"), &lock).unwrap();
    world.check(0);
}

/// The same on the reader itself, which is fast enough for every byte.
#[test]
fn a_lock_with_any_other_byte_anywhere_is_refused() {
    let (_, lock) = locked();
    let (header, entries) = read(&lock).unwrap();
    assert_eq!((write(&header, &entries), entries.len()), (lock.clone(), 5));
    // The caller compares the header with the declaration, which the reader does not know.
    let accepted = |damaged: &[u8]| read(damaged).is_ok_and(|(found, _)| found == header);
    for at in 0..lock.len() {
        let mut damaged = lock.clone();
        for byte in others(&lock, at) {
            damaged[at] = byte;
            assert!(!accepted(&damaged), "byte {at} is {byte}: {}", String::from_utf8_lossy(&damaged));
        }
        for byte in *b"\0\n\r\t ,\"\\/0a{}[]\x7f\xff" {
            let damaged = [&lock[..at], &[byte], &lock[at..]].concat();
            assert!(!accepted(&damaged), "{byte} before byte {at}: {}", String::from_utf8_lossy(&damaged));
        }
        let damaged = [&lock[..at], &lock[at + 1..]].concat();
        assert!(!accepted(&damaged), "without byte {at}: {}", String::from_utf8_lossy(&damaged));
    }
}

/// The lock with the digest that its entry lines have, as one would state who forges a lock.
fn restated(lock: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = b"\"entries\": [\n";
    let find = |wanted: &[u8]| lock.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let lines = find(BEFORE) + BEFORE.len();
    let digest = find(b"sha256-");
    let stated = sri(&sha2::Sha256::digest(&lock[lines..lock.len() - b"]\n}\n".len()]));
    [&lock[..digest], stated.as_bytes(), &lock[digest + stated.len()..]].concat()
}

/// A user who changes a lock can also write a new digest. Even then, only bytes that driftlock would write are accepted.
#[test]
fn a_forged_lock_is_refused_unless_driftlock_would_write_it_so() {
    let (world, lock) = locked();
    assert_eq!(restated(&lock), lock);
    let text = String::from_utf8(lock.clone()).unwrap();
    let start = text.find("[\n").unwrap() + 2;
    let lines: Vec<&str> = text[start..].trim_end_matches("\n]\n}\n").split(",\n").collect();
    let with = |lines: &[&str]| restated(format!("{}{}\n]\n}}\n", &text[..start], lines.join(",\n")).as_bytes());
    assert_eq!(with(&lines), lock);
    for a in 0..lines.len() {
        refused(&world, &with(&[&lines[..a], &lines[a..=a], &lines[a..]].concat()), "an entry twice");
        for b in a + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(a, b);
            refused(&world, &with(&swapped), "two entries swapped");
        }
    }
    for (canonical, other) in [
        ("\"size\":1", "\"size\": 1"),
        ("\"size\":1", "\"size\":1.0"),
        ("\"size\":1", "\"size\":1,\"size\":1"),
        ("\"m/a\"", "\"m\\/a\""),
        ("\"m/a\"", "\"m/\\u0061\""),
        ("\"m/a\"", "\"./m/a\""),
        ("\"type\":\"file\",\"size\":1", "\"size\":1,\"type\":\"file\""),
        ("\"type\":\"file\",\"size\":1", "\"type\":\"file\",\"executable\":false,\"size\":1"),
        ("\"type\":\"symlink\"", "\"type\":\"symlink\",\"note\":1"),
        ("\"a\\n\"", "\"a\\u000a\""),
        ("\"path\":\"m/a\"", "\"path_base64\":\"bS9h\""),
        (",\"mode\":\"0644\"", ""),
    ] {
        let forged = text.replacen(canonical, other, 1);
        assert_ne!(forged, text, "{canonical} is not in {text}");
        refused(&world, &restated(forged.as_bytes()), "another spelling");
    }
    // And each byte of each entry, as any other one.
    let mut accepted = 0;
    for at in start..lock.len() - b"\n]\n}\n".len() {
        for byte in others(&lock, at) {
            let forged = restated(&[&lock[..at], &[byte], &lock[at + 1..]].concat());
            if let Ok(again) = written_again(&forged) {
                assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&forged));
                accepted += 1;
            }
        }
    }
    assert!(accepted > 1000, "another digit of a digest is another lock: {accepted}");
}

#[test]
fn a_lock_with_lines_changed_is_refused_and_left_as_evidence() {
    let (world, lock) = locked();
    let lines: Vec<&[u8]> = lock.split_inclusive(|&byte| byte == b'\n').collect();
    let mut damaged = Vec::new();
    for a in 0..lines.len() {
        let without = [&lines[..a], &lines[a + 1..]].concat();
        damaged.push(("a line less", without));
        damaged.push(("a line twice", [&lines[..a], &lines[a..=a], &lines[a..]].concat()));
        damaged.push(("an empty line", [&lines[..a], &[b"\n"], &lines[a..]].concat()));
        for b in a + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(a, b);
            damaged.push(("two lines swapped", swapped));
        }
    }
    for (what, lines) in damaged {
        let bytes = lines.concat();
        refused(&world, &bytes, what);
        let said = world.driftlock(["lock"]).code(2).stderr();
        assert!(said.contains("left as it is"), "{said}");
        assert_eq!(world.lock_bytes(), bytes, "a lock that is refused is never overwritten");
    }
    let windows = String::from_utf8(lock).unwrap().replace('\n', "\r\n");
    refused(&world, windows.as_bytes(), "line ends of Windows");
}

/// A text lock has no digest and any order is right, so `sha256sum` is the judge: what it would not verify as the same
/// set of files is no PASS.
#[test]
fn a_text_lock_with_one_byte_changed_passes_only_if_sha256sum_says_so() {
    let world = World::in_memory(&FILES.replace("root = ", "lock = \"tree.lock.txt\"\nroot = "));
    for (name, contents) in [("a", "1"), ("b\n", "2"), ("c\\d", ""), ("e f", "3")] {
        world.write(name, contents);
    }
    world.lock();
    let path = world.path("locks/tree.lock.txt");
    let lock = fs::read(&path).unwrap();
    let files = lock.iter().filter(|&&byte| byte == b'\n').count();
    let (mut passed, mut tried) = (0, 0);
    for at in 0..lock.len() {
        let changed = |byte: u8| [&lock[..at], &[byte], &lock[at + 1..]].concat();
        // From a blank to `*` it is a xor of 10.
        let damage = [
            changed(lock[at] ^ 10),
            [&lock[..at], &lock[at + 1..]].concat(),
            changed(lock[at] ^ 1),
            [&lock[..at], b"*", &lock[at..]].concat(),
        ];
        // Of a digest every third digit, each in one of the four ways.
        let of_digest = lock[at].is_ascii_hexdigit();
        let damage = damage.into_iter().skip(if of_digest { at % 4 } else { 0 });
        for damaged in damage.take(if of_digest { usize::from(at % 3 == 0) } else { 4 }) {
            fs::write(&path, &damaged).unwrap();
            tried += 1;
            let mut run = world.driftlock(["check", "--quiet"]);
            if !run.command.output().unwrap().status.success() {
                continue;
            }
            passed += 1;
            let mut judge = Command::new("sha256sum");
            judge.args(["--check", "--strict"]).arg(&path);
            let mut judge = world.command(judge);
            judge.command.current_dir(world.path("root"));
            let said = judge.code(0).stdout();
            let mut verified: Vec<_> = said.lines().collect();
            verified.sort();
            verified.dedup();
            assert_eq!(verified.len(), files, "{said} of {}", String::from_utf8_lossy(&damaged));
        }
    }
    // `  ` before a name may have become ` *`, and nothing else is the same lock.
    assert!(passed <= files, "{passed} of {tried}");
    fs::write(&path, lock).unwrap();
    world.check(0);
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(1..=255_u8, 1..30),
        "[a-b./\\\\\"\n\u{7f}-\u{a0}\u{200b}]{1,8}".prop_map(String::into_bytes),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    let digest = || any::<[u8; 32]>().prop_map(Sha256Digest);
    let numbers = || (any::<u32>(), any::<u32>());
    prop_oneof![
        4 => (any::<bool>(), any::<u64>(), digest())
            .prop_map(|(executable, size, sha256)| Content::File { executable, size, sha256 }),
        2 => prop::option::of(digest()).prop_map(|nar| Content::Directory { nar }),
        2 => text().prop_map(|target| Content::Symlink { target: target.into() }),
        1 => prop::sample::select(vec![Content::Fifo, Content::Socket]),
        1 => numbers().prop_map(|(major, minor)| Content::CharDevice { major, minor }),
        1 => numbers().prop_map(|(major, minor)| Content::BlockDevice { major, minor }),
    ]
}

/// Any lock that can be: entries with every type and attribute.
fn lock() -> impl Strategy<Value = (json::Header, Vec<Entry>)> {
    let xattrs = || prop::collection::btree_map(text(), prop::collection::vec(any::<u8>(), 0..20), 0..3);
    let attributes = (0..0o10000_u16, any::<(u32, u32)>(), xattrs());
    let set = any::<(bool, bool, bool)>().prop_map(|(mode, owner, xattrs)| AttributeSet {
        mode,
        owner,
        xattrs,
        ..AttributeSet::default()
    });
    let entries = prop::collection::btree_map(text(), (content(), attributes), 0..12);
    (any::<String>(), prop::sample::select(vec![Kind::Files, Kind::Trees]), set, entries).prop_map(
        |(check, kind, set, entries)| {
            let entry = |(path, (content, (mode, owner, xattrs)))| {
                let xattrs: std::collections::BTreeMap<Vec<u8>, Vec<u8>> = xattrs;
                let path: Vec<u8> = path;
                let attributes = (!set.is_empty()).then(|| {
                    Box::new(Attributes {
                        mode: set.mode.then_some(mode),
                        owner: set.owner.then_some(owner),
                        xattrs: set
                            .xattrs
                            .then(|| xattrs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()),
                    })
                });
                let content = match (kind, content) {
                    // Directories are in locks of trees only, and only what is directly below the root has a `nar`.
                    (Kind::Files, Content::Directory { .. }) => Content::Fifo,
                    (Kind::Trees, Content::Directory { .. }) if path.contains(&b'/') => {
                        Content::Directory { nar: None }
                    }
                    (_, content) => content,
                };
                // The root itself is an entry of its own sort.
                let path = EntryPath::new(path).ok().filter(|path| path.as_bytes() != ROOT)?;
                Some(Entry { path, record: Record { content, attributes } })
            };
            let header = json::Header { check, kind, attributes: set };
            (header, entries.into_iter().filter_map(entry).collect())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_the_same((header, entries) in lock()) {
        is_read_as_written(header, entries)?;
    }

    #[test]
    fn what_is_no_lock_is_refused((header, entries) in lock(), at: prop::sample::Index, bytes in any::<Vec<u8>>(), cut in 0..20_usize) {
        let lock = write(&header, &entries);
        let at = at.index(lock.len());
        let damaged = [&lock[..at], &bytes, &lock[(at + cut).min(lock.len())..]].concat();
        prop_assume!(damaged != lock);
        prop_assert!(read(&damaged).map_or(true, |(found, _)| found != header));
        prop_assert!(read(&bytes).is_err());
    }
}
