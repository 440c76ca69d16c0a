//! `driftlock collect`: the server side of `--server`. Reads a request on stdin, and answers on stdout.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::arguments::Common;
use super::exit;
use super::stalled::Watch;
use crate::capability;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Entries as _, Record};
use crate::remote::encode;
use crate::remote::followup::{self, AskedAbout};
use crate::remote::request::{self, Extent, Request};
use crate::sandbox::Requirement;
use crate::session::{Collected, OpenCheck, Run, Session, Wanted};
use crate::walk::Progress;

/// The interval at which progress is sent to the other side.
const EVERY: Duration = Duration::from_secs(2);

/// Answers one request. If that fails, the answer has the error, and the operator's side shows it.
///
/// # Errors
/// stdin is a terminal, so a person typed the command.
pub fn run(common: &Common, allowed: &[PathBuf], gives_contents: bool) -> Result<u8, Error> {
    if io::stdin().is_terminal() {
        return Err(Error::new(
            ErrorKind::Usage,
            "collect reads a request on stdin, and that is a terminal",
            "run `driftlock check --server` on your own machine, which starts `driftlock collect` here",
        ));
    }
    let mut out = io::BufWriter::with_capacity(64 << 10, io::stdout());
    let answered = match entered(common, allowed, gives_contents) {
        Ok((run, extent)) => answer(common, &mut out, &run, (extent, gives_contents)),
        Err(trouble) => encode::failed(&mut out, &trouble).map(|()| exit::TROUBLE),
    };
    // If the reader is gone, there is no way to report it.
    Ok(answered.unwrap_or(exit::TROUBLE))
}

fn entered(common: &Common, allowed: &[PathBuf], gives_contents: bool) -> Result<(Run, Extent), Error> {
    let line = line(request::LIMIT)?;
    let Request { declaration, require_sandbox, extent } = request::parse(&line)?;
    if extent == Extent::Contents && !gives_contents {
        return Err(Error::new(
            ErrorKind::Usage,
            followup::NOT_GIVEN,
            "to allow that, add `--contents` to `driftlock collect` in the forced command on the server",
        ));
    }
    let requirement =
        if require_sandbox || common.require_sandbox { Requirement::Everything } else { Requirement::AsAvailable };
    let allowed = allowed.iter().map(|directory| capability::root(directory)).collect::<Result<Vec<_>, _>>()?;
    let run =
        Session::for_collector(declaration, &allowed, common.effort.of_walk(), requirement, common.start)?.enter(&[])?;
    Ok((run, extent))
}

/// Reads a request: a line of at most `limit` bytes.
fn line(limit: u64) -> Result<Vec<u8>, Error> {
    let mut line = Vec::new();
    let read = io::stdin().lock().take(limit + 1).read_until(b'\n', &mut line);
    read.map_err(|error| {
        Error::new(
            ErrorKind::Server,
            format!("the request could not be read: {error}"),
            "check what starts `driftlock collect`",
        )
    })?;
    if !line.ends_with(b"\n") {
        let problem = if line.len() as u64 > limit { "is too long" } else { "ends in the middle" };
        return Err(Error::new(
            ErrorKind::Server,
            format!("the request {problem}"),
            "let `driftlock check --server` write it",
        ));
    }
    Ok(line)
}

