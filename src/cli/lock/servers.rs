//! `driftlock lock --server`: what servers have becomes their locks.

use super::{Done, Wanted, tell};
use crate::capability;
use crate::cli::arguments::{Common, Servers};
use crate::cli::export::{Live, server};
use crate::cli::ground::ground;
use crate::cli::servers::Connections;
use crate::cli::{complain, exit};
use crate::declaration::Server;
use crate::session::{LocksAccess, Run, Session, some};
use crate::trouble::Trouble;

/// Writes the locks of the checks that the servers are asked for, or says what that would change. A server that can't be
/// asked keeps the locks that it has.
pub(super) fn run(common: &Common, dry_run: bool, options: &Servers) -> Result<u8, Trouble> {
    let access = if dry_run { LocksAccess::Read } else { LocksAccess::Write };
    let request = common.request();
    let mut session = Session::for_servers(&request, access)?;
    let connections = Connections::prepare(&session, options)?;
    one_state_a_lock(&session, &connections)?;
    if !common.quiet {
        connections.tell_passed_over(&session);
    }
    session.is_about(&connections.servers);
    let show_progress = capability::wants_progress() && !common.quiet;
    let ground = ground(common, &session.declared);
    let run = session.enter(&[])?;
    let done = connections.each(show_progress, |connection, server| {
        server::state(&run, connection, server, request.requirement)
            .map(|(found, _)| lock(&run, server, found, dry_run))
    });
    let mut code = 0;
    let mut all = Vec::new();
    for of_server in done {
        match of_server {
            Ok(done) => all.extend(done),
            Err(trouble) => {
                complain(&trouble);
                code |= exit::TROUBLE;
            }
        }
    }
    Ok(tell(common, &all, (&run, &ground, &[]), dry_run) | code)
}

fn lock<'a>(run: &'a Run, server: &Server, found: Vec<Live<'a>>, dry_run: bool) -> Vec<Done<'a>> {
    let one = |live: Live<'a>| {
        let wanted = Wanted { check: live.check, server: Some(&server.name), place: &live.place };
        let result = live.found.and_then(|live| wanted.lock(run, &live, dry_run)).map(Some);
        let path = run.new_lock_path_of(live.check, Some(&server.name));
        Done { check: live.check, server: Some(server.name.clone()), path, result, place: live.place, taken: None }
    };
    found.into_iter().map(one).collect()
}

/// Refuses several servers for a lock that is that of all.
fn one_state_a_lock(session: &Session, connections: &Connections) -> Result<(), Trouble> {
    let mut asked = std::collections::HashSet::new();
    let checks = connections.servers.iter().flat_map(|server| session.checks_of(server));
    let shared = checks.filter(|(_, check)| check.modes.server && !check.lock.per_server);
    let mut twice: Vec<_> = shared.filter(|(place, _)| !asked.insert(*place)).collect();
    twice.sort_unstable_by_key(|(place, _)| *place);
    twice.dedup_by_key(|(place, _)| *place);
    if twice.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = twice.iter().map(|(_, check)| check.name.as_str()).collect();
    let (names, number) = (some(&names, "and"), connections.servers.len());
    Err(Trouble::new(
        format!("the lock of {names} is one for all servers, it takes the state of one, and {number} are named"),
        "name one server, or with --check the checks with `lock_per_server = true`",
    ))
}
