//! Errors as operators read them, with a kind for programs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong, and what to do about it. [`kind`](Self::kind) is for programs, the texts are for people.
///
/// ```
/// use driftlock::{ErrorKind, Plan, check};
///
/// let error = check(&Plan::of("no/driftlock.toml")).unwrap_err();
/// match error.kind {
///     ErrorKind::Declaration => assert!(error.help.contains("driftlock init"), "{error}"),
///     _ => panic!("{error}"),
/// }
/// assert_eq!(error.exit_code(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Error {
    /// What the error is about.
    #[serde(skip)]
    pub kind: ErrorKind,
    /// What failed, which path, and why. No full stop.
    pub problem: String,
    /// Advice in the imperative; may be empty. No full stop.
    #[serde(rename = "remedy")]
    pub help: String,
}

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The plan or the arguments: they contradict each other or the declaration.
    Usage,
    /// The declaration: it is missing, can't be read, or is invalid.
    Declaration,
    /// Something to read, such as a root: it can't be opened or read, or has nothing to check.
    Input,
    /// A container engine: it can't be reached, or its answer is refused.
    Engine,
    /// A lock: it is missing or refused, or can't hold the live state.
    Lock,
    /// A seal, its signature, or the allowed signers.
    Seal,
    /// A server: it can't be reached, or its answer is refused.
    Server,
    /// The sandbox: the kernel does not offer what is required.
    Sandbox,
    /// A file that can't be written.
    Output,
    /// Not known: the error comes from a report that was read back, and reports do not record kinds.
    #[default]
    Recorded,
}

impl Error {
    #[must_use]
    pub fn new(kind: ErrorKind, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, problem: problem.into(), help: help.into() }
    }

    /// The same error, with its problem changed by `map`.
    pub(crate) fn map_problem(self, map: impl FnOnce(String) -> String) -> Self {
        Self { problem: map(self.problem), ..self }
    }

    /// The same error with another help.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }

    /// The exit code of a command that ends with this error.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage
            | ErrorKind::Declaration
            | ErrorKind::Input
            | ErrorKind::Engine
            | ErrorKind::Lock
            | ErrorKind::Seal
            | ErrorKind::Server
            | ErrorKind::Sandbox
            | ErrorKind::Output
            | ErrorKind::Recorded => 2,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Error {}
