//! Why an answer is refused.

use std::io;

use super::PROTOCOL;
use crate::path::{EntryPath, Prose, escaped};
use crate::trouble::Trouble;

/// Why an answer counts for nothing. The caller adds the server's name; [`remedy`](Self::remedy) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("its answer could not be read: {0}")]
    Io(#[from] io::Error),
    #[error("it sent nothing")]
    Nothing,
    /// The first line is none of driftlock's.
    #[error("it sent something else than an answer: \"{}\"", start(.found))]
    NotAnAnswer { found: Vec<u8> },
    #[error("its driftlock speaks version {found} of `collect`, and this one speaks {PROTOCOL}")]
    Version { found: u64 },
    #[error("a full sandbox is required, and there is none on it: {missing} did not hold")]
    Unsandboxed { missing: String },
    #[error("its answer ends in the middle, after line {line}")]
    Truncated { line: u64 },
    #[error("line {line} of its answer is longer than {limit} bytes")]
    LineTooLong { line: u64, limit: u64 },
    #[error("its answer is longer than {limit} bytes")]
    TooLong { limit: u64 },
    /// The problem is harmless, and not long.
    #[error("line {line} of its answer is not what driftlock writes: {problem}")]
    Malformed { line: u64, problem: String },
    #[error("what it says of the check {check} differs from what is expected in more than is kept of one server")]
    TooDifferent { check: String },
    #[error("what it sent as the contents of {} is not what it told of the check {check}", escaped(.path.as_bytes()))]
    OtherContents { check: String, path: EntryPath },
    /// Its reader has gone away.
    #[error("its answer was not read to the end")]
    Abandoned,
    /// It says itself that it can't, and why.
    #[error("it says: {}", Prose(&.0.problem))]
    Told(Trouble),
}

impl AnswerError {
    /// Whether the stream has ended, early.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Nothing | Self::Truncated { .. })
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Nothing => "see whether `driftlock collect` starts there, and whether a forced command (`ForceCommand`, \
                              `command=` in authorized_keys) runs something else"
                .to_owned(),
            Self::NotAnAnswer { .. } => {
                "let its shell print nothing when it is not interactive, and `driftlock` there be this program; if a \
                 forced command is set (`ForceCommand`, `command=` in authorized_keys), it has to be `driftlock collect`"
                    .to_owned()
            }
            Self::Version { .. } => {
                "install the same version on both sides, or send this one along with --push".to_owned()
            }
            Self::Io(_) | Self::Truncated { .. } => {
                "the connection or the program there ended early: check again, and see its system's log".to_owned()
            }
            Self::TooLong { .. } => {
                "ask for some of the checks at a time, with --check; if they are not so large there, don't trust that \
                 machine"
                    .to_owned()
            }
            Self::OtherContents { .. } => "don't trust that machine: the program there sends no such thing".to_owned(),
            Self::LineTooLong { .. } | Self::Malformed { .. } => {
                "install the same version on both sides; if that is so, don't trust that machine".to_owned()
            }
            Self::Unsandboxed { .. } => {
                "see what `driftlock capabilities` says there, or check it without --require-sandbox".to_owned()
            }
            Self::Abandoned => "see what is said beside it".to_owned(),
            Self::TooDifferent { .. } => {
                "see whether `server_root` names the same tree there; if it does, don't trust that machine".to_owned()
            }
            Self::Told(trouble) => Prose(&trouble.remedy).to_string(),
        }
    }
}

fn start(found: &[u8]) -> String {
    const LONGEST: usize = 200;
    let cut = &found[..found.len().min(LONGEST)];
    format!("{}{}", escaped(cut.trim_ascii_end()), if found.len() > LONGEST { "…" } else { "" })
}
