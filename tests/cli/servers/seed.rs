//! The third example of the document that the project was started from: the images of a server, over SSH.

use std::fs;

use super::site::{Far, Site};
use crate::containers::engines::{Engine, root};
use crate::old_locks::images;
use needs::needs;

/// The example as it stands there.
const SEED: &str = "\
========================================
  Drift Check - 20260129_160030
  Mode: server
========================================

[INFO] Checking lock files exist...
[PASS] All required lock files present
[INFO] Running server-side drift checks on 54.65.127.141...
[PASS] Server state collected successfully
[PASS] Docker images match baseline

========================================
  SUMMARY
========================================
Total checks: 2
Passed: 2
Failed: 0

OVERALL: PASS

Report: audit/runtime/20260129_160030/drift_report.json
";

/// What differs, and docs/migrating.md says why.
fn ours(skipped: &str) -> String {
    let ours = SEED
        .replace("Total checks: 2\nPassed: 2\n", "Total checks: 3\nPassed: 3\n")
        .replace("[PASS] Docker", "[INFO] Checking docker images...\n[PASS] Docker");
    match skipped {
        "" => ours,
        skipped => ours
            .replace("[INFO] Checking docker", &format!("{skipped}[INFO] Checking docker"))
            .replace("Total checks: 3", "Total checks: 5")
            .replace("Failed: 0\n", "Failed: 0\nSkipped: 2\n"),
    }
}

const LOCAL: &str = "\
[check.compose_hashes]
kind = \"files\"
root = \"infra/stacks\"
include = [\"*/docker-compose*.yml\"]
lock = \"compose_sha256.lock.txt\"
modes = [\"local\"]

[check.addon_hashes]
kind = \"trees\"
root = \"odoo_modules/seisei\"
lock = \"odoo_addons_modules.hash.txt\"
modes = [\"local\"]

";

const SKIPPED: &str = "\
[SKIP] Compose: not for mode server, as its `modes` say
[SKIP] Addon: not for mode server, as its `modes` say
";

/// The report with its time replaced, and without the warning of an old lock, if `old` expects that.
fn text(report: &str, old: bool) -> String {
    let stamp = report.lines().nth(1).unwrap().trim_start_matches("  Drift Check - ").to_owned();
    assert_eq!(stamp.len(), 15, "{stamp}");
    let warned = |line: &&str| line.starts_with("[WARN] Docker: ") || line.starts_with("    run `driftlock lock");
    assert_eq!(report.lines().filter(warned).count(), if old { 2 } else { 0 }, "{report}");
    // Two runs in one second have folders of their own.
    let second =
        report.lines().last().unwrap().split_once(&*stamp).map_or("", |(_, rest)| rest.split('/').next().unwrap());
    let report = report.replace(&format!("{stamp}{second}/"), "20260129_160030/").replace(&stamp, "20260129_160030");
    report
        .lines()
        .filter(|line| !warned(line) && !line.starts_with("Entries: "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[needs(landlock, sshd, docker)]
fn example_3_server_mode() {
    let engine = Engine::docker().unwrap();
    let world = images::declaring(
        engine.socket().to_str().unwrap(),
        "modes = [\"server\"]\n[server.web]\nhost = \"54.65.127.141\"\n",
    );
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("driftlock.toml"), format!("{LOCAL}{declaration}")).unwrap();
    let image = root(&world.path(""));
    engine.import(&image, "traefik:v3.1");
    for name in ["traefik", "odoo18-prod-web"] {
        engine.create(name, "traefik:v3.1", &[]);
    }
    fs::write(world.path(images::LOCK), images::lock(&engine, &["traefik", "odoo18-prod-web"])).unwrap();
    let site = Site::with(world, &[("54.65.127.141", Far::Driftlock)]);
    let seed = ["check", "--server", "54.65.127.141", "--ssh-key", "user_key"];
    let with = |more: &[&str], code| site.driftlock(&[&seed[..], more].concat()).code(code).stdout();
    assert_eq!(text(&with(&["--check", "docker_images"], 0), true), ours(""));
    assert_eq!(text(&with(&[], 0), true), ours(SKIPPED));

    // The way to a new lock that docs/migrating.md shows.
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/migrating.md")).unwrap();
    let block = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let commands: Vec<Vec<&str>> = block.lines().map(|line| line.split_whitespace().skip(1).collect()).collect();
    assert!(commands.iter().any(|words| words.contains(&"--from")), "{block}");
    for command in &commands {
        site.driftlock(command).code(0);
    }
    assert_eq!(text(&with(&["--check", "docker_images"], 0), false), ours(""));

    // "Docker image tags/IDs match" is what passes; another tag, another id, and a container that is gone do not.
    fs::write(image.join("etc/nginx/nginx.conf"), "changed").unwrap();
    for old in [false, true] {
        if old {
            fs::write(site.world.path(images::LOCK), images::lock(&engine, &["traefik", "odoo18-prod-web"])).unwrap();
        }
        engine.import(&image, "traefik:v3.1");
        engine.remove("traefik");
        engine.create("traefik", "traefik:v3.1", &[]);
        let said = with(&["--check", "docker_images"], 1);
        assert!(said.contains("[FAIL] Docker drift: traefik\n    image rebuilt: image id "), "{said}");
        assert!(said.contains("Total checks: 3\nPassed: 2\nFailed: 1\n"), "{said}");
        engine.remove("odoo18-prod-web");
        let report = site.driftlock(&[&seed[..], &["--json"]].concat()).code(1).json();
        let details = report["checks"].as_array().unwrap().last().unwrap()["details"].as_str().unwrap();
        assert_eq!(details, "2 containers drifted: odoo18-prod-web;traefik;");
        engine.create("odoo18-prod-web", "traefik:v3.1", &[]);
        fs::write(image.join("etc/nginx/nginx.conf"), "changed again").unwrap();
    }
}
