//! The lock files of the scripts that driftlock replaces, made by what those scripts ran: `find`, `sha256sum`, `sort`,
//! `docker inspect`. `docs/migrating.md` says what is promised of them.

mod compose;
mod diff;
pub mod images;
mod init;
mod modules;
mod servers;

use serde_json::Value;

use crate::harness::World;
use crate::watch::shell;

/// What drifted in a check of a report, as `change path`.
fn drift(report: &Value, check: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let drift = the(report, check)["drift"].as_array().unwrap().iter();
    drift.map(|drift| format!("{} {}", text(&drift["change"]), text(&drift["path"]))).collect()
}

fn the<'a>(report: &'a Value, check: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|found| found["name"] == check).unwrap()
}

/// Runs a script in the directory of a test, which has to succeed.
fn bash(world: &World, script: &str) -> String {
    shell(world, "bash", &format!("set -euo pipefail; export LC_ALL=C\n{script}")).code(0).stdout()
}

/// A lock that is refused, whatever is there: trouble of its check that says `problem`, and a `lock` that leaves it.
fn refused(world: &World, check: &str, lock: &str, problem: &str) {
    let before = std::fs::read(world.path(lock)).unwrap();
    let report = world.driftlock(["check", "--check", check, "--json"]).code(2).json();
    let trouble = &the(&report, check)["trouble"];
    let said = trouble["problem"].as_str().unwrap();
    assert!(said.contains(lock) && said.contains(problem), "{said}\nand not {problem}");
    assert_ne!(trouble["remedy"], "");
    assert_eq!(the(&report, check)["old_lock"], Value::Null);
    let refused = world.driftlock(["lock", "--check", check]).code(2).stderr();
    assert!(refused.contains(problem) && refused.contains("was left as it is"), "{refused}");
    assert_eq!(std::fs::read(world.path(lock)).unwrap(), before);
}
