use std::collections::BTreeSet;
use std::process::Command;

use driftlock::internals::report::Report;
use driftlock::internals::report::prometheus::{Context, last_success, write};
use needs::needs;

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

#[needs("promtool")]
fn promtool_is_content_with_every_report() {
    for (name, report) in samples::all() {
        let said = content(Command::new("promtool").args(["check", "metrics"]), metrics(&report).as_bytes(), name);
        assert_eq!(said, "", "{name}: promtool has something to say, be it only advice");
    }
    for (name, fleet) in samples::fleets() {
        let metrics = rendered(|out| write(out, &fleet, CONTEXT));
        let said = content(Command::new("promtool").args(["check", "metrics"]), metrics.as_bytes(), name);
        assert_eq!(said, "", "{name}: promtool has something to say, be it only advice");
    }
}

/// What is about the run is there once, however many servers there are; `docs/fleet.md` has these numbers.
#[test]
fn series_of_servers_have_their_name() {
    let metrics = rendered(|out| write(out, &samples::large_fleet(), CONTEXT));
    let series: Vec<_> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let (of_servers, of_run): (Vec<&str>, Vec<&str>) =
        series.iter().copied().partition(|line| line.contains(",server=\""));
    assert_eq!(of_run.len(), 9, "{of_run:#?}");
    let of = |name: &str| of_servers.iter().filter(|line| line.contains(&format!(",server=\"{name}\""))).count();
    // Two checks of 18 each, and nine more.
    assert_eq!(of("web-000.example.org"), 9 + 2 * 18);
    // Neither a sandbox nor digests of what did not answer.
    assert_eq!(of("web-045.example.org"), 6 + 2 * 17);
    let value = |start: &str| {
        let line = series.iter().find_map(|line| line.strip_prefix(&start.replacen('{', "{run=\"shop \\\"\\\\\",", 1)));
        line.unwrap_or_else(|| panic!("{start} in\n{metrics}")).trim().to_owned()
    };
    for (start, expected) in [
        ("driftlock_check_verdict{server=\"web-010.example.org\",check=\"compose_hashes\",verdict=\"drift\"}", "1"),
        ("driftlock_check_verdict{server=\"web-000.example.org\",check=\"server_collection\",verdict=\"pass\"}", "1"),
        (
            "driftlock_check_verdict{server=\"web-045.example.org\",check=\"server_collection\",verdict=\"trouble\"}",
            "1",
        ),
        ("driftlock_check_verdict{server=\"web-045.example.org\",check=\"compose_hashes\",verdict=\"skip\"}", "1"),
        ("driftlock_check_changes{server=\"web-010.example.org\",check=\"addon_hashes\",change=\"added\"}", "1"),
        ("driftlock_sandbox_landlock_abi{server=\"web-010.example.org\"}", "6"),
    ] {
        assert_eq!(value(start), expected, "{start}");
    }
    assert!(series.contains(&"driftlock_run_exit_code{run=\"shop \\\"\\\\\"} 3"), "{of_run:#?}");
    assert_eq!(last_success(&metrics, CONTEXT.run, i64::MAX), CONTEXT.last_success);
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
