//! The declaration, `driftlock.toml` or the same keys as JSON: which checks, over which roots.
//!
//! Data flows: bytes → [`value`] (a tree with positions, the same for both formats) → [`validate`] → [`Declaration`],
//! whose types can't hold invalid values. Nothing here reads a file.

mod canonical;
pub(crate) mod engine;
mod error;
mod globs;
mod group;
mod json;
mod matched;
mod section;
mod selected;
pub mod selection;
mod server;
mod source;
#[cfg(test)]
mod tests;
mod toml;
mod validate;
mod value;

pub use error::{DeclarationError, Problem};
pub use matched::Matched;
pub use selection::Selection;
pub use server::{can_name_server, user};

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::{AttributeSet, Kind};
use source::{Lines, Source};

/// A valid declaration. Paths are as declared: relative ones are relative to the declaration's directory.
#[derive(Debug)]
pub struct Declaration {
    /// Where lock files live.
    pub locks: PathBuf,
    /// Where reports go, one folder a run.
    pub reports: PathBuf,
    /// How many reports are kept; older ones are removed. `None`: all are kept.
    pub reports_keep: Option<NonZeroUsize>,
    /// In the order in which they are declared.
    pub checks: Vec<Check>,
    /// In the order in which they are declared.
    pub servers: Vec<Server>,
    /// In the order in which they are declared.
    pub groups: Vec<Group>,
}

/// A host that can run the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name in the declaration.
    pub name: String,
    /// The host for OpenSSH. It does not start with `-` and contains no blank, quote or slash.
    pub host: String,
    pub user: Option<String>,
    /// The private key, as declared.
    pub key: Option<PathBuf>,
    pub port: Option<u16>,
    /// Roots on this server that differ from those of the checks, by check. Absolute.
    pub roots: BTreeMap<String, PathBuf>,
    /// The checks that the server itself names, by index, sorted.
    pub checks: Option<Arc<[usize]>>,
    /// Those that each of its groups names. They are the groups' own lists, so that many servers cost no more than one.
    pub group_checks: Vec<Arc<[usize]>>,
}

/// A named set of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// By index in the declaration, in the order of the group.
    pub servers: Vec<usize>,
    /// The checks that the group names, by index, sorted.
    pub checks: Option<Arc<[usize]>>,
}

impl Server {
    /// The lists of checks that it and its groups name. None of them: the server runs all checks for servers.
    pub fn check_lists(&self) -> impl Iterator<Item = &[usize]> {
        self.checks.iter().chain(&self.group_checks).map(|named| &**named)
    }

    /// The checks that the server or any of its groups names, by index, sorted. `None` if none of them names any: then
    /// the server runs all checks for servers.
    #[must_use]
    pub fn named_checks(&self) -> Option<Vec<usize>> {
        self.check_lists().next()?;
        let mut indices = self.check_lists().flatten().copied().collect::<Vec<_>>();
        indices.sort_unstable();
        indices.dedup();
        Some(indices)
    }

    /// Whether the server runs the check with this index, if that is a check for servers.
    #[must_use]
    pub fn is_asked_for(&self, index: usize) -> bool {
        let mut lists = self.check_lists().peekable();
        lists.peek().is_none() || lists.any(|named| named.binary_search(&index).is_ok())
    }

    /// The root of a check on this server, if one is declared. For an engine's check it is the check's own root, and
    /// the socket must be absolute.
    #[must_use]
    pub fn root<'a>(&'a self, check: &'a Check) -> Option<&'a Path> {
        if let Some(engine) = &check.engine {
            return Some(check.root.as_path()).filter(|_| engine.socket.is_absolute());
        }
        let root = self.roots.get(&check.name).or(check.server_root.as_ref());
        root.or(Some(&check.root).filter(|root| root.is_absolute())).map(PathBuf::as_path)
    }
}

