//! Locks, ours and those of the scripts, read and compared.

use std::rc::Rc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use driftlock::internals::baseline::{Baseline, Spellings};
use driftlock::internals::compare::{DifferenceBudget, compare, compare_baseline};
use driftlock::internals::declaration::{Check, Declaration, Format};
use driftlock::internals::manifest::json::{Header, Reader, digest, write};
use driftlock::internals::manifest::{AttributeSet, Kind, List, text};
use driftlock::internals::merge;

use crate::samples::{Tree, entries};
use crate::trees::{Pair, WORST, long};
use crate::{Case, Input};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(name, make) in WORST {
        cases.push(Case::new(format!("lock/{name}"), move |size| {
            let Pair { kind, locked, live } = make(size);
            let both = [lock(kind, &locked), lock(kind, &live)];
            let bytes = both.iter().map(Vec::len).sum();
            let expected = both[0].clone();
            let compared = move || {
                let found = compare(
                    &mut DifferenceBudget::unlimited(),
                    &mut Reader::new(&expected[..]).expect("a lock"),
                    &mut entries(&live),
                );
                let found = found.expect("a lock");
                found.drift.len() + found.unverified.len()
            };
            let sides = both.clone();
            let merged = move || merged(kind, &sides);
            let read = move || both.iter().map(|lock| read(lock).expect("a lock")).sum();
            Input {
                bytes,
                work: vec![("read", Box::new(read)), ("compared", Box::new(compared)), ("merged", Box::new(merged))],
            }
        }));
    }
    type Damage = fn(String) -> String;
    let damages: [(&str, Damage); 4] = [
        ("cut", |lock| lock[..lock.len() - 20].to_owned()),
        ("tampered", |lock| lock.replacen("\"size\":", "\"size\":1", 1)),
        ("spaced", |lock| lock.replacen("\"type\":", "\"type\": ", 1)),
        ("twice", |lock| {
            let first = lock.lines().nth(6).unwrap_or_default().to_owned() + "\n";
            lock.replacen(&first, &(first.clone() + &first), 1)
        }),
    ];
    for (name, damage) in damages {
        for (tree, make) in [WORST[0], WORST[11]] {
            cases.push(Case::new(format!("lock-that-is-{name}/{tree}"), move |size| {
                let lock = damage(String::from_utf8(lock(Kind::Trees, &make(size).live)).expect("UTF-8"));
                let work = {
                    let lock = lock.clone();
                    move || read(lock.as_bytes()).expect_err("it is damaged").to_string().len()
                };
                Input::to("read", lock.len(), work)
            }));
        }
    }
    cases.extend(texts());
    cases.extend(old());
    cases
}

/// A lock of what could be read of a tree.
pub fn lock(kind: Kind, tree: &Tree) -> Vec<u8> {
    let read = Tree(tree.0.clone().into_iter().filter(|(_, found)| found.is_ok()).collect());
    let first = read.0.values().find_map(|found| found.as_ref().ok());
    let attributes = first.map_or(AttributeSet::default(), driftlock::internals::manifest::Record::attribute_set);
    let header = Header { check: "tree".to_owned(), kind, attributes };
    let digest = digest(&mut entries(&read)).expect("a tree");
    let mut out = Vec::new();
    write(&mut out, &header, digest, &mut entries(&read)).expect("memory has no errors");
    out
}

fn read(lock: &[u8]) -> Result<usize, driftlock::internals::manifest::LockError> {
    let mut reader = Reader::new(lock)?;
    List::read(&mut reader).map(|_| 0)
}

/// Two locks that nothing was locked before, and the same where that is not known, merged.
fn merged(kind: Kind, locks: &[Vec<u8>; 2]) -> usize {
    let [ours, theirs] = locks.each_ref().map(|lock| {
        let mut reader = Reader::new(&lock[..]).expect("a lock");
        let entries = merge::read(&mut reader).expect("a lock");
        (reader.header().clone(), entries)
    });
    let mut out = Vec::new();
    for base in [Some(&[][..]), None] {
        let merged = merge::merge(kind, base, &ours.1, &theirs.1);
        merge::write(&mut out, &ours.0, ["ours", "theirs"], 7, &merged).expect("memory has no errors");
    }
    out.len()
}

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn texts() -> Vec<Case> {
    let makes: [(&str, fn(usize) -> String); 6] = [
        ("many-lines", |size| (0..size / 75).map(|number| format!("{HEX}  m/{number:06}\n")).collect()),
        ("many-lines-backwards", |size| (0..size / 75).rev().map(|number| format!("{HEX}  m/{number:06}\n")).collect()),
        ("a-long-path", |size| format!("{HEX}  {}\n", String::from_utf8_lossy(&long(size)))),
        ("escapes", |size| format!("\\{HEX}  {}\n", "\\\\".repeat(size / 2))),
        ("a-path-twice", |size| format!("{HEX}  {0}\n{HEX}  {0}\n", String::from_utf8_lossy(&long(size / 2)))),
        ("tags", |size| (0..size / 80).map(|number| format!("SHA256 (m/{number:06}) = {HEX}\n")).collect()),
    ];
    let case = |(name, make): (&'static str, fn(usize) -> String)| {
        Case::new(format!("text-lock/{name}"), move |size| {
            let lock = make(size);
            let work = {
                let lock = lock.clone();
                move || text::Reader::new(lock.as_bytes()).map_or_else(|error| error.to_string().len(), |_| 0)
            };
            Input::to("read", lock.len(), work)
        })
    };
    makes.into_iter().map(case).collect()
}

