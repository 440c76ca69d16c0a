//! What a check does not cover, although it looks covered.

mod item;

use crate::path::EntryPath;
pub use item::UncoveredItem;

/// Something that you could think is covered when you read the declaration, but that is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uncovered {
    /// A glob that matched nothing.
    Glob { list: GlobList, glob: String },
    /// A recorded link to something that no check covers.
    Link { path: EntryPath, target: Box<[u8]> },
}

/// The list of a check that a glob is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GlobList {
    Include,
    Exclude,
    /// Patterns for the names of containers.
    Containers,
}

impl GlobList {
    pub const ALL: [Self; 3] = [Self::Include, Self::Exclude, Self::Containers];

    /// Its key in a declaration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Containers => "containers",
        }
    }
}
