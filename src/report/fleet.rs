//! What one run found on several servers: a report of each, and the sums over them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::chain::Previous;
use super::status::sum;
use super::{Report, Status, Window, json};
use crate::compare::Counts;
use crate::sandbox::Enforced;

/// One run of `driftlock check` over several servers.
#[derive(Debug)]
pub struct Fleet {
    /// When the run started, as in a [`Report`].
    pub timestamp: String,
    pub started: String,
    /// As in a [`Report`]. Those of its servers have none.
    pub previous: Option<Previous>,
    /// The layers that held around this process.
    pub sandbox: Enforced,
    /// In the order in which they were named. Each has its [`server`](Report::server).
    pub servers: Vec<Report>,
}

/// How many servers ended as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

    /// Servers of which the same is to be said, together, in the order of the first of them.
    #[must_use]
    pub fn alike(&self) -> Vec<Vec<&Report>> {
        together(self.servers.iter(), json::gist)
    }

    /// The sums over the counts of all servers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        sum(self.servers.iter().map(Report::counts))
    }
}

/// Reports of servers that were asked for the same checks, together, in the order of the first of them.
pub fn kinds<'a>(reports: impl Iterator<Item = &'a Report>) -> Vec<Vec<&'a Report>> {
    together(reports, |report| report.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>())
}

/// Reports that have the same key, together, in the order of the first of them.
fn together<'a, K: Eq + Hash>(
    reports: impl Iterator<Item = &'a Report>,
    key: impl Fn(&'a Report) -> K,
) -> Vec<Vec<&'a Report>> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<&Report>> = Vec::new();
    for report in reports {
        let place = *places.entry(key(report)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(report),
            None => groups.push(vec![report]),
        }
    }
    groups
}

/// The report of one machine, or of several servers: for the forms to which it makes little difference.
#[derive(Clone, Copy, Debug)]
pub enum Reports<'a> {
    One(&'a Report),
    Several(&'a Fleet),
}

impl<'a> From<&'a Report> for Reports<'a> {
    fn from(report: &'a Report) -> Self {
        Self::One(report)
    }
}

impl<'a> From<&'a Fleet> for Reports<'a> {
    fn from(fleet: &'a Fleet) -> Self {
        Self::Several(fleet)
    }
}

impl<'a> Reports<'a> {
    /// Each of them.
    #[must_use]
    pub const fn all(self) -> &'a [Report] {
        match self {
            Self::One(report) => std::slice::from_ref(report),
            Self::Several(fleet) => fleet.servers.as_slice(),
        }
    }

    #[must_use]
    pub fn started(self) -> &'a str {
        match self {
            Self::One(report) => &report.started,
            Self::Several(fleet) => &fleet.started,
        }
    }

    #[must_use]
    pub const fn sandbox(self) -> &'a Enforced {
        match self {
            Self::One(report) => &report.sandbox,
            Self::Several(fleet) => &fleet.sandbox,
        }
    }

    /// The exit code of the run.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::One(report) => report.exit_code(),
            Self::Several(fleet) => fleet.exit_code(),
        }
    }

    /// Until when drift is expected, which is the same for all of a run.
    #[must_use]
    pub fn window(self) -> Option<&'a Window> {
        self.all().first()?.window.as_ref()
    }

    /// Whether drift was expected when the run started.
    #[must_use]
    pub fn window_is_open(self) -> bool {
        self.all().first().is_some_and(Report::window_is_open)
    }

    /// The lock files that are missing, each once, however many servers are to be compared with it.
    #[must_use]
    pub fn missing_locks(self) -> Vec<&'a str> {
        let mut known = HashSet::new();
        let all = self.all().iter().flat_map(|report| &report.missing_locks).map(String::as_str);
        all.filter(|lock| known.insert(*lock)).collect()
    }
}
