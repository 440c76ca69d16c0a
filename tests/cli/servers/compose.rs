//! A Compose project on a server: its files are here, and nothing of them is there.

use needs::needs;
use serde_json::{Value, json};

use super::super::containers::compose::{CONFIG, DECLARATION, HASHES, all, label, made, remove, set_state, write};
use super::super::containers::recorded::{id, start_at};
use super::super::harness::{World, drift};
use super::site::{Far, Site};

fn the_check(report: &Value) -> &Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "tree").unwrap()
}

#[needs(landlock, sshd)]
fn what_runs_there_is_held_against_the_files_here() {
    let world = World::new();
    // The one directory that the server may read has the socket in it, and nothing else.
    std::fs::create_dir(world.path("there")).unwrap();
    let socket = world.path("there/engine.sock");
    let declaration = DECLARATION.replace("engine.sock", socket.to_str().unwrap());
    write(&world, "driftlock.toml", &format!("{declaration}hashes = \"shop.hashes\"\n"));
    write(&world, "shop.json", CONFIG);
    write(&world, "shop.hashes", HASHES);
    let (engine, _) = start_at(&socket, all());
    let allowed = format!("driftlock collect --require-sandbox --allow {}", world.path("there").display());
    let site = Site::with(world, &[("web", Far::Forced(allowed))]);
    let world = &site.world;

    // Locked out of an export of the server, which is what a lock that is made there would be.
    site.driftlock(&["export", "--server", "web", "--output", "runtime"]).code(0);
    world.driftlock(["lock", "--from", "runtime"]).code(0);
    let lock = world.lock_bytes();
    assert_eq!(world.lock().stdout(), "unchanged locks/tree.lock.json: 7 entries\n");
    assert_eq!(world.lock_bytes(), lock);
    let check = |code| site.driftlock(&["check", "--server", "web", "--json"]).code(code).json();
    let report = check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 7);
    assert_eq!((&the_check(&report)["kind"], &the_check(&report)["digest"]), (&json!("compose"), &Value::Null));

    // Everything at once, there as here.
    remove(&engine, "shop-web-2");
    set_state(&engine, "shop-worker-1", "exited");
    label(&engine, "shop-built-1", "config-hash", &id('0'));
    let mut orphan = made('a', "shop-old-1", "web", "shop/web:1", "running");
    orphan["Config"]["Labels"]["com.docker.compose.service"] = "old".into();
    engine.lock().unwrap().containers.push(orphan);
    engine.lock().unwrap().instead.push((format!("containers/{}", id('5')), 500));
    let (local, server) = (world.check(3), check(3));
    let expected = [
        ("compose_changed", "shop-built-1"),
        ("added", "shop-old-1"),
        ("removed", "shop-web-2"),
        ("state_changed", "shop-worker-1"),
    ];
    assert_eq!(drift(&local), expected.map(|(change, path)| (change.to_owned(), path.to_owned())));
    for key in ["drift", "counts", "unverified", "live_digest", "digest"] {
        assert_eq!(the_check(&local)[key], the_check(&server)[key], "{key}");
    }
    let said = site.driftlock(&["accept", "--server", "web", "shop-worker-1"]).code(2).stderr();
    assert!(said.contains("shop-worker-1 is not what the Compose files of the check tree declare"), "{said}");

    // What can't be read here is not asked for there.
    write(world, "shop.json", "{}");
    let report = check(2);
    let trouble = the_check(&report)["trouble"]["problem"].as_str().unwrap();
    assert_eq!(trouble, "shop.json is refused: it has no `name`, the name of the project");
    for arguments in [&["export", "--server", "web", "--output", "again"][..], &["accept", "--server", "web", "x"]] {
        let said = site.driftlock(arguments).code(2).stderr();
        assert!(said.contains("it has no `name`"), "{said}");
    }
    assert!(!world.path("again/locks/tree.lock.json").exists());
}
