//! `driftlock check`.

use std::fs;
use std::process::Command;

use crate::harness::{TREES, World, drift};
use crate::watch::{names, says};
use needs::needs;

/// Three checks over three roots; `b` is locked and then drifts.
fn three_checks() -> World {
    let check = |name: &str| format!("\n[check.{name}]\nkind = \"trees\"\nroot = \"{name}\"\n");
    let names = ["a", "b", "c"];
    let declaration: String = names.iter().map(|name| check(name)).collect();
    let world = World::declaring(&format!("locks = \"locks\"\nreports = \"reports\"\n{declaration}"));
    for name in names {
        fs::create_dir_all(world.path(name).join("m")).unwrap();
        fs::write(world.path(name).join("m/f"), "1").unwrap();
    }
    world.lock();
    fs::write(world.path("b/m/f"), "2").unwrap();
    world
}

fn statuses(report: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|check| (text(&check["name"]), text(&check["status"]))).collect()
}

fn are(report: &serde_json::Value, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|&(name, status)| (name.to_owned(), status.to_owned())).collect();
    assert_eq!(statuses(report), expected);
}

#[test]
fn json_on_stdout_is_the_report_and_nothing_else() {
    for (contents, code) in [("1", 0), ("2", 1)] {
        let world = World::new();
        world.write("m/a", "1");
        world.lock();
        world.write("m/a", contents);
        let finished = world.driftlock(["check", "--json"]).code(code);
        assert_eq!(finished.stderr(), "");
        let run = names(world.path("reports"));
        assert_eq!(run.len(), 1);
        let folder = world.path("reports").join(&run[0]);
        assert_eq!(names(&folder), ["drift_report.json", "drift_report.txt"]);
        assert_eq!(fs::read(folder.join("drift_report.json")).unwrap(), finished.output.stdout, "byte for byte");
        assert_eq!(finished.json()["timestamp"], run[0].as_str());
        assert_eq!(finished.json()["exit_code"], code);
    }
}

#[test]
fn text_on_stdout_is_the_stored_text_and_the_way_to_the_report() {
    let world = three_checks();
    let text = world.driftlock(["check"]).code(1).stdout();
    let run = &names(world.path("reports"))[0];
    let stored = fs::read_to_string(world.path("reports").join(run).join("drift_report.txt")).unwrap();
    assert_eq!(text, format!("{stored}\nReport: reports/{run}/drift_report.json\n"));
    assert!(text.lines().any(|line| line == format!("  Drift Check - {run}")), "{text}");
    // Plain text, because stdout is not a terminal.
    assert!(!text.contains('\u{1b}') && !text.contains('\r'));
}

#[test]
fn output_names_another_place_for_the_report() {
    let world = three_checks();
    let text = world.driftlock(["check", "--output", "deep/below/here"]).code(1).stdout();
    let run = &names(world.path("deep/below/here"))[0];
    says(&text, &[&format!("Report: deep/below/here/{run}/drift_report.json\n")]);
    assert!(!world.path("reports").exists());
    let absolute = world.path("elsewhere");
    let text = world.driftlock(["check", "--output", &format!("{}/", absolute.display())]).code(1).stdout();
    says(&text, &[&format!("Report: {}/{}/drift_report.json", absolute.display(), names(&absolute)[0])]);
}

#[test]
fn two_runs_in_one_second_get_folders_of_their_own() {
    let world = three_checks();
    // The folder of this second, and of all that may come until the run is there.
    let script = "mkdir reports; n=$(date +%s); for s in $(seq 0 90); do mkdir reports/$(date -d @$((n + s)) +%Y%m%d_%H%M%S); done";
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    world.command(command).code(0);
    let before = names(world.path("reports"));
    for suffix in ["_2", "_3"] {
        let text = world.driftlock(["check"]).code(1).stdout();
        let stamp = text.lines().nth(1).unwrap().trim_start_matches("  Drift Check - ").to_owned();
        // The second may have ended between the two, and then both are the second of theirs.
        let report = text.lines().last().unwrap();
        assert!(report.contains(&format!("{stamp}{suffix}/")) || report.contains(&format!("{stamp}_2/")), "{report}");
    }
    let now = names(world.path("reports"));
    assert_eq!(now.len(), before.len() + 2);
    for name in now.iter().filter(|name| !before.contains(name)) {
        assert_eq!(names(world.path("reports").join(name)).len(), 2);
    }
    assert!(before.iter().all(|name| names(world.path("reports").join(name)).is_empty()), "others' are left alone");
}

