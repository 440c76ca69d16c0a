//! Groups drift for people: by module or by file. A directory that appeared, disappeared or moved as a whole is one
//! item.
//!
//! Paths are ordered by their bytes, so the entries below `a` need not follow `a` directly (`a-b` is between `a` and
//! `a/c`). So entries that belong together are found by the path of the parent, not by their neighbours.

mod collapse;
mod dir_moves;

use std::collections::BTreeMap;

use crate::compare::Drift;
use crate::manifest::{Content, Kind, Record};
use crate::path::{ROOT, first_name};

/// The subject of one `[FAIL]` line, and what drifted there.
#[derive(Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// A module's name, or the path of a single entry.
    pub path: &'a [u8],
    /// Whether it is a module: a directory directly below the root of a `trees` check.
    pub module: bool,
    /// In the order of paths; never empty.
    pub items: Vec<Item<'a>>,
}

/// One line below a `[FAIL]` line.
#[derive(Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub path: &'a [u8],
    pub shape: Shape<'a>,
    /// How many entries below `path` this item also stands for.
    pub below: u64,
}

/// What an item is.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// One drift. For a directory that is new or gone, it also stands for everything below.
    Entry(&'a Drift),
    /// A directory that moved with everything in it, and with nothing new in it.
    MovedWhole {
        /// Where it was.
        from: &'a [u8],
    },
    /// The other end of a move, in the module that lost the entry. The item at `to` has the rest.
    MovedAway {
        /// Where the entry is now, in another module or in none.
        to: &'a [u8],
    },
}

impl Item<'_> {
    /// How many drifted entries it stands for. The other end of a move counts as none, so that the move is counted
    /// once.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        match self.shape {
            Shape::MovedAway { .. } => 0,
            Shape::Entry(_) | Shape::MovedWhole { .. } => self.below.saturating_add(1),
        }
    }
}

/// Groups the drift of one check, which is in the order of paths.
///
/// In a `trees` check, a group is a module, or an entry beside the modules. In other checks, a group is one entry.
/// Groups are in the order of paths.
#[must_use]
pub fn groups(kind: Kind, drift: &[Drift]) -> Vec<Group<'_>> {
    let items = collapse::items(drift);
    let mut groups: BTreeMap<&[u8], Group<'_>> = BTreeMap::new();
    let mut put = |path, module, item| {
        let group = groups.entry(path).or_insert(Group { path, module: false, items: Vec::new() });
        group.module |= module;
        group.items.push(item);
    };
    for item in items {
        match kind {
            Kind::Files | Kind::Containers | Kind::ContainerFiles | Kind::Compose => put(item.path, false, item),
            Kind::Trees => {
                let module = first_name(item.path);
                if let Some((from, away)) = moved_away(&item) {
                    put(first_name(from), true, away);
                }
                let is_module = module != ROOT && (module.len() < item.path.len() || is_about_directory(&item));
                put(module, is_module, item);
            }
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    for group in &mut groups {
        group.items.sort_by_key(|item| item.path);
    }
    groups
}

/// The other end of a move out of a module that still exists. A module or loose file that moved as a whole has none,
/// because nothing is left in its old place.
fn moved_away<'a>(item: &Item<'a>) -> Option<(&'a [u8], Item<'a>)> {
    let from = match item.shape {
        Shape::Entry(drift) => drift.from.as_ref()?.as_bytes(),
        Shape::MovedWhole { from } => from,
        Shape::MovedAway { .. } => return None,
    };
    let module = first_name(from);
    let leaves = module.len() < from.len() && module != first_name(item.path);
    leaves.then_some((from, Item { path: from, shape: Shape::MovedAway { to: item.path }, below: item.below }))
}

fn is_about_directory(item: &Item<'_>) -> bool {
    match item.shape {
        Shape::Entry(drift) => is_directory(drift.expected.as_ref()) || is_directory(drift.actual.as_ref()),
        Shape::MovedWhole { .. } | Shape::MovedAway { .. } => true,
    }
}

fn is_directory(record: Option<&Record>) -> bool {
    record.is_some_and(|record| matches!(record.content, Content::Directory { .. } | Content::Module { .. }))
}
