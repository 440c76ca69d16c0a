//! Decodes one check of an answer.

use std::io::{self, BufRead};

use data_encoding::BASE64;

use super::lines::{EndLine, MountLine, TouchedLine, UncoveredLine, UnverifiedLine};
use super::{Answer, AnswerError};
use crate::compare::DifferenceBudget;
use crate::declaration::Check;
use crate::digest::Sha256;
use crate::manifest::{
    Boundary, Cause, Content, Crossing, Entries, Entry, GlobList, LockError, Observed, Uncovered, Unverified, json,
};
use crate::path::EntryPath;

/// The size limit of mounts and uncovered items in the answer for one check, in bytes.
const MOUNTS_LIMIT: usize = 4 << 20;

/// The size limit of the paths that were touched during the run, in bytes.
const TOUCHED_LIMIT: usize = 64 << 20;

/// The size of one of them without its path.
const MOUNT: usize = 64;

/// The parts of a check other than its entries.
#[derive(Debug)]
pub struct CheckExtras {
    /// Where another mount or file system begins.
    pub mounts: Vec<Crossing>,
    /// What the check leads to and does not cover, sorted.
    pub uncovered: Vec<Uncovered>,
    /// The paths that were touched during the run, sorted.
    pub touched: Vec<Vec<u8>>,
    /// The digest that a lock of the entries would have.
    pub digest: String,
}

/// The last item that was read.
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

/// The entries of one check. After an error of [`Entries::next`], [`finish`](Self::finish) returns the cause if the
/// answer is invalid.
#[derive(Debug)]
pub struct CheckEntries<'a, R> {
    answer: &'a mut Answer<R>,
    check: &'a Check,
    /// The resolved path of the root on the server, as it was sent.
    pub resolved_root: Option<String>,
    mounts: Vec<Crossing>,
    uncovered: Vec<Uncovered>,
    /// The size of both.
    beside: usize,
    touched: Vec<Vec<u8>>,
    of_touched: usize,
    lines: u64,
    /// The digest of all lines, which the last line states.
    of_lines: Sha256,
    /// The digest of the entry lines, as in a lock.
    of_entries: Sha256,
    /// Whether there was an entry line.
    some: bool,
    item: Option<Item>,
    finished: bool,
    error: Option<AnswerError>,
}

impl<'a, R: BufRead> CheckEntries<'a, R> {
    /// Starts after the first line of the check.
    pub(super) fn new(answer: &'a mut Answer<R>, check: &'a Check, resolved_root: Option<String>) -> Self {
        Self {
            answer,
            check,
            resolved_root,
            mounts: Vec::new(),
            uncovered: Vec::new(),
            beside: 0,
            touched: Vec::new(),
            of_touched: 0,
            lines: 0,
            of_lines: Sha256::new(),
            of_entries: Sha256::new(),
            some: false,
            item: None,
            finished: false,
            error: None,
        }
    }

    /// Reads the end of a check that failed on the server.
    ///
    /// # Errors
    /// There is anything but the end.
    pub(super) fn without_lines(mut self) -> Result<(), AnswerError> {
        if self.step()? || self.lines > 0 {
            return Err(self.answer.malformed("the check failed there, but has entries".to_owned()));
        }
        Ok(())
    }

