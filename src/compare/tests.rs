//! Verdicts of single paths, and how they add up.

use proptest::prelude::*;

use super::*;
use crate::manifest::{Container, List, Sha256Digest};

fn file(byte: u8) -> Content {
    Content::File { executable: false, size: 1, sha256: Sha256Digest([byte; 32]) }
}

fn link(target: &str) -> Content {
    Content::Symlink { target: target.as_bytes().into() }
}

const DIRECTORY: Content = Content::Directory { nar: None };

fn record(content: Content) -> Record {
    Record { content, attributes: None }
}

type Side = Vec<(&'static str, Result<Content, Unverified>)>;

fn list(entries: Side) -> List {
    let path = |path: &str| EntryPath::new(path.as_bytes()).unwrap();
    List::new(entries.into_iter().map(|(name, found)| (path(name), found.map(record))).collect())
}

fn compared(locked: Side, live: Side) -> Comparison {
    let found =
        compare(&mut DifferenceBudget::unlimited(), &mut list(locked).entries(), &mut list(live).entries()).unwrap();
    adds_up(&found);
    found
}

fn adds_up(found: &Comparison) {
    let Counts { entries, verified, drifted, unverified } = found.counts;
    assert_eq!(entries, verified + drifted + unverified);
    let moves = found.drift.iter().filter(|drift| drift.change == Change::Moved).count();
    // A move of one path to another counts twice and is listed once; two swapped files are listed twice.
    assert!(found.drift.len() as u64 + found.left_out.drifted <= drifted);
    assert!(drifted <= (found.drift.len() + moves) as u64 + found.left_out.drifted);
    assert_eq!(unverified, found.unverified.len() as u64 + found.left_out.unverified);
}

/// The changes, each with its path and where that came from.
fn changes(found: &Comparison) -> Vec<(Change, String, Option<String>)> {
    let change = |drift: &Drift| (drift.change, drift.path.to_string(), drift.from.as_ref().map(EntryPath::to_string));
    found.drift.iter().map(change).collect()
}

fn unverified(found: &Comparison) -> Vec<(String, Unverified)> {
    found.unverified.iter().map(|entry| (entry.path.to_string(), entry.reason.clone())).collect()
}

#[test]
fn every_path_of_either_side_has_one_verdict() {
    let locked = vec![("a", Ok(file(1))), ("c", Ok(file(3))), ("d", Ok(file(4))), ("e", Ok(file(5)))];
    let live = vec![("b", Ok(file(2))), ("c", Ok(file(3))), ("d", Ok(file(9))), ("e", Ok(link("x")))];
    let found = compared(locked, live);
    let expected = [
        (Change::Removed, "a".to_owned(), None),
        (Change::Added, "b".to_owned(), None),
        (Change::Modified, "d".to_owned(), None),
        (Change::TypeChanged, "e".to_owned(), None),
    ];
    assert_eq!(changes(&found), expected);
    assert_eq!(found.counts, Counts { entries: 5, verified: 1, drifted: 4, unverified: 0 });
    let path = EntryPath::new(&b"d"[..]).unwrap();
    assert_eq!(drift_of(&found.drift, &path).unwrap().actual, Some(record(file(9))));
    assert_eq!(drift_of(&found.drift, &EntryPath::new(&b"c"[..]).unwrap()), None);
    assert_eq!((found.equal(), Comparison::of_equal(7).equal()), (None, Some(7)));
}

/// Entries below a directory that could not be read are neither removed nor verified; siblings with the same prefix are.
#[test]
fn what_is_below_an_unreadable_directory_is_unverified() {
    let locked = || {
        vec![
            ("d", Ok(DIRECTORY)),
            ("d!", Ok(file(1))),
            ("d/a", Ok(file(2))),
            ("d/b/c", Ok(file(3))),
            ("d0", Ok(file(4))),
        ]
    };
    let live = || vec![("d", Err(Unverified::Vanished)), ("d!", Ok(file(1)))];
    let below = || Unverified::Below(b"d".as_slice().into());
    let found = compared(locked(), live());
    let expected = [("d".to_owned(), Unverified::Vanished), ("d/a".to_owned(), below()), ("d/b/c".to_owned(), below())];
    assert_eq!(unverified(&found), expected);
    assert_eq!(changes(&found), [(Change::Removed, "d0".to_owned(), None)]);
    // The other way round, nothing counts as added.
    let found = compared(live(), locked());
    assert_eq!(unverified(&found), expected);
    assert_eq!(changes(&found), [(Change::Added, "d0".to_owned(), None)]);
    // An unreadable file hides nothing.
    let found = compared(vec![("a", Ok(file(1))), ("b", Ok(file(2)))], vec![("a", Err(Unverified::Replaced))]);
    assert_eq!(unverified(&found), [("a".to_owned(), Unverified::Replaced)]);
    assert_eq!(changes(&found), [(Change::Removed, "b".to_owned(), None)]);
}

/// A declared container that is missing was removed if the lock has it, and is unverified otherwise.
#[test]
fn an_absent_container() {
    let found = compared(vec![("web", Ok(file(1)))], vec![("web", Err(Unverified::Absent))]);
    assert_eq!(changes(&found), [(Change::Removed, "web".to_owned(), None)]);
    let found = compared(vec![("web", Err(Unverified::Absent))], vec![("web", Ok(file(1)))]);
    assert_eq!(changes(&found), [(Change::Added, "web".to_owned(), None)]);
    let found = compared(vec![], vec![("web", Err(Unverified::Absent))]);
    assert_eq!(unverified(&found), [("web".to_owned(), Unverified::Absent)]);
}

#[test]
fn moves_are_told_only_if_they_are_unambiguous() {
    let moved = |path: &str, from: &str| (Change::Moved, path.to_owned(), Some(from.to_owned()));
    let removed = |path: &str| (Change::Removed, path.to_owned(), None);
    let added = |path: &str| (Change::Added, path.to_owned(), None);
    let modified = |path: &str| (Change::Modified, path.to_owned(), None);
    let empty = || {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        Content::File { executable: false, size: 0, sha256: Sha256Digest::from_hex(hex).unwrap() }
    };
    for (locked, live, expected) in [
        (vec![("a", Ok(file(1)))], vec![("b", Ok(file(1)))], vec![moved("b", "a")]),
        (vec![("b", Ok(file(1)))], vec![("a", Ok(file(1)))], vec![moved("a", "b")]),
        // Swapped.
        (
            vec![("a", Ok(file(1))), ("b", Ok(file(2)))],
            vec![("a", Ok(file(2))), ("b", Ok(file(1)))],
            vec![moved("a", "b"), moved("b", "a")],
        ),
        // Rotated: a chain is no move of single files.
        (
            vec![("a", Ok(file(1))), ("b", Ok(file(2))), ("c", Ok(file(3)))],
            vec![("a", Ok(file(3))), ("b", Ok(file(1))), ("c", Ok(file(2)))],
            vec![modified("a"), modified("b"), modified("c")],
        ),
        // Two possible sources, or two possible targets.
        (
            vec![("a", Ok(file(1))), ("b", Ok(file(1)))],
            vec![("c", Ok(file(1)))],
            vec![removed("a"), removed("b"), added("c")],
        ),
        (
            vec![("a", Ok(file(1)))],
            vec![("b", Ok(file(1))), ("c", Ok(file(1)))],
            vec![removed("a"), added("b"), added("c")],
        ),
        // A copy: the source is still there.
        (vec![("a", Ok(file(1)))], vec![("a", Ok(file(1))), ("b", Ok(file(1)))], vec![added("b")]),
        (vec![("a", Ok(empty()))], vec![("b", Ok(empty()))], vec![removed("a"), added("b")]),
        (vec![("a", Ok(link("t")))], vec![("b", Ok(link("t")))], vec![removed("a"), added("b")]),
        // The content of one went into the other, which was there before.
        (vec![("a", Ok(file(1))), ("b", Ok(file(2)))], vec![("b", Ok(file(1)))], vec![removed("a"), modified("b")]),
    ] {
        let found = compared(locked, live);
        assert_eq!(changes(&found), expected);
        for drift in found.drift.iter().filter(|drift| drift.change == Change::Moved) {
            assert_eq!(
                drift.expected.as_ref().unwrap().content.sha256(),
                drift.actual.as_ref().unwrap().content.sha256()
            );
        }
    }
}

#[test]
fn the_first_difference_of_two_records_is_named() {
    let executable = Content::File { executable: true, size: 1, sha256: Sha256Digest([1; 32]) };
    let larger = Content::File { executable: false, size: 2, sha256: Sha256Digest([1; 32]) };
    let checksum = |byte| Content::Checksum { sha256: Sha256Digest([byte; 32]) };
    let device = |minor| Content::CharDevice { major: 1, minor };
    let module = Content::Directory { nar: Some(Sha256Digest([1; 32])) };
    for (before, now, expected) in [
        (file(1), file(1), None),
        (file(1), file(2), Some(Change::Modified)),
        (file(1), larger, Some(Change::Modified)),
        (file(1), executable.clone(), Some(Change::ExecutableChanged)),
        (file(2), executable.clone(), Some(Change::Modified)),
        // A `sha256sum` lock has no executable bits and no sizes.
        (checksum(1), executable.clone(), None),
        (executable, checksum(1), None),
        (checksum(1), file(2), Some(Change::Modified)),
        (checksum(1), link("x"), Some(Change::TypeChanged)),
        (link("x"), link("y"), Some(Change::Modified)),
        (device(3), device(3), None),
        (device(3), device(5), Some(Change::Modified)),
        (device(3), Content::BlockDevice { major: 1, minor: 3 }, Some(Change::TypeChanged)),
        (Content::Fifo, Content::Fifo, None),
        (Content::Fifo, Content::Socket, Some(Change::TypeChanged)),
        // The entries below a module tell how it changed.
        (module.clone(), Content::Directory { nar: None }, None),
        (module, file(1), Some(Change::TypeChanged)),
    ] {
        assert_eq!(difference(&record(before.clone()), &record(now.clone())), expected, "{before:?} {now:?}");
    }
}

#[test]
fn attributes_are_compared_after_contents() {
    let with = |mode, owner, xattr: &[u8]| {
        let xattrs = Some(vec![(b"user.a".as_slice().into(), xattr.into())]);
        let attributes = Attributes { mode: Some(mode), owner: Some((owner, 0)), xattrs };
        Record { content: file(1), attributes: Some(Box::new(attributes)) }
    };
    let before = with(0o644, 0, b"x");
    for (now, expected) in [
        (with(0o644, 0, b"x"), None),
        (with(0o4755, 1, b"y"), Some(Change::ModeChanged)),
        (with(0o644, 1, b"y"), Some(Change::OwnerChanged)),
        (with(0o644, 0, b"y"), Some(Change::XattrsChanged)),
        (Record { content: file(2), ..with(0o4755, 1, b"y") }, Some(Change::Modified)),
    ] {
        assert_eq!(difference(&before, &now), expected);
        assert_eq!(difference(&now, &before), expected);
    }
}

#[test]
fn containers_differ_by_what_matters_most() {
    let base =
        || Container { state: Some("running".into()), env: Some(vec![]), ..Container::of_image("a:1".into(), None) };
    let of = |change: fn(&mut Container)| {
        let mut container = base();
        change(&mut container);
        record(Content::Container(Box::new(container)))
    };
    let before = of(|_| {});
    for (now, expected) in [
        (of(|_| {}), None),
        (of(|it| it.image = "a:2".into()), Some(Change::ImageChanged)),
        (of(|it| it.image_id = Some(Sha256Digest([1; 32]))), Some(Change::ImageRebuilt)),
        (of(|it| it.repo_digests = vec!["a@sha256:1".into()]), Some(Change::DigestsChanged)),
        (of(|it| it.state = Some("exited".into())), Some(Change::StateChanged)),
        (of(|it| it.mounts = Some(vec![])), Some(Change::MountsChanged)),
        (of(|it| it.networks = Some(vec![])), Some(Change::NetworksChanged)),
        (of(|it| it.ports = Some(vec![])), Some(Change::PortsChanged)),
        (of(|it| it.labels = Some(vec![])), Some(Change::LabelsChanged)),
        (of(|it| it.env = Some(vec!["A".into()])), Some(Change::EnvChanged)),
        (of(|it| it.compose = Some(Box::default())), Some(Change::ComposeChanged)),
        (of(|it| (it.image, it.state) = ("a:2".into(), None)), Some(Change::ImageChanged)),
    ] {
        assert_eq!(difference(&before, &now), expected);
    }
    assert_eq!(
        Change::of(crate::manifest::Kind::Files).count() + Change::of(crate::manifest::Kind::Compose).count(),
        22
    );
}

/// Differences that do not fit are counted, and the lists are the first that fit.
#[test]
fn differences_without_room_are_counted() {
    let live: Vec<_> = (0..100).map(|number| EntryPath::new(format!("{number:03}").into_bytes()).unwrap()).collect();
    let live = List::new(live.into_iter().map(|path| (path, Ok(record(file(1))))).collect());
    let nothing = List::default();
    let mut room = DifferenceBudget::of(10 * (size_of::<Drift>() + 10));
    let found = compare(&mut room, &mut nothing.entries(), &mut live.entries()).unwrap();
    adds_up(&found);
    assert_eq!(found.counts.drifted, 100);
    assert!((5..=10).contains(&found.drift.len()), "{}", found.drift.len());
    assert_eq!(found.drift[0].path.to_string(), "000");
    let mut budget = DifferenceBudget::refusing(10 * size_of::<Drift>());
    let refused = compare(&mut budget, &mut nothing.entries(), &mut live.entries());
    assert!(matches!(refused, Err(LockError::TooDifferent)));
    let mut budget = DifferenceBudget::refusing(1 << 20);
    compare(&mut budget, &mut nothing.entries(), &mut live.entries()).unwrap();
    assert!(!budget.reserve((1 << 20) - 100 * size_of::<Drift>()));
}

/// All long paths together get a megabyte, so that nested directories do not take all of the room.
#[test]
fn long_paths_have_little_room() {
    let long = |number: u32| EntryPath::new(format!("{number}/{}", "n/".repeat(2000) + "n").into_bytes()).unwrap();
    let entries = (0..1000).map(|number| (long(number), Ok(record(file(1))))).collect();
    let live = List::new(entries);
    let found = compare(&mut DifferenceBudget::default(), &mut List::default().entries(), &mut live.entries()).unwrap();
    adds_up(&found);
    assert_eq!((found.counts.drifted, found.drift.len()), (1000, 261));
}

proptest! {
    /// Whatever the two sides are, the verdicts add up, and the comparison is empty exactly if they are equal.
    #[test]
    fn verdicts_add_up(
        locked in prop::collection::btree_map("[ab]/?[ab]?", 0..4_u8, 0..8),
        live in prop::collection::btree_map("[ab]/?[ab]?", 0..4_u8, 0..8),
    ) {
        let side = |entries: &std::collections::BTreeMap<String, u8>| {
            let entry = |(path, byte): (&String, &u8)| {
                let path = EntryPath::new(path.as_bytes()).ok()?;
                Some((path, if *byte == 0 { Err(Unverified::Vanished) } else { Ok(record(file(*byte))) }))
            };
            List::new(entries.iter().filter_map(entry).collect())
        };
        let (locked, live) = (side(&locked), side(&live));
        let found = compare(&mut DifferenceBudget::unlimited(), &mut locked.entries(), &mut live.entries()).unwrap();
        adds_up(&found);
        let is_readable = |list: &List| list.iter().all(|(_, found)| found.is_ok());
        prop_assert_eq!(found.equal().is_some(), locked == live && is_readable(&locked));
        let paths: std::collections::BTreeSet<_> = locked.iter().chain(live.iter()).map(|(path, _)| path).collect();
        prop_assert_eq!(found.counts.entries, paths.len() as u64);
    }
}
