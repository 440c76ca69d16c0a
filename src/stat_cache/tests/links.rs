//! Targets of links, what is read of anything by its stamp, and that all compared equal.

use rustix::fs::StatxAttributes;

use super::*;

/// The status of a link with a target of three bytes that was made long ago.
fn link_status() -> Statx {
    let mut status = status();
    status.stx_mode = 0o120_777;
    status.stx_size = 3;
    status
}

const LONG_AGO: Moment = Moment { seconds: 1000, nanoseconds: 0 };

#[test]
fn a_link_is_known_only_if_all_of_its_stamp_is_the_same() {
    let seen = link_status();
    let stamp = CacheView::new(device(&seen), LONG_AGO, CheckCache::default()).link_holds(&seen).unwrap();
    let facts = CheckCache { links: linked([(stamp, "a/b")]), ..CheckCache::default() };
    let known = CacheView::new(device(&seen), LONG_AGO, facts);
    assert_eq!(known.find_link(&seen), Some((0, &b"a/b"[..])));
    let edits: [Edit; 15] = [
        ("inode", |status| status.stx_ino += 1),
        ("size", |status| status.stx_size += 1),
        ("mtime", |status| status.stx_mtime.tv_sec -= 1),
        ("mtime's nanoseconds", |status| status.stx_mtime.tv_nsec += 1),
        ("ctime", |status| status.stx_ctime.tv_sec += 1),
        ("ctime's nanoseconds", |status| status.stx_ctime.tv_nsec += 1),
        ("major", |status| status.stx_dev_major += 1),
        ("minor", |status| status.stx_dev_minor += 1),
        ("a file", |status| status.stx_mode = 0o100_777),
        ("a directory", |status| status.stx_mode = 0o040_777),
        ("no type told", |status| status.stx_mask &= !StatxFlags::TYPE.bits()),
        ("no inode told", |status| status.stx_mask &= !StatxFlags::INO.bits()),
        ("no size told", |status| status.stx_mask &= !StatxFlags::SIZE.bits()),
        ("no mtime told", |status| status.stx_mask &= !StatxFlags::MTIME.bits()),
        ("no ctime told", |status| status.stx_mask &= !StatxFlags::CTIME.bits()),
    ];
    for (what, edit) in edits {
        let mut other = seen;
        edit(&mut other);
        assert_eq!(known.find_link(&other), None, "{what}");
    }
    assert_eq!(known.find(&seen, 0), None, "no file");
    assert!(known.find_listing(&seen).is_none(), "no directory");
}

/// What is known of a file, a directory or a link is never taken for what another kind of thing with its stamp has.
#[test]
fn what_is_known_of_one_type_says_nothing_of_another() {
    let seen = status();
    let stamp = Stamp::of(&seen).unwrap();
    let facts = CheckCache {
        files: vec![CachedDigest { stamp, sha256: Sha256Digest([9; 32]) }],
        listings: listed([(stamp, vec![])]),
        links: {
            let mut links = Stamped::default();
            links.push(stamp, b"x");
            links
        },
        equal: None,
    };
    let known = CacheView::new(device(&seen), LONG_AGO, facts);
    for (mode, expected) in
        [(0o100_644, [true, false, false]), (0o040_755, [false, true, false]), (0o120_777, [false, false, true])]
    {
        let mut seen = seen;
        seen.stx_mode = mode;
        let found =
            [known.find(&seen, 0).is_some(), known.find_listing(&seen).is_some(), known.find_link(&seen).is_some()];
        assert_eq!(found, expected, "{mode:o}");
    }
    let mut fifo = seen;
    fifo.stx_mode = 0o010_644;
    assert!(known.find(&fifo, 0).is_none() && known.find_listing(&fifo).is_none() && known.find_link(&fifo).is_none());
}

#[test]
fn a_link_that_may_change_without_a_new_time_is_not_kept() {
    let started = Moment { seconds: 200, nanoseconds: 3 };
    let keeps = |edit: fn(&mut Statx)| {
        let mut status = link_status();
        let known = CacheView::new(device(&status), started, CheckCache::default());
        edit(&mut status);
        known.link_holds(&status).is_some()
    };
    assert!(keeps(|_| ()), "a nanosecond before");
    assert!(!keeps(|status| status.stx_ctime.tv_nsec = 3), "the same moment");
    assert!(!keeps(|status| status.stx_ctime.tv_sec = 201));
    assert!(!keeps(|status| status.stx_mtime.tv_sec = 201), "a time that is yet to come");
    assert!(!keeps(|status| status.stx_dev_minor += 1), "another file system");
    assert!(!keeps(|status| status.stx_mode = 0o100_644), "a file");
    assert!(!keeps(|status| status.stx_attributes |= StatxAttributes::ENCRYPTED), "a target that depends on a key");
}

