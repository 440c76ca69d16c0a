//! Reports in one directory: which is the latest, and whether all of them are there.

use std::fs;
use std::path::Path;
use std::process::Command;

use driftlock::internals::digest::Sha256;
use needs::needs;
use serde_json::{Value, json};

use crate::harness::{FILES, World};
use crate::watch::{names, says};

/// A world with one report that passed, which others are made of.
pub fn checked() -> (World, String) {
    let world = World::declaring(FILES);
    world.write("a", "a");
    world.lock();
    world.driftlock(["check"]).code(0);
    let made = names(world.path("reports")).remove(0);
    let json = fs::read_to_string(world.path("reports").join(&made).join("drift_report.json")).unwrap();
    fs::remove_dir_all(world.path("reports").join(made)).unwrap();
    (world, json)
}

fn sri(bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finish().sri()
}

/// Keeps a report as a run of that start would have, after the report `previous`.
pub fn keep(world: &World, json: &str, name: &str, started: &str, previous: Option<&str>) {
    let mut report: Value = serde_json::from_str(json).unwrap();
    report["timestamp"] = json!(&name[..15]);
    report["started"] = json!(started);
    report["previous"] = previous.map_or(Value::Null, |previous| {
        let bytes = fs::read(world.path("reports").join(previous).join("drift_report.json")).unwrap();
        let before: Value = serde_json::from_slice(&bytes).unwrap();
        json!({"report": previous, "started": before["started"], "digest": sri(&bytes)})
    });
    let folder = world.path("reports").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("drift_report.json"), report.to_string()).unwrap();
}

/// A chain of reports, one a day, in UTC.
pub fn days(world: &World, json: &str, days: u32) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for day in 1..=days {
        let name = format!("202601{day:02}_080000");
        keep(world, json, &name, &format!("2026-01-{day:02}T08:00:00+00:00"), kept.last().map(String::as_str));
        kept.push(name);
    }
    kept
}

fn latest(world: &World, code: i32) -> (String, String) {
    let run = world.driftlock(["report"]).code(code);
    let stdout = run.stdout();
    let path = stdout.lines().find_map(|line| line.strip_prefix("Report: reports/")).unwrap_or_default();
    (path.trim_end_matches("/drift_report.json").to_owned(), run.stderr())
}

fn listed(world: &World, code: i32) -> Vec<String> {
    let run = world.driftlock(["report", "--list"]).code(code);
    run.stdout().lines().map(|line| line.strip_prefix("reports/").unwrap().to_owned()).collect()
}

#[test]
fn the_latest_is_the_one_that_started_last_whatever_the_zone() {
    let (world, json) = checked();
    // The clock of Berlin on the last Sunday of October: 02:30 in summer time, and an hour later 02:15 in winter time.
    keep(&world, &json, "20251026_023000", "2025-10-26T02:30:00+02:00", None);
    keep(&world, &json, "20251026_021500", "2025-10-26T02:15:00+01:00", Some("20251026_023000"));
    assert_eq!(latest(&world, 0), ("20251026_021500".to_owned(), String::new()));
    // Then one from a machine that is set to UTC, and of three within a second the third.
    keep(&world, &json, "20251026_012000", "2025-10-26T01:20:00+00:00", Some("20251026_021500"));
    assert_eq!(latest(&world, 0).0, "20251026_012000");
    keep(&world, &json, "20251026_022000_2", "2025-10-26T02:20:00+01:00", Some("20251026_012000"));
    keep(&world, &json, "20251026_012000_10", "2025-10-26T01:20:00Z", Some("20251026_022000_2"));
    assert_eq!(latest(&world, 0), ("20251026_012000_10".to_owned(), String::new()));
    let all = ["20251026_023000", "20251026_021500", "20251026_012000", "20251026_022000_2", "20251026_012000_10"];
    assert_eq!(listed(&world, 0), all);
}

