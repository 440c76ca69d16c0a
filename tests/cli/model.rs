//! A tree as a test knows it: what to make on disk, and what lock and drift have to say of it. All of that is worked
//! out here, by other means than ours, so that the two can be held against each other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{World, the_check};
use crate::machine::cases;

/// One thing in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    File { contents: Vec<u8>, mode: u32 },
    Link { target: Vec<u8> },
    Directory,
}

/// A tree by paths; every directory above a path is there too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model(pub BTreeMap<Vec<u8>, Item>);

/// One drift: path, change, and where the content was before if it moved.
pub type Expected = (Vec<u8>, &'static str, Option<Vec<u8>>);

/// A path or a link's target below a directory, of any bytes.
pub fn below(directory: &Path, bytes: &[u8]) -> PathBuf {
    directory.join(OsStr::from_bytes(bytes))
}

/// The directory part of a path; empty for one directly below the root.
pub fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(b"", |slash| &path[..slash])
}

impl Model {
    /// Adds something and the directories above it, unless it is there already or lies below something else.
    pub fn add(&mut self, path: &[u8], item: Item) {
        for (slash, _) in path.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
            if *self.0.entry(path[..slash].to_vec()).or_insert(Item::Directory) != Item::Directory {
                return;
            }
        }
        self.0.entry(path.to_vec()).or_insert(item);
    }

    /// What has the path, or lies below it.
    pub fn subtree(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let inside = |other: &[u8]| other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
        self.0.keys().filter(|other| inside(other)).cloned().collect()
    }

    /// Makes the tree on disk, in its own order.
    pub fn build(&self, root: &Path) {
        self.build_in(root, self.0.keys());
    }

    /// Makes the tree on disk in the order in which the paths are given.
    pub fn build_in<'a>(&self, root: &Path, order: impl IntoIterator<Item = &'a Vec<u8>>) {
        fs::create_dir_all(root).unwrap();
        for path in order {
            fs::create_dir_all(below(root, parent(path))).unwrap();
            self.0[path].make(&below(root, path));
        }
    }

    /// The entries that a lock has, as JSON, `nar` of each module included.
    pub fn entries(&self, kind: &str, attributes: bool) -> Vec<Value> {
        let entry = |(path, item): (&Vec<u8>, &Item)| {
            if kind == "files" && *item == Item::Directory {
                return None;
            }
            let mut entry = item.record(attributes);
            let (key, value) = text("path", path);
            entry[key] = value;
            if kind == "trees" && *item == Item::Directory && parent(path).is_empty() {
                entry["nar"] = json!(sri(&Sha256::digest(self.nar(path))));
            }
            Some(entry)
        };
        self.0.iter().filter_map(entry).collect()
    }

    /// The Nix archive of what lies at a path; of the whole tree for the empty path.
    pub fn nar(&self, path: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        string(&mut out, b"nix-archive-1");
        self.nar_node(&mut out, path);
        out
    }

    fn nar_node(&self, out: &mut Vec<u8>, path: &[u8]) {
        string(out, b"(");
        string(out, b"type");
        match self.0.get(path).unwrap_or(&Item::Directory) {
            Item::File { contents, mode } => {
                string(out, b"regular");
                if mode & 0o100 != 0 {
                    string(out, b"executable");
                    string(out, b"");
                }
                string(out, b"contents");
                string(out, contents);
            }
            Item::Link { target } => {
                string(out, b"symlink");
                string(out, b"target");
                string(out, target);
            }
            Item::Directory => {
                string(out, b"directory");
                // Names within one directory, by their bytes: not the order of whole paths.
                let mut names: Vec<_> = self.0.keys().filter(|other| *other != path && parent(other) == path).collect();
                names.sort();
                for other in names {
                    string(out, b"entry");
                    string(out, b"(");
                    string(out, b"name");
                    string(out, if path.is_empty() { other } else { &other[path.len() + 1..] });
                    string(out, b"node");
                    self.nar_node(out, other);
                    string(out, b")");
                }
            }
        }
        string(out, b")");
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(8), 0);
}

