//! What drifted on a server, looked at once more, in a second request on the same connection: when it was written, whose it is,
//! and where that is wanted the lines that changed.

use std::collections::HashSet;
use std::io::BufRead;

use super::Pending;
use crate::compare::{Comparison, Hidden};
use crate::manifest::{Content, Record};
use crate::patch::Effort;
use crate::remote::connection::Further;
use crate::remote::further::{self, Budget, Wanted};
use crate::remote::{Answer, AnswerError};
use crate::report::Outcome;
use crate::session::Run;

/// Asks about the first drifts of each check, and adds what is said of them. `shows_all` wants the lines of every check.
///
/// # Errors
/// An answer that is not true, or not whole.
pub(super) fn ask<R: BufRead>(
    run: &Run,
    all: &mut [Pending<'_>],
    answer: Answer<R>,
    way: Option<Further<'_>>,
    shows_all: bool,
) -> Result<(), AnswerError> {
    let questions = questions(all, shows_all);
    let wanted: Vec<_> = questions.iter().filter_map(|question| question.wanted(all)).collect();
    let received = answer.ask_further(way, &wanted)?;
    drop(wanted);
    for (Question { check, drift, .. }, live) in questions.into_iter().zip(&received.live) {
        if let Some(drift) = compared_mut(&mut all[check].state).and_then(|found| found.drift.get_mut(drift)) {
            drift.live = *live;
        }
    }
    let mut effort = Effort::default();
    for pending in all.iter_mut().filter(|pending| shows_all || pending.check.show_changes) {
        let contents = |_: &[u8], record: &Record| match record.content.sha256().map(|sha256| received.given(sha256)) {
            Some(Some(found)) => found.map(<[u8]>::to_vec).map_err(|reason| match reason {
                further::NOT_GIVEN => Hidden::NotGiven,
                _ => Hidden::Unread,
            }),
            _ => Err(Hidden::Enough),
        };
        if let Some(found) = compared_mut(&mut pending.state) {
            run.show_changes((pending.place, pending.check), found, &contents, &mut effort);
        }
    }
    Ok(())
}

/// A drift that is asked about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    /// The places of its check and of the drift itself.
    check: usize,
    drift: usize,
    contents: bool,
}

impl Question {
    fn wanted<'a>(&self, all: &'a [Pending<'_>]) -> Option<Wanted<'a>> {
        let pending = all.get(self.check)?;
        let drift = compared(&pending.state)?.drift.get(self.drift)?;
        let sha256 = drift.actual.as_ref().and_then(|record| record.content.sha256());
        Some(Wanted { check: &pending.check.name, path: &drift.path, contents: sha256.filter(|_| self.contents) })
    }
}

/// What is asked about, in the order of the checks and of paths: contents first, as many as are given, and then the status of
/// others, as far as there is room for them.
fn questions(all: &[Pending<'_>], shows_all: bool) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut known = HashSet::new();
    let mut budget = Budget::default();
    let of_files = || all.iter().enumerate().filter(|(_, pending)| pending.check.engine.is_none());
    for (check, pending) in of_files().filter(|(_, pending)| shows_all || pending.check.show_changes) {
        let Some(found) = compared(&pending.state) else { continue };
        for drift in Run::showable(pending.check, found) {
            let found = &found.drift[drift];
            if let Some(Content::File { size, .. }) = found.actual.as_ref().map(|record| &record.content)
                && budget.take(&found.path, Some(*size))
            {
                known.insert((check, drift));
                questions.push(Question { check, drift, contents: true });
            }
        }
    }
    for (check, pending) in of_files() {
        let found = compared(&pending.state).map_or(&[][..], |found| &found.drift);
        for (drift, found) in found.iter().enumerate().filter(|(_, found)| found.actual.is_some()).take(further::MOST) {
            if !known.contains(&(check, drift)) && budget.take(&found.path, None) {
                questions.push(Question { check, drift, contents: false });
            }
        }
    }
    questions.sort();
    questions
}

fn compared<T>(state: &Result<T, Box<Outcome>>) -> Option<&Comparison> {
    match state.as_ref().err().map(|outcome| &**outcome) {
        Some(Outcome::Compared { comparison, .. }) => Some(comparison),
        _ => None,
    }
}

fn compared_mut<T>(state: &mut Result<T, Box<Outcome>>) -> Option<&mut Comparison> {
    match state.as_mut().err().map(|outcome| &mut **outcome) {
        Some(Outcome::Compared { comparison, .. }) => Some(comparison),
        _ => None,
    }
}
