//! Collapses what lies below a directory that appeared, disappeared or moved into one item.

use std::collections::{HashMap, HashSet};

use super::{Item, Shape, dir_moves, is_directory};
use crate::compare::{Change, Drift};
use crate::path::split_last;

/// The items of a list of drifts. Each drift is an item, or is counted in the `below` of one.
pub(super) fn items(drift: &[Drift]) -> Vec<Item<'_>> {
    let sources: HashSet<&[u8]> = drift.iter().filter_map(|drift| Some(drift.from.as_ref()?.as_bytes())).collect();
    // Two files that swapped their contents are moves too, but their paths are not new.
    let appeared = |drift: &Drift| match drift.change {
        Change::Added => true,
        Change::Moved => !sources.contains(drift.path.as_bytes()),
        _ => false,
    };
    let mut collapsing = Collapsing { items: Vec::new(), moved: dir_moves::moves(drift, appeared) };
    let (type_changed, left) = collapsing.what_is_there(drift, appeared);
    collapsing.what_is_gone(drift, &type_changed, &left);
    collapsing.items
}

struct Collapsing<'a> {
    items: Vec<Item<'a>>,
    /// Directories that moved as a whole: the new path, and the old one.
    moved: HashMap<&'a [u8], &'a [u8]>,
}

/// Paths whose type changed, and their items.
type TypeChanged<'a> = HashMap<&'a [u8], usize>;

impl<'a> Collapsing<'a> {
    fn push(&mut self, path: &'a [u8], shape: Shape<'a>) -> usize {
        self.items.push(Item { path, shape, below: 0 });
        self.items.len() - 1
    }

    /// Adds all drift except removals. Returns the paths whose type changed, and the old paths of directories that
    /// moved as a whole.
    fn what_is_there(
        &mut self,
        drift: &'a [Drift],
        appeared: impl Fn(&Drift) -> bool,
    ) -> (TypeChanged<'a>, HashSet<&'a [u8]>) {
        let (mut type_changed, mut left) = (HashMap::new(), HashSet::new());
        // New directories, and the items that stand for them.
        let mut inside: HashMap<&[u8], usize> = HashMap::new();
        for drift in drift.iter().filter(|drift| drift.change != Change::Removed) {
            let path = drift.path.as_bytes();
            let moved = self.moved.get(path).copied();
            let above = inside.get(split_last(path).0).copied().filter(|&above| match self.items[above].shape {
                Shape::MovedWhole { .. } => true,
                // An entry that moved into a new directory from elsewhere gets its own line.
                _ => drift.change == Change::Added && moved.is_none(),
            });
            let item = if let Some(above) = above.filter(|_| appeared(drift)) {
                self.items[above].below += 1;
                above
            } else if let Some(from) = moved {
                left.insert(from);
                self.push(path, Shape::MovedWhole { from })
            } else {
                self.push(path, Shape::Entry(drift))
            };
            if drift.change == Change::TypeChanged {
                type_changed.insert(path, item);
            }
            if is_directory(drift.actual.as_ref()) && (appeared(drift) || drift.change == Change::TypeChanged) {
                inside.insert(path, item);
            }
        }
        (type_changed, left)
    }

    /// Adds the removals.
    fn what_is_gone(&mut self, drift: &'a [Drift], type_changed: &TypeChanged<'a>, left: &HashSet<&'a [u8]>) {
        // Directories that are gone, and the items that stand for them. The item of a whole move already counted
        // everything below it.
        let mut gone: HashMap<&[u8], Option<usize>> = HashMap::new();
        for drift in drift {
            let path = drift.path.as_bytes();
            let item = match drift.change {
                Change::TypeChanged => type_changed.get(path).copied(),
                Change::Removed if left.contains(path) => None,
                Change::Removed => match gone.get(split_last(path).0) {
                    Some(&above) => {
                        if let Some(above) = above {
                            self.items[above].below += 1;
                        }
                        above
                    }
                    None => Some(self.push(path, Shape::Entry(drift))),
                },
                _ => continue,
            };
            if is_directory(drift.expected.as_ref()) {
                gone.insert(path, item);
            }
        }
    }
}
