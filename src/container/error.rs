//! What can be wrong with an engine and its answers.

use std::io;
use std::time::Duration;

use crate::path::escaped;

/// Why an engine could not be asked. The caller names the socket; [`EngineError::remedy`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("it said nothing for {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    #[error("its answers took longer than {} seconds", .0.as_secs_f32())]
    TooSlow(Duration),
    #[error("it closed the connection before its answer was whole")]
    Closed,
    #[error("its answer is malformed: {}", escaped(.0.as_bytes()))]
    Malformed(String),
    #[error("its answer is too large: more than {limit} {what}")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("it answers with status {status}: {}", escaped(.message.as_bytes()))]
    Status { status: u16, message: String },
    #[error("it speaks version {} of the API at most, and driftlock needs {oldest}", escaped(.found.as_bytes()))]
    TooOld { found: String, oldest: String },
    #[error("it speaks no version of the API before {}, and driftlock none after {newest}", escaped(.found.as_bytes()))]
    TooNew { found: String, newest: String },
    #[error("it has no container {0}")]
    NoContainer(String),
    /// Its archives say of every file that it belongs to the container's user.
    #[error("Podman does not tell whom files in a container belong to")]
    NoOwners,
    #[error("Podman does not follow links, and {} is one to {}", escaped(.root.as_bytes()), escaped(.target.as_bytes()))]
    RootIsLink { root: String, target: String },
    #[error("the container {container} has no directory {}", escaped(.root.as_bytes()))]
    NoRoot { container: String, root: String },
}

impl EngineError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::Closed => "see in its log why the engine ended the connection, and run this again",
            Self::Silent(_) | Self::TooSlow(_) => {
                "see why the engine hangs, with `docker ps` for example; restart it if need be"
            }
            Self::Malformed(_) => "see that `socket` is the API of Docker or Podman, and nothing else",
            Self::TooLarge { .. } => "declare fewer containers, or a smaller `root`",
            Self::Status { .. } => "see the engine's log",
            Self::TooOld { .. } => "update the engine",
            Self::TooNew { .. } => "use a newer driftlock",
            Self::NoContainer(_) => "start it, or correct `container` in the declaration",
            Self::NoOwners => "leave `owner` out of the check's `attributes`",
            Self::RootIsLink { .. } => "declare the directory that it leads to as `root`",
            Self::NoRoot { .. } => "correct `root` in the declaration: it is a directory's path in the container",
        }
    }

    /// Malformed, with why.
    pub(super) fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed(problem.into())
    }
}
