//! One run: the declaration and the open handles that it needs, first outside the sandbox, then inside it.

mod as_server;
mod changed;
mod collected;
mod excerpts;
mod opened;
mod overlap;
mod plan;
mod projects;
mod run;
mod sealed;
mod server_checks;

pub use changed::Live;
pub use collected::{Collected, Entries};
pub use opened::OpenCheck;
pub use plan::{LocksAccess, Plan, Reads};
pub use run::{Run, Wanted, in_order};
pub use sealed::small_file;
pub use server_checks::{nothing_asked, some};

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::baseline::{LockReads, Spellings};
use crate::capability::{self, Declared, Directory, shown};
use crate::declaration::{Check, Declaration};
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::sandbox::{self, Enforced, Grants, Requirement, SandboxError};
use crate::seal;
use crate::store::{self, NotSynced};
use crate::walk::{Coverage, Effort, RunStart};
use collected::CheckSource;
use opened::{CheckHandles, spellings};

/// The locks directory.
#[derive(Debug)]
enum Locks {
    /// The run has none, or has not opened it yet.
    None,
    /// Only for reading; `None` if it does not exist.
    Read(Option<Directory>),
    Write(Directory),
}

impl Locks {
    const fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Read(locks) => locks.as_ref(),
            Self::Write(locks) => Some(locks),
            Self::None => None,
        }
    }
}

/// A run that has not entered the sandbox yet. Everything that it will need is open.
#[derive(Debug)]
pub struct Session {
    pub declared: Declared,
    /// The checks of this run, in the order of the declaration.
    checks: Vec<CheckHandles>,
    /// The real paths of the roots of the other checks, by index in the declaration. They are not opened.
    beyond: Vec<(usize, PathBuf)>,
    locks: Locks,
    /// The servers that it is about: those that are asked, or the one of `--as`.
    servers: Vec<String>,
    /// The locks of an export, if they are read instead of the live state.
    export: Option<Directory>,
    /// Records what is read of locks, if a seal is verified.
    lock_reads: Option<LockReads>,
    effort: Effort,
    requirement: Requirement,
    /// The start of the run: later changes are changes during the run.
    start: RunStart,
}

impl Session {
    /// Reads the declaration, opens the locks directory and the roots, and connects to engines.
    ///
    /// # Errors
    /// The declaration is wrong, a check is unknown, or the locks directory or an export can't be opened. A root or an
    /// engine that can't be opened is trouble of its check only.
    pub fn open(plan: &Plan, locks_access: LocksAccess, reads: &Reads) -> Result<Self, Error> {
        if let (Reads::Servers, Some(server)) = (reads, &plan.as_server) {
            let problem =
                format!("--as {} is for this machine, and this command asks other servers", escaped(server.as_bytes()));
            return Err(Error::new(ErrorKind::Usage, problem, "leave out one of --as and --server"));
        }
        // Before anything is opened or created.
        capability::raise_descriptor_limit();
        sandbox::required(plan.requirement).map_err(|error| not_entered(&error, plan.requirement))?;
        capability::lock_holders().into_iter().for_each(store::know_holders);
        let mut declared = capability::declaration(plan.config.as_deref())?;
        let of_server = match &plan.as_server {
            Some(server) => as_server::become_server(&mut declared, server)?,
            None => None,
        };
        let mut selected = select(&declared, &plan.checks)?;
        if let (Some(server), Some(named)) = (&plan.as_server, of_server) {
            selected.retain(|place| named.binary_search(place).is_ok());
            if selected.is_empty() {
                let checks: Vec<_> = plan.checks.iter().map(String::as_str).collect();
                return Err(nothing_asked(&[server], &checks));
            }
        }
        let there = declared.declaration.roots_on_servers();
        let opened = |&place: &usize| {
            let check = &declared.declaration.checks[place];
            let opens = reads.opens(check, plan);
            let source = if opens { CheckSource::open(&declared.base, check) } else { Err(not_read(check)) };
            (place, source)
        };
        // First all roots and engines, then the files that Compose printed.
        let opened: Vec<_> = selected.iter().map(opened).collect();
        let opened = opened.into_iter().map(|(place, source)| {
            let check = &declared.declaration.checks[place];
            CheckHandles {
                place,
                source,
                spellings: spellings(&declared, check, &there),
                project: projects::Of::open(&declared, check),
                reference: None,
            }
        });
        let opened = opened.collect();
        let others = declared.declaration.checks.iter().enumerate();
        let others = others.filter(|(index, check)| check.engine.is_none() && selected.binary_search(index).is_err());
        let beyond = others
            .filter(|(_, check)| check.modes.local)
            .filter_map(|(index, check)| Some((index, capability::future(&declared.base.join(&check.root))?)))
            .collect();
        let path = declared.base.join(&declared.declaration.locks);
        let mut session = Self {
            declared,
            checks: opened,
            beyond,
            locks: Locks::None,
            servers: plan.as_server.iter().cloned().collect(),
            export: None,
            lock_reads: None,
            effort: Effort::new(plan.threads, plan.gentle, plan.rate),
            requirement: plan.requirement,
            start: plan.start,
        };
        session.open_locks(&path, locks_access, plan.as_server.as_deref())?;
        if let Reads::Export(export) = reads {
            session.export = Some(capability::export(export)?);
        }
        Ok(session)
    }

