//! Why a report is refused.

use super::{SCHEMA, SERVERS_SCHEMA};
use crate::path::escaped;

/// Why a JSON report can't be read back. The caller adds its name; [`remedy`](Self::remedy) says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    #[error("it is empty")]
    Empty,
    #[error("it ends in the middle, at line {line}")]
    Truncated { line: usize },
    #[error("it is not JSON: {problem}")]
    NotJson { problem: String },
    /// JSON, but nothing that says it is a report of driftlock; a report of the old scripts is none either.
    #[error("it is no report of driftlock: it should say `\"schema\": \"{SCHEMA}\"`")]
    NotAReport,
    #[error("its form is {}, and only {SCHEMA} and {SERVERS_SCHEMA} are known", escaped(.found.as_bytes()))]
    Version { found: String },
    /// Where a report of one machine is wanted.
    #[error("it is about several servers")]
    Several,
    /// The form is known, and it does not keep to it.
    #[error("it does not keep to its form: {}", escaped(.problem.as_bytes()))]
    Form { problem: String },
    /// One part contradicts another.
    #[error("it contradicts itself, so it was changed by hand or damaged: {}", escaped(.problem.as_bytes()))]
    Inconsistent { problem: String },
}

impl ReportError {
    /// The same of one server among several.
    pub(super) fn of_server(self, name: &str) -> Self {
        match self {
            Self::Form { problem } => Self::Form { problem: format!("server {name}: {problem}") },
            Self::Inconsistent { problem } => Self::Inconsistent { problem: format!("server {name}: {problem}") },
            other => other,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Empty | Self::Truncated { .. } => {
                "the run that wrote it did not end well: use another, or run `driftlock check` again"
            }
            Self::NotJson { .. } | Self::NotAReport => "name a `drift_report.json` that `driftlock check` wrote",
            Self::Several => "name the folder of one of them, below `servers` in the folder of the run",
            Self::Version { .. } => "use the driftlock that wrote it, or run `driftlock check` again",
            Self::Form { .. } | Self::Inconsistent { .. } => {
                "use the report as it was written, or run `driftlock check` again"
            }
        }
    }
}