#[test]
fn a_report_from_the_future_or_with_a_name_that_contradicts_it_is_never_the_latest() {
    let (world, json) = checked();
    let day = days(&world, &json, 2).pop().unwrap();
    let copy = |name: &str| {
        let folder = world.path("reports").join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(world.path("reports").join(&day).join("drift_report.json"), folder.join("drift_report.json")).unwrap();
    };
    // Folders that are not named like a report are ignored.
    for other in ["latest", "20260102_080000.bak", "20260102_080000_1", "20260102_080000_02", "2026"] {
        copy(other);
    }
    assert_eq!(latest(&world, 0), (day.clone(), String::new()));
    let refused: [(&str, Option<&str>, &str); 5] = [
        ("99991231_235959", None, "99991231_235959 is named like the folder of a report, but the name is not a date"),
        ("20261345_990000", None, "20261345_990000 is named like the folder of a report, but the name is not a date"),
        (
            "20260103_080000",
            None,
            "20260103_080000 says that its run started at 2026-01-02T08:00:00+00:00, which does not fit",
        ),
        (
            "20260102_080000_2",
            None,
            "the reports 20260102_080000, 20260102_080000_2 all name 20260101_080000 as the one before them",
        ),
        ("99980101_000000", Some("9998-01-01T00:00:00Z"), "9998-01-01T00:00:00Z, which is in the future"),
    ];
    for (name, started, problem) in refused {
        match started {
            None => copy(name),
            Some(started) => keep(&world, &json, name, started, Some(&day)),
        }
        let (named, stderr) = latest(&world, 2);
        says(&stderr, &["driftlock: reports: ", problem, "to do: "]);
        let is_copy_of_second = name == "20260102_080000_2";
        assert_eq!(named, if is_copy_of_second { name } else { &day }, "{name}");
        assert_eq!(listed(&world, 2).last().unwrap(), if is_copy_of_second { name } else { &day });
        fs::remove_dir_all(world.path("reports").join(name)).unwrap();
    }
    assert_eq!(latest(&world, 0), (day, String::new()));
}

#[test]
fn a_report_that_was_taken_out_put_in_or_changed_is_told() {
    let reports = |world: &World, name: &str| world.path("reports").join(name);
    let (world, json) = checked();
    let all = days(&world, &json, 5);
    assert_eq!(latest(&world, 0), (all[4].clone(), String::new()));

    fs::rename(reports(&world, &all[2]), world.path("elsewhere")).unwrap();
    let (named, stderr) = latest(&world, 2);
    says(&stderr, &["reports: the report 20260103_080000 is gone: 20260104_080000 names it as the one before it"]);
    assert_eq!(named, all[4]);
    assert_eq!(world.driftlock(["report", "--list"]).code(2).stderr(), stderr);
    fs::rename(world.path("elsewhere"), reports(&world, &all[2])).unwrap();

    // A copy of an old success, with its times changed to fit; once in the middle, and once at the end.
    for (name, started) in [("20260103_090000", "2026-01-03T09:00:00Z"), ("20260105_090000", "2026-01-05T09:00:00Z")] {
        let problem = "all name 20260102_080000 as the one before them, and only one of them can be right";
        keep(&world, &json, name, started, Some(&all[1]));
        says(&latest(&world, 2).1, &["the reports ", problem, name]);
        keep(&world, &json, name, started, None);
        says(
            &latest(&world, 2).1,
            &["no report names one of ", name, " as the one before it, and only one report can be the last"],
        );
        fs::remove_dir_all(reports(&world, name)).unwrap();
    }

    let file = reports(&world, &all[1]).join("drift_report.json");
    let was = fs::read_to_string(&file).unwrap();
    fs::write(&file, was.replace("\"duration_ms\":", "\"duration_ms\":1")).unwrap();
    says(&latest(&world, 2).1, &["the report 20260102_080000 was changed after 20260103_080000 was written"]);
    fs::write(&file, was).unwrap();
    assert_eq!(latest(&world, 0), (all[4].clone(), String::new()));

    // Retention takes the oldest.
    for name in &all[..4] {
        fs::remove_dir_all(reports(&world, name)).unwrap();
        assert_eq!(latest(&world, 0), (all[4].clone(), String::new()));
    }
}

