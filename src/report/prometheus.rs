//! The report as metrics, in Prometheus' text format.
//!
//! Source: Prometheus' documentation, "Exposition formats" and "Metric and label naming". The number of series depends
//! only on the declaration and the servers, never on what drifted, and no path is a label. `docs/fleet.md` lists them.

use std::fmt;
use std::io::{self, Write};

use super::format::Prose;
use super::{CheckReport, HostReport, Outcome, Report, SERVER_COLLECTION, Status};
use crate::compare::{Change, Drift};
use crate::sandbox::Enforced;

/// Facts for the metrics that are not in the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// The label `run` of every series. It tells several declarations of one machine apart.
    pub run: &'a str,
    /// When a run last verified everything, in seconds since 1970; `None` if that is not known.
    pub last_success: Option<i64>,
    /// The interval of `--every`, in seconds.
    pub interval: Option<u64>,
}

/// The metric that the next run reads back.
pub const LAST_SUCCESS: &str = "driftlock_last_success_timestamp_seconds";

/// A host, and the label `server` of its series; `None` for this machine.
struct Subject<'a> {
    server: Option<String>,
    host: &'a HostReport,
}

impl<'a> Subject<'a> {
    fn of(host: &'a HostReport) -> Self {
        Self { server: host.server.as_ref().map(|server| Prose(&server.name).to_string()), host }
    }

    /// Its labels, the server first.
    fn labels<'b>(&'b self, more: &[(&'static str, &'b str)]) -> Vec<(&'static str, &'b str)> {
        self.server.as_deref().map(|server| ("server", server)).into_iter().chain(more.iter().copied()).collect()
    }

    /// Its checks with their names, escaped.
    fn checks(&self) -> impl Iterator<Item = (String, &'a CheckReport)> {
        self.host.checks.iter().map(|check| (Prose(&check.name).to_string(), check))
    }
}

/// Writes all metrics. Metrics about a server have the label `server`; metrics about the run do not. So there is one
/// series of the latter for any number of servers, and alerts about the run need not know the servers.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, context: Context<'_>) -> io::Result<()> {
    let subjects: Vec<_> = report.hosts.iter().map(Subject::of).collect();
    let started = report.run.started.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
    let mut page = Page { out, run: context.run };
    page.single(
        "driftlock_build_info",
        "The version of driftlock that ran.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    )?;
    page.single("driftlock_last_run_timestamp_seconds", "When the last run started.", &[], started)?;
    let success = if report.exit_code() == 0 { Some(started) } else { context.last_success };
    if let Some(success) = success {
        page.single(LAST_SUCCESS, "When the last run that verified everything started.", &[], success)?;
    }
    if let Some(interval) = context.interval {
        page.single("driftlock_schedule_interval_seconds", "The interval at which runs should happen.", &[], interval)?;
    }
    page.head("driftlock_run_duration_seconds", "How long reading and comparing took.")?;
    for subject in &subjects {
        let seconds = format!("{:.3}", subject.host.duration.as_secs_f64());
        page.sample("driftlock_run_duration_seconds", &subject.labels(&[]), seconds)?;
    }
    page.head("driftlock_run_read_bytes", "Bytes of files that were read.")?;
    for subject in &subjects {
        page.sample("driftlock_run_read_bytes", &subject.labels(&[]), subject.host.bytes)?;
    }
    page.single("driftlock_run_exit_code", "Bits: 1 drift, 2 trouble.", &[], report.exit_code())?;
    page.single("driftlock_missing_locks", "Lock files that are missing.", &[], report.missing_locks().len())?;
    let sealed = report.hosts.first().and_then(|host| host.seal.as_ref());
    if let Some(seal) = sealed {
        let holds = u8::from(seal.status() == Status::Pass);
        page.single("driftlock_sealed", "Whether locks and declaration are what was sealed.", &[], holds)?;
        if let Some(sealed) = &seal.sealed {
            page.single("driftlock_seal_serial", "The serial number of the seal.", &[], sealed.serial)?;
        }
    }
    if let Some(window) = &report.run.window {
        let help = "Until when drift is expected.";
        page.single("driftlock_expected_until_timestamp_seconds", help, &[], window.until_unix())?;
    }
    sandbox(&mut page, &report.run.sandbox, &subjects)?;
    checks(&mut page, &subjects)
}