#[needs(landlock)]
fn quiet_says_only_what_is_wrong() {
    let world = three_checks();
    let text = world.driftlock(["check", "--quiet"]).code(1).stdout();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[2], lines.len()), ("[FAIL] B drift: m", "OVERALL: FAIL", 3), "{text}");
    assert!(lines[1].starts_with("    modified: b/m/f ("), "{text}");
    fs::write(world.path("b/m/f"), "1").unwrap();
    let passed = world.driftlock(["check", "-q"]).code(0);
    assert_eq!((passed.stdout(), passed.stderr()), (String::new(), String::new()));
    // The report that is kept is not shortened.
    let run = names(world.path("reports")).pop().unwrap();
    let stored = fs::read_to_string(world.path("reports").join(run).join("drift_report.txt")).unwrap();
    says(&stored, &["[PASS] All a modules match baseline", "Total checks: 4"]);
}

#[test]
fn colour_where_it_is_wanted_and_nowhere_else() {
    let world = three_checks();
    let check = |arguments: &[&str]| world.driftlock([&["check"], arguments].concat());
    let plain = check(&[]).code(1).stdout();
    assert!(!plain.contains('\u{1b}'), "not into a pipe");
    assert!(!check(&["--color", "never"]).code(1).stdout().contains('\u{1b}'));
    let colored = check(&["--color", "always"]).env("NO_COLOR", "1").code(1).stdout();
    says(
        &colored,
        &["\u{1b}[31m[FAIL]\u{1b}[0m B drift: m", "\u{1b}[32m[PASS]\u{1b}[0m All a modules", "OVERALL: \u{1b}[31m"],
    );
    let stripped: String = colored
        .split('\u{1b}')
        .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest))
        .collect();
    let without_times = |text: &str| text.lines().filter(|line| !line.contains("20")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_times(&stripped), without_times(&plain), "the same words");
    assert!(!check(&["--color", "always", "--json"]).code(1).stdout().contains('\u{1b}'), "never in JSON");
}

/// On a terminal, which `script` plays.
#[test]
fn colour_on_a_terminal() {
    let world = three_checks();
    let on_terminal = |variables: &[(&str, &str)], arguments: &str| {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("\"$DRIFTLOCK\" check {arguments}"), "/dev/null"]);
        let run = world.command(command).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock"));
        variables.iter().fold(run, |run, (key, value)| run.env(key, value)).code(1).stdout()
    };
    let term = ("TERM", "xterm");
    says(&on_terminal(&[term], ""), &["\u{1b}[31m[FAIL]\u{1b}[0m"]);
    for (variables, arguments) in
        [(&[term, ("NO_COLOR", "1")][..], ""), (&[term], "--color never"), (&[("TERM", "dumb")], "")]
    {
        assert!(!on_terminal(variables, arguments).contains("[31m"), "{variables:?} {arguments}");
    }
    says(&on_terminal(&[term, ("NO_COLOR", "")], ""), &["\u{1b}[31m[FAIL]\u{1b}[0m"]);
    says(&on_terminal(&[term, ("NO_COLOR", "1")], "--color always"), &["\u{1b}[31m[FAIL]\u{1b}[0m"]);
}

#[test]
fn one_check_of_several() {
    let world = three_checks();
    let report = world.driftlock(["check", "--json", "--check", "a"]).code(0).json();
    are(&report, &[("lock_files_exist", "PASS"), ("a", "PASS")]);
    // In the order of the declaration, however they are named.
    let report = world.driftlock(["check", "--json", "--check", "c", "--check", "b"]).code(1).json();
    are(&report, &[("lock_files_exist", "PASS"), ("b", "FAIL"), ("c", "PASS")]);
    // A lock that is missing matters to the checks that are gone through.
    fs::remove_file(world.path("locks/c.lock.json")).unwrap();
    world.driftlock(["check", "--check", "a"]).code(0);
    world.driftlock(["check", "--check", "c"]).code(1);
}

