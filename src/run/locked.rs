//! A check with its lock, from the comparison to the verdict.

use super::verdict::judge;
use crate::baseline::Baseline;
use crate::compare::Comparison;
use crate::manifest::{Crossing, LockError, Uncovered};
use crate::report::{CheckReport, Outcome};
use crate::session::{OpenCheck, in_order};

/// A check that can be compared with its lock.
pub struct Locked<'r> {
    pub check: OpenCheck<'r>,
    /// Its index among the checks of the run.
    pub place: usize,
    pub lock: Baseline,
    /// Its report so far. Until it is judged, that says that nothing was collected.
    pub report: CheckReport,
}

/// What was collected of a check, other than its entries.
#[derive(Default)]
pub struct Observations {
    pub mounts: Vec<Crossing>,
    pub uncovered: Vec<Uncovered>,
    pub touched: Vec<Vec<u8>>,
    /// Whether its root is empty.
    pub is_empty: bool,
}

/// Opens the lock of a check.
///
/// # Errors
/// The outcome of the check, if it can't be compared.
pub fn open(check: &OpenCheck<'_>) -> Result<Baseline, Box<Outcome>> {
    if !check.applies() {
        return Err(Box::new(Outcome::OtherMode));
    }
    let failed = |trouble| Box::new(Outcome::Failed(trouble));
    check.project().map_err(failed)?;
    let lock = check.lock().map_err(failed)?.ok_or_else(|| Box::new(Outcome::NoLock))?;
    lock.belongs_to(check.check).map_err(|error| failed(check.refused(&error)))?;
    if let Some(server) = check.on {
        check.root_there(server).map_err(failed)?;
    }
    Ok(lock)
}

/// The checks of a run on one machine.
pub(super) struct Checks<'r> {
    /// The checks that can be compared.
    pub locked: Vec<Locked<'r>>,
    /// The reports of checks that ended before anything was read, each with its index.
    ended: Vec<(usize, CheckReport)>,
}

impl<'r> Checks<'r> {
    /// Opens the locks of these checks.
    pub fn open(all: impl Iterator<Item = OpenCheck<'r>>) -> Self {
        let mut checks = Self { locked: Vec::new(), ended: Vec::new() };
        for (place, check) in all.enumerate() {
            match open(&check) {
                Ok(lock) => {
                    let mut report = report(&check, Outcome::NotCollected);
                    report.old_lock = lock.old();
                    checks.locked.push(Locked { check, place, lock, report });
                }
                Err(outcome) => checks.ended.push((place, report(&check, *outcome))),
            }
        }
        checks
    }

    /// The reports of all checks, in order.
    pub fn reports(self) -> Vec<CheckReport> {
        let mut all = self.ended;
        all.extend(self.locked.into_iter().map(|locked| (locked.place, locked.report)));
        in_order(all)
    }
}

/// The report of a check before anything is read.
fn report(check: &OpenCheck<'_>, outcome: Outcome) -> CheckReport {
    CheckReport {
        name: check.check.name.clone(),
        kind: check.check.kind,
        root: check.place(),
        resolved_root: check.resolved_root(),
        declared_root: check.declared_root(),
        lock: check.lock_path(),
        uncovered: Vec::new(),
        uncovered_is_trouble: check.check.uncovered_is_trouble,
        outcome,
        mounts: Vec::new(),
        touched: Vec::new(),
        trusted: 0,
        old_lock: None,
    }
}

impl Locked<'_> {
    /// Sets the outcome of a comparison with the live state. `live` returns the digest of the live state.
    pub fn judge(
        &mut self,
        compared: Result<Comparison, LockError>,
        observations: Observations,
        live: impl FnOnce() -> Option<String>,
    ) {
        let Observations { mounts, uncovered, touched, is_empty } = observations;
        let report = &mut self.report;
        report.mounts = mounts;
        report.outcome = match compared {
            Err(error) => Outcome::Failed(self.check.refused(&error)),
            Ok(comparison) => {
                let place = (&*report.root, is_empty);
                judge(self.check.check, place, comparison, self.lock.stated_digest(), live)
            }
        };
        if matches!(report.outcome, Outcome::Compared { .. }) {
            (report.uncovered, report.touched) = (uncovered, touched);
        }
    }

    /// Its comparison, if it was compared.
    #[must_use]
    pub const fn found(&self) -> Option<&Comparison> {
        match &self.report.outcome {
            Outcome::Compared { comparison, .. } => Some(comparison),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub const fn found_mut(&mut self) -> Option<&mut Comparison> {
        match &mut self.report.outcome {
            Outcome::Compared { comparison, .. } => Some(comparison),
            _ => None,
        }
    }
}
