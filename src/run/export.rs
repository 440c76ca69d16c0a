//! Writes the live state into a directory, for people and for `lock --from`.

mod summary;

use std::collections::HashSet;
use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use serde::Serialize;

use super::lock::{acceptable, touched, write};
use super::state::{Engines, Live};
use crate::capability::{Directory, shown};
use crate::container::Inventory;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Entries as _, Kind, Sha256Digest, json, text};
use crate::session::{Collected, OpenCheck, Session, not_written};
use crate::store;

/// The directory of the locks in an export, where `lock --from` looks for them.
pub const LOCKS: &str = "locks";
/// The summary for people.
pub const SUMMARY: &str = "SUMMARY.md";
const CONFIG_HASHES: &str = "config_hashes.txt";

/// The contents of an export.
pub struct Export<'r> {
    pub checks: Vec<Exported<'r>>,
    pub engines: Vec<Engine>,
    /// What is missing, each message once; and reasons why a lock may not be a good baseline.
    pub told: Vec<Error>,
    /// Whether nothing is missing.
    pub is_whole: bool,
    /// Why the rest could not be written.
    pub ended: Result<(), Error>,
}

/// A check that was exported.
pub struct Exported<'r> {
    pub check: OpenCheck<'r>,
    pub entries: u64,
}

/// An engine that was exported.
pub struct Engine {
    /// The directory of its files.
    pub directory: String,
    pub socket: String,
    inventory: Inventory,
}

/// Opens the directory to write to, which must be empty or must not exist.
///
/// # Errors
/// The directory is not empty, or a check would record the files in it.
pub fn open(session: &Session, output: &Path) -> Result<Directory, Error> {
    let directory = session.writable(output, "output", "--output", |_| SUMMARY.to_owned())??;
    let is_empty = directory.dir.entries().map(|mut entries| entries.next().is_none());
    if !is_empty.map_err(|error| failed(output, "", &error))? {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the directory {} is not empty", shown(output)),
            "name an empty or a new directory, so that older files do not look like a part of the export",
        ));
    }
    Ok(directory)
}

/// Writes the live state of `server` or, if that is `None`, of this machine.
pub fn export<'r>(
    (output, directory): (&Path, &Directory),
    server: Option<&str>,
    checks: Vec<Live<'r>>,
    engines: Engines,
) -> Export<'r> {
    let (none, no_engines) = (Vec::new(), Vec::new());
    let mut export = Export { checks: none, engines: no_engines, told: Vec::new(), is_whole: true, ended: Ok(()) };
    export.ended = export.write((output, &directory.dir), server, checks, engines);
    export
}

impl<'r> Export<'r> {
    fn write(
        &mut self,
        (output, directory): (&Path, &Dir),
        server: Option<&str>,
        checks: Vec<Live<'r>>,
        engines: Engines,
    ) -> Result<(), Error> {
        let not_written = |name: &str, error: &io::Error| failed(output, name, error);
        let locks = subdirectory(directory, LOCKS).map_err(|error| not_written(LOCKS, &error))?;
        let mut hashes = Vec::new();
        let mut known = HashSet::new();
        for Live { check, found } in checks {
            let written = found.and_then(|live| {
                let entries = acceptable(&check, &live)?;
                self.told.extend(touched(check.check, &live));
                lock(&check, &live, &locks, output)?;
                hash(&check, &live, &mut hashes);
                Ok(entries)
            });
            match written {
                Ok(entries) => self.checks.push(Exported { check, entries }),
                Err(trouble) => self.troubled(trouble, &mut known),
            }
        }
        hashes.sort();
        hashes.dedup();
        let mut lines = Vec::new();
        for (path, digest) in &hashes {
            text::push_line(&mut lines, *digest, path);
        }
        store::create(directory, CONFIG_HASHES, &lines).map_err(|error| not_written(CONFIG_HASHES, &error))?;
        for (number, (socket, inventory)) in (1..).zip(engines) {
            let name = if number == 1 { "engine".to_owned() } else { format!("engine-{number}") };
            match inventory {
                Ok(inventory) => {
                    let engine = Engine { directory: name, socket, inventory };
                    engine.write(directory).map_err(|error| not_written(&engine.directory, &error))?;
                    self.engines.push(engine);
                }
                Err(trouble) => self.troubled(trouble, &mut known),
            }
        }
        let summary = summary::of(server, self);
        store::create(directory, SUMMARY, summary.as_bytes()).map_err(|error| not_written(SUMMARY, &error))
    }

    /// Adds trouble, unless `known` already has its problem: all checks of an engine fail for the same reason.
    fn troubled(&mut self, trouble: Error, known: &mut HashSet<String>) {
        self.is_whole = false;
        if known.insert(trouble.problem.clone()) {
            self.told.push(trouble);
        }
    }
}

/// Writes the lock of one check.
fn lock(check: &OpenCheck<'_>, live: &Collected, locks: &Dir, output: &Path) -> Result<(), Error> {
    let digest = json::digest(&mut live.entries())
        .map_err(|error| Error::new(ErrorKind::Lock, error.to_string(), error.help()))?;
    let name = &check.check.lock.name;
    write(locks, check.check, live, digest).map_err(|error| failed(output, &format!("{LOCKS}/{name}"), &error))
}

/// Adds the digests of the files of a check.
fn hash(check: &OpenCheck<'_>, live: &Collected, hashes: &mut Vec<(Vec<u8>, Sha256Digest)>) {
    if !matches!(check.check.kind, Kind::Files | Kind::ContainerFiles) {
        return;
    }
    let place = check.place();
    let mut stream = live.entries();
    while let Ok(Some(entry)) = stream.next() {
        if let Ok(Some(digest)) = entry.state.map(|record| record.content.sha256()) {
            hashes.push(([place.trim_end_matches('/').as_bytes(), b"/", entry.path].concat(), digest));
        }
    }
}

fn subdirectory(above: &Dir, name: &str) -> io::Result<Dir> {
    above.create_dir(name)?;
    above.open_dir(name)
}

fn failed(output: &Path, name: &str, error: &io::Error) -> Error {
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

/// A JSON array, with one element on each line.
fn list<T: Serialize>(items: &[T]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    crate::report::json::write_lines(&mut out, items)?;
    Ok(out)
}
