//! The report as workflow commands, which GitHub shows as annotations on the files that drifted, and
//! on the lines of the declaration and of the locks.
//!
//! GitHub shows ten annotations of each level for a step, and silently drops the others. So this writes nine, and one
//! that counts the rest. The rest is in the log, as plain lines. Findings that are the same on several servers are one
//! finding.
//!
//! Source: GitHub's documentation, "Workflow commands for GitHub Actions". What must be escaped in data and in
//! properties is documented only by the code: `packages/core/src/command.ts` of its toolkit.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};

use super::Report;
use super::findings::{self, Failed, Finding, headline};
use super::format::{Prose, counted};
use super::places::Places;
use crate::path::escaped;

/// The number of annotations of one level that GitHub shows for one step.
const MOST: usize = 10;

/// The most servers with one finding to name; the others are only counted.
const NAMES: usize = 5;

/// Writes one line for each finding, and one with the verdict.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, places: &Places) -> io::Result<()> {
    let expected = report.run.window_is_open();
    let failed = findings::all(report);
    let found = together(&failed);
    let is_expected = |told: &Grouped<'_>| expected && !told.finding.is_trouble();
    // A layer that did not hold is a warning too.
    let uncovered = findings::warnings(report);
    let taken = report.run.sandbox.missing().count() + usize::from(!uncovered.is_empty());
    let mut rest = Vec::new();
    for (level, most, of_level) in [("error", MOST, false), ("warning", MOST - taken, true)] {
        let mut all: Vec<_> = found.iter().filter(|finding| is_expected(finding) == of_level).collect();
        let cut = if all.len() > most { all.split_off(most - 1) } else { Vec::new() };
        for finding in all {
            annotate(out, level, finding, places)?;
        }
        if !cut.is_empty() {
            let more = counted(cut.len() as u64, "more finding is", "more findings are");
            writeln!(out, "::{level} title=driftlock::{more} in the log of this step: GitHub shows {MOST} of a level")?;
        }
        rest.extend(cut.into_iter().map(|finding| (level, finding)));
    }
    for missing in report.run.sandbox.missing() {
        writeln!(out, "::warning title=driftlock::{missing} did not hold during this run")?;
    }
    match &uncovered[..] {
        [] => {}
        [only] => writeln!(out, "::warning title=driftlock::{}", Data(only))?,
        [first, more @ ..] => {
            let more = counted(more.len() as u64, "more warning", "more warnings");
            writeln!(out, "::warning title=driftlock::{}", Data(&format!("{first}; {more} in the log of this step")))?;
        }
    }
    for warning in uncovered.iter().skip(1) {
        writeln!(out, "warning: {}", Prose(warning))?;
    }
    for (level, finding) in rest {
        writeln!(out, "{level}: {}: {}", Prose(finding.failed.name()), finding.message())?;
    }
    let mut known = HashSet::new();
    for told in &found {
        // Only for the first server with this check; for the others, only the server's name differs.
        if known.insert(told.failed.name())
            && let Some(next) = told.failed.next()
        {
            writeln!(out, "{}: {}", Prose(told.failed.name()), next.cause)?;
            next.steps.iter().try_for_each(|step| writeln!(out, "{}: {}", step.what, step.line))?;
        }
    }
    if let Some(window) = &report.run.window {
        let state = if expected { "is expected until" } else { "was expected until" };
        let text = format!("drift {state} {}: {}", window.until(), Prose(&window.reason));
        writeln!(out, "::notice title=driftlock::{}", Data(&text))?;
    }
    writeln!(out, "::notice title=driftlock::{}", Data(&headline(report)))
}

/// A finding, and the servers that have it.
struct Grouped<'a> {
    failed: &'a Failed<'a>,
    finding: Finding<'a>,
    text: String,
    servers: Vec<&'a str>,
}

impl Grouped<'_> {
    fn message(&self) -> String {
        let named = self.servers.iter().take(NAMES).map(|name| escaped(name.as_bytes()).to_string());
        let named = named.collect::<Vec<_>>().join(", ");
        match self.servers.len() {
            0 => self.text.clone(),
            number if number > NAMES => format!("{named} and {} more: {}", number - NAMES, self.text),
            _ => format!("{named}: {}", self.text),
        }
    }
}

/// All findings, each once.
fn together<'a>(failed: &'a [Failed<'a>]) -> Vec<Grouped<'a>> {
    let mut known = HashMap::new();
    let mut all: Vec<Grouped<'_>> = Vec::new();
    for (failed, &finding) in failed.iter().flat_map(|failed| failed.findings.iter().map(move |one| (failed, one))) {
        let text = failed.message(finding);
        let place = *known.entry((failed.name(), text.clone())).or_insert(all.len());
        match all.get_mut(place) {
            Some(told) => told.servers.extend(failed.server()),
            None => all.push(Grouped { failed, finding, text, servers: failed.server().into_iter().collect() }),
        }
    }
    all
}

fn annotate(out: &mut impl Write, level: &str, told: &Grouped<'_>, places: &Places) -> io::Result<()> {
    let title = format!("driftlock: {}", Prose(told.failed.name()));
    let place = told.failed.file(told.finding).unwrap_or_else(|| told.failed.place(told.finding, places));
    let (file, line) = (Prose(&place.file).to_string(), place.line);
    let message = told.message();
    writeln!(out, "::{level} file={},line={line},title={}::{}", Property(&file), Property(&title), Data(&message))
}

/// The text after `::`.
struct Data<'a>(&'a str);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, "%\r\n")
    }
}

/// The text between `=` and `,`.
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
