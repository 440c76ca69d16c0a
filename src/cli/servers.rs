//! `driftlock check --server`: the checks on other machines, over SSH, against the locks here.

mod again;
mod connections;
mod options;

pub use connections::{Connection, Connections};

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::arguments::{self, CheckArguments, Common};
use super::check::{baseline, conclude, judge, missing_locks, places, since, window};
use super::complain;
use super::ground::ground;
use super::keeping::{KeptIn, put};
use super::metrics::Metrics;
use super::render::Rendering;
use crate::baseline::{Baseline, OldLock};
use crate::capability::{self, raw};
use crate::compare;
use crate::declaration::{Check, Server};
use crate::manifest::{Crossing, LockError, Uncovered};
use crate::path::escaped;
use crate::remote::request::{Asked, Extent};
use crate::remote::{Answer, AnswerError, Beside};
use crate::report::fleet::{Fleet, Reports};
use crate::report::places::Places;
use crate::report::{self, CheckReport, Outcome, Report, ServerReport};
use crate::sandbox::Requirement;
use crate::session::{LocksAccess, Run, Session, some};
use crate::trouble::Trouble;

/// The most memory that the differences between the locks and one server may take, in bytes: some 300,000 entries. Without
/// a bound, a server that lies could exhaust this machine.
pub const DIFFERENCES_LIMIT: usize = 64 << 20;

/// The same of all servers of a run, each of which has its share: all are kept until the report is written.
const ALL_DIFFERENCES_LIMIT: usize = 2 << 30;

/// Checks servers, prints the report, and keeps it.
///
/// # Errors
/// What keeps the run from starting. Trouble of single servers is in the report, and in the exit code.
pub fn check(common: &Common, arguments: &CheckArguments) -> Result<u8, Trouble> {
    let options = &arguments.servers;
    let rendering = Rendering::of(common, &arguments.form)?;
    let window = window(arguments)?;
    let (timestamp, started) = capability::now();
    let mut session = Session::for_servers(&common.request(), LocksAccess::Read)?;
    let shows_changes = arguments.show_changes || session.checks().any(|check| check.show_changes);
    if shows_changes {
        session.open_references_to_servers(None)?;
    }
    let kept_in = KeptIn::open(&session, arguments, &timestamp)?;
    let show_progress = capability::wants_progress() && !common.quiet;
    let metrics =
        arguments.metrics.as_deref().map(|file| Metrics::open(file, arguments.every, &session)).transpose()?;
    let connections = Connections::prepare_for(&session, options, shows_changes)?;
    if !common.quiet {
        tell_what_is_not_asked(&session, options, &connections);
    }
    let mut ground = ground(common, &session.declared);
    let names = connections.servers.iter().map(|server| server.name.clone());
    ground.ssh.extend(names.zip(connections.typed.iter().cloned()));
    let ground = Arc::new(ground);
    let written = [kept_in.as_ref().and_then(KeptIn::written), metrics.as_ref().and_then(Metrics::directory)];
    let run = session.enter_removing(written.into_iter().flatten(), kept_in.as_ref().and_then(KeptIn::pruned))?;
    let requirement = common.request().requirement;
    let mut found = connections.each(show_progress, |connection, server| {
        let report = one(&run, connection, server, (requirement, arguments.show_changes), (&timestamp, &started));
        Report { window: window.clone(), ground: Some(Arc::clone(&ground)), ..report }
    });
    // One server that was named gets a report of its own form.
    if let ([_], [], false, [_]) = (&options.servers[..], &options.groups[..], options.all_servers, &found[..])
        && let Some(mut report) = found.pop()
    {
        let code = report.exit_code() | metrics.map_or(0, |metrics| metrics.keep(Reports::One(&report)));
        let kept = kept_in.map(|kept_in| kept_in.keep_one(&mut report));
        return Ok(conclude(code, kept, |kept| print(&rendering, &run, Reports::One(&report), kept)));
    }
    let mut fleet = Fleet { timestamp, started, previous: None, sandbox: run.enforced.clone(), servers: found };
    let code = fleet.exit_code() | metrics.map_or(0, |metrics| metrics.keep(Reports::Several(&fleet)));
    let kept = kept_in.map(|kept_in| {
        kept_in.keep(&fleet.timestamp.clone(), &fleet.started.clone(), |folder, previous| {
            fleet.previous = previous;
            folder.create_dir(report::SERVERS)?;
            let servers = folder.open_dir(report::SERVERS)?;
            for report in &fleet.servers {
                let Some(server) = &report.server else { continue };
                servers.create_dir(&server.name)?;
                put(&servers.open_dir(&server.name)?, report)?;
            }
            let mut text = Vec::new();
            report::text::write_fleet(&mut text, &fleet, report::text::Style::default(), None)?;
            crate::store::create(folder, report::TEXT_NAME, &text)?;
            crate::store::replace(folder, report::JSON_NAME, |out| report::json::write_fleet(out, &fleet))
        })
    });
    Ok(conclude(code, kept, |kept| print(&rendering, &run, Reports::Several(&fleet), kept)))
}

