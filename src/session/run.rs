//! A run inside the sandbox: what it reads, by the handles that were opened before.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use cap_std::fs::{Dir, File};

use super::Session;
use super::collected::{self, Collected, Source};
use super::projects::Projects;
use crate::baseline::{Baseline, Spellings};
use crate::capability::{Directory, raw, shown};
use crate::compose::{Misfits, Project};
use crate::container::Inventory;
use crate::declaration::Check;
use crate::manifest::{Kind, List, LockError, Uncovered};
use crate::path::escaped;
use crate::sandbox::Enforced;
use crate::stat_cache::Known;
use crate::store;
use crate::trouble::Trouble;
use crate::walk::{self, Collection, NarOf, Progress, Reach, Task};

/// A run inside the sandbox.
#[derive(Debug)]
pub struct Run {
    pub session: Session,
    pub enforced: Enforced,
    pub(super) projects: Projects,
}

impl Run {
    /// The locks directory; nothing if there is none.
    #[must_use]
    pub fn locks(&self) -> Option<&Dir> {
        self.session.locks.as_ref().map(|locks| &locks.dir)
    }

    /// Where a check's root really lies.
    #[must_use]
    pub fn resolved_root(&self, index: usize) -> Option<String> {
        let source = self.session.sources.get(index)?.as_ref().ok()?;
        source.root()?.resolved.as_deref().map(raw)
    }

    /// Collects the checks that `wanted` names by their place in this run: engines are asked first, since they may not
    /// wait for long, then all roots are read in one pass. The others give nothing.
    pub fn collect(&self, wanted: &[bool], nar: bool, progress: &Progress) -> Vec<Option<Result<Collected, Trouble>>> {
        self.collect_knowing(&[], wanted, nar, progress)
    }

    /// The same, with what is known of the files of each check, by the check's place in this run.
    pub fn collect_knowing(
        &self,
        known: &[Option<Arc<Known>>],
        wanted: &[bool],
        nar: bool,
        progress: &Progress,
    ) -> Vec<Option<Result<Collected, Trouble>>> {
        let collected = self.ask(wanted);
        let reach = self.session.reach();
        let tasks = self.tasks(known, wanted, nar, &reach);
        self.session.start.pass();
        let collections = walk::collect(tasks, self.session.threads, progress);
        self.gather(wanted, collected, collections, false)
    }

    /// The same without NARs, unless it is given up: then what was found until that moment, and `true`.
    pub fn collect_until_given_up(
        &'static self,
        known: &[Option<Arc<Known>>],
        wanted: &[bool],
        progress: &'static Progress,
    ) -> (Vec<Option<Result<Collected, Trouble>>>, bool) {
        let collected = self.ask(wanted);
        let reach = Box::leak(Box::new(self.session.reach()));
        let tasks = self.tasks(known, wanted, false, reach);
        self.session.start.pass();
        let (collections, given_up) = walk::collect_until_given_up(tasks, self.session.threads, progress);
        (self.gather(wanted, collected, collections, given_up), given_up)
    }

    /// What engines have, and why roots and engines could not be opened; nothing of roots that are open.
    fn ask(&self, wanted: &[bool]) -> Vec<Option<Result<Collected, Trouble>>> {
        let sources = self.session.checks().zip(&self.session.sources).zip(wanted);
        sources
            .map(|((check, source), &wanted)| match source {
                Err(trouble) => wanted.then(|| Err(trouble.clone())),
                Ok(Source::Engine(socket)) => wanted.then(|| collected::from_engine(check, socket.as_fd())),
                Ok(Source::Root(_)) => None,
            })
            .collect()
    }

    /// The wanted checks whose roots are open.
    fn roots(&self, wanted: &[bool]) -> impl Iterator<Item = (usize, &Check, &Directory)> {
        let sources = self.session.checks().zip(&self.session.sources).zip(wanted);
        sources.enumerate().filter_map(|(index, ((check, source), &wanted))| {
            let root = source.as_ref().ok()?.root().filter(|_| wanted)?;
            Some((index, check, root))
        })
    }

