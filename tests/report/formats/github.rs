use std::collections::HashMap;

use driftlock::report::Report;
use driftlock::report::github::write;
use driftlock::report::places::Places;

use super::{places, rendered};
use crate::samples::{self, Tree};

fn lines(report: &Report, places: &Places) -> Vec<String> {
    rendered(|out| write(out, report, places)).lines().map(str::to_owned).collect()
}

#[test]
fn each_finding_is_an_annotation_on_its_line() {
    // The lock of a tree with `a`, `b` and `z`, as it is written.
    let locked = Tree::new().file("a", "1").file("b", "2").file("z", "3");
    let mut lock = Vec::new();
    let header = driftlock::manifest::json::Header {
        check: "compose_hashes".to_owned(),
        kind: driftlock::manifest::Kind::Files,
        attributes: driftlock::manifest::AttributeSet::default(),
    };
    let digest = driftlock::manifest::json::digest(&mut samples::entries(&locked)).unwrap();
    driftlock::manifest::json::write(&mut lock, &header, digest, &mut samples::entries(&locked)).unwrap();
    let lock = String::from_utf8(lock).unwrap();
    assert!(lock.lines().nth(7).unwrap().contains("\"b\""), "{lock}");

    let live = Tree::new().file("a", "1").file("b", "changed").file("y", "3").file("new,: %", "new");
    let report = samples::report(vec![samples::files(&locked, &live)]);
    let found = lines(&report, &places(&report, &HashMap::from([("compose_hashes", lock)])));
    let error = |file: &str, line: u32| format!("::error file={file},line={line},title=driftlock%3A compose_hashes::");
    let (declaration, lock) = ("ops/driftlock.toml", "ops/audit/locks/compose_hashes.lock.json");
    let expected = [
        (error(lock, 8), "modified: infra/stacks/b (size 1 → 7, "),
        (error(declaration, 4), "added: infra/stacks/new,: %25 (file, "),
        // Where it was is what the lock has.
        (error(lock, 9), "moved: infra/stacks/y (from infra/stacks/z)"),
        ("::notice title=driftlock::".to_owned(), "Drift: 4 entries drifted in 1 check"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (command, message)) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("{command}{message}")), "{found}\n{command}{message}");
    }
}

#[test]
fn nothing_but_our_own_commands_is_a_command() {
    for (name, report) in samples::all() {
        for line in lines(&report, &Places::default()) {
            let (command, _) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
            let (word, properties) = command.split_once(' ').unwrap();
            assert!(["error", "warning", "notice"].contains(&word), "{name}: {line}");
            for property in properties.split(',') {
                let (key, value) = property.split_once('=').unwrap();
                assert!(["file", "line", "title"].contains(&key), "{name}: {line}");
                assert!(!value.contains([':', '\r', '\n']), "{name}: {line}");
            }
        }
    }
}

#[test]
fn the_verdict_stands_last_and_expected_drift_is_a_warning() {
    let last = |report: &Report| lines(report, &Places::default()).pop().unwrap();
    assert_eq!(last(&samples::seed_pass()), "::notice title=driftlock::No drift: 2 checks passed, 8 entries verified");
    let troubled = samples::report(samples::troubled());
    let expected =
        "1 entry drifted in 1 check, 1 lock file missing, 4 entries unverified, 1 check could not be carried out";
    assert_eq!(last(&troubled), format!("::notice title=driftlock::Drift and trouble: {expected}"));
    let window = lines(&samples::in_window(), &Places::default());
    assert!(window[..4].iter().all(|line| line.starts_with("::warning file=")), "{window:#?}");
    assert!(window[4].starts_with("::notice title=driftlock::drift is expected until 2026-01-29T09:00:00Z: "));
}
