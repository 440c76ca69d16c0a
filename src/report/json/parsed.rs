//! Reads a report back. Strict: a report is evidence, so one that does not keep to its form, or whose numbers do not
//! follow from its entries, is refused and not compared.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::error::Category;

use super::document::{Document, Mode, Read, Sandbox, ServerItem, ServerSandbox, ServersDocument, Skipped, WindowItem};
use super::{ReportError, SCHEMA, SERVERS_SCHEMA, digests, sums};
use crate::baseline::OldLock;
use crate::compare::{Counts, Drift, LeftOut};
use crate::manifest::{Cause, Crossing, Kind, Uncovered};
use crate::path::EntryPath;
use crate::remote;
use crate::report::chain::{Previous, timestamp};
use crate::report::{LOCK_FILES_EXIST, SERVER_COLLECTION, ServersSummary, Status, Summary, Trouble, Window};
use crate::sandbox::{Enforced, Landlock, landlock};

/// A report that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The version of the driftlock that wrote it.
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    pub previous: Option<Previous>,
    pub duration_ms: u64,
    pub bytes: u64,
    /// `local` or `server`.
    pub mode: &'static str,
    pub window: Option<Window>,
    pub sandbox: Enforced,
    /// The server, in mode `server`; its `trouble` is that of the check of the collection.
    pub server: Option<ParsedServer>,
    /// `lock_files_exist` first, then the declared checks in their order.
    pub checks: Vec<ParsedCheck>,
    pub summary: Summary,
    pub counts: Counts,
    pub overall: Status,
    pub exit_code: u8,
}

/// What a report that was read back says of its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedServer {
    pub name: String,
    pub host: String,
    pub head: Option<remote::Head>,
}

/// A check in a report that was read back. What is `None` for `lock_files_exist` is there for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedCheck {
    pub name: String,
    pub status: Status,
    pub details: String,
    pub kind: Option<Kind>,
    pub root: Option<String>,
    pub resolved_root: Option<String>,
    pub declared_root: Option<String>,
    pub lock: Option<String>,
    pub digest: Option<String>,
    pub live_digest: Option<String>,
    pub counts: Counts,
    /// How much of what is counted the lists don't have.
    pub left_out: LeftOut,
    /// In the order of their paths.
    pub drift: Vec<Drift>,
    /// In the order of their paths.
    pub unverified: Vec<ParsedUnverified>,
    /// How many entries' contents were not read, but trusted from a stat cache.
    pub trusted: u64,
    /// Which lock of the scripts it was compared with, if it was one.
    pub old_lock: Option<OldLock>,
    /// In the order of their paths.
    pub mounts: Vec<Crossing>,
    /// What lies on its way and is not looked at, sorted.
    pub uncovered: Vec<Uncovered>,
    pub uncovered_is_trouble: bool,
    /// In the order of their paths.
    pub touched: Vec<EntryPath>,
    pub trouble: Option<Trouble>,
    pub(super) skipped: Option<Skipped>,
}

/// An entry that could not be verified, and why, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedUnverified {
    pub path: EntryPath,
    pub reason: String,
    pub cause: Cause,
}

#[derive(Deserialize)]
struct Head {
    schema: Option<serde_json::Value>,
}

/// A report that was kept, of either form.
#[derive(Debug)]
pub enum Kept {
    One(Box<Parsed>),
    Several(Box<ParsedServers>),
}

/// The report of several servers that was read back. Its sums are those of its parts only once it is
/// [turned into one](Self::into_report).
#[derive(Debug)]
pub struct ParsedServers {
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    pub previous: Option<Previous>,
    pub sandbox: Enforced,
    pub servers: Vec<Parsed>,
    pub summary: ServersSummary,
    pub counts: Counts,
    pub overall: Status,
    pub exit_code: u8,
}

/// Reads a JSON report of one machine.
///
/// # Errors
/// What is no report, is not whole, has another form, or contradicts itself.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ReportError> {
    match schema(bytes)?.as_str() {
        SCHEMA => one(document(bytes)?),
        _ => Err(ReportError::Several),
    }
}

/// Reads a JSON report, of one machine or of several servers.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_kept(bytes: &[u8]) -> Result<Kept, ReportError> {
    match schema(bytes)?.as_str() {
        SCHEMA => one(document(bytes)?).map(|parsed| Kept::One(Box::new(parsed))),
        _ => several(document(bytes)?).map(|parsed| Kept::Several(Box::new(parsed))),
    }
}

/// Which of the two known forms a report has. That is asked for first: of a form that is not ours we can't say what is
/// wrong with it.
fn schema(bytes: &[u8]) -> Result<String, ReportError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReportError::Empty);
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
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

fn document<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, ReportError> {
    serde_json::from_slice(bytes).map_err(|error| ReportError::Form { problem: error.to_string() })
}

