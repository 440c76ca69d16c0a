//! The result of a run, and its formats for people ([`text`]) and for programs ([`json`]). A report makes no decisions:
//! the verdicts come from [`compare`](crate::compare). [`difference`] compares two reports that were read back.
//!
//! Names, paths and links in a [`Report`] are not escaped; each format escapes them.

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
pub use crate::error::{Error, ErrorKind};
use crate::manifest::{Crossing, Kind, Uncovered};
use crate::remote::Head;
use crate::sandbox::Enforced;
use chain::Previous;
use next::Ground;
use seal::SealReport;

/// The name of the JSON report in its folder.
pub const JSON_NAME: &str = "drift_report.json";
/// The folder beside it, with the report of each server.
pub const SERVERS: &str = "servers";

/// The name of the text report beside it.
pub const TEXT_NAME: &str = "drift_report.txt";

/// The result of one run of `driftlock check`, here or on servers.
#[derive(Debug)]
pub struct Report {
    pub run: RunInfo,
    /// Only this machine, or the servers in the order in which they were named.
    pub hosts: Vec<HostReport>,
}

/// The part of a report that is the same for all hosts of a run.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub scope: Scope,
    /// When the run started, in local time: `20260129_153042`. Also the name of the report's folder.
    pub timestamp: String,
    /// The same time in RFC 3339, with the offset from UTC.
    pub started: String,
    /// The report that was written before it in the same directory; `None` if there is none, or this one is not saved.
    pub previous: Option<Previous>,
    /// Until when drift is expected, and why.
    pub window: Option<Window>,
    /// The layers that held around this process.
    pub sandbox: Enforced,
    /// The reader's directory and checks, for the commands that a report suggests. Not part of the JSON.
    pub ground: Option<Ground>,
}

/// What a run checks. This decides the form of its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This machine: one host, which is not a server.
    ThisMachine,
    /// One server, which was named: one host. Its report has the form of one machine.
    OneServer,
    /// Servers, or a group, even of one server: each host is a server. The report has the form of several.
    Servers,
}

/// The result for one host.
#[derive(Debug)]
pub struct HostReport {
    /// The server that was checked; `None` for this machine.
    pub server: Option<ServerReport>,
    /// The result of verifying the seal of the locks; `None` if no seal was asked for. The same for all hosts of a run.
    pub seal: Option<Arc<SealReport>>,
    /// How long reading and comparing took, in whole milliseconds.
    pub duration: Duration,
    /// How many bytes of files were read.
    pub bytes: u64,
    /// In the order of the declaration.
    pub checks: Vec<CheckReport>,
}

/// A server, and whether it could be collected.
#[derive(Debug)]
pub struct ServerReport {
    /// Its name in the declaration or on the command line.
    pub name: String,
    pub host: String,
    /// The driftlock that answered there, if one did.
    pub head: Option<Head>,
    /// Why not everything could be collected; `None` if it was.
    pub trouble: Option<Error>,
}

/// The result of one check.
#[derive(Debug)]
pub struct CheckReport {
    pub name: String,
    pub kind: Kind,
    /// The root as it was declared: `infra/stacks`.
    pub root: String,
    /// The real path of the root, with links resolved; `None` if it could not be opened.
    pub resolved_root: Option<String>,
    /// For a server: the root of the same check here, relative to the declaration's directory, if that is another path.
    pub declared_root: Option<String>,
    /// The path of the lock file, as messages show it: `audit/locks/compose_hashes.lock.json`.
    pub lock: String,
    pub outcome: Outcome,
    /// Places below the root where another mount or file system begins.
    pub mounts: Vec<Crossing>,
    /// What a reader could think is covered, but is not; sorted. Empty if the check was not compared.
    pub uncovered: Vec<Uncovered>,
    /// Whether that is trouble, not only a warning.
    pub uncovered_is_trouble: bool,
    /// Paths below the root that were touched during the run, sorted.
    pub touched: Vec<Vec<u8>>,
    /// How many files were not read, because the stat cache has their digests.
    pub trusted: u64,
    /// Which type of old lock it was compared with, if any.
    pub old_lock: Option<OldLock>,
}

/// How a check ended.
#[derive(Debug)]
pub enum Outcome {
    Compared {
        comparison: Comparison,
        /// The digest that the lock states, in SRI form; `None` for a `sha256sum` lock.
        digest: Option<String>,
        /// The digest of the live entries, in SRI form. If everything was verified, it is that of the lock. If
        /// something drifted, it is over the live entry lines without `nar`. `None` if something is unverified.
        live_digest: Option<String>,
    },
    /// The check could not be carried out: the root, the lock, or something else is wrong.
    Failed(Error),
    /// Its lock file is missing; the check `lock_files_exist` fails for that.
    NoLock,
    /// Its `modes` do not have the mode of this run.
    OtherMode,
    /// The server was not reached, or its answer ended before this check; `server_collection` says why.
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

    /// Whether something is uncovered, and the check says that this is trouble.
    #[must_use]
    pub const fn uncovered_is_wrong(&self) -> bool {
        self.uncovered_is_trouble && !self.uncovered.is_empty()
    }

    /// Its counts; zero if nothing was compared.
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

    /// The host of a report that is about one machine.
    #[must_use]
    pub fn only(&self) -> Option<&HostReport> {
        match &self.hosts[..] {
            [host] if self.run.scope != Scope::Servers => Some(host),
            _ => None,
        }
    }

    /// The missing lock files, each once, even if several servers are compared with it.
    #[must_use]
    pub fn missing_locks(&self) -> Vec<&str> {
        missing_locks(&self.hosts)
    }

    /// The exit code: the bits of all hosts together.
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
    /// Where entries were read: `local` or `server`.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        if self.server.is_some() { "server" } else { "local" }
    }

    /// The missing lock files, as messages show them, in the order of the checks.
    pub fn missing_locks(&self) -> impl Iterator<Item = &str> {
        let missing = self.checks.iter().filter(|check| matches!(check.outcome, Outcome::NoLock));
        missing.map(|check| check.lock.as_str())
    }

    /// Why not everything could be collected; `None` if it was.
    #[must_use]
    pub fn trouble(&self) -> Option<&Error> {
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
