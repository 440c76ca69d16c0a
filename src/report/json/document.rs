//! The report's JSON, as types: written from a [`Report`](crate::report::Report), and read back.
//!
//! Every key is always there, and `null` or empty where there is nothing to say, so that `.checks[].drift[]` works on
//! each check. Lists that can be long are written from what the comparison holds, without a copy of all of it.

mod entry;
mod kind;
mod left_out;
mod old_lock;
mod previous;
mod servers;

pub(super) use entry::{DriftItem, MountItem, PathItem, UnverifiedItem};
use kind::KindItem;
use left_out::LeftOutItem;
pub(super) use old_lock::OldLockItem;
pub(super) use previous::PreviousItem;
pub(super) use servers::{ServersDocument, of_servers};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{SCHEMA, details};
use crate::compare::{Comparison, Counts};
use crate::manifest::UncoveredItem;
use crate::report::words::{LOCK_FILES_EXIST, Prose, SERVER_COLLECTION};
use crate::report::{CheckReport, HostReport, Outcome, RunInfo, Scope, ServerReport, Status, Summary, Trouble};
use crate::sandbox::Enforced;

/// A whole report. `C` is a check, [`Written`] or [`Read`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document<C> {
    pub schema: String,
    pub driftlock: String,
    pub timestamp: String,
    pub started: String,
    #[serde(deserialize_with = "present")]
    pub previous: Option<PreviousItem>,
    pub duration_ms: u64,
    pub bytes: u64,
    pub mode: Mode,
    #[serde(deserialize_with = "present")]
    pub server: Option<ServerItem>,
    #[serde(deserialize_with = "present")]
    pub window: Option<WindowItem>,
    pub sandbox: Sandbox,
    pub checks: Vec<C>,
    pub summary: Summary,
    pub counts: CountsItem,
    pub overall: Status,
    pub exit_code: u8,
}

pub(super) type Written<'a> = Check<Drifts<'a>, Unverifieds<'a>>;
pub(super) type Read = Check<Vec<DriftItem>, Vec<UnverifiedItem>>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Check<D, U> {
    pub name: String,
    pub status: Status,
    pub details: String,
    /// This and the next four are `null` for `lock_files_exist`.
    #[serde(deserialize_with = "present")]
    pub kind: Option<KindItem>,
    #[serde(deserialize_with = "present")]
    pub root: Option<String>,
    #[serde(deserialize_with = "present")]
    pub resolved_root: Option<String>,
    #[serde(deserialize_with = "present")]
    pub declared_root: Option<String>,
    #[serde(deserialize_with = "present")]
    pub lock: Option<String>,
    #[serde(deserialize_with = "present")]
    pub digest: Option<String>,
    #[serde(deserialize_with = "present")]
    pub live_digest: Option<String>,
    pub counts: CountsItem,
    pub drift: D,
    pub unverified: U,
    pub left_out: LeftOutItem,
    pub mounts: Vec<MountItem>,
    pub uncovered: Vec<UncoveredItem>,
    pub uncovered_is_trouble: bool,
    pub touched: Vec<PathItem>,
    pub trusted: u64,
    #[serde(deserialize_with = "present")]
    pub old_lock: Option<OldLockItem>,
    #[serde(deserialize_with = "present")]
    pub trouble: Option<TroubleItem>,
    #[serde(deserialize_with = "present")]
    pub skipped: Option<Skipped>,
}

/// Where the entries were read.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Local,
    Server,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Server => "server",
        }
    }
}

/// Why a check is a `SKIP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Skipped {
    NoLock,
    OtherMode,
    NotCollected,
}

/// The server that the report is about, and what answered there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerItem {
    pub name: String,
    pub host: String,
    #[serde(deserialize_with = "present")]
    pub driftlock: Option<String>,
    #[serde(deserialize_with = "present")]
    pub sandbox: Option<ServerSandbox>,
}

