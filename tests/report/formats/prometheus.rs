use std::collections::BTreeSet;
use std::process::Command;

use driftlock::report::Report;
use driftlock::report::prometheus::{Context, last_success, write};

use super::{content, rendered};
use crate::samples::{self, Tree};

const CONTEXT: Context<'_> = Context { run: "shop \"\\", last_success: Some(1_769_000_000), interval: Some(86400) };

fn metrics(report: &Report) -> String {
    rendered(|out| write(out, report, CONTEXT))
}

/// The names and labels of all series, without their values.
fn series(report: &Report) -> BTreeSet<String> {
    let metrics = metrics(report);
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn promtool_is_content_with_every_report() {
    for (name, report) in samples::all() {
        let said = content(Command::new("promtool").args(["check", "metrics"]), metrics(&report).as_bytes(), name);
        assert_eq!(said, "", "{name}: promtool has something to say, be it only advice");
    }
}

#[test]
fn what_drifted_adds_no_series() {
    let without_digests = |report: &Report| -> BTreeSet<String> {
        series(report).into_iter().filter(|series| !series.starts_with("driftlock_check_manifest_info")).collect()
    };
    let clean = samples::files(&Tree::new().file("a", "1"), &Tree::new().file("a", "1"));
    let clean = samples::report(vec![clean]);
    let drifted = samples::report(vec![samples::many(5000)]);
    assert_eq!(without_digests(&clean), without_digests(&drifted));
    // One digest a check, if it is known.
    assert_eq!(series(&drifted).len() - without_digests(&drifted).len(), 1);
    let hostile = metrics(&samples::hostile());
    assert!(!hostile.contains("gpj.exe") && !hostile.contains("moved_"), "{hostile}");
}

#[test]
fn values_are_those_of_the_report() {
    let text = metrics(&samples::report(samples::troubled()));
    let value = |series: &str| {
        let series = series.replacen('{', "{run=\"shop \\\"\\\\\",", 1).replace(",}", "}");
        let line = text.lines().find_map(|line| line.strip_prefix(&series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} in\n{text}")).to_owned()
    };
    for (series, expected) in [
        ("driftlock_last_run_timestamp_seconds{}", "1769668242"),
        ("driftlock_last_success_timestamp_seconds{}", "1769000000"),
        ("driftlock_schedule_interval_seconds{}", "86400"),
        ("driftlock_run_duration_seconds{}", "1.234"),
        ("driftlock_run_read_bytes{}", "56789"),
        ("driftlock_run_exit_code{}", "3"),
        ("driftlock_missing_locks{}", "1"),
        ("driftlock_sandbox_layer{layer=\"landlock\"}", "1"),
        ("driftlock_sandbox_landlock_abi{}", "6"),
        ("driftlock_check_verdict{check=\"addon_hashes\",verdict=\"drift\"}", "1"),
        ("driftlock_check_verdict{check=\"addon_hashes\",verdict=\"trouble\"}", "1"),
        ("driftlock_check_verdict{check=\"addon_hashes\",verdict=\"pass\"}", "0"),
        ("driftlock_check_verdict{check=\"compose_hashes\",verdict=\"trouble\"}", "1"),
        ("driftlock_check_verdict{check=\"unit_files\",verdict=\"skip\"}", "1"),
        ("driftlock_check_entries{check=\"addon_hashes\",verdict=\"unverified\"}", "4"),
        ("driftlock_check_changes{check=\"addon_hashes\",change=\"modified\"}", "1"),
        ("driftlock_check_changes{check=\"addon_hashes\",change=\"added\"}", "0"),
    ] {
        assert_eq!(value(series), expected, "{series}");
    }
    assert!(!text.contains("manifest_info"), "what is unverified has no digest");
    let window = metrics(&samples::in_window());
    assert!(window.contains("driftlock_expected_until_timestamp_seconds{run=\"shop \\\"\\\\\"} 1769677200\n"));
}

#[test]
fn a_success_is_remembered_and_a_failure_remembers_the_last() {
    let success = metrics(&samples::seed_pass());
    assert_eq!(last_success(&success, CONTEXT.run, i64::MAX), Some(1_769_668_242));
    let failure = metrics(&samples::seed_fail());
    assert_eq!(last_success(&failure, CONTEXT.run, i64::MAX), CONTEXT.last_success);
    let unknown = rendered(|out| write(out, &samples::seed_fail(), Context { last_success: None, ..CONTEXT }));
    assert_eq!(last_success(&unknown, CONTEXT.run, i64::MAX), None);
}
