use std::io::Write as _;

use proptest::prelude::*;
use rustix::fs::{Mode, OFlags};
use sha2::Digest as _;

use super::*;
use crate::digest::Sha256Digest;

/// Room for a few small files.
const CAPACITY: usize = 16 << 10;

/// A file of an archive.
#[derive(Clone, Debug)]
struct Item {
    length: usize,
    /// How much longer or shorter than that its first status says it is, which is how a change shows.
    changed: isize,
    /// Whether its contents are given from memory.
    in_memory: bool,
}

impl Item {
    const fn of(length: usize) -> Self {
        Self { length, changed: 0, in_memory: false }
    }

    fn bytes(&self, number: usize) -> Vec<u8> {
        (0..self.length).map(|at| (at / 100 + number * 7) as u8).collect()
    }
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(sha2::Sha256::digest(bytes).into())
}

/// The archive of a directory with these files, in one piece.
fn archive(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    nar::archive(&mut out);
    nar::directory(&mut out);
    for (number, item) in items.iter().enumerate() {
        nar::entry(&mut out, format!("{number:03}").as_bytes());
        nar::regular(&mut out, false, item.length as u64);
        out.extend_from_slice(&item.bytes(number));
        out.extend_from_slice(nar::padding(item.length as u64));
        nar::close(&mut out);
        nar::close(&mut out);
    }
    nar::close(&mut out);
    out
}

type Tested = NarStreams<(usize, usize), usize>;

/// Adds one file to the current archive. Whether it was read more than once.
fn add(streams: &mut Tested, number: usize, item: &Item, tag: (usize, usize), reading: &Reading<'_>) -> bool {
    let bytes = item.bytes(number);
    let mut file = tempfile::tempfile().unwrap();
    if !item.in_memory {
        file.write_all(&bytes).unwrap();
    }
    let file = OwnedFd::from(file);
    let mut status = open::status(&file).unwrap();
    let mut repeated = false;
    streams.add(reading, |frame| nar::entry(frame, format!("{number:03}").as_bytes()));
    if item.in_memory {
        status.stx_size = item.length as u64;
        streams.start_file(&status, reading);
        streams.contents_in_memory(&bytes, reading);
        streams.stage().add(nar::padding(status.stx_size));
    } else {
        // With so many blocks, it has no holes.
        (status.stx_size, status.stx_blocks) = (item.length.saturating_add_signed(item.changed) as u64, u64::MAX);
        streams.file(&file, &mut status, &mut repeated, reading).unwrap();
    }
    streams.tag_file(tag);
    streams.add(reading, |frame| {
        nar::close(frame);
        nar::close(frame);
    });
    repeated
}

/// Adds all archives, the first to the first slot and so on, and goes from slot to slot after each file.
fn add_all(streams: &mut Tested, archives: &[Vec<Item>], reading: &Reading<'_>) {
    let count = streams.len();
    for (round, archives) in archives.chunks(count).enumerate() {
        for slot in 0..archives.len() {
            streams.select(slot);
            streams.begin(reading);
            streams.add(reading, nar::directory);
        }
        for number in 0..archives.iter().map(Vec::len).max().unwrap_or(0) {
            for (slot, items) in archives.iter().enumerate() {
                if let Some(item) = items.get(number) {
                    streams.select(slot);
                    let repeated = add(streams, number, item, (round * count + slot, number), reading);
                    assert_eq!(repeated, !item.in_memory && item.changed != 0);
                }
            }
        }
        for slot in 0..archives.len() {
            streams.select(slot);
            streams.add(reading, nar::close);
            streams.end(Some(round * count + slot));
        }
    }
    streams.hash_stages();
}

/// Holds the digests against those of whole archives and files.
fn compare(streams: &mut Tested, archives: &[Vec<Item>]) {
    let mut files: Vec<_> = archives
        .iter()
        .enumerate()
        .flat_map(|(archive, items)| items.iter().enumerate().map(move |(file, item)| ((archive, file), item)))
        .map(|(tag, item)| (tag, sha256(&item.bytes(tag.1))))
        .collect();
    files.sort();
    streams.done.files.sort();
    streams.done.archives.sort();
    assert!(streams.done.files == files);
    let whole: Vec<_> = archives.iter().map(|items| sha256(&archive(items))).enumerate().collect();
    assert!(streams.done.archives == whole);
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let length = prop_oneof![0..200_usize, CAPACITY - 500..CAPACITY + 10, 0..CAPACITY, 0..4 * CAPACITY];
    let changed = prop_oneof![27 => Just(0), 1 => Just(1_isize), 1 => Just(-1), 1 => Just(3 * CAPACITY as isize)];
    let item = (length, changed, prop::bool::weighted(0.2)).prop_map(|(length, changed, in_memory)| Item {
        length,
        // Nothing is shorter than an empty file, and a file that states no size is not one that has changed.
        changed: if length < 2 { 0 } else { changed },
        in_memory,
    });
    prop::collection::vec(item, 0..12)
}

