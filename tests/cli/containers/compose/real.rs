//! Real engines, with containers that have the labels which Compose gives them: a stack is brought up, and changed by hand.

use needs::needs;
use serde_json::json;

use super::{DECLARATION, one};
use crate::containers::engines::{Engine, root};
use crate::harness::{World, drift, the_check};

/// A hash as Compose prints one.
fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// Has the engine make a container as Compose does.
fn up(engine: &Engine, service: &str, image: &str, hash: &str) {
    let labels = [
        ("project", "shop"),
        ("service", service),
        ("oneoff", "False"),
        ("container-number", "1"),
        ("config-hash", hash),
        ("version", "2.26.1"),
    ];
    let labels = labels.map(|(name, value)| format!("--label=com.docker.compose.{name}={value}"));
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let name = format!("shop-{service}-1");
    engine.create(&name, image, &[&["--network=none"], engine.limits(), &labels[..]].concat());
    engine.run(&["start", &name]);
}

/// Ends a container, which does not wait for it, and removes it.
fn down(engine: &Engine, name: &str) {
    engine.run(&["kill", name]);
    engine.remove(name);
}

fn project(services: &serde_json::Value) -> String {
    json!({"name": "shop", "services": services}).to_string()
}

#[needs(docker, devices)]
fn docker() {
    a_stack(&Engine::docker().unwrap());
}

#[needs(podman, devices, "runc")]
fn podman() {
    a_stack(&Engine::running_podman().unwrap());
}

fn a_stack(engine: &Engine) {
    let world = World::declaring(&DECLARATION.replace("engine.sock", engine.socket().to_str().unwrap()));
    let write = |services: &serde_json::Value| std::fs::write(world.path("shop.json"), project(services)).unwrap();
    let mut services = json!({
        "web": {"image": "app:1", "network_mode": "none"},
        "db": {"image": "app:1", "network_mode": "none", "restart": "always"},
    });
    write(&services);
    let root = root(&world.path(""));
    engine.import(&root, "app:1");
    engine.run(&["tag", "app:1", "app:2"]);
    let (web, db) = (hash('a'), hash('b'));
    up(engine, "web", "app:1", &web);
    up(engine, "db", "app:1", &db);
    engine.create("beside", "app:1", &["--network=none"]);
    world.lock();
    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 2);
    assert_eq!(report["sandbox"]["seccomp"], true);

    // Stopped by hand, and started again.
    engine.run(&["stop", "--time", "0", "shop-web-1"]);
    assert_eq!(drift(&world.check(1)), one("state_changed", "shop-web-1"));
    engine.run(&["start", "shop-web-1"]);
    world.check(0);
    // Made anew by hand from another image; with another configuration; and not at all.
    down(engine, "shop-web-1");
    assert_eq!(drift(&world.check(1)), one("removed", "shop-web-1"));
    up(engine, "web", "app:2", &web);
    assert_eq!(drift(&world.check(1)), one("image_changed", "shop-web-1"));
    down(engine, "shop-web-1");
    up(engine, "web", "app:1", &hash('c'));
    assert_eq!(drift(&world.check(1)), one("compose_changed", "shop-web-1"));
    // Compose's own figure, against which the lock has no say.
    let declaration = std::fs::read_to_string(world.path("driftlock.toml")).unwrap();
    std::fs::write(world.path("driftlock.toml"), format!("{declaration}hashes = \"hashes\"\n")).unwrap();
    std::fs::write(world.path("hashes"), format!("db {db}\nweb {}\n", hash('c'))).unwrap();
    world.check(0);
    down(engine, "shop-web-1");
    up(engine, "web", "app:1", &web);
    assert_eq!(drift(&world.check(1)), one("compose_changed", "shop-web-1"));
    std::fs::write(world.path("driftlock.toml"), declaration).unwrap();
    world.check(0);
    // A service that the files have no more.
    services.as_object_mut().unwrap().remove("db");
    write(&services);
    assert_eq!(drift(&world.check(1)), one("added", "shop-db-1"));
    down(engine, "shop-db-1");
    world.check(0);
    down(engine, "shop-web-1");
    engine.remove("beside");
}
