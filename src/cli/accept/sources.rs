//! Where the live state comes from: this machine, an export, or a server.

use std::collections::HashMap;
use std::path::Path;

use crate::capability::{self, shown};
use crate::cli::arguments::{AcceptArguments, Common};
use crate::cli::export::server;
use crate::cli::ground::ground;
use crate::cli::servers::Connections;
use crate::cli::stalled::Watch;
use crate::cli::{lock, progress};
use crate::declaration::Check;
use crate::report::next::Ground;
use crate::session::{Collected, LocksAccess, Run, Session};
use crate::trouble::Trouble;

/// A check, where its entries are, and what is there.
pub type Source<'a> = (&'a Check, Vec<String>, Collected);

/// What is read.
pub enum Sources {
    Here,
    /// An export, as it is shown.
    Export(String),
    Server(Connections),
}

/// Opens all that is needed, and enters the sandbox.
///
/// # Errors
/// What keeps the run from starting.
pub fn open(common: &Common, arguments: &AcceptArguments) -> Result<(Run, Ground, Sources), Trouble> {
    let access = if arguments.dry_run { LocksAccess::Read } else { LocksAccess::Write };
    let request = common.request();
    let (session, sources) = if arguments.servers.are_named() {
        let mut session = Session::for_servers(&request, access)?;
        let connections = Connections::prepare(&session, &arguments.servers)?;
        connections.only("a lock takes the state of one server")?;
        session.is_about(&connections.servers);
        (session, Sources::Server(connections))
    } else {
        arguments.servers.none()?;
        match &arguments.from {
            Some(export) => (Session::from_export(&request, access, export)?, Sources::Export(shown(export))),
            None => {
                let session = Watch::telling(common).opening(|| {
                    let mut session = Session::open(&request, access)?;
                    session.for_this_machine("accept")?;
                    session.open_references(arguments.reference.as_deref())?;
                    Ok::<_, Trouble>(session)
                })?;
                (session, Sources::Here)
            }
        }
    };
    let ground = ground(common, &session.declared);
    Ok((session.enter(&[])?, ground, sources))
}

/// Reads what is there, check by check.
///
/// # Errors
/// A server that can't be asked, and a run that has nothing to read.
pub fn read<'a>(run: &'a Run, common: &Common, sources: &Sources) -> Result<Vec<Result<Source<'a>, Trouble>>, Trouble> {
    let there = run.session.declared.declaration.roots_on_servers();
    let found: Vec<Result<Source<'a>, Trouble>> = match sources {
        Sources::Here => {
            let wanted: Vec<bool> = run.session.checks().map(|check| check.modes.local).collect();
            let show_progress = capability::wants_progress() && !common.quiet;
            let found = progress::during(show_progress, Watch::telling(common), |progress| {
                run.collect(&wanted, true, progress)
            });
            let found = run.session.checks().zip(found).filter_map(|(check, found)| Some((check, found?)));
            found.map(|(check, found)| Ok((check, vec![check.place()], found?))).collect()
        }
        Sources::Export(shown) => {
            let checks = run.session.checks().zip(run.session.asked_everywhere());
            let found = checks.map(|of| (of.0, lock::exported(run, of, shown)));
            let places = |check| places(&there, check, None);
            found
                .filter_map(|(check, found)| Some(found.transpose()?.map(|found| (check, places(check), found))))
                .collect()
        }
        Sources::Server(connections) => {
            let requirement = common.request().requirement;
            let (found, _) =
                connections.one(|connection| server::state(run, connection, connection.server(), requirement))?;
            let places = |check, place| places(&there, check, Some(place));
            found.into_iter().map(|live| Ok((live.check, places(live.check, live.place), live.found?))).collect()
        }
    };
    Ok(found)
}

/// Where the entries of a check may be said to be: on the server that was asked, here, and on any server. `there` is where
/// servers of their own have them.
fn places(there: &HashMap<&str, Vec<&Path>>, check: &Check, asked: Option<String>) -> Vec<String> {
    let roots = there.get(check.name.as_str()).into_iter().flatten().copied();
    let roots = roots.chain(check.server_root.as_deref()).map(capability::raw);
    let mut places: Vec<_> = asked.into_iter().chain([check.place()]).collect();
    if check.engine.is_none() {
        places.extend(roots);
    }
    let mut known = std::collections::HashSet::new();
    places.retain(|place| known.insert(place.clone()));
    places
}
