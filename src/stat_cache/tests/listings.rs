//! Listings of directories: what is kept, what is known again, and what is not.

use rustix::fs::StatxAttributes;

use super::*;

proptest! {
    #[test]
    fn names_come_back_sorted_and_whole(entries in names()) {
        let mut sorted = entries.clone();
        sorted.sort_by(|(_, a), (_, b)| a.cmp(b));
        let listings = listed([(stamp(1), entries)]);
        let (at, bytes) = listings.find(&stamp(1)).unwrap();
        let found: Vec<_> = listing::names(bytes).map(|(listed, name)| (listed, name.to_vec())).collect();
        prop_assert_eq!((at, found), (0, sorted));
        prop_assert_eq!(listings.find(&stamp(2)), None);
    }

    /// Bytes are believed only if they are what would be written.
    #[test]
    fn bytes_that_are_no_listing_are_refused(
        names in prop::collection::vec((0..13_u8, 0..4_u8, any::<[u8; 8]>(), "[a-c./]{0,3}"), 0..4),
        cut in 0..3_usize,
    ) {
        let one = |(number, length, inode, name): (u8, u8, [u8; 8], String)| {
            [&[number, length][..], &inode, name.as_bytes()].concat()
        };
        let mut bytes = names.into_iter().flat_map(one).collect::<Vec<_>>();
        bytes.truncate(bytes.len().saturating_sub(cut));
        if listing::are_names(&bytes) {
            let entries = listing::names(&bytes).map(|(listed, name)| (listed, name.to_vec())).collect();
            prop_assert_eq!(bytes_of(&entries), Some(bytes));
        }
    }
}

/// A name as it is written, with an inode of its own.
fn name(file_type: u8, length: u8, name: &str) -> Vec<u8> {
    [&[file_type, length][..], &[1, 2, 3, 4, 5, 6, 7, 8], name.as_bytes()].concat()
}

#[test]
fn names_that_no_directory_has_are_refused() {
    let good = [name(8, 1, "a"), name(4, 2, "bb")].concat();
    let inode = 0x0807_0605_0403_0201;
    let found: Vec<_> = listing::names(&good).collect();
    let directory = Listed { file_type: FileType::Directory, inode };
    assert_eq!(found, [(file(inode), &b"a"[..]), (directory, &b"bb"[..])]);
    let read = |stamps: &[(u64, u32)], bytes: &[u8]| {
        let stamps = stamps.iter().map(|&(inode, length)| (stamp(inode), length)).collect();
        Stamped::from_written(stamps, bytes.to_vec(), |_, bytes| listing::are_names(bytes)).is_some()
    };
    assert!(read(&[(1, 23)], &good));
    assert!(read(&[(1, 11), (2, 0), (3, 12)], &good));
    assert!(read(&[], b""));
    for (what, bytes) in [
        ("a way out of the directory", name(8, 4, "../x")),
        ("its parent", name(4, 2, "..")),
        ("itself", name(4, 1, ".")),
        ("a slash", name(8, 1, "/")),
        ("a NUL", name(8, 2, "a\0")),
        ("no name", name(8, 0, "")),
        ("no such type", name(9, 1, "a")),
        ("out of order", [name(8, 1, "b"), name(8, 1, "a")].concat()),
        ("twice", [name(8, 1, "a"), name(8, 1, "a")].concat()),
        ("cut off", name(8, 2, "a")),
        ("half", good[..5].to_vec()),
        ("a type alone", b"\x08".to_vec()),
        ("no inode", b"\x08\x01a".to_vec()),
    ] {
        assert!(!read(&[(1, bytes.len() as u32)], &bytes), "{what}");
    }
    let one = &good[..11];
    assert!(read(&[(1, 11)], one));
    assert!(!read(&[(1, 10)], one), "too short");
    assert!(!read(&[(1, 11)], &[one, one].concat()), "too long");
    assert!(!read(&[(1, 12)], one), "more than there is");
    assert!(!read(&[(1, u32::MAX), (2, u32::MAX)], one), "much more than there is");
    assert!(!read(&[(2, 11), (1, 0)], one), "directories out of order");
    assert!(!read(&[(1, 11), (1, 0)], one), "a directory twice");
}

#[test]
fn names_are_sorted_by_their_bytes_whatever_else_they_have() {
    let of = |file_type, inode, name: &[u8]| (Listed { file_type, inode }, name.to_vec());
    let entries = vec![
        of(FileType::Socket, 1, b"b"),
        of(FileType::Fifo, u64::MAX, b"ab"),
        of(FileType::Directory, 0, b"a"),
        of(FileType::RegularFile, 3, b"\xff"),
    ];
    let ones = [u8::MAX; 8];
    let expected = [
        &b"\x04\x01\0\0\0\0\0\0\0\0a"[..],
        b"\x01\x02",
        &ones,
        b"ab\x0c\x01\x01\0\0\0\0\0\0\0b\x08\x01\x03\0\0\0\0\0\0\0\xff",
    ];
    assert_eq!(bytes_of(&entries), Some(expected.concat()));
    assert_eq!(bytes_of(&entries.into_iter().rev().collect()), Some(expected.concat()));
    assert_eq!(Names::default().sorted(), Some(Vec::new()), "an empty directory is known too");
}

