//! `docker_images.lock.json`

use std::fs;

use super::{drift, the};
use crate::containers::engines::{Engine, root};
use crate::harness::World;
use needs::needs;

pub const LOCK: &str = "audit/locks/docker_images.lock.json";

/// A declaration of the containers of an engine; without `lock`, since that is what the lock is called anyway.
pub fn declaring(socket: &str, more: &str) -> World {
    let world = World::declaring(&format!("[check.docker_images]\nkind = \"containers\"\nsocket = {socket:?}\n{more}"));
    fs::create_dir_all(world.path("audit/locks")).unwrap();
    world
}

/// The lock as the scripts write it, of what Docker's own client says.
pub fn lock(engine: &Engine, containers: &[&str]) -> String {
    let image = |name: &&str| {
        let said = engine.run(&[
            "inspect",
            "--format",
            "{\"image\": \"{{.Config.Image}}\", \"imageId\": \"{{.Image}}\"}",
            name,
        ]);
        format!("    \"{name}\": {said}")
    };
    let images: Vec<_> = containers.iter().map(image).collect();
    format!(
        "{{\n  \"generated_at\": \"2026-01-29T15:30:42+09:00\",\n  \"images\": {{\n{}\n  }}\n}}\n",
        images.join(",\n")
    )
}

#[needs(docker)]
fn a_real_engine() {
    let engine = Engine::docker().unwrap();
    let world = declaring(engine.socket().to_str().unwrap(), "");
    let image = root(&world.path(""));
    engine.import(&image, "traefik:v3.1");
    engine.create("traefik", "traefik:v3.1", &[]);
    engine.create("odoo18-prod-web", "traefik:v3.1", &[]);
    let old = lock(&engine, &["traefik", "odoo18-prod-web"]);
    fs::write(world.path(LOCK), &old).unwrap();
    let text = world.driftlock(["check"]).code(0).stdout();
    for line in [
        "[WARN] Docker: audit/locks/docker_images.lock.json is an old lock, blind to the digests that registries know \
         images by, and to all settings of containers",
        "[PASS] Docker images match baseline",
        "OVERALL: PASS",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let report = world.driftlock(["check", "--json"]).code(0).json();
    let check = the(&report, "docker_images");
    assert_eq!((&check["old_lock"], &check["counts"]["verified"]), (&"container_images".into(), &2.into()));

    // Another tag, a container that is gone, one that is new, and an image that was built anew.
    engine.run(&["tag", "traefik:v3.1", "traefik:v3.2"]);
    engine.remove("traefik");
    engine.create("traefik", "traefik:v3.2", &[]);
    engine.remove("odoo18-prod-web");
    engine.create("new", "traefik:v3.1", &[]);
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!(drift(&report, "docker_images"), ["added new", "removed odoo18-prod-web", "image_changed traefik"]);
    fs::write(image.join("etc/nginx/nginx.conf"), "changed").unwrap();
    engine.import(&image, "traefik:v3.1");
    engine.create("odoo18-prod-web", "traefik:v3.1", &[]);
    engine.remove("new");
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!(drift(&report, "docker_images"), ["image_rebuilt odoo18-prod-web", "image_changed traefik"]);

    let said = world.driftlock(["diff", LOCK, "live"]).code(1).stdout();
    assert!(said.contains("image rebuilt: odoo18-prod-web"), "{said}");

    // An export is the way of the scripts to a new lock, `lock` is another.
    world.driftlock(["export", "--output", "runtime"]).code(0);
    let said = world.driftlock(["lock", "--from", "runtime", "--dry-run"]).code(0).stdout();
    assert!(said.starts_with(&format!("would write {LOCK}: 2 entries, 2 changed since the last lock\n")), "{said}");
    assert_eq!(fs::read_to_string(world.path(LOCK)).unwrap(), old);
    let said = world.driftlock(["lock", "--from", "runtime"]).code(0).stdout();
    assert!(said.contains("    it replaces an old lock\n"), "{said}");
    let report = world.driftlock(["check", "--json"]).code(0).json();
    assert_eq!(the(&report, "docker_images")["old_lock"], serde_json::Value::Null);

    // The old one knows as much as it does, and no more.
    fs::write(world.path("old.json"), lock(&engine, &["traefik", "odoo18-prod-web"])).unwrap();
    world.driftlock(["diff", "old.json", LOCK]).code(0);
    let refused = world.driftlock(["diff", LOCK, "old.json"]).code(2).stderr();
    assert!(refused.contains("old.json is an old lock, which does not record everything that"), "{refused}");

    // What the check asks for beyond images is not in it.
    fs::write(world.path(LOCK), lock(&engine, &["traefik", "odoo18-prod-web"])).unwrap();
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("driftlock.toml"), format!("{declaration}attributes = [\"state\"]\n")).unwrap();
    let report = world.driftlock(["check", "--json"]).code(2).json();
    let problem = the(&report, "docker_images")["trouble"]["problem"].as_str().unwrap();
    assert!(problem.contains("it was written with attributes [], and the declaration asks for [state]"), "{problem}");
    world.lock();
    world.driftlock(["check"]).code(0);
}

