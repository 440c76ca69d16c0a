//! Random trees and random subsets of what drifted between them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{World, the_check};
use crate::model::{Model, bytes, declaration, model, on_disk};

/// Drifts as the report has them: the path, and where the content was before.
fn drifts(report: &Value) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let drift = the_check(report)["drift"].as_array().unwrap();
    drift.iter().map(|item| (bytes(item, "path").unwrap(), bytes(item, "from"))).collect()
}

/// All paths that drifted. What counts as moved depends on what else drifted, so a move is its two paths.
fn paths(drifts: &[(Vec<u8>, Option<Vec<u8>>)]) -> BTreeSet<Vec<u8>> {
    drifts.iter().flat_map(|(path, from)| [Some(path), from.as_ref()]).flatten().cloned().collect()
}

fn top(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').next().unwrap()
}

/// Whether the second is chosen where the first is.
fn takes(kind: &str, path: &[u8], other: &[u8]) -> bool {
    let inside = other.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/"));
    inside || (kind == "trees" && top(path) == top(other))
}

/// What of a drift is its own: of two files that were swapped, each is what it is; what moved is gone from where it was.
fn own<'a>(item: &'a (Vec<u8>, Option<Vec<u8>>), all: &'a [(Vec<u8>, Option<Vec<u8>>)]) -> Vec<&'a [u8]> {
    let left = item.1.iter().filter(|from| all.iter().all(|(path, _)| path != *from));
    std::iter::once(&item.0).chain(left).map(Vec::as_slice).collect()
}

/// What is taken together with what was chosen: gone through again until nothing is added.
fn closed(kind: &str, all: &[(Vec<u8>, Option<Vec<u8>>)], mut chosen: Vec<bool>) -> Vec<bool> {
    loop {
        let before = chosen.clone();
        for (item, _) in all.iter().zip(&before).filter(|(_, chosen)| **chosen) {
            for (other, chosen) in all.iter().zip(&mut chosen) {
                let (own, others) = (own(item, all), own(other, all));
                *chosen |= own.iter().any(|path| others.iter().any(|other| takes(kind, path, other)));
            }
        }
        if before == chosen {
            return chosen;
        }
    }
}

/// Accepts by exact bytes, and says how many paths that were.
fn accept(world: &World, names: &[&[u8]]) {
    let names = names.iter().map(|name| OsStr::from_bytes(&[b"root/", *name].concat()).to_owned());
    let arguments = std::iter::once("accept".into()).chain(names);
    world.driftlock(arguments).code(0);
}

/// Two trees that have something in common.
fn trees() -> impl Strategy<Value = (Model, Model)> {
    (model(), model(), model()).prop_map(|(common, before, after)| {
        let with = |mut model: Model| {
            common.0.iter().for_each(|(path, item)| model.add(path, item.clone()));
            model
        };
        (with(before), with(after))
    })
}

proptest! {
    #![proptest_config(on_disk(30, 200))]

    /// Some of what drifted, then the rest: exactly the others are left after the first, and the bytes are those of `lock`
    /// after the second.
    #[test]
    fn some_then_the_rest_is_what_lock_writes(
        (before, after) in trees(),
        kind in prop::sample::select(vec!["trees", "files"]),
        attributes in any::<bool>(),
        chosen in prop::collection::vec(any::<bool>(), 200),
    ) {
        let world = World::in_memory(&declaration(kind, attributes, &[]));
        before.build(&world.path("root"));
        world.lock();
        fs::remove_dir_all(world.path("root")).unwrap();
        after.build(&world.path("root"));
        let report = world.driftlock(["check", "--json", "--no-report"]).command.output().unwrap();
        let all = drifts(&serde_json::from_slice(&report.stdout).unwrap());
        let chosen = closed(kind, &all, all.iter().enumerate().map(|(index, _)| chosen[index % 200]).collect());
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for (item, chosen) in all.iter().zip(chosen) {
            if chosen { first.push(item.clone()) } else { rest.push(item.clone()) }
        }
        let names = |items: &[(Vec<u8>, Option<Vec<u8>>)]| items.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        if !first.is_empty() {
            accept(&world, &names(&first).iter().map(Vec::as_slice).collect::<Vec<_>>());
            let report = world.driftlock(["check", "--json", "--no-report"]).code(i32::from(!rest.is_empty())).json();
            let swapped = |path: &Vec<u8>| first.iter().all(|(other, _)| other != path);
            let expected: BTreeSet<_> = paths(&rest).into_iter().filter(swapped).collect();
            prop_assert_eq!(paths(&drifts(&report)), expected);
            if kind == "trees" {
                // Each module's archive is that of the one tree or of the other.
                let entries = |model: &Model| model.entries(kind, attributes);
                let known: Vec<_> = [entries(&before), entries(&after)].concat();
                for entry in world.entries().iter().filter(|entry| entry.get("nar").is_some()) {
                    prop_assert!(known.contains(entry), "{}", entry);
                }
            }
        }
        if !rest.is_empty() {
            accept(&world, &names(&rest).iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        let accepted = world.lock_bytes();
        fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
        world.lock();
        prop_assert_eq!(accepted, world.lock_bytes());
    }
}
