//! What lies on a check's way and is not looked at.

mod item;

use crate::path::EntryPath;
pub use item::UncoveredItem;

/// Something that a reader of the declaration could take for covered, and that is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uncovered {
    /// A glob that matched nothing.
    Glob { list: GlobList, glob: String },
    /// A link that is recorded, and leads to what no check covers.
    Link { path: EntryPath, target: Box<[u8]> },
}

/// In which list of a check a glob stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GlobList {
    Include,
    Exclude,
    /// Patterns for the names of containers.
    Containers,
}

impl GlobList {
    pub const ALL: [Self; 3] = [Self::Include, Self::Exclude, Self::Containers];

    /// The key in a declaration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Containers => "containers",
        }
    }
}