/// Says which servers are asked for none of the checks that are named, and, of all servers, for which checks none of them is
/// asked.
fn tell_what_is_not_asked(session: &Session, options: &arguments::Servers, connections: &Connections) {
    connections.tell_passed_over(session);
    let checks = if options.all_servers { session.checks_of_none(&connections.servers) } else { Vec::new() };
    if !checks.is_empty() {
        let checks = some(&checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), "or");
        complain(&Trouble::new(
            format!("no server is asked for {checks}"),
            "name it in `checks` of a server or of a group, or write `modes = [\"local\"]` in the check",
        ));
    }
}

fn print(rendering: &Rendering<'_>, run: &Run, reports: Reports<'_>, kept: Option<&str>) -> io::Result<()> {
    let places = if rendering.has_places() { places(run, reports) } else { Places::default() };
    rendering.print(reports, &places, kept)
}

/// A check of one server, on its way to a report.
struct Pending<'a> {
    /// Its place in the run.
    place: usize,
    check: &'a Check,
    root: Option<&'a Path>,
    /// What it is compared with, or how it has ended.
    state: Result<Baseline, Box<Outcome>>,
    resolved_root: Option<String>,
    mounts: Vec<Crossing>,
    uncovered: Vec<Uncovered>,
    touched: Vec<Vec<u8>>,
    old_lock: Option<OldLock>,
}

fn one(
    run: &Run,
    connection: &Connection<'_>,
    server: &Server,
    (requirement, shows_all): (Requirement, bool),
    (timestamp, started): (&str, &str),
) -> Report {
    let begun = Instant::now();
    let pending = |(place, check): (usize, _)| {
        let root = server.root(check);
        let state = match (baseline(run, check, Some(&server.name), check.modes.server), root) {
            (Ok(_), None) => Err(Box::new(Outcome::Failed(no_root(check, server)))),
            (state, _) => state,
        };
        let old_lock = state.as_ref().ok().and_then(Baseline::old);
        Pending {
            place,
            check,
            root,
            state,
            resolved_root: None,
            mounts: Vec::new(),
            uncovered: Vec::new(),
            touched: Vec::new(),
            old_lock,
        }
    };
    let mut all: Vec<_> = run.session.checks_of(server).into_iter().map(pending).collect();
    let asked = all.iter().filter(|pending| pending.state.is_ok());
    let asked: Vec<_> = asked.filter_map(|pending| Some(Asked { check: pending.check, root: pending.root? })).collect();
    let mut bytes = 0;
    let mut budget = DIFFERENCES_LIMIT.min(ALL_DIFFERENCES_LIMIT / connection.of());
    let (head, collected) = connection.converse(&asked, requirement, Extent::Entries, |mut answer, way| {
        for pending in all.iter_mut().filter(|pending| pending.state.is_ok()) {
            receive((run, server), pending, &mut answer, &mut budget)?;
            bytes = answer.bytes();
        }
        answer.checks_end()?;
        again::ask(run, &mut all, answer, way, shows_all)
    });
    let checks: Vec<_> = all
        .into_iter()
        .map(|pending| CheckReport {
            name: pending.check.name.clone(),
            kind: pending.check.kind,
            root: place(pending.check, pending.root),
            resolved_root: pending.resolved_root,
            declared_root: declared_root(pending.check, pending.root),
            lock: run.lock_path_of(pending.check, Some(&server.name)),
            trusted: 0,
            outcome: pending.state.err().map_or(Outcome::NotCollected, |outcome| *outcome),
            mounts: pending.mounts,
            uncovered: pending.uncovered,
            uncovered_is_trouble: pending.check.uncovered_is_trouble,
            touched: pending.touched,
            old_lock: pending.old_lock,
        })
        .collect();
    Report {
        timestamp: timestamp.to_owned(),
        started: started.to_owned(),
        previous: None,
        missing_locks: missing_locks(&checks),
        checks,
        sandbox: run.enforced.clone(),
        duration: since(begun),
        bytes,
        window: None,
        server: Some(ServerReport {
            name: server.name.clone(),
            host: server.host.clone(),
            head,
            trouble: collected.err(),
        }),
        ground: None,
    }
}

