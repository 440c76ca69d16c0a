//! A check of a run, and the handles that are open for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::changed::Reference;
use super::collected::{CheckSource, Collected};
use super::{Run, projects};
use crate::baseline::{Baseline, LockSource, Spellings};
use crate::capability::{self, Declared, Directory, raw};
use crate::compose::{Misfits, Project};
use crate::declaration::{Check, LockFormat, Server};
use crate::error::{Error, ErrorKind};
use crate::manifest::{List, LockError};
use crate::path::escaped;

/// The handles that are open for one check.
#[derive(Debug)]
pub(super) struct CheckHandles {
    /// The index of the check in the declaration.
    pub place: usize,
    /// The root or engine that it reads.
    pub source: Result<CheckSource, Error>,
    /// The possible spellings of its root in a lock of the old scripts.
    pub spellings: Spellings,
    /// What Compose printed about its files; `None` for another kind.
    pub project: Option<projects::Of>,
    /// What a patch needs, if one is asked for.
    pub reference: Option<Reference>,
}

impl CheckHandles {
    pub fn check<'a>(&self, declared: &'a Declared) -> &'a Check {
        &declared.declaration.checks[self.place]
    }

    /// Its root, if it is open.
    pub fn root(&self) -> Option<&Directory> {
        match &self.source {
            Ok(CheckSource::Root(root)) => Some(root),
            Ok(CheckSource::Engine { .. }) | Err(_) => None,
        }
    }

    /// A tree that may have the locked contents, if it is open.
    pub fn reference(&self) -> Option<&Directory> {
        self.reference.as_ref()?.directory()
    }
}

/// A check of a run, on this machine or on a server.
#[derive(Clone, Copy, Debug)]
pub struct OpenCheck<'r> {
    pub run: &'r Run,
    pub check: &'r Check,
    pub(super) opened: &'r CheckHandles,
    /// The server that is asked for it; `None` if it is read here.
    pub on: Option<&'r Server>,
}

impl<'r> OpenCheck<'r> {
    /// Whether its `modes` include this machine or server.
    #[must_use]
    pub const fn applies(&self) -> bool {
        if self.on.is_some() { self.check.modes.server } else { self.check.modes.local }
    }

