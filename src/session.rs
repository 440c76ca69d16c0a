//! One run: the declaration with all its handles open, first outside the sandbox, then inside it.

mod asked;
mod changed;
mod collected;
mod excerpts;
mod overlap;
mod projects;
mod run;
mod standing;

pub use asked::{for_nothing, some};
pub use changed::Live;
pub use collected::{Collected, Entries};
pub use run::{Run, whose};

use std::collections::{HashMap, HashSet};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::baseline::Spellings;
use crate::capability::{self, Declared, Directory, shown};
use crate::declaration::{Check, Declaration, LockFormat};
use crate::path::escaped;
use crate::sandbox::{self, Enforced, Grants, Requirement, SandboxError};
use crate::store::{self, NotSynced};
use crate::trouble::Trouble;
use crate::walk::{self, Reach, Start};
use changed::Reference;
use collected::Source;

/// What a run is going to do with the locks directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocksAccess {
    Read,
    Write,
}

/// What a run asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The declaration's file, if the operator named one.
    pub config: Option<PathBuf>,
    /// The checks to go through; all if there are none.
    pub checks: Vec<String>,
    /// The server that this machine is, if the operator says so.
    pub as_server: Option<String>,
    pub threads: Option<NonZeroUsize>,
    pub requirement: Requirement,
}

/// A run before it has entered the sandbox: everything that it is going to need is open.
#[derive(Debug)]
pub struct Session {
    pub declared: Declared,
    /// Which of the declaration's checks this run goes through, by their place in it.
    selected: Vec<usize>,
    /// The root or the engine of each selected check.
    sources: Vec<Result<Source, Trouble>>,
    /// Where the roots of the other checks lie, which are not opened.
    beyond: Vec<(usize, PathBuf)>,
    locks: Option<Directory>,
    locks_access: LocksAccess,
    /// The servers that it is about: those that are asked, or the one that this machine is taken for.
    servers: Vec<String>,
    /// How the roots of checks may be spelled in locks of the scripts, by the checks' names.
    spellings: HashMap<String, Spellings>,
    /// The locks of an export, where they take the place of all that could be read.
    export: Option<Directory>,
    /// What Compose says of its files, of the selected checks that have some, until it is read.
    projects: projects::Opened,
    /// What a patch needs, of each selected check; nothing where none is asked for.
    references: Vec<Reference>,
    threads: NonZeroUsize,
    requirement: Requirement,
    /// What is touched later than this was touched during the run.
    start: Start,
}

impl Session {
    /// Reads the declaration, opens every root and the locks directory, and connects to engines.
    ///
    /// # Errors
    /// A bad declaration, an unknown check, a locks directory that can't be opened. A root that can't be opened, or an
    /// engine that can't be connected to, is trouble of its check alone.
    pub fn open(request: &Request, locks_access: LocksAccess) -> Result<Self, Trouble> {
        Self::open_with(request, locks_access, |declared, check| {
            // Do not contact the engine for skipped checks.
            let applies = check.modes.local || check.engine.is_none();
            if applies { Source::open(&declared.base, check) } else { Err(not_read(check)) }
        })
    }

