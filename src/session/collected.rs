//! Where the entries of a check come from, and what was collected: the same for comparing and writing, and for all
//! kinds.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use crate::capability::{self, Directory, shown};
use crate::container::{self, EngineError, Files, Inventory, TIMEOUTS};
use crate::declaration::{Check, Engine};
use crate::error::{Error, ErrorKind};
use crate::manifest::list::ListEntries;
use crate::manifest::{self, Crossing, Kind, List, LockError, Observed, Uncovered};
use crate::stat_cache::CacheUpdates;
use crate::walk::{Collection, Tree, TreeEntries};

/// The open root or engine that a check reads.
#[derive(Debug)]
pub(super) enum CheckSource {
    Root(Directory),
    /// An engine, and its connected socket.
    Engine {
        engine: Engine,
        socket: OwnedFd,
    },
}

impl CheckSource {
    /// Opens what a check reads.
    pub fn open(base: &Path, check: &Check) -> Result<Self, Error> {
        Self::of(
            check,
            |root| capability::root(&base.join(root)),
            |socket| capability::engine(&base.join(socket), TIMEOUTS.silence),
        )
    }

    /// The same for a request from another party, which may read only in these directories.
    pub fn open_within(allowed: &[Directory], check: &Check) -> Result<Self, Error> {
        Self::of(
            check,
            |root| capability::root_within(root, allowed),
            |socket| capability::engine_within(socket, TIMEOUTS.silence, allowed),
        )
    }

    fn of(
        check: &Check,
        root: impl FnOnce(&Path) -> Result<Directory, Error>,
        socket: impl FnOnce(&Path) -> Result<OwnedFd, Error>,
    ) -> Result<Self, Error> {
        Ok(match &check.engine {
            None => Self::Root(root(&check.root)?),
            Some(engine) => Self::Engine { engine: engine.clone(), socket: socket(&engine.socket)? },
        })
    }
}

/// What was collected for a check.
#[derive(Debug)]
pub struct Collected {
    found: Stored,
    /// Places where another mount or file system begins, sorted.
    pub mounts: Vec<Crossing>,
    /// What a reader could think is covered, but is not; sorted.
    pub uncovered: Vec<Uncovered>,
    /// Whether the root is empty, not even with excluded entries.
    pub root_is_empty: bool,
    /// Paths that were touched during the run, sorted.
    pub touched: Vec<Vec<u8>>,
    /// What a stat cache should store of its files; empty for containers.
    pub updates: CacheUpdates,
}

#[derive(Debug)]
enum Stored {
    Tree(Tree),
    List(List),
}

impl Collected {
    /// All entries in the order of paths. This stream has no errors.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        match &self.found {
            Stored::Tree(tree) => Entries::Tree(Box::new(tree.entries())),
            Stored::List(list) => Entries::List(list.entries()),
        }
    }

    /// Whether each name still had the inode of its listing, and nothing is mounted below the root. Then a later walk
    /// that meets the same directories, files and links finds the same entries.
    #[must_use]
    pub const fn is_as_listed(&self) -> bool {
        matches!(self.found, Stored::Tree(_)) && !self.updates.inode_mismatch && self.mounts.is_empty()
    }

    /// Whether the walk met only what was cached. Then the entries are those of the run before.
    #[must_use]
    pub const fn is_as_known(&self) -> bool {
        self.is_as_listed() && !self.updates.cache_miss
    }
}

impl From<Collection> for Collected {
    fn from(collection: Collection) -> Self {
        let Collection { tree, mounts, uncovered, touched, root: _, updates } = collection;
        let touched = if touched > 0 { tree.touched() } else { Vec::new() };
        Self { found: Stored::Tree(tree), mounts, uncovered, touched, root_is_empty: false, updates }
    }
}

impl From<List> for Collected {
    fn from(list: List) -> Self {
        Self {
            found: Stored::List(list),
            mounts: Vec::new(),
            uncovered: Vec::new(),
            touched: Vec::new(),
            root_is_empty: false,
            updates: CacheUpdates::default(),
        }
    }
}

/// See [`Collected::entries`].
pub enum Entries<'a> {
    Tree(Box<TreeEntries<'a>>),
    List(ListEntries<'a>),
}

impl manifest::Entries for Entries<'_> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        match self {
            Self::Tree(tree) => tree.next(),
            Self::List(list) => list.next(),
        }
    }
}

/// Collects from the engine of a check.
pub(super) fn from_engine(check: &Check, engine: &Engine, socket: BorrowedFd<'_>) -> Result<Collected, Error> {
    let found = match (check.kind, &engine.containers[..]) {
        (Kind::ContainerFiles, [container]) => container::files(
            socket,
            // A declaration is UTF-8, so the lossy conversion replaces nothing.
            &Files {
                container,
                root: &check.root.to_string_lossy(),
                selection: &check.selection,
                attributes: check.attributes,
            },
            TIMEOUTS,
        ),
        _ => {
            let picks = container::ContainerFilter::of(engine, &check.selection);
            container::containers(socket, picks, check.attributes, TIMEOUTS)
        }
    };
    let found = found.map(|(list, uncovered)| Collected {
        uncovered: if check.allow_empty { Vec::new() } else { uncovered },
        ..Collected::from(list)
    });
    found.map_err(|error| failed(&engine.socket, &error))
}

/// Asks an engine for everything that it has.
pub(super) fn inventory(path: &Path, socket: BorrowedFd<'_>) -> Result<Inventory, Error> {
    container::inventory(socket, TIMEOUTS).map_err(|error| failed(path, &error))
}

fn failed(socket: &Path, error: &EngineError) -> Error {
    Error::new(
        ErrorKind::Engine,
        format!("the container engine at {} could not be asked: {error}", shown(socket)),
        error.help(),
    )
}
