//! `driftlock check`: reads the declared paths again and reports what drifted.

use std::io;

use super::arguments::{CheckArguments, Common};
use super::ground::ground;
use super::metrics::Metrics;
use super::progress::Shown;
use super::render::Rendering;
use super::reports_dir::ReportsDir;
use super::stalled::Watch;
use super::{after_printing, complain, exit, note, render};
use crate::capability;
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::report::places::Places;
use crate::report::{Report, RunInfo, Scope, Window, WindowError};
use crate::run::cache::StatCache;
use crate::run::check::here;
use crate::run::sealing::Sealing;
use crate::session::{LocksAccess, Reads, Run, Session};

/// Checks, saves the report, and prints it.
///
/// # Errors
/// The run can't start. Trouble of single checks is in the report and in the exit code.
pub fn run(common: &Common, arguments: &CheckArguments) -> Result<u8, Error> {
    let rendering = Rendering::of(common, &arguments.form)?;
    let window = window(arguments)?;
    let (timestamp, started) = capability::now();
    let watch = Watch::giving_up(common, arguments.servers.none_but_timeout()?);
    let (session, in_store, reports, sealing) = watch.opening(|| {
        let mut session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Here)?;
        session.for_this_machine("check")?;
        if arguments.show_changes || session.checks().any(|check| check.show_changes) {
            session.open_references(None)?;
        }
        let in_store = in_nix_store(&session);
        let reports = ReportsDir::open(&session, arguments, &timestamp)?;
        let sealing = Sealing::open(&arguments.seal.plan(), &mut session)?;
        Ok::<_, Error>((session, in_store, reports, sealing))
    })?;
    let shown = Shown::new(common, watch);
    let mut cache = arguments.stat_cache.as_deref().map(|file| StatCache::open(file, &session, note)).transpose()?;
    let metrics =
        arguments.metrics.as_deref().map(|file| Metrics::open(file, arguments.every, &session)).transpose()?;
    let written = [
        reports.as_ref().and_then(ReportsDir::written),
        cache.as_ref().and_then(StatCache::directory),
        metrics.as_ref().and_then(Metrics::directory),
        sealing.as_ref().and_then(Sealing::directory),
    ];
    let ground = ground(common, &session.declared);
    // A thread that hangs may use it until the process ends.
    let run: &Run = Box::leak(Box::new(
        session.enter_removing(written.into_iter().flatten(), reports.as_ref().and_then(ReportsDir::pruned))?,
    ));
    let (host, given_up) = here(run, shown, cache.as_mut(), arguments.show_changes);
    let info = RunInfo {
        scope: Scope::ThisMachine,
        timestamp,
        started,
        previous: None,
        window,
        sandbox: run.enforced.clone(),
        ground: Some(ground),
    };
    let mut report = Report { run: info, hosts: vec![host] };
    Sealing::verify(sealing.as_ref(), run, &mut report);
    if in_store {
        tell_untracked(&report.missing_locks());
    }

    let mut code = report.exit_code();
    // The cache of a run that was given up would lack the entries that it did not reach.
    if let Some(Err(trouble)) = cache.filter(|_| !given_up).map(StatCache::save) {
        complain(&trouble);
        code |= exit::TROUBLE;
    }
    code |= metrics.map_or(0, |metrics| metrics.save(&report));
    let kept = reports.map(|reports| reports.save(&mut report));
    let places = if rendering.has_places() { places(run, &report) } else { Places::default() };
    Ok(finish(code, kept, |kept| rendering.print(&report, &places, kept)))
}

/// Whether the declaration is in a Nix store. Call it before the sandbox is entered.
pub fn in_nix_store(session: &Session) -> bool {
    let base = capability::future(&session.declared.base);
    base.is_some_and(|base| base.as_os_str().as_encoded_bytes().windows(11).any(|part| part == b"/nix/store/"))
}

/// Explains why missing locks may not be in the store with the declaration.
pub fn tell_untracked(missing: &[&str]) {
    let missing: Vec<_> = missing.iter().take(5).map(|lock| escaped(lock.as_bytes()).to_string()).collect();
    if !missing.is_empty() {
        complain(&Error::new(
            ErrorKind::Lock,
            format!("the declaration is in the Nix store, without these locks: {}", missing.join(", ")),
            "a flake sees only the files that git tracks: run `git add` on the locks, and build it again",
        ));
    }
}

/// Prints the report. Adds to the exit code if it could not be saved or printed.
pub fn finish(code: u8, kept: Option<Result<String, Error>>, print: impl FnOnce(Option<&str>) -> io::Result<()>) -> u8 {
    let mut code = code;
    if let Some(Err(trouble)) = &kept {
        complain(trouble);
        code |= exit::TROUBLE;
    }
    let kept = kept.and_then(Result::ok);
    after_printing(code, print(kept.as_deref()))
}

/// The maintenance window of the arguments.
pub fn window(arguments: &CheckArguments) -> Result<Option<Window>, Error> {
    let (Some(until), Some(reason)) = (&arguments.expect_until, &arguments.reason) else { return Ok(None) };
    Window::new(until, reason).map(Some).map_err(|error| {
        let help = match error {
            WindowError::NoTime(_) => "write it in RFC 3339, for example 2026-01-29T18:00:00+09:00",
            _ => "say in one line with --reason why drift is expected",
        };
        Error::new(ErrorKind::Usage, format!("--expect-until: {error}"), help)
    })
}

/// The lines that the findings belong to. A lock that can't be read a second time has no lines.
pub fn places(run: &Run, report: &Report) -> Places {
    let session = &run.session;
    render::places(&session.declared, run.locks(), report)
}
