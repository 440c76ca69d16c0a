//! The directory of reports: saves the report of a run, and removes the oldest ones if the declaration has
//! `reports_keep`.

use std::io;
use std::num::NonZeroUsize;

use cap_std::fs::Dir;

use super::arguments::CheckArguments;
use super::{history, retention};
use crate::capability::{self, Directory, shown};
use crate::error::Error;
use crate::report::{self, HostReport, Report, RunInfo, text::Style};
use crate::session::{Session, not_written};
use crate::store::{self, Durability, Out};

/// The directory of reports.
pub struct ReportsDir {
    /// Its path, as messages show it.
    shown: String,
    /// An error if it can't be opened. The run still prints its report.
    directory: Result<Directory, Error>,
    /// How many reports to keep; `None` for all.
    most: Option<NonZeroUsize>,
}

impl ReportsDir {
    /// Opens the directory, unless the report is not saved.
    ///
    /// # Errors
    /// The directory is in a place where it may not be.
    pub fn open(session: &Session, arguments: &CheckArguments, timestamp: &str) -> Result<Option<Self>, Error> {
        if arguments.no_report {
            return Ok(None);
        }
        let declared = &session.declared;
        // `reports_keep` does not apply to a directory that is named with `--output`.
        let (directory, key, most) = match arguments.output.as_deref() {
            Some(directory) => (directory.to_path_buf(), "--output", None),
            None => (
                declared.base.join(&declared.declaration.reports),
                "`reports` in the declaration, or name another directory with --output",
                declared.declaration.reports_keep,
            ),
        };
        let file = |_: &_| format!("{timestamp}/{}", report::JSON_NAME);
        let opened = session.writable(&directory, capability::REPORTS, key, file)?;
        Ok(Some(Self { shown: shown(&directory), directory: opened, most }))
    }

    /// The directory to write to, if it could be opened.
    pub fn written(&self) -> Option<&Directory> {
        self.directory.as_ref().ok()
    }

    /// The directory to remove reports from, if any are to be removed.
    pub fn pruned(&self) -> Option<&Directory> {
        self.written().filter(|_| self.most.is_some())
    }

    /// Writes the folder of a report, which names the report before it. Returns the path of its JSON.
    ///
    /// # Errors
    /// The report can't be written.
    pub fn save(self, report: &mut Report) -> Result<String, Error> {
        let Self { shown, directory, most } = self;
        let reports = directory?;
        let timestamp = report.run.timestamp.clone();
        let failed = |name: &str, error: &io::Error| not_written(&format!("the report {shown}/{name}"), error);
        let _held = history::hold(&reports.dir).map_err(|error| failed(&timestamp, &error))?;
        report.run.previous = history::previous(&reports.dir).map_err(|error| failed(&timestamp, &error))?;
        let mut name = timestamp.clone();
        let mut number = 1;
        // Two runs in one second get different folders.
        while let Err(error) = reports.dir.create_dir(&name) {
            if error.kind() != io::ErrorKind::AlreadyExists || number == 1000 {
                return Err(failed(&name, &error));
            }
            number += 1;
            name = format!("{timestamp}_{number}");
        }
        let written = reports.dir.open_dir(&name).and_then(|folder| write_files(&folder, report));
        written.map_err(|error| failed(&name, &error))?;
        if let Some(most) = most {
            retention::prune(&reports.dir, &shown, most, &name, history::offset(&report.run.started));
        }
        Ok(format!("{}/{name}/{}", shown.trim_end_matches('/'), report::JSON_NAME))
    }
}

/// Writes a report into its folder, and the report of each server below it.
fn write_files(folder: &Dir, report: &Report) -> io::Result<()> {
    if report.only().is_none() {
        folder.create_dir(report::SERVERS)?;
        let servers = folder.open_dir(report::SERVERS)?;
        for host in &report.hosts {
            let Some(server) = &host.server else { continue };
            servers.create_dir(&server.name)?;
            write_host_files(&servers.open_dir(&server.name)?, &report.run, host)?;
        }
    }
    write_both(
        folder,
        |out| report::text::write(out, report, Style::default(), None),
        |out| report::json::write(out, report),
    )
}

/// Writes the report of one server into its folder.
fn write_host_files(folder: &Dir, run: &RunInfo, host: &HostReport) -> io::Result<()> {
    write_both(
        folder,
        |out| report::text::write_host(out, run, host, Style::default(), None),
        |out| report::json::write_host(out, run, host),
    )
}

/// Writes both files of a report. After a power cut, the JSON is whole or missing. The text may be empty, but can be
/// rendered again from the JSON. Each sync waits for the disk.
fn write_both(
    folder: &Dir,
    text: impl FnOnce(&mut Out<'_>) -> io::Result<()>,
    json: impl FnOnce(&mut Out<'_>) -> io::Result<()>,
) -> io::Result<()> {
    store::replace_with(folder, report::TEXT_NAME, Durability::Nothing, text)?;
    store::replace_with(folder, report::JSON_NAME, Durability::Whole, json)
}
