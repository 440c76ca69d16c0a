//! `driftlock diff --patch`: the lines that drifted, as a patch for `git apply`.

mod server;

use std::io::{self, Write};
use std::path::Path;

use super::arguments::{Common, Servers};
use super::check::baseline;
use super::stalled::Watch;
use super::{after_printing, complain, exit, progress};
use crate::capability;
use crate::compare::{self, Comparison, Room};
use crate::declaration::Check;
use crate::manifest::Record;
use crate::patch::{Effort, Harmless};
use crate::report::Outcome;
use crate::session::{Live, LocksAccess, Run, Session};
use crate::shell;
use crate::trouble::Trouble;

/// How many of the entries that can't be in the patch are named.
const NAMED: usize = 20;

/// What patch is wanted.
pub struct Wanted<'a> {
    /// The way back, from what is there to what is locked.
    pub reverse: bool,
    /// What stands in the place of the declaration's directory.
    pub reference: Option<&'a Path>,
    pub servers: &'a Servers,
}

/// A check that was compared, or why it was not.
struct Found<'a> {
    index: usize,
    check: &'a Check,
    /// Where its entries are, as the operator knows it.
    place: String,
    compared: Result<Comparison, Trouble>,
}

/// Writes the patch of all checks for this machine or for one server: from what is locked to what is there, or the way back.
///
/// # Errors
/// What keeps the run from starting, and a server that can't be asked. Trouble of single checks is told, and in the exit code.
pub fn run(common: &Common, wanted: &Wanted<'_>) -> Result<u8, Trouble> {
    if common.json {
        return Err(Trouble::new("a patch is no JSON", "leave out --json or --patch"));
    }
    if wanted.servers.are_named() {
        return server::run(common, wanted);
    }
    wanted.servers.none()?;
    let session = Watch::telling(common).opening(|| {
        let mut session = Session::open(&common.request(), LocksAccess::Read)?;
        session.for_this_machine("compare")?;
        session.open_references(wanted.reference)?;
        Ok::<_, Trouble>(session)
    })?;
    let show_progress = capability::wants_progress() && !common.quiet;
    let run = session.enter(&[])?;
    let server = run.session.server();
    let baselines = run.session.checks().map(|check| baseline(&run, check, server, check.modes.local));
    let baselines: Vec<_> = baselines.collect();
    let asked: Vec<bool> = baselines.iter().map(Result::is_ok).collect();
    let collected =
        progress::during(show_progress, Watch::telling(common), |progress| run.collect(&asked, false, progress));
    let mut room = Room::default();
    let found = run.session.checks().zip(baselines).zip(collected).enumerate();
    let found = found.filter_map(|(index, ((check, baseline), live))| {
        let compared = match (baseline, live) {
            (Ok(mut lock), Some(live)) => live.and_then(|live| {
                compare::against(&mut room, &mut lock, &mut live.entries()).map_err(|error| run.refused(check, &error))
            }),
            (Ok(_), None) => return None,
            (Err(outcome), _) => Err(without_lock(&run, check, *outcome)?),
        };
        Some(Found { index, check, place: check.place(), compared })
    });
    let found: Vec<_> = found.collect();
    put(common, &run, wanted.reverse, &found, |index, path, record| run.live_contents(index, path, record))
}

/// What to say of a check that has no lock to compare with, where that is trouble.
fn without_lock(run: &Run, check: &Check, outcome: Outcome) -> Option<Trouble> {
    match outcome {
        Outcome::Failed(failed) => Some(failed),
        Outcome::NoLock => Some(Trouble::new(
            format!("the check {} has no lock to compare with", check.name),
            format!("write it: {}", run.session.lock_line(check)),
        )),
        _ => None,
    }
}

/// Prints the patch, for `git apply` or for people, and what can't be in it.
fn put(
    common: &Common,
    run: &Run,
    reverse: bool,
    found: &[Found<'_>],
    contents: impl Fn(usize, &[u8], &Record) -> Result<Vec<u8>, String>,
) -> Result<u8, Trouble> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut code = 0;
    let printed = if capability::is_terminal() {
        write(run, reverse, found, contents, &mut code, &mut Harmless::new(stdout, common.style().color))
    } else {
        write(run, reverse, found, contents, &mut code, &mut stdout)
    };
    Ok(after_printing(code, printed))
}

fn write(
    run: &Run,
    reverse: bool,
    found: &[Found<'_>],
    contents: impl Fn(usize, &[u8], &Record) -> Result<Vec<u8>, String>,
    code: &mut u8,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut effort = Effort::default();
    for Found { index, check, place, compared } in found {
        let mut trouble = |trouble: &Trouble| {
            complain(trouble);
            *code |= exit::TROUBLE;
        };
        let compared = match compared {
            Ok(compared) => compared,
            Err(failed) => {
                trouble(failed);
                continue;
            }
        };
        let contents = |path: &[u8], record: &Record| contents(*index, path, record);
        let live = Live { place, contents: &contents };
        let troubles = run.patch((*index, check), compared, &live, reverse, &mut effort, out)?;
        troubles.iter().take(NAMED).for_each(&mut trouble);
        if troubles.len() > NAMED {
            let more = troubles.len() - NAMED;
            trouble(&Trouble::new(format!("the check {}: {more} more are not in the patch", check.name), ""));
        }
        if compared.counts.unverified > 0 {
            let problem = format!("the check {}: {} could not be read", check.name, compared.counts.unverified);
            trouble(&Trouble::new(
                problem,
                format!("run `driftlock check --check {}` for the reasons", shell::word(check.name.as_bytes())),
            ));
        }
        *code |= if compared.counts.drifted > 0 { exit::DRIFT } else { 0 };
    }
    out.flush()
}
