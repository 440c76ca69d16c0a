//! A run inside the sandbox. It reads through handles that were opened before.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use cap_std::fs::Dir;

use super::collected::{self, CheckSource, Collected};
use super::opened::{CheckHandles, OpenCheck};
use super::{Locks, Session};
use crate::baseline::Baseline;
use crate::capability::{Directory, raw, shown};
use crate::container::Inventory;
use crate::declaration::{Check, Server};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Entries as _, Kind, List, LockError, Uncovered};
use crate::path::escaped;
use crate::sandbox::Enforced;
use crate::stat_cache::CacheView;
use crate::store;
use crate::walk::{self, Collection, Coverage, Effort, NarOf, Progress, Task};

/// A run inside the sandbox.
#[derive(Debug)]
pub struct Run {
    pub session: Session,
    pub enforced: Enforced,
}

/// A check to read, with what the stat cache has of its files.
pub struct Wanted<'r> {
    pub check: OpenCheck<'r>,
    pub known: Option<Arc<CacheView>>,
}

/// Each check with what was collected, or why it was not.
pub type Collections<T> = Vec<(T, Result<Collected, Error>)>;

impl<'r> Wanted<'r> {
    /// A check without a stat cache.
    #[must_use]
    pub const fn of(check: &OpenCheck<'r>) -> Self {
        Self { check: *check, known: None }
    }
}

