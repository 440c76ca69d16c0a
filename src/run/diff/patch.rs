//! The drift with the contents of the files, to be written as a patch.

use std::io::BufRead;

use crate::baseline::Baseline;
use crate::compare::{self, Comparison, DifferenceBudget};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Content, LockError, Record};
use crate::path::escaped;
use crate::remote::connection::FollowUp;
use crate::remote::followup::{self, Received};
use crate::remote::request::Extent;
use crate::remote::{Answer, AnswerError};
use crate::report::Outcome;
use crate::run::connections::Exactly;
use crate::run::locked::open;
use crate::run::{DIFFERENCES_LIMIT, Follow, asked};
use crate::session::{OpenCheck, Run, Wanted, in_order};

/// A check with its comparison, or why it was not compared.
pub struct ComparedCheck<'r> {
    pub check: OpenCheck<'r>,
    pub compared: Result<Comparison, Error>,
}

/// The drift, and the contents of the files that drifted.
pub struct Patch<'r> {
    pub found: Vec<ComparedCheck<'r>>,
    contents: Contents,
}

/// Where the contents of files come from.
enum Contents {
    /// They are read here when they are needed.
    Here,
    /// A server sent them.
    Sent(Received),
}

impl Patch<'_> {
    /// The contents of a file, if they fit the record.
    ///
    /// # Errors
    /// Why there are no such contents.
    pub fn contents(&self, check: &OpenCheck<'_>, path: &[u8], record: &Record) -> Result<Vec<u8>, String> {
        match &self.contents {
            Contents::Here => check.live_contents(path, record),
            Contents::Sent(received) => {
                let sha256 = record.content.sha256().ok_or_else(|| "it is not a file".to_owned())?;
                received.contents(sha256).map(<[u8]>::to_vec)
            }
        }
    }
}

/// A check with its index and its lock.
type Open<'r> = (usize, OpenCheck<'r>, Baseline);

/// The checks with a lock, and those for which it is trouble that they have none, each with its index.
fn opened<'r>(checks: impl Iterator<Item = OpenCheck<'r>>) -> (Vec<Open<'r>>, Vec<(usize, ComparedCheck<'r>)>) {
    let (mut locked, mut failed) = (Vec::new(), Vec::new());
    for (place, check) in checks.enumerate() {
        match open(&check) {
            Ok(lock) => locked.push((place, check, lock)),
            Err(outcome) => {
                let trouble = without_lock(&check, *outcome);
                failed.extend(trouble.map(|trouble| (place, ComparedCheck { check, compared: Err(trouble) })));
            }
        }
    }
    (locked, failed)
}

/// The error for a check without a lock; `None` if that is not trouble.
fn without_lock(check: &OpenCheck<'_>, outcome: Outcome) -> Option<Error> {
    match outcome {
        Outcome::Failed(failed) => Some(failed),
        Outcome::NoLock => Some(Error::new(
            ErrorKind::Lock,
            format!("the check {} has no lock to compare with", check.check.name),
            format!("write it: {}", check.run.session.lock_line(check.check)),
        )),
        _ => None,
    }
}

/// Compares all checks for this machine.
pub fn here(run: &Run, follow: impl Follow) -> Patch<'_> {
    let (locked, mut all) = opened(run.checks());
    let collected = follow.follow(|progress| run.collect(locked, |(_, check, _)| Wanted::of(check), false, progress));
    let mut room = DifferenceBudget::default();
    all.extend(collected.into_iter().map(|((place, check, mut lock), live)| {
        let compared = live.and_then(|live| {
            compare::compare_baseline(&mut room, &mut lock, &mut live.entries()).map_err(|error| check.refused(&error))
        });
        (place, ComparedCheck { check, compared })
    }));
    Patch { found: in_order(all), contents: Contents::Here }
}

/// Asks one server for its drift. Returns only after the whole answer was read and verified.
///
/// # Errors
/// The answer is wrong or incomplete. Nothing of it is returned.
pub fn of_server<'r>(run: &'r Run, connection: Exactly<'r, 1>) -> Result<Patch<'r>, Error> {
    let [server] = connection.servers();
    let (mut locked, mut all) = opened(run.checks_of(server));
    let asked = asked(locked.iter().map(|(_, check, _)| *check), server);
    let mut received = Received::default();
    let (_, answered) = connection.connect(|[connection]| {
        connection.converse(&asked, Extent::Contents, |answer, way| {
            let (found, sent) = converse(&mut locked, answer, way)?;
            all.extend(found);
            received = sent;
            Ok(())
        })
    });
    let name = escaped(server.name.as_bytes());
    answered.map_err(|error| error.map_problem(|problem| format!("{name}: {problem}")))?;
    Ok(Patch { found: in_order(all), contents: Contents::Sent(received) })
}

/// Compares the answer of the server, and asks it for the contents of the files that drifted.
fn converse<'r, R: BufRead>(
    locked: &mut [Open<'r>],
    mut answer: Answer<R>,
    way: Option<FollowUp<'_>>,
) -> Result<(Vec<(usize, ComparedCheck<'r>)>, Received), AnswerError> {
    let mut budget = DifferenceBudget::refusing(DIFFERENCES_LIMIT);
    let mut all = Vec::with_capacity(locked.len());
    for (place, check, lock) in locked {
        let compared = match answer.check(check.check)? {
            Err(trouble) => Err(trouble),
            Ok(mut collected) => {
                let compared = compare::compare_baseline(&mut budget, lock, &mut collected);
                if let Err(LockError::TooDifferent) = compared {
                    return Err(AnswerError::TooDifferent { check: check.check.name.clone() });
                }
                collected.finish(&mut budget)?;
                compared.map_err(|error| check.refused(&error))
            }
        };
        all.push((*place, ComparedCheck { check: *check, compared }));
    }
    answer.checks_end()?;
    let mut wanted = Vec::new();
    let mut room = followup::Budget::default();
    for (_, ComparedCheck { check, compared }) in &all {
        for drift in compared.iter().flat_map(|compared| &compared.drift) {
            let Some(Content::File { size, sha256, .. }) = drift.actual.as_ref().map(|record| &record.content) else {
                continue;
            };
            let expected = drift.expected.as_ref().and_then(|record| record.content.sha256());
            if expected != Some(*sha256) && room.take(&drift.path, Some(*size)) {
                wanted.push(followup::Wanted { check: &check.check.name, path: &drift.path, contents: Some(*sha256) });
            }
        }
    }
    let received = answer.follow_up(way, &wanted)?;
    drop(wanted);
    Ok((all, received))
}