#[test]
fn a_directory_with_a_name_that_can_not_be_written_is_not_kept() {
    for (file_type, name) in [
        (FileType::Unknown, b"a".to_vec()),
        (FileType::RegularFile, vec![b'a'; 256]),
        (FileType::RegularFile, b"".to_vec()),
        (FileType::RegularFile, b"a/b".to_vec()),
        (FileType::RegularFile, b"b".to_vec()),
    ] {
        for inode in [7, 8] {
            let entries = vec![(file(7), b"b".to_vec()), (Listed { file_type, inode }, name.clone())];
            assert_eq!(bytes_of(&entries), None, "{file_type:?} {name:?}");
        }
    }
    assert!(bytes_of(&vec![(file(7), b"b".to_vec()), (file(7), vec![b'a'; 255])]).is_some());
}

/// The status of a directory that was changed long ago.
fn directory_status() -> Statx {
    let mut status = status();
    status.stx_mode = 0o040_755;
    status
}

#[test]
fn a_directory_is_known_only_if_all_of_its_stamp_is_the_same() {
    let seen = directory_status();
    let known = |device, facts| CacheView::new(device, Moment { seconds: 1000, nanoseconds: 0 }, facts);
    let stamp = known(device(&seen), CheckCache::default()).listing_holds(&seen).unwrap();
    let pipe = (Listed { file_type: FileType::Fifo, inode: 77 }, b"pipe".to_vec());
    let facts = CheckCache { listings: listed([(stamp, vec![pipe.clone()])]), ..CheckCache::default() };
    let known = known(device(&seen), facts);
    let found = |status: &Statx| {
        known
            .find_listing(status)
            .map(|(at, names)| (at, names.map(|(listed, name)| (listed, name.to_vec())).collect::<Vec<_>>()))
    };
    assert_eq!(found(&seen), Some((0, vec![pipe])));
    let edits: [Edit; 10] = [
        ("inode", |status| status.stx_ino += 1),
        ("size", |status| status.stx_size += 1),
        ("mtime", |status| status.stx_mtime.tv_sec -= 1),
        ("mtime's nanoseconds", |status| status.stx_mtime.tv_nsec += 1),
        ("ctime", |status| status.stx_ctime.tv_sec += 1),
        ("ctime's nanoseconds", |status| status.stx_ctime.tv_nsec += 1),
        ("device", |status| status.stx_dev_minor += 1),
        ("type", |status| status.stx_mode = 0o100_755),
        ("no inode told", |status| status.stx_mask &= !StatxFlags::INO.bits()),
        ("no ctime told", |status| status.stx_mask &= !StatxFlags::CTIME.bits()),
    ];
    for (what, edit) in edits {
        let mut other = seen;
        edit(&mut other);
        assert_eq!(found(&other), None, "{what}");
    }
    assert_eq!(known.find(&seen, 0), None, "no file");
    assert_eq!(known.find_link(&seen), None, "no link");
}

#[test]
fn a_directory_whose_names_may_change_without_a_new_time_is_not_kept() {
    let started = Moment { seconds: 200, nanoseconds: 3 };
    let keeps = |edit: fn(&mut Statx)| {
        let mut status = directory_status();
        let known = CacheView::new(device(&status), started, CheckCache::default());
        edit(&mut status);
        known.listing_holds(&status).is_some()
    };
    assert!(keeps(|_| ()), "a nanosecond before");
    assert!(!keeps(|status| status.stx_ctime.tv_nsec = 3), "the same moment");
    assert!(!keeps(|status| status.stx_ctime.tv_sec = 201));
    assert!(!keeps(|status| status.stx_mtime.tv_sec = 201), "a time that is yet to come");
    assert!(!keeps(|status| status.stx_dev_minor += 1), "another file system");
    assert!(!keeps(|status| status.stx_mode = 0o100_644), "a file");
    assert!(!keeps(|status| status.stx_attributes |= StatxAttributes::ENCRYPTED), "names that depend on a key");
}

#[test]
fn what_is_listed_afterwards_is_what_was_used_and_what_was_learnt() {
    let after = |used: &[u32], updates: Vec<(Stamp, Entries)>| {
        let listings = listed([directory(1, &["a"]), directory(2, &["b", "c"]), directory(3, &[])]);
        let facts = CheckCache { listings, ..CheckCache::default() };
        let known = CacheView::new((8, 1), Moment { seconds: 1000, nanoseconds: 0 }, facts);
        // As two workers cached it.
        let mut all = CacheUpdates::default();
        for worker in 0..2 {
            let part = |at: usize| at % 2 == worker;
            let listed_by = updates.iter().enumerate().filter(|(at, _)| part(*at)).map(|(_, one)| one.clone());
            let used = used.iter().enumerate().filter(|(at, _)| part(*at)).map(|(_, &place)| place);
            all.append(&mut CacheUpdates {
                listed: used.collect(),
                listings: listed(listed_by),
                ..CacheUpdates::default()
            });
        }
        let (facts, changed) = known.after(all, None);
        let written: Vec<_> =
            facts.listings.written().map(|(stamp, names)| (stamp.inode, listing::names(names).count())).collect();
        (written, changed)
    };
    let before = vec![(1, 1), (2, 2), (3, 0)];
    assert_eq!(after(&[2, 0, 1], vec![]), (before.clone(), false));
    assert_eq!(after(&[2, 0, 1, 1], vec![]), (before, false), "one that is mounted twice");
    assert_eq!(after(&[], vec![]), (vec![], true), "directories that are gone");
    assert_eq!(after(&[0], vec![directory(4, &["d"]), directory(2, &["b"])]), (vec![(1, 1), (2, 1), (4, 1)], true));
    let twice = vec![directory(4, &["d"]), directory(4, &["d"]), directory(5, &["e"]), directory(5, &["f"])];
    assert_eq!(after(&[2], twice), (vec![(3, 0), (4, 1)], true), "a contradiction is dropped");
}
