//! `driftlock lock`: writes the lock files, and prints what that changes.

mod printed;

use std::io;
use std::path::Path;

use super::arguments::{Common, Servers};
use super::ground::ground;
use super::progress::Shown;
use super::stalled::Watch;
use super::{complain, exit, here, progress, seal, stdout_failed};
use crate::capability::shown;
use crate::error::{Error, ErrorKind};
use crate::report::next::Ground;
use crate::run::connections::{self, Targets};
use crate::run::here::{Differs, New, differing};
use crate::run::lock::{Lock, lock, lock_exported};
use crate::run::state;
use crate::session::{LocksAccess, OpenCheck, Reads, Run, Session, some};

/// A dry run may only read the locks.
const fn access(dry_run: bool) -> LocksAccess {
    if dry_run { LocksAccess::Read } else { LocksAccess::Write }
}

/// Writes the lock of every check of the run, or prints what would change.
///
/// # Errors
/// The run can't start. Trouble of single checks is printed, and is in the exit code.
pub fn run(common: &Common, dry_run: bool, export: Option<&Path>, options: &Servers) -> Result<u8, Error> {
    if options.are_named() {
        return of_servers(common, dry_run, options);
    }
    options.none()?;
    let follow = Shown::telling(common);
    if let Some(export) = export {
        let reads = Reads::Export(export.to_path_buf());
        let session = Session::open(&common.plan(), access(dry_run), &reads)?;
        let ground = ground(common, &session.declared);
        let run = session.enter(&[])?;
        let all = lock_exported(run.exported(&shown(export)));
        let differing = differing(&run, all.iter().filter_map(new), follow);
        return Ok(tell(common, &all, (&run, &ground, &differing)));
    }
    let open = || Session::open(&common.plan(), access(dry_run), &Reads::Here);
    let session = Watch::telling(common).opening(open)?;
    session.for_this_machine("lock")?;
    let ground = ground(common, &session.declared);
    let run = session.enter(&[])?;
    let all = lock(state::here(&run, run.checks().filter(OpenCheck::applies), follow));
    Ok(tell(common, &all, (&run, &ground, &[])))
}

/// A lock that was made from an export.
fn new<'n, 'r>(lock: &'n Lock<'r>) -> Option<New<'n, 'r>> {
    let change = lock.result.as_ref().ok()?.as_ref()?;
    Some(New { check: lock.check, entries: lock.live.as_ref()?, takes_all: change.since.is_some() })
}

/// The same for the state of servers. If a server can't be read, its locks stay unchanged.
fn of_servers(common: &Common, dry_run: bool, options: &Servers) -> Result<u8, Error> {
    let mut session = Session::open(&common.plan(), access(dry_run), &Reads::Servers)?;
    let (targets, connections) = connections::prepare(&session, &options.wanted(), false)?;
    one_state_a_lock(&session, &targets)?;
    if !common.quiet {
        targets.skipped(&session).iter().for_each(complain);
    }
    session.is_about(targets.servers());
    let bar = progress::of_servers(common, targets.asked.len());
    let ground = ground(common, &session.declared);
    let run = session.enter(&[])?;
    let done = connections.each(
        &targets,
        || bar.inc(1),
        |connection, server| state::of_server(&run, connection, server).map(|(found, _)| lock(found)),
    );
    bar.finish_and_clear();
    let mut code = 0;
    let mut all = Vec::new();
    for of_server in done {
        match of_server {
            Ok(locks) => all.extend(locks),
            Err(trouble) => {
                complain(&trouble);
                code |= exit::TROUBLE;
            }
        }
    }
    Ok(tell(common, &all, (&run, &ground, &[])) | code)
}

/// Refuses several servers if a lock is shared by all servers.
fn one_state_a_lock(session: &Session, targets: &Targets) -> Result<(), Error> {
    let mut asked = std::collections::HashSet::new();
    let checks = targets.servers().flat_map(|server| session.checks_of(server));
    let shared = checks.filter(|(_, check)| check.modes.server && !check.lock.per_server);
    let mut twice: Vec<_> = shared.filter(|(place, _)| !asked.insert(*place)).collect();
    twice.sort_unstable_by_key(|(place, _)| *place);
    twice.dedup_by_key(|(place, _)| *place);
    if twice.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = twice.iter().map(|(_, check)| check.name.as_str()).collect();
    let (names, number) = (some(&names, "and"), targets.asked.len());
    Err(Error::new(
        ErrorKind::Usage,
        format!("all servers share the lock of {names}, so it needs the state of one server, and {number} are named"),
        "name one server, or with --check the checks with `lock_per_server = true`",
    ))
}

/// Prints what was done, and returns the exit code.
fn tell(common: &Common, all: &[Lock<'_>], (run, ground, differing): (&Run, &Ground, &[Differs<'_>])) -> u8 {
    let dry_run = !run.writes_locks();
    all.iter().flat_map(|lock| &lock.warnings).for_each(complain);
    for trouble in all.iter().filter_map(|lock| lock.result.as_ref().err()) {
        complain(trouble);
    }
    let printed = if common.json {
        printed::json(all, dry_run, differing)
    } else {
        printed::text(all, common.style(), dry_run)
            .and_then(|()| here::write(&mut io::stdout().lock(), run, ground, differing))
    };
    let mut code = if all.iter().any(|lock| lock.result.is_err()) { exit::TROUBLE } else { 0 };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&stdout_failed(&error));
            code |= exit::TROUBLE;
        }
        _ => {}
    }
    if !dry_run && all.iter().any(|lock| matches!(&lock.result, Ok(Some(change)) if change.written)) {
        seal::tell_outdated(run);
    }
    code
}
