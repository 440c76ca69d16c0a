//! `driftlock export`: what is there now, all of it in one directory, for people to read and for `lock --from`.

use std::io::{self, Write as _};
use std::path::Path;

use cap_std::fs::Dir;
use serde::Serialize;

use super::arguments::{Common, Servers};
use super::lock::{acceptable, tell_touched, write};
use super::stalled::Watch;
use super::{after_printing, complain, exit, progress};
use crate::capability::{self, Directory, shown};
use crate::container::Inventory;
use crate::declaration::Check;
use crate::manifest::{Entries as _, Kind, Sha256Digest, json, text};
use crate::path::escaped;
use crate::report::changes;
use crate::session::{Collected, Session, not_written};
use crate::store;
use crate::trouble::Trouble;

pub mod server;
mod summary;

/// The directory of the locks, as `lock --from` looks for it.
pub const LOCKS: &str = "locks";
const CONFIG_HASHES: &str = "config_hashes.txt";
const SUMMARY: &str = "SUMMARY.md";

/// What is there, and what is not known of it.
struct State<'a> {
    /// The server on which it is; nothing if it is this machine.
    server: Option<&'a str>,
    checks: Vec<Live<'a>>,
    /// Each engine, by its socket.
    engines: Vec<(String, Result<Inventory, Trouble>)>,
}

/// A check, where its entries are, and what they are.
pub struct Live<'a> {
    pub check: &'a Check,
    pub place: String,
    pub found: Result<Collected, Trouble>,
}

/// A check that was exported.
struct Exported<'a> {
    check: &'a Check,
    place: String,
    entries: u64,
}

/// An engine that was exported.
struct Engine {
    /// The directory with its files.
    directory: String,
    socket: String,
    inventory: Inventory,
}

/// Writes everything into a directory that is empty or not there yet.
///
/// # Errors
/// What keeps the run from starting, and a server that can't be asked. Trouble of single checks is told, and in the exit
/// code.
pub fn run(common: &Common, output: &Path, servers: &Servers) -> Result<u8, Trouble> {
    if servers.are_named() {
        return server::run(common, output, servers);
    }
    servers.none()?;
    let session = Watch::telling(common).opening(|| Session::of_everything(&common.request()))?;
    let directory = empty(&session, output)?;
    let show_progress = capability::wants_progress() && !common.quiet;
    let run = session.enter([&directory])?;
    let wanted: Vec<bool> = run.session.checks().map(|_| true).collect();
    let collections =
        progress::during(show_progress, Watch::telling(common), |progress| run.collect(&wanted, true, progress));
    let checks = run.session.checks().zip(collections).map(|(check, collection)| {
        let missing = || Err(Trouble::new("it was not collected", "report this as a bug"));
        Live { check, place: check.place(), found: collection.unwrap_or_else(missing) }
    });
    let state = State { server: None, checks: checks.collect(), engines: run.inventories() };
    write_down(common, output, &directory, state)
}

/// Opens the directory to write to.
fn empty(session: &Session, output: &Path) -> Result<Directory, Trouble> {
    let directory = session.writable(output, "output", "--output", |_| SUMMARY.to_owned())??;
    let is_empty = directory.dir.entries().map(|mut entries| entries.next().is_none());
    if !is_empty.map_err(|error| failed(output, "", &error))? {
        return Err(Trouble::new(
            format!("the directory {} is not empty", shown(output)),
            "name one that is, or is not there yet: what an export does not have must not be taken for a part of it",
        ));
    }
    Ok(directory)
}