    /// The server whose lock it is compared with, if each server has its own.
    #[must_use]
    pub fn server(&self) -> Option<&'r str> {
        match self.on {
            Some(server) => Some(&server.name),
            None => self.run.session.server(),
        }
    }

    /// The path of its root on the server.
    ///
    /// # Errors
    /// The declaration does not say.
    pub fn root_there(&self, server: &'r Server) -> Result<&'r Path, Error> {
        server.root(self.check).ok_or_else(|| self.no_root(server))
    }

    /// The error for a check that this server can't carry out.
    fn no_root(&self, server: &Server) -> Error {
        let (name, server) = (&self.check.name, escaped(server.name.as_bytes()));
        if self.check.engine.is_some() {
            return Error::new(
                ErrorKind::Declaration,
                format!("the socket of the check {name} is a relative path, which has no meaning on {server}"),
                "write the absolute path of the engine's socket on the server",
            );
        }
        Error::new(
            ErrorKind::Declaration,
            format!("the declaration does not say where the root of the check {name} is on {server}"),
            format!(
                "write `server_root` in the check, `roots = {{ {name} = \"/…\" }}` in the server, or `modes = [\"local\"]`"
            ),
        )
    }

    /// The root or engine of its entries, as messages show it.
    #[must_use]
    pub fn place(&self) -> String {
        match self.on.and_then(|server| server.root(self.check)) {
            Some(root) if self.check.engine.is_none() => raw(root),
            _ => self.check.place(),
        }
    }

    /// For a server: the path of the same root here, if it is another one.
    #[must_use]
    pub fn declared_root(&self) -> Option<String> {
        let is_on_server = self.on.is_some_and(|server| server.root(self.check).is_some());
        let is_elsewhere = is_on_server && self.check.engine.is_none() && self.check.root.is_relative();
        is_elsewhere.then(|| raw(&self.check.root))
    }

    /// Whether its root is open here.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.opened.root().is_some()
    }

    /// The real path of its root here.
    #[must_use]
    pub fn resolved_root(&self) -> Option<String> {
        self.opened.root()?.resolved.as_deref().map(raw)
    }

    /// Checks that the run names one server, if each server has its own lock of this check.
    ///
    /// # Errors
    /// It does not.
    pub fn names_one_server(&self) -> Result<(), Error> {
        if !self.check.lock.per_server || self.server().is_some() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Usage,
            format!("each server has its own lock of the check {}, and no server is named", self.check.name),
            "name one with --server; or with --as, if this machine is the server, or the export comes from it",
        ))
    }

    /// Opens its lock; `None` if it is missing.
    ///
    /// # Errors
    /// The lock can't be read or is malformed; or each server has its own lock, and the run names none.
    pub fn lock(&self) -> Result<Option<Baseline>, Error> {
        self.names_one_server()?;
        let Some(locks) = self.run.locks() else { return Ok(None) };
        let path = self.check.lock.path(self.server());
        let reads = self.run.session.lock_reads.as_ref();
        let found = Baseline::of(self.check, locks, &path, &self.opened.spellings, reads);
        found.map_err(|error| self.refused(&error))
    }

    /// Reads a lock from an open file, which has the declared name or that of the old lock.
    ///
    /// # Errors
    /// The lock can't be read or is malformed.
    pub fn lock_in(&self, is_declared: bool, file: impl Into<LockSource>) -> Result<Baseline, LockError> {
        let spellings = &self.opened.spellings;
        if is_declared {
            Baseline::of_file(self.check, file, spellings)
        } else {
            Baseline::of_modules(self.check, file, spellings)
        }
    }

    /// The path of its lock file, as messages show it; not escaped. If there is none yet, that of the declared old
    /// lock.
    #[must_use]
    pub fn lock_path(&self) -> String {
        let lock = &self.check.lock;
        match &lock.old {
            Some(old) if self.run.locks().is_none_or(|locks| locks.symlink_metadata(&lock.name).is_err()) => {
                raw(&self.run.session.declared.declaration.locks.join(old))
            }
            _ => self.new_lock_path(),
        }
    }

    /// The path of the lock file that `lock` writes, as messages show it; not escaped.
    #[must_use]
    pub fn new_lock_path(&self) -> String {
        raw(&self.run.session.declared.declaration.locks.join(self.check.lock.path(self.server())))
    }

    /// The error for a lock that is refused.
    #[must_use]
    pub fn refused(&self, error: &LockError) -> Error {
        let path = self.lock_path();
        Error::new(ErrorKind::Lock, format!("the lock {} is refused: {error}", escaped(path.as_bytes())), error.help())
    }

    /// What Compose files declare; `None` for another kind of check.
    ///
    /// # Errors
    /// The files that Compose printed can't be read.
    pub fn project(&self) -> Result<Option<&'r Project>, Error> {
        match &self.opened.project {
            Some(projects::Of::Read(project, _)) => Ok(Some(project)),
            Some(projects::Of::Failed(trouble)) => Err(trouble.clone()),
            Some(projects::Of::CheckHandles(_)) | None => Ok(None),
        }
    }

    /// How the live state differs from that; nothing for another kind of check.
    ///
    /// # Errors
    /// Those of [`project`](Self::project).
    pub fn misfits(&self, live: &Collected) -> Result<Misfits, Error> {
        let Some(project) = self.project()? else { return Ok(Misfits::default()) };
        // This stream has no errors.
        let live = List::read(&mut live.entries()).map_err(|error| self.refused(&error))?;
        Ok(project.misfits(&live))
    }
}

/// The possible spellings of the root in a lock of the old scripts; none if its lock can't be one with roots in it.
pub(super) fn spellings(declared: &Declared, check: &Check, there: &HashMap<&str, Vec<&Path>>) -> Spellings {
    if check.lock.format != LockFormat::Sha256sum && check.lock.old.is_none() {
        return Spellings::default();
    }
    let here = [
        capability::future(&declared.base.join(&check.root)),
        // Also as it is spelled, in case it is a link.
        capability::future(&declared.base).map(|base| base.join(&check.root)),
    ];
    let there = there.get(check.name.as_str()).into_iter().flatten().copied();
    let places = here.iter().flatten().map(PathBuf::as_path).chain(check.server_root.as_deref()).chain(there);
    Spellings::new(&check.root, places)
}
