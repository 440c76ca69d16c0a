//! Reads a report back. A report is evidence, so this is strict: it builds the report again from its fields, and
//! refuses it if the bytes differ.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::document::{self, Check, Document, Mode, ServersDocument, Skipped};
use super::{ReportError, SCHEMA, SERVERS_SCHEMA, digest, digests};
use crate::compare::{Comparison, Counts};
use crate::manifest::Sha256Digest;
use crate::path::EntryPath;
use crate::remote::Head;
use crate::report::chain::timestamp;
use crate::report::seal::SealReport;
use crate::report::{
    CheckReport, HostReport, LOCK_FILES_EXIST, Outcome, Report, RunInfo, SEAL, SERVER_COLLECTION, Scope, ServerReport,
    Status, Summary,
};

#[derive(Deserialize)]
struct Schema {
    schema: Option<serde_json::Value>,
}

/// Reads a JSON report, of one machine or of several servers. Written as JSON again, it has the same value.
///
/// # Errors
/// It is not a report, is incomplete, has another schema, or contradicts itself.
pub fn read(bytes: &[u8]) -> Result<Report, ReportError> {
    match schema(bytes)?.as_str() {
        SCHEMA => one(document(bytes)?),
        _ => several(document(bytes)?),
    }
}

/// Reads a JSON report of one machine.
///
/// # Errors
/// Those of [`read`], and a report of several servers.
pub fn read_one(bytes: &[u8]) -> Result<Report, ReportError> {
    match schema(bytes)?.as_str() {
        SCHEMA => one(document(bytes)?),
        _ => Err(ReportError::Several),
    }
}

/// Which of the two schemas a report has. Checked first, because nothing can be said about a report of another schema.
fn schema(bytes: &[u8]) -> Result<String, ReportError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReportError::Empty);
    }
    let head: Schema = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Eof => ReportError::Truncated { line: error.line() },
        Category::Data => ReportError::NotAReport,
        Category::Syntax | Category::Io => ReportError::NotJson { problem: error.to_string() },
    })?;
    match head.schema {
        Some(serde_json::Value::String(schema)) if schema == SCHEMA || schema == SERVERS_SCHEMA => Ok(schema),
        Some(serde_json::Value::String(found)) if is_ours(&found) => Err(ReportError::Version { found }),
        _ => Err(ReportError::NotAReport),
    }
}

fn is_ours(schema: &str) -> bool {
    let version = schema.strip_prefix("driftlock-report-").or_else(|| schema.strip_prefix("driftlock-servers-"));
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
}

fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReportError> {
    serde_json::from_slice(bytes).map_err(|error| ReportError::Form { problem: error.to_string() })
}

fn form<T>(problem: impl Into<String>) -> Result<T, ReportError> {
    Err(ReportError::Form { problem: problem.into() })
}

fn inconsistent<T>(problem: impl Into<String>) -> Result<T, ReportError> {
    Err(ReportError::Inconsistent { problem: problem.into() })
}

/// Builds the report of one host, and checks that it is the one in the document.
fn one(document: Document<'_>) -> Result<Report, ReportError> {
    if document.schema != SCHEMA {
        return form(format!("its `schema` is not {SCHEMA}"));
    }
    if document.started.parse::<jiff::Timestamp>().is_err() {
        return form(format!("`started`, {:?}, is not a time", document.started));
    }
    // It is the name of the report's folder: `started` without the offset.
    let expected = timestamp(&document.started);
    if document.timestamp != expected {
        return inconsistent(format!("its `timestamp` should be {expected}"));
    }
    let stated = Stated::of(&document);
    let driftlock = document.driftlock.clone();
    let (run, host) = built(document)?;
    let mut again = document::of(&run, &host);
    // Another version may have worded `details` differently.
    if driftlock != again.driftlock {
        again.driftlock = driftlock;
        for (check, stated) in again.checks.iter_mut().zip(&stated.checks) {
            check.details.clone_from(&stated.details);
        }
    }
    match stated.contradiction(&Stated::of(&again)) {
        Some(problem) => inconsistent(problem),
        None => Ok(Report { run, hosts: vec![host] }),
    }
}

/// The fields of a document that follow from the others, and the digest of the whole document.
struct Stated {
    checks: Vec<StatedCheck>,
    summary: Summary,
    counts: Counts,
    exit_code: u8,
    overall: Status,
    whole: Sha256Digest,
}

struct StatedCheck {
    name: String,
    status: Status,
    details: String,
}

