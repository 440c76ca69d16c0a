//! Moves: content that was under one name and is under another, told only where it is unambiguous.

use std::collections::HashMap;

use super::{Change, Drift};
use crate::manifest::{Record, Sha256Digest};

/// Where a content stands, as long as there is only one such place.
#[derive(Clone, Copy)]
enum Place {
    At(usize),
    Several,
}

/// Turns removals and additions of the same content into moves, and two files that swapped their contents too.
///
/// A content counts as moved only if exactly one drifted path has lost it and exactly one other has it now. Empty
/// files are all alike and never count.
pub fn pair(drift: &mut Vec<Drift>) {
    let lost = places(drift, |item| (item.change != Change::Added).then_some(item.expected.as_ref()).flatten());
    let gained = places(drift, |item| (item.change != Change::Removed).then_some(item.actual.as_ref()).flatten());
    let mut moves = Vec::new();
    for (digest, from) in &lost {
        if let (Place::At(from), Some(Place::At(to))) = (*from, gained.get(digest)) {
            moves.push((from, *to));
        }
    }
    let is_move: HashMap<usize, usize> = moves.iter().copied().collect();
    moves.retain(|&(from, to)| match (drift[from].change, drift[to].change) {
        (Change::Removed, Change::Added) => true,
        // Two files that were swapped are two moves, each one's new content being the other's old one.
        (Change::Modified, Change::Modified) => is_move.get(&to) == Some(&from),
        _ => false,
    });
    let swapped: Vec<_> =
        moves.iter().map(|&(from, to)| (to, drift[from].path.clone(), drift[from].expected.clone())).collect();
    for (to, path, expected) in swapped {
        let item = &mut drift[to];
        (item.change, item.from, item.expected) = (Change::Moved, Some(path), expected);
    }
    let mut gone: Vec<_> =
        moves.iter().map(|&(from, _)| from).filter(|&from| drift[from].change == Change::Removed).collect();
    gone.sort_unstable();
    let mut index = 0;
    drift.retain(|_| {
        index += 1;
        gone.binary_search(&(index - 1)).is_err()
    });
}

fn places<'a>(drift: &'a [Drift], record: impl Fn(&'a Drift) -> Option<&'a Record>) -> HashMap<Sha256Digest, Place> {
    let mut places = HashMap::new();
    for (index, item) in drift.iter().enumerate() {
        if let Some(digest) = record(item).and_then(|record| record.content.sha256())
            && digest != EMPTY
        {
            places.entry(digest).and_modify(|place| *place = Place::Several).or_insert(Place::At(index));
        }
    }
    places
}

/// SHA-256 of no bytes.
const EMPTY: Sha256Digest = Sha256Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);
