//! The lines that changed in files that drifted, for a report.

use std::os::fd::AsFd as _;

use super::OpenCheck;
use super::changed::{before, read};
use crate::compare::{Comparison, Drift, Excerpt, Hidden, LINES, LONGEST};
use crate::declaration::Check;
use crate::manifest::{Content, Record};
use crate::patch::{self, Effort, secret};

/// The most files of a check to show lines of, and the largest such file, in bytes.
const SHOWN_FILES: usize = 100;
const SHOWN_BYTES: usize = 64 << 10;

/// Returns the contents of a file if they fit the record, or else why they are not shown.
pub type Shown<'a> = dyn Fn(&[u8], &Record) -> Result<Vec<u8>, Hidden> + 'a;

/// Whether the contents of a drift may be shown, decided before they are read.
enum Showable {
    /// The contents did not change.
    Same,
    Not(Hidden),
    Yes,
}

impl OpenCheck<'_> {
    /// The drifts, by index, whose live contents a report may show.
    pub fn showable(&self, found: &Comparison) -> impl Iterator<Item = usize> {
        let check = self.check;
        let files = found.drift.iter().enumerate().filter(|(_, drift)| is_of_files(drift));
        let files = files.map(|(at, drift)| (at, drift, showable(check, drift, &found.drift)));
        let files = files.filter(|(.., showable)| !matches!(showable, Showable::Same)).take(SHOWN_FILES);
        files
            .filter(|(_, drift, showable)| matches!(showable, Showable::Yes) && drift.actual.is_some())
            .map(|(at, ..)| at)
    }

    /// Adds the lines that changed to the drifts, for a report. `contents` returns the live contents.
    pub fn show_changes(&self, found: &mut Comparison, contents: &Shown<'_>, effort: &mut Effort) {
        let mut shown = 0;
        for at in 0..found.drift.len() {
            let drift = &found.drift[at];
            if !is_of_files(drift) {
                continue;
            }
            let excerpt = match showable(self.check, drift, &found.drift) {
                Showable::Same => continue,
                _ if shown >= SHOWN_FILES => Excerpt::Hidden(Hidden::Enough),
                Showable::Not(why) => Excerpt::Hidden(why),
                Showable::Yes => self.excerpt(drift, &found.drift, contents, effort),
            };
            shown += 1;
            found.drift[at].diff = Some(Box::new(excerpt));
        }
    }

    fn excerpt(&self, drift: &Drift, all: &[Drift], contents: &Shown<'_>, effort: &mut Effort) -> Excerpt {
        let (old_path, expected) = before(drift, all);
        let new_path = drift.path.as_bytes();
        let old = match expected {
            None => Vec::new(),
            Some(record) => {
                let Some(Ok(old)) =
                    self.opened.reference().map(|reference| read(reference.dir.as_fd(), old_path, record))
                else {
                    return Excerpt::Hidden(Hidden::NoReference);
                };
                old.bytes
            }
        };
        let new = match drift.actual.as_ref().map(|record| contents(new_path, record)) {
            None => Vec::new(),
            Some(Ok(bytes)) => bytes,
            Some(Err(why)) => return Excerpt::Hidden(why),
        };
        let texts = [&old, &new].map(|bytes| std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')));
        if texts.contains(&None) {
            return Excerpt::Hidden(Hidden::Binary);
        }
        if [&old, &new].into_iter().any(|bytes| bytes.len() > SHOWN_BYTES) {
            return Excerpt::Hidden(Hidden::Large);
        }
        let is_literal = secret::is_literal(&self.check.selection.include, new_path);
        if !is_literal && (secret::is_within(&old) || secret::is_within(&new)) {
            return Excerpt::Hidden(Hidden::Secret);
        }
        let hunks = patch::hunks(&old, &new, effort);
        let hunks = String::from_utf8_lossy(&hunks);
        let mut all = hunks.split_terminator('\n');
        let lines = all.by_ref().take(LINES).map(|line| match line.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        });
        Excerpt::Lines { lines: lines.collect(), left_out: all.count() as u64 }
    }
}

/// Whether both sides of a drift, as far as they exist, are files.
fn is_of_files(drift: &Drift) -> bool {
    let is_file = |record: &Option<Record>| record.as_ref().is_none_or(|record| record.content.sha256().is_some());
    is_file(&drift.expected) && is_file(&drift.actual)
}

fn showable(check: &Check, drift: &Drift, all: &[Drift]) -> Showable {
    let (old_path, expected) = before(drift, all);
    let sha256 = |record: Option<&Record>| record.and_then(|record| record.content.sha256());
    if sha256(expected) == sha256(drift.actual.as_ref()) {
        return Showable::Same;
    }
    let is_secret = |path| secret::is_named(path) && !secret::is_literal(&check.selection.include, path);
    if is_secret(old_path) || is_secret(drift.path.as_bytes()) {
        return Showable::Not(Hidden::Secret);
    }
    let is_large = |record: Option<&Record>| matches!(record.map(|record| &record.content), Some(Content::File { size, .. }) if *size > SHOWN_BYTES as u64);
    if is_large(expected) || is_large(drift.actual.as_ref()) { Showable::Not(Hidden::Large) } else { Showable::Yes }
}
