//! `driftlock report`: a report that a `check` has kept, in another form.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, File};

use super::arguments::{Common, Form};
use super::render::{self, Rendering};
use super::{after_printing, stored};
use crate::capability::{self, Declared, Directory, Operand, shown};
use crate::report::fleet::{Fleet, Reports};
use crate::report::json::Kept;
use crate::report::places::Places;
use crate::report::{JSON_NAME, Report};
use crate::sandbox::Grants;
use crate::session;
use crate::trouble::Trouble;

/// Prints a report. The exit code says only whether that could be done.
///
/// # Errors
/// A report that can't be found or read, or is refused.
pub fn run(common: &Common, report: Option<&Path>, form: &Form) -> Result<u8, Trouble> {
    let rendering = Rendering::of(common, form)?;
    let declared = declaration(common, report.is_some(), rendering.has_places())?;
    let mut grants = Grants::default();
    let locks = match &declared {
        Some(declared) if rendering.has_places() => {
            capability::locks(&declared.base.join(&declared.declaration.locks))?
        }
        _ => None,
    };
    grants.read.extend(locks.as_ref().map(|locks| locks.as_fd()));
    let requirement = common.request().requirement;
    let (report, path) = match (report, &declared) {
        (Some(path), _) => {
            let (file, path) = open(path)?;
            session::enter(&grants, requirement)?;
            (read(file, &path)?, path)
        }
        (None, Some(declared)) => {
            let reports = declared.base.join(&declared.declaration.reports);
            let directory = capability::reports(&reports)?;
            grants.read.push(directory.as_fd());
            session::enter(&grants, requirement)?;
            let (file, path) = latest(&directory, &reports)?;
            (read(file, &path)?, path)
        }
        (None, None) => return Err(Trouble::new("no report was named", "name the folder of a report")),
    };
    let reports = match &report {
        Read::One(report) => Reports::One(report),
        Read::Several(fleet) => Reports::Several(fleet),
    };
    let locks = locks.as_ref().map(|locks| &locks.dir);
    let places = declared.map_or_else(Places::default, |declared| render::places(&declared, locks, reports));
    Ok(after_printing(0, rendering.print(reports, &places, Some(&shown(&path)))))
}

/// The declaration, if it is needed: to find the latest report, or to point to its lines. A report that was named can
/// do without.
fn declaration(common: &Common, named: bool, has_places: bool) -> Result<Option<Declared>, Trouble> {
    match (named, has_places, &common.config) {
        (true, false, _) => Ok(None),
        (true, true, None) => Ok(capability::declaration(None).ok()),
        (false, ..) | (true, true, Some(_)) => capability::declaration(common.config.as_deref()).map(Some),
    }
}

/// A report that was read back.
enum Read {
    One(Box<Report>),
    Several(Fleet),
}

fn read(file: File, path: &Path) -> Result<Read, Trouble> {
    let read = match stored::read_kept(file, path)? {
        Kept::One(parsed) => parsed.into_report().map(|report| Read::One(Box::new(report))),
        Kept::Several(parsed) => parsed.into_fleet().map(Read::Several),
    };
    read.map_err(|error| stored::refused(path, &error))
}

/// Opens what the operator named: the folder of a report, or its JSON.
fn open(path: &Path) -> Result<(File, PathBuf), Trouble> {
    match capability::operand(path)? {
        Operand::File(file) => Ok((File::from_std(file), path.to_path_buf())),
        Operand::Directory(folder) => open_in(&folder.dir, path),
    }
}

fn open_in(folder: &Dir, path: &Path) -> Result<(File, PathBuf), Trouble> {
    let file = stored::open_in(folder).map_err(|error| {
        Trouble::new(
            format!("{} is a directory without a readable {JSON_NAME}: {error}", shown(path)),
            "name the folder of a report; a run that was ended before its time leaves none behind",
        )
    })?;
    Ok((file, path.join(JSON_NAME)))
}

/// The newest report by the names of the folders, which are the times of the runs.
fn latest(reports: &Directory, path: &Path) -> Result<(File, PathBuf), Trouble> {
    let unreadable = |error: &std::io::Error| {
        Trouble::new(format!("the reports directory {} could not be read: {error}", shown(path)), "see why")
    };
    let mut newest: Option<(String, u32)> = None;
    for entry in reports.dir.entries().map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?;
        if let Some(folder) = entry.file_name().to_str().and_then(folder) {
            newest = newest.max(Some(folder));
        }
    }
    let Some((time, number)) = newest else {
        return Err(Trouble::new(format!("there is no report in {}", shown(path)), "run `driftlock check` first"));
    };
    let name = if number == 1 { time } else { format!("{time}_{number}") };
    let failed = |error: &std::io::Error| {
        Trouble::new(format!("{} could not be opened: {error}", shown(&path.join(&name))), "check its permissions")
    };
    let folder = reports.dir.open_dir(&name).map_err(|error| failed(&error))?;
    open_in(&folder, &path.join(&name))
}

/// `20260129_153042`, and with `_2` and so on for others of the same second. A folder of any other name is no report's.
fn folder(name: &str) -> Option<(String, u32)> {
    let (time, rest) = name.split_at_checked("20260129_153042".len())?;
    let is_time = time.bytes().enumerate().all(|(at, byte)| if at == 8 { byte == b'_' } else { byte.is_ascii_digit() });
    let number = match rest.strip_prefix('_') {
        None if rest.is_empty() => 1,
        None => return None,
        Some(number) => number.parse().ok().filter(|&parsed: &u32| parsed > 1 && parsed.to_string() == number)?,
    };
    is_time.then(|| (time.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_its_name() {
        let names = ["20260129_153042", "20260129_153042_2", "20260129_153042_10", "20260129_153043"].map(folder);
        assert!(names.iter().all(Option::is_some) && names.is_sorted());
        for other in ["", "latest", "20260129-153042", "20260129_153042_1", "20260129_153042_02", "20260129_153042x"] {
            assert_eq!(folder(other), None, "{other}");
        }
    }
}
