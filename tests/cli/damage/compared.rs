//! A lock is compared without reading those of its lines that are what would be written now. What comes out has to be
//! what comes out if each line is read, refusals and all.

use std::io::BufReader;

use driftlock::internals::compare::{Comparison, DifferenceBudget, compare};
use driftlock::internals::manifest::{Attributes, Content, Entries, Entry, LockError, Observed, json};
use proptest::prelude::*;

use crate::machine::cases;

use super::{Stream, lock, locked, others, read, restated, write};

/// Entries of which none is passed over.
struct Read<T>(T);

impl<T: Entries> Entries for Read<T> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        self.0.next()
    }
}

/// Compares a lock, read in pieces of `capacity`, with entries, both ways.
fn both_ways(lock: &[u8], live: &[Entry], capacity: usize) -> Result<Comparison, String> {
    let live = || Stream(live.to_vec(), 0);
    let reader = || json::Reader::new(BufReader::with_capacity(capacity, lock));
    let passing = reader().and_then(|mut reader| compare(&mut DifferenceBudget::unlimited(), &mut reader, &mut live()));
    let reading =
        reader().and_then(|reader| compare(&mut DifferenceBudget::unlimited(), &mut Read(reader), &mut live()));
    let told = |result: Result<Comparison, LockError>| result.map_err(|error| error.to_string());
    let (passing, reading) = (told(passing), told(reading));
    assert_eq!(passing, reading, "{}", String::from_utf8_lossy(lock));
    passing
}

#[test]
fn a_lock_with_any_other_byte_is_compared_as_it_is_read() {
    let (_, good) = locked();
    let (_, live) = read(&good).unwrap();
    assert_eq!(both_ways(&good, &live, 1 << 10).unwrap().counts.verified, 5);
    let mut compared = 0;
    for at in 0..good.len() {
        for byte in others(&good, at) {
            let damaged = [&good[..at], &[byte], &good[at + 1..]].concat();
            assert!(both_ways(&damaged, &live, 1 << 10).is_err() || at < 100, "byte {at} is {byte}");
        }
        // With a digest that fits, another size or digest is a lock like any other.
        if at > good.len() / 2 && at < good.len() - 5 {
            for byte in [b'0', b'1', b'9', b'a', b'"', b',', b'\n', b' '] {
                let forged = restated(&[&good[..at], &[byte], &good[at + 1..]].concat());
                compared += u32::from(both_ways(&forged, &live, 1 << 10).is_ok());
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn lines_twice_swapped_or_missing_are_refused_or_told_as_they_are_read() {
    let (_, good) = locked();
    let (_, live) = read(&good).unwrap();
    let text = String::from_utf8(good).unwrap();
    let start = text.find("[\n").unwrap() + 2;
    let lines: Vec<&str> = text[start..].trim_end_matches("\n]\n}\n").split(",\n").collect();
    let mut refused = 0;
    for a in 0..lines.len() {
        for b in 0..lines.len() {
            let (mut swapped, mut twice, mut fewer) = (lines.clone(), lines.clone(), lines.clone());
            swapped.swap(a, b);
            twice.insert(b, lines[a]);
            fewer.remove(a);
            for (changed, end) in
                [(swapped, "\n]\n}\n"), (twice, "\n]\n}\n"), (fewer.clone(), "\n]\n}\n"), (fewer, ",\n]\n}\n")]
            {
                let forged = restated(format!("{}{}{end}", &text[..start], changed.join(",\n")).as_bytes());
                for capacity in [1, 80, 100, 1 << 10] {
                    refused += u32::from(both_ways(&forged, &live, capacity).is_err());
                }
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

/// What `sha256sum` knows of a file is no entry of this format, though it would be written like one.
#[test]
fn a_checksum_passes_no_line_that_would_be_refused() {
    let (_, good) = locked();
    let (header, mut live) = read(&good).unwrap();
    let forged = String::from_utf8(write(&header, &live)).unwrap().replace(",\"size\":1", "");
    for entry in &mut live {
        if let Content::File { sha256, .. } = entry.record.content {
            entry.record.content = Content::Checksum { sha256 };
        }
    }
    assert!(both_ways(&restated(forged.as_bytes()), &live, 1 << 10).unwrap_err().contains("size"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lock_is_compared_as_it_is_read(
        (header, entries) in lock(),
        (_, others) in lock(),
        choices in prop::collection::vec(0..8_u8, 12),
        capacity in 1..400_usize,
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = write(&header, &entries);
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut live: Vec<Entry> = Vec::new();
        for (entry, choice) in entries.iter().zip(&choices) {
            let mut entry = entry.clone();
            match choice {
                0 => continue,
                1 => entry.record.content = Content::Fifo,
                2 => entry.record.attributes = Some(Box::new(Attributes::default())),
                _ => {}
            }
            live.push(entry);
        }
        live.extend(others.into_iter().filter(|other| entries.iter().all(|entry| entry.path != other.path)));
        live.sort_by(|a, b| a.path.cmp(&b.path));
        let found = both_ways(&bytes, &live, capacity);
        if damage.is_none() {
            prop_assert!(found.is_ok(), "{:?}", found);
        }
    }
}
