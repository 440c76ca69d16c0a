//! Takes single drifts into locks, and leaves all other entries as they were locked.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Follow;
use super::connections::Connection;
use super::lock::{acceptable, touched, write_lock};
use super::state::{self, Live};
use crate::accept::{self, AcceptError, Choice, Drifted, Unit};
use crate::baseline::Baseline;
use crate::capability;
use crate::compare::{self, Comparison, DifferenceBudget};
use crate::declaration::{Check, Server};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Sha256Digest, json};
use crate::path::escaped;
use crate::session::{Collected, OpenCheck, Run};
use crate::shell;

/// A check with its drift.
pub struct Case<'r> {
    pub check: OpenCheck<'r>,
    live: Collected,
    pub drifted: Drifted,
    pub units: Vec<Unit>,
    /// What identifies this version of the lock.
    lock: Vec<u8>,
}

/// A new lock that was not written yet.
pub struct New<'c, 'r> {
    pub case: &'c Case<'r>,
    /// The drift that it accepts.
    pub taken: Comparison,
    pub entries: Collected,
    digest: Sha256Digest,
    pub path: String,
}

/// The drift of a check, or why it is not known.
pub type CaseResult<'r> = Result<Case<'r>, Error>;

/// The drift of the checks for this machine.
pub fn here(run: &Run, follow: impl Follow) -> Vec<CaseResult<'_>> {
    let live = state::here(run, run.checks().filter(OpenCheck::applies), follow);
    live.into_iter().map(|Live { check, found }| Case::new(check, vec![check.place()], found?)).collect()
}

/// The differences between an export and the locks. `shown` is the export's path in messages.
#[must_use]
pub fn of_export<'r>(run: &'r Run, shown: &str) -> Vec<CaseResult<'r>> {
    let there = run.session.declared.declaration.roots_on_servers();
    let found = run.exported(shown).into_iter();
    let found = found.filter_map(|(check, found)| {
        Some(found.transpose()?.and_then(|live| Case::new(check, places(&there, check.check, None), live)))
    });
    found.collect()
}

/// The drift of the checks that a server is asked for.
///
/// # Errors
/// The server can't be reached, or does not answer in full.
pub fn of_server<'r>(
    run: &'r Run,
    connection: Connection<'_>,
    server: &'r Server,
) -> Result<Vec<CaseResult<'r>>, Error> {
    let there = run.session.declared.declaration.roots_on_servers();
    let (live, _) = state::of_server(run, connection, server)?;
    let found = live
        .into_iter()
        .map(|Live { check, found }| Case::new(check, places(&there, check.check, Some(check.place())), found?));
    Ok(found.collect())
}

/// The roots that an operator may name for the entries of a check: on the server that was asked, here, and on any
/// server. `there` has the roots that servers declare.
fn places(there: &HashMap<&str, Vec<&Path>>, check: &Check, asked: Option<String>) -> Vec<String> {
    let roots = there.get(check.name.as_str()).into_iter().flatten().copied();
    let roots = roots.chain(check.server_root.as_deref()).map(capability::raw);
    let mut places: Vec<_> = asked.into_iter().chain([check.place()]).collect();
    if check.engine.is_none() {
        places.extend(roots);
    }
    let mut known = HashSet::new();
    places.retain(|place| known.insert(place.clone()));
    places
}

impl<'r> Case<'r> {
    fn new(open: OpenCheck<'r>, places: Vec<String>, live: Collected) -> Result<Self, Error> {
        let check = open.check;
        let name = shell::word(check.name.as_bytes());
        let refused = |error: &AcceptError| error.trouble(&check.name);
        let mut lock = open.lock()?.ok_or_else(|| {
            Error::new(
                ErrorKind::Lock,
                format!("the check {} has no lock that could accept changes", check.name),
                format!("write it: {}", open.run.session.lock_line(check)),
            )
        })?;
        if lock.old().is_some() {
            let lock = open.lock_path();
            return Err(Error::new(
                ErrorKind::Lock,
                format!("{} is an old lock, which can't record the live state", escaped(lock.as_bytes())),
                format!("write a new one: driftlock lock --check {name}"),
            ));
        }
        lock.belongs_to(check).map_err(|error| open.refused(&error))?;
        let identity = lock.identity();
        let found = compare::compare_baseline(&mut DifferenceBudget::default(), &mut lock, &mut live.entries());
        let found = found.map_err(|error| open.refused(&error))?;
        let drifted = Drifted { kind: check.kind, places, found };
        let units = accept::units(&drifted).map_err(|error| refused(&error))?;
        Ok(Self { check: open, live, drifted, units, lock: identity })
    }

    /// Builds the lock with the chosen drift.
    ///
    /// # Errors
    /// Something that was chosen can't be accepted.
    pub fn with<'c>(&'c self, choice: &Choice) -> Result<New<'c, 'r>, Error> {
        let open = &self.check;
        let check = open.check;
        let refused = |error: AcceptError| error.trouble(&check.name);
        accept::whole(&self.drifted, &self.units, choice).map_err(refused)?;
        let mut lock = self.same_lock()?;
        let list = accept::taken(&self.drifted, choice, &mut lock, &mut self.live.entries()).map_err(refused)?;
        let taken = self.drifted.chosen(choice);
        let misfits = open.misfits(&self.live)?;
        let misfits: HashSet<_> = misfits.different.iter().chain(&misfits.missing).collect();
        if let Some(drift) = taken.drift.iter().find(|drift| misfits.contains(&drift.path)) {
            return Err(Error::new(
                ErrorKind::Lock,
                format!("{} is not what the Compose files of the check {} declare", drift.path, check.name),
                "start the stack as its files declare, or write the file that `config` names again",
            ));
        }
        let own: HashSet<&[u8]> = taken.drift.iter().map(|drift| drift.path.as_bytes()).collect();
        let touched = self.live.touched.iter().filter(|path| own.contains(&***path)).cloned().collect();
        let mut entries = Collected::from(list);
        (entries.uncovered, entries.touched) = (self.live.uncovered.clone(), touched);
        acceptable(open, &entries)?;
        let digest = json::digest(&mut entries.entries()).map_err(|error| open.refused(&error))?;
        Ok(New { case: self, taken, entries, digest, path: open.new_lock_path() })
    }

    /// Opens the lock again, and checks that it is still the one that was compared.
    fn same_lock(&self) -> Result<Baseline, Error> {
        match self.check.lock()? {
            Some(lock) if lock.identity() == self.lock => Ok(lock),
            _ => Err(Error::new(
                ErrorKind::Lock,
                format!("the lock {} was changed during the run", escaped(self.check.lock_path().as_bytes())),
                "run it again; nothing was accepted into it",
            )),
        }
    }
}

impl New<'_, '_> {
    /// Whether it has all of the live state.
    #[must_use]
    pub const fn takes_all(&self) -> bool {
        self.taken.counts.drifted == self.case.drifted.found.counts.drifted
    }

    /// Writes it, if the run may write. First passes warnings about it to `tell`.
    ///
    /// # Errors
    /// The lock is not the one that was compared any more, and those of the file system.
    pub fn write(&self, tell: impl FnOnce(&Error)) -> Result<(), Error> {
        self.case.same_lock()?;
        if let Some(warning) = touched(self.case.check.check, &self.entries) {
            tell(&warning);
        }
        write_lock(&self.case.check, &self.entries, self.digest)
    }
}
