//! `driftlock collect`: the far end of `--server`. Reads a request on stdin, and answers on stdout.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::arguments::Common;
use super::exit;
use super::stalled::Watch;
use crate::capability;
use crate::remote::answer;
use crate::remote::request::{self, Extent, Request};
use crate::sandbox::Requirement;
use crate::session::{Run, Session};
use crate::trouble::Trouble;
use crate::walk::Progress;

/// How often the other side hears that the walk goes on.
const EVERY: Duration = Duration::from_secs(2);

/// Answers one request. What keeps it from being answered is said in the answer; the operator's side shows it.
///
/// # Errors
/// A request that is no use to anybody, since a person typed the command.
pub fn run(common: &Common, allowed: &[PathBuf]) -> Result<u8, Trouble> {
    if io::stdin().is_terminal() {
        return Err(Trouble::new(
            "collect reads a request on stdin, and that is a terminal",
            "run `driftlock check --server` on your own machine, which starts `driftlock collect` here",
        ));
    }
    let mut out = io::BufWriter::with_capacity(64 << 10, io::stdout());
    let answered = match entered(common, allowed) {
        Ok((run, extent)) => answer(common, &mut out, &run, extent),
        Err(trouble) => answer::failed(&mut out, &trouble).map(|()| exit::TROUBLE),
    };
    // A reader that went away can't be told.
    Ok(answered.unwrap_or(exit::TROUBLE))
}

fn entered(common: &Common, allowed: &[PathBuf]) -> Result<(Run, Extent), Trouble> {
    let Request { declaration, require_sandbox, extent } = requested()?;
    let requirement =
        if require_sandbox || common.require_sandbox { Requirement::Everything } else { Requirement::AsAvailable };
    let allowed = allowed.iter().map(|directory| capability::root(directory)).collect::<Result<Vec<_>, _>>()?;
    let run = Session::over(declaration, &allowed, common.threads, requirement)?.enter(std::iter::empty())?;
    Ok((run, extent))
}

fn requested() -> Result<Request, Trouble> {
    let mut line = Vec::new();
    let read = io::stdin().lock().take(request::LIMIT + 1).read_until(b'\n', &mut line);
    read.map_err(|error| {
        Trouble::new(format!("the request could not be read: {error}"), "see what `driftlock collect` is started with")
    })?;
    if !line.ends_with(b"\n") {
        let problem = if line.len() as u64 > request::LIMIT { "is too long" } else { "ends in the middle" };
        return Err(Trouble::new(format!("the request {problem}"), "let `driftlock check --server` write it"));
    }
    request::parse(&line)
}

fn answer(common: &Common, out: &mut impl Write, run: &Run, extent: Extent) -> io::Result<u8> {
    answer::hello(out, &run.enforced)?;
    let progress = Progress::default();
    let mut watch = Watch::telling(common);
    let alive = || {
        watch.look(&progress);
        let (entries, bytes) = (progress.entries.load(Ordering::Relaxed), progress.bytes.load(Ordering::Relaxed));
        // `out` is empty until the walk has ended. A connection that was cut shows here, and the rest is not waited for.
        if answer::progress(&mut io::stdout(), entries, bytes).is_err() {
            std::process::exit(exit::TROUBLE.into());
        }
    };
    let wanted = vec![true; run.session.checks().len()];
    let export = extent == Extent::Export;
    let collected = super::progress::ticking(EVERY, alive, || {
        let collections = run.collect(&wanted, export, &progress);
        let engines = if export { run.inventories() } else { Vec::new() };
        let (entries, bytes) = (progress.entries.load(Ordering::Relaxed), progress.bytes.load(Ordering::Relaxed));
        (collections, engines, entries, bytes)
    });
    let (collections, engines, entries, bytes) = collected;
    answer::progress(out, entries, bytes)?;
    let collections: Vec<_> = collections.into_iter().flatten().collect();
    let mut code = 0;
    for (index, (check, collection)) in run.session.checks().zip(&collections).enumerate() {
        if collection.is_err() {
            code = exit::TROUBLE;
        }
        answer::check(out, &check.name, run.resolved_root(index).as_deref(), collection)?;
    }
    for (socket, inventory) in &engines {
        if inventory.is_err() {
            code = exit::TROUBLE;
        }
        answer::engine(out, socket, inventory)?;
    }
    answer::done(out, collections.len() + engines.len())?;
    Ok(code)
}
