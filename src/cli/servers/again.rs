//! What drifted on a server, looked at once more, in a second request on the same connection: when it was written, whose it is,
//! and where that is wanted the lines that changed.

use std::collections::HashSet;
use std::io::BufRead;

use super::Pending;
use crate::compare::{Comparison, Hidden};
use crate::manifest::{Content, Record};
use crate::patch::Effort;
use crate::path::EntryPath;
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
    let places = places(all, shows_all);
    let wanted: Vec<_> = places.iter().filter_map(|place| place.wanted(all)).collect();
    let received = answer.ask_further(way, &wanted)?;
    drop(wanted);
    for (Place { check, drift, .. }, live) in places.into_iter().zip(&received.live) {
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
struct Place {
    /// The places of its check and of the drift itself.
    check: usize,
    drift: usize,
    contents: bool,
}

impl Place {
    fn wanted<'a>(&self, all: &'a [Pending<'_>]) -> Option<Wanted<'a>> {
        let pending = all.get(self.check)?;
        let drift = compared(&pending.state)?.drift.get(self.drift)?;
        let sha256 = drift.actual.as_ref().and_then(|record| record.content.sha256());
        Some(Wanted { check: &pending.check.name, path: &drift.path, contents: sha256.filter(|_| self.contents) })
    }
}

/// What is asked about, in the order of the checks and of paths: contents first, as many as are given, and then the status of
/// others, as far as there is room for them.
fn places(all: &[Pending<'_>], shows_all: bool) -> Vec<Place> {
    let mut places = Vec::new();
    let mut known = HashSet::new();
    let mut left = further::ALL as u64;
    // An escaped byte takes six, and Base64 less.
    let mut room = further::LIMIT.saturating_sub(1 << 10);
    let mut ask = |check: usize, drift: usize, contents: bool, path: &EntryPath, places: &mut Vec<Place>| {
        let takes = 6 * path.as_bytes().len() as u64 + 512;
        if places.len() < further::MOST && takes <= room && known.insert((check, drift)) {
            room -= takes;
            places.push(Place { check, drift, contents });
        }
    };
    let of_files = || all.iter().enumerate().filter(|(_, pending)| pending.check.engine.is_none());
    for (check, pending) in of_files().filter(|(_, pending)| shows_all || pending.check.show_changes) {
        let Some(found) = compared(&pending.state) else { continue };
        for drift in Run::showable(pending.check, found) {
            let found = &found.drift[drift];
            if let Some(Content::File { size, .. }) = found.actual.as_ref().map(|record| &record.content)
                && *size <= left
            {
                left -= size;
                ask(check, drift, true, &found.path, &mut places);
            }
        }
    }
    for (check, pending) in of_files() {
        let found = compared(&pending.state).map_or(&[][..], |found| &found.drift);
        for (drift, found) in found.iter().enumerate().filter(|(_, found)| found.actual.is_some()).take(further::MOST) {
            ask(check, drift, false, &found.path, &mut places);
        }
    }
    places.sort();
    places
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
