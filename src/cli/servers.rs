//! `driftlock check --server`: compares servers, over SSH, with the locks here.

mod options;

use super::arguments::{self, CheckArguments, Common};
use super::check::{finish, places, window};
use super::ground::ground;
use super::metrics::Metrics;
use super::render::Rendering;
use super::reports_dir::ReportsDir;
use super::{complain, progress};
use crate::capability;
use crate::error::{Error, ErrorKind};
use crate::report::places::Places;
use crate::report::{Report, RunInfo, Scope};
use crate::run::check::server;
use crate::run::connections::{self, Targets};
use crate::run::sealing::Sealing;
use crate::session::{LocksAccess, Reads, Session, some};

/// Checks servers, saves the report, and prints it.
///
/// # Errors
/// The run can't start. Trouble of single servers is in the report and in the exit code.
pub fn check(common: &Common, arguments: &CheckArguments) -> Result<u8, Error> {
    let options = &arguments.servers;
    let rendering = Rendering::of(common, &arguments.form)?;
    let window = window(arguments)?;
    let (timestamp, started) = capability::now();
    let mut session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Servers)?;
    let shows_changes = arguments.show_changes || session.checks().any(|check| check.show_changes);
    if shows_changes {
        session.open_references_to_servers(None)?;
    }
    let reports = ReportsDir::open(&session, arguments, &timestamp)?;
    let sealing = Sealing::open(&arguments.seal.plan(), &mut session)?;
    let metrics =
        arguments.metrics.as_deref().map(|file| Metrics::open(file, arguments.every, &session)).transpose()?;
    let (targets, connections) = connections::prepare(&session, &options.wanted(), shows_changes)?;
    if !common.quiet {
        tell_what_is_not_asked(&session, options, &targets);
    }
    let bar = progress::of_servers(common, targets.asked.len());
    let mut ground = ground(common, &session.declared);
    ground.ssh.extend(targets.asked.iter().map(|target| (target.server.name.clone(), target.typed.clone())));
    let written = [
        reports.as_ref().and_then(ReportsDir::written),
        metrics.as_ref().and_then(Metrics::directory),
        sealing.as_ref().and_then(Sealing::directory),
    ];
    let run = session.enter_removing(written.into_iter().flatten(), reports.as_ref().and_then(ReportsDir::pruned))?;
    let hosts = connections.each(
        &targets,
        || bar.inc(1),
        |connection, asked| server(&run, connection, asked, arguments.show_changes),
    );
    bar.finish_and_clear();
    // One server that was named gets a report in the form of one machine.
    let scope = match (&options.servers[..], &options.groups[..], options.all_servers, &hosts[..]) {
        ([_], [], false, [_]) => Scope::OneServer,
        _ => Scope::Servers,
    };
    let (sandbox, ground) = (run.enforced.clone(), Some(ground));
    let info = RunInfo { scope, timestamp, started, previous: None, window, sandbox, ground };
    let mut report = Report { run: info, hosts };
    Sealing::verify(sealing.as_ref(), &run, &mut report);
    let code = report.exit_code() | metrics.map_or(0, |metrics| metrics.save(&report));
    let kept = reports.map(|reports| reports.save(&mut report));
    let places = if rendering.has_places() { places(&run, &report) } else { Places::default() };
    Ok(finish(code, kept, |kept| rendering.print(&report, &places, kept)))
}

/// Prints which servers are asked for none of the checks and, with `--all-servers`, for which checks no server is
/// asked.
fn tell_what_is_not_asked(session: &Session, options: &arguments::Servers, targets: &Targets) {
    targets.skipped(session).iter().for_each(complain);
    let checks = if options.all_servers { session.checks_of_none(targets.servers()) } else { Vec::new() };
    if !checks.is_empty() {
        let checks = some(&checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), "or");
        complain(&Error::new(
            ErrorKind::Usage,
            format!("no server is asked for {checks}"),
            "name it in `checks` of a server or of a group, or write `modes = [\"local\"]` in the check",
        ));
    }
}
