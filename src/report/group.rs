//! Drift as people read it: by module or by file, and a directory that appeared, disappeared or moved as a whole as
//! one item. Pure: [`Drift`]s in, borrowed groups out.
//!
//! The order of paths is that of their bytes, so what is below `a` does not follow `a` at once (`a-b` is between `a`
//! and `a/c`). Nothing here goes by neighbourhood: what belongs together is found by the path of the parent.

mod collapse;
mod dir_moves;

use std::collections::BTreeMap;

use crate::compare::Drift;
use crate::manifest::{Content, Kind, Record};
use crate::path::{ROOT, first_name};

/// What one `[FAIL]` line is about, and what drifted there.
#[derive(Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// A module's name, or the path of a single entry.
    pub path: &'a [u8],
    /// Whether it is a module: a directory directly below the root of a `trees` check.
    pub module: bool,
    /// In the order of their paths; never empty.
    pub items: Vec<Item<'a>>,
}

/// One line below a `[FAIL]` line.
#[derive(Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub path: &'a [u8],
    pub shape: Shape<'a>,
    /// How many entries below `path` this item speaks for as well.
    pub below: u64,
}

/// What an item shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// One drift; of a directory that is new or gone also all that it has below.
    Entry(&'a Drift),
    /// A directory that is somewhere else now, with all that was in it, and with nothing new in it.
    MovedWhole {
        /// Where it was.
        from: &'a [u8],
    },
    /// The other end of a move, in the module that lost the entry. The item at `to` says the rest.
    MovedAway {
        /// Where the entry is now, in another module or in none.
        to: &'a [u8],
    },
}

impl Item<'_> {
    /// How many drifted entries it stands for. The other end of a move stands for none: the move is counted there.
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
/// `files`: one group an entry. `trees`: one group a module, and one for each entry beside the modules. The groups are
/// in the order of their paths.
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

/// The other end of a move out of a module that is still there. A module or loose file that moved as a whole has none:
/// nothing is left where it was.
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
