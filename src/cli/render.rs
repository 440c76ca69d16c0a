//! Prints a report in the chosen format on stdout.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::Path;

use cap_std::fs::Dir;

use super::arguments::{Common, Form, Format};
use crate::baseline::Baseline;
use crate::capability::{Declared, raw};
use crate::declaration::Check;
use crate::error::{Error, ErrorKind};
use crate::report::places::{Place, Places};
use crate::report::{CheckReport, Report, github, html, json, junit, prometheus, sarif, slack, text};

/// How a report will be printed.
pub struct Rendering<'a> {
    format: Format,
    title: &'a str,
    style: text::Style,
}

impl<'a> Rendering<'a> {
    /// The choice of the arguments.
    ///
    /// # Errors
    /// They choose two formats.
    pub fn of(common: &Common, form: &'a Form) -> Result<Self, Error> {
        let format = match (form.format, common.json) {
            (None, false) => Format::Text,
            (None | Some(Format::Json), true) => Format::Json,
            (Some(format), false) => format,
            (Some(_), true) => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "--json and --format choose two formats",
                    "leave one of them out",
                ));
            }
        };
        Ok(Self { format, title: &form.title, style: common.style() })
    }

    /// Whether the format points to lines of the declaration and of locks.
    pub const fn has_places(&self) -> bool {
        matches!(self.format, Format::Github | Format::Sarif)
    }

    /// Prints a report. `kept` is the path of its JSON.
    pub fn print(&self, report: &Report, places: &Places, kept: Option<&str>) -> io::Result<()> {
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        let out = &mut stdout;
        match self.format {
            Format::Text => text::write(out, report, self.style, kept)?,
            Format::Json => json::write(out, report)?,
            Format::Github => github::write(out, report, places)?,
            Format::Junit => junit::write(out, report)?,
            Format::Sarif => sarif::write(out, report, places)?,
            Format::Slack => slack::write(out, report, self.title)?,
            Format::Prometheus => {
                let context = prometheus::Context { run: "driftlock", ..prometheus::Context::default() };
                prometheus::write(out, report, context)?;
            }
            Format::Html => html::write(out, report, self.title)?,
        }
        stdout.flush()
    }
}

/// The lines that the findings of a report belong to. A lock that can't be read has no lines.
pub fn places(declared: &Declared, locks: Option<&Dir>, report: &Report) -> Places {
    let mut places = Places::default();
    let declaration = raw(&declared.file);
    let mut by_name: HashMap<&str, Vec<&CheckReport>> = HashMap::new();
    for check in report.checks() {
        by_name.entry(&check.name).or_default().push(check);
    }
    for declared_check in &declared.declaration.checks {
        let Some(found) = by_name.get(declared_check.name.as_str()) else { continue };
        let place = Place { file: declaration.clone(), line: declared_check.line as u64 };
        places.declare(&declared_check.name, place);
        for check in found {
            if (check.drifted() || check.troubled())
                && let Some(locks) = locks
                && let Some(path) = lock_of(declared, declared_check, check)
                && let Ok(Some(mut lock)) = Baseline::open(locks, &path, declared_check.lock.format)
            {
                let file = raw(&declared.base.join(&declared.declaration.locks).join(path));
                let _ = places.look_up(check, (&mut lock, &file), Baseline::line);
            }
        }
    }
    places
}

/// The path below the locks directory of the lock that a check was compared with: the declared one, or that of a
/// server, whose name only the report has. A report that was read back may have any path, so this checks it.
fn lock_of(declared: &Declared, declared_check: &Check, check: &CheckReport) -> Option<String> {
    let lock = &declared_check.lock;
    if !lock.per_server {
        return Some(lock.name.clone());
    }
    let path = Path::new(&check.lock).strip_prefix(&declared.declaration.locks).ok()?;
    let server = path.parent()?.to_str()?;
    let is_a_name = !server.contains('/') && !matches!(server, "" | "." | "..");
    (is_a_name && path.ends_with(&lock.name)).then(|| lock.path(Some(server)))
}
