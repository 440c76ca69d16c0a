//! `driftlock check --metrics` and `--expect-until`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::harness::{FILES, World};
use crate::watch::{names, no_panic, says};
use needs::needs;

fn locked() -> World {
    let world = World::declaring(FILES);
    world.write("a", "1");
    world.lock();
    fs::create_dir(world.path("textfile")).unwrap();
    world
}

const METRICS: [&str; 3] = ["check", "--metrics", "textfile/shop.prom"];

fn metrics(world: &World) -> String {
    fs::read_to_string(world.path("textfile/shop.prom")).unwrap()
}

/// The value of a series, which has to be there once.
fn value(metrics: &str, series: &str) -> i64 {
    let mut values = metrics.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let found = values.next().unwrap_or_else(|| panic!("{series} in\n{metrics}"));
    assert_eq!(values.next(), None, "{series}");
    found.parse().unwrap()
}

const LAST_RUN: &str = "driftlock_last_run_timestamp_seconds{run=\"shop\"}";
const LAST_SUCCESS: &str = "driftlock_last_success_timestamp_seconds{run=\"shop\"}";

#[needs(landlock, "promtool")]
fn promtool_takes_what_a_run_writes() {
    let world = locked();
    for (contents, code, drifted) in [("1", 0, 0), ("2", 1, 1)] {
        world.write("a", contents);
        world.driftlock(METRICS.iter().chain(&["--every", "24h", "--require-sandbox"])).code(code);
        let file = fs::File::open(world.path("textfile/shop.prom")).unwrap();
        let mut promtool = Command::new("promtool");
        let checked = promtool.args(["check", "metrics"]).stdin(Stdio::from(file)).output().unwrap();
        assert!(checked.status.success() && checked.stdout.is_empty() && checked.stderr.is_empty(), "{checked:?}");
        let metrics = metrics(&world);
        assert_eq!(value(&metrics, "driftlock_run_exit_code{run=\"shop\"}"), i64::from(code));
        assert_eq!(value(&metrics, "driftlock_schedule_interval_seconds{run=\"shop\"}"), 86400);
        let drift = "driftlock_check_verdict{run=\"shop\",check=\"tree\",verdict=\"drift\"}";
        assert_eq!(value(&metrics, drift), drifted);
        assert!(!metrics.contains("expected_until"));
    }
    // What is there while the file is written has a name that the collector passes over.
    assert_eq!(names(world.path("textfile")), ["shop.prom"]);
}

#[test]
fn the_digest_is_that_of_the_lock_until_something_drifts() {
    let world = locked();
    let info = |world: &World| {
        let metrics = metrics(world);
        let line = metrics.lines().find(|line| line.starts_with("driftlock_check_manifest_info")).unwrap().to_owned();
        line.split('"').nth(5).unwrap().to_owned()
    };
    world.driftlock(METRICS).code(0);
    let lock: serde_json::Value = serde_json::from_slice(&world.lock_bytes()).unwrap();
    assert_eq!(info(&world), lock["digest"].as_str().unwrap());
    world.write("a", "2");
    let report = world.driftlock(METRICS.iter().chain(&["--json"])).code(1).json();
    assert_eq!(info(&world), report["checks"][1]["live_digest"].as_str().unwrap());
    assert_ne!(info(&world), lock["digest"].as_str().unwrap());
}

#[test]
fn the_last_success_is_remembered_and_never_made_up() {
    let world = locked();
    // Not known before the first one.
    world.write("a", "2");
    world.driftlock(METRICS).code(1);
    assert!(!metrics(&world).contains(LAST_SUCCESS));
    world.write("a", "1");
    world.driftlock(METRICS).code(0);
    let success = value(&metrics(&world), LAST_SUCCESS);
    assert_eq!(success, value(&metrics(&world), LAST_RUN));
    // A day later, by the file.
    let earlier = metrics(&world).replace(&success.to_string(), &(success - 86400).to_string());
    fs::write(world.path("textfile/shop.prom"), &earlier).unwrap();
    world.write("a", "2");
    for _ in 0..2 {
        world.driftlock(METRICS).code(1);
        assert_eq!(value(&metrics(&world), LAST_SUCCESS), success - 86400);
        assert!(value(&metrics(&world), LAST_RUN) >= success);
    }
    // What can't have been written by a run before tells nothing.
    let sample = format!("{LAST_SUCCESS} {}\n", success - 86400);
    for spoilt in [
        earlier.replace(&sample, &sample.repeat(2)),
        earlier.replace(&sample, &format!("{LAST_SUCCESS} 99999999999\n")),
        earlier.replace(&sample, &format!("{LAST_SUCCESS} -5\n")),
        earlier.replace(&sample, &format!("{LAST_SUCCESS} 1e9\n")),
        earlier.replace("run=\"shop\"", "run=\"other\""),
        String::new(),
    ] {
        fs::write(world.path("textfile/shop.prom"), spoilt).unwrap();
        world.driftlock(METRICS).code(1);
        assert!(!metrics(&world).contains(LAST_SUCCESS));
    }
}