#[test]
fn trouble_in_one_check_does_not_hide_drift_in_another() {
    let world = three_checks();
    fs::remove_dir_all(world.path("a")).unwrap();
    let report = world.driftlock(["check", "--json"]).code(3).json();
    are(&report, &[("lock_files_exist", "PASS"), ("a", "FAIL"), ("b", "FAIL"), ("c", "PASS")]);
    assert_eq!((&report["exit_code"], &report["overall"]), (&3.into(), &"FAIL".into()));
    assert_eq!(report["summary"], serde_json::json!({"total": 4, "passed": 2, "failed": 2, "skipped": 0}));
    fs::write(world.path("b/m/f"), "1").unwrap();
    world.driftlock(["check"]).code(2);
    // The other order: the trouble behind the drift.
    let world = three_checks();
    fs::write(world.path("locks/c.lock.json"), "x").unwrap();
    let text = world.driftlock(["check"]).code(3).stdout();
    says(&text, &["[FAIL] B drift: m", "[FAIL] c: the lock locks/c.lock.json is refused", "[PASS] All a modules"]);
}

#[test]
fn missing_lock() {
    let world = three_checks();
    fs::write(world.path("b/m/f"), "1").unwrap();
    fs::remove_file(world.path("locks/b.lock.json")).unwrap();
    let finished = world.driftlock(["check"]).code(1);
    says(&finished.stdout(), &["[FAIL] Missing lock file: locks/b.lock.json", "run `driftlock lock --check b`"]);
    says(&finished.stdout(), &["[SKIP] B: its lock file locks/b.lock.json is missing", "Skipped: 1", "OVERALL: FAIL"]);
    let report = world.driftlock(["check", "--json"]).code(1).json();
    are(&report, &[("lock_files_exist", "FAIL"), ("a", "PASS"), ("b", "SKIP"), ("c", "PASS")]);
    assert_eq!(report["checks"][0]["details"], "1 lock file missing: locks/b.lock.json;");
    assert_eq!(report["summary"], serde_json::json!({"total": 4, "passed": 2, "failed": 1, "skipped": 1}));
    // With none at all, the same.
    fs::remove_dir_all(world.path("locks")).unwrap();
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!((&report["checks"][0]["status"], &report["overall"]), (&"FAIL".into(), &"FAIL".into()));
}

#[test]
fn local_is_what_happens_anyway() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    world.write("m/a", "2");
    let report = world.driftlock(["check", "--local", "--json"]).code(1).json();
    assert_eq!((&report["mode"], drift(&report).len()), (&"local".into(), 1));
}

#[test]
fn a_check_for_servers_alone_is_skipped_here() {
    let here = "[check.here]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"**\"]\n";
    let world = World::declaring(&format!("{}{here}", TREES.replace("kind", "modes = [\"server\"]\nkind")));
    world.write("m/a", "1");
    says(&world.lock().stdout(), &["wrote locks/here.lock.json"]);
    let report = world.driftlock(["check", "--json"]).code(0).json();
    are(&report, &[("lock_files_exist", "PASS"), ("tree", "SKIP"), ("here", "PASS")]);
    assert!(report["checks"][1]["skipped"].is_string());
}

/// Real reports keep to the schema, as another implementation of JSON Schema sees it.
#[needs(jsonschema)]
fn reports_keep_to_the_schema() {
    let schema = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json");
    let world = three_checks();
    fs::remove_file(world.path("locks/c.lock.json")).unwrap();
    fs::write(world.path("locks/a.lock.json"), "x").unwrap();
    let report = world.driftlock(["check", "--json"]).code(3);
    fs::write(world.path("report.json"), report.output.stdout).unwrap();
    let script = "import json, sys, jsonschema; jsonschema.validate(*(json.load(open(f)) for f in sys.argv[1:]))";
    let mut command = Command::new("python3");
    command.args(["-c", script, "report.json"]).arg(schema);
    world.command(command).code(0);
}
