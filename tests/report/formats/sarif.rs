use std::process::Command;

use driftlock::report::Report;
use driftlock::report::places::Places;
use driftlock::report::sarif::write;
use serde_json::{Value, json};

use super::{content, rendered, schema};
use crate::samples;

const VALIDATE: &str = r#"
import json, sys
from jsonschema import Draft7Validator
validator = Draft7Validator(json.load(open(sys.argv[1], encoding="utf-8")))
for line in sys.stdin.buffer:
    for error in validator.iter_errors(json.loads(line)):
        sys.exit(f"{list(error.absolute_path)}: {error.message[:1000]}")
"#;

fn log(report: &Report) -> Value {
    serde_json::from_str(&rendered(|out| write(out, report, &Places::default()))).unwrap()
}

#[test]
fn every_report_is_valid_by_the_schema_of_oasis() {
    let lines: String = samples::all().iter().map(|(_, report)| format!("{}\n", log(report))).collect();
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