impl Item {
    /// Makes it on disk, where there must be nothing yet; but a directory may be there.
    pub fn make(&self, path: &Path) {
        match self {
            Self::File { contents, mode } => {
                fs::write(path, contents).unwrap();
                fs::set_permissions(path, Permissions::from_mode(*mode)).unwrap();
            }
            Self::Link { target } => symlink(OsStr::from_bytes(target), path).unwrap(),
            Self::Directory => {
                fs::create_dir_all(path).unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    /// What a lock says of it, but for path and `nar`. With attributes, the mode and the owner are those of the files
    /// that tests make as themselves.
    pub fn record(&self, attributes: bool) -> Value {
        let (mut record, mode) = match self {
            Self::File { contents, mode } => {
                let mut record = json!({"type": "file", "size": contents.len(), "sha256": hex(contents)});
                if mode & 0o100 != 0 {
                    record["executable"] = json!(true);
                }
                (record, *mode)
            }
            Self::Link { target } => {
                let (key, value) = text("target", target);
                let mut record = json!({"type": "symlink"});
                record[key] = value;
                (record, 0o777)
            }
            Self::Directory => (json!({"type": "directory"}), 0o755),
        };
        if attributes {
            record["mode"] = json!(format!("{mode:04o}"));
            record["uid"] = json!(rustix::process::geteuid().as_raw());
            record["gid"] = json!(rustix::process::getegid().as_raw());
        }
        record
    }
}

pub fn hex(contents: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(contents))
}

pub fn sri(digest: &[u8]) -> String {
    format!("sha256-{}", BASE64.encode(digest))
}

/// The key and the value that some bytes have in JSON.
pub fn text(key: &str, bytes: &[u8]) -> (String, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (key.to_owned(), text.into()),
        Err(_) => (format!("{key}_base64"), BASE64.encode(bytes).into()),
    }
}

/// The bytes that [`text`] wrote, if the key is there.
pub fn bytes(value: &Value, key: &str) -> Option<Vec<u8>> {
    let plain = value[key].as_str().map(|text| text.as_bytes().to_vec());
    plain.or_else(|| Some(BASE64.decode(value[format!("{key}_base64")].as_str()?.as_bytes()).unwrap()))
}

/// The drift that a report tells of, held against what is expected, with `expected` and `actual` of each and all
/// counts.
pub fn assert_drift(report: &Value, kind: &str, attributes: bool, [before, after]: [&Model; 2], expected: &[Expected]) {
    let check = the_check(report);
    let shown = |model: &Model, path: &Vec<u8>| {
        let item = model.0.get(path)?;
        (kind == "trees" || *item != Item::Directory).then(|| item.record(attributes))
    };
    let record = |value: &Value| {
        let mut record = value.clone();
        // A directory's archive follows from what is below it, and is not compared.
        record.as_object_mut()?.remove("nar");
        Some(record)
    };
    let mut wanted: Vec<_> = expected
        .iter()
        .map(|(path, change, from)| {
            let old = shown(before, from.as_ref().unwrap_or(path));
            (path.clone(), (*change).to_owned(), from.clone(), old, shown(after, path))
        })
        .collect();
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    let found: Vec<_> = check["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let path = bytes(item, "path").unwrap();
            let change = item["change"].as_str().unwrap().to_owned();
            (path, change, bytes(item, "from"), record(&item["expected"]), record(&item["actual"]))
        })
        .collect();
    assert_eq!(found, wanted, "{check:#}");
    let paths = before.0.keys().chain(after.0.keys()).collect::<std::collections::BTreeSet<_>>();
    let entries = paths.into_iter().filter(|path| shown(before, path).or_else(|| shown(after, path)).is_some()).count();
    let moves = expected.iter().filter(|(_, change, _)| *change == "moved").count();
    // With attributes the root itself is one more.
    assert_eq!(check["counts"]["entries"], entries + usize::from(attributes), "{check:#}");
    assert_eq!(check["counts"]["unverified"], 0, "{check:#}");
    // Where a file moved, two paths drifted and the report has one item.
    assert_eq!(check["counts"]["drifted"], expected.len() + moves, "{check:#}");
}

