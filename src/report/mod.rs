//! What one run found, for people ([`text`]) and for machines ([`json`]). Nothing here decides anything: the verdicts
//! are those of [`compare`](crate::compare), and a report only shows them. [`difference`] compares two reports that
//! were read back.
//!
//! Names, paths and links in a [`Report`] are raw; whatever shows them makes them harmless.

mod alike;
pub mod chain;
pub mod changes;
pub mod difference;
mod findings;
mod format;
pub mod github;
pub mod group;
pub mod html;
pub mod json;
pub mod junit;
pub mod next;
pub mod places;
pub mod prometheus;
mod row;
pub mod sarif;
pub mod seal;
mod servers;
pub mod slack;
mod status;
pub mod text;
pub mod uncovered;
mod window;

pub use format::{LOCK_FILES_EXIST, SEAL, SERVER_COLLECTION};
pub use servers::ServersSummary;
pub use status::{Status, Summary};
pub use window::{Window, WindowError};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::baseline::OldLock;
use crate::compare::{Comparison, Counts};
use crate::manifest::{Crossing, Kind, Uncovered};
use crate::remote::Head;
use crate::sandbox::Enforced;
pub use crate::trouble::Trouble;
use chain::Previous;
use next::Ground;
use seal::SealReport;

/// The name of the JSON report in its folder.
pub const JSON_NAME: &str = "drift_report.json";
/// The folder beside it with the report of each server.
pub const SERVERS: &str = "servers";

/// The name of the text report beside it.
pub const TEXT_NAME: &str = "drift_report.txt";

/// What one run of `driftlock check` found, here or on servers.
#[derive(Debug)]
pub struct Report {
    pub run: RunInfo,
    /// This machine alone, or servers in the order in which they were named.
    pub hosts: Vec<HostReport>,
}

/// What is the same for all hosts of a run.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub scope: Scope,
    /// When the run started, in local time as `20260129_153042`, which is also the name of the report's folder.
    pub timestamp: String,
    /// The same moment as RFC 3339 has it, with the offset from UTC.
    pub started: String,
    /// The report that was kept before it in the same place; nothing if there was none, or it is not kept itself.
    pub previous: Option<Previous>,
    /// Until when drift is expected, if the operator said so.
    pub window: Option<Window>,
    /// The layers that held around this process.
    pub sandbox: Enforced,
    /// Where the reader stands, for the lines that say what to do next. Not a part of the JSON.
    pub ground: Option<Ground>,
}

/// What a run is about, which decides the form of its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This machine: one host, which is no server.
    ThisMachine,
    /// One server that was named: one host. Its report has the form of one machine.
    OneServer,
    /// Servers, be it only one of a group: each host is one. Their report has the form of several.
    Servers,
}

/// What was found on one host.
#[derive(Debug)]
pub struct HostReport {
    /// The server that was checked; nothing if it was this machine.
    pub server: Option<ServerReport>,
    /// What became of the seal of the locks that it was compared with; nothing if none was asked for. The same for all hosts
    /// of a run.
    pub seal: Option<Arc<SealReport>>,
    /// How long reading and comparing took. Reports have it in milliseconds.
    pub duration: Duration,
    /// What was read of files' contents, in bytes.
    pub bytes: u64,
    /// In the order in which they are declared.
    pub checks: Vec<CheckReport>,
}

/// The server that a host is, and what became of asking it.
#[derive(Debug)]
pub struct ServerReport {
    /// As the declaration or the command line calls it.
    pub name: String,
    pub host: String,
    /// What answered there, if anything did.
    pub head: Option<Head>,
    /// Why not everything could be collected there; nothing if it was.
    pub trouble: Option<Trouble>,
}

/// What one check found.
#[derive(Debug)]
pub struct CheckReport {
    pub name: String,
    pub kind: Kind,
    /// The root as it was declared, which is how the operator knows it: `infra/stacks`.
    pub root: String,
    /// Where the root really lies, links resolved; nothing if it could not be opened.
    pub resolved_root: Option<String>,
    /// On a server: the root of the same check here, relative to the declaration's directory, if that is another path.
    pub declared_root: Option<String>,
    /// The lock file as the operator knows it: `audit/locks/compose_hashes.lock.json`.
    pub lock: String,
    pub outcome: Outcome,
    /// Where, below the root, another mount or file system begins.
    pub mounts: Vec<Crossing>,
    /// What lies on its way and is not looked at, sorted; of a check that was compared.
    pub uncovered: Vec<Uncovered>,
    /// Whether that is trouble instead of a warning.
    pub uncovered_is_trouble: bool,
    /// Paths below the root of what was touched during the run, sorted.
    pub touched: Vec<Vec<u8>>,
    /// Files whose contents were not read: the stat cache has their digests from a run before.
    pub trusted: u64,
    /// Which lock of the scripts that driftlock replaces it was compared with, if it was one.
    pub old_lock: Option<OldLock>,
}

