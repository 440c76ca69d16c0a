//! Finds moves: content whose path changed, only if that is unambiguous.

use std::collections::HashMap;

use super::{Change, Drift};
use crate::manifest::{Record, Sha256Digest};

/// Where a content occurs.
#[derive(Clone, Copy)]
enum Occurrence {
    Once(usize),
    Several,
}

/// Turns a removal and an addition of the same content into a move, and two files that were swapped into two moves.
///
/// A content counts as moved only if exactly one drifted path lost it and exactly one other path has it now. Empty
/// files are all alike and never count.
pub fn pair(drift: &mut Vec<Drift>) {
    let lost = occurrences(drift, |item| (item.change != Change::Added).then_some(item.expected.as_ref()).flatten());
    let gained = occurrences(drift, |item| (item.change != Change::Removed).then_some(item.actual.as_ref()).flatten());
    let mut moves = Vec::new();
    for (digest, from) in &lost {
        if let (Occurrence::Once(from), Some(Occurrence::Once(to))) = (*from, gained.get(digest)) {
            moves.push((from, *to));
        }
    }
    let is_move: HashMap<usize, usize> = moves.iter().copied().collect();
    moves.retain(|&(from, to)| match (drift[from].change, drift[to].change) {
        (Change::Removed, Change::Added) => true,
        // Two swapped files are two moves: the new content of each is the old content of the other.
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

fn occurrences<'a>(
    drift: &'a [Drift],
    record: impl Fn(&'a Drift) -> Option<&'a Record>,
) -> HashMap<Sha256Digest, Occurrence> {
    let mut occurrences = HashMap::new();
    for (index, item) in drift.iter().enumerate() {
        if let Some(digest) = record(item).and_then(|record| record.content.sha256())
            && digest != EMPTY
        {
            occurrences
                .entry(digest)
                .and_modify(|occurrence| *occurrence = Occurrence::Several)
                .or_insert(Occurrence::Once(index));
        }
    }
    occurrences
}

/// SHA-256 of no bytes.
const EMPTY: Sha256Digest = Sha256Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);
