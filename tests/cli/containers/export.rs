//! `driftlock export`, and `lock --from` what it wrote: the seed's way to a new baseline.

use std::fs;
use std::path::Path;
use std::process::Command;

use needs::needs;
use serde_json::{Value, json};

use super::engines::{Engine, root};
use super::fake::{Reply, answer, inspected, list, listen, well_behaved};
use crate::harness::World;

/// In all places where an engine keeps secrets.
const SECRET: &str = "hunter2-swordfish";

const DECLARATION: &str = r#"locks = "audit/locks"
reports = "audit/runtime"

[check.compose_hashes]
kind = "files"
root = "infra/stacks"
include = ["*/docker-compose*.yml"]
lock = "compose_sha256.lock.txt"

[check.addon_hashes]
kind = "trees"
root = "odoo_modules"

[check.docker_images]
kind = "containers"
socket = "SOCKET"
containers = ["web"]
modes = ["server"]
"#;

fn stack(socket: &Path) -> World {
    let world = World::declaring(&DECLARATION.replace("SOCKET", socket.to_str().unwrap()));
    for path in ["infra/stacks/edge/docker-compose.yml", "infra/stacks/odoo/docker-compose.yml", "odoo_modules/qr/a.py"]
    {
        fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
        fs::write(world.path(path), format!("{path}: {SECRET}")).unwrap();
    }
    world
}

fn files(world: &World, directory: &str) -> Vec<String> {
    let mut find = Command::new("find");
    find.args([directory, "-type", "f", "-printf", "%P\n"]);
    let mut files: Vec<_> = world.command(find).code(0).stdout().lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[needs(docker)]
fn of_a_real_engine() {
    let engine = Engine::docker().unwrap();
    let world = stack(&engine.socket());
    engine.import(&root(&world.path("")), "app:1");
    let secrets = ["--env".to_owned(), format!("TOKEN={SECRET}"), "--label".to_owned(), format!("note={SECRET}")];
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    let volume = ["--volume", "data:/data", "--volume", "/anonymous", "--network", "none"];
    engine.run(&[&["create", "--name", "web"], &secrets[..], &volume, &["app:1", "/bin/sleep", SECRET]].concat());
    engine.create("other", "app:1", &["--network", "none"]);
    let device = format!("device={SECRET}");
    engine.run(&[
        "volume",
        "create",
        "--label",
        &format!("l={SECRET}"),
        "--opt",
        "type=tmpfs",
        "--opt",
        &device,
        "labelled",
    ]);

    let text = world.driftlock(["export", "--output", "out/first"]).code(0).stdout();
    assert!(text.contains("wrote out/first/locks/compose_sha256.lock.txt: 2 entries\n"), "{text}");
    assert_eq!(
        files(&world, "out/first"),
        [
            "SUMMARY.md",
            "config_hashes.txt",
            "engine/containers.json",
            "engine/images.json",
            "engine/networks.json",
            "engine/volumes.json",
            "locks/addon_hashes.lock.json",
            "locks/compose_sha256.lock.txt",
            "locks/docker_images.lock.json",
        ]
    );
    let mut grep = Command::new("grep");
    grep.args(["-rF", SECRET, "out"]);
    world.command(grep).code(1);

    // The same state gives the same bytes.
    world.driftlock(["export", "--output", "out/second"]).code(0);
    let mut diff = Command::new("diff");
    diff.args(["-r", "out/first", "out/second"]);
    world.command(diff).code(0);

    // What other programs say of the same.
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--strict", "out/first/config_hashes.txt"]);
    assert_eq!(world.command(sums).code(0).stdout().lines().count(), 2);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(world.path("out/first/engine").join(name)).unwrap()).unwrap()
    };
    let names = |value: &Value, key: &str| -> Vec<Value> {
        value.as_array().unwrap().iter().map(|item| item[key].clone()).collect()
    };
    assert_eq!(names(&read("containers.json"), "path"), ["other", "web"]);
    assert_eq!(read("containers.json")[1]["env"], json!(["TOKEN"]));
    let id = engine.run(&["image", "inspect", "--format", "{{.Id}}", "app:1"]);
    assert_eq!(read("images.json"), json!([{"id": id, "repo_tags": ["app:1"], "repo_digests": []}]));
    assert_eq!(names(&read("networks.json"), "name"), ["host", "none"]);
    assert_eq!(names(&read("volumes.json"), "name"), ["data", "labelled"]);
    let summary = fs::read_to_string(world.path("out/first/SUMMARY.md")).unwrap();
    assert!(summary.contains(&format!("| web | app:1 | {id} | created |\n")), "{summary}");
    assert!(
        summary.contains("| docker\\_images | containers |  | 1 | locks/docker\\_images.lock.json |\n"),
        "{summary}"
    );

    // Option 1 of the seed: the export becomes the baseline.
    let text = world.driftlock(["lock", "--from", "out/first", "--dry-run"]).code(0).stdout();
    assert!(text.contains("would write audit/locks/docker_images.lock.json: 1 entry"), "{text}");
    world.driftlock(["lock", "--from", "out/first"]).code(0);
    let mut diff = Command::new("diff");
    diff.args(["-r", "-x", ".*", "out/first/locks", "audit/locks"]);
    world.command(diff).code(0);
    world.driftlock(["check"]).code(0);
    world.driftlock(["lock"]).code(0);
    let mut diff = Command::new("diff");
    diff.args(["-r", "-x", ".*", "out/first/locks", "audit/locks"]);
    world.command(diff).code(0);
    let text = world.driftlock(["lock", "--from", "out/second"]).code(0).stdout();
    assert_eq!(text.lines().filter(|line| line.starts_with("unchanged ")).count(), 3, "{text}");
}