fn several(document: ServersDocument<Read>) -> Result<ParsedServers, ReportError> {
    if document.mode != Mode::Server {
        return Err(ReportError::Form { problem: "its `mode` is not \"server\"".to_owned() });
    }
    let servers = document.servers.into_iter().map(|server| {
        let name = server.server.as_ref().map_or_else(|| "without a name".to_owned(), |server| server.name.clone());
        let named = |problem: String| format!("server {name}: {problem}");
        one(server).map_err(|error| match error {
            ReportError::Form { problem } => ReportError::Form { problem: named(problem) },
            ReportError::Inconsistent { problem } => ReportError::Inconsistent { problem: named(problem) },
            other => other,
        })
    });
    let form = |problem| ReportError::Form { problem };
    Ok(ParsedServers {
        previous: document.previous.map(Previous::try_from).transpose().map_err(form)?,
        servers: servers.collect::<Result<_, _>>()?,
        sandbox: sandbox(document.sandbox).map_err(form)?,
        driftlock: document.driftlock,
        timestamp: document.timestamp,
        started: document.started,
        summary: document.summary,
        counts: document.counts.into(),
        overall: document.overall,
        exit_code: document.exit_code,
    })
}

fn one(document: Document<Read>) -> Result<Parsed, ReportError> {
    if document.schema != SCHEMA {
        return Err(ReportError::Form { problem: format!("its `schema` is not {SCHEMA}") });
    }
    let form = |problem| ReportError::Form { problem };
    let parsed = Parsed {
        previous: document.previous.map(Previous::try_from).transpose().map_err(form)?,
        window: document.window.map(window).transpose().map_err(form)?,
        sandbox: sandbox(document.sandbox).map_err(form)?,
        server: document.server.map(server),
        checks: document.checks.into_iter().map(check).collect::<Result<_, _>>()?,
        driftlock: document.driftlock,
        timestamp: document.timestamp,
        started: document.started,
        duration_ms: document.duration_ms,
        bytes: document.bytes,
        mode: document.mode.name(),
        summary: document.summary,
        counts: document.counts.into(),
        overall: document.overall,
        exit_code: document.exit_code,
    };
    times(&parsed)?;
    sums::check(&parsed)?;
    Ok(parsed)
}

fn server(item: ServerItem) -> ParsedServer {
    let head = match (item.driftlock, item.sandbox) {
        (Some(driftlock), Some(ServerSandbox { landlock, seccomp })) => {
            Some(remote::Head { driftlock, landlock, seccomp })
        }
        _ => None,
    };
    ParsedServer { name: item.name, host: item.host, head }
}

fn window(item: WindowItem) -> Result<Window, String> {
    let window = Window::new(&item.until, &item.reason).map_err(|error| format!("`window`: {error}"))?;
    if window.until() != item.until || window.reason != item.reason {
        return Err("`window`: driftlock would write it otherwise".to_owned());
    }
    Ok(window)
}

fn sandbox(item: Sandbox) -> Result<Enforced, String> {
    let landlock = item.landlock.map(|landlock| {
        let known = landlock.restrictions.iter().map(|name| {
            let known = landlock::restriction(name);
            known.ok_or_else(|| format!("the restriction {name:?} of Landlock is not known"))
        });
        Ok::<_, String>(Landlock { abi: landlock.abi, restrictions: known.collect::<Result<_, _>>()? })
    });
    Ok(Enforced { landlock: landlock.transpose()?, seccomp: item.seccomp })
}

/// `timestamp` names the report's folder, and is `started` without its offset.
fn times(report: &Parsed) -> Result<(), ReportError> {
    let form = |problem: String| Err(ReportError::Form { problem });
    if report.started.parse::<jiff::Timestamp>().is_err() {
        return form(format!("`started`, {:?}, is no time", report.started));
    }
    let expected = timestamp(&report.started);
    if report.timestamp != expected {
        let problem = format!("its `timestamp` should be {expected}");
        return Err(ReportError::Inconsistent { problem });
    }
    Ok(())
}

fn is_ours(schema: &str) -> bool {
    let version = schema.strip_prefix("driftlock-report-").or_else(|| schema.strip_prefix("driftlock-servers-"));
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
}

