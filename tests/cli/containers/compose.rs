//! A Compose project: what its files declare, against an engine that a test has in its hands, and against real ones.

mod locks;
mod page;
mod real;
mod refused;
mod sealed;

use serde_json::{Value, json};

use super::recorded::{Recorded, Shared, container, id, start};
use crate::harness::{World, drift, the_check, unverified};

/// What Docker Compose 2.26.1 prints of `compose/compose.yaml` beside this: `docker compose config --format json`.
pub const CONFIG: &str = include_str!("compose/config.json");
/// And `docker compose config --hash '*'`.
pub const HASHES: &str = include_str!("compose/hashes");
/// The value of a variable in there.
const SECRET: &str = "hunter2-swordfish";

pub const DECLARATION: &str = "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"compose\"\n\
                           socket = \"engine.sock\"\nconfig = \"shop.json\"\n";

/// The hash of a service.
pub fn hash(service: &str) -> &'static str {
    HASHES.lines().find_map(|line| line.strip_prefix(service)?.strip_prefix(' ')).unwrap()
}

/// A world with the project, and its hashes if they are wanted.
fn world(hashes: bool) -> World {
    let world = World::declaring(DECLARATION);
    write(&world, "shop.json", CONFIG);
    if hashes {
        write(&world, "driftlock.toml", &format!("{DECLARATION}hashes = \"shop.hashes\"\n"));
        write(&world, "shop.hashes", HASHES);
    }
    world
}

pub fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.path(name), text).unwrap();
}

/// A container as Compose makes one.
pub fn made(digit: char, name: &str, service: &str, image: &str, state: &str) -> Value {
    let labels = json!({
        "com.docker.compose.config-hash": hash(service),
        "com.docker.compose.container-number": name.rsplit('-').next(),
        "com.docker.compose.depends_on": "",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project": "shop",
        "com.docker.compose.project.config_files": "/srv/shop/compose.yaml",
        "com.docker.compose.project.working_dir": "/srv/shop",
        "com.docker.compose.service": service,
        "com.docker.compose.version": "2.26.1",
    });
    container(digit, name, &json!({"Config": {"Image": image, "Labels": labels}, "State": {"Status": state}}))
}

/// All that the project declares.
pub fn all() -> Recorded {
    let postgres = format!("postgres@sha256:{}", id('f'));
    Recorded {
        containers: vec![
            made('1', "shop-web-1", "web", "shop/web:1", "running"),
            made('2', "shop-web-2", "web", "shop/web:1", "running"),
            made('3', "shop-worker-1", "worker", "shop/web:1", "running"),
            made('4', "shop-init-1", "init", "shop/web:1", "exited"),
            made('5', "shop-migrate-1", "migrate", "shop/web:1", "exited"),
            made('6', "shop-built-1", "built", "shop-built", "running"),
            made('7', "the-db", "db", &postgres, "running"),
            // Of others.
            container('8', "traefik", &json!({})),
            container('9', "blog-web-1", &json!({"Config": {"Labels": {"com.docker.compose.project": "blog"}}})),
        ],
        images: [(format!("sha256:{}", id('e')), Vec::new())].into(),
        ..Recorded::default()
    }
}

fn find<'a>(engine: &'a mut Recorded, name: &str) -> &'a mut Value {
    engine.containers.iter_mut().find(|body| body["Name"] == format!("/{name}")).unwrap()
}

pub fn label(engine: &Shared, name: &str, label: &str, value: &str) {
    find(&mut engine.lock().unwrap(), name)["Config"]["Labels"][format!("com.docker.compose.{label}")] = value.into();
}

pub fn set_state(engine: &Shared, name: &str, state: &str) {
    find(&mut engine.lock().unwrap(), name)["State"]["Status"] = state.into();
}

pub fn set_image(engine: &Shared, name: &str, image: &str) {
    find(&mut engine.lock().unwrap(), name)["Config"]["Image"] = image.into();
}

pub fn remove(engine: &Shared, name: &str) {
    engine.lock().unwrap().containers.retain(|body| body["Name"] != format!("/{name}"));
}

