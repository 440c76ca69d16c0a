//! Any three locks: what is merged is what a merge of maps says.

use std::collections::{BTreeMap, BTreeSet};

use driftlock::internals::manifest::{Content, Entry, Kind, Record, Sha256Digest};
use driftlock::internals::merge::{Part, merge};
use driftlock::internals::path::{EntryPath, first_name};
use proptest::prelude::*;

type Tree = BTreeMap<Vec<u8>, u8>;

/// Few names and few contents, so that the same is changed often. None lies below another.
fn tree() -> impl Strategy<Value = Tree> {
    prop::collection::btree_map("[abc]/[ab][#/][ab]", 0..3_u8, 0..8)
        .prop_map(|tree| tree.into_iter().map(|(path, contents)| (path.into_bytes(), contents)).collect())
}

fn entries(tree: &Tree) -> Vec<Entry> {
    let entry = |(path, contents): (&Vec<u8>, &u8)| {
        let content = Content::File { executable: false, size: 1, sha256: Sha256Digest([*contents; 32]) };
        Entry { path: EntryPath::new(&path[..]).unwrap(), record: Record { content, attributes: None } }
    };
    tree.iter().map(entry).collect()
}

fn unit(tree: &Tree, kind: Kind, name: &[u8]) -> Tree {
    tree.iter().filter(|(path, _)| name_of(kind, path) == name).map(|(path, is)| (path.clone(), *is)).collect()
}

fn name_of(kind: Kind, path: &[u8]) -> &[u8] {
    if kind == Kind::Trees { first_name(path) } else { path }
}

proptest! {
    #[test]
    fn each_unit_is_that_of_the_side_that_changed_it(
        base in tree(), ours in tree(), theirs in tree(), trees in any::<bool>(),
    ) {
        let kind = if trees { Kind::Trees } else { Kind::Files };
        let (b, o, t) = (entries(&base), entries(&ours), entries(&theirs));
        let merged = merge(kind, Some(&b), &o, &t);
        let mut expected = Tree::new();
        let mut conflicts = BTreeSet::new();
        for path in base.keys().chain(ours.keys()).chain(theirs.keys()) {
            let name = name_of(kind, path);
            let [base, ours, theirs] = [&base, &ours, &theirs].map(|tree| unit(tree, kind, name));
            if ours == theirs || theirs == base {
                expected.extend(ours);
            } else if ours == base {
                expected.extend(theirs);
            } else {
                conflicts.insert(name.to_vec());
            }
        }
        let mut taken = Vec::new();
        let mut disputed = BTreeSet::new();
        for part in &merged.0 {
            match part {
                Part::Entry(entry) => taken.push((*entry).clone()),
                Part::Conflict(conflict) => {
                    disputed.insert(name_of(kind, conflict.first().unwrap().path.as_bytes()).to_vec());
                }
            }
        }
        prop_assert_eq!(taken, entries(&expected));
        prop_assert_eq!(disputed, conflicts);
    }
}
