//! `driftlock diff --server NAME --patch`: the contents that drifted on a server, in a second request on the same connection.

use std::io::BufRead;

use super::{Found, Wanted, put, without_lock};
use crate::baseline::Baseline;
use crate::cli::arguments::Common;
use crate::cli::check::baseline;
use crate::cli::servers::{Connections, DIFFERENCES_LIMIT, no_root, place};
use crate::cli::stalled::Watch;
use crate::compare::{self, Comparison};
use crate::manifest::{Content, LockError};
use crate::path::escaped;
use crate::remote::connection::Further;
use crate::remote::further::{self, Received};
use crate::remote::request::{Asked, Extent};
use crate::remote::{Answer, AnswerError};
use crate::session::{LocksAccess, Run, Session};
use crate::trouble::Trouble;

/// Asks one server, and writes the patch once all of its answer was read and is true: of an answer that is not, nothing is
/// shown.
pub(super) fn run(common: &Common, wanted: &Wanted<'_>) -> Result<u8, Trouble> {
    let request = common.request();
    let mut session = Watch::telling(common).opening(|| {
        let mut session = Session::for_servers(&request, LocksAccess::Read)?;
        session.open_references_to_servers(wanted.reference)?;
        Ok::<_, Trouble>(session)
    })?;
    let connections = Connections::prepare_for(&session, wanted.servers, true)?;
    let server = connections.only("a patch is about one server")?;
    session.is_about(&connections.servers);
    let run = session.enter(&[])?;
    let mut found = Vec::new();
    let mut asked = Vec::new();
    for (index, check) in run.session.checks_of(server) {
        let root = server.root(check);
        let (lock, compared) = match (baseline(&run, check, Some(&server.name), check.modes.server), root) {
            (Ok(_), None) => (None, Err(no_root(check, server))),
            (Ok(lock), Some(root)) => {
                asked.push(Asked { check, root });
                (Some(lock), Ok(Comparison::default()))
            }
            (Err(outcome), _) => match without_lock(&run, check, *outcome) {
                Some(trouble) => (None, Err(trouble)),
                None => continue,
            },
        };
        found.push((Found { index, check, place: place(check, root), compared }, lock));
    }
    let mut received = Received::default();
    let answered = connections.one(|connection| {
        let (_, answered) = connection.converse(&asked, request.requirement, Extent::Contents, |answer, way| {
            received = converse(&run, &mut found, answer, way)?;
            Ok(())
        });
        answered
    });
    answered.map_err(|trouble| {
        let name = escaped(server.name.as_bytes());
        Trouble::new(format!("{name}: {}", trouble.problem), trouble.remedy)
    })?;
    let found: Vec<_> = found.into_iter().map(|(found, _)| found).collect();
    put(common, &run, wanted.reverse, &found, |_, _, record| {
        let sha256 = record.content.sha256().ok_or_else(|| "it is no file".to_owned())?;
        received.contents(sha256).map(<[u8]>::to_vec)
    })
}

/// A check, and the lock that it is compared with, if it is.
type Pending<'a> = (Found<'a>, Option<Baseline>);

/// Compares what the server sends, and asks it for what is in the files that drifted.
fn converse<R: BufRead>(
    run: &Run,
    pending: &mut [Pending<'_>],
    mut answer: Answer<R>,
    way: Option<Further<'_>>,
) -> Result<Received, AnswerError> {
    let mut budget = DIFFERENCES_LIMIT;
    for (found, lock) in pending.iter_mut() {
        let Some(lock) = lock else { continue };
        let check = found.check;
        let mut collected = match answer.check(check)? {
            Ok(collected) => collected,
            Err(trouble) => {
                found.compared = Err(trouble);
                continue;
            }
        };
        let compared = compare::against_within(&mut budget, lock, &mut collected);
        if let Err(LockError::TooDifferent) = compared {
            return Err(AnswerError::TooDifferent { check: check.name.clone() });
        }
        collected.finish(&mut budget)?;
        found.compared = compared.map_err(|error| run.refused(check, &error));
    }
    answer.checks_end()?;
    let mut wanted = Vec::new();
    let mut room = further::Budget::default();
    for (Found { check, compared, .. }, _) in pending.iter() {
        for drift in compared.iter().flat_map(|compared| &compared.drift) {
            let Some(Content::File { size, sha256, .. }) = drift.actual.as_ref().map(|record| &record.content) else {
                continue;
            };
            let expected = drift.expected.as_ref().and_then(|record| record.content.sha256());
            if expected != Some(*sha256) && room.take(&drift.path, Some(*size)) {
                wanted.push(further::Wanted { check: &check.name, path: &drift.path, contents: Some(*sha256) });
            }
        }
    }
    answer.ask_further(way, &wanted)
}