    fn open_locks(&mut self, path: &Path, access: LocksAccess, server: Option<&str>) -> Result<(), Error> {
        let lock = |check: &Check| check.lock.path(server);
        self.locks = match access {
            LocksAccess::Read => {
                let locks = capability::locks(path)?;
                if let Some(ours) = locks.as_ref().and_then(|locks| locks.resolved.as_deref()) {
                    self.keep_apart(ours, "locks", false, lock)?;
                }
                Locks::Read(locks)
            }
            LocksAccess::Write => Locks::Write(self.writable(path, "locks", "`locks` in the declaration", lock)??),
        };
        Ok(())
    }

    /// A run for a request, without a declaration file, locks or reports. Only roots and sockets in one of the
    /// directories `within` are opened; if it is empty, all.
    ///
    /// # Errors
    /// The kernel does not offer the required sandbox.
    pub fn for_collector(
        declaration: Declaration,
        within: &[Directory],
        effort: Effort,
        requirement: Requirement,
        start: RunStart,
    ) -> Result<Self, Error> {
        capability::raise_descriptor_limit();
        sandbox::required(requirement).map_err(|error| not_entered(&error, requirement))?;
        let opened = declaration.checks.iter().enumerate().map(|(place, check)| {
            let source = match within {
                [] => CheckSource::open(Path::new(""), check),
                allowed => CheckSource::open_within(allowed, check),
            };
            CheckHandles { place, source, spellings: Spellings::default(), project: None, reference: None }
        });
        let checks = opened.collect();
        let declared = Declared::new(declaration, PathBuf::new(), PathBuf::new());
        Ok(Self {
            declared,
            checks,
            beyond: Vec::new(),
            locks: Locks::None,
            servers: Vec::new(),
            export: None,
            lock_reads: None,
            effort,
            requirement,
            start,
        })
    }

    /// The checks of this run, in the order of the declaration.
    pub fn checks(&self) -> impl ExactSizeIterator<Item = &Check> {
        self.checks.iter().map(|opened| opened.check(&self.declared))
    }

    /// The checks, each with its root if it is open.
    pub fn roots(&self) -> impl ExactSizeIterator<Item = (&Check, Option<&Directory>)> {
        self.checks.iter().map(|opened| (opened.check(&self.declared), opened.root()))
    }