/// Compares one check with what the server sends.
fn receive<R: io::BufRead>(
    (run, server): (&Run, &Server),
    pending: &mut Pending<'_>,
    answer: &mut Answer<R>,
    budget: &mut usize,
) -> Result<(), AnswerError> {
    let (Ok(baseline), Some(root)) = (&mut pending.state, pending.root) else { return Ok(()) };
    let check = pending.check;
    let mut collected = match answer.check(check)? {
        Ok(collected) => collected,
        Err(trouble) => {
            pending.state = Err(Box::new(Outcome::Failed(trouble)));
            return Ok(());
        }
    };
    let resolved_root = collected.resolved_root.clone();
    let project = run.project(check).ok().flatten();
    let compared = compare::with_declared_within(budget, project, baseline, &mut collected);
    if let Err(LockError::TooDifferent) = compared {
        return Err(AnswerError::TooDifferent { check: check.name.clone() });
    }
    // What was wrong with the answer comes first: a comparison with it says nothing.
    let Beside { mounts, uncovered, touched, digest: live } = collected.finish(budget)?;
    let outcome = match compared {
        Ok(comparison) => {
            judge(check, (&place(check, Some(root)), false), comparison, baseline.stated_digest(), || Some(live))
        }
        Err(error) => Outcome::Failed(run.refused_of(check, Some(&server.name), &error)),
    };
    pending.resolved_root = resolved_root;
    pending.mounts = mounts;
    pending.uncovered = if matches!(outcome, Outcome::Compared { .. }) { uncovered } else { Vec::new() };
    pending.touched = if matches!(outcome, Outcome::Compared { .. }) { touched } else { Vec::new() };
    pending.state = Err(Box::new(outcome));
    Ok(())
}

/// Where the entries of a check are on a server, as the operator knows it.
pub fn place(check: &Check, root: Option<&Path>) -> String {
    match (&check.engine, root) {
        (None, Some(root)) => raw(root),
        _ => check.place(),
    }
}

/// Where the same root is here, if that is another path.
fn declared_root(check: &Check, root: Option<&Path>) -> Option<String> {
    let is_elsewhere = check.engine.is_none() && check.root.is_relative() && root.is_some();
    is_elsewhere.then(|| raw(&check.root))
}

/// What to say of a check that no server can carry out.
pub fn no_root(check: &Check, server: &Server) -> Trouble {
    if check.engine.is_some() {
        return Trouble::new(
            format!(
                "the socket of the check {} is not absolute, and {} has nothing that it could be relative to",
                check.name,
                escaped(server.name.as_bytes())
            ),
            "write the absolute path of the engine's socket on the server",
        );
    }
    Trouble::new(
        format!("nothing says where the root of the check {} lies on {}", check.name, escaped(server.name.as_bytes())),
        format!(
            "write `server_root` in the check, `roots = {{ {} = \"/…\" }}` in the server, or `modes = [\"local\"]`",
            check.name
        ),
    )
}
