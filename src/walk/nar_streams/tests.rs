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
fn add(streams: &mut Tested, number: usize, item: &Item, tag: (usize, usize), context: &Context<'_>) -> bool {
    let bytes = item.bytes(number);
    let mut file = tempfile::tempfile().unwrap();
    if !item.in_memory {
        file.write_all(&bytes).unwrap();
    }
    let file = OwnedFd::from(file);
    let mut status = open::status(&file).unwrap();
    let mut repeated = false;
    streams.add(context, |frame| nar::entry(frame, format!("{number:03}").as_bytes()));
    if item.in_memory {
        status.stx_size = item.length as u64;
        streams.start_file(&status, context);
        streams.contents_in_memory(&bytes, context);
        streams.stage().add(nar::padding(status.stx_size));
    } else {
        // With so many blocks, it has no holes.
        (status.stx_size, status.stx_blocks) = (item.length.saturating_add_signed(item.changed) as u64, u64::MAX);
        streams.file(&file, &mut status, &mut repeated, context).unwrap();
    }
    streams.tag_file(tag);
    streams.add(context, |frame| {
        nar::close(frame);
        nar::close(frame);
    });
    repeated
}

/// Adds all archives, the first to the first slot and so on, and goes from slot to slot after each file.
fn add_all(streams: &mut Tested, archives: &[Vec<Item>], context: &Context<'_>) {
    let count = streams.len();
    for (round, archives) in archives.chunks(count).enumerate() {
        for slot in 0..archives.len() {
            streams.select(slot);
            streams.begin(context);
            streams.add(context, nar::directory);
        }
        for number in 0..archives.iter().map(Vec::len).max().unwrap_or(0) {
            for (slot, items) in archives.iter().enumerate() {
                if let Some(item) = items.get(number) {
                    streams.select(slot);
                    let repeated = add(streams, number, item, (round * count + slot, number), context);
                    assert_eq!(repeated, !item.in_memory && item.changed != 0);
                }
            }
        }
        for slot in 0..archives.len() {
            streams.select(slot);
            streams.add(context, nar::close);
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
        let context = Context { reader: &reader, on_progress: &|| (), permit: &|| None };
        let mut streams = Tested::with_slots(slots, CAPACITY);
        add_all(&mut streams, &archives, &context);
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
        let context = Context { reader: &reader, on_progress: &|| (), permit: &|| Some(Arc::clone(&permit)) };
        let archives = [vec![Item::of(10)], long(), vec![Item::of(20)], long()];
        let mut streams = Tested { which, ..Tested::with_slots(1, SHORT) };
        add_all(&mut streams, &archives, &Context { permit: &|| None, ..context });
        compare(&mut streams, &archives);
        let mut streams = Tested { which, ..Tested::with_slots(1, SHORT) };
        add_all(&mut streams, &archives, &context);
        assert!(streams.slot().aside.is_none());
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
    let context = Context { reader: &reader, on_progress: &|| (), permit: &permit };
    let short = vec![vec![Item::of(100_000); 35]; 3];
    let mut streams = Tested::with_slots(1, SHORT);
    add_all(&mut streams, &short, &context);
    assert_eq!(asked.get(), 0);
    compare(&mut streams, &short);
    let both = vec![vec![Item::of(100_000); 60]; 2];
    let mut streams = Tested::with_slots(2, SHORT);
    add_all(&mut streams, &both, &context);
    assert_eq!(asked.get(), 0);
    compare(&mut streams, &both);
    let mut streams = Tested::with_slots(2, SHORT);
    add_all(&mut streams, &both[..1], &context);
    assert!(asked.get() > 0);
    compare(&mut streams, &both[..1]);
}

/// Both slots at once, after the thread was started for one of them.
#[test]
fn another_archive_while_the_thread_hashes() {
    let permit = Arc::default();
    let reader = Reader::default();
    let context = Context { reader: &reader, on_progress: &|| (), permit: &|| Some(Arc::clone(&permit)) };
    let archives = [long(), vec![Item::of(70_000); 9]];
    let mut streams = Tested::with_slots(2, SHORT);
    for (slot, items) in archives.iter().enumerate() {
        streams.select(slot);
        if slot == 1 {
            assert!(streams.slots[0].aside.is_some());
        }
        streams.begin(&context);
        streams.add(&context, nar::directory);
        // The first two go on later.
        for (number, item) in items.iter().enumerate().take(if slot == 0 { 59 } else { 5 }) {
            add(&mut streams, number, item, (slot, number), &context);
        }
    }
    for (slot, items) in archives.iter().enumerate().rev() {
        streams.select(slot);
        for (number, item) in items.iter().enumerate().skip(if slot == 0 { 59 } else { 5 }) {
            add(&mut streams, number, item, (slot, number), &context);
        }
        streams.add(&context, nar::close);
        streams.end(Some(slot));
    }
    streams.hash_stages();
    compare(&mut streams, &archives);
}

/// A name and a target of any length, though no kernel gives longer ones than a stage.
#[test]
fn a_frame_that_is_longer_than_a_stage() {
    let reader = Reader::default();
    let context = Context { reader: &reader, on_progress: &|| (), permit: &|| None };
    let target = vec![b'x'; 5 * CAPACITY];
    let mut expected = Vec::new();
    nar::archive(&mut expected);
    nar::symlink(&mut expected, &target);
    let mut streams = Tested::with_slots(1, CAPACITY);
    streams.begin(&context);
    streams.add(&context, |frame| nar::symlink(frame, &target));
    streams.end(Some(0));
    streams.hash_stages();
    assert!(streams.done.archives == [(0, sha256(&expected))]);
}

/// Where a file states no size, its archive has the one that was read.
#[test]
fn a_file_that_states_no_size() {
    let reader = Reader::default();
    let context = Context { reader: &reader, on_progress: &|| (), permit: &|| None };
    let path = "/proc/self/cmdline";
    let file = rustix::fs::open(path, OFlags::RDONLY, Mode::empty()).unwrap();
    let mut contents = vec![0; 4096];
    let length = rustix::io::pread(&file, &mut contents, 0).unwrap();
    contents.truncate(length);
    let mut status = open::status(&file).unwrap();
    assert!(status.stx_size == 0 && !contents.is_empty());
    let mut expected = Vec::new();
    nar::archive(&mut expected);
    nar::regular(&mut expected, false, contents.len() as u64);
    expected.extend_from_slice(&contents);
    expected.extend_from_slice(nar::padding(contents.len() as u64));
    nar::close(&mut expected);
    let mut streams = Tested::with_slots(1, CAPACITY);
    streams.begin(&context);
    streams.file(&file, &mut status, &mut false, &context).unwrap();
    streams.tag_file((0, 0));
    streams.add(&context, nar::close);
    streams.end(Some(0));
    streams.hash_stages();
    assert_eq!(status.stx_size, contents.len() as u64);
    assert!(streams.done.files == [((0, 0), sha256(&contents))]);
    assert!(streams.done.archives == [(0, sha256(&expected))]);
}

/// A long file that grows at each reading is given up; one that becomes short is read then.
#[test]
fn a_long_file_that_changes_while_it_is_read() {
    const LENGTH: u64 = 3 << 20;
    for helped in [false, true] {
        for shrinks in [false, true] {
            let permit = Arc::default();
            let reader = Reader::default();
            let context =
                Context { reader: &reader, on_progress: &|| (), permit: &|| helped.then(|| Arc::clone(&permit)) };
            let mut items = vec![Item::of(100_000); 50];
            let mut streams = Tested::with_slots(1, SHORT);
            streams.begin(&context);
            streams.add(&context, nar::directory);
            for (number, item) in items.iter().enumerate() {
                add(&mut streams, number, item, (0, number), &context);
            }
            assert_eq!(streams.slot().aside.is_some(), helped);
            let file = tempfile::tempfile().unwrap();
            file.set_len(LENGTH).unwrap();
            let reads = std::cell::Cell::new(0_u64);
            // In each attempt, this is after some stages were hashed.
            let on_progress = || {
                reads.set(reads.get() + 1);
                if reads.get().is_multiple_of(20) {
                    file.set_len(if shrinks { 5 } else { LENGTH + reads.get() }).unwrap();
                }
            };
            let context = Context { on_progress: &on_progress, ..context };
            let opened = OwnedFd::from(file.try_clone().unwrap());
            let mut status = open::status(&opened).unwrap();
            // No holes, whose bytes need not be read.
            status.stx_blocks = u64::MAX;
            let mut repeated = false;
            if shrinks {
                streams.add(&context, |frame| nar::entry(frame, b"050"));
            }
            let read = streams.file(&opened, &mut status, &mut repeated, &context);
            assert!(repeated && read.is_ok() == shrinks && reads.get() >= 20);
            let mut expected = archive(&items);
            if shrinks {
                streams.tag_file((0, 50));
                streams.add(&context, |frame| {
                    nar::close(frame);
                    nar::close(frame);
                });
                expected.truncate(expected.len() - 16);
                nar::entry(&mut expected, b"050");
                nar::regular(&mut expected, false, 5);
                expected.extend_from_slice(&[0; 8]);
                (0..3).for_each(|_| nar::close(&mut expected));
            } else {
                items.push(Item::of(7));
                add(&mut streams, 50, &items[50], (0, 50), &context);
                expected = archive(&items);
            }
            streams.add(&context, nar::close);
            streams.end(Some(0));
            streams.hash_stages();
            assert_eq!(streams.done.files.len(), 51);
            assert!(streams.done.archives == [(0, sha256(&expected))], "helped: {helped}, shrinks: {shrinks}");
        }
    }
}

#[test]
fn a_file_that_can_t_be_read_leaves_no_trace() {
    let reader = Reader::default();
    let context = Context { reader: &reader, on_progress: &|| (), permit: &|| None };
    // A directory opens, and does not read.
    let directory = rustix::fs::open("/", OFlags::RDONLY, Mode::empty()).unwrap();
    for stated in [100, 10 * CAPACITY as u64] {
        let mut streams = Tested::with_slots(1, CAPACITY);
        streams.begin(&context);
        streams.add(&context, nar::directory);
        let mut status = open::status(&directory).unwrap();
        (status.stx_size, status.stx_blocks) = (stated, u64::MAX);
        assert!(streams.file(&directory, &mut status, &mut false, &context).is_err());
        add(&mut streams, 0, &Item::of(30), (0, 0), &context);
        streams.add(&context, nar::close);
        streams.end(Some(0));
        streams.hash_stages();
        compare(&mut streams, &[vec![Item::of(30)]]);
    }
}