/// How a check ended.
#[derive(Debug)]
pub enum Outcome {
    Compared {
        comparison: Comparison,
        /// The digest that the lock states, in SRI form; a `sha256sum` lock states none.
        digest: Option<String>,
        /// The digest of the live entries, in SRI form: the lock's own if everything was verified; if something
        /// drifted, over the live entry lines without `nar`; nothing if something is unverified.
        live_digest: Option<String>,
    },
    /// It could not be carried out: the root, the lock, or something else is wrong.
    Failed(Trouble),
    /// Its lock file is missing; the check of the lock files says so.
    NoLock,
    /// Its `modes` leave this one out.
    OtherMode,
    /// The server was not reached, or its answer ended before; the check of the collection says why.
    NotCollected,
}

impl CheckReport {
    /// Whether something drifted.
    #[must_use]
    pub const fn drifted(&self) -> bool {
        matches!(&self.outcome, Outcome::Compared { comparison, .. } if comparison.counts.drifted > 0)
    }

    /// Whether something could not be verified.
    #[must_use]
    pub const fn troubled(&self) -> bool {
        match &self.outcome {
            Outcome::Compared { comparison, .. } => comparison.counts.unverified > 0 || self.uncovered_is_wrong(),
            Outcome::Failed(_) => true,
            Outcome::NoLock | Outcome::OtherMode | Outcome::NotCollected => false,
        }
    }

    /// Whether something is uncovered, and that is trouble.
    #[must_use]
    pub const fn uncovered_is_wrong(&self) -> bool {
        self.uncovered_is_trouble && !self.uncovered.is_empty()
    }

    /// Its counts; all zero if nothing was compared.
    #[must_use]
    pub fn counts(&self) -> Counts {
        match &self.outcome {
            Outcome::Compared { comparison, .. } => comparison.counts,
            _ => Counts::default(),
        }
    }
}

impl Report {
    /// All checks of all hosts.
    pub fn checks(&self) -> impl Iterator<Item = &CheckReport> {
        self.hosts.iter().flat_map(|host| &host.checks)
    }

    /// The only host of a report that is about one machine.
    #[must_use]
    pub fn only(&self) -> Option<&HostReport> {
        match &self.hosts[..] {
            [host] if self.run.scope != Scope::Servers => Some(host),
            _ => None,
        }
    }

    /// The lock files that are missing, each once, however many servers are to be compared with it.
    #[must_use]
    pub fn missing_locks(&self) -> Vec<&str> {
        missing_locks(&self.hosts)
    }

    /// The exit code: the bits of all hosts.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.hosts.iter().fold(0, |code, host| code | host.exit_code())
    }
}

impl RunInfo {
    /// Whether drift was expected when the run started.
    #[must_use]
    pub fn window_is_open(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.is_open_at(&self.started))
    }
}

impl HostReport {
    /// Where the entries were read: `local` or `server`.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        if self.server.is_some() { "server" } else { "local" }
    }

    /// The lock files that are missing, as the operator knows them, in the order of the checks.
    pub fn missing_locks(&self) -> impl Iterator<Item = &str> {
        let missing = self.checks.iter().filter(|check| matches!(check.outcome, Outcome::NoLock));
        missing.map(|check| check.lock.as_str())
    }

    /// Why not everything could be collected; nothing if it was.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.server.as_ref()?.trouble.as_ref()
    }

    /// The exit code: bit 1 for drift or a missing lock file, bit 2 for trouble.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let drift = self.missing_locks().next().is_some() || self.checks.iter().any(CheckReport::drifted);
        let unsealed = self.seal.as_ref().is_some_and(|seal| seal.status() != Status::Pass);
        let trouble = unsealed || self.trouble().is_some() || self.checks.iter().any(CheckReport::troubled);
        u8::from(drift) | u8::from(trouble) << 1
    }
}

fn missing_locks(hosts: &[HostReport]) -> Vec<&str> {
    let mut known = HashSet::new();
    hosts.iter().flat_map(HostReport::missing_locks).filter(|lock| known.insert(*lock)).collect()
}