/// The declaration of one check over `root`.
pub fn declaration(kind: &str, attributes: bool, exclude: &[&str]) -> String {
    let include = if kind == "files" { "include = [\"**\"]\n" } else { "" };
    let attributes = if attributes { "attributes = [\"mode\", \"owner\"]\n" } else { "" };
    format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"{kind}\"\nroot = \"root\"\nallow_empty = true\n\
         {include}{attributes}exclude = {exclude:?}\n"
    )
}

/// The lock of a world holds exactly what the model says.
pub fn assert_locked(world: &World, model: &Model, kind: &str, attributes: bool) {
    let (mut found, expected) = (world.entries(), model.entries(kind, attributes));
    // The root itself, of which the model knows nothing.
    let is_root = |entry: &Value| entry["path"] == ".";
    assert_eq!(found.iter().filter(|entry| is_root(entry)).count(), usize::from(attributes));
    found.retain(|entry| !is_root(entry));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

/// How a test makes up trees and runs the program on them. Cases cost processes and files, so there are few of them a run;
/// `PROPTEST_CASES` asks for more.
pub fn on_disk(all: u32, max_shrink_iters: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or_else(|| cases(all)),
        failure_persistence: None,
        max_shrink_iters,
        ..ProptestConfig::default()
    }
}

/// Names that sort before, behind and around the `/` of their neighbours, that shells, JSON and checksum files need
/// escapes for, that are no UTF-8, and any others.
fn name() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: [&[u8]; 22] = [
        b"a",
        b"a-",
        b"a.b",
        b"a0",
        b"a b",
        b"A",
        b"b",
        b"c",
        b"...",
        b".a",
        b"-",
        b"*",
        b"[a]",
        b"\\",
        b"\n",
        b"\r",
        b"\"",
        b"\x1b[2J",
        b"\xff",
        b"\xc3",
        "\u{e9}".as_bytes(),
        "e\u{301}\u{202e}".as_bytes(),
    ];
    let any = prop::collection::vec(1..=255_u8, 1..10).prop_map(|mut name| {
        name.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'|');
        if matches!(name[..], [b'.'] | [b'.', b'.']) { b"dots".to_vec() } else { name }
    });
    prop_oneof![
        6 => prop::sample::select(&KNOWN[..]).prop_map(<[u8]>::to_vec),
        3 => any,
        1 => (1..=255_u8).prop_map(|byte| vec![if byte == b'/' { b'l' } else { byte }; 255]),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    // Every user can read all of them; only the owner's bit makes a file executable.
    let mode = prop::sample::select(vec![0o644_u32, 0o755, 0o744, 0o655, 0o444, 0o555, 0o4755, 0o666]);
    let contents = prop_oneof![
        2 => Just(Vec::new()),
        6 => prop::collection::vec(any::<u8>(), 1..200),
        // Whole blocks of SHA-256, and one off.
        2 => prop::sample::select(vec![55_usize, 56, 63, 64, 65, 128, 4096, 4097]).prop_map(|size| vec![b'x'; size]),
        1 => (120_000_usize..300_000, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ];
    let target = prop::collection::vec(1..=255_u8, 1..40);
    prop_oneof![
        6 => (contents, mode).prop_map(|(contents, mode)| Item::File { contents, mode }),
        2 => target.prop_map(|target| Item::Link { target }),
        2 => Just(Item::Directory),
    ]
}

/// Trees of up to about forty entries.
pub fn model() -> impl Strategy<Value = Model> {
    let path = prop::collection::vec(name(), 1..5).prop_map(|names| names.join(&b'/'));
    prop::collection::vec((path, item()), 0..24).prop_map(|items| {
        let mut model = Model::default();
        for (path, item) in items {
            model.add(&path, item);
        }
        model
    })
}
