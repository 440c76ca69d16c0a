use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};

use super::file::{CLOCK_TOLERANCE, Origin, Unfit, read, write};
use super::listing::Names;
use super::*;

mod belonging;
mod links;
mod listings;

const ORIGIN: Origin = Origin { binding: Sha256Digest([7; 32]), booted: 1_700_000_000_123_456_789 };

fn moment() -> impl Strategy<Value = Moment> {
    (any::<i64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanoseconds)| Moment { seconds, nanoseconds })
}

/// Stamps, sorted by inode.
fn stamps() -> impl Strategy<Value = Vec<Stamp>> {
    let values = (any::<u64>(), moment(), moment());
    prop::collection::btree_map(any::<u64>(), values, 0..6).prop_map(|map| {
        let stamp = |(inode, (size, modified, changed))| Stamp { inode, size, modified, changed };
        map.into_iter().map(stamp).collect()
    })
}

/// The names in a directory: in any order, without duplicates.
type Entries = Vec<(Listed, Vec<u8>)>;

fn names() -> impl Strategy<Value = Entries> {
    let name = prop_oneof!["[a-c.]{1,3}".prop_map(String::into_bytes), prop::collection::vec(1..=255_u8, 1..256)];
    let name = name.prop_filter("no name", |name| !name.contains(&b'/') && name != b"." && name != b"..");
    let file_type = prop::sample::select(listing::TYPES.map(|(listed, _)| listed).to_vec());
    let listed = (file_type, any::<u64>()).prop_map(|(file_type, inode)| Listed { file_type, inode });
    prop::collection::hash_map(name, listed, 0..5)
        .prop_map(|names| names.into_iter().map(|(name, listed)| (listed, name)).collect())
}

fn listings() -> impl Strategy<Value = Stamped> {
    (stamps(), prop::collection::vec(names(), 6)).prop_map(|(stamps, names)| listed(stamps.into_iter().zip(names)))
}

/// The encoding of a directory with these names, if there is one.
fn bytes_of(entries: &Entries) -> Option<Vec<u8>> {
    let mut names = Names::default();
    for (listed, name) in entries {
        names.push(*listed, name);
    }
    names.sorted()
}

fn listed(directories: impl IntoIterator<Item = (Stamp, Entries)>) -> Stamped {
    let mut listings = Stamped::default();
    for (stamp, entries) in directories {
        listings.push(stamp, &bytes_of(&entries).unwrap());
    }
    listings
}

/// Targets of links, each with the size that its stamp has.
fn links() -> impl Strategy<Value = Stamped> {
    let target = prop_oneof!["[a-c./]{1,4}".prop_map(String::into_bytes), prop::collection::vec(1..=255_u8, 1..300)];
    (stamps(), prop::collection::vec(target, 6)).prop_map(|(stamps, targets)| linked(stamps.into_iter().zip(targets)))
}

fn linked<T: AsRef<[u8]>>(links: impl IntoIterator<Item = (Stamp, T)>) -> Stamped {
    let mut linked = Stamped::default();
    for (stamp, target) in links {
        let target = target.as_ref();
        linked.push(Stamp { size: target.len() as u64, ..stamp }, target);
    }
    linked
}

fn equal() -> impl Strategy<Value = Option<Equal>> {
    prop::option::of((0..u64::MAX, any::<[u8; 32]>()))
        .prop_map(|equal| equal.map(|(entries, lock)| Equal { entries, lock: Sha256Digest(lock) }))
}

fn facts() -> impl Strategy<Value = CheckCache> {
    let files = (stamps(), any::<[[u8; 32]; 6]>()).prop_map(|(stamps, digests)| {
        let fact = |(stamp, digest)| CachedDigest { stamp, sha256: Sha256Digest(digest) };
        stamps.into_iter().zip(digests).map(fact).collect()
    });
    (files, listings(), links(), equal()).prop_map(|(files, listings, links, equal)| CheckCache {
        files,
        listings,
        links,
        equal,
    })
}

/// A cache of these files only.
fn of_files(files: Vec<CachedDigest>) -> CheckCache {
    CheckCache { files, ..CheckCache::default() }
}

fn written(checks: &[CheckCache]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, &ORIGIN, checks).unwrap();
    bytes
}

fn read_all(bytes: &[u8]) -> Result<Vec<CheckCache>, Unfit> {
    read(&mut &*bytes, bytes.len() as u64, &ORIGIN)
}

