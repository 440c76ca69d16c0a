//! The report as JUnit XML, for CI systems: a check is a test case, drift is a failure, and trouble is an error.
//!
//! Source: `junit-10.xsd`, the schema that Jenkins uses. The tests validate the output with it.

use std::fmt;
use std::io::{self, Write};

use super::findings::{self, sentence};
use super::format::Prose;
use super::row::Row;
use super::{CheckReport, Error, HostReport, Report, RunInfo, Status};
use crate::path::to_escape;

/// Writes the report: one test suite, or one for each server.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let sums = report.hosts.iter().map(Numbers::of).fold(Numbers::default(), |sum, of| Numbers {
        tests: sum.tests + of.tests,
        failures: sum.failures + of.failures,
        errors: sum.errors + of.errors,
        // Servers are checked at the same time, so the longest one counts.
        seconds: sum.seconds.max(of.seconds),
    });
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"driftlock\" {sums}>")?;
    for host in &report.hosts {
        suite(out, &report.run, host)?;
    }
    writeln!(out, "</testsuites>")
}

/// The totals of a suite.
#[derive(Default)]
struct Numbers {
    tests: u64,
    failures: u64,
    errors: u64,
    seconds: f64,
}

impl Numbers {
    fn of(host: &HostReport) -> Self {
        let number = |of: fn(&CheckReport) -> bool| host.checks.iter().filter(|check| of(check)).count() as u64;
        Self {
            tests: host.summary().total,
            failures: u64::from(host.lock_files_exist() == Status::Fail) + number(CheckReport::drifted),
            errors: u64::from(host.server_collection() == Some(Status::Fail))
                + u64::from(host.sealed() == Some(Status::Fail))
                + number(CheckReport::troubled),
            // In the schema, a time without commas has at most three digits before the point.
            seconds: host.duration.as_secs_f64().min(999.999),
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tests, failures, errors, seconds } = self;
        write!(f, "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\"")
    }
}

fn suite(out: &mut impl Write, run: &RunInfo, host: &HostReport) -> io::Result<()> {
    let server = host.server.as_ref();
    let name = server.map_or_else(|| "driftlock".to_owned(), |server| Prose(&server.name).to_string());
    write!(
        out,
        "  <testsuite name=\"{}\" {} skipped=\"{}\" timestamp=\"{}\"",
        Xml(&name),
        Numbers::of(host),
        host.summary().skipped,
        Xml(&run.started)
    )?;
    if let Some(server) = server {
        write!(out, " hostname=\"{}\"", Xml(&Prose(&server.host).to_string()))?;
    }
    writeln!(out, ">\n    <properties>")?;
    property(out, "driftlock", env!("CARGO_PKG_VERSION"))?;
    property(out, "overall", host.overall().word())?;
    let landlock = |abi: Option<u32>| abi.map_or("none".to_owned(), |abi| abi.to_string());
    let held = |seccomp: bool| if seccomp { "yes" } else { "no" };
    property(out, "sandbox.landlock", &landlock(run.sandbox.landlock.as_ref().map(|landlock| landlock.abi)))?;
    property(out, "sandbox.seccomp", held(run.sandbox.seccomp))?;
    if let Some(head) = server.and_then(|server| server.head.as_ref()) {
        property(out, "server.driftlock", &head.driftlock)?;
        property(out, "server.sandbox.landlock", &landlock(head.landlock))?;
        property(out, "server.sandbox.seccomp", held(head.seccomp))?;
    }
    let uncovered: u64 = host.checks.iter().map(CheckReport::uncovered_count).sum();
    property(out, "uncovered", &uncovered.to_string())?;
    if let Some(window) = &run.window {
        property(out, "window.until", &window.until())?;
        property(out, "window.reason", &window.reason)?;
    }
    writeln!(out, "    </properties>")?;
    // The class name tells the cases of different servers apart.
    let class = server.map_or_else(|| "driftlock".to_owned(), |server| format!("driftlock.{}", Prose(&server.name)));
    host.rows().try_for_each(|row| case(out, row, &class))?;
    writeln!(out, "  </testsuite>")
}

fn property(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", Xml(value))
}

fn case(out: &mut impl Write, row: Row<'_>, class: &str) -> io::Result<()> {
    let kind = match row {
        Row::Check(check) => format!(".{}", check.kind.name()),
        Row::LockFiles(_) | Row::Collection(_) | Row::Seal(_) => String::new(),
    };
    let name = Prose(row.name()).to_string();
    write!(out, "    <testcase name=\"{}\" classname=\"{}{kind}\"", Xml(&name), Xml(class))?;
    if row.status() == Status::Pass {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    match row {
        Row::LockFiles(host) => {
            let missing = host.missing_locks().map(|lock| Prose(lock).to_string());
            result(out, ("failure", "missing_lock"), "lock files are missing", missing)?;
        }
        Row::Collection(server) => {
            if let Some(Error { problem, help, .. }) = &server.trouble {
                let help = format!("to do: {}", Prose(help));
                result(out, ("error", "trouble"), &Prose(problem).to_string(), std::iter::once(help))?;
            }
        }
        Row::Seal(seal) => {
            let troubles = seal.troubles.iter().map(|trouble| Prose(&trouble.problem).to_string());
            result(out, ("error", "trouble"), "the baseline is not as it was sealed", troubles)?;
        }
        Row::Check(check) => self::check(out, check)?,
    }
    writeln!(out, "    </testcase>")
}

fn check(out: &mut impl Write, check: &CheckReport) -> io::Result<()> {
    let sentence = sentence(check);
    if check.status() == Status::Skip {
        return writeln!(out, "      <skipped message=\"{}\"/>", Xml(&sentence));
    }
    let (trouble, drift): (Vec<_>, Vec<_>) = findings::of(check).into_iter().partition(|finding| finding.is_trouble());
    for (element, found) in [(("failure", "drift"), drift), (("error", "trouble"), trouble)] {
        if !found.is_empty() {
            let messages = found.into_iter().map(|finding| finding.message(check));
            result(out, element, &sentence, messages.chain(std::iter::once(String::new())))?;
        }
    }
    Ok(())
}

/// Why a case did not pass, with details line by line.
fn result(
    out: &mut impl Write,
    (element, sort): (&str, &str),
    message: &str,
    lines: impl Iterator<Item = String>,
) -> io::Result<()> {
    write!(out, "      <{element} type=\"{sort}\" message=\"{}\">", Xml(message))?;
    for line in lines {
        write!(out, "\n{}", Xml(&line))?;
    }
    writeln!(out, "</{element}>")
}

/// Text in XML 1.0, in an element or between double quotes. Characters that XML can't hold even escaped become U+FFFD.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        to_escape(self.0).try_for_each(|(character, escape)| match character {
            // What forms a command in the log of a CI system. The rest of `to_escape` was escaped before.
            '#' | ':' if escape => write!(f, "&#{};", u32::from(character)),
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