proptest! {
    // A file that changed takes 20 ms.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_archives_side_by_side(archives in prop::collection::vec(items(), 0..7), slots in 1..5_usize) {
        let reader = Reader::default();
        let reading = Reading { reader: &reader, on_progress: &|| (), permit: &|| None };
        let mut streams = Tested::with_slots(slots, CAPACITY);
        add_all(&mut streams, &archives, &reading);
        compare(&mut streams, &archives);
    }
}

/// One file is longer than what the other thread gets at once; it and a short one change.
fn long() -> Vec<Item> {
    let mut items = vec![Item::of(100_000); 60];
    items[50] = Item { changed: 5, ..Item::of(200) };
    items[55] = Item { changed: -1, ..Item::of(2 * ASIDE + 7) };
    items.push(Item { in_memory: true, ..Item::of(ASIDE + 1) });
    items
}

#[test]
fn a_long_archive_with_a_thread_of_its_own() {
    for which in [Which::All, Which::Archives] {
        let permit = Arc::default();
        let reader = Reader::default();
        let reading = Reading { reader: &reader, on_progress: &|| (), permit: &|| Some(Arc::clone(&permit)) };
        let archives = [vec![Item::of(10)], long(), vec![Item::of(20)], long()];
        let mut streams = Tested { which, ..Tested::with_slots(1, SHORT) };
        add_all(&mut streams, &archives[..2], &Reading { permit: &|| None, ..reading });
        compare(&mut streams, &archives[..2]);
        let mut streams = Tested { which, ..Tested::with_slots(1, SHORT) };
        add_all(&mut streams, &archives, &reading);
        assert!(streams.aside.is_none());
        assert_eq!(Arc::strong_count(&permit), 1, "the thread has ended");
        compare(&mut streams, &archives);
    }
}

#[test]
fn a_thread_only_for_a_long_archive_that_is_alone() {
    let reader = Reader::default();
    let asked = std::cell::Cell::new(0);
    let permit = || {
        asked.set(asked.get() + 1);
        None
    };
    let reading = Reading { reader: &reader, on_progress: &|| (), permit: &permit };
    let short = vec![vec![Item::of(100_000); 35]; 3];
    let mut streams = Tested::with_slots(1, SHORT);
    add_all(&mut streams, &short, &reading);
    assert_eq!(asked.get(), 0);
    compare(&mut streams, &short);
    let both = vec![vec![Item::of(100_000); 60]; 2];
    let mut streams = Tested::with_slots(2, SHORT);
    add_all(&mut streams, &both, &reading);
    assert_eq!(asked.get(), 0);
    compare(&mut streams, &both);
    let mut streams = Tested::with_slots(2, SHORT);
    add_all(&mut streams, &both[..1], &reading);
    assert!(asked.get() > 0);
    compare(&mut streams, &both[..1]);
}

#[test]
fn a_file_that_can_t_be_read_leaves_no_trace() {
    let reader = Reader::default();
    let reading = Reading { reader: &reader, on_progress: &|| (), permit: &|| None };
    // A directory opens, and does not read.
    let directory = rustix::fs::open("/", OFlags::RDONLY, Mode::empty()).unwrap();
    for stated in [100, 10 * CAPACITY as u64] {
        let mut streams = Tested::with_slots(1, CAPACITY);
        streams.begin(&reading);
        streams.add(&reading, nar::directory);
        let mut status = open::status(&directory).unwrap();
        (status.stx_size, status.stx_blocks) = (stated, u64::MAX);
        assert!(streams.file(&directory, &mut status, &mut false, &reading).is_err());
        add(&mut streams, 0, &Item::of(30), (0, 0), &reading);
        streams.add(&reading, nar::close);
        streams.end(Some(0));
        streams.hash_stages();
        compare(&mut streams, &[vec![Item::of(30)]]);
    }
}
