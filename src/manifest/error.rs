//! Why a lock is refused, and what to do about it.

use super::Spoiled;
use crate::path::{EntryPath, escaped};

/// Why a lock is refused. The caller adds the name of the lock; [`LockError::help`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("it could not be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is a link to {}, which is not in the locks directory", escaped(.target))]
    LinkAway { target: Box<[u8]> },
    #[error("it is empty")]
    Empty,
    #[error("it ends in the middle, at line {line}")]
    Truncated { line: u64 },
    #[error("line {line} is longer than {limit} bytes")]
    LineTooLong { line: u64, limit: u64 },
    #[error("line {line} is not as driftlock writes it: {problem}")]
    NotCanonical { line: u64, problem: String },
    #[error("{0}")]
    Spoiled(Spoiled),
    #[error("format version {found} is unknown, only 1 is known")]
    Version { found: String },
    #[error("line {line}: {path} is out of order: it sorts before the path above it")]
    OutOfOrder { line: u64, path: EntryPath },
    #[error("line {line}: {path} is there twice")]
    Duplicate { line: u64, path: EntryPath },
    #[error("its entries have the digest {actual}, but it says {stated}: it was changed by hand or damaged")]
    Tampered { stated: String, actual: String },
    #[error("line {line} is not a line of `sha256sum`: {problem}")]
    NotSha256sum { line: u64, problem: &'static str },
    #[error("it belongs to the check {found}, not to {expected}")]
    OtherCheck { found: String, expected: String },
    #[error("it was written for kind {found:?}, and the declaration says {expected:?}")]
    OtherKind { found: &'static str, expected: &'static str },
    #[error("it was written with attributes [{found}], and the declaration asks for [{expected}]")]
    OtherAttributes { found: String, expected: String },
    /// A lock of the old scripts that is invalid.
    #[error("it is an old lock, and {problem}")]
    Old { problem: String, help: &'static str },
    /// The live state differs from the lock in more entries than a run keeps.
    #[error("the live state differs from it in more entries than a run keeps")]
    TooDifferent,
}

impl LockError {
    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Old { help, .. } => help,
            Self::Spoiled(spoiled) => spoiled.help(),
            Self::LinkAway { .. } => {
                "put the file itself in its place (`cp --remove-destination`), or name the directory that it is in as `locks`"
            }
            Self::Io(_) => "check that it exists and that you may read it",
            Self::Version { .. } => {
                "use the version of driftlock that wrote it, or write a new one with `driftlock lock`"
            }
            Self::OtherCheck { .. } => "restore the lock of this check from git, or write it with `driftlock lock`",
            Self::OtherKind { .. } | Self::OtherAttributes { .. } => {
                "review the change of the declaration, then write a new lock with `driftlock lock`"
            }
            _ => "restore it from git, or remove it and write a new one with `driftlock lock` after a review",
        }
    }
}
