//! Places where a walk enters another mount or file system.

/// What begins at such a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Boundary {
    /// Another file system.
    FileSystem,
    /// A directory or file of the same file system, mounted a second time.
    BindMount,
    /// A subvolume of the same btrfs, under the same mount.
    Subvolume,
}

impl Boundary {
    pub const ALL: [Self; 3] = [Self::FileSystem, Self::BindMount, Self::Subvolume];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FileSystem => "file_system",
            Self::BindMount => "bind_mount",
            Self::Subvolume => "subvolume",
        }
    }

    /// A phrase for messages, written before the path.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::FileSystem => "another file system is mounted",
            Self::BindMount => "a part of the same file system is mounted once more (a bind mount)",
            Self::Subvolume => "a btrfs subvolume begins",
        }
    }
}

/// A place where another mount or file system begins. Sorted by path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crossing {
    pub path: Vec<u8>,
    pub what: Boundary,
}

impl Crossing {
    /// The path of the place.
    #[must_use]
    pub fn into(what: Boundary, path: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), what }
    }
}
