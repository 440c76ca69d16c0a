//! The declaration, `driftlock.toml` or the same keys as JSON: which checks, over which roots.
//!
//! Data flows bytes → [`value`] (a tree that knows its lines, the same for both formats) → [`validate`] →
//! [`Declaration`], whose types can't hold what is refused. Nothing here reads a file.

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
pub use server::user;

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
    /// How many of them are kept: older ones are removed. All, if nothing says so.
    pub reports_keep: Option<NonZeroUsize>,
    /// In the order in which they are declared.
    pub checks: Vec<Check>,
    /// In the order in which they are declared.
    pub servers: Vec<Server>,
    /// In the order in which they are declared.
    pub groups: Vec<Group>,
}

/// A host on which the checks can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As the operator calls it.
    pub name: String,
    /// As OpenSSH knows it. It starts with no `-`, and has no blank, quote or slash in it.
    pub host: String,
    pub user: Option<String>,
    /// The private key, as declared.
    pub key: Option<PathBuf>,
    pub port: Option<u16>,
    /// Where roots lie on this server and not where the checks say, by check. Absolute.
    pub roots: BTreeMap<String, PathBuf>,
    /// What it and each of its groups name of the checks, by their places in the declaration, sorted. Empty: it is asked for
    /// all that are for servers.
    pub checks: Vec<Arc<[usize]>>,
}

/// Servers that are named together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// By their places in the declaration, in the order in which the group names them.
    pub servers: Vec<usize>,
}

impl Server {
    /// The checks that it is asked for, by their places in the declaration, sorted: all that it or one of its groups names.
    /// Nothing if none of them names any: then it is asked for all that are for servers.
    #[must_use]
    pub fn named_checks(&self) -> Option<Vec<usize>> {
        let mut places = self.checks.iter().flat_map(|named| named.iter().copied()).collect::<Vec<_>>();
        places.sort_unstable();
        places.dedup();
        (!self.checks.is_empty()).then_some(places)
    }

    /// Whether it is asked for the check in this place of the declaration, if that is one for servers.
    #[must_use]
    pub fn is_asked_for(&self, place: usize) -> bool {
        self.checks.is_empty() || self.checks.iter().any(|named| named.binary_search(&place).is_ok())
    }

    /// Where the root of a check lies on this server, if anything says so; that of an engine's check is its own, and the
    /// socket has to be absolute.
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
    /// Where its name stands in the declaration, from 1.
    pub line: usize,
    pub kind: Kind,
    /// The directory: on this machine, or for `container_files` in the container. Empty for `containers` and `compose`,
    /// whose entries lie in no directory.
    pub root: PathBuf,
    /// Where the same root lies on a server. Absolute.
    pub server_root: Option<PathBuf>,
    /// A tree that may have what is locked, in the place of the root.
    pub reference: Option<PathBuf>,
    /// Whether reports show the lines that changed.
    pub show_changes: bool,
    pub selection: Selection,
    pub attributes: AttributeSet,
    pub lock: LockFile,
    pub modes: Modes,
    /// Whether a check that finds nothing at all is fine.
    pub allow_empty: bool,
    /// Whether another file system mounted below the root is refused instead of noted.
    pub one_file_system: bool,
    /// Whether what is uncovered is trouble instead of a warning.
    pub uncovered_is_trouble: bool,
    /// What was touched during the run is unverified.
    pub strict: bool,
    /// For `containers`, `container_files` and `compose`, and for no others.
    pub engine: Option<Engine>,
    /// For `compose`, and for no others.
    pub compose: Option<ComposeFiles>,
}

impl Check {
    /// Whether a link on the way of a glob is an entry, too. A lock in the format of `sha256sum` can't hold it.
    #[must_use]
    pub const fn records_links_on_the_way(&self) -> bool {
        matches!(self.lock.format, LockFormat::Json)
    }

    /// Where its entries are, as the operator knows it: the root, or `nginx:/etc/nginx` as `docker cp` would have it. Not
    /// made harmless; empty for containers, which are known by their names alone.
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
    /// Names and patterns; all if there are none. For `container_files` the one.
    pub containers: Vec<String>,
    /// Labels that a container has to have, with these values. Of `compose` the one that names the project, once a run has read
    /// the name of it.
    pub labels: BTreeMap<String, String>,
    /// Whether what `docker compose run` has started is recorded too.
    pub one_off: bool,
}

/// What Docker Compose says of its own files, as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeFiles {
    /// What `docker compose config --format json` prints.
    pub config: PathBuf,
    /// What `docker compose config --hash '*'` prints.
    pub hashes: Option<PathBuf>,
}

/// The name of a check's lock file in the locks directory, and its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    pub name: String,
    pub format: LockFormat,
    /// A lock of modules of the scripts, `<name>.hash.txt`, which counts as long as there is no other. It is only read.
    pub old: Option<String>,
    /// Whether each server has one of its own, in a folder of its name.
    pub per_server: bool,
}

impl LockFile {
    /// What stands in a path for the name of a server that is not known.
    pub const ANY_SERVER: &str = "<server>";

    /// Its path below the locks directory. `server` counts where each server has a lock of its own.
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

/// The formats of a declaration; the ending of the file's name tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Toml,
    Json,
}

impl Declaration {
    /// Where roots lie on servers of which the declaration says so, by check.
    #[must_use]
    pub fn roots_on_servers(&self) -> HashMap<&str, Vec<&Path>> {
        let mut roots: HashMap<&str, Vec<&Path>> = HashMap::new();
        for (check, root) in self.servers.iter().flat_map(|server| &server.roots) {
            roots.entry(check).or_default().push(root);
        }
        roots
    }

    /// Reads and checks a declaration.
    ///
    /// `file` is the name to say in errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line, its key and what to write instead.
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
