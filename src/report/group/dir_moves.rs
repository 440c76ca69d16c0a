//! Finds directories that moved as a whole: everything that was below the old path is below the new one, unchanged and
//! under the same names, and nothing else is.
//!
//! A file that moved points to the old directory; [`compare`](crate::compare) reports a move only if it is unambiguous.
//! For other entries (empty files, links, copies) a move is never certain. They only have to be equal in both places.
//!
//! This goes from the leaves up and looks at each entry a fixed number of times, so a deep tree costs no more than a
//! flat one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::is_directory;
use crate::compare::{Change, Drift, difference};
use crate::manifest::Record;
use crate::path::split_last;

/// The old path of a new directory.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// Nothing below it is known to have moved, so it could come from anywhere.
    Unknown,
    Whole(&'a [u8]),
    Mixed,
}

/// All directories that moved as a whole, also those inside others: the new path, and the old one.
pub(super) fn moves(drift: &[Drift], appeared: impl Fn(&Drift) -> bool) -> HashMap<&[u8], &[u8]> {
    let mut ends =
        Ends { added: BTreeMap::new(), children: HashMap::new(), gone: BTreeMap::new(), left: HashMap::new() };
    for drift in drift {
        let path = drift.path.as_bytes();
        if appeared(drift) {
            ends.children.entry(split_last(path).0).or_default().push(drift);
            if let Some(from) = &drift.from {
                *ends.left.entry(split_last(from.as_bytes()).0).or_default() += 1;
                ends.gone.insert(from.as_bytes(), None);
            } else if let Some(actual) = &drift.actual {
                ends.added.insert(path, actual);
            }
        } else if let (Change::Removed, Some(expected)) = (drift.change, &drift.expected) {
            *ends.left.entry(split_last(path).0).or_default() += 1;
            ends.gone.insert(path, Some(expected));
        }
    }
    let mut origins = HashMap::new();
    // In reverse order, the entries below a directory come before it.
    for drift in drift.iter().rev().filter(|drift| drift.change == Change::Added && is_directory(drift.actual.as_ref()))
    {
        origins.insert(drift.path.as_bytes(), ends.origin(drift, &origins));
    }
    origins
        .into_iter()
        .filter_map(|(path, origin)| match origin {
            Origin::Whole(from) => Some((path, from)),
            Origin::Unknown | Origin::Mixed => None,
        })
        .collect()
}

/// Both ends of all possible moves.
struct Ends<'a> {
    /// New entries that are not known to have moved.
    added: BTreeMap<&'a [u8], &'a Record>,
    /// All new entries, by the directory they are in.
    children: HashMap<&'a [u8], Vec<&'a Drift>>,
    /// Entries that are gone; without a record if they are known to have moved.
    gone: BTreeMap<&'a [u8], Option<&'a Record>>,
    /// For each directory, how many entries directly in it are gone or moved away.
    left: HashMap<&'a [u8], usize>,
}

impl<'a> Ends<'a> {
    fn origin(&self, directory: &Drift, origins: &HashMap<&[u8], Origin<'a>>) -> Origin<'a> {
        let children = self.children.get(directory.path.as_bytes()).map_or(&[][..], Vec::as_slice);
        let mut source: Option<&[u8]> = None;
        for child in children {
            let Some(from) = (match (&child.from, origins.get(child.path.as_bytes())) {
                (Some(from), _) => Some(from.as_bytes()),
                (None, Some(Origin::Whole(from))) => Some(*from),
                (None, Some(Origin::Mixed)) => return Origin::Mixed,
                (None, Some(Origin::Unknown) | None) => None,
            }) else {
                continue;
            };
            let (parent, name) = split_last(from);
            if name != split_last(child.path.as_bytes()).1 || source.is_some_and(|source| source != parent) {
                return Origin::Mixed;
            }
            source = Some(parent);
        }
        let Some(source) = source else { return Origin::Unknown };
        let agrees = self.is_gone_as(source, directory.actual.as_ref())
            && self.left.get(source) == Some(&children.len())
            && children.iter().all(|child| match (&child.from, origins.get(child.path.as_bytes())) {
                (Some(_), _) => same(child.expected.as_ref(), child.actual.as_ref()),
                (None, Some(Origin::Whole(_))) => true,
                (None, origin) => {
                    let path = child.path.as_bytes();
                    let before = [source, b"/", split_last(path).1].concat();
                    self.is_gone_as(&before, child.actual.as_ref())
                        && (origin.is_none() || self.same_below(path, &before))
                }
            });
        if agrees { Origin::Whole(source) } else { Origin::Mixed }
    }

    fn is_gone_as(&self, path: &[u8], actual: Option<&Record>) -> bool {
        same(self.gone.get(path).copied().flatten(), actual)
    }

    /// Whether a new directory, in which nothing is known to have moved, has the same entries as one that is gone.
    fn same_below(&self, new: &[u8], gone: &[u8]) -> bool {
        let mut gone_below = below(&self.gone, gone);
        let all = below(&self.added, new).all(|(path, actual)| {
            gone_below.next().is_some_and(|(before, expected)| {
                before[gone.len()..] == path[new.len()..] && same(*expected, Some(actual))
            })
        });
        all && gone_below.next().is_none()
    }
}

fn same(expected: Option<&Record>, actual: Option<&Record>) -> bool {
    expected.zip(actual).is_some_and(|(expected, actual)| difference(expected, actual).is_none())
}

/// The entries below a directory: in the order of paths, those between `directory/` and `directory0`. `0` is the byte
/// after `/`.
fn below<'a, 'm, R>(
    map: &'m BTreeMap<&'a [u8], R>,
    directory: &[u8],
) -> impl Iterator<Item = (&'m &'a [u8], &'m R)> + use<'a, 'm, R> {
    let (start, end) = ([directory, b"/"].concat(), [directory, b"0"].concat());
    let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Excluded(&start), Bound::Excluded(&end));
    map.range::<[u8], _>(bounds)
}
