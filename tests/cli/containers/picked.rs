//! Which containers a check records: by patterns, by labels, and without what lives for a moment.

use serde_json::{Value, json};

use super::recorded::{Recorded, container, id, start};
use crate::harness::{World, drift, the_check, unverified};

fn world(more: &str) -> World {
    World::declaring(&format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"containers\"\nsocket = \"engine.sock\"\n{more}\n"
    ))
}

/// A container that Compose has made.
fn of_compose(digit: char, name: &str, project: &str, one_off: &str) -> Value {
    let labels = json!({
        "com.docker.compose.project": project,
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": one_off,
    });
    container(digit, name, &json!({"Config": {"Labels": labels}}))
}

fn all() -> Recorded {
    Recorded {
        containers: vec![
            of_compose('1', "shop-web-1", "shop", "False"),
            of_compose('2', "shop-db-1", "shop", "False"),
            of_compose('3', "shop-web-run-5d8c8e1ff0a6", "shop", "True"),
            of_compose('4', "blog-web-1", "blog", "False"),
            container('5', "traefik", &json!({"Config": {"Labels": null}})),
        ],
        images: [(format!("sha256:{}", id('e')), Vec::new())].into(),
        ..Recorded::default()
    }
}

/// The names in the lock.
fn names(world: &World) -> Vec<String> {
    let lock: Value = serde_json::from_slice(&world.lock_bytes()).unwrap();
    lock["entries"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_picked() {
    const ONE_OFF: &str = "shop-web-run-5d8c8e1ff0a6";
    // The unit tests of `src/container/picks.rs` have all the rules.
    for (more, expected) in [
        ("", &["blog-web-1", "shop-db-1", "shop-web-1", "traefik"][..]),
        ("containers = [\"traefik\", \"shop-web-run-5d8c8e1ff0a6\"]", &[ONE_OFF, "traefik"]),
        (
            "labels = { \"com.docker.compose.project\" = \"shop\", \"com.docker.compose.service\" = \"web\" }\nexclude = [\"*db*\"]\none_off = true",
            &["shop-web-1", ONE_OFF],
        ),
    ] {
        let world = world(more);
        start(&world, all());
        world.lock();
        assert_eq!(names(&world), expected, "{more}");
        let report = world.check(0);
        assert_eq!(the_check(&report)["uncovered"], json!([]), "{more}");
    }
}

/// A new container that a pattern picks is drift, and one that it does not pick is none.
#[test]
fn what_is_new() {
    let world = world("containers = [\"shop-*\"]");
    let (engine, _) = start(&world, all());
    world.lock();
    engine.lock().unwrap().containers.push(of_compose('6', "blog-web-2", "blog", "False"));
    world.check(0);
    engine.lock().unwrap().containers.push(of_compose('7', "shop-web-2", "shop", "False"));
    assert_eq!(drift(&world.check(1)), [("added".to_owned(), "shop-web-2".to_owned())]);
}

/// A pattern that matches nothing is said, and trouble where that is asked for; a name that is not there always is.
#[test]
fn what_matches_nothing() {
    let declared = "containers = [\"shop-*\", \"shpo-*\"]\nexclude = [\"old-*\"]";
    let world = world(declared);
    start(&world, all());
    world.lock();
    let report = world.check(0);
    let expected = json!([{"list": "exclude", "glob": "old-*"}, {"list": "containers", "glob": "shpo-*"}]);
    let sorted = |value: &Value| {
        let mut items: Vec<String> = value.as_array().unwrap().iter().map(Value::to_string).collect();
        items.sort();
        items
    };
    assert_eq!(sorted(&the_check(&report)["uncovered"]), sorted(&expected));
    let text = world.driftlock(["check"]).code(0).stdout();
    assert!(text.contains("containers \"shpo-*\""), "{text}");
    let text = std::fs::read_to_string(world.path("driftlock.toml")).unwrap();
    std::fs::write(world.path("driftlock.toml"), format!("{text}uncovered = \"trouble\"\n")).unwrap();
    world.check(2);

    let ghost =
        self::world("containers = [\"shop-*\", \"ghost\"]\nlabels = { \"com.docker.compose.project\" = \"shop\" }");
    start(&ghost, all());
    let refused = ghost.driftlock(["lock"]).code(2).stderr();
    assert!(refused.contains("ghost: it is declared, and the engine has no such container"), "{refused}");
    let text = std::fs::read_to_string(ghost.path("driftlock.toml")).unwrap();
    std::fs::write(ghost.path("driftlock.toml"), text.replace(", \"ghost\"", "")).unwrap();
    ghost.lock();
    std::fs::write(ghost.path("driftlock.toml"), text).unwrap();
    assert_eq!(unverified(&ghost.check(2)), ["ghost"]);
    let none = self::world("labels = { \"com.docker.compose.project\" = \"shpo\" }");
    start(&none, all());
    let refused = none.driftlock(["lock"]).code(2).stderr();
    assert!(refused.contains("the engine has no containers that the check picks"), "{refused}");
}

/// A container of Swarm's.
fn task(digit: char, service: &str, task: &str, state: &str, created: u64) -> Value {
    let labels = json!({
        "com.docker.swarm.node.id": "isnjymd16viq8tnzv50vagqbl",
        "com.docker.swarm.service.id": format!("{digit}service"),
        "com.docker.swarm.service.name": service,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task,
        "com.docker.swarm.task.name": format!("{service}.1.{task}"),
    });
    let more = json!({"Config": {"Labels": labels}, "State": {"Status": state}, "ListedCreated": created});
    container(digit, &format!("{service}.1.{task}"), &more)
}

/// A slot of a service is one entry, whichever task is in it; the tasks that Swarm keeps to look back on are not.
#[test]
fn the_slots_of_swarm() {
    let world = world("attributes = [\"state\", \"labels\"]\ncontainers = [\"shop_web.*\"]");
    let engine =
        Recorded { containers: vec![task('1', "shop_web", "x0qjfi3tyutdo0vuowmdgvpx6", "running", 1)], ..all() };
    let (engine, _) = start(&world, engine);
    world.lock();
    assert_eq!(names(&world), ["shop_web.1"]);
    engine.lock().unwrap().containers = vec![
        task('1', "shop_web", "x0qjfi3tyutdo0vuowmdgvpx6", "exited", 9),
        task('2', "shop_web", "n8u0xvnbksgpo6b96bjn4v5ef", "running", 2),
        task('3', "shop_web", "wvfw32wkhr6d3a0h9cp86s37j", "exited", 3),
    ];
    world.check(0);
    // Where none runs, the last one counts.
    engine.lock().unwrap().containers.remove(1);
    assert_eq!(drift(&world.check(1)), [("state_changed".to_owned(), "shop_web.1".to_owned())]);
    // A container that a user has called so is another one.
    let own = container('4', "shop_web.1", &json!({"State": {"Status": "running"}}));
    engine.lock().unwrap().containers.push(own);
    let changes = drift(&world.check(1));
    assert_eq!(changes[0], ("labels_changed".to_owned(), "shop_web.1".to_owned()));
    assert_eq!(changes.len(), 2, "{changes:?}");
}

/// What Compose calls a container while the one before it is still there, and keeps calling it if it is interrupted.
#[test]
fn a_container_that_compose_has_not_renamed() {
    let world = world("");
    let (engine, _) = start(&world, all());
    world.lock();
    engine.lock().unwrap().containers[0] = of_compose('8', "0f6e8b1c2d3a_shop-web-1", "shop", "False");
    world.check(0);
    engine.lock().unwrap().containers.push(of_compose('9', "shop-web-1", "shop", "False"));
    assert_eq!(drift(&world.check(1)), [("added".to_owned(), "0f6e8b1c2d3a_shop-web-1".to_owned())]);
}