#[test]
fn targets_that_no_link_has_are_refused() {
    for (target, size, fits) in [
        (&b"a"[..], 1, true),
        (b"/a/../b c\xff\n", 11, true),
        (b"", 0, false),
        (b"a", 0, false),
        (b"a", 2, false),
        (b"", 1, false),
        (b"a\0", 2, false),
        (b"\0", 1, false),
        (b"a", u64::MAX, false),
    ] {
        assert_eq!(listing::is_target(target, size), fits, "{target:?} {size}");
        let mut links = Stamped::default();
        links.push(Stamp { size, ..stamp(1) }, target);
        let read = read_all(&written(&[CheckCache { links, ..CheckCache::default() }]));
        assert_eq!(read.is_ok(), fits, "{target:?} {size}: {read:?}");
        assert!(fits || matches!(read, Err(Unfit::Order)), "{target:?} {size}: {read:?}");
    }
    let mut twice = linked([(stamp(1), "a")]);
    twice.append(&mut linked([(stamp(1), "a")]));
    assert!(matches!(read_all(&written(&[CheckCache { links: twice, ..CheckCache::default() }])), Err(Unfit::Order)));
    let backwards = linked([(stamp(2), "a"), (stamp(1), "b")]);
    assert!(matches!(
        read_all(&written(&[CheckCache { links: backwards, ..CheckCache::default() }])),
        Err(Unfit::Order)
    ));
}

#[test]
fn what_is_stamped_is_found_by_all_of_its_stamp_after_any_append() {
    let mut all = linked([(stamp(1), "one"), (stamp(3), "three")]);
    let mut more = linked([(stamp(5), "fives"), (stamp(9), "nine")]);
    all.append(&mut more);
    assert!(more.is_empty() && more.written().next().is_none());
    all.append(&mut Stamped::default());
    assert_eq!((all.len(), all.is_empty()), (4, false));
    let sized = |inode, size| Stamp { size, ..stamp(inode) };
    let expected: [(u64, &[u8]); 4] = [(1, b"one"), (3, b"three"), (5, b"fives"), (9, b"nine")];
    for (at, (inode, target)) in (0..).zip(expected) {
        let stamp = sized(inode, target.len() as u64);
        assert_eq!(all.find(&stamp), Some((at, target)));
        let later = Moment { nanoseconds: stamp.changed.nanoseconds + 1, ..stamp.changed };
        for other in [
            Stamp { inode: inode + 1, ..stamp },
            Stamp { size: stamp.size + 1, ..stamp },
            Stamp { modified: later, ..stamp },
            Stamp { changed: later, ..stamp },
        ] {
            assert_eq!(all.find(&other), None, "{other:?}");
        }
    }
    let written: Vec<_> = all.written().map(|(stamp, target)| (stamp.inode, target)).collect();
    assert_eq!(written, expected);
    // In the order of bytes that follow each other, whatever wrote them.
    let stamps = expected.map(|(inode, target)| (sized(inode, target.len() as u64), target.len() as u32)).to_vec();
    let again = Stamped::from_written(stamps.clone(), b"onethreefivesnine".to_vec(), |_, _| true).unwrap();
    assert_eq!(again, all);
    let asked = |stamp: &Stamp, bytes: &[u8]| stamp.size == bytes.len() as u64;
    assert!(Stamped::from_written(stamps.clone(), b"onethreefivesnine".to_vec(), asked).is_some());
    assert!(
        Stamped::from_written(stamps.clone(), b"onethreefivesnine".to_vec(), |stamp, _| stamp.inode != 9).is_none()
    );
    assert!(Stamped::from_written(stamps.clone(), b"onethreefivesnin".to_vec(), |_, _| true).is_none(), "too short");
    assert!(Stamped::from_written(stamps, b"onethreefivesnine!".to_vec(), |_, _| true).is_none(), "too long");
}

