//! The report as metrics, in Prometheus' text format.
//!
//! Source: Prometheus' documentation, "Exposition formats" and "Metric and label naming". How many series there are
//! depends on the declaration alone: never on what drifted, and no path is a label. `docs/fleet.md` lists them.

use std::fmt;
use std::io::{self, Write};

use super::words::Prose;
use super::{CheckReport, Outcome, Report, Status};
use crate::compare::{Change, Drift};

/// What metrics say beside the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// The label `run` of every series: what tells several declarations of one machine apart.
    pub run: &'a str,
    /// When a run last verified everything, in seconds since 1970; nothing if that is not known.
    pub last_success: Option<i64>,
    /// How often this run is meant to happen, in seconds; nothing if nobody said.
    pub interval: Option<u64>,
}

/// The metric by which a run finds out about the one before.
pub const LAST_SUCCESS: &str = "driftlock_last_success_timestamp_seconds";

/// Writes all metrics.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, context: Context<'_>) -> io::Result<()> {
    let started = report.started.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
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
        page.single("driftlock_schedule_interval_seconds", "How often a run is meant to happen.", &[], interval)?;
    }
    let seconds = format!("{:.3}", report.duration.as_secs_f64());
    page.single("driftlock_run_duration_seconds", "How long reading and comparing took.", &[], seconds)?;
    page.single("driftlock_run_read_bytes", "What was read of files' contents.", &[], report.bytes)?;
    page.single("driftlock_run_exit_code", "Bits: 1 drift, 2 trouble.", &[], report.exit_code())?;
    page.single("driftlock_missing_locks", "Lock files that are missing.", &[], report.missing_locks.len())?;
    if let Some(window) = &report.window {
        let help = "Until when drift is expected.";
        page.single("driftlock_expected_until_timestamp_seconds", help, &[], window.until_unix())?;
    }
    page.head("driftlock_sandbox_layer", "Whether a layer of the sandbox held.")?;
    let landlock = report.sandbox.landlock.as_ref();
    for (layer, holds) in [("landlock", landlock.is_some()), ("seccomp", report.sandbox.seccomp)] {
        page.sample("driftlock_sandbox_layer", &[("layer", layer)], u8::from(holds))?;
    }
    let abi = landlock.map_or(0, |landlock| landlock.abi);
    page.single("driftlock_sandbox_landlock_abi", "The version of Landlock that held; 0 if none did.", &[], abi)?;
    checks(&mut page, &report.checks)
}

fn checks(page: &mut Page<'_, impl Write>, checks: &[CheckReport]) -> io::Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = checks.iter().map(|check| Prose(&check.name).to_string()).collect();
    let all = || names.iter().map(String::as_str).zip(checks);
    page.head("driftlock_check_verdict", "How a check ended, 1 for what holds; drift and trouble can both hold.")?;
    for (name, check) in all() {
        let verdicts = [
            ("pass", check.status() == Status::Pass),
            ("drift", check.drifted()),
            ("trouble", check.troubled()),
            ("skip", check.status() == Status::Skip),
        ];
        for (verdict, holds) in verdicts {
            page.sample("driftlock_check_verdict", &[("check", name), ("verdict", verdict)], u8::from(holds))?;
        }
    }
    page.head("driftlock_check_entries", "Entries of a check by how they ended.")?;
    for (name, check) in all() {
        let counts = check.counts();
        for (verdict, number) in
            [("verified", counts.verified), ("drifted", counts.drifted), ("unverified", counts.unverified)]
        {
            page.sample("driftlock_check_entries", &[("check", name), ("verdict", verdict)], number)?;
        }
    }
    page.head("driftlock_check_changes", "Differences between a lock and what is there, by their sort.")?;
    for (name, check) in all() {
        let drift: &[Drift] = match &check.outcome {
            Outcome::Compared { comparison, .. } => &comparison.drift,
            _ => &[],
        };
        // Those that did not happen are there too, as zeros: a series that comes and goes is hard to alert on.
        let mut numbers: Vec<_> = Change::of(check.kind).map(|change| (change, 0_u64)).collect();
        for drift in drift {
            match numbers.iter_mut().find(|(change, _)| *change == drift.change) {
                Some((_, number)) => *number += 1,
                None => numbers.push((drift.change, 1)),
            }
        }
        for (change, number) in numbers {
            page.sample("driftlock_check_changes", &[("check", name), ("change", change.name())], number)?;
        }
    }
    let digests = all().filter_map(|(name, check)| match &check.outcome {
        Outcome::Compared { live_digest: Some(digest), .. } => Some((name, digest.as_str())),
        _ => None,
    });
    let mut digests = digests.peekable();
    if digests.peek().is_some() {
        page.head("driftlock_check_manifest_info", "The digest of what is there, as a label.")?;
    }
    for (name, digest) in digests {
        page.sample("driftlock_check_manifest_info", &[("check", name), ("digest", digest)], 1)?;
    }
    Ok(())
}

struct Page<'a, W> {
    out: &'a mut W,
    run: &'a str,
}

impl<W: Write> Page<'_, W> {
    /// All of them are gauges: a run starts anew.
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

/// When a run last verified everything, as the metrics of the run before say: the value of the one series of
/// [`LAST_SUCCESS`] with this label. Anything else, two of them, or a time after `now`, is taken for not knowing.
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