    fn tasks<'a>(
        &'a self,
        known: &[Option<Arc<Known>>],
        wanted: &[bool],
        nar: bool,
        reach: &'a Reach<'a>,
    ) -> Vec<Task<'a>> {
        self.roots(wanted)
            .map(|(index, check, root)| Task {
                root: root.as_fd(),
                name: check.place(),
                kind: check.kind,
                selection: &check.selection,
                attributes: check.attributes,
                one_file_system: check.one_file_system,
                start: Some(self.session.start),
                strict: check.strict,
                nar: if nar && check.kind == Kind::Trees { NarOf::Modules } else { NarOf::Nothing },
                known: known.get(index).cloned().flatten(),
                links_on_the_way: check.records_links_on_the_way(),
                reach: root.resolved.as_deref().map(|path| (reach, path)),
            })
            .collect()
    }

    /// Adds what was found below the roots.
    fn gather(
        &self,
        wanted: &[bool],
        mut collected: Vec<Option<Result<Collected, Trouble>>>,
        collections: Vec<Collection>,
        given_up: bool,
    ) -> Vec<Option<Result<Collected, Trouble>>> {
        for ((index, check, root), collection) in self.roots(wanted).zip(collections) {
            collected[index] = Some(match &collection.root {
                Ok(_) => {
                    let mut collected = Collected::from(collection);
                    // Listed again only where nothing was found, so that a known tree is not listed at all.
                    let found_nothing = matches!(crate::manifest::Entries::next(&mut collected.entries()), Ok(None));
                    collected.root_is_empty =
                        found_nothing && !given_up && root.dir.entries().is_ok_and(|mut names| names.next().is_none());
                    if check.allow_empty {
                        collected.uncovered.retain(|uncovered| !matches!(uncovered, Uncovered::Glob { .. }));
                    }
                    Ok(collected)
                }
                Err(reason) => Err(Trouble::new(
                    format!("the root {} could not be read: {reason}", shown(&check.root)),
                    reason.remedy(),
                )),
            });
        }
        collected
    }

    /// What else the engines of this run have, each one once: its socket, and all that is there.
    pub fn inventories(&self) -> Vec<(String, Result<Inventory, Trouble>)> {
        let mut known = BTreeSet::new();
        let engines = self.session.checks().zip(&self.session.sources).filter_map(|(check, source)| {
            let path = &check.engine.as_ref()?.socket;
            if !known.insert(path.clone()) {
                return None;
            }
            let inventory = match source {
                Ok(source) => collected::inventory(path, source.engine()?),
                Err(trouble) => Err(trouble.clone()),
            };
            Some((raw(path), inventory))
        });
        engines.collect()
    }

    /// What an export has of a check, in the place of what is there; nothing if it has no lock of it.
    ///
    /// # Errors
    /// A lock that would be refused.
    pub fn exported(&self, check: &Check, shown: &str) -> Result<Option<Collected>, Trouble> {
        let name = &check.lock.name;
        let refused = |error: &LockError| {
            Trouble::new(
                format!("the lock {shown}/locks/{} is refused: {error}", escaped(name.as_bytes())),
                error.remedy(),
            )
        };
        let export = self.session.export.as_ref();
        let found = export.map(|export| Baseline::of(check, &export.dir, name, &self.spellings(check))).transpose();
        let Some(mut lock) = found.map_err(|error| refused(&error))?.flatten() else { return Ok(None) };
        if lock.old().is_some() {
            return Err(refused(&LockError::Old {
                problem: "a new one can't be made from it alone".to_owned(),
                remedy: "name a directory that `driftlock export --output` has written",
            }));
        }
        lock.belongs_to(check).map_err(|error| refused(&error))?;
        Ok(Some(List::read(&mut lock).map_err(|error| refused(&error))?.into()))
    }

    /// How the root of a check may be spelled in a lock of the scripts.
    fn spellings(&self, check: &Check) -> Spellings {
        self.session.spellings.get(&check.name).cloned().unwrap_or_default()
    }

    /// Opens the lock of a check; nothing if it is missing.
    ///
    /// # Errors
    /// A lock that can't be read or is malformed, with its name, and a check of which nothing says whose lock is meant.
    pub fn baseline(&self, check: &Check) -> Result<Option<Baseline>, Trouble> {
        self.baseline_of(check, self.session.server())
    }

    /// The same for a server, where each has a lock of its own.
    ///
    /// # Errors
    /// Those of [`baseline`](Self::baseline).
    pub fn baseline_of(&self, check: &Check, server: Option<&str>) -> Result<Option<Baseline>, Trouble> {
        whose(check, server)?;
        let Some(locks) = self.locks() else { return Ok(None) };
        let found = Baseline::of(check, locks, &check.lock.path(server), &self.spellings(check));
        found.map_err(|error| self.refused_of(check, server, &error))
    }

    /// What Compose files declare of a check; nothing of a check of another kind.
    ///
    /// # Errors
    /// What Compose says of them can't be read.
    pub fn project(&self, check: &Check) -> Result<Option<&Project>, Trouble> {
        self.projects.get(&check.name).map(Result::as_ref).transpose().map_err(Clone::clone)
    }

    /// What of that is not so; nothing of a check of another kind.
    ///
    /// # Errors
    /// Those of [`project`](Self::project).
    pub fn misfits(&self, check: &Check, live: &Collected) -> Result<Misfits, Trouble> {
        let Some(project) = self.project(check)? else { return Ok(Misfits::default()) };
        // What was collected has no errors of its own.
        let live = List::read(&mut live.entries()).map_err(|error| self.refused(check, &error))?;
        Ok(project.misfits(&live))
    }

    /// Reads a lock of a check from a file that is open: one of the name that is declared, or of the old one.
    ///
    /// # Errors
    /// A lock that can't be read or is malformed.
    pub fn lock_of(&self, check: &Check, is_declared: bool, file: File) -> Result<Baseline, LockError> {
        let spellings = self.spellings(check);
        if is_declared {
            Baseline::of_file(check, file, &spellings)
        } else {
            Baseline::of_modules(check, file, &spellings)
        }
    }

    /// The lock file of a check as the operator knows it; not made harmless. Where there is none yet, the old one, if one
    /// was declared.
    #[must_use]
    pub fn lock_path(&self, check: &Check) -> String {
        self.lock_path_of(check, self.session.server())
    }

    /// The same for a server, where each has a lock of its own.
    #[must_use]
    pub fn lock_path_of(&self, check: &Check, server: Option<&str>) -> String {
        match &check.lock.old {
            Some(old) if self.locks().is_none_or(|locks| locks.symlink_metadata(&check.lock.name).is_err()) => {
                raw(&self.session.declared.declaration.locks.join(old))
            }
            _ => self.new_lock_path_of(check, server),
        }
    }

    /// The lock file that `lock` writes, as the operator knows it; not made harmless.
    #[must_use]
    pub fn new_lock_path(&self, check: &Check) -> String {
        self.new_lock_path_of(check, self.session.server())
    }

    /// The same for a server, where each has a lock of its own.
    #[must_use]
    pub fn new_lock_path_of(&self, check: &Check, server: Option<&str>) -> String {
        raw(&self.session.declared.declaration.locks.join(check.lock.path(server)))
    }

    /// What to say of a lock that is refused.
    #[must_use]
    pub fn refused(&self, check: &Check, error: &LockError) -> Trouble {
        self.refused_of(check, self.session.server(), error)
    }

    /// The same for a server, where each has a lock of its own.
    #[must_use]
    pub fn refused_of(&self, check: &Check, server: Option<&str>, error: &LockError) -> Trouble {
        let path = self.lock_path_of(check, server);
        Trouble::new(format!("the lock {} is refused: {error}", escaped(path.as_bytes())), error.remedy())
    }

    /// The directory to write the lock of a check to, which is made for a server that has no locks yet.
    ///
    /// # Errors
    /// Those of the file system, and a run without a locks directory.
    pub fn locks_to_write(&self, check: &Check, server: Option<&str>) -> io::Result<Dir> {
        let locks =
            self.locks().ok_or_else(|| io::Error::other("there is no locks directory; report this as a bug"))?;
        let Some(server) = server.filter(|_| check.lock.per_server) else { return locks.try_clone() };
        match locks.create_dir(server) {
            Ok(()) => store::sync(locks)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        locks.open_dir(server)
    }
}

/// Makes sure that it is said whose lock is meant, where each server has one of its own.
///
/// # Errors
/// Where it is said.
pub fn whose(check: &Check, server: Option<&str>) -> Result<(), Trouble> {
    if !check.lock.per_server || server.is_some() {
        return Ok(());
    }
    Err(Trouble::new(
        format!("each server has a lock of its own of the check {}, and none is named", check.name),
        "name one with --server or, if this machine is one or the export is of one, with --as",
    ))
}