/// Writes what is there, and says so.
fn write_down(common: &Common, output: &Path, directory: &Directory, state: State<'_>) -> Result<u8, Trouble> {
    let mut told: Vec<Trouble> = Vec::new();
    // An engine that can't be connected to is the trouble of each of its checks, too.
    let mut trouble = |trouble: Trouble| {
        if told.iter().all(|other| other.problem != trouble.problem) {
            complain(&trouble);
            told.push(trouble);
        }
    };
    let put = |name: &str, error: &io::Error| failed(output, name, error);
    let locks = subdirectory(&directory.dir, LOCKS).map_err(|error| put(LOCKS, &error))?;
    let mut exported = Vec::new();
    let mut hashes = Vec::new();
    for Live { check, place, found } in state.checks {
        match found.and_then(|live| one(check, &place, &live, &locks, output, &mut hashes)) {
            Ok(entries) => exported.push(Exported { check, place, entries }),
            Err(problem) => trouble(problem),
        }
    }
    hashes.sort();
    hashes.dedup();
    let mut lines = Vec::new();
    for (path, digest) in &hashes {
        text::push_line(&mut lines, *digest, path);
    }
    store::create(&directory.dir, CONFIG_HASHES, &lines).map_err(|error| put(CONFIG_HASHES, &error))?;
    let mut engines = Vec::new();
    for (number, (socket, inventory)) in (1..).zip(state.engines) {
        let name = if number == 1 { "engine".to_owned() } else { format!("engine-{number}") };
        match inventory {
            Ok(inventory) => {
                let engine = Engine { directory: name, socket, inventory };
                engine.write(&directory.dir).map_err(|error| put(&engine.directory, &error))?;
                engines.push(engine);
            }
            Err(problem) => trouble(problem),
        }
    }
    let summary = summary::of(state.server, &exported, &engines, told.is_empty());
    store::create(&directory.dir, SUMMARY, summary.as_bytes()).map_err(|error| put(SUMMARY, &error))?;
    let code = if told.is_empty() { 0 } else { exit::TROUBLE };
    Ok(after_printing(code, print(common, output, state.server, &exported, &engines)))
}

/// Writes the lock of one check, and gives the number of its entries.
fn one(
    check: &Check,
    place: &str,
    live: &Collected,
    locks: &Dir,
    output: &Path,
    hashes: &mut Vec<(Vec<u8>, Sha256Digest)>,
) -> Result<u64, Trouble> {
    let entries = acceptable(check, place, live)?;
    tell_touched(check, live);
    let digest = json::digest(&mut live.entries()).map_err(|error| Trouble::new(error.to_string(), error.remedy()))?;
    write(locks, check, live, digest)
        .map_err(|error| failed(output, &format!("{LOCKS}/{}", check.lock.name), &error))?;
    if matches!(check.kind, Kind::Files | Kind::ContainerFiles) {
        let mut stream = live.entries();
        while let Ok(Some(entry)) = stream.next() {
            if let Ok(Some(digest)) = entry.state.map(|record| record.content.sha256()) {
                hashes.push(([place.trim_end_matches('/').as_bytes(), b"/", entry.path].concat(), digest));
            }
        }
    }
    Ok(entries)
}

fn subdirectory(above: &Dir, name: &str) -> io::Result<Dir> {
    above.create_dir(name)?;
    above.open_dir(name)
}

fn failed(output: &Path, name: &str, error: &io::Error) -> Trouble {
    not_written(&format!("the export {}/{name}", shown(output)), error)
}

impl Engine {
    fn write(&self, output: &Dir) -> io::Result<()> {
        let directory = subdirectory(output, &self.directory)?;
        let mut containers = self.inventory.containers.entries();
        let mut lines = Vec::new();
        while let Ok(Some(entry)) = containers.next() {
            if let Ok(record) = entry.state {
                lines.push(json::entry_line(entry.path, record));
            }
        }
        let containers = if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) };
        store::create(&directory, "containers.json", containers.as_bytes())?;
        store::create(&directory, "images.json", &list(&self.inventory.images)?)?;
        store::create(&directory, "networks.json", &list(&self.inventory.networks)?)?;
        store::create(&directory, "volumes.json", &list(&self.inventory.volumes)?)
    }
}

/// A JSON array, an element a line.
fn list<T: Serialize>(items: &[T]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    crate::report::json::write_lines(&mut out, items)?;
    Ok(out)
}

fn print(
    common: &Common,
    output: &Path,
    server: Option<&str>,
    exported: &[Exported<'_>],
    engines: &[Engine],
) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        let locks: Vec<_> = exported
            .iter()
            .map(|exported| serde_json::json!({"check": exported.check.name, "entries": exported.entries}))
            .collect();
        let engines: Vec<_> = engines
            .iter()
            .map(|engine| serde_json::json!({"socket": engine.socket, "directory": engine.directory}))
            .collect();
        let value = serde_json::json!({"output": shown(output), "server": server, "locks": locks, "engines": engines});
        crate::report::json::write_value(&mut out, &value)?;
    } else if !common.quiet {
        for Exported { check, entries, .. } in exported {
            let lock = escaped(check.lock.name.as_bytes());
            writeln!(out, "wrote {}/{LOCKS}/{lock}: {}", shown(output), changes::entries(*entries))?;
        }
        for engine in engines {
            let socket = escaped(engine.socket.as_bytes());
            writeln!(out, "wrote {}/{}/: what the engine at {socket} has", shown(output), engine.directory)?;
        }
        writeln!(out, "wrote {}/{SUMMARY}", shown(output))?;
    }
    out.flush()
}