/// The one check of a declaration.
fn check(text: &str) -> Check {
    Declaration::parse("t", Format::Toml, text.as_bytes()).expect("a declaration").checks.remove(0)
}

fn old() -> Vec<Case> {
    const FILES: &str = "[check.tree]\nkind = \"files\"\nroot = \"infra\"\nlock = \"old.lock.txt\"\ninclude = [\"**\"]\nexclude = [\"**/x\", \"y/*\"]\n";
    const MODULES: &str =
        "[check.tree]\nkind = \"trees\"\nroot = \"infra\"\nlock = \"old.hash.txt\"\nexclude = [\"**/x\"]\n";
    const IMAGES: &str = "[check.tree]\nkind = \"containers\"\nsocket = \"/run/s\"\nlock = \"old.lock.json\"\n";
    type Make = fn(usize) -> String;
    let makes: [(&str, &str, &str, Make); 8] = [
        ("files/many-lines", FILES, "old.lock.txt", |size| {
            (0..size / 75).map(|number| format!("{HEX}  infra/{number:06}\n")).collect()
        }),
        ("files/a-long-path", FILES, "old.lock.txt", |size| {
            format!("{HEX}  infra/{}\n", String::from_utf8_lossy(&long(size)))
        }),
        ("files/a-long-path-of-roots", FILES, "old.lock.txt", |size| {
            format!("{HEX}  {}z\n", "infra/".repeat(size / 6))
        }),
        ("files/some-elsewhere", FILES, "old.lock.txt", |size| {
            (0..size / 75)
                .map(|number| format!("{HEX}  {}/{number:06}\n", if number % 2 == 0 { "infra" } else { "/srv" }))
                .collect()
        }),
        ("modules/many", MODULES, "old.hash.txt", |size| {
            (0..size / 75).map(|number| format!("{HEX}  module{number:06}\n")).collect()
        }),
        ("modules/a-long-name", MODULES, "old.hash.txt", |size| format!("{HEX}  {}\n", "m".repeat(size))),
        ("images/many", IMAGES, "old.lock.json", |size| {
            let image = |number| format!("\"web{number}\":{{\"image\":\"web:1\",\"imageId\":\"sha256:{HEX}\"}}");
            format!("{{\"images\":{{{}}}}}", (0..size / 120).map(image).collect::<Vec<_>>().join(","))
        }),
        ("images/one-twice", IMAGES, "old.lock.json", |size| {
            let image = |number| format!("\"web{}\":{{\"image\":\"web:1\",\"imageId\":\"sha256:{HEX}\"}}", number / 2);
            format!("{{\"images\":{{{}}}}}", (0..size / 120).map(image).collect::<Vec<_>>().join(","))
        }),
    ];
    let mut cases: Vec<_> = makes
        .into_iter()
        .map(|(name, declared, file, make)| {
            Case::new(format!("old-lock/{name}"), move |size| of_old(check(declared), file, &make(size)))
        })
        .collect();
    // Containers that are declared as well as locked.
    cases.push(Case::new("old-lock/images/many-are-declared", |size| {
        let names = (0..size / 120).map(|number| format!("web{number}"));
        let declared: Vec<_> = names.clone().map(|name| format!("\"{name}\"")).collect();
        let declared = format!("{IMAGES}containers = [{}]\n", declared.join(","));
        let image = |name| format!("\"{name}\":{{\"image\":\"web:1\",\"imageId\":\"sha256:{HEX}\"}}");
        let lock = format!("{{\"images\":{{{}}}}}", names.map(image).collect::<Vec<_>>().join(","));
        of_old(check(&declared), "old.lock.json", &lock)
    }));
    cases
}

fn of_old(check: Check, file: &str, lock: &str) -> Input {
    let directory = Rc::new(tempfile::tempdir().expect("a temporary directory"));
    std::fs::write(directory.path().join(file), lock).expect("room");
    let locks = Dir::open_ambient_dir(directory.path(), ambient_authority()).expect("a directory");
    let places = ["/srv/infra", "/home/op/infra"].map(std::path::Path::new);
    let spellings = Spellings::new(&check.root, places);
    let work = move || {
        let _kept = directory;
        match Baseline::of(&check, &locks, &check.lock.name, &spellings, None) {
            Ok(Some(mut baseline)) => {
                let live = List::default();
                compare_baseline(&mut DifferenceBudget::default(), &mut baseline, &mut live.entries())
                    .map_or_else(|error| error.to_string().len(), |found| found.drift.len())
            }
            Ok(None) => panic!("there is a lock"),
            Err(error) => error.to_string().len(),
        }
    };
    Input::to("read", lock.len(), work)
}