impl Stated {
    fn of(document: &Document<'_>) -> Self {
        let check = |check: &Check<'_>| StatedCheck {
            name: check.name.clone(),
            status: check.status,
            details: check.details.clone(),
        };
        Self {
            checks: document.checks.iter().map(check).collect(),
            summary: document.summary,
            counts: document.counts,
            exit_code: document.exit_code,
            overall: document.overall,
            whole: digest(document),
        }
    }

    /// The first difference from a document that was built again.
    fn contradiction(&self, again: &Self) -> Option<String> {
        for (stated, built) in self.checks.iter().zip(&again.checks) {
            let problem = if stated.status != built.status {
                format!("its status should be {}", built.status.word())
            } else if stated.details != built.details {
                "its details do not fit its entries".to_owned()
            } else {
                continue;
            };
            return Some(format!("check {}: {problem}", stated.name));
        }
        let problem = if self.summary != again.summary {
            "its summary does not fit its checks"
        } else if self.counts != again.counts {
            "its counts do not fit those of its checks"
        } else if self.exit_code != again.exit_code {
            "its exit code does not fit its checks"
        } else if self.overall != again.overall {
            "its verdict does not fit its checks"
        } else if self.whole != again.whole {
            "it has fields that do not fit each other"
        } else {
            return None;
        };
        Some(problem.to_owned())
    }
}

/// The run and the host of a document.
fn built(document: Document<'_>) -> Result<(RunInfo, HostReport), ReportError> {
    let mut checks = document.checks.into_iter();
    if checks.next().is_none_or(|check| check.name != LOCK_FILES_EXIST) {
        return inconsistent("its first check is not that of the lock files");
    }
    let collection = checks.as_slice().first().is_some_and(|check| check.name == SERVER_COLLECTION);
    if collection != document.server.is_some() || collection != (document.mode == Mode::Server) {
        return inconsistent("its mode, its server and the check of the collection do not fit each other");
    }
    let server = document.server.map(|server| ServerReport {
        head: server.driftlock.zip(server.sandbox).map(|(driftlock, sandbox)| Head {
            driftlock,
            landlock: sandbox.landlock,
            seccomp: sandbox.seccomp,
        }),
        name: server.name,
        host: server.host,
        trouble: checks.next().and_then(|collection| collection.trouble),
    });
    let is_sealed = checks.as_slice().first().is_some_and(|check| check.name == SEAL);
    if is_sealed != document.seal.is_some() {
        return inconsistent("its seal and the check of the seal do not fit each other");
    }
    let seal = match document.seal.map(SealReport::try_from).transpose() {
        Ok(seal) => seal.map(Arc::new),
        Err(problem) => return inconsistent(problem),
    };
    let checks = checks.skip(usize::from(is_sealed));
    let mut names = HashSet::from([LOCK_FILES_EXIST, SERVER_COLLECTION, SEAL].map(str::to_owned));
    let mut all = Vec::new();
    for check in checks {
        let name = check.name.clone();
        match self::check(check) {
            Ok(check) => all.push(check),
            Err(problem) => return inconsistent(format!("check {name}: {problem}")),
        }
        if !names.insert(name) {
            return inconsistent("two checks have the same name");
        }
    }
    let run = RunInfo {
        scope: if server.is_some() { Scope::OneServer } else { Scope::ThisMachine },
        timestamp: document.timestamp,
        started: document.started,
        previous: document.previous,
        window: document.window,
        sandbox: document.sandbox,
        ground: None,
    };
    let duration = Duration::from_millis(document.duration_ms);
    Ok((run, HostReport { server, seal, duration, bytes: document.bytes, checks: all }))
}

