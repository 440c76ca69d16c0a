//! The report as JUnit's XML, for CI systems: each check is a test case, drift is its failure, trouble its error.
//!
//! Source: the schema that Jenkins reads such files by, `junit-10.xsd`, which the tests hold this against.

use std::fmt;
use std::io::{self, Write};

use super::findings::{self, sentence};
use super::words::Prose;
use super::{CheckReport, LOCK_FILES_EXIST, Outcome, Report, Status};

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let missing = usize::from(!report.missing_locks.is_empty());
    let failures = missing + report.checks.iter().filter(|check| check.drifted()).count();
    let errors = report.checks.iter().filter(|check| check.troubled()).count();
    let summary = report.summary();
    // The schema's times have three digits at most before the point without commas.
    let seconds = report.duration.as_secs_f64().min(999.999);
    let numbers = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", summary.total);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"driftlock\" {numbers} time=\"{seconds:.3}\">")?;
    writeln!(
        out,
        "  <testsuite name=\"driftlock\" {numbers} skipped=\"{}\" time=\"{seconds:.3}\" timestamp=\"{}\">",
        summary.skipped,
        Xml(&report.started)
    )?;
    writeln!(out, "    <properties>")?;
    property(out, "driftlock", env!("CARGO_PKG_VERSION"))?;
    property(out, "overall", report.overall().word())?;
    let landlock = report.sandbox.landlock.as_ref().map_or("none".to_owned(), |landlock| landlock.abi.to_string());
    property(out, "sandbox.landlock", &landlock)?;
    property(out, "sandbox.seccomp", if report.sandbox.seccomp { "yes" } else { "no" })?;
    if let Some(window) = &report.window {
        property(out, "window.until", &window.until())?;
        property(out, "window.reason", &window.reason)?;
    }
    writeln!(out, "    </properties>")?;
    lock_files(out, report)?;
    for check in &report.checks {
        self::check(out, check)?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn property(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", Xml(value))
}

fn lock_files(out: &mut impl Write, report: &Report) -> io::Result<()> {
    write!(out, "    <testcase name=\"{LOCK_FILES_EXIST}\" classname=\"driftlock\"")?;
    if report.missing_locks.is_empty() {
        return writeln!(out, "/>");
    }
    let lines: Vec<_> = report.missing_locks.iter().map(|lock| Prose(lock).to_string()).collect();
    writeln!(out, ">\n      <failure type=\"missing_lock\" message=\"lock files are missing\">")?;
    writeln!(out, "{}</failure>\n    </testcase>", Xml(&lines.join("\n")))
}

fn check(out: &mut impl Write, check: &CheckReport) -> io::Result<()> {
    let name = Prose(&check.name).to_string();
    write!(out, "    <testcase name=\"{}\" classname=\"driftlock.{}\"", Xml(&name), check.kind.name())?;
    if check.status() == Status::Pass {
        return writeln!(out, "/>");
    }
    let sentence = sentence(check);
    writeln!(out, ">")?;
    match check.outcome {
        Outcome::NoLock | Outcome::OtherMode | Outcome::NotCollected => {
            writeln!(out, "      <skipped message=\"{}\"/>", Xml(&sentence))?;
        }
        Outcome::Failed(_) | Outcome::Compared { .. } => {
            let (trouble, drift): (Vec<_>, Vec<_>) =
                findings::of(check).into_iter().partition(|finding| finding.is_trouble());
            for (element, sort, found) in [("failure", "drift", drift), ("error", "trouble", trouble)] {
                if found.is_empty() {
                    continue;
                }
                writeln!(out, "      <{element} type=\"{sort}\" message=\"{}\">", Xml(&sentence))?;
                for finding in found {
                    writeln!(out, "{}", Xml(&finding.message(check)))?;
                }
                writeln!(out, "</{element}>")?;
            }
        }
    }
    writeln!(out, "    </testcase>")
}

/// Text in XML 1.0, in an element or between double quotes. What no XML can hold, even escaped, is shown as U+FFFD.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\t' | '\n' | '\r' => f.write_char(character),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            _ => f.write_char(character),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            Xml("<a b=\"c\">&\0\u{ffff}]]>").to_string(),
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}\u{fffd}]]&gt;"
        );
    }
}