/// One named thing to lock and to verify.
#[derive(Debug)]
pub struct Check {
    pub name: String,
    /// The line of its name in the declaration, from 1.
    pub line: usize,
    pub kind: Kind,
    /// The directory: on this machine, or for `container_files` in the container. Empty for `containers` and `compose`.
    pub root: PathBuf,
    /// The same root on a server. Absolute.
    pub server_root: Option<PathBuf>,
    /// A tree that may have the locked contents, instead of the root.
    pub reference: Option<PathBuf>,
    /// Whether reports show the lines that changed.
    pub show_changes: bool,
    pub selection: Selection,
    pub attributes: AttributeSet,
    pub lock: LockFile,
    pub modes: Modes,
    /// Whether a check that finds nothing passes.
    pub allow_empty: bool,
    /// Whether another file system below the root is refused instead of noted.
    pub one_file_system: bool,
    /// Whether what is uncovered is trouble instead of a warning.
    pub uncovered_is_trouble: bool,
    /// Whether entries that are touched during the run are unverified.
    pub strict: bool,
    /// Only for `containers`, `container_files` and `compose`.
    pub engine: Option<Engine>,
    /// Only for `compose`.
    pub compose: Option<ComposeFiles>,
}

impl Check {
    /// Whether a link that stands where a glob has a directory is an entry. A `sha256sum` lock can't hold links.
    #[must_use]
    pub const fn records_links_on_the_way(&self) -> bool {
        matches!(self.lock.format, LockFormat::Json)
    }

    /// The location of its entries, for messages: the root, or `nginx:/etc/nginx` as in `docker cp`. Not escaped; empty
    /// for containers, which have only names.
    #[must_use]
    pub fn place(&self) -> String {
        // A declaration is UTF-8, so nothing is replaced here.
        let root = self.root.to_string_lossy();
        match &self.engine {
            Some(Engine { containers, .. }) if self.kind == Kind::ContainerFiles => {
                format!("{}:{root}", containers.join(","))
            }
            _ => root.into_owned(),
        }
    }
}

/// Which containers, of which engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The UNIX socket of its API.
    pub socket: PathBuf,
    /// Names and patterns; empty: all containers. For `container_files`, its one container.
    pub containers: Vec<String>,
    /// Labels that a container must have, with these values. For `compose`, the label with the project's name, once the
    /// run has read that name.
    pub labels: BTreeMap<String, String>,
    /// Whether to record containers that `docker compose run` started.
    pub one_off: bool,
}

/// Files with the output of Docker Compose, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeFiles {
    /// The output of `docker compose config --format json`.
    pub config: PathBuf,
    /// The output of `docker compose config --hash '*'`.
    pub hashes: Option<PathBuf>,
}

/// The name of a check's lock file in the locks directory, and its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    pub name: String,
    pub format: LockFormat,
    /// An old lock of modules, `<name>.hash.txt`. It is only read, and only if there is no other lock.
    pub old: Option<String>,
    /// Whether each server has its own lock, in a folder with its name.
    pub per_server: bool,
}

impl LockFile {
    /// Stands for an unknown server in a path.
    pub const ANY_SERVER: &str = "<server>";

    /// The path below the locks directory. `server` matters if each server has its own lock.
    #[must_use]
    pub fn path(&self, server: Option<&str>) -> String {
        if self.per_server {
            format!("{}/{}", server.unwrap_or(Self::ANY_SERVER), self.name)
        } else {
            self.name.clone()
        }
    }
}

/// The two formats of lock files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFormat {
    /// `<name>.lock.json`
    Json,
    /// `<name>.lock.txt`, as `sha256sum` writes it; for `files` checks.
    Sha256sum,
}

/// Where a check applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    pub local: bool,
    pub server: bool,
}

/// The formats of a declaration, by file name extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Toml,
    Json,
}

impl Declaration {
    /// The roots that servers declare, by check.
    #[must_use]
    pub fn roots_on_servers(&self) -> HashMap<&str, Vec<&Path>> {
        let mut roots: HashMap<&str, Vec<&Path>> = HashMap::new();
        for (check, root) in self.servers.iter().flat_map(|server| &server.roots) {
            roots.entry(check).or_default().push(root);
        }
        roots
    }

    /// Parses and validates a declaration.
    ///
    /// `file` is the name for errors.
    ///
    /// # Errors
    /// The first error, with its line, its key and what to write instead.
    pub fn parse(file: &str, format: Format, bytes: &[u8]) -> Result<Self, DeclarationError> {
        let lines = Lines::of(bytes);
        let source = Source::new(file, format, bytes, &lines)?;
        let root = match format {
            Format::Toml => toml::parse(source)?,
            Format::Json => json::parse(source)?,
        };
        validate::declaration(source, &root)
    }
}
