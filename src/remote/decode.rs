//! Decodes an answer line by line, without trusting it.

mod collected;
mod engine;
mod lines;

pub use collected::{CheckEntries, CheckExtras};

use std::io::{BufRead, Read as _};

use serde::de::DeserializeOwned;

use super::{AnswerError, LINE_LIMIT, PROTOCOL};
use crate::declaration::Check;
use crate::error::{Error, ErrorKind};
use crate::path::Prose;
use crate::sandbox::Requirement;
pub(super) use lines::DoneLine;
use lines::{CheckLine, FailedLine, HelloLine, ProgressLine, TroubleItem, Version};

/// The longest answer, in bytes: about five million entries.
const ANSWER_LIMIT: u64 = 1 << 30;

/// The longest answer to an export, in bytes, since all of it is kept in memory: about 600,000 entries.
const EXPORT_LIMIT: u64 = 128 << 20;

/// The longest message in an answer, in bytes.
const TEXT_LIMIT: usize = 4096;

/// The longest description of a malformed line, in characters, since it may quote the line.
const PROBLEM_LIMIT: usize = 500;

/// The first line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The server's version of driftlock. Escaped.
    pub driftlock: String,
    /// The ABI of Landlock on the server.
    pub landlock: Option<u32>,
    pub seccomp: bool,
}

impl Head {
    /// Checks that the server's sandbox meets the requirement.
    ///
    /// # Errors
    /// Layers are missing.
    pub fn fits(&self, requirement: Requirement) -> Result<(), AnswerError> {
        let missing: Vec<_> = self.missing().collect();
        if requirement == Requirement::AsAvailable || missing.is_empty() {
            return Ok(());
        }
        Err(AnswerError::Unsandboxed { missing: missing.join(" and ") })
    }

    /// The layers of the sandbox that are missing on the server.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let layers = [("Landlock", self.landlock.is_some()), ("seccomp", self.seccomp)];
        layers.into_iter().filter_map(|(layer, holds)| (!holds).then_some(layer))
    }
}

/// A reader of an answer. Use what was read only if [`end`](Self::end) succeeds.
#[derive(Debug)]
pub struct Answer<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    /// The size limit, and what is left of it, in bytes.
    limit: u64,
    left: u64,
    /// Whether this is the answer to an export.
    export: bool,
    /// The number of checks and engines so far.
    sections: u64,
    bytes: u64,
}

