use std::collections::BTreeMap;
use std::process::Command;

use driftlock::internals::manifest::{Boundary, Crossing, GlobList, Kind, Uncovered};
use driftlock::internals::report::Report;
use driftlock::internals::report::places::Places;
use driftlock::internals::report::sarif::{MOST, write};
use needs::needs;
use serde_json::{Value, json};

use super::{content, rendered, schema};
use crate::samples::{self, Tree};

const VALIDATE: &str = r#"
import json, sys
from jsonschema import Draft7Validator
validator = Draft7Validator(json.load(open(sys.argv[1], encoding="utf-8")))
for line in sys.stdin.buffer:
    for error in validator.iter_errors(json.loads(line)):
        sys.exit(f"{list(error.absolute_path)}: {error.message[:1000]}")
"#;

fn fleet_log(fleet: &Report) -> Value {
    serde_json::from_str(&rendered(|out| write(out, fleet, &Places::default()))).unwrap()
}

/// How many results each check has, and what the last one says if it counts the rest.
fn results(log: &Value) -> (BTreeMap<String, usize>, Option<String>) {
    let mut checks = BTreeMap::new();
    let mut left_out = None;
    let results = log["runs"][0]["results"].as_array().unwrap();
    for (number, result) in results.iter().enumerate() {
        if result["ruleId"] == "left_out" {
            assert_eq!(number, results.len() - 1);
            left_out = Some(result["message"]["text"].as_str().unwrap().to_owned());
        } else {
            *checks.entry(result["properties"]["check"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(results.len(), checks.values().sum::<usize>() + usize::from(left_out.is_some()));
    (checks, left_out)
}

/// GitHub shows 5,000 results, says nothing of the others, and refuses more than 25,000.
#[test]
fn what_there_is_no_room_for_is_counted() {
    assert_eq!(MOST, 5000);
    let named = |name: &str, number| driftlock::internals::report::CheckReport {
        name: name.to_owned(),
        ..samples::many(number)
    };
    for (numbers, kept, left_out) in [
        (&[("a", 5000)][..], &[("a", 5000)][..], None),
        (&[("a", 5001)], &[("a", 4999)], Some("2 more findings are left out: the JSON report has every entry")),
        (&[("a", 4999), ("b", 1)], &[("a", 4999), ("b", 1)], None),
        // A check that drifted in full takes no other's room.
        (
            &[("a", 30_000), ("b", 3), ("c", 30_000)],
            &[("a", 2498), ("b", 3), ("c", 2498)],
            Some("55,004 more findings are left out: the JSON report has every entry"),
        ),
    ] {
        let report = samples::report(numbers.iter().map(|(name, number)| named(name, *number)).collect());
        let (found, left) = results(&log(&report));
        let kept: BTreeMap<_, _> = kept.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        assert_eq!((found, left.as_deref()), (kept, left_out), "{numbers:?}");
    }
    // More checks than there is room for, of several servers.
    let one = |number: usize| samples::on(format!("s{number}"), samples::report(vec![samples::many(1)]));
    let (found, left) = results(&fleet_log(&samples::fleet((0..5200).map(one).collect())));
    assert_eq!(found["compose_hashes"], 4999);
    assert_eq!(left.unwrap(), "201 more findings are left out: the JSON report has every entry");
}

#[test]
fn servers_are_told_apart() {
    let log = fleet_log(&samples::large_fleet());
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let mut identities = std::collections::HashSet::new();
    assert!(results.iter().all(|result| identities.insert(&result["partialFingerprints"]["driftlockEntry/v1"])));
    assert_eq!(results.len(), 30 * 4 + 5 * 3 + 5);
    let first = &results[0];
    assert!(
        first["message"]["text"].as_str().unwrap().starts_with("web-010.example.org: modified: infra/"),
        "{first:#}"
    );
    let name = &first["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
    assert_eq!(name, "web-010.example.org: infra/stacks/edge-traefik/docker-compose.yml");
    let unreached = results.iter().find(|result| result["properties"]["check"] == "server_collection").unwrap();
    assert_eq!(unreached["ruleId"], "trouble");
    assert_eq!(unreached["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "driftlock.toml");
    assert_eq!(log["runs"][0]["invocations"][0]["exitCode"], 3);
}

fn log(report: &Report) -> Value {
    serde_json::from_str(&rendered(|out| write(out, report, &Places::default()))).unwrap()
}

#[needs(jsonschema)]
fn every_report_is_valid_by_the_schema_of_oasis() {
    let mut lines: String = samples::all().iter().map(|(_, report)| format!("{}\n", log(report))).collect();
    lines.extend(samples::fleets().iter().map(|(_, fleet)| format!("{}\n", fleet_log(fleet))));
    let mut python = Command::new("python3");
    content(python.args(["-c", VALIDATE, &schema("sarif-2.1.0.json")]), lines.as_bytes(), "SARIF");
}

#[test]
fn the_validator_sees_what_is_wrong() {
    let mut wrong = log(&samples::seed_fail());
    wrong["runs"][0]["results"][0]["level"] = json!("bad");
    let refused = std::panic::catch_unwind(move || {
        let mut python = Command::new("python3");
        content(python.args(["-c", VALIDATE, &schema("sarif-2.1.0.json")]), wrong.to_string().as_bytes(), "SARIF")
    });
    assert!(refused.is_err());
}

#[test]
fn a_result_has_its_rule_its_place_and_an_identity() {
    let log = log(&samples::report(vec![samples::every_change()]));
    let run = &log["runs"][0];
    let rules: Vec<_> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = run["results"].as_array().unwrap();
    let mut identities = std::collections::HashSet::new();
    for result in results {
        assert!(rules.contains(&&result["ruleId"]), "{result:#}");
        let location = &result["locations"][0];
        assert_eq!(location["physicalLocation"]["artifactLocation"]["uri"], "audit/locks/addon_hashes.lock.json");
        assert!(location["logicalLocations"][0]["fullyQualifiedName"].as_str().unwrap().starts_with("odoo_modules/"));
        assert!(identities.insert(result["partialFingerprints"]["driftlockEntry/v1"].clone()), "{result:#}");
    }
    assert_eq!(run["invocations"][0]["exitCode"], 1);
    assert_eq!(run["invocations"][0]["startTimeUtc"], "2026-01-29T06:30:42Z");
    let levels = |report: &Report| -> Vec<Value> {
        let results = self::log(report)["runs"][0]["results"].take();
        results.as_array().unwrap().iter().map(|result| result["level"].clone()).collect()
    };
    assert_eq!(levels(&samples::in_window()), ["note"; 4]);
    assert_eq!(levels(&samples::seed_fail()), ["error"; 4]);
}

/// Viewers make a link of `[text](target)` in every message, so none has that: neither a result nor a notification.
#[test]
fn no_message_has_a_link() {
    let link = "[fix](mailto:a@b)";
    let (locked, live) = (Tree::new().file(link, "a"), Tree::new().file(link, "b"));
    let mut check = samples::check("tree", Kind::Trees, link, samples::outcome(&locked, &live));
    check.mounts.push(Crossing::into(Boundary::ALL[0], link));
    check.touched.push(link.into());
    check.uncovered.push(Uncovered::Glob { list: GlobList::Include, glob: link.to_owned() });
    let log: Value =
        serde_json::from_str(&rendered(|out| write(out, &samples::report(vec![check]), &Places::default()))).unwrap();
    let of = |list: &Value| list.as_array().unwrap().iter().map(|one| one["message"]["text"].clone()).collect();
    let run = &log["runs"][0];
    let messages: [Vec<Value>; 2] = [of(&run["results"]), of(&run["invocations"][0]["toolExecutionNotifications"])];
    for message in messages.iter().flatten() {
        assert!(!message.as_str().unwrap().contains("]("), "{message}");
    }
    for messages in messages {
        assert!(messages.iter().any(|message| message.as_str().unwrap().contains("[fix]")), "{messages:?}");
    }
}
