//! The errors of engines and their responses.

use std::io;
use std::time::Duration;

use crate::path::escaped;

/// Why an engine could not be queried. The caller adds the socket; [`EngineError::help`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("it did not respond for {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    #[error("its answers took longer than {} seconds", .0.as_secs_f32())]
    TooSlow(Duration),
    #[error("it closed the connection before its answer was complete")]
    Closed,
    #[error("its answer is malformed: {}", escaped(.0.as_bytes()))]
    Malformed(String),
    #[error("its answer is too large: more than {limit} {what}")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("it answers with status {status}: {}", escaped(.message.as_bytes()))]
    Status { status: u16, message: String },
    #[error("its newest API version is {}, and driftlock needs at least {oldest}", escaped(.found.as_bytes()))]
    TooOld { found: String, oldest: String },
    #[error("its oldest API version is {}, and driftlock supports up to {newest}", escaped(.found.as_bytes()))]
    TooNew { found: String, newest: String },
    #[error("it has no container {0}")]
    NoContainer(String),
    /// Podman's archives report the container's user as the owner of every file.
    #[error("Podman does not report the owners of files in containers")]
    NoOwners,
    #[error("{} is a link to {}, and Podman does not follow links", escaped(.root.as_bytes()), escaped(.target.as_bytes()))]
    RootIsLink { root: String, target: String },
    #[error("the container {container} has no directory {}", escaped(.root.as_bytes()))]
    NoRoot { container: String, root: String },
}

impl EngineError {
    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::Closed => {
                "look in the engine's log for the reason, such as `journalctl -u docker`, and run this again"
            }
            Self::Silent(_) | Self::TooSlow(_) => "run `docker ps`; if that hangs too, restart the engine",
            Self::Malformed(_) => "make sure that `socket` is the API socket of Docker or Podman",
            Self::TooLarge { .. } => "declare fewer containers, or a smaller `root`",
            Self::Status { .. } => "look for the reason in the engine's log, such as `journalctl -u docker`",
            Self::TooOld { .. } => "update the engine",
            Self::TooNew { .. } => "use a newer driftlock",
            Self::NoContainer(_) => "start it, or correct `container` in the declaration",
            Self::NoOwners => "leave `owner` out of the check's `attributes`",
            Self::RootIsLink { .. } => "declare the directory that it leads to as `root`",
            Self::NoRoot { .. } => "correct `root` in the declaration; it must be a directory in the container",
        }
    }

    /// A malformed response, with the problem.
    pub(super) fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed(problem.into())
    }
}
