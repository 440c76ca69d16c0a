//! What drifted on a server, looked at once more, in a second request on the same connection: when it was written, whose it is,
//! and where that is wanted the lines that changed.

use std::collections::HashSet;
use std::io::BufRead;

use super::Pending;
use crate::compare::Comparison;
use crate::manifest::{Content, Record};
use crate::patch::Effort;
use crate::remote::connection::Further;
use crate::remote::further::{self, Wanted};
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
    let mut wanted = Vec::new();
    let mut places = Vec::new();
    let mut left = further::ALL as u64;
    for (index, pending) in all.iter().enumerate() {
        let Some(found) = compared(&pending.state) else { continue };
        let shows = shows_all || pending.check.show_changes;
        let showable: HashSet<usize> =
            if shows { Run::showable(pending.check, found).collect() } else { HashSet::new() };
        for (at, drift) in found.drift.iter().enumerate() {
            let Some(record) = &drift.actual else { continue };
            if pending.check.engine.is_some() {
                continue;
            }
            if wanted.len() == further::MOST {
                break;
            }
            let contents = match record.content {
                Content::File { size, sha256, .. } if showable.contains(&at) && size <= left => {
                    left -= size;
                    Some(sha256)
                }
                _ => None,
            };
            wanted.push(Wanted { check: &pending.check.name, path: &drift.path, contents });
            places.push((index, at));
        }
    }
    let received = answer.ask_further(way, &wanted)?;
    drop(wanted);
    for ((index, at), live) in places.into_iter().zip(&received.live) {
        if let Some(drift) = compared_mut(&mut all[index].state).and_then(|found| found.drift.get_mut(at)) {
            drift.live = *live;
        }
    }
    let mut effort = Effort::default();
    for pending in all.iter_mut().filter(|pending| shows_all || pending.check.show_changes) {
        let contents = |_: &[u8], record: &Record| {
            let sha256 = record.content.sha256().ok_or_else(|| "it is no file".to_owned())?;
            received.contents(sha256).map(<[u8]>::to_vec)
        };
        if let Some(found) = compared_mut(&mut pending.state) {
            run.show_changes((pending.place, pending.check), found, &contents, &mut effort);
        }
    }
    Ok(())
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
