//! What is wrong with a check, one by one, for the forms that have an item for each.

use super::text::describe;
use super::words::{Prose, counted, grouped, shown};
use super::{CheckReport, Outcome, Report, Status, Trouble};
use crate::compare::{Drift, UnverifiedEntry};
use crate::path::escaped;

/// One thing that is wrong.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    MissingLock,
    Failed(&'a Trouble),
    Drift(&'a Drift),
    Unverified(&'a UnverifiedEntry),
}

/// All that is wrong with a check, drift first.
pub(super) fn of(check: &CheckReport) -> Vec<Finding<'_>> {
    match &check.outcome {
        Outcome::NoLock => vec![Finding::MissingLock],
        Outcome::OtherMode | Outcome::NotCollected => Vec::new(),
        Outcome::Failed(trouble) => vec![Finding::Failed(trouble)],
        Outcome::Compared { comparison, .. } => {
            let drift = comparison.drift.iter().map(Finding::Drift);
            drift.chain(comparison.unverified.iter().map(Finding::Unverified)).collect()
        }
    }
}

impl Finding<'_> {
    /// A word for the sort of finding: a change as JSON reports have it, `unverified`, `trouble` or `missing_lock`.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::MissingLock => "missing_lock",
            Self::Failed(_) => "trouble",
            Self::Drift(drift) => drift.change.name(),
            Self::Unverified(_) => "unverified",
        }
    }

    /// Whether it is trouble, and not drift.
    pub(super) const fn is_trouble(self) -> bool {
        matches!(self, Self::Failed(_) | Self::Unverified(_))
    }

    /// In one line, with its path. Harmless.
    pub(super) fn message(self, check: &CheckReport) -> String {
        let path = |path: &crate::path::EntryPath| shown(&check.root, path.as_bytes());
        match self {
            Self::MissingLock => {
                let (lock, name) = (escaped(check.lock.as_bytes()), escaped(check.name.as_bytes()));
                format!("missing lock file: {lock}; run `driftlock lock --check {name}`")
            }
            Self::Failed(Trouble { problem, remedy }) if remedy.is_empty() => Prose(problem).to_string(),
            Self::Failed(Trouble { problem, remedy }) => format!("{}; to do: {}", Prose(problem), Prose(remedy)),
            Self::Drift(drift) => {
                let (label, text) = (describe::label(drift.change), describe::drift(&check.root, drift));
                format!("{label}: {} ({text})", path(&drift.path))
            }
            Self::Unverified(entry) => {
                format!("unverified: {}: {}", path(&entry.path), Prose(&entry.reason.to_string()))
            }
        }
    }
}

/// How a check ended, in a few words. Harmless.
pub(super) fn sentence(check: &CheckReport) -> String {
    match &check.outcome {
        Outcome::NoLock => format!("its lock file {} is missing", escaped(check.lock.as_bytes())),
        Outcome::OtherMode => "not for this mode".to_owned(),
        Outcome::NotCollected => "not collected".to_owned(),
        Outcome::Failed(trouble) => Prose(&trouble.problem).to_string(),
        Outcome::Compared { comparison, .. } => {
            let counts = comparison.counts;
            let all = counted(counts.entries, "entry", "entries");
            match (counts.drifted, counts.unverified) {
                (0, 0) if counts.entries == 1 => "its 1 entry verified".to_owned(),
                (0, 0) => format!("all {all} verified"),
                (drifted, 0) => format!("{} of {all} drifted", grouped(drifted)),
                (0, unverified) => format!("{} of {all} unverified", grouped(unverified)),
                (drifted, unverified) => {
                    format!("{} of {all} drifted, {} unverified", grouped(drifted), grouped(unverified))
                }
            }
        }
    }
}

/// What the run found, in one line: the verdict first. Harmless.
pub(super) fn headline(report: &Report) -> String {
    let counts = report.counts();
    let number = |of: fn(&CheckReport) -> bool| report.checks.iter().filter(|check| of(check)).count() as u64;
    let mut parts = Vec::new();
    let drifted = number(CheckReport::drifted);
    if drifted > 0 {
        let entries = counted(counts.drifted, "entry", "entries");
        parts.push(format!("{entries} drifted in {}", counted(drifted, "check", "checks")));
    }
    match report.missing_locks.len() as u64 {
        0 => {}
        missing => parts.push(format!("{} missing", counted(missing, "lock file", "lock files"))),
    }
    if counts.unverified > 0 {
        parts.push(format!("{} unverified", counted(counts.unverified, "entry", "entries")));
    }
    match number(|check| matches!(check.outcome, Outcome::Failed(_))) {
        0 => {}
        failed => parts.push(format!("{} could not be carried out", counted(failed, "check", "checks"))),
    }
    if parts.is_empty() {
        let passed = counted(number(|check| check.status() == Status::Pass), "check", "checks");
        parts.push(format!("{passed} passed, {} verified", counted(counts.entries, "entry", "entries")));
    }
    format!("{}: {}", verdict(report), parts.join(", "))
}

/// The verdict in one or two words.
pub(super) fn verdict(report: &Report) -> &'static str {
    match report.exit_code() {
        0 => "No drift",
        1 => "Drift",
        2 => "Trouble",
        _ => "Drift and trouble",
    }
}