impl<R: BufRead> Answer<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It is not an answer, it has another version, or the server reports a failure.
    pub fn new(input: R) -> Result<(Self, Head), AnswerError> {
        let mut answer = Self {
            input,
            line: Vec::new(),
            number: 0,
            limit: ANSWER_LIMIT,
            left: ANSWER_LIMIT,
            export: false,
            sections: 0,
            bytes: 0,
        };
        match answer.next_line() {
            Err(AnswerError::Truncated { .. }) if answer.line.is_empty() => return Err(AnswerError::Nothing),
            Err(AnswerError::Truncated { .. } | AnswerError::LineTooLong { .. }) => return Err(answer.no_answer()),
            result => result?,
        }
        answer.told()?;
        let Ok(Version { driftlock_collect: found }) = serde_json::from_slice(&answer.line) else {
            return Err(answer.no_answer());
        };
        if found != PROTOCOL {
            return Err(AnswerError::Version { found });
        }
        let hello: HelloLine = answer.parse()?;
        let head = Head { driftlock: answer.text(&hello.driftlock)?, landlock: hello.landlock, seccomp: hello.seccomp };
        Ok((answer, head))
    }

    /// Treats this as the answer to an export.
    #[must_use]
    pub fn of_export(self) -> Self {
        let read = self.limit - self.left;
        Self { limit: EXPORT_LIMIT, left: EXPORT_LIMIT.saturating_sub(read), export: true, ..self }
    }

    /// The bytes of files that the server has reported as read.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the start of the next check, which must be this one.
    ///
    /// # Errors
    /// The outer error ends the answer; the inner one is the failure of this check on the server.
    pub fn check<'a>(&'a mut self, check: &'a Check) -> Result<Result<CheckEntries<'a, R>, Error>, AnswerError> {
        loop {
            self.next_line()?;
            self.told()?;
            if !self.line.starts_with(b"{\"progress\"") {
                break;
            }
            let ProgressLine { progress } = self.parse()?;
            self.bytes = progress.bytes;
        }
        let CheckLine { check: name, resolved_root, failed } = self.parse()?;
        if name != check.name {
            return Err(self.malformed(format!("it is about the check {name} instead of {}", check.name)));
        }
        if let Some(root) = &resolved_root {
            self.text(root)?;
        }
        self.sections += 1;
        let failed = failed.map(|failed| self.trouble(&failed)).transpose()?;
        let collected = CheckEntries::new(self, check, resolved_root);
        match failed {
            None => Ok(Ok(collected)),
            Some(trouble) => collected.without_lines().map(|()| Err(trouble)),
        }
    }

    /// Reads the end: all checks were there, and nothing follows.
    ///
    /// # Errors
    /// The answer is incomplete, or continues.
    pub fn end(mut self) -> Result<(), AnswerError> {
        self.checks_end()?;
        self.nothing_more()
    }

    /// Reads the end of the checks, which the answer to a second request may follow.
    ///
    /// # Errors
    /// The answer is incomplete.
    pub fn checks_end(&mut self) -> Result<(), AnswerError> {
        self.next_line()?;
        self.told()?;
        let DoneLine { done } = self.parse()?;
        if done != self.sections {
            let problem = format!("it counts {done} checks and engines instead of {}", self.sections);
            return Err(self.malformed(problem));
        }
        Ok(())
    }

    /// Checks that the answer has ended.
    ///
    /// # Errors
    /// The answer continues.
    pub fn nothing_more(&mut self) -> Result<(), AnswerError> {
        if !self.input.fill_buf()?.is_empty() {
            self.number += 1;
            return Err(self.malformed("there is data after the end".to_owned()));
        }
        Ok(())
    }

    pub(super) fn next_line(&mut self) -> Result<(), AnswerError> {
        self.line.clear();
        let limit = LINE_LIMIT.min(self.left);
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.line)?;
        self.left -= read as u64;
        if self.line.pop_if(|last| *last == b'\n').is_some() {
            self.number += 1;
            return Ok(());
        }
        Err(match read as u64 {
            read if read < limit => AnswerError::Truncated { line: self.number },
            _ if self.left == 0 => AnswerError::TooLong { limit: self.limit },
            _ => AnswerError::LineTooLong { line: self.number + 1, limit: LINE_LIMIT },
        })
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, AnswerError> {
        serde_json::from_slice(&self.line).map_err(|error| self.malformed(error.to_string()))
    }

    /// Returns an error if the line reports a failure of the server.
    pub(super) fn told(&self) -> Result<(), AnswerError> {
        if !self.line.starts_with(b"{\"failed\"") {
            return Ok(());
        }
        let FailedLine { failed: TroubleItem { problem, help } } = self.parse()?;
        for text in [&problem, &help] {
            self.text(text)?;
        }
        Err(AnswerError::Told(Error::new(ErrorKind::Server, problem, help)))
    }

    fn trouble(&self, item: &TroubleItem) -> Result<Error, AnswerError> {
        Ok(Error::new(ErrorKind::Server, self.text(&item.problem)?, self.text(&item.help)?))
    }

    /// A message: limited in length, and escaped.
    pub(super) fn text(&self, text: &str) -> Result<String, AnswerError> {
        if text.len() > TEXT_LIMIT {
            return Err(self.malformed(format!("a text in it is longer than {TEXT_LIMIT} bytes")));
        }
        Ok(Prose(text).to_string())
    }

    pub(super) fn malformed(&self, problem: String) -> AnswerError {
        let mut problem = Prose(&problem).to_string();
        if let Some((end, _)) = problem.char_indices().nth(PROBLEM_LIMIT) {
            problem.truncate(end);
            problem.push('…');
        }
        AnswerError::Malformed { line: self.number, problem }
    }

    fn no_answer(&mut self) -> AnswerError {
        AnswerError::NotAnAnswer { found: std::mem::take(&mut self.line) }
    }
}

#[cfg(test)]
mod tests;
