//! Directories that moved as a whole: all that was below the old place is below the new one, unchanged and under the
//! same names, and nothing else is.
//!
//! A file that moved, told by [`compare`](crate::compare) only where it is unambiguous, is what points to the old
//! place. What can't be told to have moved (empty files, links, copies) only has to agree.
//!
//! Goes from the leaves up, and looks at each entry a fixed number of times: a deep tree costs no more than a flat one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::is_directory;
use crate::compare::{Change, Drift, difference};
use crate::manifest::Record;
use crate::path::split_last;

/// Where a new directory comes from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// Nothing below it is known to have moved, so it could be from anywhere.
    Unknown,
    Whole(&'a [u8]),
    Mixed,
}

/// All directories that moved as a whole, those inside of others too: where they are, and where they were.
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
    // Against the order of paths, what is below a directory comes before the directory.
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

/// Both ends of all moves there could be.
struct Ends<'a> {
    /// What is new and not known to have moved.
    added: BTreeMap<&'a [u8], &'a Record>,
    /// All that is new, by the directory it is in.
    children: HashMap<&'a [u8], Vec<&'a Drift>>,
    /// What is gone, without a record if it is known to have moved.
    gone: BTreeMap<&'a [u8], Option<&'a Record>>,
    /// How much of what was directly in a directory is gone or has moved away.
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

    /// Whether the same is below a new directory in which nothing is known to have moved, and below one that is gone.
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

/// What lies below a directory: in the order of paths all that is between `directory/` and `directory0`, `0` being
/// the byte after `/`.
fn below<'a, 'm, R>(
    map: &'m BTreeMap<&'a [u8], R>,
    directory: &[u8],
) -> impl Iterator<Item = (&'m &'a [u8], &'m R)> + use<'a, 'm, R> {
    let (start, end) = ([directory, b"/"].concat(), [directory, b"0"].concat());
    let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Excluded(&start), Bound::Excluded(&end));
    map.range::<[u8], _>(bounds)
}