#[test]
fn what_can_t_be_promoted() {
    let world = stack(Path::new("engine.sock"));
    let _ = listen(&world.path("engine.sock"), well_behaved);
    world.driftlock(["export", "--output", "out"]).code(0);
    world.driftlock(["lock", "--from", "out"]).code(0);
    let before = fs::read(world.path("audit/locks/addon_hashes.lock.json")).unwrap();
    let lock = "out/locks/addon_hashes.lock.json";
    let refused = |message: &str| {
        let said = world.driftlock(["lock", "--from", "out", "--check", "addon_hashes"]).code(2).stderr();
        assert!(said.contains(message), "{said}");
        assert_eq!(fs::read(world.path("audit/locks/addon_hashes.lock.json")).unwrap(), before);
    };
    let text = String::from_utf8(before.clone()).unwrap();
    fs::write(world.path(lock), text.replace("\"size\":", "\"size\":1")).unwrap();
    refused("out/locks/addon_hashes.lock.json is refused: its entries have the digest");
    fs::write(world.path(lock), text.replace("\"check\": \"addon_hashes\"", "\"check\": \"other\"")).unwrap();
    refused("it belongs to the check other");
    fs::remove_file(world.path(lock)).unwrap();
    refused("the export out has no lock of the check addon_hashes");
    let said = world.driftlock(["lock", "--from", "nowhere"]).code(2).stderr();
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn what_can_t_be_exported() {
    let world = stack(Path::new("engine.sock"));
    // An engine that is not there, and one file too many: the rest is exported, and both are said.
    let said = world.driftlock(["export", "--output", "out"]).code(2).stderr();
    assert!(said.contains("engine.sock could not be connected to"), "{said}");
    assert_eq!(files(&world, "out").iter().filter(|name| name.starts_with("locks/")).count(), 2);
    assert!(fs::read_to_string(world.path("out/SUMMARY.md")).unwrap().contains("This export is not complete."));
    // Nothing is mixed into what is there.
    let said = world.driftlock(["export", "--output", "out"]).code(2).stderr();
    assert!(said.contains("the directory out is not empty"), "{said}");
    // Nor written where a check looks.
    let said = world.driftlock(["export", "--output", "odoo_modules/out"]).code(2).stderr();
    assert!(said.contains("would record driftlock's own files"), "{said}");
    assert!(!world.path("odoo_modules/out").exists());
    // An engine that lies about its images.
    let _ = listen(&world.path("engine.sock"), |target| match target {
        "/v1.41/images/json" => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
        "/v1.41/containers/json?all=1" => answer(200, list()),
        _ if target.starts_with("/v1.41/containers/") => answer(200, inspected()),
        _ => well_behaved(target),
    });
    let said = world.driftlock(["export", "--output", "lied"]).code(2).stderr();
    assert!(said.contains("could not be asked: its answer is malformed"), "{said}");
    assert!(world.path("lied/locks/docker_images.lock.json").exists(), "the check went well");
    assert!(!world.path("lied/engine").exists());
}