/// A locked project that is as its files say, both with hashes and without.
fn both(of: impl Fn(&World, &Shared, bool)) {
    for hashes in [false, true] {
        let world = world(hashes);
        let (engine, _) = start(&world, all());
        world.lock();
        let report = world.check(0);
        assert_eq!(the_check(&report)["counts"]["verified"], 7);
        of(&world, &engine, hashes);
    }
}

pub fn one(change: &str, name: &str) -> Vec<(String, String)> {
    vec![(change.to_owned(), name.to_owned())]
}

fn text(world: &World) -> String {
    world.driftlock(["check"]).code(1).stdout()
}

#[test]
fn what_is_as_declared_is_verified_and_locked() {
    both(|world, _, _| {
        let lock = String::from_utf8(world.lock_bytes()).unwrap();
        assert!(lock.contains("\n\"kind\": \"compose\",\n\"attributes\": [\"state\", \"compose\"],\n"), "{lock}");
        let line = format!(
            "\"state\":\"exited\",\"compose\":{{\"project\":\"shop\",\"service\":\"migrate\",\"config_hash\":\"{}\"}}}}",
            hash("migrate")
        );
        assert!(lock.contains(&line), "{lock}");
        assert!(!lock.contains(SECRET));
        let said = world.driftlock(["check"]).code(0).stdout();
        assert!(said.contains("[INFO] Checking tree containers...\n[PASS] Tree containers match baseline\n"), "{said}");
        assert_eq!(world.lock().stdout(), "unchanged locks/tree.lock.json: 7 entries\n");
        let report = world.check(0);
        let check = the_check(&report);
        assert_eq!((&check["kind"], &check["digest"]), (&"compose".into(), &Value::Null));
        assert!(check["live_digest"].is_string());
        let said = world.driftlock(["capabilities"]).code(0).stdout();
        for part in
            ["shop.json  (what Compose says of the check tree)", "records the containers of its Compose project"]
        {
            assert!(said.contains(part), "{said}");
        }
    });
}

#[test]
fn a_service_that_does_not_run() {
    both(|world, engine, _| {
        // Compose does not make this one any more.
        remove(engine, "shop-web-2");
        assert_eq!(drift(&world.check(1)), one("removed", "shop-web-2"));
        let said = text(world);
        assert!(said.contains("[FAIL] Tree drift: shop-web-2\n    removed: container, image shop/web:1"), "{said}");
        assert!(
            said.contains("service web\n    Likely the stack is not what its files declare: bring it up"),
            "{said}"
        );
        assert!(!said.contains("driftlock accept"), "{said}");
        remove(engine, "the-db");
        let expected = [one("removed", "shop-web-2"), one("removed", "the-db")].concat();
        assert_eq!(drift(&world.check(1)), expected);
        // There, and not running. That it was locked so changes nothing.
        *engine.lock().unwrap() = all();
        for state in ["exited", "created", "paused", "restarting", "dead"] {
            set_state(engine, "shop-worker-1", state);
            assert_eq!(drift(&world.check(1)), one("state_changed", "shop-worker-1"));
            assert!(text(world).contains(&format!("    state changed: running → {state}\n")));
            world.lock();
            assert_eq!(drift(&world.check(1)), one("state_changed", "shop-worker-1"));
        }
        set_state(engine, "shop-worker-1", "running");
        world.check(0);
    });
}

/// One that others wait for until it is done, and one that is never restarted, by what the files say: they may run, and they
/// may be done. They have to have been started.
#[test]
fn jobs() {
    both(|world, engine, _| {
        for job in ["shop-init-1", "shop-migrate-1"] {
            set_state(engine, job, "running");
            world.check(0);
            set_state(engine, job, "created");
            assert_eq!(drift(&world.check(1)), one("state_changed", job));
            remove(engine, job);
            assert_eq!(drift(&world.check(1)), one("removed", job));
            *engine.lock().unwrap() = all();
        }
    });
}