    /// The same for all checks, whatever their modes.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn of_everything(request: &Request) -> Result<Self, Trouble> {
        Self::open_with(request, LocksAccess::Read, |declared, check| Source::open(&declared.base, check))
    }

    /// Reads the declaration and opens the locks directory, for what servers send: nothing else is opened.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn for_servers(request: &Request, locks_access: LocksAccess) -> Result<Self, Trouble> {
        if let Some(server) = &request.as_server {
            let problem =
                format!("--as {} is about this machine, and others are to be asked", escaped(server.as_bytes()));
            return Err(Trouble::new(problem, "leave out one of --as and --server"));
        }
        Self::open_with(request, locks_access, |_, check| Err(not_read(check)))
    }

    /// A run that takes its entries from an export, and compares them with the roots that are here.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and an export that can't be read.
    pub fn from_export(request: &Request, locks_access: LocksAccess, export: &Path) -> Result<Self, Trouble> {
        let mut session = Self::open_with(request, locks_access, |declared, check| {
            // With the roots of a server, what is here is not what is meant.
            let is_here = check.modes.local && check.engine.is_none() && request.as_server.is_none();
            if is_here { Source::open(&declared.base, check) } else { Err(not_read(check)) }
        })?;
        session.export = Some(capability::export(export)?);
        Ok(session)
    }

    fn open_with(
        request: &Request,
        locks_access: LocksAccess,
        source: impl Fn(&Declared, &Check) -> Result<Source, Trouble>,
    ) -> Result<Self, Trouble> {
        let start = Start::now();
        // Before anything is opened, and before a directory is created.
        capability::raise_descriptor_limit();
        sandbox::required(request.requirement).map_err(|error| not_entered(&error, request.requirement))?;
        capability::lock_holders().into_iter().for_each(store::know_holders);
        let mut declared = capability::declaration(request.config.as_deref())?;
        let of_server = match &request.as_server {
            Some(server) => standing::stand_for(&mut declared, server)?,
            None => None,
        };
        let mut selected = select(&declared, &request.checks)?;
        if let (Some(server), Some(named)) = (&request.as_server, of_server) {
            selected.retain(|place| named.binary_search(place).is_ok());
            if selected.is_empty() {
                let checks: Vec<_> = request.checks.iter().map(String::as_str).collect();
                return Err(for_nothing(&[server], &checks));
            }
        }
        let checks = selected.iter().map(|&index| &declared.declaration.checks[index]);
        let sources: Vec<_> = checks.clone().map(|check| source(&declared, check)).collect();
        let projects = projects::open(&declared, checks.clone());
        let there = declared.declaration.roots_on_servers();
        let spellings = checks.filter_map(|check| Some((check.name.clone(), spellings(&declared, check, &there)?)));
        let spellings = spellings.collect();
        let others = declared.declaration.checks.iter().enumerate();
        let others = others.filter(|(index, check)| check.engine.is_none() && selected.binary_search(index).is_err());
        let beyond = others
            .filter(|(_, check)| check.modes.local)
            .filter_map(|(index, check)| Some((index, capability::future(&declared.base.join(&check.root))?)))
            .collect();
        let path = declared.base.join(&declared.declaration.locks);
        let threads = request.threads.unwrap_or_else(walk::default_threads);
        let mut session = Self {
            declared,
            selected,
            sources,
            beyond,
            spellings,
            locks: None,
            locks_access,
            servers: request.as_server.iter().cloned().collect(),
            export: None,
            projects,
            references: Vec::new(),
            threads,
            requirement: request.requirement,
            start,
        };
        let lock = |check: &Check| check.lock.path(request.as_server.as_deref());
        session.locks = match locks_access {
            LocksAccess::Read => {
                let locks = capability::locks(&path)?;
                if let Some(ours) = locks.as_ref().and_then(|locks| locks.resolved.as_deref()) {
                    session.keep_apart(ours, "locks", false, lock)?;
                }
                locks
            }
            LocksAccess::Write => Some(session.writable(&path, "locks", "`locks` in the declaration", lock)??),
        };
        Ok(session)
    }

    /// A run over what a declaration names that is no file, with neither locks nor reports. Of its roots and sockets, only
    /// those are taken that lie in one of the directories `within`; all, if there are none.
    ///
    /// # Errors
    /// A sandbox that is less than was required.
    pub fn over(
        declaration: Declaration,
        within: &[Directory],
        threads: Option<NonZeroUsize>,
        requirement: Requirement,
    ) -> Result<Self, Trouble> {
        let start = Start::now();
        capability::raise_descriptor_limit();
        sandbox::required(requirement).map_err(|error| not_entered(&error, requirement))?;
        let sources = declaration.checks.iter().map(|check| match within {
            [] => Source::open(Path::new(""), check),
            allowed => Source::open_within(allowed, check),
        });
        let sources = sources.collect();
        let selected = (0..declaration.checks.len()).collect();
        let declared = Declared { declaration, file: PathBuf::new(), base: PathBuf::new() };
        Ok(Self {
            declared,
            selected,
            sources,
            beyond: Vec::new(),
            spellings: HashMap::new(),
            locks: None,
            locks_access: LocksAccess::Read,
            servers: Vec::new(),
            export: None,
            projects: HashMap::new(),
            references: Vec::new(),
            threads: threads.unwrap_or_else(walk::default_threads),
            requirement,
            start,
        })
    }

    /// The checks of this run, in the order of the declaration.
    pub fn checks(&self) -> impl ExactSizeIterator<Item = &Check> {
        self.selected.iter().map(|&index| &self.declared.declaration.checks[index])
    }

    /// The root of each check, if it could be opened.
    pub fn roots(&self) -> impl ExactSizeIterator<Item = Option<&Directory>> {
        self.sources.iter().map(|source| source.as_ref().ok()?.root())
    }

    /// What all declared checks cover, those that this run passes over too.
    pub(super) fn reach(&self) -> Reach<'_> {
        let mut reach = Reach::default();
        let checks = &self.declared.declaration.checks;
        for (&index, source) in self.selected.iter().zip(&self.sources) {
            let check = &checks[index];
            if let Ok(Source::Root(root)) = source
                && let Some(path) = root.resolved.as_deref().filter(|_| check.modes.local)
            {
                reach.add(path, check.kind, &check.selection, Some(root.as_fd()));
            }
        }
        for (index, path) in &self.beyond {
            reach.add(path, checks[*index].kind, &checks[*index].selection, None);
        }
        reach
    }

    /// The locks directory; nothing if there is none.
    #[must_use]
    pub const fn locks(&self) -> Option<&Directory> {
        self.locks.as_ref()
    }

    /// Gives up all authority but that over what is open, and what `write` adds to it.
    ///
    /// # Errors
    /// A sandbox that can't be entered, or is less than was required.
    pub fn enter<'a>(self, write: impl IntoIterator<Item = &'a Directory>) -> Result<Run, Trouble> {
        self.enter_removing(write, None)
    }

    /// The same, with the authority to remove what is in one of these directories.
    ///
    /// # Errors
    /// Those of [`enter`](Self::enter).
    pub fn enter_removing<'a>(
        mut self,
        write: impl IntoIterator<Item = &'a Directory>,
        remove: Option<&'a Directory>,
    ) -> Result<Run, Trouble> {
        let mut grants = Grants::default();
        grants.read.extend(self.sources.iter().flatten().filter_map(Source::root).map(AsFd::as_fd));
        if let Some(locks) = &self.locks {
            match self.locks_access {
                LocksAccess::Read => grants.read.push(locks.as_fd()),
                LocksAccess::Write => {
                    grants.write.push(locks.as_fd());
                    grants.groups = store::groups_to_keep(&locks.dir, self.lock_paths().iter().map(String::as_str));
                }
            }
        }
        grants.read.extend(self.export.as_ref().map(AsFd::as_fd));
        grants.read.extend(self.references.iter().filter_map(Reference::directory).map(AsFd::as_fd));
        for directory in write {
            grants.write.push(directory.as_fd());
        }
        grants.remove = remove.map(AsFd::as_fd);
        let enforced = enter(&grants, self.requirement)?;
        let projects = self.read_projects();
        Ok(Run { session: self, enforced, projects })
    }
}

