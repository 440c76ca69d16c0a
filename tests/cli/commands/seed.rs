//! The shell scripts that driftlock replaces: their report, line by line, and their alerting.
//!
//! The texts are those of the document that the project was started from, with two differences: the words are made from a
//! check's name, so `addon_hashes` has no "Odoo" before it, and modules that drifted come in the order of their names.

use std::fs;

use crate::harness::World;
use crate::watch::shell;
use needs::needs;

const DECLARATION: &str = r#"locks = "audit/locks"
reports = "audit/runtime"

[check.compose_hashes]
kind = "files"
root = "infra/stacks"
include = ["*/docker-compose*.yml", "*/docker-compose*.yaml"]

[check.addon_hashes]
kind = "trees"
root = "odoo_modules/seisei"
exclude = ["**/__pycache__", "**/*.pyc"]
"#;

const PASS: &str = include_str!("../../seed/pass.txt");
const FAIL: &str = include_str!("../../seed/fail.txt");

const FAILED_FILES: &str =
    "2 files drifted: infra/stacks/edge-traefik/docker-compose.yml;infra/stacks/odoo18-prod/docker-compose.yml;";

/// The alerting of that document, unchanged.
const ALERTING: &str = r#"STATUS=$(jq -r '.overall' audit/runtime/*/drift_report.json)
if [ "$STATUS" == "FAIL" ]; then
  # Send alert
  curl -X POST "$SLACK_WEBHOOK" -d '{"text":"Drift detected in production!"}'
fi
"#;

fn stacks() -> World {
    let world = World::declaring(DECLARATION);
    for path in [
        "infra/stacks/edge-traefik/docker-compose.yml",
        "infra/stacks/odoo18-prod/docker-compose.yml",
        "infra/stacks/odoo18-prod/docker-compose.override.yaml",
        "infra/stacks/odoo18-prod/.env",
        "odoo_modules/seisei/qr_ordering/__manifest__.py",
        "odoo_modules/seisei/qr_ordering/models/order.py",
        "odoo_modules/seisei/custom_ocr_finance/__manifest__.py",
        "odoo_modules/seisei/untouched/__manifest__.py",
    ] {
        fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
        fs::write(world.path(path), path).unwrap();
    }
    world.lock();
    world
}

fn drifted() -> World {
    let world = stacks();
    drift(&world);
    world
}

fn drift(world: &World) {
    for path in [
        "infra/stacks/edge-traefik/docker-compose.yml",
        "infra/stacks/odoo18-prod/docker-compose.yml",
        "odoo_modules/seisei/qr_ordering/models/order.py",
        "odoo_modules/seisei/custom_ocr_finance/__manifest__.py",
    ] {
        fs::write(world.path(path), "changed by hand").unwrap();
    }
    // Neither of these is a matter of the checks.
    fs::write(world.path("infra/stacks/odoo18-prod/.env"), "changed").unwrap();
    fs::create_dir(world.path("odoo_modules/seisei/qr_ordering/__pycache__")).unwrap();
    fs::write(world.path("odoo_modules/seisei/qr_ordering/__pycache__/order.pyc"), "x").unwrap();
}

/// When a report was made, as its banner has it.
fn stamp(text: &str) -> &str {
    let stamp = text.lines().nth(1).unwrap().trim_start_matches("  Drift Check - ");
    assert_eq!((stamp.len(), stamp.as_bytes()[8]), (15, b'_'), "{stamp}");
    stamp
}

/// The report as of the time of the seed's, and without the lines that say which entries drifted, and how, and how many.
fn seed_lines(text: &str, seed: &str) -> String {
    let text = text.replace(stamp(text), stamp(seed));
    let ours = |line: &&str| line.starts_with("    ") || line.starts_with("Entries: ");
    text.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect()
}

#[needs(landlock)]
fn example_1_no_drift() {
    let world = stacks();
    let text = world.driftlock(["check", "--local"]).code(0).stdout();
    assert_eq!(seed_lines(&text, PASS), PASS);
    assert!(!text.lines().any(|line| line.starts_with("    ")), "nothing to add where nothing drifted");
}

#[needs(landlock)]
fn example_2_drift_detected() {
    let world = drifted();
    let text = world.driftlock(["check", "--local"]).code(1).stdout();
    assert_eq!(seed_lines(&text, FAIL), FAIL);
    let (next, details): (Vec<_>, Vec<_>) = text
        .lines()
        .filter(|line| line.starts_with("    "))
        .partition(|line| line.starts_with("      ") || line.starts_with("    Likely "));
    assert_eq!(next.iter().filter(|line| line.contains("driftlock accept ")).count(), 2, "a block a check: {text}");
    let expected = [
        "    modified: size ",
        "    modified: size ",
        "    modified: odoo_modules/seisei/custom_ocr_finance/__manifest__.py (size ",
        "    modified: odoo_modules/seisei/qr_ordering/models/order.py (size ",
    ];
    assert_eq!(details.len(), expected.len(), "{text}");
    assert!(details.iter().zip(expected).all(|(line, expected)| line.starts_with(expected)), "{text}");
}

