//! Drift by module, and directories that appear, disappear or move as a whole.

use driftlock::internals::compare::{Change, Comparison};
use driftlock::internals::manifest::{Content, Kind};
use driftlock::internals::report::group::{Shape, groups};
use proptest::prelude::*;

use crate::samples::{Tree, compared};

/// Groups and items in short.
fn short(kind: Kind, found: &Comparison) -> Vec<String> {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let mut lines = Vec::new();
    for group in groups(kind, &found.drift) {
        lines.push(format!("{}{}", text(group.path), if group.module { "/" } else { "" }));
        for item in group.items {
            let what = match item.shape {
                Shape::Entry(drift) => match &drift.from {
                    Some(from) => format!("{} from {from}", drift.change.name()),
                    None => drift.change.name().to_owned(),
                },
                Shape::MovedWhole { from } => format!("whole from {}", text(from)),
                Shape::MovedAway { to } => format!("away to {}", text(to)),
            };
            lines.push(format!("  {} {what} +{}", text(item.path), item.below));
        }
    }
    lines
}

fn trees(locked: &Tree, live: &Tree) -> Vec<String> {
    short(Kind::Trees, &compared(locked, live))
}

#[test]
fn files_are_one_group_each() {
    let locked = Tree::new().file("a/x.yml", "1").file("b/x.yml", "2").file("c/x.yml", "3");
    let live = Tree::new().file("a/x.yml", "changed").file("b/y.yml", "2").file("c/x.yml", "3");
    assert_eq!(
        short(Kind::Files, &compared(&locked, &live)),
        ["a/x.yml", "  a/x.yml modified +0", "b/y.yml", "  b/y.yml moved from b/x.yml +0"]
    );
}

#[test]
fn a_module_is_one_group_though_another_sorts_into_the_middle_of_it() {
    let locked = Tree::new().dir("a").file("a/x", "1").dir("a-b").file("a-b/x", "2");
    let live = Tree::new().file("a", "no directory any more").dir("a-b").file("a-b/x", "3").file("loose", "4");
    assert_eq!(
        trees(&locked, &live),
        ["a/", "  a type_changed +1", "a-b/", "  a-b/x modified +0", "loose", "  loose added +0"]
    );
}

#[test]
fn a_new_or_vanished_directory_is_one_item() {
    let few = Tree::new().dir("m").file("m/x", "1");
    let more = few.clone().dir("m/d").file("m/d#", "beside it").file("m/d/1", "2").dir("m/d/e").file("m/d/e/1", "3");
    assert_eq!(trees(&few, &more), ["m/", "  m/d added +3", "  m/d# added +0"]);
    assert_eq!(trees(&more, &few), ["m/", "  m/d removed +3", "  m/d# removed +0"]);
    assert_eq!(trees(&Tree::new(), &more), ["m/", "  m added +6"]);
}

#[test]
fn a_type_that_changed_speaks_for_what_is_below() {
    let file = Tree::new().dir("m").file("m/x", "1");
    let directory = Tree::new().dir("m").dir("m/x").dir("m/x/y").file("m/x/y/z", "2");
    assert_eq!(trees(&file, &directory), ["m/", "  m/x type_changed +2"]);
    assert_eq!(trees(&directory, &file), ["m/", "  m/x type_changed +2"]);
}

#[test]
fn a_directory_that_moved_whole_is_one_item() {
    let at = |place: &str| {
        Tree::new()
            .dir("m")
            .dir(place)
            .file(format!("{place}/unique"), "unique")
            .file(format!("{place}/empty"), "")
            .file(format!("{place}/copy1"), "copy")
            .file(format!("{place}/copy2"), "copy")
            .link(format!("{place}/link"), "unique")
            .dir(format!("{place}/deep"))
            .dir(format!("{place}/deep/deeper"))
            .file(format!("{place}/deep/deeper/f"), "deep")
            .dir(format!("{place}/tests"))
            .file(format!("{place}/tests/__init__.py"), "")
    };
    assert_eq!(trees(&at("m/a"), &at("m/b")), ["m/", "  m/b whole from m/a +10"]);
    // Out of a module, into one that is new: the directory is a line of its own, in both modules.
    assert_eq!(
        trees(&at("m/a"), &at("n/a").dir("n")),
        ["m/", "  m/a away to n/a +10", "n/", "  n added +0", "  n/a whole from m/a +10"]
    );
    // A whole module under another name.
    assert_eq!(trees(&at("o"), &at("p")), ["p/", "  p whole from o +10"]);

    // Whatever is not the same leaves the moves as they are.
    let moved = |live: Tree| trees(&at("m/a"), &live).iter().any(|line| line.contains("m/b whole"));
    assert!(moved(at("m/b")));
    assert!(!moved(at("m/b").file("m/b/new", "new")));
    assert!(!moved(at("m/b").file("m/b/tests/new", "")));
    assert!(!moved(at("m/b").file("m/b/tests/__init__.py", "no longer empty")));
    assert!(!moved(at("m/b").link("m/b/link", "/etc/shadow")));
    assert!(!moved(at("m/b").with("m/b/deep/deeper/f", crate::samples::executable("deep"))));
    assert!(!moved(at("m/b").dir("m/a")));
    assert!(!moved(at("m/b").dir("m/a").link("m/a/link", "unique")));
    for gone in ["m/b/unique", "m/b/link", "m/b/tests/__init__.py", "m/b/empty"] {
        let mut live = at("m/b");
        live.0.remove(gone.as_bytes());
        assert!(!moved(live), "{gone}");
    }
    let taken_out = |name: &str, content: &str| {
        let mut live = at("m/b");
        live.0.remove(name.as_bytes());
        moved(live.file("m/elsewhere", content))
    };
    assert!(!taken_out("m/b/deep/deeper/f", "deep"));
    assert!(!taken_out("m/b/unique", "unique"));
}