/// How the root of a check may be spelled in a lock of the scripts; nothing if its lock can't be one with roots in it.
fn spellings(declared: &Declared, check: &Check, there: &HashMap<&str, Vec<&Path>>) -> Option<Spellings> {
    if check.lock.format != LockFormat::Sha256sum && check.lock.old.is_none() {
        return None;
    }
    let here = [
        capability::future(&declared.base.join(&check.root)),
        // As it is spelled, if it is a link.
        capability::future(&declared.base).map(|base| base.join(&check.root)),
    ];
    let there = there.get(check.name.as_str()).into_iter().flatten().copied();
    let places = here.iter().flatten().map(PathBuf::as_path).chain(check.server_root.as_deref()).chain(there);
    Some(Spellings::new(&check.root, places))
}

/// What to say of a check that this run does not read.
fn not_read(check: &Check) -> Trouble {
    Trouble::new(format!("the check {} is not read by this run", check.name), "see its `modes` in the declaration")
}

/// Enters the sandbox.
///
/// # Errors
/// A sandbox that can't be entered, or is less than was required.
pub fn enter(grants: &Grants<'_>, requirement: Requirement) -> Result<Enforced, Trouble> {
    sandbox::enter(grants, requirement).map_err(|error| not_entered(&error, requirement))
}

fn not_entered(error: &SandboxError, requirement: Requirement) -> Trouble {
    let remedy = match requirement {
        Requirement::Everything => {
            "run it on a kernel with Landlock (5.13 or later) and seccomp, outside of containers that refuse them, or without --require-sandbox"
        }
        Requirement::AsAvailable => "report it; this is not a matter of your declaration",
    };
    Trouble::new(error.to_string(), remedy)
}

fn select(declared: &Declared, names: &[String]) -> Result<Vec<usize>, Trouble> {
    let checks = &declared.declaration.checks;
    let declared_names: HashSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !declared_names.contains(name.as_str())) {
        let known: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
        return Err(Trouble::new(
            format!("--check {}: {} declares no such check", escaped(unknown.as_bytes()), shown(&declared.file)),
            format!("name one of: {}", known.join(", ")),
        ));
    }
    let named: HashSet<&str> = names.iter().map(String::as_str).collect();
    let wanted = |check: &Check| named.is_empty() || named.contains(check.name.as_str());
    Ok((0..checks.len()).filter(|&index| wanted(&checks[index])).collect())
}

/// What to say when a file could not be written.
#[must_use]
pub fn not_written(path: &str, error: &io::Error) -> Trouble {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NotSynced>) {
        let remedy = "see to the disk; until `sync` succeeds, a power cut may bring back what was there before";
        return Trouble::new(format!("{path} could not be made safe: {error}"), remedy);
    }
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room; what was there before is untouched",
        io::ErrorKind::WouldBlock => {
            "if another driftlock is writing it right now, wait until it has ended; else see what that process is"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit of the size of files (`ulimit -f`); what was there before is untouched"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the directory writable for this user; what was there before is untouched"
        }
        _ => "check the disk and its file system; what was there before is untouched",
    };
    Trouble::new(format!("{path} could not be written: {error}"), remedy)
}
