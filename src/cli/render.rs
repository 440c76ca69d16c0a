//! A report in the form that was asked for, on stdout.

use std::io::{self, Write as _};

use cap_std::fs::Dir;

use super::arguments::{Common, Form, Format};
use crate::baseline::Baseline;
use crate::capability::{Declared, raw};
use crate::report::fleet::Fleet;
use crate::report::places::{Place, Places};
use crate::report::{Report, github, html, json, junit, prometheus, sarif, slack, text};
use crate::trouble::Trouble;

/// How a report is going to be printed.
pub struct Rendering<'a> {
    format: Format,
    title: &'a str,
    style: text::Style,
}

impl<'a> Rendering<'a> {
    /// What the arguments ask for.
    ///
    /// # Errors
    /// Two forms at once.
    pub fn of(common: &Common, form: &'a Form) -> Result<Self, Trouble> {
        let format = match (form.format, common.json) {
            (None, false) => Format::Text,
            (None | Some(Format::Json), true) => Format::Json,
            (Some(format), false) => format,
            (Some(_), true) => {
                return Err(Trouble::new("--json and --format ask for two forms at once", "leave one of them out"));
            }
        };
        Ok(Self { format, title: &form.title, style: common.style() })
    }

    /// Whether the form points to lines of the declaration and of the locks.
    pub const fn has_places(&self) -> bool {
        matches!(self.format, Format::Github | Format::Sarif)
    }

    /// Makes sure that the form can hold what became of a server.
    ///
    /// # Errors
    /// A form that has no words for that yet.
    pub fn of_servers(&self) -> Result<(), Trouble> {
        match self.format {
            Format::Text | Format::Json => Ok(()),
            _ => Err(Trouble::new("reports of servers are printed as text or JSON only", "leave --format out")),
        }
    }

    /// Prints the report of several servers. `kept` is where its JSON lies.
    pub fn print_fleet(&self, fleet: &Fleet, kept: Option<&str>) -> io::Result<()> {
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        match self.format {
            Format::Json => json::write_fleet(&mut stdout, fleet)?,
            _ => text::write_fleet(&mut stdout, fleet, self.style, kept)?,
        }
        stdout.flush()
    }

    /// Prints a report. `kept` is where its JSON lies.
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

/// Where the findings of a report are at home. A lock that can't be read, as the report says or will say the next time,
/// only has no lines.
pub fn places(declared: &Declared, locks: Option<&Dir>, report: &Report) -> Places {
    let mut places = Places::default();
    let declaration = raw(&declared.file);
    for declared_check in &declared.declaration.checks {
        let Some(check) = report.checks.iter().find(|check| check.name == declared_check.name) else { continue };
        let lock = &declared_check.lock;
        let file = raw(&declared.base.join(&declared.declaration.locks).join(&lock.name));
        let place = Place { file: declaration.clone(), line: declared_check.line as u64 };
        places.declare(&check.name, place, file);
        if let Some(locks) = locks
            && let Ok(Some(mut lock)) = Baseline::open(locks, &lock.name, lock.format)
        {
            let _ = places.look_up(check, &mut lock, Baseline::line);
        }
    }
    places
}
