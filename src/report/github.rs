//! The report as workflow commands, which GitHub shows as annotations on the lines of the declaration and of the locks.
//!
//! Source: GitHub's documentation, "Workflow commands for GitHub Actions", and for what is escaped in data and in
//! properties `packages/core/src/command.ts` of its toolkit, which is the only place that says so.

use std::fmt;
use std::io::{self, Write};

use super::findings::{self, Finding, headline};
use super::places::{Place, Places};
use super::words::Prose;
use super::{CheckReport, Report};

/// Writes one line a finding, and one with the verdict.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, places: &Places) -> io::Result<()> {
    let expected = report.window_is_open();
    for check in &report.checks {
        for finding in findings::of(check) {
            let level = if expected && !finding.is_trouble() { "warning" } else { "error" };
            annotate(out, level, check, finding, &places.of(check, finding))?;
        }
    }
    for missing in report.sandbox.missing() {
        writeln!(out, "::warning title=driftlock::{missing} did not hold during this run")?;
    }
    if let Some(window) = &report.window {
        let state = if expected { "is expected until" } else { "was expected until" };
        let text = format!("drift {state} {}: {}", window.until(), window.reason);
        writeln!(out, "::notice title=driftlock::{}", Data(&text))?;
    }
    writeln!(out, "::notice title=driftlock::{}", Data(&headline(report)))
}

fn annotate(
    out: &mut impl Write,
    level: &str,
    check: &CheckReport,
    finding: Finding<'_>,
    place: &Place,
) -> io::Result<()> {
    let title = format!("driftlock: {}", Prose(&check.name));
    let (file, line) = (Prose(&place.file).to_string(), place.line);
    let message = finding.message(check);
    writeln!(out, "::{level} file={},line={line},title={}::{}", Property(&file), Property(&title), Data(&message))
}

/// What stands behind `::`.
struct Data<'a>(&'a str);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, "%\r\n")
    }
}

/// What stands between `=` and `,`.
struct Property<'a>(&'a str);

impl fmt::Display for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, "%\r\n:,")
    }
}

fn escape(f: &mut fmt::Formatter<'_>, text: &str, special: &str) -> fmt::Result {
    use fmt::Write as _;
    text.chars().try_for_each(|character| {
        if special.contains(character) { write!(f, "%{:02X}", u32::from(character)) } else { f.write_char(character) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_the_toolkit_does() {
        assert_eq!(Data("100% a:b,c\r\n::error::x").to_string(), "100%25 a:b,c%0D%0A::error::x");
        assert_eq!(Property("100% a:b,c\n").to_string(), "100%25 a%3Ab%2Cc%0A");
    }
}