/// Puts the locks of the scripts, made by what the scripts run, in the place of ours.
fn with_old_locks(world: &World) {
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    let declaration = declaration
        .replace("root = \"infra", "lock = \"compose_sha256.lock.txt\"\nroot = \"infra")
        .replace("root = \"odoo", "lock = \"odoo_addons_modules.hash.txt\"\nroot = \"odoo");
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    let script = r#"set -euo pipefail; export LC_ALL=C; rm audit/locks/*
find infra/stacks -name 'docker-compose*.y*ml' -exec sha256sum {} + >audit/locks/compose_sha256.lock.txt
for module in $(ls odoo_modules/seisei); do
    hash=$(find odoo_modules/seisei/$module -type f -exec sha256sum {} + | sort | sha256sum | cut -d' ' -f1)
    echo "$hash  $module"
done >audit/locks/odoo_addons_modules.hash.txt"#;
    shell(world, "bash", script).code(0);
}

/// The report without the warnings that locks are old ones, of which there have to be two.
fn without_warnings(text: &str) -> String {
    let warned: Vec<_> = text.lines().filter(|line| line.starts_with("[WARN] ")).collect();
    assert!(warned.len() == 2 && warned.iter().all(|line| line.contains("is an old lock, blind to ")), "{warned:?}");
    text.lines().filter(|line| !warned.contains(line)).map(|line| format!("{line}\n")).collect()
}

#[needs(landlock)]
fn example_1_from_the_old_locks() {
    let world = stacks();
    with_old_locks(&world);
    let text = world.driftlock(["check", "--local"]).code(0).stdout();
    assert_eq!(seed_lines(&without_warnings(&text), PASS), PASS);
}

#[needs(landlock)]
fn example_2_from_the_old_locks() {
    let world = stacks();
    with_old_locks(&world);
    drift(&world);
    let text = world.driftlock(["check", "--local"]).code(1).stdout();
    assert_eq!(seed_lines(&without_warnings(&text), FAIL), FAIL);
    let report = world.driftlock(["check", "--json"]).code(1).json();
    let details: Vec<_> = report["checks"].as_array().unwrap().iter().map(|check| &check["details"]).collect();
    assert_eq!(details[1], FAILED_FILES);
    assert_eq!(details[2], "2 modules drifted: custom_ocr_finance;qr_ordering;");
}

#[test]
fn json_reports_have_the_seed_s_fields_and_values() {
    let seed = |report: &serde_json::Value| {
        let checks = report["checks"].as_array().unwrap();
        let checks: Vec<_> = checks
            .iter()
            .map(|check| {
                serde_json::json!({"name": check["name"], "status": check["status"], "details": check["details"]})
            })
            .collect();
        let summary = &report["summary"];
        serde_json::json!({
            "mode": report["mode"],
            "checks": checks,
            "summary": {"total": summary["total"], "passed": summary["passed"], "failed": summary["failed"]},
            "overall": report["overall"],
        })
    };
    let passed = stacks().driftlock(["check", "--json"]).code(0).json();
    assert_eq!(
        seed(&passed),
        serde_json::json!({
            "mode": "local",
            "checks": [
                {"name": "lock_files_exist", "status": "PASS", "details": ""},
                {"name": "compose_hashes", "status": "PASS", "details": ""},
                {"name": "addon_hashes", "status": "PASS", "details": ""},
            ],
            "summary": {"total": 3, "passed": 3, "failed": 0},
            "overall": "PASS",
        })
    );
    let failed = drifted().driftlock(["check", "--json"]).code(1).json();
    assert_eq!(
        seed(&failed),
        serde_json::json!({
            "mode": "local",
            "checks": [
                {"name": "lock_files_exist", "status": "PASS", "details": ""},
                {
                    "name": "compose_hashes",
                    "status": "FAIL",
                    "details": FAILED_FILES,
                },
                {
                    "name": "addon_hashes",
                    "status": "FAIL",
                    "details": "2 modules drifted: custom_ocr_finance;qr_ordering;",
                },
            ],
            "summary": {"total": 3, "passed": 1, "failed": 2},
            "overall": "FAIL",
        })
    );
}

#[needs("jq")]
fn alerting_works_unchanged() {
    let alert = "curl() { echo \"curl: $*\"; }\nSLACK_WEBHOOK=https://hooks.invalid/x\n";
    for (world, code, expected) in [
        (stacks(), 0, ""),
        (drifted(), 1, "curl: -X POST https://hooks.invalid/x -d {\"text\":\"Drift detected in production!\"}\n"),
    ] {
        world.driftlock(["check"]).code(code);
        let finished = shell(&world, "bash", &format!("{alert}{ALERTING}")).code(0);
        assert_eq!((&*finished.stdout(), &*finished.stderr()), (expected, ""));
    }
}