    /// Reads the rest of the check. Everything but the entries counts for `budget`.
    ///
    /// # Errors
    /// The answer is invalid, or exceeds the budget.
    pub fn finish(mut self, budget: &mut DifferenceBudget) -> Result<CheckExtras, AnswerError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        while !self.finished {
            self.step()?;
        }
        let others = (self.mounts.len() + self.uncovered.len() + self.touched.len()) as u64;
        if self.touched.len() as u64 > self.lines - others {
            return Err(self.answer.malformed("more entries were touched than there are".to_owned()));
        }
        if !budget.reserve(self.beside + self.of_touched) {
            return Err(AnswerError::TooDifferent { check: self.check.name.clone() });
        }
        let digest = self.of_entries.finish().sri();
        Ok(CheckExtras { mounts: self.mounts, uncovered: self.uncovered, touched: self.touched, digest })
    }

    /// Reads up to the next entry; returns `false` if there is none left.
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
            if self.answer.line.starts_with(b"{\"uncovered\"") {
                self.uncovered()?;
                continue;
            }
            if self.answer.line.starts_with(b"{\"touched") {
                self.touched()?;
                continue;
            }
            let is_unverified = self.answer.line.starts_with(b"{\"unverified\"");
            let item = if is_unverified { self.unverified()? } else { self.entry()? };
            if let Some(before) = &self.item
                && before.path() >= item.path()
            {
                let problem = format!("{} comes after {}, which sorts later", item.path(), before.path());
                return Err(self.answer.malformed(problem));
            }
            self.item = Some(item);
            return Ok(true);
        }
    }

    fn mount(&mut self) -> Result<(), AnswerError> {
        let MountLine { mount, mount_base64, what } = self.answer.parse()?;
        let path = self.path(mount, mount_base64)?;
        let what = Boundary::ALL.into_iter().find(|known| known.name() == what);
        let what = what.ok_or_else(|| self.answer.malformed("the type of a mount is unknown".to_owned()))?;
        if self.item.is_some()
            || !self.uncovered.is_empty()
            || !self.touched.is_empty()
            || self.mounts.last().is_some_and(|before| *before.path >= *path.as_bytes())
        {
            return Err(self.answer.malformed("a mount is out of order".to_owned()));
        }
        self.room(path.as_bytes().len())?;
        self.mounts.push(Crossing { path: path.as_bytes().to_vec(), what });
        Ok(())
    }

    /// Adds the size of a mount or an uncovered item.
    fn room(&mut self, bytes: usize) -> Result<(), AnswerError> {
        self.beside += MOUNT + bytes;
        if self.beside > MOUNTS_LIMIT {
            let problem = format!("it names more than {MOUNTS_LIMIT} bytes of mounts and uncovered items");
            return Err(self.answer.malformed(problem));
        }
        Ok(())
    }

    fn uncovered(&mut self) -> Result<(), AnswerError> {
        let UncoveredLine { uncovered } = self.answer.parse()?;
        let uncovered = Uncovered::try_from(uncovered).map_err(|problem| self.answer.malformed(problem))?;
        let selection = &self.check.selection;
        let (is_ours, bytes) = match &uncovered {
            Uncovered::Glob { list: GlobList::Include | GlobList::Containers, glob } => {
                (selection.include.contains(glob), glob.len())
            }
            Uncovered::Glob { list: GlobList::Exclude, glob } => (selection.exclude.contains(glob), glob.len()),
            Uncovered::Link { path, target } => (true, path.as_bytes().len() + target.len()),
        };
        if !is_ours
            || self.item.is_some()
            || !self.touched.is_empty()
            || self.uncovered.last().is_some_and(|before| *before >= uncovered)
        {
            return Err(self.answer.malformed("an uncovered item was not requested, or is out of order".to_owned()));
        }
        self.room(bytes)?;
        self.uncovered.push(uncovered);
        Ok(())
    }

    fn touched(&mut self) -> Result<(), AnswerError> {
        let TouchedLine { touched, touched_base64 } = self.answer.parse()?;
        let path = self.path(touched, touched_base64)?;
        if self.item.is_some() || self.touched.last().is_some_and(|before| **before >= *path.as_bytes()) {
            return Err(self.answer.malformed("a touched path is out of order".to_owned()));
        }
        self.of_touched += MOUNT + path.as_bytes().len();
        if self.of_touched > TOUCHED_LIMIT {
            return Err(AnswerError::TooDifferent { check: self.check.name.clone() });
        }
        self.touched.push(path.as_bytes().to_vec());
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
        let bytes =
            bytes.ok_or_else(|| self.answer.malformed("it has no path, or invalid Base64 of one".to_owned()))?;
        EntryPath::new(bytes).map_err(|error| self.answer.malformed(error.to_string()))
    }

    fn unverified(&self) -> Result<Item, AnswerError> {
        let UnverifiedLine { unverified, cause, path, path_base64 } = self.answer.parse()?;
        let cause = Cause::named(&cause).ok_or_else(|| self.answer.malformed("the cause is unknown".to_owned()))?;
        let reason = match unverified {
            Some(reason) => Unverified::Reported(cause, self.answer.text(&reason)?.into()),
            None if self.check.kind.is_of_containers() => Unverified::Absent,
            None => return Err(self.answer.malformed("only a container can be declared and absent".to_owned())),
        };
        Ok(Item::Unverified(self.path(path, path_base64)?, reason))
    }

    fn entry(&mut self) -> Result<Item, AnswerError> {
        let line = &self.answer.line;
        let entry = json::read_entry(line).map_err(|problem| self.answer.malformed(problem))?;
        if matches!(entry.record.content, Content::Directory { nar: Some(_) }) && !self.answer.export {
            return Err(self.answer.malformed("a `nar` was not requested".to_owned()));
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
            let problem = "the stated check, number of lines or digest does not match the lines before";
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

impl<R: BufRead> Entries for CheckEntries<'_, R> {
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
