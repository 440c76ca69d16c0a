//! The status of checks and runs, and totals.

use serde::{Deserialize, Serialize};

use super::row::Row;
use super::{CheckReport, HostReport, Outcome, Report};
use crate::compare::Counts;

/// The status of a check or of the whole run. A run is never [`Skip`](Self::Skip).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Everything was verified.
    Pass,
    /// Something drifted, could not be verified, or could not be checked at all.
    Fail,
    /// There was nothing to compare. Another line of the report, or the declaration, says why.
    Skip,
}

impl Status {
    /// Its word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        }
    }

    pub(super) const fn pass_if(condition: bool) -> Self {
        if condition { Self::Pass } else { Self::Fail }
    }
}

/// How many checks passed, failed and were skipped, including `lock_files_exist`. `total` is the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub total: u64,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl FromIterator<Status> for Summary {
    fn from_iter<I: IntoIterator<Item = Status>>(statuses: I) -> Self {
        let mut summary = Self::default();
        for status in statuses {
            summary.total += 1;
            match status {
                Status::Pass => summary.passed += 1,
                Status::Fail => summary.failed += 1,
                Status::Skip => summary.skipped += 1,
            }
        }
        summary
    }
}

impl CheckReport {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.outcome {
            Outcome::NoLock | Outcome::OtherMode | Outcome::NotCollected => Status::Skip,
            Outcome::Compared { .. } | Outcome::Failed(_) => Status::pass_if(!self.drifted() && !self.troubled()),
        }
    }
}

impl HostReport {
    /// Whether every lock file is there.
    #[must_use]
    pub fn lock_files_exist(&self) -> Status {
        Status::pass_if(self.missing_locks().next().is_none())
    }

    /// Whether everything was collected on the server; `None` for this machine.
    #[must_use]
    pub fn server_collection(&self) -> Option<Status> {
        self.server.as_ref().map(|server| Row::Collection(server).status())
    }

    /// Whether locks and declaration are what was sealed; `None` if no seal was asked for.
    #[must_use]
    pub fn sealed(&self) -> Option<Status> {
        self.seal.as_deref().map(|seal| Row::Seal(seal).status())
    }

    /// The totals over `lock_files_exist`, `server_collection` (for a server), `seal` (if one was asked for), and all
    /// checks.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.rows().map(Row::status).collect()
    }

    /// `PASS` exactly if the exit code is 0: trouble is never a pass.
    #[must_use]
    pub fn overall(&self) -> Status {
        Status::pass_if(self.exit_code() == 0)
    }

    /// The counts of all checks together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        sum(self.checks.iter().map(CheckReport::counts))
    }
}

impl Report {
    /// `PASS` exactly if the exit code is 0.
    #[must_use]
    pub fn overall(&self) -> Status {
        Status::pass_if(self.exit_code() == 0)
    }

    /// The counts of all hosts together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        sum(self.hosts.iter().map(HostReport::counts))
    }
}

/// Adds counts. The sum saturates, because a report that was read back may have any numbers.
pub(in crate::report) fn sum(counts: impl Iterator<Item = Counts>) -> Counts {
    counts.fold(Counts::default(), |sum, counts| Counts {
        entries: sum.entries.saturating_add(counts.entries),
        verified: sum.verified.saturating_add(counts.verified),
        drifted: sum.drifted.saturating_add(counts.drifted),
        unverified: sum.unverified.saturating_add(counts.unverified),
    })
}