#[test]
fn a_link_in_the_files_place_is_replaced_and_not_followed() {
    let world = locked();
    fs::write(world.path("elsewhere"), format!("{LAST_SUCCESS} 1\n")).unwrap();
    symlink(world.path("elsewhere"), world.path("textfile/shop.prom")).unwrap();
    world.write("a", "2");
    world.driftlock(METRICS).code(1);
    assert!(!metrics(&world).contains(LAST_SUCCESS));
    assert_eq!(fs::read_to_string(world.path("elsewhere")).unwrap(), format!("{LAST_SUCCESS} 1\n"));
}

#[test]
fn without_the_directory_the_verdict_stands_and_trouble_is_added() {
    for (contents, code, word) in [("1", 2, "OVERALL: PASS"), ("2", 3, "OVERALL: FAIL")] {
        let world = locked();
        fs::remove_dir(world.path("textfile")).unwrap();
        world.write("a", contents);
        let finished = world.driftlock(METRICS).code(code);
        says(&finished.stdout(), &[word, "\nReport: reports/"]);
        says(&finished.stderr(), &["the metrics directory textfile could not be opened", "create it"]);
        assert!(!world.path("textfile").exists());
    }
}

#[needs(mounts)]
fn on_a_full_disk_the_verdict_stands_and_the_metrics_are_the_old_ones() {
    let world = locked();
    world.driftlock(METRICS).code(0);
    world.write("a", "2");
    let script = "set -eu\n\
         cp -a textfile kept\n\
         mount -t tmpfs -o size=16k,nr_inodes=100 none textfile\n\
         test \"$(stat -f -c %b textfile)\" -eq 4 # never fill what is not this small disk\n\
         cp -a kept/. textfile\n\
         head -c 1M /dev/zero >textfile/filler 2>/dev/null || true\n\
         set +e\n\
         \"$DRIFTLOCK\" check --metrics textfile/shop.prom; code=$?\n\
         cmp textfile/shop.prom kept/shop.prom || exit 9\n\
         exit $code";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]);
    let finished = world.command(command).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock")).code(3);
    no_panic(&finished);
    says(&finished.stdout(), &["OVERALL: FAIL", "\nReport: reports/"]);
    says(&finished.stderr(), &["the metrics textfile/shop.prom could not be written: No space left", "make room"]);
}

#[test]
fn a_file_that_would_not_be_collected_is_refused() {
    let world = locked();
    for name in ["textfile/shop.txt", "textfile/.prom", "textfile/.shop.prom", "textfile", "textfile/..", ""] {
        let refused = world.driftlock(["check", &format!("--metrics={name}")]).code(2);
        assert_eq!(refused.stdout(), "", "{name}");
    }
    says(&world.driftlock(["check", "--metrics", "x.txt"]).code(2).stderr(), &["whose names end in .prom"]);
    // Where a check would find it.
    let own = world.driftlock(["check", "--metrics", "root/x.prom"]).code(2).stderr();
    says(&own, &["which this run writes to"]);
    for (every, said) in [("1", "write it as 90s"), ("0s", "write it as 90s"), ("day", "write it as 90s")] {
        let refused = world.driftlock(METRICS.iter().chain(&["--every", every])).code(2).stderr();
        says(&refused, &[said]);
    }
    says(&world.driftlock(["check", "--every", "1d"]).code(2).stderr(), &["--metrics <FILE>"]);
}

#[test]
fn a_window_is_recorded_and_changes_no_verdict() {
    let world = locked();
    world.write("a", "2");
    let window = |until: &str| -> Vec<String> {
        let arguments = ["--expect-until", until, "--reason", "Odoo 18.0.7"];
        METRICS.iter().chain(&arguments).map(|argument| (*argument).to_owned()).collect()
    };
    let open = world.driftlock(window("2099-01-29T18:00:00+09:00")).code(1);
    says(&open.stdout(), &["[INFO] Drift is expected until 2099-01-29T09:00:00Z: Odoo 18.0.7\n", "OVERALL: FAIL"]);
    let until = "driftlock_expected_until_timestamp_seconds{run=\"shop\"}";
    assert_eq!(value(&metrics(&world), until), 4_073_360_400);
    let report = world.driftlock(["report", "--json"]).code(0).json();
    assert_eq!(report["window"], serde_json::json!({"until": "2099-01-29T09:00:00Z", "reason": "Odoo 18.0.7"}));
    let over = world.driftlock(window("2020-01-29T18:00:00+09:00")).code(1);
    says(&over.stdout(), &["[WARN] Drift was expected until 2020-01-29T09:00:00Z, which has passed: Odoo 18.0.7\n"]);
    for (until, reason, said) in [
        ("tomorrow", "x", "\"tomorrow\" is not a time with an offset from UTC"),
        ("2099-01-29T18:00:00", "x", "is not a time with an offset from UTC"),
        ("2099-01-29T18:00:00Z", " ", "the reason is empty"),
        ("2099-01-29T18:00:00Z", "a\nb", "the reason has a line break"),
    ] {
        let refused = world.driftlock(["check", "--expect-until", until, "--reason", reason]).code(2);
        says(&refused.stderr(), &[said, "to do: "]);
    }
    says(&world.driftlock(["check", "--reason", "x"]).code(2).stderr(), &["--expect-until <TIME>"]);
    says(&world.driftlock(["check", "--expect-until", "x"]).code(2).stderr(), &["--reason <TEXT>"]);
}
