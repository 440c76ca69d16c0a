//! The servers of a report: their totals, and groups of servers with the same findings.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::{HostReport, Report, Status, json};

/// How many servers passed and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServersSummary {
    pub total: u64,
    /// Everything was verified there.
    pub passed: u64,
    pub failed: u64,
    /// How many of those that failed could not be reached, or did not answer in full.
    pub not_collected: u64,
}

impl Report {
    /// The totals over the servers.
    #[must_use]
    pub fn servers_summary(&self) -> ServersSummary {
        let count = |which: fn(&HostReport) -> bool| self.hosts.iter().filter(|host| which(host)).count() as u64;
        let total = self.hosts.len() as u64;
        let passed = count(|host| host.exit_code() == 0);
        let not_collected = count(|host| host.server_collection() == Some(Status::Fail));
        ServersSummary { total, passed, failed: total - passed, not_collected }
    }

    /// Groups of hosts with the same findings, ordered by the first host of each.
    #[must_use]
    pub fn alike(&self) -> Vec<Vec<&HostReport>> {
        together(self.hosts.iter(), json::gist)
    }
}

/// Groups of hosts that were asked for the same checks, ordered by the first host of each.
pub(super) fn by_checks<'a>(hosts: impl Iterator<Item = &'a HostReport>) -> Vec<Vec<&'a HostReport>> {
    together(hosts, |host| host.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>())
}

/// Groups of hosts with the same key, ordered by the first host of each.
fn together<'a, K: Eq + Hash>(
    hosts: impl Iterator<Item = &'a HostReport>,
    key: impl Fn(&'a HostReport) -> K,
) -> Vec<Vec<&'a HostReport>> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<&HostReport>> = Vec::new();
    for host in hosts {
        let place = *places.entry(key(host)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(host),
            None => groups.push(vec![host]),
        }
    }
    groups
}