proptest! {
    #[test]
    fn what_is_written_is_read(checks in prop::collection::vec(facts(), 0..4)) {
        let bytes = written(&checks);
        let size = |facts: &CheckCache| {
            let behind = |stamped: &Stamped| stamped.written().map(|(_, bytes)| 44 + bytes.len()).sum::<usize>();
            80 + 72 * facts.files.len() + behind(&facts.listings) + behind(&facts.links)
        };
        prop_assert_eq!(bytes.len(), 16 + 32 + 8 + 4 + checks.iter().map(size).sum::<usize>() + 32);
        prop_assert_eq!(read_all(&bytes).unwrap(), checks);
    }

    #[test]
    fn what_was_changed_in_any_way_is_not_read(
        checks in prop::collection::vec(facts(), 0..4),
        at: prop::sample::Index,
        cut in 0..200_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let good = written(&checks);
        let at = at.index(good.len() + 1);
        let bad = [&good[..at], &bytes, &good[(at + cut).min(good.len())..]].concat();
        prop_assume!(bad != good);
        prop_assert!(read_all(&bad).is_err());
        // The given length may be outdated.
        prop_assert!(read(&mut &*bad, good.len() as u64, &ORIGIN).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), length: u64) {
        let with_head = [b"driftlock-stat-3".as_slice(), &ORIGIN.binding.0, &ORIGIN.booted.to_le_bytes(), &bytes].concat();
        for bytes in [bytes, with_head] {
            prop_assert!(read_all(&bytes).is_err());
            prop_assert!(read(&mut &*bytes, length, &ORIGIN).is_err());
        }
    }
}

fn stamp(inode: u64) -> Stamp {
    let at = |seconds| Moment { seconds, nanoseconds: 5 };
    Stamp { inode, size: 3, modified: at(10), changed: at(20) }
}

fn fact(inode: u64, digest: u8) -> CachedDigest {
    CachedDigest { stamp: stamp(inode), sha256: Sha256Digest([digest; 32]) }
}

/// A directory of files.
fn directory(inode: u64, names: &[&str]) -> (Stamp, Entries) {
    (stamp(inode), names.iter().map(|name| (file(7), name.as_bytes().to_vec())).collect())
}

fn file(inode: u64) -> Listed {
    Listed { file_type: FileType::RegularFile, inode }
}

#[test]
fn a_cache_with_any_other_bit_or_length_is_not_read() {
    let good = written(&[
        CheckCache {
            files: vec![fact(1, 1), fact(2, 2)],
            listings: listed([directory(1, &["a", "b"]), directory(3, &[])]),
            links: linked([(stamp(4), "a"), (stamp(5), "../b")]),
            equal: Some(Equal { entries: 6, lock: Sha256Digest([0xee; 32]) }),
        },
        CheckCache::default(),
        of_files(vec![fact(1, 3)]),
    ]);
    assert!(read_all(&good).is_ok());
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(read_all(&bad).is_err(), "bit {bit} of byte {at}");
        }
        assert!(read_all(&good[..at]).is_err(), "cut off at {at}");
        assert!(read(&mut &good[..at], good.len() as u64, &ORIGIN).is_err(), "cut off at {at} while it is read");
    }
    for more in [&[0][..], b"driftlock-stat-3", &good] {
        let longer = [&good, more].concat();
        assert!(read_all(&longer).is_err());
        assert!(read(&mut &*longer, good.len() as u64, &ORIGIN).is_err(), "it grew while it was read");
    }
}