impl From<&ServerReport> for ServerItem {
    fn from(server: &ServerReport) -> Self {
        Self {
            name: server.name.clone(),
            host: server.host.clone(),
            driftlock: server.head.as_ref().map(|head| head.driftlock.clone()),
            sandbox: server.head.as_ref().map(|head| ServerSandbox { landlock: head.landlock, seccomp: head.seccomp }),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerSandbox {
    #[serde(deserialize_with = "present")]
    pub landlock: Option<u32>,
    pub seccomp: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sandbox {
    #[serde(deserialize_with = "present")]
    pub landlock: Option<LandlockItem>,
    pub seccomp: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowItem {
    pub until: String,
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LandlockItem {
    pub abi: u32,
    pub restrictions: Vec<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountsItem {
    pub entries: u64,
    pub verified: u64,
    pub drifted: u64,
    pub unverified: u64,
}

impl From<Counts> for CountsItem {
    fn from(counts: Counts) -> Self {
        let Counts { entries, verified, drifted, unverified } = counts;
        Self { entries, verified, drifted, unverified }
    }
}

impl From<CountsItem> for Counts {
    fn from(counts: CountsItem) -> Self {
        let CountsItem { entries, verified, drifted, unverified } = counts;
        Self { entries, verified, drifted, unverified }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TroubleItem {
    pub problem: String,
    pub remedy: String,
}

impl From<&Trouble> for TroubleItem {
    fn from(trouble: &Trouble) -> Self {
        Self { problem: Prose(&trouble.problem).to_string(), remedy: Prose(&trouble.remedy).to_string() }
    }
}

/// Requires the key of a value that can be `null`; serde takes an absent key for `null` otherwise.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// The drift of a check, turned into JSON one by one.
pub(super) struct Drifts<'a>(pub Option<&'a Comparison>);

impl Serialize for Drifts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flat_map(|found| &found.drift).map(DriftItem::from))
    }
}

/// What could not be verified, turned into JSON one by one.
pub(super) struct Unverifieds<'a>(pub Option<&'a Comparison>);

impl Serialize for Unverifieds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flat_map(|found| &found.unverified).map(UnverifiedItem::from))
    }
}

/// The document of one host. In a report of several servers, none of them is continued by itself.
pub(super) fn of<'a>(run: &RunInfo, host: &'a HostReport) -> Document<Written<'a>> {
    Document {
        schema: SCHEMA.to_owned(),
        driftlock: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: run.timestamp.clone(),
        started: run.started.clone(),
        previous: run.previous.as_ref().filter(|_| run.scope != Scope::Servers).map(PreviousItem::from),
        duration_ms: u64::try_from(host.duration.as_millis()).unwrap_or(u64::MAX),
        bytes: host.bytes,
        mode: if host.server.is_some() { Mode::Server } else { Mode::Local },
        server: host.server.as_ref().map(ServerItem::from),
        window: run.window.as_ref().map(|window| WindowItem { until: window.until(), reason: window.reason.clone() }),
        sandbox: sandbox(&run.sandbox),
        checks: checks(host),
        summary: host.summary(),
        counts: host.counts().into(),
        overall: host.overall(),
        exit_code: host.exit_code(),
    }
}

/// Those that no declaration has, then the declared ones.
pub(super) fn checks(host: &HostReport) -> Vec<Written<'_>> {
    let mut checks = vec![undeclared(LOCK_FILES_EXIST, host.lock_files_exist(), details::lock_files(host), None)];
    checks.extend(host.server.as_ref().map(collection));
    checks.extend(host.checks.iter().map(|checked| check(checked, host.mode())));
    checks
}

fn sandbox(enforced: &Enforced) -> Sandbox {
    Sandbox {
        landlock: enforced.landlock.as_ref().map(|landlock| LandlockItem {
            abi: landlock.abi,
            restrictions: landlock.restrictions.iter().copied().map(str::to_owned).collect(),
        }),
        seccomp: enforced.seccomp,
    }
}

fn collection(server: &ServerReport) -> Written<'_> {
    let status = Status::pass_if(server.trouble.is_none());
    undeclared(SERVER_COLLECTION, status, details::collection(server), server.trouble.as_ref())
}

/// A check that no declaration has.
fn undeclared<'a>(name: &str, status: Status, details: String, trouble: Option<&Trouble>) -> Written<'a> {
    Check {
        name: name.to_owned(),
        status,
        details,
        kind: None,
        root: None,
        resolved_root: None,
        declared_root: None,
        lock: None,
        digest: None,
        live_digest: None,
        counts: Counts::default().into(),
        drift: Drifts(None),
        unverified: Unverifieds(None),
        left_out: LeftOutItem::default(),
        mounts: Vec::new(),
        uncovered: Vec::new(),
        uncovered_is_trouble: false,
        touched: Vec::new(),
        trusted: 0,
        old_lock: None,
        trouble: trouble.map(TroubleItem::from),
        skipped: None,
    }
}

fn check<'a>(check: &'a CheckReport, mode: &str) -> Written<'a> {
    let (comparison, digest, live_digest) = match &check.outcome {
        Outcome::Compared { comparison, digest, live_digest } => {
            (Some(comparison), digest.clone(), live_digest.clone())
        }
        _ => (None, None, None),
    };
    Check {
        name: check.name.clone(),
        status: check.status(),
        details: details::check(check, mode),
        kind: Some(check.kind.into()),
        root: Some(check.root.clone()),
        resolved_root: check.resolved_root.clone(),
        declared_root: check.declared_root.clone(),
        lock: Some(check.lock.clone()),
        digest,
        live_digest,
        counts: check.counts().into(),
        drift: Drifts(comparison),
        unverified: Unverifieds(comparison),
        left_out: comparison.map(|found| found.left_out.into()).unwrap_or_default(),
        mounts: check.mounts.iter().map(MountItem::from).collect(),
        uncovered: if comparison.is_some() {
            check.uncovered.iter().map(UncoveredItem::from).collect()
        } else {
            Vec::new()
        },
        uncovered_is_trouble: check.uncovered_is_trouble,
        touched: check.touched.iter().map(|path| PathItem::from(path.as_slice())).collect(),
        trusted: if comparison.is_some() { check.trusted } else { 0 },
        old_lock: check.old_lock.filter(|_| comparison.is_some()).map(OldLockItem::from),
        trouble: match &check.outcome {
            Outcome::Failed(trouble) => Some(trouble.into()),
            _ => None,
        },
        skipped: match &check.outcome {
            Outcome::NoLock => Some(Skipped::NoLock),
            Outcome::OtherMode => Some(Skipped::OtherMode),
            Outcome::NotCollected => Some(Skipped::NotCollected),
            Outcome::Compared { .. } | Outcome::Failed(_) => None,
        },
    }
}
