//! The report as JUnit's XML, for CI systems: each check is a test case, drift is its failure, trouble its error.
//!
//! Source: the schema that Jenkins reads such files by, `junit-10.xsd`, which the tests hold this against.

use std::fmt;
use std::io::{self, Write};

use super::findings::{self, sentence};
use super::words::Prose;
use super::{
    CheckReport, HostReport, LOCK_FILES_EXIST, Outcome, Report, RunInfo, SERVER_COLLECTION, ServerReport, Status,
};
use crate::path::to_escape;

/// Writes the report: a test suite, or one a server.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let sums = report.hosts.iter().map(Numbers::of).fold(Numbers::default(), |sum, of| Numbers {
        tests: sum.tests + of.tests,
        failures: sum.failures + of.failures,
        errors: sum.errors + of.errors,
        // They run at the same time.
        seconds: sum.seconds.max(of.seconds),
    });
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"driftlock\" {sums}>")?;
    for host in &report.hosts {
        suite(out, &report.run, host)?;
    }
    writeln!(out, "</testsuites>")
}

/// What a suite says of all its cases.
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
            errors: u64::from(host.server_collection() == Some(Status::Fail)) + number(CheckReport::troubled),
            // The schema's times have three digits at most before the point without commas.
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
    // What one server's case has to be told from the other's by.
    let class = server.map_or_else(|| "driftlock".to_owned(), |server| format!("driftlock.{}", Prose(&server.name)));
    lock_files(out, host, &class)?;
    if let Some(server) = server {
        collection(out, server, &class)?;
    }
    for check in &host.checks {
        self::check(out, check, &class)?;
    }
    writeln!(out, "  </testsuite>")
}

fn property(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", Xml(value))
}

fn lock_files(out: &mut impl Write, host: &HostReport, class: &str) -> io::Result<()> {
    write!(out, "    <testcase name=\"{LOCK_FILES_EXIST}\" classname=\"{}\"", Xml(class))?;
    let lines: Vec<_> = host.missing_locks().map(|lock| Prose(lock).to_string()).collect();
    if lines.is_empty() {
        return writeln!(out, "/>");
    }
    writeln!(out, ">\n      <failure type=\"missing_lock\" message=\"lock files are missing\">")?;
    writeln!(out, "{}</failure>\n    </testcase>", Xml(&lines.join("\n")))
}

fn collection(out: &mut impl Write, server: &ServerReport, class: &str) -> io::Result<()> {
    write!(out, "    <testcase name=\"{SERVER_COLLECTION}\" classname=\"{}\"", Xml(class))?;
    let Some(trouble) = &server.trouble else { return writeln!(out, "/>") };
    let (problem, remedy) = (Prose(&trouble.problem).to_string(), Prose(&trouble.remedy).to_string());
    writeln!(out, ">\n      <error type=\"trouble\" message=\"{}\">", Xml(&problem))?;
    writeln!(out, "to do: {}</error>\n    </testcase>", Xml(&remedy))
}

fn check(out: &mut impl Write, check: &CheckReport, class: &str) -> io::Result<()> {
    let name = Prose(&check.name).to_string();
    write!(out, "    <testcase name=\"{}\" classname=\"{}.{}\"", Xml(&name), Xml(class), check.kind.name())?;
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
        to_escape(self.0).try_for_each(|(character, escape)| match character {
            // What is to be escaped beside what was made harmless before.
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
