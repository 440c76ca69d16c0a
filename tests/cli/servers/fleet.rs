//! Several servers at once.

use std::fs;

use super::super::harness::{drift, the_check};
use super::super::watch::names;
use super::site::{Far, Site};
use needs::needs;

/// Fifty servers that all wait for one another: the run ends only if it talks to all of them at the same time.
#[needs(sshd)]
fn fifty_servers_are_asked_at_once() {
    const SERVERS: usize = 50;
    let meet = format!(
        "mkdir -p \"$TMPDIR/met\"; : >\"$TMPDIR/met/$$\"\n\
         while set -- \"$TMPDIR\"/met/*; [ $# -lt {SERVERS} ]; do sleep 0.2; done\nexec {} collect",
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

#[needs(sshd)]
fn no_more_connections_at_once_than_jobs() {
    // The first waits for the second. Each is over before its answer is sent, which lets the next one begin.
    let script = format!(
        "echo \"+ $(date +%s%N)\" >>\"$TMPDIR/log\"; while [ \"$(grep -c + \"$TMPDIR/log\")\" -lt 2 ]; do sleep 0.05; done; \
         read -r request; printf '%s\\n' \"$request\" | {} \"$@\" >\"$TMPDIR/answer.$$\"; code=$?; echo \"- $(date +%s%N)\" >>\"$TMPDIR/log\"; cat \"$TMPDIR/answer.$$\"; \
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

#[needs(sshd)]
fn one_dead_host_stops_no_other_and_is_no_pass() {
    let drifted = "read -r root; printf '%s\\n' \"$root\" | sed \"s#/root\\\"#/drifted\\\"#\" | REAL \"$@\""
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

/// Each form of what a check of servers found is that of the report that it keeps.
#[needs(landlock, sshd)]
fn a_report_of_servers_says_the_same_as_the_check_that_kept_it() {
    let site = Site::new(&[("web", Far::Driftlock), ("dead", Far::Nothing)]);
    site.world.write("module/a.py", "changed\n");
    let several = ["--server", "web", "--server", "dead"];
    for (servers, code) in [(&several[..], 3), (&several[..2], 1), (&several[2..], 2)] {
        for format in ["text", "json", "github", "junit", "sarif", "slack", "prometheus", "html"] {
            let _ = fs::remove_dir_all(site.world.path("reports"));
            let form = ["--format", format, "--title", "shop", "--require-sandbox"];
            let said = site.driftlock(&[&["check"], servers, &form[..]].concat()).code(code).stdout();
            let report = site.driftlock(&[&["report"], &form[..]].concat()).code(0);
            assert_eq!((report.stdout(), report.stderr()), (said.clone(), String::new()), "{format}");
            // Each is of what happened.
            if code != 2 && !["junit", "prometheus", "text", "html", "slack"].contains(&format) {
                assert!(said.contains("module/a.py"), "{format}: {said}");
            }
            if code != 1 && format != "prometheus" && format != "text" {
                assert!(said.contains("it has no driftlock to start"), "{format}: {said}");
            }
        }
    }
    // On the lines of the lock that is here.
    fs::remove_dir_all(site.world.path("reports")).unwrap();
    let sarif = site.driftlock(&["check", "--server", "web", "--server", "dead", "--format", "sarif"]).code(3).json();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"locks/tree.lock.json".into(), &8.into())
    );
    let folder = site.world.path("reports").join(&names(site.world.path("reports"))[0]);
    let refused = site.driftlock(&["diff", folder.to_str().unwrap(), folder.to_str().unwrap()]).code(2).stderr();
    assert!(refused.contains("it is about several servers") && refused.contains("below `servers`"), "{refused}");
    let text = fs::read_to_string(folder.join("drift_report.json")).unwrap();
    fs::write(folder.join("drift_report.json"), text.replace("\"FAIL\"", "\"PASS\"")).unwrap();
    let refused = site.driftlock(&["report", folder.to_str().unwrap()]).code(2).stderr();
    assert!(refused.contains("it contradicts itself"), "{refused}");
}

/// The metrics of servers, by promtool; and that a run finds its last success, which has no server.
#[needs(landlock, sshd)]
fn metrics_of_servers_have_their_name() {
    let site = Site::new(&[("web", Far::Driftlock), ("dead", Far::Nothing)]);
    fs::create_dir(site.world.path("textfile")).unwrap();
    let file = "textfile/shop.prom";
    let check = |servers: &[&str], code: i32| {
        let arguments =
            [&["check", "--quiet", "--require-sandbox", "--metrics", file, "--every", "1h"], servers].concat();
        site.driftlock(&arguments).code(code);
        let text = fs::read_to_string(site.world.path(file)).unwrap();
        let mut promtool = std::process::Command::new("sh");
        promtool.args(["-c", &format!("promtool check metrics <{file}")]);
        assert_eq!(site.world.command(promtool).code(0).stdout(), "", "promtool has nothing to say");
        text
    };
    let one = check(&["--server", "web"], 0);
    assert!(one.contains("{run=\"shop\",server=\"web\",check=\"tree\",verdict=\"pass\"} 1\n"), "{one}");
    let success = |text: &str| {
        let line =
            text.lines().find(|line| line.starts_with("driftlock_last_success_timestamp_seconds{run=\"shop\"} "));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let both = check(&["--server", "web", "--server", "dead"], 2);
    for line in [
        "driftlock_check_verdict{run=\"shop\",server=\"web\",check=\"tree\",verdict=\"pass\"} 1",
        "driftlock_check_verdict{run=\"shop\",server=\"dead\",check=\"server_collection\",verdict=\"trouble\"} 1",
        "driftlock_check_verdict{run=\"shop\",server=\"dead\",check=\"tree\",verdict=\"skip\"} 1",
        "driftlock_run_exit_code{run=\"shop\"} 2",
        "driftlock_schedule_interval_seconds{run=\"shop\"} 3600",
        "driftlock_sandbox_layer{run=\"shop\",server=\"web\",layer=\"seccomp\"} 1",
    ] {
        assert!(both.lines().any(|found| found == line), "{line}\n{both}");
    }
    assert_eq!(success(&both), success(&one));
    // A directory that is gone is trouble, and the verdict stands.
    fs::remove_dir_all(site.world.path("textfile")).unwrap();
    let gone = site.driftlock(&["check", "--server", "web", "--metrics", file]).code(2);
    assert!(gone.stdout().contains("OVERALL: PASS") && gone.stderr().contains("textfile"), "{}", gone.stderr());
}