#[test]
fn malformed_ones_are_refused() {
    let id = format!("sha256:{}", "ab".repeat(32));
    let good =
        format!("{{\"generated_at\": \"\", \"images\": {{\"web\": {{\"image\": \"web:1\", \"imageId\": \"{id}\"}}}}}}");
    // No engine is needed: the lock is refused before the connection.
    let world = declaring("engine.sock", "");
    for (from, to, problem) in [
        ("\"image\":", "\"image\": \"x\", \"image\":", "duplicate field `image`"),
        ("\"image\":", "\"Image\":", "unknown field `Image`"),
        ("\"image\":", "\"state\": \"up\", \"image\":", "unknown field `state`"),
        ("\"web:1\"", "\"\"", "the `image` of web is empty"),
        ("\"web:1\"", "null", "invalid type: null, expected a string"),
        ("sha256:", "", "the `imageId` of web is not `sha256:` and 64"),
        ("abab", "ABAB", "the `imageId` of web is not `sha256:` and 64"),
        ("abab", "ab", "the `imageId` of web is not `sha256:` and 64"),
        ("\"web\"", "\"/web\"", "is not a name of a container"),
        ("\"web\"", "\"\"", "is not a name of a container"),
        ("\"web\"", "\"a\\u001b[31m\\nb\"", "is not a name of a container"),
        ("\"generated_at\": \"\"", "\"generated_at\": 1", "invalid type"),
        ("\"images\": {", "\"images\": [{", "invalid type: sequence"),
        ("\"images\"", "\"image\"", "unknown field `image`"),
        ("}}}", "}}", "EOF"),
        ("}}}", "}}}}", "trailing characters"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        fs::write(world.path(LOCK), bad).unwrap();
        let report = world.driftlock(["check", "--json"]).code(2).json();
        let said = the(&report, "docker_images")["trouble"]["problem"].as_str().unwrap();
        let prefix = "the lock audit/locks/docker_images.lock.json is refused: it is an old lock, and ";
        assert!(said.starts_with(prefix) && said.contains(problem), "{said}\nand not {problem}");
        assert!(!said.contains('\u{1b}') && !said.contains('\n'), "{said:?}");
    }
    let pair = good.split_once("\"web\"").unwrap().1.trim_end_matches('}').to_owned();
    let twice = good.replacen("\"web\"", &format!("\"web\"{pair}}}, \"web\""), 1);
    for (bad, problem) in [
        (twice, "web is there twice"),
        (format!("{}{good}", " ".repeat(17 << 20)), "line 1 is longer than 16777216 bytes"),
        (format!("{good}{}", " ".repeat(17 << 20)), "it is larger than 16777216 bytes"),
        (format!("{{\"images\": {}", "[".repeat(1 << 20)), "invalid type: sequence"),
        (good.replace("generated_at", "driftlock"), "it ends in the middle, at line 1"),
    ] {
        fs::write(world.path(LOCK), bad).unwrap();
        let report = world.driftlock(["check", "--json"]).code(2).json();
        let said = the(&report, "docker_images")["trouble"]["problem"].as_str().unwrap();
        assert!(said.contains(problem), "{said:.300}\nand not {problem}");
    }
}

#[test]
fn a_container_that_the_check_does_not_record_is_refused() {
    let id = format!("sha256:{}", "ab".repeat(32));
    let world = declaring("engine.sock", "containers = [\"web\"]\n");
    let image = format!("{{\"image\": \"web:1\", \"imageId\": \"{id}\"}}");
    fs::write(world.path(LOCK), format!("{{\"images\": {{\"web\": {image}, \"db\": {image}}}}}")).unwrap();
    let report = world.driftlock(["check", "--json"]).code(2).json();
    let said = the(&report, "docker_images")["trouble"]["problem"].as_str().unwrap();
    assert!(said.contains("the container db is not among what the check records"), "{said}");
}

#[test]
fn it_is_the_lock_of_no_other_kind() {
    let world = World::declaring("[check.docker_images]\nkind = \"trees\"\nroot = \"root\"\n");
    fs::create_dir_all(world.path("audit/locks")).unwrap();
    world.write("a", "a");
    fs::write(world.path(LOCK), "{\"images\": {}}").unwrap();
    let report = world.driftlock(["check", "--json"]).code(2).json();
    let said = the(&report, "docker_images")["trouble"]["problem"].as_str().unwrap();
    assert!(said.contains("it was written for kind \"containers\", and the declaration says \"trees\""), "{said}");
}
