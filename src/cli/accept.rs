//! `driftlock accept`: take single drifted entries into the locks.

mod ask;
mod sources;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write as _};

use serde_json::json;

use super::arguments::{AcceptArguments, Common};
use super::here;
use super::lock::{acceptable, tell_touched, write};
use super::{after_printing, complain, exit};
use crate::accept::{self, AcceptError, Choice, Drifted, Names, Unit};
use crate::baseline::Baseline;
use crate::capability;
use crate::compare::{self, Comparison, Room};
use crate::declaration::Check;
use crate::manifest::{Record, Sha256Digest, json};
use crate::patch::{Effort, Harmless};
use crate::path::escaped;
use crate::report::{self, changes};
use crate::session::{Collected, Live, Run, not_written};
use crate::shell;
use crate::trouble::Trouble;
use sources::Sources;

/// A check with what drifted of it.
struct Case<'a> {
    check: &'a Check,
    live: Collected,
    drifted: Drifted,
    units: Vec<Unit>,
    /// What tells the lock from all others.
    lock: Vec<u8>,
}

/// A lock as it is going to be.
struct New<'a> {
    case: &'a Case<'a>,
    /// What was chosen.
    taken: Comparison,
    entries: Collected,
    digest: Sha256Digest,
    path: String,
}

/// Takes what is named, or asks for it.
///
/// # Errors
/// What keeps the run from starting, names that no drift has, and what can't be taken: then no lock is written.
pub fn run(common: &Common, arguments: &AcceptArguments) -> Result<u8, Trouble> {
    let names = Names::new(arguments.paths.iter().map(|path| &**path))?;
    if arguments.paths.is_empty() && (common.json || !capability::can_ask()) {
        return Err(Trouble::new(
            "nothing is named that could be accepted, and there is no terminal to ask on",
            "name paths as `driftlock check` shows them, or take all that drifted with `driftlock lock`",
        ));
    }
    let color = common.style().color;
    let (run, ground, sources) = sources::open(common, arguments)?;
    let mut troubles: Vec<Trouble> = Vec::new();
    let mut cases = Vec::new();
    for source in sources::read(&run, common, &sources)? {
        match source.and_then(|source| Case::new(&run, source)) {
            Ok(case) => cases.push(case),
            Err(trouble) => troubles.push(trouble),
        }
    }
    troubles.iter().for_each(complain);
    let drifted: Vec<_> = cases.iter().map(|case| &case.drifted).collect();
    let choices = match &arguments.paths[..] {
        [] => ask::choices(
            &cases.iter().map(|case| (&case.drifted, &case.units[..])).collect::<Vec<_>>(),
            &mut |index, chosen, out| show(&run, cases[index].check, chosen, color, out),
        )
        .map_err(|error| Trouble::new(format!("you could not be asked: {error}"), "name the paths to accept"))?,
        _ => names.find(&drifted)?,
    };
    let chosen = cases.iter().zip(&choices).filter(|(_, choice)| choice.contains(&true));
    let new: Vec<_> = chosen.map(|(case, choice)| case.with(&run, choice)).collect::<Result<_, _>>()?;
    let mut written = Vec::new();
    for new in &new {
        match if arguments.dry_run { Ok(()) } else { new.write(&run) } {
            Ok(()) => written.push(new),
            Err(trouble) => {
                complain(&trouble);
                troubles.push(trouble);
            }
        }
    }
    // What the written locks have now, where it did not come from here.
    let new_locks: HashMap<&str, here::New<'_>> = match sources {
        // Nothing of it is printed.
        _ if common.json || common.quiet => HashMap::new(),
        Sources::Here => HashMap::new(),
        _ => written.iter().map(|new| (&*new.case.check.name, new.as_new())).collect(),
    };
    let new_locks: Vec<_> = run.session.checks().map(|check| new_locks.get(&*check.name).copied()).collect();
    let differing = here::differing(&run, common, &new_locks);
    let printed = print(common, arguments.dry_run, &cases, &written)
        .and_then(|()| here::write(&mut io::stdout().lock(), &run, &ground, &differing));
    Ok(after_printing(if troubles.is_empty() { 0 } else { exit::TROUBLE }, printed))
}

/// Shows what changed, for a terminal.
fn show(run: &Run, check: &Check, chosen: &Comparison, color: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let Some(index) = run.session.checks().position(|other| other.name == check.name) else { return Ok(()) };
    let mut shown = Harmless::new(&mut *out, color);
    let contents = |path: &[u8], record: &Record| run.live_contents(index, path, record);
    let live = Live { place: &check.place(), contents: &contents };
    let troubles = run.patch((index, check), chosen, &live, false, &mut Effort::default(), &mut shown)?;
    shown.flush()?;
    for Trouble { problem, remedy } in troubles {
        writeln!(out, "{problem}{}{remedy}", if remedy.is_empty() { "" } else { "; to do: " })?;
    }
    Ok(())
}