/// The report of a declared check.
fn check(check: Check<'_>) -> Result<CheckReport, &'static str> {
    let (Some(kind), Some(root), Some(lock)) = (check.kind, check.root, check.lock) else {
        return Err("its `kind`, `root` or `lock` is missing");
    };
    let (drift, unverified) = (check.drift.into_vec(), check.unverified.into_vec());
    let (uncovered, touched) = (check.uncovered.into_vec(), check.touched.into_vec());
    if !uncovered.is_sorted_by(|a, b| a < b) {
        return Err("its `uncovered` is out of order, or has an item twice");
    }
    if !drift.is_sorted_by(|a, b| a.path < b.path)
        || !unverified.is_sorted_by(|a, b| a.path < b.path)
        || !touched.is_sorted_by(|a, b| a < b)
    {
        return Err("its entries are out of order, or one is there twice");
    }
    // A move is one item with two paths, unless each path is an item.
    let paths: HashSet<&EntryPath> =
        drift.iter().flat_map(|drift| [Some(&drift.path), drift.from.as_ref()]).flatten().collect();
    if unverified.iter().any(|entry| paths.contains(&entry.path)) {
        return Err("an entry is both drifted and unverified");
    }
    let (verified, left_out) = (check.counts.verified, check.left_out);
    let drifted = left_out.drifted.saturating_add(paths.len() as u64);
    let not_read = left_out.unverified.saturating_add(unverified.len() as u64);
    let entries = verified.saturating_add(drifted).saturating_add(not_read);
    let counts = Counts { entries, verified, drifted, unverified: not_read };
    if check.counts != counts {
        return Err("its counts do not fit its entries");
    }
    if touched.len() as u64 > entries {
        return Err("it has more touched entries than entries");
    }
    if check.trusted > verified.saturating_add(drifted) {
        return Err("it trusts more entries than it has");
    }
    if check.old_lock.is_some_and(|old| old.kind() != kind || check.digest.is_some()) {
        return Err("its `old_lock` does not fit its kind and digest");
    }
    let outcome = match (check.trouble, check.skipped) {
        (Some(_), Some(_)) => return Err("it is both skipped and failed"),
        (Some(trouble), None) => Outcome::Failed(trouble),
        (None, Some(Skipped::NoLock)) => Outcome::NoLock,
        (None, Some(Skipped::OtherMode)) => Outcome::OtherMode,
        (None, Some(Skipped::NotCollected)) => Outcome::NotCollected,
        (None, None) => {
            let (digest, live_digest) = (check.digest, check.live_digest);
            if let Some(problem) = digests::problem(digest.as_deref(), live_digest.as_deref(), counts) {
                return Err(problem);
            }
            let comparison = Comparison { drift, unverified, counts, left_out };
            Outcome::Compared { comparison, digest, live_digest }
        }
    };
    Ok(CheckReport {
        name: check.name,
        kind,
        root,
        resolved_root: check.resolved_root,
        declared_root: check.declared_root,
        lock,
        outcome,
        mounts: check.mounts.into_vec(),
        uncovered,
        uncovered_is_trouble: check.uncovered_is_trouble,
        touched,
        trusted: check.trusted,
        old_lock: check.old_lock,
    })
}

/// Builds the report of several servers, and checks that they belong to one run.
fn several(document: ServersDocument<'_>) -> Result<Report, ReportError> {
    let ServersDocument { driftlock, timestamp, started, previous, sandbox, .. } = document;
    if document.mode != Mode::Server {
        return form("its `mode` is not \"server\"");
    }
    let Some(first) = document.servers.first() else { return inconsistent("it has no servers") };
    let (scope, window) = (Scope::Servers, first.window.clone());
    let run = RunInfo { scope, timestamp, started, previous, window, sandbox, ground: None };
    let mut hosts = Vec::new();
    for server in document.servers {
        let name = server.server.as_ref().map_or_else(|| "without a name".to_owned(), |server| server.name.clone());
        let is_same_version = server.driftlock == driftlock;
        let Report { run: other, hosts: host } = one(server).map_err(|error| error.of_server(&name))?;
        let is_same_time = (&other.timestamp, &other.started) == (&run.timestamp, &run.started);
        let is_same_run = is_same_time && (&other.sandbox, &other.window) == (&run.sandbox, &run.window);
        if !is_same_version || !is_same_run || other.previous.is_some() {
            return inconsistent("its servers were not checked in one run");
        }
        hosts.extend(host);
    }
    let report = Report { run, hosts };
    let seal = report.hosts.first().and_then(|host| host.seal.as_ref());
    if report.hosts.iter().any(|host| host.seal.as_ref() != seal) {
        return inconsistent("its servers were compared with different baselines");
    }
    let mut kinds = HashMap::new();
    if !report.checks().all(|check| *kinds.entry(&check.name).or_insert(check.kind) == check.kind) {
        return inconsistent("its servers have different checks with the same name");
    }
    let mut known = HashSet::new();
    let mut names = report.hosts.iter().map(|host| host.server.as_ref().map(|server| &server.name));
    if !names.all(|name| name.is_some_and(|name| known.insert(name))) {
        return inconsistent("a server has no name, or two have the same");
    }
    if document.summary != report.servers_summary() || document.counts != report.counts() {
        return inconsistent("its summary or its counts do not fit its servers");
    }
    if document.exit_code != report.exit_code() || document.overall != report.overall() {
        return inconsistent("its verdict does not fit its servers");
    }
    Ok(report)
}