/// The layers of the sandbox here, and on each server that answered.
fn sandbox(page: &mut Page<'_, impl Write>, here: &Enforced, subjects: &[Subject<'_>]) -> io::Result<()> {
    let here = (Vec::new(), here.landlock.as_ref().map(|landlock| landlock.abi), here.seccomp);
    let there = subjects.iter().filter_map(|subject| {
        let head = subject.host.server.as_ref()?.head.as_ref()?;
        Some((subject.labels(&[]), head.landlock, head.seccomp))
    });
    let all: Vec<_> = std::iter::once(here).chain(there).collect();
    page.head("driftlock_sandbox_layer", "Whether a layer of the sandbox held.")?;
    for (labels, landlock, seccomp) in &all {
        for (layer, holds) in [("landlock", landlock.is_some()), ("seccomp", *seccomp)] {
            let labels = [&labels[..], &[("layer", layer)]].concat();
            page.sample("driftlock_sandbox_layer", &labels, u8::from(holds))?;
        }
    }
    page.head("driftlock_sandbox_landlock_abi", "The version of Landlock that held; 0 if none did.")?;
    for (labels, landlock, _) in &all {
        page.sample("driftlock_sandbox_landlock_abi", labels, landlock.unwrap_or(0))?;
    }
    Ok(())
}

fn checks(page: &mut Page<'_, impl Write>, subjects: &[Subject<'_>]) -> io::Result<()> {
    let all = || subjects.iter().flat_map(|subject| subject.checks().map(move |(name, check)| (subject, name, check)));
    let collections = || subjects.iter().filter_map(|subject| Some((subject, subject.host.server_collection()?)));
    if all().next().is_none() && collections().next().is_none() {
        return Ok(());
    }
    page.head(
        "driftlock_check_verdict",
        "The outcome of a check: 1 for each verdict that holds; drift and trouble can both hold.",
    )?;
    let mut verdict = |subject: &Subject<'_>, name: &str, holds: [bool; 4]| {
        ["pass", "drift", "trouble", "skip"].into_iter().zip(holds).try_for_each(|(verdict, holds)| {
            let labels = subject.labels(&[("check", name), ("verdict", verdict)]);
            page.sample("driftlock_check_verdict", &labels, u8::from(holds))
        })
    };
    for (subject, status) in collections() {
        let collected = status == Status::Pass;
        verdict(subject, SERVER_COLLECTION, [collected, false, !collected, false])?;
    }
    for (subject, name, check) in all() {
        let is = |status| check.status() == status;
        verdict(subject, &name, [is(Status::Pass), check.drifted(), check.troubled(), is(Status::Skip)])?;
    }
    if all().next().is_none() {
        return Ok(());
    }
    page.head("driftlock_check_entries", "Entries of a check by verdict.")?;
    for (subject, name, check) in all() {
        let counts = check.counts();
        for (verdict, number) in
            [("verified", counts.verified), ("drifted", counts.drifted), ("unverified", counts.unverified)]
        {
            let labels = subject.labels(&[("check", &name), ("verdict", verdict)]);
            page.sample("driftlock_check_entries", &labels, number)?;
        }
    }
    page.head("driftlock_check_uncovered", "Globs that match nothing, and links to what no check covers.")?;
    for (subject, name, check) in all() {
        page.sample("driftlock_check_uncovered", &subject.labels(&[("check", &name)]), check.uncovered_count())?;
    }
    page.head("driftlock_check_changes", "Differences between the lock and the live state, by type.")?;
    for (subject, name, check) in all() {
        let drift: &[Drift] = match &check.outcome {
            Outcome::Compared { comparison, .. } => &comparison.drift,
            _ => &[],
        };
        // Changes that did not happen are zeros: a series that comes and goes is hard to alert on.
        let mut numbers: Vec<_> = Change::of(check.kind).map(|change| (change, 0_u64)).collect();
        for drift in drift {
            match numbers.iter_mut().find(|(change, _)| *change == drift.change) {
                Some((_, number)) => *number += 1,
                None => numbers.push((drift.change, 1)),
            }
        }
        for (change, number) in numbers {
            let labels = subject.labels(&[("check", &name), ("change", change.name())]);
            page.sample("driftlock_check_changes", &labels, number)?;
        }
    }
    let digests = all().filter_map(|(subject, name, check)| match &check.outcome {
        Outcome::Compared { live_digest: Some(digest), .. } => Some((subject, name, digest.as_str())),
        _ => None,
    });
    let mut digests = digests.peekable();
    if digests.peek().is_some() {
        page.head("driftlock_check_manifest_info", "The digest of the live state, as a label.")?;
    }
    for (subject, name, digest) in digests {
        let digest = Prose(digest).to_string();
        let labels = subject.labels(&[("check", &name), ("digest", &digest)]);
        page.sample("driftlock_check_manifest_info", &labels, 1)?;
    }
    Ok(())
}