impl<'a> Case<'a> {
    fn new(run: &Run, (check, places, live): sources::Source<'a>) -> Result<Self, Trouble> {
        let name = shell::word(check.name.as_bytes());
        let refused = |error: &AcceptError| error.trouble(&check.name);
        let mut lock = run.baseline(check)?.ok_or_else(|| {
            Trouble::new(
                format!("the check {} has no lock that something could be taken into", check.name),
                format!("write it: {}", run.session.lock_line(check)),
            )
        })?;
        if lock.old().is_some() {
            let lock = run.lock_path(check);
            return Err(Trouble::new(
                format!("{} is an old lock, which can't hold what is there", escaped(lock.as_bytes())),
                format!("write a new one: driftlock lock --check {name}"),
            ));
        }
        lock.belongs_to(check).map_err(|error| run.refused(check, &error))?;
        let identity = lock.identity();
        let found = compare::against(&mut Room::default(), &mut lock, &mut live.entries());
        let found = found.map_err(|error| run.refused(check, &error))?;
        let drifted = Drifted { kind: check.kind, places, found };
        let units = accept::units(&drifted).map_err(|error| refused(&error))?;
        Ok(Self { check, live, drifted, units, lock: identity })
    }

    /// The lock with what was chosen.
    fn with(&'a self, run: &Run, choice: &Choice) -> Result<New<'a>, Trouble> {
        let check = self.check;
        let refused = |error: AcceptError| error.trouble(&check.name);
        accept::whole(&self.drifted, &self.units, choice).map_err(refused)?;
        let mut lock = self.same_lock(run)?;
        let list = accept::taken(&self.drifted, choice, &mut lock, &mut self.live.entries()).map_err(refused)?;
        let taken = self.drifted.chosen(choice);
        let misfits = run.misfits(check, &self.live)?;
        let misfits: HashSet<_> = misfits.different.iter().chain(&misfits.missing).collect();
        if let Some(drift) = taken.drift.iter().find(|drift| misfits.contains(&drift.path)) {
            return Err(Trouble::new(
                format!("{} is not what the Compose files of the check {} declare", drift.path, check.name),
                "bring the stack up as its files say, or write `config` anew",
            ));
        }
        let own: HashSet<&[u8]> = taken.drift.iter().map(|drift| drift.path.as_bytes()).collect();
        let touched = self.live.touched.iter().filter(|path| own.contains(&***path)).cloned().collect();
        let mut entries = Collected::from(list);
        (entries.uncovered, entries.touched) = (self.live.uncovered.clone(), touched);
        acceptable(check, &self.drifted.places[0], &entries)?;
        let digest = json::digest(&mut entries.entries()).map_err(|error| run.refused(check, &error))?;
        Ok(New { case: self, taken, entries, digest, path: run.new_lock_path(check) })
    }

    /// The lock, if it is the one that was compared still.
    fn same_lock(&self, run: &Run) -> Result<Baseline, Trouble> {
        match run.baseline(self.check)? {
            Some(lock) if lock.identity() == self.lock => Ok(lock),
            _ => Err(Trouble::new(
                format!("the lock {} was changed meanwhile", escaped(run.lock_path(self.check).as_bytes())),
                "run it again; nothing was accepted into it",
            )),
        }
    }
}

impl New<'_> {
    fn as_new(&self) -> here::New<'_> {
        let takes_all = self.taken.counts.drifted == self.case.drifted.found.counts.drifted;
        here::New { entries: &self.entries, takes_all }
    }

    fn write(&self, run: &Run) -> Result<(), Trouble> {
        let Case { check, .. } = self.case;
        self.case.same_lock(run)?;
        tell_touched(check, &self.entries);
        let locks = run.locks_to_write(check, run.session.server());
        let written = locks.and_then(|locks| write(&locks, check, &self.entries, self.digest));
        written.map_err(|error| not_written(&self.path, &error))
    }
}

fn print(common: &Common, dry_run: bool, cases: &[Case<'_>], written: &[&New<'_>]) -> io::Result<()> {
    let counts = || cases.iter().map(|case| case.drifted.found.counts);
    let accepted: u64 = written.iter().map(|new| new.taken.counts.drifted).sum();
    let left = counts().map(|counts| counts.drifted).sum::<u64>() - accepted;
    let unverified: u64 = counts().map(|counts| counts.unverified).sum();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        let locks = written.iter().map(|new| {
            let mut value = changes::value(&new.taken);
            json!({ "check": new.case.check.name, "lock": new.path, "accepted": value["drift"].take() })
        });
        let locks: Vec<_> = locks.collect();
        let value = json!({
            "dry_run": dry_run, "accepted": accepted, "left": left, "unverified": unverified, "locks": locks,
        });
        report::json::write_value(&mut out, &value)?;
        return out.flush();
    }
    let verb = if dry_run { "would accept" } else { "accepted" };
    if common.quiet {
        return Ok(());
    }
    for new in written {
        let path = escaped(new.path.as_bytes());
        writeln!(out, "{verb} into {path}:")?;
        changes::write(&mut out, new.case.check.kind, &new.case.drifted.places[0], &new.taken)?;
    }
    let drifts = changes::counted(left, "drift", "drifts");
    write!(out, "{verb} {}, {drifts} {}", changes::number(accepted), if dry_run { "would be left" } else { "left" })?;
    if unverified > 0 {
        write!(out, ", {} unverified", changes::number(unverified))?;
    }
    writeln!(out)?;
    out.flush()
}
