//! Why a report is refused.

use super::{SCHEMA, SERVERS_SCHEMA};
use crate::path::escaped;

/// Why a JSON report is refused. The caller adds its name; [`help`](Self::help) says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    #[error("it is empty")]
    Empty,
    #[error("it ends in the middle, at line {line}")]
    Truncated { line: usize },
    #[error("it is not JSON: {problem}")]
    NotJson { problem: String },
    /// It is JSON without the `schema` of a report; so are the reports of the old scripts.
    #[error("it is not a report of driftlock: it has no `\"schema\": \"{SCHEMA}\"`")]
    NotAReport,
    #[error("its schema is {}, and only {SCHEMA} and {SERVERS_SCHEMA} are known", escaped(.found.as_bytes()))]
    Version { found: String },
    /// A report of one machine is wanted.
    #[error("it is about several servers")]
    Several,
    /// The schema is known, but the report does not follow it.
    #[error("it does not follow its schema: {}", escaped(.problem.as_bytes()))]
    Form { problem: String },
    /// One part contradicts another.
    #[error("it contradicts itself, so it was changed by hand or damaged: {}", escaped(.problem.as_bytes()))]
    Inconsistent { problem: String },
}

impl ReportError {
    /// The same error, with the name of the server that it is about.
    pub(super) fn of_server(self, name: &str) -> Self {
        match self {
            Self::Form { problem } => Self::Form { problem: format!("server {name}: {problem}") },
            Self::Inconsistent { problem } => Self::Inconsistent { problem: format!("server {name}: {problem}") },
            other => other,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Empty | Self::Truncated { .. } => {
                "the run that wrote it was interrupted: use another report, or run `driftlock check` again"
            }
            Self::NotJson { .. } | Self::NotAReport => "name a `drift_report.json` that `driftlock check` wrote",
            Self::Several => "name the folder of one server, below `servers` in the folder of the run",
            Self::Version { .. } => "use the version of driftlock that wrote it, or run `driftlock check` again",
            Self::Form { .. } | Self::Inconsistent { .. } => {
                "restore the report as it was written, or run `driftlock check` again"
            }
        }
    }
}