struct Page<'a, W> {
    out: &'a mut W,
    run: &'a str,
}

impl<W: Write> Page<'_, W> {
    /// All metrics are gauges, since each run starts from zero.
    fn head(&mut self, name: &str, help: &str) -> io::Result<()> {
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} gauge")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) -> io::Result<()> {
        write!(self.out, "{name}{{run=\"{}\"", Label(self.run))?;
        for (label, value) in labels {
            write!(self.out, ",{label}=\"{}\"", Label(value))?;
        }
        writeln!(self.out, "}} {value}")
    }

    fn single(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: impl fmt::Display) -> io::Result<()> {
        self.head(name, help)?;
        self.sample(name, labels, value)
    }
}

/// A label's value.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|character| match character {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            _ => f.write_char(character),
        })
    }
}

/// When a run last verified everything, from the metrics of the run before: the value of the series [`LAST_SUCCESS`]
/// with this label. `None` if there is no valid value, there are two, or it is later than `now`.
#[must_use]
pub fn last_success(metrics: &str, run: &str, now: i64) -> Option<i64> {
    let mut found = metrics.lines().filter(|line| line.starts_with(LAST_SUCCESS));
    let (line, None) = (found.next()?, found.next()) else { return None };
    let value = line.strip_prefix(&format!("{LAST_SUCCESS}{{run=\"{}\"}} ", Label(run)))?;
    let time: i64 = value.parse().ok().filter(|time: &i64| time.to_string() == value)?;
    (metrics.ends_with('\n') && (0..=now).contains(&time)).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(Label("a\\\"\n").to_string(), "a\\\\\\\"\\n");
    }

    #[test]
    fn the_last_success_is_read_as_it_is_written_and_no_other() {
        let line = |run: &str, value: &str| format!("{LAST_SUCCESS}{{run=\"{run}\"}} {value}\n");
        let text = |lines: &str| format!("# HELP {LAST_SUCCESS} x\n# TYPE {LAST_SUCCESS} gauge\n{lines}");
        assert_eq!(last_success(&text(&line("a", "100")), "a", 100), Some(100));
        for (metrics, run) in [
            (String::new(), "a"),
            (text(&line("b", "100")), "a"),
            (text(&line("a", "101")), "a"),
            (text(&line("a", "-1")), "a"),
            (text(&line("a", "+1")), "a"),
            (text(&line("a", "1e2")), "a"),
            (text(&line("a", "100 5")), "a"),
            (text(&line("a", "100").repeat(2)), "a"),
            (text(&line("a", "100")).trim_end().to_owned(), "a"),
        ] {
            assert_eq!(last_success(&metrics, run, 100), None, "{metrics}");
        }
    }
}