fn answer(
    common: &Common,
    out: &mut impl Write,
    run: &Run,
    (extent, gives_contents): (Extent, bool),
) -> io::Result<u8> {
    encode::hello(out, &run.enforced)?;
    let progress = Progress::default();
    let mut watch = Watch::telling(common);
    let alive = || {
        watch.look(&progress);
        let (entries, bytes) = (progress.entries.load(Ordering::Relaxed), progress.bytes.load(Ordering::Relaxed));
        // The answer begins only after the walk. This notices a broken connection early, and stops the walk.
        if encode::progress(&mut io::stdout(), entries, bytes).is_err() {
            std::process::exit(exit::TROUBLE.into());
        }
    };
    let export = extent == Extent::Export;
    let collected = super::progress::ticking(EVERY, alive, || {
        let collected = run.collect(run.checks().collect(), Wanted::of, export, &progress);
        let engines = if export { run.inventories() } else { Vec::new() };
        let (entries, bytes) = (progress.entries.load(Ordering::Relaxed), progress.bytes.load(Ordering::Relaxed));
        (collected, engines, entries, bytes)
    });
    let (collected, engines, entries, bytes) = collected;
    encode::progress(out, entries, bytes)?;
    let mut code = 0;
    for (check, found) in &collected {
        if found.is_err() {
            code = exit::TROUBLE;
        }
        encode::check(out, &check.check.name, check.resolved_root().as_deref(), found)?;
    }
    for (socket, inventory) in &engines {
        if inventory.is_err() {
            code = exit::TROUBLE;
        }
        encode::engine(out, socket, inventory)?;
    }
    encode::done(out, collected.len() + engines.len())?;
    if extent != Extent::Export && !further(out, &collected, gives_contents)? {
        code = exit::TROUBLE;
    }
    Ok(code)
}

/// A check and what was collected.
type CollectedCheck<'r> = (OpenCheck<'r>, Result<Collected, Error>);

/// Answers the second request, if there is one. Returns whether it could.
fn further(out: &mut impl Write, collected: &[CollectedCheck<'_>], gives_contents: bool) -> io::Result<bool> {
    if io::stdin().lock().fill_buf().is_ok_and(<[u8]>::is_empty) {
        return Ok(true);
    }
    let checks: Vec<_> = collected.iter().map(|(check, _)| &*check.check.name).collect();
    match line(followup::LIMIT).and_then(|line| followup::parse(&line, &checks)) {
        Ok(asked) => entries(out, collected, &asked, gives_contents).map(|()| true),
        Err(trouble) => encode::failed(out, &trouble).map(|()| false),
    }
}

/// Sends the status of collected entries, and the contents of files that have not changed since.
fn entries(
    out: &mut impl Write,
    collected: &[CollectedCheck<'_>],
    asked: &[AskedAbout],
    gives_contents: bool,
) -> io::Result<()> {
    let mut left = followup::ALL;
    let mut number = 0;
    let mut written = Instant::now();
    for asked in asked.chunk_by(|a, b| a.check == b.check) {
        let (check, found) = &collected[asked[0].check];
        for (AskedAbout { path, contents, .. }, record) in asked.iter().zip(records(found.as_ref().ok(), asked)) {
            let live = record.as_ref().and_then(|_| check.live_status(path.as_bytes()));
            let found = contents.then(|| match record {
                None => Err("the check does not cover it".to_owned()),
                Some(_) if !gives_contents => Err(followup::NOT_GIVEN.to_owned()),
                Some(record) => check.live_contents(path.as_bytes(), &record).and_then(|bytes| {
                    left = left
                        .checked_sub(bytes.len())
                        .ok_or_else(|| format!("one request can't get more than {} bytes", followup::ALL))?;
                    Ok(bytes)
                }),
            });
            let found = found.as_ref().map(|found| found.as_deref().map_err(|reason| &**reason));
            followup::write(out, number, live, found)?;
            number += 1;
            // Reading may take long, so send progress.
            if written.elapsed() > EVERY {
                out.flush()?;
                written = Instant::now();
            }
        }
    }
    encode::done(out, number)
}

/// The collected records of these paths, which are sorted.
fn records(collected: Option<&Collected>, asked: &[AskedAbout]) -> Vec<Option<Record>> {
    let mut found = vec![None; asked.len()];
    let Some(collected) = collected else { return found };
    let mut entries = collected.entries();
    let mut at = 0;
    // This stream has no errors.
    while let Ok(Some(entry)) = entries.next() {
        at += asked[at..].iter().take_while(|asked| asked.path.as_bytes() < entry.path).count();
        match asked.get(at) {
            None => break,
            Some(asked) if asked.path.as_bytes() == entry.path => found[at] = entry.state.ok().cloned(),
            Some(_) => {}
        }
    }
    found
}
