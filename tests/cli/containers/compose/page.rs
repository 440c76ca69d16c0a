//! What docs/containers.md shows of a stack.

use std::io::Write as _;
use std::process::{Command, Stdio};

use needs::needs;

use super::{CONFIG, DECLARATION, HASHES, SECRET, all, label, made, remove, set_image, set_state, world, write};
use crate::containers::recorded::{id, start};
use crate::harness::World;

const PAGE: &str = include_str!("../../../../docs/containers.md");

/// What `jq` is given there leaves all that a check reads, and no value of a variable.
#[needs("jq")]
fn the_line_that_keeps_values_out_of_git() {
    let filter = PAGE.split("| jq '").nth(1).unwrap().split("' >").next().unwrap();
    let mut jq = Command::new("jq").arg(filter).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    jq.stdin.take().unwrap().write_all(CONFIG.as_bytes()).unwrap();
    let output = jq.wait_with_output().unwrap();
    assert!(output.status.success());
    let without = String::from_utf8(output.stdout).unwrap();
    assert!(CONFIG.contains(SECRET) && !without.contains(SECRET), "{without}");
    let world = world(true);
    start(&world, all());
    world.lock();
    let before = world.check(0);
    write(&world, "shop.json", &without);
    let after = world.check(0);
    assert_eq!(before["checks"][1]["counts"], after["checks"][1]["counts"]);
}

/// The report that is shown there, line by line.
#[test]
fn the_report_that_is_shown() {
    let world =
        World::declaring(&format!("{DECLARATION}hashes = \"shop.hashes\"\n").replace("check.tree", "check.shop"));
    write(&world, "shop.json", CONFIG);
    write(&world, "shop.hashes", HASHES);
    let (engine, _) = start(&world, all());
    world.lock();
    label(&engine, "shop-built-1", "config-hash", &id('0'));
    let mut orphan = made('a', "shop-old-1", "web", "shop/web:1", "running");
    orphan["Config"]["Labels"]["com.docker.compose.service"] = "old".into();
    engine.lock().unwrap().containers.push(orphan);
    set_image(&engine, "shop-web-1", "shop/web:2");
    remove(&engine, "shop-web-2");
    set_state(&engine, "shop-worker-1", "exited");
    let said = world.driftlock(["check"]).code(1).stdout();
    let from = "[INFO] Checking shop containers...\n";
    let shown = PAGE.split(from).nth(1).expect("a report").split("```").next().unwrap();
    assert!(said.contains(&format!("{from}{shown}")), "{said}");
}
