//! `driftlock diff --patch`: the lines that drifted, as a patch for `git apply`.

use std::io::{self, Write};
use std::path::Path;

use super::arguments::{Common, Servers};
use super::progress::Shown;
use super::stalled::Watch;
use super::{after_printing, complain, exit};
use crate::capability;
use crate::error::{Error, ErrorKind};
use crate::manifest::Record;
use crate::patch::{Effort, Harmless};
use crate::run::connections;
use crate::run::diff::patch::{ComparedCheck, Patch, here, of_server};
use crate::session::{Live, LocksAccess, Reads, Session};
use crate::shell;

/// The most entries to name that can't be in the patch.
const NAMED: usize = 20;

/// The arguments of the command.
pub struct Wanted<'a> {
    /// Reverse the patch: from the live state to the locked state.
    pub reverse: bool,
    /// The tree to use instead of the declaration's directory.
    pub reference: Option<&'a Path>,
    pub servers: &'a Servers,
}

/// Writes the patch of all checks for this machine or for one server: from the locked to the live state, or back.
///
/// # Errors
/// The run can't start, or the server can't be read. Trouble of single checks is printed, and is in the exit code.
pub fn run(common: &Common, wanted: &Wanted<'_>) -> Result<u8, Error> {
    if common.json {
        return Err(Error::new(ErrorKind::Usage, "a patch can't be printed as JSON", "leave out --json or --patch"));
    }
    if wanted.servers.are_named() {
        return on_server(common, wanted);
    }
    wanted.servers.none()?;
    let session = Watch::telling(common).opening(|| {
        let mut session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Here)?;
        session.for_this_machine("compare")?;
        session.open_references(wanted.reference)?;
        Ok::<_, Error>(session)
    })?;
    let follow = Shown::telling(common);
    let run = session.enter(&[])?;
    Ok(print_patch(common, wanted.reverse, &here(&run, follow)))
}

fn on_server(common: &Common, wanted: &Wanted<'_>) -> Result<u8, Error> {
    let mut session = Watch::telling(common).opening(|| {
        let mut session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Servers)?;
        session.open_references_to_servers(wanted.reference)?;
        Ok::<_, Error>(session)
    })?;
    let (targets, connections) = connections::prepare(&session, &wanted.servers.wanted(), true)?;
    let connection = connections.only(&targets, "a patch is about one server")?;
    session.is_about(targets.servers());
    let run = session.enter(&[])?;
    Ok(print_patch(common, wanted.reverse, &of_server(&run, connection)?))
}

/// Prints the patch, for `git apply` or for a terminal, and what can't be in it.
fn print_patch(common: &Common, reverse: bool, patch: &Patch<'_>) -> u8 {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut code = 0;
    let printed = if capability::is_terminal() {
        write(reverse, patch, &mut code, &mut Harmless::new(stdout, common.style().color))
    } else {
        write(reverse, patch, &mut code, &mut stdout)
    };
    after_printing(code, printed)
}

fn write(reverse: bool, patch: &Patch<'_>, code: &mut u8, out: &mut impl Write) -> io::Result<()> {
    let mut effort = Effort::default();
    for ComparedCheck { check: open, compared } in &patch.found {
        let check = open.check;
        let mut trouble = |trouble: &Error| {
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
        let contents = |path: &[u8], record: &Record| patch.contents(open, path, record);
        let live = Live { place: &open.place(), contents: &contents };
        let troubles = open.patch(compared, &live, reverse, &mut effort, out)?;
        troubles.iter().take(NAMED).for_each(&mut trouble);
        if troubles.len() > NAMED {
            let more = troubles.len() - NAMED;
            trouble(&Error::new(
                ErrorKind::Input,
                format!("the check {}: {more} more are not in the patch", check.name),
                "",
            ));
        }
        if compared.counts.unverified > 0 {
            let problem = format!("the check {}: {} could not be read", check.name, compared.counts.unverified);
            trouble(&Error::new(
                ErrorKind::Usage,
                problem,
                format!("run `driftlock check --check {}` for the reasons", shell::word(check.name.as_bytes())),
            ));
        }
        *code |= if compared.counts.drifted > 0 { exit::DRIFT } else { 0 };
    }
    out.flush()
}