    /// What all declared checks cover, including those that this run skips.
    pub(super) fn coverage(&self) -> Coverage<'_> {
        let mut coverage = Coverage::default();
        for (check, root) in self.roots() {
            if let Some(root) = root
                && let Some(path) = root.resolved.as_deref().filter(|_| check.modes.local)
            {
                coverage.add(path, check.kind, &check.selection, Some(root.as_fd()));
            }
        }
        let checks = &self.declared.declaration.checks;
        for (index, path) in &self.beyond {
            coverage.add(path, checks[*index].kind, &checks[*index].selection, None);
        }
        coverage
    }

    /// The sandbox that it requires.
    #[must_use]
    pub const fn requirement(&self) -> Requirement {
        self.requirement
    }

    /// The locks directory; `None` if it does not exist.
    #[must_use]
    pub const fn locks(&self) -> Option<&Directory> {
        self.locks.directory()
    }

    /// Gives up all authority except over what is open, and over the directories `write`.
    ///
    /// # Errors
    /// The sandbox can't be entered, or is less than required.
    pub fn enter<'a>(self, write: impl IntoIterator<Item = &'a Directory>) -> Result<Run, Error> {
        self.enter_removing(write, None)
    }

    /// The same, but files in `remove`, one of these directories, may be removed.
    ///
    /// # Errors
    /// Those of [`enter`](Self::enter).
    pub fn enter_removing<'a>(
        mut self,
        write: impl IntoIterator<Item = &'a Directory>,
        remove: Option<&'a Directory>,
    ) -> Result<Run, Error> {
        let mut grants = Grants::default();
        grants.read.extend(self.checks.iter().filter_map(CheckHandles::root).map(AsFd::as_fd));
        match &self.locks {
            Locks::None => {}
            Locks::Read(locks) => grants.read.extend(locks.as_ref().map(AsFd::as_fd)),
            Locks::Write(locks) => {
                grants.write.push(locks.as_fd());
                let names = self.lock_paths();
                let names = names.iter().map(String::as_str).chain([seal::NAME, seal::SIGNATURE_NAME]);
                grants.groups = store::groups_to_keep(&locks.dir, names);
            }
        }
        grants.read.extend(self.export.as_ref().map(AsFd::as_fd));
        grants.read.extend(self.checks.iter().filter_map(CheckHandles::reference).map(AsFd::as_fd));
        for directory in write {
            grants.write.push(directory.as_fd());
        }
        grants.remove = remove.map(AsFd::as_fd);
        let enforced = enter(&grants, self.requirement)?;
        self.read_projects();
        Ok(Run { session: self, enforced })
    }
}

/// The error for a check that this run does not read.
fn not_read(check: &Check) -> Error {
    Error::new(
        ErrorKind::Usage,
        format!("the check {} is not read by this run", check.name),
        "look at its `modes` in the declaration",
    )
}

/// Enters the sandbox.
///
/// # Errors
/// The sandbox can't be entered, or is less than required.
pub fn enter(grants: &Grants<'_>, requirement: Requirement) -> Result<Enforced, Error> {
    sandbox::enter(grants, requirement).map_err(|error| not_entered(&error, requirement))
}

fn not_entered(error: &SandboxError, requirement: Requirement) -> Error {
    let help = match requirement {
        Requirement::Everything => {
            "run it on a kernel with Landlock (5.13 or later) and seccomp, outside of containers that refuse them, or without --require-sandbox"
        }
        Requirement::AsAvailable => "report this as a bug: your declaration is not the cause",
    };
    Error::new(ErrorKind::Sandbox, error.to_string(), help)
}

fn select(declared: &Declared, names: &[String]) -> Result<Vec<usize>, Error> {
    let checks = &declared.declaration.checks;
    let declared_names: HashSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !declared_names.contains(name.as_str())) {
        let known: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
        return Err(Error::new(
            ErrorKind::Usage,
            format!("--check {}: {} declares no such check", escaped(unknown.as_bytes()), shown(&declared.file)),
            format!("name one of: {}", known.join(", ")),
        ));
    }
    let named: HashSet<&str> = names.iter().map(String::as_str).collect();
    let wanted = |check: &Check| named.is_empty() || named.contains(check.name.as_str());
    Ok((0..checks.len()).filter(|&index| wanted(&checks[index])).collect())
}

/// The error for a file that could not be written.
#[must_use]
pub fn not_written(path: &str, error: &io::Error) -> Error {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NotSynced>) {
        let help = "check the disk; until `sync` succeeds, a power cut may bring back the old state";
        return Error::new(ErrorKind::Output, format!("{path} could not be synced to the disk: {error}"), help);
    }
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room; existing files are unchanged",
        io::ErrorKind::WouldBlock => {
            "if another driftlock is writing it now, wait until it ends; otherwise find out what that process is"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit of the size of files (`ulimit -f`); existing files are unchanged"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the directory writable for this user; existing files are unchanged"
        }
        _ => "check the disk and its file system; existing files are unchanged",
    };
    Error::new(ErrorKind::Output, format!("{path} could not be written: {error}"), help)
}
