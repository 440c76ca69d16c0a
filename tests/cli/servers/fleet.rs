//! Several servers at once.

use std::fs;

use super::super::harness::{drift, the_check};
use super::site::{Far, Site};

/// Fifty servers that all wait for one another: the run ends only if it talks to all of them at the same time.
#[test]
fn fifty_servers_are_asked_at_once() {
    const SERVERS: usize = 50;
    let meet = format!(
        "mkdir -p \"$TMPDIR/met\"; : >\"$TMPDIR/met/$$\"\n\
         while [ $(ls \"$TMPDIR/met\" | wc -l) -lt {SERVERS} ]; do sleep 0.2; done\nexec {} \"$@\"",
        env!("CARGO_BIN_EXE_driftlock")
    );
    let names: Vec<_> = (1..=SERVERS).map(|number| format!("web-{number:02}")).collect();
    let hosts: Vec<_> = names.iter().map(|name| (name.as_str(), Far::Script(meet.clone()))).collect();
    let site = Site::new(&hosts);
    let mut arguments = vec!["check", "--json", "--idle-timeout", "120"];
    for name in &names {
        arguments.extend(["--server", name]);
    }
    let fleet = site.driftlock(&arguments).code(0).json();
    assert_eq!(fleet["summary"]["passed"], SERVERS);
    let reported: Vec<_> =
        fleet["servers"].as_array().unwrap().iter().map(|report| report["server"]["name"].as_str().unwrap()).collect();
    assert_eq!(reported, names, "in the order in which they were named");
    assert_eq!(fs::read_dir(site.world.path("far-tmp/met")).unwrap().count(), SERVERS);
}

#[test]
fn no_more_connections_at_once_than_jobs() {
    let script = format!(
        "echo \"+ $(date +%s%N)\" >>\"$TMPDIR/log\"; sleep 0.3; {} \"$@\"; code=$?; echo \"- $(date +%s%N)\" >>\"$TMPDIR/log\"; \
         exit $code",
        env!("CARGO_BIN_EXE_driftlock")
    );
    let names: Vec<_> = (0..9).map(|number| format!("web-{number}")).collect();
    let hosts: Vec<_> = names.iter().map(|name| (name.as_str(), Far::Script(script.clone()))).collect();
    let site = Site::new(&hosts);
    let mut arguments = vec!["check", "--jobs", "3"];
    for name in &names {
        arguments.extend(["--server", name]);
    }
    site.driftlock(&arguments).code(0);
    let log = fs::read_to_string(site.world.path("far-tmp/log")).unwrap();
    let mut lines: Vec<_> =
        log.lines().map(|line| line.split_once(' ').unwrap()).map(|(what, at)| (at, what)).collect();
    lines.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, what) in &lines {
        now += if *what == "+" { 1 } else { -1 };
        most = most.max(now);
    }
    assert_eq!((lines.len(), now), (18, 0));
    assert!((2..=3).contains(&most), "{most} at once: {log}");
}

#[test]
fn one_dead_host_stops_nobody_and_is_no_pass() {
    let drifted = "root=$(cat); echo \"$root\" | sed \"s#/root\\\"#/drifted\\\"#\" | REAL \"$@\""
        .replace("REAL", env!("CARGO_BIN_EXE_driftlock"));
    let site = Site::new(&[
        ("web", Far::Driftlock),
        ("dead", Far::Nothing),
        ("db", Far::Script(drifted)),
        ("mail", Far::Driftlock),
    ]);
    fs::create_dir(site.world.path("drifted")).unwrap();
    fs::create_dir(site.world.path("drifted/module")).unwrap();
    fs::write(site.world.path("drifted/module/a.py"), "a\n").unwrap();
    let servers = ["--server", "web", "--server", "dead", "--server", "db", "--server", "mail", "--server", "web"];
    let fleet = site.driftlock(&[&["check", "--json"], &servers[..]].concat()).code(3).json();
    assert_eq!(fleet["schema"], "driftlock-servers-1");
    assert_eq!(fleet["overall"], "FAIL");
    assert_eq!(fleet["summary"], serde_json::json!({"total": 4, "passed": 2, "failed": 2, "not_collected": 1}));
    let codes: Vec<_> =
        fleet["servers"].as_array().unwrap().iter().map(|report| report["exit_code"].as_u64().unwrap()).collect();
    assert_eq!(codes, [0, 2, 1, 0]);
    assert_eq!(drift(&fleet["servers"][2]), [("removed".to_owned(), "module/b.py".to_owned())]);

    let text = site.driftlock(&[&["check"], &servers[..]].concat()).code(3).stdout();
    for line in [
        "SERVER  collected  tree",
        "web     PASS       PASS",
        "dead    FAIL       ?",
        "db      PASS       1 drifted",
        "[FAIL] Tree drift: module",
        "Total servers: 4",
        "Passed: 2",
        "Not collected: 1",
        "OVERALL: FAIL",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Each has its own folder, and a report that can be compared with another.
    let folder =
        text.lines().last().unwrap().strip_prefix("Report: ").unwrap().strip_suffix("/drift_report.json").unwrap();
    let kept = |name: &str| format!("{folder}/servers/{name}");
    let difference = site.world.driftlock(["diff", &kept("web"), &kept("db"), "--json"]).code(1).json();
    assert_eq!(difference["checks"][0]["name"], "tree");
    let overall: serde_json::Value =
        serde_json::from_slice(&fs::read(site.world.path(format!("{folder}/drift_report.json"))).unwrap()).unwrap();
    assert_eq!(overall["overall"], "FAIL");
    assert_eq!(the_check(&overall["servers"][0])["status"], "PASS");

    let quiet = site.driftlock(&[&["check", "--quiet"], &servers[..]].concat()).code(3).stdout();
    assert!(!quiet.contains("web ") && quiet.contains("dead") && quiet.ends_with("OVERALL: FAIL\n"), "{quiet}");
}
