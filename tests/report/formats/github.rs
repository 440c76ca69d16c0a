use std::collections::HashMap;

use driftlock::internals::report::Report;
use driftlock::internals::report::github::write;
use driftlock::internals::report::places::Places;

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
    let header = driftlock::internals::manifest::json::Header {
        check: "compose_hashes".to_owned(),
        kind: driftlock::internals::manifest::Kind::Files,
        attributes: driftlock::internals::manifest::AttributeSet::default(),
    };
    let digest = driftlock::internals::manifest::json::digest(&mut samples::entries(&locked)).unwrap();
    driftlock::internals::manifest::json::write(&mut lock, &header, digest, &mut samples::entries(&locked)).unwrap();
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
    let ones = samples::all().into_iter().map(|(name, report)| (name, lines(&report, &Places::default())));
    let fleets = samples::fleets();
    let several = fleets.iter().map(|(name, fleet)| (*name, rendered(|out| write(out, fleet, &Places::default()))));
    let several = several.map(|(name, text)| (name, text.lines().map(str::to_owned).collect()));
    for (name, all) in ones.chain(several) {
        for line in all {
            if let Some((level, _)) = line.split_once(": ").filter(|_| !line.starts_with("::")) {
                assert!(["error", "warning"].contains(&level) && !line.contains("##["), "{name}: {line}");
                continue;
            }
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

/// Of each level GitHub shows ten a step, and says nothing of the others.
#[test]
fn what_github_would_not_show_is_counted_and_in_the_log() {
    let of = |lines: &[String], start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    let many = lines(&samples::report(vec![samples::many(5000)]), &Places::default());
    assert_eq!((of(&many, "::error "), of(&many, "error: compose_hashes: modified: ")), (10, 4991));
    let counted =
        "::error title=driftlock::4,991 more findings are in the log of this step: GitHub shows 10 of a level";
    assert_eq!(many[9], counted);
    assert!(many.iter().any(|line| line.contains("infra/stacks/04999/docker-compose.yml")));
    let ten = lines(&samples::report(vec![samples::many(10)]), &Places::default());
    assert_eq!((of(&ten, "::error "), ten.len()), (10, 11));
    let eleven = lines(&samples::report(vec![samples::many(11)]), &Places::default());
    assert_eq!((of(&eleven, "::error "), of(&eleven, "error: ")), (10, 2));
    assert!(eleven[9].contains("::2 more findings are in the log"), "{eleven:#?}");
    // Expected drift, and layers that did not hold: both are warnings.
    let mut window = samples::report(vec![samples::many(20)]);
    window.run.window = samples::in_window().run.window;
    window.run.sandbox.landlock = None;
    let window = lines(&window, &Places::default());
    assert_eq!((of(&window, "::warning "), of(&window, "::error "), of(&window, "warning: ")), (10, 0, 12));
}

#[test]
fn what_is_the_same_on_several_servers_is_one_finding() {
    let found = rendered(|out| write(out, &samples::large_fleet(), &Places::default()));
    let found: Vec<_> = found.lines().collect();
    let names =
        "web-010.example.org, web-011.example.org, web-012.example.org, web-013.example.org, web-014.example.org";
    // Four drifts that 30 servers share, of which two are on five more; one drift and one trouble each of five.
    assert!(found[0].contains(&format!("::{names} and 25 more: modified: infra/stacks/edge-traefik/")), "{found:#?}");
    assert!(found[2].contains(&format!("::{names} and 30 more: modified: odoo_modules/")), "{found:#?}");
    assert!(found[9].contains("::5 more findings are in the log of this step"), "{found:#?}");
    let refused = "error: server_collection: web-049.example.org: not collected: ssh: connect to web-049.example.org: ";
    assert_eq!(found.iter().filter(|line| line.starts_with(refused)).count(), 1, "{found:#?}");
    let verdict =
        "Drift and trouble: 40 of 200 servers failed, 135 entries drifted in 70 checks, 5 servers not collected";
    assert_eq!(*found.last().unwrap(), format!("::notice title=driftlock::{verdict}"));
    // Locks are local, so a missing lock is one finding for any number of servers.
    let fleets = samples::fleets();
    let unlocked = &fleets.iter().find(|(name, _)| *name == "unlocked").unwrap().1;
    let found = rendered(|out| write(out, unlocked, &Places::default()));
    assert_eq!(found.matches("missing lock file: audit/locks/compose_hashes.lock.json").count(), 1, "{found}");
}

#[test]
fn the_verdict_stands_last_and_expected_drift_is_a_warning() {
    let last = |report: &Report| lines(report, &Places::default()).pop().unwrap();
    assert_eq!(last(&samples::seed_pass()), "::notice title=driftlock::No drift: 3 checks passed, 8 entries verified");
    let troubled = samples::report(samples::troubled());
    let expected =
        "1 entry drifted in 1 check, 1 lock file missing, 4 entries unverified, 1 check could not be carried out";
    assert_eq!(last(&troubled), format!("::notice title=driftlock::Drift and trouble: {expected}"));
    let window = lines(&samples::in_window(), &Places::default());
    assert!(window[..4].iter().all(|line| line.starts_with("::warning file=")), "{window:#?}");
    assert!(window[4].starts_with("::notice title=driftlock::drift is expected until 2026-01-29T09:00:00Z: "));
}
