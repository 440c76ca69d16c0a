//! What one run found on several servers: a report of each, and the sums over them.

use serde::Serialize;

use super::status::sum;
use super::{Report, Status};
use crate::compare::Counts;
use crate::sandbox::Enforced;

/// One run of `driftlock check` over several servers.
#[derive(Debug)]
pub struct Fleet {
    /// When the run started, as in a [`Report`].
    pub timestamp: String,
    pub started: String,
    /// The layers that held around this process.
    pub sandbox: Enforced,
    /// In the order in which they were named. Each has its [`server`](Report::server).
    pub servers: Vec<Report>,
}

/// How many servers ended as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FleetSummary {
    pub total: u64,
    /// Everything was verified there.
    pub passed: u64,
    pub failed: u64,
    /// Of those that failed, how many could not be reached, or did not answer in full.
    pub not_collected: u64,
}

impl Fleet {
    /// The exit code: the bits of all servers.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.servers.iter().fold(0, |code, report| code | report.exit_code())
    }

    /// `PASS` exactly if the exit code is 0.
    #[must_use]
    pub fn overall(&self) -> Status {
        Status::pass_if(self.exit_code() == 0)
    }

    /// The sums over the servers.
    #[must_use]
    pub fn summary(&self) -> FleetSummary {
        let count = |which: fn(&Report) -> bool| self.servers.iter().filter(|report| which(report)).count() as u64;
        let total = self.servers.len() as u64;
        let passed = count(|report| report.exit_code() == 0);
        let not_collected = count(|report| report.server_collection() == Some(Status::Fail));
        FleetSummary { total, passed, failed: total - passed, not_collected }
    }

    /// The sums over the counts of all servers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        sum(self.servers.iter().map(Report::counts))
    }
}
