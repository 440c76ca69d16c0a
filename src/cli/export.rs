//! `driftlock export`: writes the live state into a directory, for people and for `lock --from`.

use std::io::{self, Write as _};
use std::path::Path;

use super::arguments::{Common, Servers};
use super::progress::Shown;
use super::stalled::Watch;
use super::{after_printing, complain, exit};
use crate::capability::shown;
use crate::error::Error;
use crate::path::escaped;
use crate::report::changes;
use crate::run::export::{self, Export, Exported, LOCKS, SUMMARY};
use crate::run::{connections, state};
use crate::session::{LocksAccess, Reads, Session};

/// Writes an export into a directory, which must be empty or must not exist.
///
/// # Errors
/// The run can't start, or the server can't be read. Trouble of single checks is printed, and is in the exit code.
pub fn run(common: &Common, output: &Path, servers: &Servers) -> Result<u8, Error> {
    if servers.are_named() {
        return of_server(common, output, servers);
    }
    servers.none()?;
    let open = || Session::open(&common.plan(), LocksAccess::Read, &Reads::Everything);
    let session = Watch::telling(common).opening(open)?;
    let directory = export::open(&session, output)?;
    let run = session.enter([&directory])?;
    let checks = state::here(&run, run.checks(), Shown::telling(common));
    let export = export::export((output, &directory), None, checks, run.inventories());
    tell(common, output, None, export)
}

/// The same for a server. If the answer is incomplete, nothing is written.
fn of_server(common: &Common, output: &Path, servers: &Servers) -> Result<u8, Error> {
    let session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Servers)?;
    let (targets, connections) = connections::prepare(&session, &servers.wanted(), false)?;
    let connections = connections.only(&targets, "an export has the state of one server")?;
    let directory = export::open(&session, output)?;
    let run = session.enter([&directory])?;
    let [server] = connections.servers();
    let (checks, engines) = connections
        .connect(|[connection]| state::of_server(&run, connection, server))
        .map_err(|error| error.map_problem(|problem| format!("{problem}; nothing was written")))?;
    let export = export::export((output, &directory), Some(&server.name), checks, engines);
    tell(common, output, Some(&server.name), export)
}

/// Prints what was exported and what was not, and returns the exit code.
fn tell(common: &Common, output: &Path, server: Option<&str>, export: Export<'_>) -> Result<u8, Error> {
    export.told.iter().for_each(complain);
    export.ended.clone()?;
    let code = if export.is_whole { 0 } else { exit::TROUBLE };
    Ok(after_printing(code, print(common, output, server, &export)))
}

fn print(common: &Common, output: &Path, server: Option<&str>, export: &Export<'_>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        let locks = export
            .checks
            .iter()
            .map(|Exported { check, entries }| serde_json::json!({"check": check.check.name, "entries": entries}));
        let engines = export
            .engines
            .iter()
            .map(|engine| serde_json::json!({"socket": engine.socket, "directory": engine.directory}));
        let (locks, engines): (Vec<_>, Vec<_>) = (locks.collect(), engines.collect());
        let value = serde_json::json!({"output": shown(output), "server": server, "locks": locks, "engines": engines});
        crate::report::json::write_value(&mut out, &value)?;
    } else if !common.quiet {
        for Exported { check, entries } in &export.checks {
            let lock = escaped(check.check.lock.name.as_bytes());
            writeln!(out, "wrote {}/{LOCKS}/{lock}: {}", shown(output), changes::entries(*entries))?;
        }
        for engine in &export.engines {
            let socket = escaped(engine.socket.as_bytes());
            writeln!(out, "wrote {}/{}/: what the engine at {socket} has", shown(output), engine.directory)?;
        }
        writeln!(out, "wrote {}/{SUMMARY}", shown(output))?;
    }
    out.flush()
}
