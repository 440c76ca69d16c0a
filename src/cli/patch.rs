//! `driftlock diff --patch`: the lines that drifted, as a patch for `git apply`.

use std::io::{self, Write};
use std::path::Path;

use super::arguments::Common;
use super::check::baseline;
use super::stalled::Watch;
use super::{after_printing, complain, exit, progress};
use crate::capability;
use crate::compare::{self, Room};
use crate::patch::{Effort, Harmless};
use crate::report::Outcome;
use crate::session::{LocksAccess, Run, Session};
use crate::shell;
use crate::trouble::Trouble;

/// How many of the entries that can't be in the patch are named.
const NAMED: usize = 20;

/// Writes the patch of all checks for this machine: from what is locked to what is there, or with `reverse` the way back.
///
/// # Errors
/// What keeps the run from starting. Trouble of single checks is told, and in the exit code.
pub fn run(common: &Common, reverse: bool, reference: Option<&Path>) -> Result<u8, Trouble> {
    if common.json {
        return Err(Trouble::new("a patch is no JSON", "leave out --json or --patch"));
    }
    let session = Watch::telling(common).opening(|| {
        let mut session = Session::open(&common.request(), LocksAccess::Read)?;
        session.for_this_machine("compare")?;
        session.open_references(reference)?;
        Ok::<_, Trouble>(session)
    })?;
    let (on_terminal, color) = (capability::is_terminal(), common.style().color);
    let show_progress = capability::wants_progress() && !common.quiet;
    let run = session.enter(&[])?;
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut code = 0;
    let printed = if on_terminal {
        write(&run, (show_progress, Watch::telling(common)), reverse, &mut code, &mut Harmless::new(stdout, color))
    } else {
        write(&run, (show_progress, Watch::telling(common)), reverse, &mut code, &mut stdout)
    };
    Ok(after_printing(code, printed))
}

fn write(
    run: &Run,
    (show_progress, watch): (bool, Watch),
    reverse: bool,
    code: &mut u8,
    out: &mut impl Write,
) -> io::Result<()> {
    let baselines: Vec<_> = run.session.checks().map(|check| baseline(run, check, check.modes.local)).collect();
    let wanted: Vec<bool> = baselines.iter().map(Result::is_ok).collect();
    let found = progress::during(show_progress, watch, |progress| run.collect(&wanted, false, progress));
    let mut effort = Effort::default();
    let mut room = Room::default();
    for (index, ((check, baseline), found)) in run.session.checks().zip(baselines).zip(found).enumerate() {
        let mut trouble = |trouble: &Trouble| {
            complain(trouble);
            *code |= exit::TROUBLE;
        };
        let (mut lock, live) = match (baseline, found) {
            (Ok(lock), Some(Ok(live))) => (lock, live),
            (Ok(_), Some(Err(failed))) => {
                trouble(&failed);
                continue;
            }
            (Err(outcome), _) => {
                match *outcome {
                    Outcome::Failed(failed) => trouble(&failed),
                    Outcome::NoLock => trouble(&Trouble::new(
                        format!("the check {} has no lock to compare with", check.name),
                        format!("write it: driftlock lock --check {}", shell::word(check.name.as_bytes())),
                    )),
                    _ => {}
                }
                continue;
            }
            (Ok(_), None) => continue,
        };
        let compared = match compare::against(&mut room, &mut lock, &mut live.entries()) {
            Ok(compared) => compared,
            Err(error) => {
                trouble(&run.refused(check, &error));
                continue;
            }
        };
        let troubles = run.patch((index, check), &compared, reverse, &mut effort, out)?;
        troubles.iter().take(NAMED).for_each(&mut trouble);
        if troubles.len() > NAMED {
            let more = troubles.len() - NAMED;
            trouble(&Trouble::new(format!("the check {}: {more} more are not in the patch", check.name), ""));
        }
        if compared.counts.unverified > 0 {
            let problem = format!("the check {}: {} could not be read", check.name, compared.counts.unverified);
            trouble(&Trouble::new(
                problem,
                format!("see why: driftlock check --check {}", shell::word(check.name.as_bytes())),
            ));
        }
        *code |= if compared.counts.drifted > 0 { exit::DRIFT } else { 0 };
    }
    out.flush()
}
