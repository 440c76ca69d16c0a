//! The errors of answers.

use std::io;

use super::PROTOCOL;
use crate::error::Error;
use crate::path::{EntryPath, Prose, escaped};

/// Why an answer is refused. The caller adds the server's name; [`help`](Self::help) says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("its answer could not be read: {0}")]
    Io(#[from] io::Error),
    #[error("it sent nothing")]
    Nothing,
    /// The first line is not from driftlock.
    #[error("it sent something other than an answer: \"{}\"", start(.found))]
    NotAnAnswer { found: Vec<u8> },
    #[error("its driftlock uses version {found} of the protocol, and this one uses {PROTOCOL}")]
    Version { found: u64 },
    #[error("a full sandbox is required, and {missing} did not hold there")]
    Unsandboxed { missing: String },
    #[error("its answer ends early, after line {line}")]
    Truncated { line: u64 },
    #[error("line {line} of its answer is longer than {limit} bytes")]
    LineTooLong { line: u64, limit: u64 },
    #[error("its answer is longer than {limit} bytes")]
    TooLong { limit: u64 },
    /// The problem is escaped, and short.
    #[error("line {line} of its answer is not what driftlock writes: {problem}")]
    Malformed { line: u64, problem: String },
    #[error("its answer about the check {check} has more differences than are kept in memory")]
    TooDifferent { check: String },
    #[error("the contents that it sent of {} do not have the digest that it stated for the check {check}", escaped(.path.as_bytes()))]
    OtherContents { check: String, path: EntryPath },
    /// Its reader stopped early.
    #[error("its answer was not read to the end")]
    Abandoned,
    /// The server reports why it can't answer.
    #[error("it says: {}", Prose(&.0.problem))]
    Told(Error),
}

impl AnswerError {
    /// Whether the stream ended early.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Nothing | Self::Truncated { .. })
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Nothing => "run `ssh HOST driftlock collect </dev/null` by hand; check that it starts, and that no forced command (`ForceCommand`, `command=` in authorized_keys) runs something else"
                .to_owned(),
            Self::NotAnAnswer { .. } => {
                "make sure that its shell prints nothing when it is not interactive, that `driftlock` there is this program, and that a forced command (`ForceCommand`, `command=` in authorized_keys) is `driftlock collect`"
                    .to_owned()
            }
            Self::Version { .. } => {
                "install the same version on both sides, or send this one with --push".to_owned()
            }
            Self::Io(_) | Self::Truncated { .. } => {
                "the connection or the program there ended early: check again; if this repeats, look in the server's system log".to_owned()
            }
            Self::TooLong { .. } => {
                "run fewer checks at a time, with --check; if they are not that large there, don't trust that machine"
                    .to_owned()
            }
            Self::OtherContents { .. } => "don't trust that machine: driftlock never sends this".to_owned(),
            Self::LineTooLong { .. } | Self::Malformed { .. } => {
                "install the same version on both sides; if that is so, don't trust that machine".to_owned()
            }
            Self::Unsandboxed { .. } => {
                "run `driftlock capabilities` there to see why, or check it without --require-sandbox".to_owned()
            }
            Self::Abandoned => "look at the other error of this server".to_owned(),
            Self::TooDifferent { .. } => {
                "check that `server_root` is the same tree there; if it is, don't trust that machine".to_owned()
            }
            Self::Told(trouble) => Prose(&trouble.help).to_string(),
        }
    }
}

fn start(found: &[u8]) -> String {
    const LONGEST: usize = 200;
    let cut = &found[..found.len().min(LONGEST)];
    format!("{}{}", escaped(cut.trim_ascii_end()), if found.len() > LONGEST { "…" } else { "" })
}
