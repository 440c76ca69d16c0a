//! The report of several servers for people: readable with hundreds of them, and on a narrow terminal.

use driftlock::internals::error::{Error, ErrorKind};
use driftlock::internals::report::text::{Style, write};
use driftlock::internals::report::{CheckReport, Outcome, Report};

use crate::samples::{self, Tree};

fn named(mut report: Report, name: &str) -> Report {
    let server = report.hosts[0].server.as_mut().unwrap();
    (server.name, server.host) = (name.to_owned(), format!("{name}.example.org"));
    report
}

/// Servers of which most pass; six have drifted alike, and three can't be reached.
fn servers(number: usize) -> Vec<Report> {
    let drifted = |number| (20..26).contains(&number);
    let away = |number| number % 70 == 13;
    let server = |number: usize| {
        let name = format!("web-{number:03}");
        let report = match number {
            number if drifted(number) => samples::of_server(samples::seed_fail(), None),
            number if away(number) => {
                let problem = format!("ssh: connect to host {name}.example.org port 22: Connection refused");
                let trouble = Error::new(ErrorKind::Recorded, problem, "check that sshd runs there");
                samples::of_server(samples::unreached(), Some(trouble))
            }
            _ => samples::of_server(samples::seed_pass(), None),
        };
        named(report, &name)
    };
    (1..=number).map(server).collect()
}

fn text(servers: Vec<Report>, width: Option<u16>) -> String {
    written(&samples::fleet(servers), width)
}

fn written(report: &Report, width: Option<u16>) -> String {
    let mut out = Vec::new();
    write(&mut out, report, Style { width, ..Style::default() }, None).unwrap();
    String::from_utf8(out).unwrap()
}

/// The table, from its header to the line that counts the rest.
fn table(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("SERVER"));
    lines.take_while(|line| !line.starts_with('[')).collect()
}

#[test]
fn two_hundred_servers_are_a_page() {
    let text = text(servers(200), Some(200));
    insta::assert_snapshot!(table(&text).join("\n"), @r"
    SERVER   collected  compose_hashes  addon_hashes
    web-013  FAIL       ?               ?
    web-020  PASS       2 drifted       2 drifted
    web-021  PASS       2 drifted       2 drifted
    web-022  PASS       2 drifted       2 drifted
    web-023  PASS       2 drifted       2 drifted
    web-024  PASS       2 drifted       2 drifted
    web-025  PASS       2 drifted       2 drifted
    web-083  FAIL       ?               ?
    web-153  FAIL       ?               ?
    ");
    assert!(text.contains("[PASS] 191 more servers pass, with everything verified\n"), "{text}");
    // What is the same is said once, also where the only difference is who says it.
    let away = "\nweb-013, web-083, web-153:\n[FAIL] Not collected: ssh: connect to host <server> port 22: Connection \
                refused\n    check that sshd runs there\n";
    assert!(text.contains(away), "{text}");
    assert!(text.contains("\nweb-020, web-021, web-022, web-023, web-024, web-025:\n"), "{text}");
    assert_eq!(text.matches("Addon drift: ").count(), 2, "{text}");
    assert!(text.lines().count() < 60, "{text}");
    // Of one alone it is said as it is.
    let one = self::text(servers(20), None);
    assert!(one.contains("\nweb-013:\n[FAIL] Not collected: ssh: connect to host web-013.example.org port"), "{one}");
}

#[test]
fn a_table_that_is_too_wide_has_numbers_for_names() {
    let mut servers = servers(24);
    let again = |check: &CheckReport| {
        let outcome = match &check.outcome {
            Outcome::NotCollected => Outcome::NotCollected,
            _ => samples::outcome(&Tree::new().file("a", "1"), &Tree::new().file("a", "2")),
        };
        samples::check(&format!("another_{}_with_a_name_that_is_long", check.name), check.kind, "r", outcome)
    };
    for checks in servers.iter_mut().map(|server| &mut server.hosts[0].checks) {
        checks.extend(checks.iter().map(again).collect::<Vec<_>>());
    }
    let narrow = text(servers, Some(80));
    let table: Vec<_> = narrow.lines().skip_while(|line| !line.starts_with("  1  ")).take(12).collect();
    insta::assert_snapshot!(table.join("\n"), @r"
      1  compose_hashes
      2  addon_hashes
      3  another_compose_hashes_with_a_name_that_is_long
      4  another_addon_hashes_with_a_name_that_is_long
         A number counts entries that drifted; with a u, unverified entries.

    SERVER   collected  1     2     3  4
    web-001  PASS       PASS  PASS  1  1
    web-002  PASS       PASS  PASS  1  1
    web-003  PASS       PASS  PASS  1  1
    web-004  PASS       PASS  PASS  1  1
    web-005  PASS       PASS  PASS  1  1
    ");
    assert!(table.iter().all(|line| line.chars().count() <= 80), "{narrow}");
}

#[test]
fn the_window_is_told() {
    let mut report = samples::fleet(servers(2));
    report.run.window = samples::in_window().run.window;
    let text = written(&report, None);
    assert!(text.contains("[INFO] Drift is expected until "), "{text}");
}