fn check(read: Read) -> Result<ParsedCheck, ReportError> {
    let form = |problem| ReportError::Form { problem };
    let name = read.name.clone();
    let inconsistent = |problem: String| ReportError::Inconsistent { problem: format!("check {name}: {problem}") };
    let drift: Vec<Drift> = read.drift.into_iter().map(Drift::try_from).collect::<Result<_, _>>().map_err(form)?;
    let unverified = read.unverified.into_iter().map(|item| {
        let (path, reason, cause) = item.into_parts()?;
        Ok(ParsedUnverified { path, reason, cause })
    });
    let unverified: Vec<_> = unverified.collect::<Result<_, _>>().map_err(form)?;
    let mounts: Result<Vec<_>, _> = read.mounts.into_iter().map(Crossing::try_from).collect();
    let mounts = mounts.map_err(form)?;
    let uncovered: Result<Vec<_>, _> = read.uncovered.into_iter().map(Uncovered::try_from).collect();
    let uncovered = uncovered.map_err(form)?;
    if !uncovered.is_sorted_by(|a, b| a < b) {
        return Err(inconsistent("what is uncovered is not in order, or there twice".to_owned()));
    }
    let touched: Result<Vec<_>, _> = read.touched.into_iter().map(EntryPath::try_from).collect();
    let touched = touched.map_err(form)?;
    if !drift.is_sorted_by(|a, b| a.path < b.path)
        || !unverified.is_sorted_by(|a, b| a.path < b.path)
        || !touched.is_sorted_by(|a, b| a < b)
    {
        return Err(inconsistent("its entries are not in order, or one is there twice".to_owned()));
    }

    let counts: Counts = read.counts.into();
    let left_out: LeftOut = read.left_out.into();
    // A move is one item, and two paths unless each of them is an item of its own.
    let paths: HashSet<&EntryPath> =
        drift.iter().flat_map(|drift| [Some(&drift.path), drift.from.as_ref()]).flatten().collect();
    let sum = counts.verified.checked_add(counts.drifted).and_then(|sum| sum.checked_add(counts.unverified));
    if sum != Some(counts.entries)
        || counts.drifted.checked_sub(left_out.drifted) != Some(paths.len() as u64)
        || counts.unverified.checked_sub(left_out.unverified) != Some(unverified.len() as u64)
    {
        return Err(inconsistent("its counts do not fit its entries".to_owned()));
    }
    if unverified.iter().any(|entry| paths.contains(&entry.path)) {
        return Err(inconsistent("an entry is both drifted and unverified".to_owned()));
    }
    if touched.len() as u64 > counts.entries {
        return Err(inconsistent("more entries were touched than it knows of".to_owned()));
    }
    if read.trusted > counts.verified + counts.drifted {
        return Err(inconsistent("it trusts more entries than it knows of".to_owned()));
    }
    let old_lock = read.old_lock.map(OldLock::from);
    if old_lock.is_some_and(|old| Some(old.kind()) != read.kind.map(Kind::from) || read.digest.is_some()) {
        return Err(inconsistent("its `old_lock` does not fit its kind and digest".to_owned()));
    }
    let nothing_compared = read.trouble.is_some() || read.skipped.is_some();
    if nothing_compared
        && (counts != Counts::default()
            || read.digest.is_some()
            || read.live_digest.is_some()
            || old_lock.is_some()
            || !uncovered.is_empty())
    {
        return Err(inconsistent("it compared nothing, and has entries or digests".to_owned()));
    }
    let (lock, live) = (read.digest.as_deref(), read.live_digest.as_deref());
    let is_compared = !nothing_compared && read.kind.is_some();
    if let Some(problem) = digests::problem(is_compared, lock, live, counts) {
        return Err(inconsistent(problem.to_owned()));
    }
    let is_declared = [read.kind.is_some(), read.root.is_some(), read.lock.is_some()];
    if read.name == SERVER_COLLECTION {
        if read.skipped.is_some() || is_declared.contains(&true) || counts != Counts::default() {
            return Err(inconsistent("it is not declared, and has what only declared checks have".to_owned()));
        }
        if read.status != Status::pass_if(read.trouble.is_none()) {
            return Err(inconsistent("its status does not fit its trouble".to_owned()));
        }
    } else if read.name == LOCK_FILES_EXIST {
        if nothing_compared || is_declared.contains(&true) || counts != Counts::default() {
            return Err(inconsistent("it is not declared, and has what only declared checks have".to_owned()));
        }
    } else {
        let expected = match (
            read.skipped.is_some(),
            read.trouble.is_some()
                || counts.entries != counts.verified
                || read.uncovered_is_trouble && !uncovered.is_empty(),
        ) {
            (true, true) => return Err(inconsistent("it is both skipped and failed".to_owned())),
            (true, false) => Status::Skip,
            (false, failed) => Status::pass_if(!failed),
        };
        if is_declared.contains(&false) {
            return Err(inconsistent("its `kind`, `root` or `lock` is missing".to_owned()));
        }
        if read.status != expected {
            return Err(inconsistent(format!("its status should be {}", expected.word())));
        }
    }
    Ok(ParsedCheck {
        name: read.name,
        status: read.status,
        details: read.details,
        kind: read.kind.map(Kind::from),
        root: read.root,
        resolved_root: read.resolved_root,
        declared_root: read.declared_root,
        lock: read.lock,
        digest: read.digest,
        live_digest: read.live_digest,
        counts,
        left_out,
        drift,
        unverified,
        trusted: read.trusted,
        old_lock,
        mounts,
        uncovered,
        uncovered_is_trouble: read.uncovered_is_trouble,
        touched,
        trouble: read.trouble.map(|trouble| Trouble { problem: trouble.problem, remedy: trouble.remedy }),
        skipped: read.skipped,
    })
}
