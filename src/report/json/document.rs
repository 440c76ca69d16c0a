//! The report's JSON, as types: written from a [`Report`], and read back.
//!
//! Every key is always present, as `null` or empty if it does not apply, so that `.checks[].drift[]` works for each
//! check. Long lists are written from the comparison, without a copy.

use serde::{Deserialize, Serialize};

use super::entry::{DriftItem, MountItem, PathItem, UnverifiedItem};
use super::items::Items;
use super::seal::SealItem;
use super::{SCHEMA, SERVERS_SCHEMA, details};
use crate::baseline::OldLock;
use crate::compare::{Counts, Drift, LeftOut, UnverifiedEntry};
use crate::manifest::{Crossing, Kind, Uncovered, UncoveredItem};
use crate::remote::Head;
use crate::report::chain::Previous;
use crate::report::format::Prose;
use crate::report::row::Row;
use crate::report::{
    Error, HostReport, Outcome, Report, RunInfo, Scope, ServerReport, ServersSummary, Status, Summary, Window,
};
use crate::sandbox::Enforced;

/// The report of one host.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document<'a> {
    pub schema: String,
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    // Without this, serde takes an absent key for `null`. The same goes for the others below.
    #[serde(deserialize_with = "Option::deserialize")]
    pub previous: Option<Previous>,
    pub duration_ms: u64,
    pub bytes: u64,
    pub mode: Mode,
    #[serde(deserialize_with = "Option::deserialize")]
    pub server: Option<Server>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub window: Option<Window>,
    // Reports from before there were seals lack it.
    pub seal: Option<SealItem>,
    pub sandbox: Enforced,
    pub checks: Vec<Check<'a>>,
    pub summary: Summary,
    pub counts: Counts,
    pub overall: Status,
    pub exit_code: u8,
}

/// The report of several servers: a document for each, and the totals.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServersDocument<'a> {
    pub schema: String,
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub previous: Option<Previous>,
    pub mode: Mode,
    pub sandbox: Enforced,
    pub servers: Vec<Document<'a>>,
    pub summary: ServersSummary,
    pub counts: Counts,
    pub overall: Status,
    pub exit_code: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Check<'a> {
    pub name: String,
    pub status: Status,
    pub details: String,
    /// This field and the next four are `null` for checks that are not declared, such as that of the lock files.
    #[serde(deserialize_with = "Option::deserialize")]
    pub kind: Option<Kind>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub root: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub resolved_root: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub declared_root: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub lock: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub digest: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub live_digest: Option<String>,
    pub counts: Counts,
    pub drift: Items<'a, Drift, DriftItem>,
    pub unverified: Items<'a, UnverifiedEntry, UnverifiedItem>,
    pub left_out: LeftOut,
    pub mounts: Items<'a, Crossing, MountItem>,
    pub uncovered: Items<'a, Uncovered, UncoveredItem>,
    pub uncovered_is_trouble: bool,
    pub touched: Items<'a, Vec<u8>, PathItem>,
    pub trusted: u64,
    #[serde(deserialize_with = "Option::deserialize")]
    pub old_lock: Option<OldLock>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub trouble: Option<Error>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub skipped: Option<Skipped>,
}

/// Where entries were read.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Local,
    Server,
}

/// Why a check is a `SKIP`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Skipped {
    NoLock,
    OtherMode,
    NotCollected,
}

/// The server, and the driftlock that answered there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub name: String,
    pub host: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub driftlock: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub sandbox: Option<ServerSandbox>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerSandbox {
    #[serde(deserialize_with = "Option::deserialize")]
    pub landlock: Option<u32>,
    pub seccomp: bool,
}

impl From<&ServerReport> for Server {
    fn from(ServerReport { name, host, head, .. }: &ServerReport) -> Self {
        let sandbox = |head: &Head| ServerSandbox { landlock: head.landlock, seccomp: head.seccomp };
        Self {
            name: name.clone(),
            host: host.clone(),
            driftlock: head.as_ref().map(|head| head.driftlock.clone()),
            sandbox: head.as_ref().map(sandbox),
        }
    }
}

