//! `driftlock report`: prints a saved report in another format.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, File};

use super::arguments::{Common, Form};
use super::ground::ground;
use super::history::{self, History};
use super::render::{self, Rendering};
use super::{after_printing, complain, exit, stored};
use crate::capability::{self, Declared, Directory, Operand, shown};
use crate::error::{Error, ErrorKind};
use crate::report::chain::Dated;
use crate::report::places::Places;
use crate::report::{JSON_NAME, Report, RunInfo};
use crate::sandbox::Grants;
use crate::session;

/// Prints a report. The exit code says only whether that succeeded and, for the latest report, whether the chain of
/// reports is intact.
///
/// # Errors
/// The report is not found, can't be read, or is refused.
pub fn run(common: &Common, report: Option<&Path>, form: &Form) -> Result<u8, Error> {
    let rendering = Rendering::of(common, form)?;
    let declared = declaration(common, report.is_some(), rendering.has_places())?;
    let ground = declared.as_ref().map(|declared| ground(common, declared));
    let mut grants = Grants::default();
    let locks = match &declared {
        Some(declared) if rendering.has_places() => {
            capability::locks(&declared.base.join(&declared.declaration.locks))?
        }
        _ => None,
    };
    grants.read.extend(locks.as_ref().map(|locks| locks.as_fd()));
    let requirement = common.plan().requirement;
    let mut code = 0;
    let (report, path) = match (report, &declared) {
        (Some(path), _) => {
            let (file, path) = open(path)?;
            session::enter(&grants, requirement)?;
            (stored::read(file, &path)?, path)
        }
        (None, Some(declared)) => {
            let reports = declared.base.join(&declared.declaration.reports);
            let directory = capability::reports(&reports)?;
            grants.read.push(directory.as_fd());
            let offset = offset();
            session::enter(&grants, requirement)?;
            let (file, path, in_order) = latest(&directory, &reports, &offset)?;
            code |= if in_order { 0 } else { exit::TROUBLE };
            (stored::read(file, &path)?, path)
        }
        (None, None) => return Err(Error::new(ErrorKind::Usage, "no report was named", "name the folder of a report")),
    };
    let report = Report { run: RunInfo { ground, ..report.run }, hosts: report.hosts };
    let locks = locks.as_ref().map(|locks| &locks.dir);
    let places = declared.map_or_else(Places::default, |declared| render::places(&declared, locks, &report));
    Ok(after_printing(code, rendering.print(&report, &places, Some(&shown(&path)))))
}

/// The declaration, to find the latest report or to point to its lines. For a report that was named, it may be missing.
fn declaration(common: &Common, named: bool, has_places: bool) -> Result<Option<Declared>, Error> {
    match (named, has_places, &common.config) {
        (true, _, None) => Ok(capability::declaration(None).ok()),
        (false, ..) | (true, _, Some(_)) => capability::declaration(common.config.as_deref()).map(Some),
    }
}

/// Opens a report by its folder or its JSON.
fn open(path: &Path) -> Result<(File, PathBuf), Error> {
    match capability::operand(path)? {
        Operand::File(file) => Ok((File::from_std(file), path.to_path_buf())),
        Operand::Directory(folder) => open_in(&folder.dir, path),
    }
}

fn open_in(folder: &Dir, path: &Path) -> Result<(File, PathBuf), Error> {
    let file = stored::open_in(folder).map_err(|error| {
        Error::new(
            ErrorKind::Input,
            format!("{} is a directory without a readable {JSON_NAME}: {error}", shown(path)),
            "name the folder of a report; a run that was interrupted leaves none",
        )
    })?;
    Ok((file, path.join(JSON_NAME)))
}

/// The latest report in a directory, and whether the chain is intact. Prints what is wrong.
fn latest(reports: &Directory, path: &Path, offset: &str) -> Result<(File, PathBuf, bool), Error> {
    let history = history(reports, path)?;
    let mut unreadable = false;
    let mut digest = |report: &Dated| match history::digest(&reports.dir, &report.name) {
        Ok(digest) => Some(digest),
        Err(error) => {
            unreadable = true;
            complain(&stored::unreadable(&path.join(&report.name).join(JSON_NAME), &error));
            None
        }
    };
    let in_order = !history.complain(path, &mut digest) && !unreadable;
    let folders = history.folders(offset);
    let Some(name) = folders.last() else {
        return Err(Error::new(
            ErrorKind::Input,
            format!("there is no report in {}", shown(path)),
            "run `driftlock check` first",
        ));
    };
    let failed = |error: &io::Error| {
        Error::new(
            ErrorKind::Input,
            format!("{} could not be opened: {error}", shown(&path.join(name))),
            "check its permissions",
        )
    };
    let folder = reports.dir.open_dir(name).map_err(|error| failed(&error))?;
    open_in(&folder, &path.join(name)).map(|(file, path)| (file, path, in_order))
}

fn history(reports: &Directory, path: &Path) -> Result<History, Error> {
    History::read(&reports.dir).map_err(|error| {
        let help = "correct its permissions, or name the folder of a report";
        Error::new(ErrorKind::Input, format!("the reports directory {} could not be read: {error}", shown(path)), help)
    })
}

/// The offset of local time from UTC, such as `+09:00`. Call it before the sandbox is entered, which hides the time
/// zone.
fn offset() -> String {
    history::offset(&capability::now().1).to_owned()
}

/// Prints the folders of all reports in a directory, the oldest first.
///
/// # Errors
/// The directory is not found, or can't be read.
pub fn list(common: &Common, directory: Option<&Path>) -> Result<u8, Error> {
    if common.json {
        return Err(Error::new(ErrorKind::Usage, "--list can't print JSON", "leave out --json"));
    }
    let path = match directory {
        Some(path) => path.to_path_buf(),
        None => {
            let declared = capability::declaration(common.config.as_deref())?;
            declared.base.join(&declared.declaration.reports)
        }
    };
    let reports = capability::reports(&path)?;
    let offset = offset();
    session::enter(&Grants { read: vec![reports.as_fd()], ..Grants::default() }, common.plan().requirement)?;
    let history = history(&reports, &path)?;
    let code = if history.complain(&path, |_| None) { exit::TROUBLE } else { 0 };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut folders = history.folders(&offset).into_iter();
    let printed = folders.try_for_each(|name| writeln!(out, "{}", shown(&path.join(name))));
    Ok(after_printing(code, printed.and_then(|()| out.flush())))
}
