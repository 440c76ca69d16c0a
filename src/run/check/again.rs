//! Asks a server for more about its drift, in a second request on the same connection: the mtimes, the owners and, if
//! wanted, the contents.

use std::collections::HashSet;
use std::io::BufRead;

use crate::compare::Hidden;
use crate::manifest::{Content, Record};
use crate::patch::Effort;
use crate::remote::connection::FollowUp;
use crate::remote::followup::{self, Budget, Wanted};
use crate::remote::{Answer, AnswerError};
use crate::run::Locked;

/// Asks about the first drifts of each check, and adds the answers. `shows_all`: wants the changed lines of every
/// check.
///
/// # Errors
/// The answer is wrong or incomplete.
pub(super) fn ask<R: BufRead>(
    all: &mut [Locked<'_>],
    answer: Answer<R>,
    way: Option<FollowUp<'_>>,
    shows_all: bool,
) -> Result<(), AnswerError> {
    let questions = questions(all, shows_all);
    let wanted: Vec<_> = questions.iter().filter_map(|question| question.wanted(all)).collect();
    let received = answer.follow_up(way, &wanted)?;
    drop(wanted);
    for (Question { check, drift, .. }, live) in questions.into_iter().zip(&received.live) {
        if let Some(drift) = all[check].found_mut().and_then(|found| found.drift.get_mut(drift)) {
            drift.live = *live;
        }
    }
    let mut effort = Effort::default();
    for locked in all.iter_mut().filter(|locked| shows_all || locked.check.check.show_changes) {
        let check = locked.check;
        let contents = |_: &[u8], record: &Record| match record.content.sha256().map(|sha256| received.given(sha256)) {
            Some(Some(found)) => found.map(<[u8]>::to_vec).map_err(|reason| match reason {
                followup::NOT_GIVEN => Hidden::NotGiven,
                _ => Hidden::Unread,
            }),
            _ => Err(Hidden::Enough),
        };
        if let Some(found) = locked.found_mut() {
            check.show_changes(found, &contents, &mut effort);
        }
    }
    Ok(())
}

/// A drift to ask about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    /// The indices of its check and of the drift.
    check: usize,
    drift: usize,
    contents: bool,
}

impl Question {
    fn wanted<'a>(&self, all: &'a [Locked<'_>]) -> Option<Wanted<'a>> {
        let locked = all.get(self.check)?;
        let drift = locked.found()?.drift.get(self.drift)?;
        let sha256 = drift.actual.as_ref().and_then(|record| record.content.sha256());
        Some(Wanted { check: &locked.check.check.name, path: &drift.path, contents: sha256.filter(|_| self.contents) })
    }
}

/// The drifts to ask about, in the order of checks and paths. Contents use the limits first; then the status of others,
/// as far as there is room.
fn questions(all: &[Locked<'_>], shows_all: bool) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut known = HashSet::new();
    let mut budget = Budget::default();
    let of_files = || all.iter().enumerate().filter(|(_, locked)| locked.check.check.engine.is_none());
    for (check, locked) in of_files().filter(|(_, locked)| shows_all || locked.check.check.show_changes) {
        let Some(found) = locked.found() else { continue };
        for drift in locked.check.showable(found) {
            let found = &found.drift[drift];
            if let Some(Content::File { size, .. }) = found.actual.as_ref().map(|record| &record.content)
                && budget.take(&found.path, Some(*size))
            {
                known.insert((check, drift));
                questions.push(Question { check, drift, contents: true });
            }
        }
    }
    for (check, locked) in of_files() {
        let found = locked.found().map_or(&[][..], |found| &found.drift);
        for (drift, found) in found.iter().enumerate().filter(|(_, found)| found.actual.is_some()).take(followup::MOST)
        {
            if !known.contains(&(check, drift)) && budget.take(&found.path, None) {
                questions.push(Question { check, drift, contents: false });
            }
        }
    }
    questions.sort();
    questions
}