/// The document of one host. In a report of several servers, `previous` is only in the report of the run.
pub(super) fn of<'a>(run: &RunInfo, host: &'a HostReport) -> Document<'a> {
    Document {
        schema: SCHEMA.to_owned(),
        driftlock: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: run.timestamp.clone(),
        started: run.started.clone(),
        previous: run.previous.clone().filter(|_| run.scope != Scope::Servers),
        duration_ms: u64::try_from(host.duration.as_millis()).unwrap_or(u64::MAX),
        bytes: host.bytes,
        mode: if host.server.is_some() { Mode::Server } else { Mode::Local },
        server: host.server.as_ref().map(Server::from),
        window: run.window.clone(),
        seal: host.seal.as_deref().map(SealItem::from),
        sandbox: run.sandbox.clone(),
        checks: checks(host),
        summary: host.summary(),
        counts: host.counts(),
        overall: host.overall(),
        exit_code: host.exit_code(),
    }
}

/// The document of several servers.
pub(super) fn of_servers(report: &Report) -> ServersDocument<'_> {
    let run = &report.run;
    ServersDocument {
        schema: SERVERS_SCHEMA.to_owned(),
        driftlock: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: run.timestamp.clone(),
        started: run.started.clone(),
        previous: run.previous.clone(),
        mode: Mode::Server,
        sandbox: run.sandbox.clone(),
        servers: report.hosts.iter().map(|host| of(run, host)).collect(),
        summary: report.servers_summary(),
        counts: report.counts(),
        overall: report.overall(),
        exit_code: report.exit_code(),
    }
}

pub(super) fn checks(host: &HostReport) -> Vec<Check<'_>> {
    host.rows().map(|row| check(host, row)).collect()
}

/// The fields that every check has.
fn base<'a>(host: &HostReport, row: Row<'a>) -> Check<'a> {
    Check {
        name: row.name().to_owned(),
        status: row.status(),
        details: details::of(host, row),
        kind: None,
        root: None,
        resolved_root: None,
        declared_root: None,
        lock: None,
        digest: None,
        live_digest: None,
        counts: Counts::default(),
        drift: Items::of(&[]),
        unverified: Items::of(&[]),
        left_out: LeftOut::default(),
        mounts: Items::of(&[]),
        uncovered: Items::of(&[]),
        uncovered_is_trouble: false,
        touched: Items::of(&[]),
        trusted: 0,
        old_lock: None,
        trouble: None,
        skipped: None,
    }
}

fn check<'a>(host: &'a HostReport, row: Row<'a>) -> Check<'a> {
    let check = match row {
        Row::LockFiles(_) => return base(host, row),
        Row::Collection(server) => return Check { trouble: server.trouble.as_ref().map(harmless), ..base(host, row) },
        Row::Seal(seal) => return Check { trouble: seal.troubles.first().map(harmless), ..base(host, row) },
        Row::Check(check) => check,
    };
    let base = Check {
        kind: Some(check.kind),
        root: Some(check.root.clone()),
        resolved_root: check.resolved_root.clone(),
        declared_root: check.declared_root.clone(),
        lock: Some(check.lock.clone()),
        mounts: Items::of(&check.mounts),
        uncovered_is_trouble: check.uncovered_is_trouble,
        touched: Items::of(&check.touched),
        ..base(host, row)
    };
    match &check.outcome {
        Outcome::Compared { comparison, digest, live_digest } => Check {
            digest: digest.clone(),
            live_digest: live_digest.clone(),
            counts: comparison.counts,
            drift: Items::of(&comparison.drift),
            unverified: Items::of(&comparison.unverified),
            left_out: comparison.left_out,
            uncovered: Items::of(&check.uncovered),
            trusted: check.trusted,
            old_lock: check.old_lock,
            ..base
        },
        Outcome::Failed(trouble) => Check { trouble: Some(harmless(trouble)), ..base },
        Outcome::NoLock => Check { skipped: Some(Skipped::NoLock), ..base },
        Outcome::OtherMode => Check { skipped: Some(Skipped::OtherMode), ..base },
        Outcome::NotCollected => Check { skipped: Some(Skipped::NotCollected), ..base },
    }
}

pub(super) fn harmless(Error { kind, problem, help }: &Error) -> Error {
    Error::new(*kind, Prose(problem).to_string(), Prose(help).to_string())
}