/// Each error by its own reason, with a valid checksum.
#[test]
fn each_reason_not_to_read_is_told() {
    let sealed = |bytes: &[u8]| {
        let mut hasher = crate::digest::Sha256::new();
        hasher.update(bytes);
        [bytes, &hasher.finish().0].concat()
    };
    let reason = |bytes: &[u8]| read_all(&sealed(bytes)).unwrap_err();
    let whole = |checks: &[Vec<CachedDigest>]| {
        let bytes = written(&checks.iter().cloned().map(of_files).collect::<Vec<_>>());
        bytes[..bytes.len() - 32].to_vec()
    };
    assert!(read_all(&sealed(&whole(&[vec![fact(1, 1)]]))).is_ok());
    let mut other = whole(&[]);
    other[15] = b'1';
    assert!(matches!(reason(&other), Unfit::OtherVersion));
    let mut other = whole(&[]);
    other[16] ^= 1;
    assert!(matches!(reason(&other), Unfit::OtherBinding));
    let booted = |booted: i64| {
        let mut other = whole(&[]);
        other[48..56].copy_from_slice(&booted.to_le_bytes());
        read_all(&sealed(&other))
    };
    let tolerated = CLOCK_TOLERANCE.cast_signed() - 1;
    for set in [-tolerated, tolerated] {
        assert!(booted(ORIGIN.booted + set).is_ok(), "set by {set}");
    }
    for other in [ORIGIN.booted - tolerated - 1, ORIGIN.booted + tolerated + 1, 0, i64::MIN, i64::MAX] {
        assert!(matches!(booted(other), Err(Unfit::OtherClock)), "{other}");
    }
    assert!(matches!(reason(&whole(&[vec![fact(2, 1), fact(1, 1)]])), Unfit::Order));
    assert!(matches!(reason(&whole(&[vec![fact(1, 1), fact(1, 1)]])), Unfit::Order));
    let mut nanoseconds = fact(1, 1);
    nanoseconds.stamp.changed.nanoseconds = 1_000_000_000;
    assert!(matches!(reason(&whole(&[vec![nanoseconds]])), Unfit::Order));
    // Numbers that would need more memory than there is.
    let numbers =
        [(u32::MAX, 0), (1, u64::MAX), (1, u64::MAX / 72 + 1), (1, u64::MAX / 44 + 1), (1, 1 << 40), (1, 1), (0, 0)];
    for ((checks, number), which) in
        numbers.into_iter().flat_map(|numbers| [0, 1, 2, 3, 4].map(|which| (numbers, which)))
    {
        let mut absurd = whole(&[])[..56].to_vec();
        absurd.extend(checks.to_le_bytes());
        if checks > 0 {
            for part in 0..5 {
                absurd.extend(if part == which { number } else { 0 }.to_le_bytes());
            }
            absurd.extend([0xff; 8]);
            absurd.extend([0; 32]);
        }
        let read = read_all(&sealed(&absurd));
        assert!(matches!(read, Err(Unfit::Length)) || (checks == 0 && read.is_ok()), "{checks} {number}: {read:?}");
    }
    let empty = written(&[]);
    assert!(matches!(read(&mut &*empty, u64::MAX, &ORIGIN), Err(Unfit::Length)));
}

/// The status of a real file, to modify.
fn status() -> Statx {
    let mut status =
        statx(CWD, concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), AtFlags::empty(), StatxFlags::BASIC_STATS)
            .unwrap();
    (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec) = (100, 1);
    (status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec) = (200, 2);
    status
}

fn device(status: &Statx) -> Device {
    (status.stx_dev_major, status.stx_dev_minor)
}

