//! `driftlock accept`: take single drifted entries into the locks.

mod ask;
mod printed;

use std::io::{self, Write as _};

use super::arguments::{AcceptArguments, Common};
use super::ground::ground;
use super::progress::Shown;
use super::stalled::Watch;
use super::{after_printing, complain, exit, here, seal};
use crate::accept::{Choice, Names};
use crate::capability::{self, shown};
use crate::compare::Comparison;
use crate::error::{Error, ErrorKind};
use crate::manifest::Record;
use crate::patch::{Effort, Harmless};
use crate::report::next::Ground;
use crate::run::accept::{self, Case, CaseResult, New};
use crate::run::connections;
use crate::run::here::differing;
use crate::session::{Live, LocksAccess, OpenCheck, Reads, Run, Session};

/// Accepts the named drift, or asks about each.
///
/// # Errors
/// The run can't start, nothing drifted at a named path, or a drift can't be accepted. Then no lock is written.
pub fn run(common: &Common, arguments: &AcceptArguments) -> Result<u8, Error> {
    let names = Names::new(arguments.paths.iter().map(|path| &**path))?;
    if arguments.paths.is_empty() && (common.json || !capability::can_ask()) {
        return Err(Error::new(
            ErrorKind::Usage,
            "no path is named, and there is no terminal to ask on",
            "name paths as `driftlock check` shows them, or accept all drift with `driftlock lock`",
        ));
    }
    let plan = common.plan();
    let access = if arguments.dry_run { LocksAccess::Read } else { LocksAccess::Write };
    let command = Accepting { common, arguments, names };
    let follow = Shown::telling(common);
    if arguments.servers.are_named() {
        let mut session = Session::open(&plan, access, &Reads::Servers)?;
        let (targets, connections) = connections::prepare(&session, &arguments.servers.wanted(), false)?;
        let connection = connections.only(&targets, "a lock takes the state of one server")?;
        session.is_about(targets.servers());
        let [server] = connection.servers();
        let ground = ground(common, &session.declared);
        let run = session.enter(&[])?;
        let found = connection.connect(|[connection]| accept::of_server(&run, connection, server))?;
        return command.accept((&run, &ground), found, true);
    }
    arguments.servers.none()?;
    if let Some(export) = &arguments.from {
        let session = Session::open(&plan, access, &Reads::Export(export.clone()))?;
        let ground = ground(common, &session.declared);
        let run = session.enter(&[])?;
        return command.accept((&run, &ground), accept::of_export(&run, &shown(export)), true);
    }
    let session = Watch::telling(common).opening(|| {
        let mut session = Session::open(&plan, access, &Reads::Here)?;
        session.for_this_machine("accept")?;
        session.open_references(arguments.reference.as_deref())?;
        Ok::<_, Error>(session)
    })?;
    let ground = ground(common, &session.declared);
    let run = session.enter(&[])?;
    command.accept((&run, &ground), accept::here(&run, follow), false)
}

/// The arguments of the command.
struct Accepting<'a> {
    common: &'a Common,
    arguments: &'a AcceptArguments,
    names: Names<'a>,
}

impl Accepting<'_> {
    /// Accepts the chosen drift, and prints it. `elsewhere`: whether the state comes from a server or an export.
    fn accept<'r>(
        &self,
        (run, ground): (&'r Run, &Ground),
        found: Vec<CaseResult<'r>>,
        elsewhere: bool,
    ) -> Result<u8, Error> {
        let Self { common, arguments, .. } = *self;
        let mut failed = false;
        let mut trouble = |trouble: &Error| {
            complain(trouble);
            failed = true;
        };
        let mut cases = Vec::new();
        for found in found {
            match found {
                Ok(case) => cases.push(case),
                Err(failed) => trouble(&failed),
            }
        }
        let choices = self.choices(&cases)?;
        let chosen = cases.iter().zip(&choices).filter(|(_, choice)| choice.contains(&true));
        let new: Vec<_> = chosen.map(|(case, choice)| case.with(choice)).collect::<Result<_, _>>()?;
        let mut written = Vec::new();
        for new in &new {
            match if arguments.dry_run { Ok(()) } else { new.write(complain) } {
                Ok(()) => written.push(new),
                Err(failed) => trouble(&failed),
            }
        }
        // The roots here may differ from the new locks, if the state came from elsewhere.
        let new_locks = written.iter().filter(|_| elsewhere && !common.json && !common.quiet).map(|new| {
            let New { case, entries, .. } = new;
            crate::run::here::New { check: case.check, entries, takes_all: new.takes_all() }
        });
        let differing = differing(run, new_locks, Shown::telling(common));
        let printed = printed::print(common, arguments.dry_run, &cases, &written)
            .and_then(|()| here::write(&mut io::stdout().lock(), run, ground, &differing));
        if !arguments.dry_run && !written.is_empty() {
            seal::tell_outdated(run);
        }
        Ok(after_printing(if failed { exit::TROUBLE } else { 0 }, printed))
    }

    /// The drift to accept of each check: what is named, or what the operator chooses.
    fn choices(&self, cases: &[Case<'_>]) -> Result<Vec<Choice>, Error> {
        let Self { common, arguments, names } = self;
        if !arguments.paths.is_empty() {
            return names.find(&cases.iter().map(|case| &case.drifted).collect::<Vec<_>>());
        }
        let color = common.style().color;
        let asked: Vec<_> = cases.iter().map(|case| (&case.drifted, &case.units[..])).collect();
        ask::choices(&asked, &mut |index, chosen, out| show(&cases[index].check, chosen, color, out)).map_err(|error| {
            Error::new(ErrorKind::Input, format!("the terminal could not be used: {error}"), "name the paths to accept")
        })
    }
}

/// Shows the change on a terminal.
fn show(check: &OpenCheck<'_>, chosen: &Comparison, color: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let mut shown = Harmless::new(&mut *out, color);
    let contents = |path: &[u8], record: &Record| check.live_contents(path, record);
    let live = Live { place: &check.check.place(), contents: &contents };
    let troubles = check.patch(chosen, &live, false, &mut Effort::default(), &mut shown)?;
    shown.flush()?;
    for Error { problem, help, .. } in troubles {
        writeln!(out, "{problem}{}{help}", if help.is_empty() { "" } else { "; to do: " })?;
    }
    Ok(())
}
