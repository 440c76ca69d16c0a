//! Real engines with what comes and goes: containers without an image, pods made anew, and containers that live for a
//! moment.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use needs::needs;
use serde_json::json;

use super::engines::{Engine, root};
use crate::harness::{World, drift, unverified};

fn declaring(engine: &Engine) -> World {
    let socket = engine.socket();
    let more = "attributes = [\"state\", \"networks\"]";
    World::declaring(&format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"containers\"\nsocket = {socket:?}\n{more}\n"
    ))
}

#[needs(docker)]
fn containers_that_live_for_a_moment_in_docker() {
    let engine = Engine::docker().unwrap();
    let world = declaring(&engine);
    engine.import(&root(&world.path("")), "localhost/app:1");
    coming_and_going(&engine, &world);
}

#[needs(podman)]
fn containers_that_live_for_a_moment_in_podman() {
    let engine = Engine::podman().unwrap();
    let world = declaring(&engine);
    engine.import(&root(&world.path("")), "localhost/app:1");
    coming_and_going(&engine, &world);
}

/// While containers come and go, the one that stays is verified each time, and all that is ever told is that some are new.
fn coming_and_going(engine: &Engine, world: &World) {
    engine.create("stays", "localhost/app:1", &["--network", "none"]);
    world.lock();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            let mut times = 0;
            while !done.load(Ordering::Relaxed) {
                for name in ["job-1", "job-2", "job-3"] {
                    engine.create(name, "localhost/app:1", &["--network", "none"]);
                }
                engine.run(&["rm", "--force", "job-1", "job-2", "job-3"]);
                times += 1;
            }
            times
        });
        for _ in 0..30 {
            let output = world.driftlock(["check", "--json"]).command.output().unwrap();
            let report = serde_json::from_slice(&output.stdout).unwrap();
            assert!(matches!(output.status.code(), Some(0 | 1)), "{report:#}");
            assert_eq!(unverified(&report), [""; 0]);
            assert!(
                drift(&report).iter().all(|(change, name)| change == "added" && name.starts_with("job-")),
                "{report:#}"
            );
        }
        done.store(true, Ordering::Relaxed);
        assert!(churn.join().unwrap() > 0);
    });
    world.check(0);
}

#[needs(podman)]
fn podman_without_an_image_and_with_pods() {
    let engine = Engine::podman().unwrap();
    let world = declaring(&engine);
    let root = root(&world.path(""));
    engine.import(&root, "localhost/app:1");
    // The engine keeps what it needs in the directory itself.
    let bare = world.path("bare");
    fs::rename(&root, &bare).unwrap();
    engine.run(&[
        "create",
        "--name",
        "bare",
        "--network",
        "none",
        "--rootfs",
        bare.to_str().unwrap(),
        "/bin/sleep",
        "9",
    ]);
    let pod = || {
        let infra = ["--infra-image", "localhost/app:1", "--infra-command", "/bin/sleep"];
        engine.run(&[&["pod", "create", "--name", "shop", "--network", "none"], &infra[..]].concat());
        engine.create("web", "localhost/app:1", &["--pod", "shop"]);
    };
    pod();
    world.lock();
    let entry = world.entry("bare");
    let id = json!(null);
    assert_eq!(
        (&entry["image"], entry.get("image_id").unwrap_or(&id), &entry["state"]),
        (&"".into(), &id, &"created".into())
    );
    assert_eq!(world.entry("web")["networks"], json!(["container:shop-infra"]));
    assert_eq!(world.entry("shop-infra")["networks"], json!(["none"]));
    world.check(0);
    engine.run(&["pod", "rm", "--force", "shop"]);
    pod();
    world.check(0);
    engine.run(&["pod", "rm", "--force", "shop"]);
    let gone = ["shop-infra", "web"].map(|name| ("removed".to_owned(), name.to_owned()));
    assert_eq!(drift(&world.check(1)), gone);
    engine.remove("bare");
}

/// A task that takes the place of another one is no drift, and a replica more is.
#[needs(docker)]
fn replicas_of_swarm() {
    let engine = Engine::docker().unwrap();
    let world = World::declaring("");
    let socket = engine.socket();
    let text = format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"containers\"\nsocket = {socket:?}\n\
         attributes = [\"state\", \"mounts\", \"networks\", \"ports\", \"labels\", \"env\"]\n\
         labels = {{ \"com.docker.swarm.service.name\" = \"web\" }}\n"
    );
    fs::write(world.path("driftlock.toml"), text).unwrap();
    engine.import(&root(&world.path("")), "localhost/app:1");
    engine.create("beside", "localhost/app:1", &["--network", "none"]);
    engine.run(&["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1"]);
    let service = ["--name", "web", "--network", "host", "--replicas", "2", "--stop-grace-period", "0s"];
    engine.run(&[&["service", "create", "--quiet"], &service[..], &["localhost/app:1", "/bin/sleep", "1000"]].concat());
    world.lock();
    let before = engine.run(&["ps", "--all", "--quiet", "--no-trunc", "--filter", "status=running"]);
    assert_eq!(world.entry("web.1")["state"], "running");
    assert_eq!(world.entry("web.2")["image"], world.entry("web.1")["image"]);
    world.check(0);
    engine.run(&["service", "update", "--quiet", "--force", "web"]);
    let after = engine.run(&["ps", "--all", "--quiet", "--no-trunc", "--filter", "status=running"]);
    assert!(before.lines().all(|id| !after.contains(id)), "these are other containers: {before}, {after}");
    world.check(0);
    engine.run(&["service", "scale", "web=3"]);
    assert_eq!(drift(&world.check(1)), [("added".to_owned(), "web.3".to_owned())]);
    // The line to paste finds it under the name that Docker knows it by.
    let text = world.driftlock(["check"]).code(1).stdout();
    let line = crate::next::lines::line(&text, "see it");
    let seen = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(seen.contains(" web.3.") && !seen.contains(" web.1."), "{line}\n{seen}");
    engine.run(&["swarm", "leave", "--force"]);
    engine.remove("beside");
}