/// A change to a status, and its name.
type Edit = (&'static str, fn(&mut Statx));

#[test]
fn a_file_is_known_only_if_all_of_its_stamp_is_the_same() {
    let seen = status();
    let long_ago = Moment { seconds: 1000, nanoseconds: 0 };
    let digest = Sha256Digest([9; 32]);
    let nothing = CacheView::new(device(&seen), long_ago, CheckCache::default());
    assert_eq!(nothing.find(&seen, 0), None);
    nothing.write_back(|| Ok(()));
    let fact = nothing.to_cache(&seen, digest).unwrap();
    let known = CacheView::new(device(&seen), long_ago, of_files(vec![fact]));
    assert_eq!(known.find(&seen, 0), Some((0, digest)));
    let edits: [Edit; 13] = [
        ("inode", |status| status.stx_ino += 1),
        ("size", |status| status.stx_size += 1),
        ("mtime", |status| status.stx_mtime.tv_sec -= 1),
        ("mtime's nanoseconds", |status| status.stx_mtime.tv_nsec += 1),
        ("ctime", |status| status.stx_ctime.tv_sec += 1),
        ("ctime's nanoseconds", |status| status.stx_ctime.tv_nsec += 1),
        ("major", |status| status.stx_dev_major += 1),
        ("minor", |status| status.stx_dev_minor += 1),
        ("type", |status| status.stx_mode = 0o120_777),
        ("no inode told", |status| status.stx_mask &= !StatxFlags::INO.bits()),
        ("no size told", |status| status.stx_mask &= !StatxFlags::SIZE.bits()),
        ("no mtime told", |status| status.stx_mask &= !StatxFlags::MTIME.bits()),
        ("no ctime told", |status| status.stx_mask &= !StatxFlags::CTIME.bits()),
    ];
    for (what, edit) in edits {
        let mut other = seen;
        edit(&mut other);
        assert_eq!(known.find(&other, 0), None, "{what}");
    }
}

/// From every start index, among adjacent and distant inodes.
#[test]
fn a_file_is_known_from_anywhere() {
    let status = status();
    let inodes: Vec<u64> = (0..200).chain((1..300).map(|number| number * number * 1000)).collect();
    let stamp = Stamp::of(&status).unwrap();
    let fact = |&inode: &u64| CachedDigest { stamp: Stamp { inode, ..stamp }, sha256: Sha256Digest([9; 32]) };
    let facts = of_files(inodes.iter().map(fact).collect());
    let known = CacheView::new(device(&status), Moment { seconds: 1000, nanoseconds: 0 }, facts);
    let find = |inode, near| {
        let mut status = status;
        status.stx_ino = inode;
        known.find(&status, near).map(|(at, _)| at as usize)
    };
    for near in (0..520).chain([u32::MAX]) {
        for (at, &inode) in inodes.iter().enumerate().step_by(3) {
            assert_eq!(find(inode, near), Some(at), "{inode} near {near}");
        }
        for inode in [200, 999, 1001, u64::MAX] {
            assert_eq!(find(inode, near), None);
        }
    }
}

#[test]
fn a_file_that_is_not_older_than_the_run_is_not_kept() {
    let digest = Sha256Digest([9; 32]);
    let started = Moment { seconds: 200, nanoseconds: 3 };
    let keeps = |edit: fn(&mut Statx)| {
        let mut status = status();
        let known = CacheView::new(device(&status), started, CheckCache::default());
        known.write_back(|| Ok(()));
        edit(&mut status);
        known.to_cache(&status, digest).is_some()
    };
    assert!(keeps(|_| ()), "a nanosecond before");
    assert!(!keeps(|status| status.stx_ctime.tv_nsec = 3), "the same moment");
    assert!(!keeps(|status| status.stx_ctime.tv_sec = 201));
    assert!(!keeps(|status| status.stx_mtime.tv_sec = 201), "a time that is yet to come");
    assert!(!keeps(|status| (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec) = (200, 3)));
    assert!(!keeps(|status| status.stx_dev_minor += 1));
    assert!(keeps(|status| status.stx_mtime.tv_sec = -5), "before 1970");

    let before = |now| {
        let Moment { seconds, nanoseconds } = Moment::settled_before(now);
        (seconds, nanoseconds)
    };
    assert_eq!(before(1_000_000_000_017), (998, 17));
    assert_eq!(before(1_999_999_999), (-1, 999_999_999));
    assert_eq!(before(0), (-2, 0));
    assert_eq!(before(i64::MIN).0, -9_223_372_037, "a clock that is out of its mind: nothing is old enough");
}

#[test]
fn nothing_is_kept_before_what_was_mapped_is_written_back() {
    let status = status();
    let learns = |sync: Option<Result<(), Errno>>| {
        let known = CacheView::new(device(&status), Moment { seconds: 1000, nanoseconds: 0 }, CheckCache::default());
        if let Some(result) = sync {
            known.write_back(|| result);
            known.write_back(|| panic!("once is enough"));
        }
        known.to_cache(&status, Sha256Digest([9; 32])).is_some()
    };
    assert_eq!([None, Some(Err(Errno::IO)), Some(Ok(()))].map(learns), [false, false, true]);
}

#[test]
fn what_is_known_afterwards_is_what_was_used_and_what_was_learnt() {
    let after = |trusted: &[u32], read: &[CachedDigest]| {
        let facts = vec![fact(1, 1), fact(2, 2), fact(3, 3)];
        let known = CacheView::new((8, 1), Moment { seconds: 1000, nanoseconds: 0 }, of_files(facts));
        let updates = CacheUpdates { trusted: trusted.to_vec(), read: read.to_vec(), ..CacheUpdates::default() };
        let (facts, changed) = known.after(updates, None);
        let facts: Vec<_> = facts.files.iter().map(|fact| (fact.stamp.inode, fact.sha256.0[0])).collect();
        (facts, changed)
    };
    let before = vec![(1, 1), (2, 2), (3, 3)];
    assert_eq!(after(&[2, 0, 1], &[]), (before.clone(), false));
    assert_eq!(after(&[2, 0, 1, 1, 2], &[]), (before, false), "hard links");
    assert_eq!(after(&[], &[]), (vec![], true), "files that are gone");
    assert_eq!(after(&[2, 0], &[]), (vec![(1, 1), (3, 3)], true));
    assert_eq!(after(&[2], &[fact(4, 4), fact(2, 9), fact(4, 4)]), (vec![(2, 9), (3, 3), (4, 4)], true));
    assert_eq!(after(&[0], &[fact(2, 5), fact(2, 6), fact(1, 1)]), (vec![(1, 1)], true), "a contradiction is dropped");
}
