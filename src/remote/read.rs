//! Reads an answer, line by line and without believing it.

mod engine;

use std::io::{self, BufRead, Read as _};

use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AnswerError, LINE_LIMIT, PROTOCOL};
use crate::declaration::Check;
use crate::digest::Sha256;
use crate::manifest::{Content, Entries, Entry, Kind, LockError, Observed, Unverified, json};
use crate::path::{EntryPath, Prose};
use crate::sandbox::Requirement;
use crate::trouble::Trouble;

/// The longest answer that is read, in bytes: some five million entries.
const ANSWER_LIMIT: u64 = 1 << 30;

/// The longest answer to an export, in bytes, all of which is kept in memory: some 600,000 entries.
const EXPORT_LIMIT: u64 = 128 << 20;

/// The most that the places take which an answer names for one check where another file system begins, in bytes.
const MOUNTS_LIMIT: usize = 4 << 20;

/// What one of them takes beside its path.
const MOUNT: usize = 64;

/// The longest text for people in an answer, in bytes.
const TEXT_LIMIT: usize = 4096;

/// The longest account of what is wrong with a line, in characters: the line itself may be in it.
const PROBLEM_LIMIT: usize = 500;

/// What the first line of an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The version of the driftlock there. Harmless.
    pub driftlock: String,
    /// The ABI of the Landlock that held there.
    pub landlock: Option<u32>,
    pub seccomp: bool,
}

impl Head {
    /// Checks that as much of a sandbox holds there as is required here.
    ///
    /// # Errors
    /// Which layers are missing.
    pub fn fits(&self, requirement: Requirement) -> Result<(), AnswerError> {
        let missing: Vec<_> = self.missing().collect();
        if requirement == Requirement::AsAvailable || missing.is_empty() {
            return Ok(());
        }
        Err(AnswerError::Unsandboxed { missing: missing.join(" and ") })
    }

    /// The layers of the sandbox that do not hold there.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let layers = [("Landlock", self.landlock.is_some()), ("seccomp", self.seccomp)];
        layers.into_iter().filter_map(|(layer, holds)| (!holds).then_some(layer))
    }
}

