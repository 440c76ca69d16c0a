//! Compares the live state of a server with the locks here, while the answer arrives.

use std::io::BufRead;
use std::time::Instant;

use super::again;
use crate::compare::{self, DifferenceBudget};
use crate::declaration::Server;
use crate::manifest::LockError;
use crate::remote::request::Extent;
use crate::remote::{self, Answer, AnswerError};
use crate::report::{HostReport, Outcome, ServerReport};
use crate::run::connections::Connection;
use crate::run::locked::{Checks, Locked, Observations};
use crate::run::{ALL_DIFFERENCES_LIMIT, DIFFERENCES_LIMIT, asked, since};
use crate::session::Run;

/// Asks one server, and compares each check with its lock. `shows_all` as in [`here`](super::here).
pub fn server(run: &Run, connection: Connection<'_>, server: &Server, shows_all: bool) -> HostReport {
    let begun = Instant::now();
    let mut checks = Checks::open(run.checks_of(server));
    let locked = &mut checks.locked;
    let wanted = asked(locked.iter().map(|locked| locked.check), server);
    let mut bytes = 0;
    let mut budget = DifferenceBudget::refusing(DIFFERENCES_LIMIT.min(ALL_DIFFERENCES_LIMIT / connection.of()));
    let (head, collected) = connection.converse(&wanted, Extent::Entries, |mut answer, way| {
        for locked in locked.iter_mut() {
            receive(locked, &mut answer, &mut budget)?;
            bytes = answer.bytes();
        }
        answer.checks_end()?;
        again::ask(locked, answer, way, shows_all)
    });
    let server = ServerReport { name: server.name.clone(), host: server.host.clone(), head, trouble: collected.err() };
    HostReport { server: Some(server), seal: None, duration: since(begun), bytes, checks: checks.reports() }
}

/// Compares one check with the entries that the server sends.
fn receive<R: BufRead>(
    locked: &mut Locked<'_>,
    answer: &mut Answer<R>,
    budget: &mut DifferenceBudget,
) -> Result<(), AnswerError> {
    let check = locked.check.check;
    let mut collected = match answer.check(check)? {
        Ok(collected) => collected,
        Err(trouble) => {
            locked.report.outcome = Outcome::Failed(trouble);
            return Ok(());
        }
    };
    let resolved_root = collected.resolved_root.clone();
    let project = locked.check.project().ok().flatten();
    let compared = compare::compare_declared(budget, project, &mut locked.lock, &mut collected);
    if let Err(LockError::TooDifferent) = compared {
        return Err(AnswerError::TooDifferent { check: check.name.clone() });
    }
    // An error in the answer comes first: a comparison with it means nothing.
    let remote::CheckExtras { mounts, uncovered, touched, digest } = collected.finish(budget)?;
    locked.report.resolved_root = resolved_root;
    locked.judge(compared, Observations { mounts, uncovered, touched, is_empty: false }, || Some(digest));
    Ok(())
}
