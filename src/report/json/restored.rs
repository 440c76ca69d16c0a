//! A report that was read back, as the type that all forms are rendered from.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::document::Skipped;
use super::{Kept, Parsed, ParsedCheck, ParsedServers, ParsedUnverified, ReportError, details};
use crate::compare::{Comparison, UnverifiedEntry};
use crate::manifest::Unverified;
use crate::path::{EntryPath, directories_above};
use crate::report::{
    CheckReport, HostReport, LOCK_FILES_EXIST, Outcome, Report, RunInfo, SERVER_COLLECTION, Scope, ServerReport,
};

impl Parsed {
    /// The report itself. Written as JSON once more it is the same to the byte.
    ///
    /// # Errors
    /// `details` that do not follow from the entries. Only those of this version of driftlock can be told; an older one
    /// may have put them in other words.
    pub fn into_report(self) -> Result<Report, ReportError> {
        let stated: Vec<_> = match self.driftlock.as_str() {
            env!("CARGO_PKG_VERSION") => self.checks.iter().map(|check| check.details.clone()).collect(),
            _ => Vec::new(),
        };
        let mut collection = self.checks.iter().find(|check| check.name == SERVER_COLLECTION).cloned();
        let server = self.server.map(|server| ServerReport {
            name: server.name,
            host: server.host,
            head: server.head,
            trouble: collection.as_mut().and_then(|check| check.trouble.take()),
        });
        let checks = self.checks.into_iter().filter_map(check).collect();
        let host = HostReport { server, duration: Duration::from_millis(self.duration_ms), bytes: self.bytes, checks };
        let expected = std::iter::once((LOCK_FILES_EXIST, details::lock_files(&host)))
            .chain(host.server.iter().map(|server| (SERVER_COLLECTION, details::collection(server))))
            .chain(host.checks.iter().map(|check| (check.name.as_str(), details::check(check, host.mode()))));
        for ((name, expected), stated) in expected.zip(stated) {
            if expected != stated {
                let problem = format!("check {name}: its details do not fit its entries");
                return Err(ReportError::Inconsistent { problem });
            }
        }
        let run = RunInfo {
            scope: if host.server.is_some() { Scope::OneServer } else { Scope::ThisMachine },
            timestamp: self.timestamp,
            started: self.started,
            previous: self.previous,
            window: self.window,
            sandbox: self.sandbox,
            ground: None,
        };
        Ok(Report { run, hosts: vec![host] })
    }
}

impl ParsedServers {
    /// The report itself. Written as JSON once more it is the same to the byte.
    ///
    /// # Errors
    /// What can't be of one run, sums that do not follow from the servers, and those of [`Parsed::into_report`].
    pub fn into_report(self) -> Result<Report, ReportError> {
        let inconsistent = |problem: &str| Err(ReportError::Inconsistent { problem: problem.to_owned() });
        let Some(first) = self.servers.first() else { return inconsistent("it has no servers") };
        let window = first.window.clone();
        let of_one_run = |server: &Parsed| {
            (&server.driftlock, &server.timestamp, &server.started) == (&self.driftlock, &self.timestamp, &self.started)
                && (&server.sandbox, &server.window) == (&self.sandbox, &window)
                && server.previous.is_none()
        };
        if !self.servers.iter().all(of_one_run) {
            return inconsistent("its servers were not checked in one run");
        }
        let mut kinds = HashMap::new();
        let mut checks = self.servers.iter().flat_map(|server| &server.checks);
        if !checks.all(|check| *kinds.entry(&check.name).or_insert(check.kind) == check.kind) {
            return inconsistent("its servers have different checks of one name");
        }
        let mut known = HashSet::new();
        let mut names = self.servers.iter().map(|server| server.server.as_ref().map(|server| &server.name));
        if !names.all(|name| name.is_some_and(|name| known.insert(name))) {
            return inconsistent("a server has no name, or that of another");
        }
        let mut hosts = Vec::new();
        for server in self.servers {
            hosts.extend(server.into_report()?.hosts);
        }
        let Self { timestamp, started, previous, sandbox, .. } = self;
        let scope = Scope::Servers;
        let run = RunInfo { scope, timestamp, started, previous, window, sandbox, ground: None };
        let report = Report { run, hosts };
        if self.summary != report.servers_summary() || self.counts != report.counts() {
            return inconsistent("its summary or its counts do not fit its servers");
        }
        if self.exit_code != report.exit_code() || self.overall != report.overall() {
            return inconsistent("its verdict does not fit its servers");
        }
        Ok(report)
    }
}

impl Kept {
    /// The report itself.
    ///
    /// # Errors
    /// Those of [`Parsed::into_report`] and of [`ParsedServers::into_report`].
    pub fn into_report(self) -> Result<Report, ReportError> {
        match self {
            Self::One(parsed) => parsed.into_report(),
            Self::Several(parsed) => parsed.into_report(),
        }
    }
}

/// Nothing for what no declaration has, which follows from the others.
fn check(parsed: ParsedCheck) -> Option<CheckReport> {
    let (kind, root, lock) = (parsed.kind?, parsed.root?, parsed.lock?);
    let outcome = match (parsed.trouble, parsed.skipped) {
        (Some(trouble), _) => Outcome::Failed(trouble),
        (None, Some(Skipped::NoLock)) => Outcome::NoLock,
        (None, Some(Skipped::OtherMode)) => Outcome::OtherMode,
        (None, Some(Skipped::NotCollected)) => Outcome::NotCollected,
        (None, None) => Outcome::Compared {
            comparison: Comparison {
                drift: parsed.drift,
                unverified: unverified(parsed.unverified),
                counts: parsed.counts,
                left_out: parsed.left_out,
            },
            digest: parsed.digest,
            live_digest: parsed.live_digest,
        },
    };
    let touched = parsed.touched.iter().map(|path| path.as_bytes().to_vec()).collect();
    Some(CheckReport {
        name: parsed.name,
        kind,
        root,
        resolved_root: parsed.resolved_root,
        declared_root: parsed.declared_root,
        lock,
        outcome,
        mounts: parsed.mounts,
        uncovered: parsed.uncovered,
        uncovered_is_trouble: parsed.uncovered_is_trouble,
        touched,
        trusted: parsed.trusted,
        old_lock: parsed.old_lock,
    })
}

/// Text reports fold what lies below a directory that could not be read, so that is told from the words.
fn unverified(entries: Vec<ParsedUnverified>) -> Vec<UnverifiedEntry> {
    let restored = entries.into_iter().map(|ParsedUnverified { path, reason, cause }| {
        let reason = below(&path, &reason).unwrap_or_else(|| Unverified::Reported(cause, reason.into()));
        UnverifiedEntry { path, reason }
    });
    restored.collect()
}

/// The reason in which `reason` is the word for one of the directories above a path.
fn below(path: &EntryPath, reason: &str) -> Option<Unverified> {
    let directory = reason.strip_prefix(Unverified::BELOW.0)?.strip_suffix(Unverified::BELOW.1)?;
    // A directory above is shown as the beginning of the path is.
    let shown = path.to_string();
    shown.strip_prefix(directory)?.strip_prefix('/')?;
    // No escape has a slash in it.
    let names = directory.matches('/').count() + 1;
    Some(Unverified::Below(directories_above(path.as_bytes()).nth(names - 1)?.into()))
}
