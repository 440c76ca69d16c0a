//! `driftlock check --server`: the checks on other machines, over SSH, against the locks here.

mod options;

use std::io;
use std::sync::Arc;

use super::arguments::{self, CheckArguments, Common};
use super::check::{conclude, places, report, window};
use super::ground::ground;
use super::keeping::{KeptIn, put};
use super::metrics::Metrics;
use super::render::Rendering;
use super::{complain, progress};
use crate::capability;
use crate::report::fleet::{Fleet, Reports};
use crate::report::places::Places;
use crate::run::check::server;
use crate::run::connections::{self, Targets};
use crate::session::{LocksAccess, Reads, Run, Session, some};
use crate::trouble::Trouble;

/// Checks servers, prints the report, and keeps it.
///
/// # Errors
/// What keeps the run from starting. Trouble of single servers is in the report, and in the exit code.
pub fn check(common: &Common, arguments: &CheckArguments) -> Result<u8, Trouble> {
    let options = &arguments.servers;
    let rendering = Rendering::of(common, &arguments.form)?;
    let window = window(arguments)?;
    let (timestamp, started) = capability::now();
    let mut session = Session::open(&common.request(), LocksAccess::Read, &Reads::Servers)?;
    let shows_changes = arguments.show_changes || session.checks().any(|check| check.show_changes);
    if shows_changes {
        session.open_references_to_servers(None)?;
    }
    let kept_in = KeptIn::open(&session, arguments, &timestamp)?;
    let metrics =
        arguments.metrics.as_deref().map(|file| Metrics::open(file, arguments.every, &session)).transpose()?;
    let (targets, connections) = connections::prepare(&session, &options.wanted(), shows_changes)?;
    if !common.quiet {
        tell_what_is_not_asked(&session, options, &targets);
    }
    let bar = progress::of_servers(common, targets.asked.len());
    let mut ground = ground(common, &session.declared);
    ground.ssh.extend(targets.asked.iter().map(|target| (target.server.name.clone(), target.typed.clone())));
    let ground = Arc::new(ground);
    let written = [kept_in.as_ref().and_then(KeptIn::written), metrics.as_ref().and_then(Metrics::directory)];
    let run = session.enter_removing(written.into_iter().flatten(), kept_in.as_ref().and_then(KeptIn::pruned))?;
    let found = connections.each(
        &targets,
        || bar.inc(1),
        |connection, asked| server(&run, connection, asked, arguments.show_changes),
    );
    bar.finish_and_clear();
    let now = (timestamp, started);
    let found = found.into_iter().map(|host| report(&run, host, now.clone(), window.clone(), Arc::clone(&ground)));
    let mut found: Vec<_> = found.collect();
    // One server that was named gets a report of its own form.
    if let ([_], [], false, [_]) = (&options.servers[..], &options.groups[..], options.all_servers, &found[..])
        && let Some(mut report) = found.pop()
    {
        let code = report.exit_code() | metrics.map_or(0, |metrics| metrics.keep(Reports::One(&report)));
        let kept = kept_in.map(|kept_in| kept_in.keep_one(&mut report));
        return Ok(conclude(code, kept, |kept| print(&rendering, &run, Reports::One(&report), kept)));
    }
    let (timestamp, started) = now;
    let mut fleet = Fleet { timestamp, started, previous: None, sandbox: run.enforced.clone(), servers: found };
    let code = fleet.exit_code() | metrics.map_or(0, |metrics| metrics.keep(Reports::Several(&fleet)));
    let kept = kept_in.map(|kept_in| {
        kept_in.keep(&fleet.timestamp.clone(), &fleet.started.clone(), |folder, previous| {
            fleet.previous = previous;
            folder.create_dir(crate::report::SERVERS)?;
            let servers = folder.open_dir(crate::report::SERVERS)?;
            for report in &fleet.servers {
                let Some(server) = &report.server else { continue };
                servers.create_dir(&server.name)?;
                put(&servers.open_dir(&server.name)?, report)?;
            }
            let mut text = Vec::new();
            crate::report::text::write_fleet(&mut text, &fleet, crate::report::text::Style::default(), None)?;
            crate::store::create(folder, crate::report::TEXT_NAME, &text)?;
            crate::store::replace(folder, crate::report::JSON_NAME, |out| crate::report::json::write_fleet(out, &fleet))
        })
    });
    Ok(conclude(code, kept, |kept| print(&rendering, &run, Reports::Several(&fleet), kept)))
}

/// Says which servers are asked for none of the checks that are named, and, of all servers, for which checks none of them is
/// asked.
fn tell_what_is_not_asked(session: &Session, options: &arguments::Servers, targets: &Targets) {
    targets.told_passed_over(session).iter().for_each(complain);
    let checks = if options.all_servers { session.checks_of_none(targets.servers()) } else { Vec::new() };
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
