//! Listings of directories: what is kept, what is known again, and what is not.

use rustix::fs::StatxAttributes;

use super::*;

proptest! {
    #[test]
    fn names_come_back_sorted_and_whole(entries in names()) {
        let mut sorted = entries.clone();
        sorted.sort_by(|(_, a), (_, b)| a.cmp(b));
        let listings = listed([(stamp(1), entries)]);
        let found: Vec<_> = listings.names(0).map(|(listed, name)| (listed, name.to_vec())).collect();
        prop_assert_eq!(found, sorted);
        prop_assert_eq!((listings.find(&stamp(1)), listings.find(&stamp(2))), (Some(0), None));
    }

    /// Bytes are believed only if they are what would be written.
    #[test]
    fn bytes_that_are_no_listing_are_refused(bytes in prop::collection::vec(prop_oneof![0..13_u8, any::<u8>()], 0..12)) {
        let length = bytes.len() as u32;
        if let Some(listings) = Listings::from_written(vec![(stamp(1), length)], bytes.clone()) {
            let entries = listings.names(0).map(|(listed, name)| (listed, name.to_vec())).collect();
            let again = listed([(stamp(1), entries)]);
            prop_assert_eq!(again.written().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), [bytes]);
        }
    }
}

#[test]
fn names_that_no_directory_has_are_refused() {
    let read = |stamps: &[(u64, u32)], bytes: &[u8]| {
        let stamps = stamps.iter().map(|&(inode, length)| (stamp(inode), length)).collect();
        Listings::from_written(stamps, bytes.to_vec()).is_some()
    };
    assert!(read(&[(1, 7)], b"\x08\x01a\x04\x02bb"));
    assert!(read(&[(1, 3), (2, 0), (3, 4)], b"\x08\x01a\x04\x02bb"));
    assert!(read(&[], b""));
    for (what, bytes) in [
        ("a way out of the directory", &b"\x08\x04../x"[..]),
        ("its parent", b"\x04\x02.."),
        ("itself", b"\x04\x01."),
        ("a slash", b"\x08\x01/"),
        ("a NUL", b"\x08\x02a\0"),
        ("no name", b"\x08\x00"),
        ("no such type", b"\x09\x01a"),
        ("out of order", b"\x08\x01b\x08\x01a"),
        ("twice", b"\x08\x01a\x08\x01a"),
        ("cut off", b"\x08\x02a"),
        ("half", b"\x08"),
    ] {
        assert!(!read(&[(1, bytes.len() as u32)], bytes), "{what}");
    }
    assert!(!read(&[(1, 2)], b"\x08\x01a"), "too short");
    assert!(!read(&[(1, 3)], b"\x08\x01a\x08\x01b"), "too long");
    assert!(!read(&[(1, 4)], b"\x08\x01a"), "more than there is");
    assert!(!read(&[(1, u32::MAX), (2, u32::MAX)], b"\x08\x01a"), "much more than there is");
    assert!(!read(&[(2, 3), (1, 0)], b"\x08\x01a"), "directories out of order");
    assert!(!read(&[(1, 3), (1, 0)], b"\x08\x01a"), "a directory twice");
}

#[test]
fn a_directory_with_a_name_that_can_not_be_written_is_not_kept() {
    for (listed, name) in [
        (FileType::Unknown, b"a".to_vec()),
        (FileType::RegularFile, vec![b'a'; 256]),
        (FileType::RegularFile, b"".to_vec()),
        (FileType::RegularFile, b"a/b".to_vec()),
        (FileType::RegularFile, b"b".to_vec()),
    ] {
        let mut names = Names::default();
        names.push(FileType::RegularFile, b"b");
        names.push(listed, &name);
        let mut listings = listed_before();
        listings.push(stamp(2), &names);
        assert_eq!(listings, listed_before(), "{listed:?} {name:?}");
    }
}

fn listed_before() -> Listings {
    listed([directory(1, &["before"])])
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
    let known = |device, facts| Known::new(device, Moment { seconds: 1000, nanoseconds: 0 }, facts);
    let stamp = known(device(&seen), Facts::default()).listing_holds(&seen).unwrap();
    let listings = listed([(stamp, vec![(FileType::Fifo, b"pipe".to_vec())])]);
    let facts = Facts { files: Vec::new(), listings };
    let known = known(device(&seen), facts);
    let found = |status: &Statx| {
        known.find_listing(status).map(|(at, names)| (at, names.map(|(_, name)| name.to_vec()).collect::<Vec<_>>()))
    };
    assert_eq!(found(&seen), Some((0, vec![b"pipe".to_vec()])));
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
}

#[test]
fn a_directory_whose_names_may_change_without_a_new_time_is_not_kept() {
    let started = Moment { seconds: 200, nanoseconds: 3 };
    let keeps = |edit: fn(&mut Statx)| {
        let mut status = directory_status();
        let known = Known::new(device(&status), started, Facts::default());
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
    let after = |used: &[u32], learned: Vec<(Stamp, Listed)>| {
        let listings = listed([directory(1, &["a"]), directory(2, &["b", "c"]), directory(3, &[])]);
        let facts = Facts { files: Vec::new(), listings };
        let known = Known::new((8, 1), Moment { seconds: 1000, nanoseconds: 0 }, facts);
        // As two workers learnt it.
        let mut all = Learned::default();
        for worker in 0..2 {
            let part = |at: usize| at % 2 == worker;
            let listed_by = learned.iter().enumerate().filter(|(at, _)| part(*at)).map(|(_, one)| one.clone());
            let used = used.iter().enumerate().filter(|(at, _)| part(*at)).map(|(_, &place)| place);
            all.append(&mut Learned { listed: used.collect(), listings: listed(listed_by), ..Learned::default() });
        }
        let (facts, changed) = known.after(all);
        let written: Vec<_> = facts
            .listings
            .written()
            .map(|(stamp, names)| (stamp.inode, names.iter().filter(|byte| byte.is_ascii_alphabetic()).count()))
            .collect();
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