#[test]
fn each_check_names_the_report_before_it() {
    let (world, json) = checked();
    let old = days(&world, &json, 2);
    let (mut code, mut before) = (0, old[1].clone());
    for number in 0..3 {
        if number == 1 {
            world.write("a", "changed");
            code = 1;
        }
        let printed = world.driftlock(["check", "--json"]).code(code).json();
        let name = listed(&world, 0).pop().unwrap();
        let bytes = fs::read(world.path("reports").join(&before).join("drift_report.json")).unwrap();
        let started = serde_json::from_slice::<Value>(&bytes).unwrap()["started"].clone();
        assert_eq!(printed["previous"], json!({"report": before, "started": started, "digest": sri(&bytes)}));
        assert_eq!(world.driftlock(["report", "--json"]).code(0).json(), printed);
        before = name;
    }
    // A directory of its own starts anew.
    let elsewhere = world.driftlock(["check", "--json", "--output", "elsewhere"]).code(1).json();
    assert_eq!(elsewhere["previous"], Value::Null);
    // A report that can't be kept is none that another one follows.
    fs::write(world.path("file"), "").unwrap();
    let lost = world.driftlock(["check", "--json", "--output", "file"]).code(3).json();
    assert_eq!(lost["previous"], Value::Null);
}

#[test]
fn runs_at_once_make_one_chain() {
    let (world, _) = checked();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| world.driftlock(["check"]).code(0));
        }
    });
    let (_, stderr) = latest(&world, 0);
    assert_eq!(stderr, "");
    let reports = listed(&world, 0);
    assert_eq!(reports.len(), 8);
    let previous = |name: &String| {
        let bytes = fs::read(world.path("reports").join(name).join("drift_report.json")).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["previous"]["report"].as_str().map(str::to_owned)
    };
    let mut named: Vec<_> = reports.iter().filter_map(previous).collect();
    named.sort();
    named.dedup();
    assert_eq!(named.len(), 7);
}

#[test]
fn a_folder_without_a_report_counts_by_its_name() {
    let (world, json) = checked();
    let all = days(&world, &json, 2);
    fs::create_dir(world.path("reports/20250101_000000")).unwrap();
    assert_eq!(latest(&world, 0).0, all[1]);
    fs::create_dir(world.path("reports/20260201_000000")).unwrap();
    says(&latest(&world, 2).1, &["reports/20260201_000000 is a directory without a readable drift_report.json"]);
    assert_eq!(listed(&world, 0), ["20250101_000000", &all[0], &all[1], "20260201_000000"]);
    // The next run names the last report that there is.
    assert_eq!(world.driftlock(["check", "--json"]).code(0).json()["previous"]["report"], json!(all[1]));
}

#[needs(time)]
fn a_directory_of_reports_that_another_process_holds_is_given_up_in_the_end() {
    let (world, _) = checked();
    let held = fs::File::open(world.path("reports")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    let run = world.driftlock(["check", "--json"]).code(2);
    says(&run.stderr(), &["the report reports/", "another driftlock is writing it now"]);
    assert_eq!(run.json()["overall"], "PASS");
    drop(held);
    world.driftlock(["check"]).code(0);
}

/// `nixos-module/reports.sh`, as the unit starts it after a run.
fn reports_sh(world: &World, keep: &str) -> (String, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("nixos-module/reports.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(world.path("")).args([keep, env!("CARGO_BIN_EXE_driftlock")]);
    let run = world.command(command).code(0);
    let latest = fs::read_link(world.path("latest")).map_or_else(|_| String::new(), |link| link.display().to_string());
    (latest, run.stderr())
}

#[test]
fn the_nixos_module_links_and_keeps_by_the_start_of_the_run() {
    let (world, json) = checked();
    assert_eq!(reports_sh(&world, "2"), (String::new(), String::new()));
    keep(&world, &json, "20251026_020000", "2025-10-26T02:00:00+02:00", None);
    keep(&world, &json, "20251026_023000", "2025-10-26T02:30:00+02:00", Some("20251026_020000"));
    keep(&world, &json, "20251026_021500", "2025-10-26T02:15:00+01:00", Some("20251026_023000"));
    keep(&world, &json, "99980101_000000", "9998-01-01T00:00:00Z", Some("20251026_021500"));
    let (latest, stderr) = reports_sh(&world, "all");
    assert_eq!(latest, "reports/20251026_021500");
    says(&stderr, &["99980101_000000 says that its run started at 9998-01-01T00:00:00Z, which is in the future"]);
    reports_sh(&world, "2");
    assert_eq!(names(world.path("reports")), ["20251026_021500", "20251026_023000", "99980101_000000"]);
    reports_sh(&world, "1");
    assert_eq!(names(world.path("reports")), ["20251026_021500", "99980101_000000"]);
    assert_eq!(reports_sh(&world, "1").0, "reports/20251026_021500");
}
