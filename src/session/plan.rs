//! What a run goes through, and how.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::declaration::Check;
use crate::sandbox::Requirement;

/// What a run is going to do with the locks directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocksAccess {
    Read,
    Write,
}

/// What a run goes through, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The declaration's file. Without one it is `driftlock.toml` or `driftlock.json`, here or in a directory above.
    pub config: Option<PathBuf>,
    /// The checks to go through; all if there are none.
    pub checks: Vec<String>,
    /// The declared server that this machine is: with its checks, and the roots that they have there.
    pub as_server: Option<String>,
    /// How many threads read; one for each core if nothing is said.
    pub threads: Option<NonZeroUsize>,
    /// How much of a sandbox is required.
    pub requirement: Requirement,
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
    /// All checks, whatever their modes.
    Everything,
    /// What servers send: no root and no engine here is opened.
    Servers,
    /// Nothing but locks, and what else says what is expected.
    Locks,
    /// An export, which is compared with the roots that are here.
    Export(PathBuf),
}

impl Reads {
    /// Whether a check's root or engine is opened here.
    pub(super) fn opens(&self, check: &Check, plan: &Plan) -> bool {
        match self {
            // Do not contact the engine for skipped checks.
            Self::Here => check.modes.local || check.engine.is_none(),
            Self::Everything => true,
            Self::Servers | Self::Locks => false,
            // With the roots of a server, what is here is not what is meant.
            Self::Export(_) => check.modes.local && check.engine.is_none() && plan.as_server.is_none(),
        }
    }
}