impl Run {
    /// The checks of this run that are read here, in the order of the declaration.
    pub fn checks(&self) -> impl ExactSizeIterator<Item = OpenCheck<'_>> {
        self.session.checks.iter().map(|opened| self.open(opened, None))
    }

    /// The checks that a server is asked for, in the order of the declaration: see [`Session::checks_of`].
    pub fn checks_of<'r>(&'r self, server: &'r Server) -> impl Iterator<Item = OpenCheck<'r>> {
        self.session.opened_of(server).into_iter().map(move |opened| self.open(opened, Some(server)))
    }

    fn open<'r>(&'r self, opened: &'r CheckHandles, on: Option<&'r Server>) -> OpenCheck<'r> {
        OpenCheck { run: self, check: opened.check(&self.session.declared), opened, on }
    }

    /// The locks directory; `None` if it does not exist.
    #[must_use]
    pub fn locks(&self) -> Option<&Dir> {
        self.session.locks().map(|locks| &locks.dir)
    }

    /// The directory for the lock of a check. For a server without locks, it is created. `None` in a run that only
    /// reads.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn locks_to_write(&self, check: &OpenCheck<'_>) -> io::Result<Option<Dir>> {
        let Locks::Write(Directory { dir: locks, .. }) = &self.session.locks else { return Ok(None) };
        let server = check.server().filter(|_| check.check.lock.per_server);
        let Some(server) = server else { return locks.try_clone().map(Some) };
        match locks.create_dir(server) {
            Ok(()) => store::sync(locks)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        locks.open_dir(server).map(Some)
    }

    /// Whether this run writes locks.
    #[must_use]
    pub const fn writes_locks(&self) -> bool {
        matches!(self.session.locks, Locks::Write(_))
    }

    /// Collects these checks. Asks engines first, because a connection may time out; then reads all roots in one pass.
    pub fn collect<'r, T>(
        &'r self,
        all: Vec<T>,
        wanted: impl Fn(&T) -> Wanted<'r>,
        nar: bool,
        progress: &Progress,
    ) -> Collections<T> {
        let coverage = self.session.coverage();
        let walk = |tasks: Vec<Task<'_>>, effort| (walk::collect(tasks, effort, progress), false);
        self.collect_by(all, wanted, nar, &coverage, walk).0
    }

    /// The same without NARs. If the run is given up, returns what was collected until then, and `true`.
    pub fn collect_until_given_up<T>(
        &'static self,
        all: Vec<T>,
        wanted: impl Fn(&T) -> Wanted<'static>,
        progress: &'static Progress,
    ) -> (Collections<T>, bool) {
        let coverage = Box::leak(Box::new(self.session.coverage()));
        let walk = |tasks, effort| walk::collect_until_given_up(tasks, effort, progress);
        self.collect_by(all, wanted, false, coverage, walk)
    }

    fn collect_by<'t, 'r: 't, T>(
        &'r self,
        all: Vec<T>,
        wanted: impl Fn(&T) -> Wanted<'r>,
        nar: bool,
        coverage: &'t Coverage<'t>,
        walk: impl FnOnce(Vec<Task<'t>>, Effort) -> (Vec<Collection>, bool),
    ) -> (Collections<T>, bool) {
        // The indices restore the order: roots come after everything else.
        let mut collected = Vec::with_capacity(all.len());
        let mut roots = Vec::new();
        let mut tasks = Vec::new();
        for (place, item) in all.into_iter().enumerate() {
            let Wanted { check, known } = wanted(&item);
            match &check.opened.source {
                Err(trouble) => collected.push((place, (item, Err(trouble.clone())))),
                Ok(CheckSource::Engine { engine, socket }) => {
                    let found = collected::from_engine(check.check, engine, socket.as_fd());
                    collected.push((place, (item, found)));
                }
                Ok(CheckSource::Root(root)) => {
                    tasks.push(self.task(check.check, root, known, nar, coverage));
                    roots.push((place, item, check.check, root));
                }
            }
        }
        let (collections, given_up) = walk(tasks, self.session.effort);
        for ((place, item, check, root), collection) in roots.into_iter().zip(collections) {
            collected.push((place, (item, below_root(check, root, collection, given_up))));
        }
        (in_order(collected), given_up)
    }

    fn task<'t>(
        &self,
        check: &'t Check,
        root: &'t Directory,
        known: Option<Arc<CacheView>>,
        nar: bool,
        coverage: &'t Coverage<'t>,
    ) -> Task<'t> {
        Task {
            root: root.as_fd(),
            name: check.place(),
            kind: check.kind,
            selection: &check.selection,
            attributes: check.attributes,
            one_file_system: check.one_file_system,
            start: Some(self.session.start),
            strict: check.strict,
            nar: if nar && check.kind == Kind::Trees { NarOf::Modules } else { NarOf::Nothing },
            cache: known,
            links_on_the_way: check.records_links_on_the_way(),
            coverage: root.resolved.as_deref().map(|path| (coverage, path)),
        }
    }

    /// The inventories of the engines of this run, each engine once, with its socket.
    #[must_use]
    pub fn inventories(&self) -> Vec<(String, Result<Inventory, Error>)> {
        let mut known = BTreeSet::new();
        let engines = self.checks().filter_map(|OpenCheck { check, opened, .. }| {
            let path = &check.engine.as_ref()?.socket;
            if !known.insert(path) {
                return None;
            }
            let inventory = match &opened.source {
                Ok(CheckSource::Engine { socket, .. }) => collected::inventory(path, socket.as_fd()),
                Ok(CheckSource::Root(_)) => return None,
                Err(trouble) => Err(trouble.clone()),
            };
            Some((raw(path), inventory))
        });
        engines.collect()
    }

    /// The entries of each check from an export, instead of the live state. `None` if the export has no lock of a check
    /// that not every server is asked for: the server of the export may not be asked for it.
    pub fn exported(&self, shown: &str) -> Vec<(OpenCheck<'_>, Result<Option<Collected>, Error>)> {
        let everywhere = self.session.asked_everywhere();
        let found = self.checks().map(|check| {
            let found = match self.exported_of(&check, shown) {
                Ok(None) if everywhere.contains(&check.opened.place) => Err(Error::new(
                    ErrorKind::Lock,
                    format!("the export {shown} has no lock of the check {}", check.check.name),
                    "look at what `driftlock export` printed about it, or name the other checks with --check",
                )),
                found => found,
            };
            (check, found)
        });
        found.collect()
    }

    fn exported_of(&self, open: &OpenCheck<'_>, shown: &str) -> Result<Option<Collected>, Error> {
        let OpenCheck { check, opened, .. } = open;
        let name = &check.lock.name;
        let refused = |error: &LockError| {
            Error::new(
                ErrorKind::Lock,
                format!("the lock {shown}/locks/{} is refused: {error}", escaped(name.as_bytes())),
                error.help(),
            )
        };
        let export = self.session.export.as_ref();
        let found = export.map(|export| Baseline::of(check, &export.dir, name, &opened.spellings, None)).transpose();
        let Some(mut lock) = found.map_err(|error| refused(&error))?.flatten() else { return Ok(None) };
        if lock.old().is_some() {
            return Err(refused(&LockError::Old {
                problem: "a new one can't be made from it alone".to_owned(),
                help: "name a directory that `driftlock export --output` has written",
            }));
        }
        lock.belongs_to(check).map_err(|error| refused(&error))?;
        Ok(Some(List::read(&mut lock).map_err(|error| refused(&error))?.into()))
    }
}

/// Sorts items by their indices.
#[must_use]
pub fn in_order<T>(mut all: Vec<(usize, T)>) -> Vec<T> {
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, item)| item).collect()
}

/// What was collected below the root of a check.
fn below_root(check: &Check, root: &Directory, collection: Collection, given_up: bool) -> Result<Collected, Error> {
    if let Err(reason) = &collection.root {
        let problem = format!("the root {} could not be read: {reason}", shown(&check.root));
        return Err(Error::new(ErrorKind::Input, problem, reason.help()));
    }
    let mut collected = Collected::from(collection);
    // Only if nothing was found: a tree from the stat cache should not be listed.
    let found_nothing = matches!(collected.entries().next(), Ok(None));
    collected.root_is_empty =
        found_nothing && !given_up && root.dir.entries().is_ok_and(|mut names| names.next().is_none());
    if check.allow_empty {
        collected.uncovered.retain(|uncovered| !matches!(uncovered, Uncovered::Glob { .. }));
    }
    Ok(collected)
}