#[test]
fn what_no_service_declares() {
    both(|world, engine, _| {
        // A service that the files have no more, one of a profile that is not active, and one container too many.
        let orphan = |digit, name: &str, service: &str| {
            let mut body = made(digit, name, "web", "shop/web:1", "exited");
            body["Config"]["Labels"]["com.docker.compose.service"] = service.into();
            body
        };
        for (name, service) in [("shop-old-1", "old"), ("shop-debug-1", "debug"), ("shop-off-1", "off"), ("x", "")] {
            engine.lock().unwrap().containers.push(orphan('a', name, service));
            assert_eq!(drift(&world.check(1)), one("added", name));
            world.lock();
            assert_eq!(drift(&world.check(1)), one("added", name), "it is in the lock now, and nothing declares it");
            remove(engine, name);
            world.check(0);
        }
        engine.lock().unwrap().containers.push(made('a', "shop-web-3", "web", "shop/web:1", "running"));
        assert_eq!(drift(&world.check(1)), one("added", "shop-web-3"));
        remove(engine, "shop-web-3");
        // One that was put in the place of a container that Compose had made.
        engine.lock().unwrap().containers.push(made('a', "a", "web", "shop/web:1", "running"));
        assert_eq!(drift(&world.check(1)), one("added", "a"));
        remove(engine, "a");
        // What `docker compose run` has started is nothing that is declared, and no replica.
        engine.lock().unwrap().containers.push(made('a', "shop-web-run-5d8c8e1ff0a6", "web", "shop/web:1", "running"));
        label(engine, "shop-web-run-5d8c8e1ff0a6", "oneoff", "True");
        world.check(0);
    });
}

/// Compose numbers what it makes anew from the highest number on.
#[test]
fn numbers_are_no_names() {
    both(|world, engine, _| {
        remove(engine, "shop-web-1");
        engine.lock().unwrap().containers.push(made('a', "shop-web-3", "web", "shop/web:1", "running"));
        world.check(0);
        label(engine, "shop-web-3", "config-hash", &id('0'));
        assert_eq!(drift(&world.check(1)), one("compose_changed", "shop-web-3"));
        remove(engine, "shop-web-2");
        let expected = [one("removed", "shop-web-1"), one("compose_changed", "shop-web-3")].concat();
        assert_eq!(drift(&world.check(1)), expected);
    });
}

#[test]
fn another_image() {
    both(|world, engine, _| {
        set_image(engine, "shop-web-1", "shop/web:2");
        assert_eq!(drift(&world.check(1)), one("image_changed", "shop-web-1"));
        assert!(text(world).contains("    image changed: shop/web:1 → shop/web:2\n"), "{}", text(world));
        // That it was locked so changes nothing.
        world.lock();
        let report = world.check(1);
        assert_eq!(drift(&report), one("image_changed", "shop-web-1"));
        assert_eq!(the_check(&report)["drift"][0]["expected"]["image"], "shop/web:1");
        *engine.lock().unwrap() = all();
        world.lock();
        // As Podman calls it.
        set_image(engine, "shop-web-1", "localhost/shop/web:1");
        set_image(engine, "shop-built-1", "localhost/shop-built:latest");
        let said = world.driftlock(["check", "--json"]).command.output().unwrap();
        let said: Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(drift(&said).len(), 2, "it was locked under another name: {said:#}");
        world.lock();
        world.check(0);
        *engine.lock().unwrap() = all();
        world.lock();
        // A digest that is declared is one of those of the image.
        set_image(engine, "the-db", "postgres:16");
        assert_eq!(drift(&world.check(1)), one("image_changed", "the-db"));
        let id_of_image = format!("sha256:{}", id('e'));
        let known = vec![format!("postgres@sha256:{}", id('f'))];
        engine.lock().unwrap().images.insert(id_of_image, known);
        world.lock();
        world.check(0);
        // The same name, and another image under it: only the lock tells.
        find(&mut engine.lock().unwrap(), "shop-web-1")["Image"] = format!("sha256:{}", id('d')).into();
        engine.lock().unwrap().images.insert(format!("sha256:{}", id('d')), Vec::new());
        let found = drift(&world.check(1));
        assert_eq!(found, one("image_rebuilt", "shop-web-1"));
        world.lock();
        world.check(0);
    });
}