/// An answer that is being read. What is read counts only if [`end`](Self::end) succeeds.
#[derive(Debug)]
pub struct Answer<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    /// The longest that it may be, and what is left of that, in bytes.
    limit: u64,
    left: u64,
    /// Whether an export was asked for.
    export: bool,
    /// How many checks and engines there were.
    sections: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Version {
    driftlock_collect: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HelloLine {
    #[serde(rename = "driftlock_collect")]
    _version: u64,
    driftlock: String,
    landlock: Option<u32>,
    seccomp: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgressLine {
    progress: Progress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    #[serde(rename = "entries")]
    _entries: u64,
    bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailedLine {
    failed: TroubleItem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TroubleItem {
    problem: String,
    remedy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckLine {
    check: String,
    resolved_root: Option<String>,
    failed: Option<TroubleItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MountLine {
    mount: Option<String>,
    mount_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnverifiedLine {
    /// Nothing: what was declared is not there.
    unverified: Option<String>,
    path: Option<String>,
    path_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    end: String,
    lines: u64,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoneLine {
    done: u64,
}

impl<R: BufRead> Answer<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// What is no answer, one of another version, and the server's own word that it can't.
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

    /// The same as the answer to an export.
    #[must_use]
    pub fn of_export(self) -> Self {
        let read = self.limit - self.left;
        Self { limit: EXPORT_LIMIT, left: EXPORT_LIMIT.saturating_sub(read), export: true, ..self }
    }

    /// What was read there of files' contents, in bytes, as far as the server has said so.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Goes on to the next check, which has to be this one.
    ///
    /// # Errors
    /// Anything else. The outer error ends the answer; the inner one is the server's word that this check failed there.
    pub fn check<'a>(&'a mut self, check: &'a Check) -> Result<Result<Collected<'a, R>, Trouble>, AnswerError> {
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
            return Err(self.malformed(format!("it is about the check {name}, and {} was asked for", check.name)));
        }
        if let Some(root) = &resolved_root {
            self.text(root)?;
        }
        self.sections += 1;
        let failed = failed.map(|failed| self.trouble(&failed)).transpose()?;
        let mut collected = Collected {
            answer: self,
            check,
            resolved_root,
            mounts: Vec::new(),
            of_mounts: 0,
            lines: 0,
            of_lines: Sha256::new(),
            of_entries: Sha256::new(),
            some: false,
            item: None,
            finished: false,
            error: None,
        };
        match failed {
            None => Ok(Ok(collected)),
            Some(trouble) => {
                if collected.step()? || collected.lines > 0 {
                    return Err(collected.answer.malformed("the check failed there, and has entries".to_owned()));
                }
                Ok(Err(trouble))
            }
        }
    }

    /// Reads the end: all checks were there, and nothing comes after them.
    ///
    /// # Errors
    /// An answer that is not whole, or goes on.
    pub fn end(mut self) -> Result<(), AnswerError> {
        self.next_line()?;
        self.told()?;
        let DoneLine { done } = self.parse()?;
        if done != self.sections {
            let problem = format!("it counts {done} checks and engines, and there were {}", self.sections);
            return Err(self.malformed(problem));
        }
        if !self.input.fill_buf()?.is_empty() {
            self.number += 1;
            return Err(self.malformed("there is something behind the end".to_owned()));
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<(), AnswerError> {
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

    fn parse<T: DeserializeOwned>(&self) -> Result<T, AnswerError> {
        serde_json::from_slice(&self.line).map_err(|error| self.malformed(error.to_string()))
    }

    /// The server's own word that it can't go on.
    fn told(&self) -> Result<(), AnswerError> {
        if !self.line.starts_with(b"{\"failed\"") {
            return Ok(());
        }
        let FailedLine { failed: TroubleItem { problem, remedy } } = self.parse()?;
        for text in [&problem, &remedy] {
            self.text(text)?;
        }
        Err(AnswerError::Told(Trouble::new(problem, remedy)))
    }

    fn trouble(&self, item: &TroubleItem) -> Result<Trouble, AnswerError> {
        Ok(Trouble::new(self.text(&item.problem)?, self.text(&item.remedy)?))
    }

    /// A text for people: of a bearable length, and made harmless.
    fn text(&self, text: &str) -> Result<String, AnswerError> {
        if text.len() > TEXT_LIMIT {
            return Err(self.malformed(format!("a text in it is longer than {TEXT_LIMIT} bytes")));
        }
        Ok(Prose(text).to_string())
    }

    fn malformed(&self, problem: String) -> AnswerError {
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

/// What was read last.
#[derive(Debug)]
enum Item {
    Entry(Entry),
    Unverified(EntryPath, Unverified),
}

impl Item {
    const fn path(&self) -> &EntryPath {
        match self {
            Self::Entry(Entry { path, .. }) | Self::Unverified(path, _) => path,
        }
    }
}

/// One check of an answer, entry by entry. After an error of [`Entries::next`], [`finish`](Self::finish) says whether
/// that was the answer's fault.
#[derive(Debug)]
pub struct Collected<'a, R> {
    answer: &'a mut Answer<R>,
    check: &'a Check,
    /// Where the root really lies there, links resolved; as it was sent.
    pub resolved_root: Option<String>,
    mounts: Vec<Vec<u8>>,
    /// What they take.
    of_mounts: usize,
    lines: u64,
    /// Over all lines, as the end states it.
    of_lines: Sha256,
    /// Over the entry lines as a lock would have them.
    of_entries: Sha256,
    /// Whether there was an entry line.
    some: bool,
    item: Option<Item>,
    finished: bool,
    error: Option<AnswerError>,
}

impl<R: BufRead> Collected<'_, R> {
    /// Reads what is left of the check. Gives the places where another file system begins, and the digest that a lock
    /// of the entries would have. What the places take goes off `budget`, in bytes.
    ///
    /// # Errors
    /// Whatever was wrong with the answer up to the end of this check, and places that take more.
    pub fn finish(mut self, budget: &mut usize) -> Result<(Vec<Vec<u8>>, String), AnswerError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        while !self.finished {
            self.step()?;
        }
        let Some(left) = budget.checked_sub(self.of_mounts) else {
            return Err(AnswerError::TooDifferent { check: self.check.name.clone() });
        };
        *budget = left;
        Ok((self.mounts, self.of_entries.finish().sri()))
    }

    /// Reads up to the next entry; none is left if it gives false.
    fn step(&mut self) -> Result<bool, AnswerError> {
        loop {
            self.answer.next_line()?;
            let line = &self.answer.line;
            if line.starts_with(b"{\"end\"") {
                return self.end().map(|()| false);
            }
            self.answer.told()?;
            self.lines += 1;
            self.of_lines.update(&self.answer.line);
            self.of_lines.update(b"\n");
            if self.answer.line.starts_with(b"{\"mount") {
                self.mount()?;
                continue;
            }
            let is_unverified = self.answer.line.starts_with(b"{\"unverified\"");
            let item = if is_unverified { self.unverified()? } else { self.entry()? };
            if let Some(before) = &self.item
                && before.path() >= item.path()
            {
                let problem = format!("{} stands after {}, which sorts behind it", item.path(), before.path());
                return Err(self.answer.malformed(problem));
            }
            self.item = Some(item);
            return Ok(true);
        }
    }

    fn mount(&mut self) -> Result<(), AnswerError> {
        let MountLine { mount, mount_base64 } = self.answer.parse()?;
        let path = self.path(mount, mount_base64)?;
        if self.item.is_some() || self.mounts.last().is_some_and(|before| **before >= *path.as_bytes()) {
            return Err(self.answer.malformed("a mount is not where it belongs".to_owned()));
        }
        self.of_mounts += MOUNT + path.as_bytes().len();
        if self.of_mounts > MOUNTS_LIMIT {
            return Err(self.answer.malformed(format!("it names more than {MOUNTS_LIMIT} bytes of mounts")));
        }
        self.mounts.push(path.as_bytes().to_vec());
        Ok(())
    }

    fn path(&self, text: Option<String>, base64: Option<String>) -> Result<EntryPath, AnswerError> {
        let bytes = match (text, base64) {
            (Some(text), None) => Some(text.into_bytes()),
            (None, Some(base64)) => {
                BASE64.decode(base64.as_bytes()).ok().filter(|bytes| std::str::from_utf8(bytes).is_err())
            }
            _ => None,
        };
        let bytes = bytes.ok_or_else(|| self.answer.malformed("it needs a path, or valid Base64 of one".to_owned()))?;
        EntryPath::new(bytes).map_err(|error| self.answer.malformed(error.to_string()))
    }

    fn unverified(&self) -> Result<Item, AnswerError> {
        let UnverifiedLine { unverified, path, path_base64 } = self.answer.parse()?;
        let reason = match unverified {
            Some(reason) => Unverified::Reported(self.answer.text(&reason)?.into()),
            None if self.check.kind == Kind::Containers => Unverified::Absent,
            None => return Err(self.answer.malformed("only a container can be declared and absent".to_owned())),
        };
        Ok(Item::Unverified(self.path(path, path_base64)?, reason))
    }

    fn entry(&mut self) -> Result<Item, AnswerError> {
        let line = &self.answer.line;
        let entry = json::read_entry(line).map_err(|problem| self.answer.malformed(problem))?;
        if matches!(entry.record.content, Content::Directory { nar: Some(_) }) && !self.answer.export {
            return Err(self.answer.malformed("a `nar` was not asked for".to_owned()));
        }
        let (kind, attributes) = (self.check.kind, self.check.attributes);
        json::fits(kind, attributes, entry.path.as_bytes(), &entry.record)
            .map_err(|problem| self.answer.malformed(problem.to_owned()))?;
        if std::mem::replace(&mut self.some, true) {
            self.of_entries.update(b",\n");
        }
        self.of_entries.update(line);
        Ok(Item::Entry(entry))
    }

    fn end(&mut self) -> Result<(), AnswerError> {
        let EndLine { end, lines, digest } = self.answer.parse()?;
        if end != self.check.name || lines != self.lines || digest != self.of_lines.clone().finish().sri() {
            let problem = "the check, the number of lines or the digest that it states does not fit what came before";
            return Err(self.answer.malformed(problem.to_owned()));
        }
        if self.some {
            self.of_entries.update(b"\n");
        }
        self.item = None;
        self.finished = true;
        Ok(())
    }
}

impl<R: BufRead> Entries for Collected<'_, R> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        if self.finished {
            return Ok(None);
        }
        if let Err(error) = self.step() {
            let told = io::Error::other(error.to_string());
            self.error = Some(error);
            return Err(told.into());
        }
        Ok(self.item.as_ref().map(|item| match item {
            Item::Entry(entry) => Observed { path: entry.path.as_bytes(), state: Ok(&entry.record) },
            Item::Unverified(path, reason) => Observed { path: path.as_bytes(), state: Err(reason) },
        }))
    }
}

#[cfg(test)]
mod tests;