#[test]
fn what_no_entry_points_to_has_not_moved() {
    let at = |place: &str| {
        Tree::new().dir("m").dir(place).file(format!("{place}/empty"), "").link(format!("{place}/l"), "t")
    };
    assert_eq!(trees(&at("m/a"), &at("m/b")), ["m/", "  m/a removed +2", "  m/b added +2"]);
}

#[test]
fn what_moved_into_a_new_directory_has_its_own_item() {
    let locked = Tree::new().dir("m").file("m/x", "moves").dir("o").file("o/y", "moves too");
    let live =
        Tree::new().dir("m").dir("m/d").file("m/d/x", "moves").file("m/d/y", "moves too").file("m/d/z", "new").dir("o");
    assert_eq!(
        trees(&locked, &live),
        [
            "m/",
            "  m/d added +1",
            "  m/d/x moved from m/x +0",
            "  m/d/y moved from o/y +0",
            "o/",
            "  o/y away to m/d/y +0"
        ]
    );
}

#[test]
fn swapped_files_are_two_items() {
    let locked = Tree::new().dir("m").file("m/a", "1").file("m/b", "2");
    let live = Tree::new().dir("m").file("m/a", "2").file("m/b", "1");
    assert_eq!(trees(&locked, &live), ["m/", "  m/a moved from m/b +0", "  m/b moved from m/a +0"]);
}

/// A directory in which directories go 1,500 deep moved: no recursion, and no time that grows with the square of it.
#[test]
fn a_deep_tree_costs_no_more_than_a_flat_one() {
    let at = |place: &str, last: &str| {
        let mut tree = Tree::new().dir("m").dir(place);
        let mut path = place.to_owned();
        for number in 0..1500 {
            path.push_str("/d");
            tree = tree.dir(&path).file(format!("{path}/f"), &number.to_string());
        }
        tree.file(format!("{path}/last"), last)
    };
    assert_eq!(trees(&at("m/a", "1"), &at("m/b", "1")), ["m/", "  m/b whole from m/a +3001"]);
    assert!(trees(&at("m/a", "1"), &at("m/b", "2")).len() > 1500);
}

fn tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["a", "b", "a-", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    prop::collection::vec((path, 0..12_u8), 0..24).prop_map(|entries| {
        let mut tree = Tree::new();
        for (path, content) in entries {
            let mut above = String::new();
            for name in path.split('/') {
                let parent = std::mem::replace(&mut above, name.to_owned());
                if !parent.is_empty() {
                    above = format!("{parent}/{name}");
                    tree = tree.dir(&parent);
                }
            }
            tree = match content {
                0 => tree.dir(&path),
                1 => tree.link(&path, "x"),
                2 => tree.file(&path, ""),
                _ => tree.file(&path, &content.to_string()),
            };
        }
        // What a later entry made a file has nothing below it.
        let directories: Vec<_> = tree.0.keys().cloned().collect();
        for path in directories {
            let is_directory = |path: &[u8]| {
                matches!(tree.0.get(path), Some(Ok(record)) if matches!(record.content, Content::Directory { .. }))
            };
            let at = |slash: &usize| is_directory(&path[..*slash]);
            let slashes: Vec<_> = (0..path.len()).filter(|&at| path[at] == b'/').collect();
            if !slashes.iter().all(at) {
                tree.0.remove(&path);
            }
        }
        tree
    })
}

proptest! {
    /// Each drift is an item, or is counted in one; a directory that moved whole also speaks for what it left behind.
    #[test]
    fn nothing_is_lost(locked in tree(), live in tree(), rename: bool) {
        let live = if rename {
            // All of one top directory under another name, to have moves.
            let renamed = live.0.into_iter().map(|(path, state)| {
                let path = match path.strip_prefix(b"a") {
                    Some(rest) if rest.is_empty() || rest[0] == b'/' => [b"z", rest].concat(),
                    _ => path,
                };
                (path, state)
            });
            Tree(renamed.collect())
        } else {
            live
        };
        for (locked, live) in [(&locked, &live), (&live, &locked)] {
            let found = compared(locked, live);
            let items: Vec<_> = groups(Kind::Trees, &found.drift).into_iter().flat_map(|group| group.items).collect();
            let mut counted = 0;
            for item in &items {
                counted += item.entries();
                if let Shape::MovedWhole { .. } = item.shape {
                    let moved = |drift: &&driftlock::internals::compare::Drift| {
                        drift.change == Change::Moved && driftlock::internals::path::directories_above(drift.path.as_bytes()).any(|above| above == item.path)
                    };
                    counted += item.entries() - found.drift.iter().filter(moved).count() as u64;
                }
            }
            prop_assert_eq!(counted, found.drift.len() as u64);
            let by_file = groups(Kind::Files, &found.drift);
            prop_assert!(by_file.iter().all(|group| group.items.len() == 1 && !group.module));
        }
    }
}