#[test]
fn another_configuration() {
    both(|world, engine, hashes| {
        label(engine, "shop-worker-1", "config-hash", &id('0'));
        assert_eq!(drift(&world.check(1)), one("compose_changed", "shop-worker-1"));
        let said = text(world);
        let line = format!("    compose changed: config_hash {}… → 000000…\n", &hash("worker")[..6]);
        assert!(said.contains(&line), "{said}");
        world.lock();
        // Where Compose's own figure was handed over, the lock has no say.
        if hashes {
            assert_eq!(drift(&world.check(1)), one("compose_changed", "shop-worker-1"));
        } else {
            world.check(0);
        }
    });
}

/// The files went on and the stack did not: nothing that runs has changed, and it is not what they say.
#[test]
fn the_files_change() {
    both(|world, engine, hashes| {
        let config = |from: &str, to: &str| {
            assert!(CONFIG.contains(from), "{from}");
            write(world, "shop.json", &CONFIG.replacen(from, to, 1));
        };
        config("\"scale\": 2", "\"scale\": 3");
        assert_eq!(drift(&world.check(1)), one("removed", "shop-web-3"));
        config("\"scale\": 2", "\"scale\": 1");
        assert_eq!(drift(&world.check(1)), one("added", "shop-web-2"));
        config(
            "\"image\": \"shop/web:1\",\n      \"network_mode\": \"none\",\n      \"scale\": 2",
            "\"image\": \"shop/web:2\", \"scale\": 2",
        );
        let expected = [one("image_changed", "shop-web-1"), one("image_changed", "shop-web-2")].concat();
        assert_eq!(drift(&world.check(1)), expected);
        // It is brought up, which the lock does not know yet: it has the image that this name meant before.
        set_image(engine, "shop-web-1", "shop/web:2");
        set_image(engine, "shop-web-2", "shop/web:2");
        assert_eq!(drift(&world.check(1)), expected);
        world.lock();
        world.check(0);
        // A service that is new is not there, and then it is not locked.
        *engine.lock().unwrap() = all();
        config("\"services\": {", "\"services\": {\"mail\": {\"image\": \"mail\"},");
        if hashes {
            let refused = world.driftlock(["check"]).code(2).stdout();
            assert!(refused.contains("shop.hashes is refused: it has no hash of the service mail"), "{refused}");
            write(world, "shop.hashes", &format!("{HASHES}mail {}\n", id('0')));
        }
        world.lock();
        assert_eq!(drift(&world.check(1)), one("removed", "shop-mail-1"));
        let mut mail = made('a', "shop-mail-1", "web", "mail", "running");
        mail["Config"]["Labels"]["com.docker.compose.service"] = "mail".into();
        mail["Config"]["Labels"]["com.docker.compose.config-hash"] = id('0').into();
        engine.lock().unwrap().containers.push(mail);
        assert_eq!(drift(&world.check(1)), one("added", "shop-mail-1"));
        world.lock();
        world.check(0);
        if hashes {
            write(world, "shop.hashes", &format!("{HASHES}mail {}\n", id('0')).replace(hash("web"), &id('1')));
            let expected = [one("compose_changed", "shop-web-1"), one("compose_changed", "shop-web-2")].concat();
            assert_eq!(drift(&world.check(1)), expected);
        }
    });
}

/// What the engine can't tell about is neither removed nor verified.
#[test]
fn a_container_that_the_engine_fails_at() {
    both(|world, engine, _| {
        engine.lock().unwrap().instead.push((format!("containers/{}", id('2')), 500));
        let report = world.check(2);
        assert_eq!((drift(&report), unverified(&report)), (Vec::new(), vec!["shop-web-2".to_owned()]));
        set_state(engine, "shop-web-1", "exited");
        assert_eq!(drift(&world.check(3)), one("state_changed", "shop-web-1"));
    });
}
