//! What a run checks, and how.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::declaration::Check;
use crate::sandbox::Requirement;
use crate::walk::RunStart;

/// What a run does with the locks directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocksAccess {
    Read,
    Write,
}

/// What a run checks, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The declaration's file. Without it: `driftlock.toml` or `driftlock.json`, here or in a directory above.
    pub config: Option<PathBuf>,
    /// The checks to run; empty for all.
    pub checks: Vec<String>,
    /// Run as this declared server: with its checks and its roots.
    pub as_server: Option<String>,
    /// The number of threads that read. Without it: one for each core.
    pub threads: Option<NonZeroUsize>,
    /// Leave the page cache to others, and start no more threads than cores.
    pub gentle: bool,
    /// The most bytes of files to read in a second.
    pub rate: Option<NonZeroU64>,
    /// Which sandbox is required.
    pub requirement: Requirement,
    /// When the run started: later changes are changes during the run.
    pub start: RunStart,
}

impl Plan {
    /// All checks of a declaration.
    pub fn of(config: impl Into<PathBuf>) -> Self {
        Self { config: Some(config.into()), ..Self::default() }
    }
}

/// What a run reads.
#[derive(Clone, Debug)]
pub enum Reads {
    /// The checks for this machine.
    Here,
    /// All checks, for any `modes`.
    Everything,
    /// Only what servers send. No root and no engine is opened here.
    Servers,
    /// Only locks, and the files that Compose printed.
    Locks,
    /// An export, to be compared with the roots here.
    Export(PathBuf),
}

impl Reads {
    /// Whether the root or engine of a check is opened here.
    pub(super) fn opens(&self, check: &Check, plan: &Plan) -> bool {
        match self {
            // Do not contact the engine for skipped checks.
            Self::Here => check.modes.local || check.engine.is_none(),
            Self::Everything => true,
            Self::Servers | Self::Locks => false,
            // The roots of the server may exist here too, but they are not what is meant.
            Self::Export(_) => check.modes.local && check.engine.is_none() && plan.as_server.is_none(),
        }
    }
}