#[test]
fn what_is_linked_afterwards_is_what_was_used_and_what_was_learnt() {
    let after = |used: &[u32], updates: &[(u64, &'static str)]| {
        let links = linked([(stamp(1), "a"), (stamp(2), "b"), (stamp(3), "c")]);
        let known = CacheView::new((8, 1), LONG_AGO, CheckCache { links, ..CheckCache::default() });
        // As two workers cached it.
        let mut all = CacheUpdates::default();
        for worker in 0..2 {
            let part = |at: usize| at % 2 == worker;
            let links = updates.iter().enumerate().filter(|(at, _)| part(*at));
            let links = linked(links.map(|(_, &(inode, target))| (stamp(inode), target)));
            let used = used.iter().enumerate().filter(|(at, _)| part(*at)).map(|(_, &place)| place);
            all.append(&mut CacheUpdates {
                linked: used.collect(),
                links,
                cache_miss: worker == 0,
                ..CacheUpdates::default()
            });
        }
        assert!(all.cache_miss, "a miss of one worker is a miss of the walk");
        let (facts, changed) = known.after(all, None);
        let target = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let links: Vec<_> = facts.links.written().map(|(stamp, bytes)| (stamp.inode, target(bytes))).collect();
        (links, changed)
    };
    let all =
        |links: &[(u64, &str)]| links.iter().map(|&(inode, target)| (inode, target.to_owned())).collect::<Vec<_>>();
    let before = all(&[(1, "a"), (2, "b"), (3, "c")]);
    assert_eq!(after(&[2, 0, 1], &[]), (before.clone(), false));
    assert_eq!(after(&[2, 0, 1, 1, 2], &[]), (before, false), "hard links");
    assert_eq!(after(&[], &[]), (vec![], true), "links that are gone");
    assert_eq!(after(&[2, 0], &[]), (all(&[(1, "a"), (3, "c")]), true));
    assert_eq!(after(&[2], &[(4, "d"), (2, "B"), (4, "d")]), (all(&[(2, "B"), (3, "c"), (4, "d")]), true));
    assert_eq!(after(&[0], &[(2, "x"), (2, "y")]), (all(&[(1, "a")]), true), "a contradiction is dropped");
    assert_eq!(after(&[0, 1], &[(2, "y")]), (all(&[(1, "a")]), true), "one with what was known, too");
}

/// What a run found is what is remembered, whatever was before; and it is no reason to write unless it is another.
#[test]
fn that_all_is_equal_is_remembered_until_it_is_not() {
    let some = |entries, lock| Some(Equal { entries, lock: Sha256Digest([lock; 32]) });
    let all = [None, some(0, 0), some(3, 1), some(4, 1), some(3, 2)];
    for before in all {
        for now in all {
            let facts = CheckCache { equal: before, ..of_files(vec![fact(1, 1)]) };
            let known = CacheView::new((8, 1), LONG_AGO, facts.clone());
            assert_eq!(known.equal(), before);
            let updates = CacheUpdates { trusted: vec![0], ..CacheUpdates::default() };
            let (after, changed) = known.after(updates, now);
            assert_eq!((after.equal, after.files, changed), (now, facts.files, now != before), "{before:?} {now:?}");
        }
    }
    let known = CacheView::new((8, 1), LONG_AGO, of_files(vec![fact(1, 1)]));
    assert_eq!(
        known.after(CacheUpdates::default(), None),
        (CheckCache::default(), true),
        "a file that is gone is a change still"
    );
}

/// The header has one form of "not equal", and no number that stands for nothing else.
#[test]
fn an_equal_that_would_not_be_written_is_not_read() {
    let sealed = |mut bytes: Vec<u8>, edit: &dyn Fn(&mut [u8])| {
        bytes.truncate(bytes.len() - 32);
        edit(&mut bytes[60..140]);
        let mut hasher = crate::digest::Sha256::new();
        hasher.update(&bytes);
        read_all(&[&bytes[..], &hasher.finish().0].concat())
    };
    let equal = Equal { entries: 5, lock: Sha256Digest([3; 32]) };
    let one = |equal| written(&[CheckCache { equal, ..CheckCache::default() }]);
    assert_eq!(one(None).len(), 16 + 32 + 8 + 4 + 80 + 32);
    assert_eq!(one(None)[60..140], [[0; 40].as_slice(), &[0xff; 8], &[0; 32]].concat());
    assert_eq!(one(Some(equal))[60..140], [&[0; 40][..], &5_u64.to_le_bytes(), &[3; 32]].concat());
    assert_eq!(sealed(one(Some(equal)), &|_| ()).unwrap()[0].equal, Some(equal));
    assert_eq!(sealed(one(None), &|_| ()).unwrap()[0].equal, None);
    let none = sealed(one(Some(equal)), &|header| header[40..].copy_from_slice(&one(None)[100..140]));
    assert_eq!(none.unwrap()[0].equal, None);
    let half = sealed(one(Some(equal)), &|header| header[40..48].fill(0xff));
    assert!(matches!(half, Err(Unfit::Order)), "{half:?}");
}
