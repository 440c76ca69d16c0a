//! Servers that send what driftlock does not: all of it is refused, and what was said before the lie stands.

use super::super::harness::the_check;
use super::site::{Far, Site};
use needs::needs;

const HELLO: &str = r#"{"driftlock_collect":5,"driftlock":"0.1.0","landlock":null,"seccomp":false}"#;

/// A far end that reads the request, and then does this.
fn liar(script: &str) -> Far {
    Far::Script(format!("read -r request\n{script}"))
}

/// Sends the real answer through a filter. There is no second request, for which `collect` would wait.
fn filtered(filter: &str) -> Far {
    let collect = format!("printf '%s\\n' \"$request\" | {} \"$@\"", env!("CARGO_BIN_EXE_driftlock"));
    liar(&format!("{collect} | {filter}"))
}

#[needs(sshd)]
fn each_lie_is_refused_and_named() {
    let lies: &[(&str, Far, &str)] = &[
        (
            "noise",
            liar("echo Welcome to web; exec sleep 60"),
            "it sent something other than an answer: \"Welcome to web\"",
        ),
        ("silence", liar("exit 0"), "it sent nothing"),
        ("future", liar("echo '{\"driftlock_collect\":6,\"new\":1}'"), "uses version 6 of the protocol"),
        ("past", liar("echo '{\"driftlock_collect\":1,\"driftlock\":\"0.1.0\"}'"), "uses version 1 of the protocol"),
        ("truncated", filtered("head -c -3"), "its answer ends early, after line 7"),
        ("unended", filtered("sed '$d'"), "its answer ends early, after line 7"),
        ("dropped", filtered("sed 5d"), "line 6 of its answer is not what driftlock writes: the stated check, number"),
        ("changed", filtered("sed '5s/\"size\":2/\"size\":3/'"), "line 7 of its answer"),
        (
            "swapped",
            filtered("sed '5{h;d};6{G}'"),
            "line 6 of its answer is not what driftlock writes: module/a.py comes after",
        ),
        ("twice", filtered("sed 5p"), "line 6 of its answer is not what driftlock writes: module/a.py comes after"),
        ("absolute", filtered("sed '5s#module/a.py#/etc/passwd#'"), "the path is absolute"),
        ("climbing", filtered("sed '5s#module/a.py#module/../x#'"), "has a `.` or `..`"),
        ("spaced", filtered("sed '5s/,/, /'"), "line 5 of its answer is not what driftlock writes: it should read"),
        ("renamed", filtered("sed '3s/tree/wood/'"), "it is about the check wood instead of tree"),
        ("more", filtered("(cat; echo more)"), "there is data after the end"),
        ("count", filtered("sed '$s/1/2/'"), "it counts 2 checks and engines instead of 1"),
        ("moded", filtered("sed '5s/}$/,\"mode\":\"0644\"}/'"), "its attributes are not those that were asked for"),
        ("escape", filtered("sed '1s/0.1.0/\\\\u001b[31m/;$d'"), "its answer ends early"),
        (
            "endless",
            liar(&format!("echo '{HELLO}'; tr '\\0' x </dev/zero")),
            "line 2 of its answer is longer than 16777216 bytes",
        ),
        (
            "told",
            liar("echo '{\"failed\":{\"problem\":\"the disk is\\u001b[31m gone\",\"remedy\":\"weep\"}}'; exit 2"),
            "it says: the disk is\\u{1b}[31m gone",
        ),
    ];
    let hosts: Vec<_> = lies.iter().map(|(name, far, _)| (*name, far.clone())).collect();
    let site = Site::new(&hosts);
    let mut arguments = vec!["check", "--json"];
    for (name, ..) in lies {
        arguments.extend(["--server", name]);
    }
    let fleet = site.driftlock(&arguments).code(2).json();
    for ((name, _, expected), report) in lies.iter().zip(fleet["servers"].as_array().unwrap()) {
        assert_eq!(report["server"]["name"], *name);
        let problem =
            report["checks"][1]["trouble"]["problem"].as_str().unwrap_or_else(|| panic!("{name}: {report:#}"));
        assert!(problem.contains(expected), "{name}: {problem}");
        assert_eq!(report["exit_code"], 2, "{name}");
    }
    assert_eq!(fleet["summary"]["passed"], 0);
    let text = site.driftlock(&[&arguments[..1], &arguments[2..]].concat()).code(2).stdout();
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// If the operator requires a sandbox, a server without one is refused, even if the request did not ask for one.
#[needs(landlock, sshd)]
fn a_server_without_the_sandbox_that_is_required_is_not_believed() {
    let site = Site::new(&[("web", filtered("sed '1s/\"seccomp\":true/\"seccomp\":false/'"))]);
    site.driftlock(&["check", "--server", "web"]).code(0);
    let report = site.driftlock(&["check", "--server", "web", "--json", "--require-sandbox"]).code(2).json();
    let problem = report["checks"][1]["trouble"]["problem"].as_str().unwrap();
    assert_eq!(problem, "a full sandbox is required, and seccomp did not hold there");
    assert_eq!(report["server"]["sandbox"]["seccomp"], false);
}

/// More entries than a report could hold, each of them well-formed and in order.
#[needs(sshd)]
fn a_flood_ends_at_a_limit_of_memory() {
    let flood = format!(
        "echo '{HELLO}'; echo '{{\"check\":\"tree\",\"resolved_root\":\"/\",\"failed\":null}}'\n\
         seq 1000000000 1999999999 | sed 's/.*/{{\"path\":\"&\",\"type\":\"fifo\"}}/'"
    );
    let site = Site::new(&[("web", liar(&flood))]);
    let started = std::time::Instant::now();
    let mut command = std::process::Command::new("time");
    let run = site.driftlock(&["check", "--server", "web", "--json", "--quiet"]);
    command.args(["-f", "%M", "-o"]).arg(site.world.path("memory")).arg(run.command.get_program());
    command.args(run.command.get_args());
    let path = run.command.get_envs().find(|(key, _)| *key == "PATH").unwrap().1.unwrap().to_str().unwrap().to_owned();
    let report = site.world.command(command).env("PATH", &path).code(2).json();
    assert!(the_check(&report)["trouble"].is_object() || report["checks"][1]["trouble"].is_object(), "{report:#}");
    let memory = std::fs::read_to_string(site.world.path("memory")).unwrap();
    let kib: u64 = memory.lines().last().unwrap().trim().parse().unwrap();
    assert!(kib < 1 << 20, "{kib} KiB");
    assert!(started.elapsed() < std::time::Duration::from_secs(300));
}
