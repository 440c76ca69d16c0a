//! `export --server`: what is on a server, and how it becomes the baseline here.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::containers::engines::{Engine, root};
use super::super::containers::fake::{Reply, answer, listen, well_behaved};
use super::super::harness::World;
use super::site::{Far, Site};
use needs::needs;

/// In all places where an engine keeps secrets, and in the files.
const SECRET: &str = "hunter2-swordfish";

/// A stack as the seed has it. Its roots lie at the same place on every host, and one check is for this machine alone.
fn stack(socket: &Path) -> World {
    let world = World::declaring("");
    let at = world.path("srv").display().to_string();
    let declaration = format!(
        r#"locks = "audit/locks"
reports = "audit/runtime"

[check.compose_hashes]
kind = "files"
root = "infra/stacks"
server_root = "{at}/stacks"
include = ["*/docker-compose*.yml"]
lock = "compose_sha256.lock.txt"

[check.addon_hashes]
kind = "trees"
root = "odoo_modules"
server_root = "{at}/modules"

[check.docker_images]
kind = "containers"
socket = "{}"
containers = ["web"]
modes = ["server"]

[check.notes]
kind = "files"
root = "notes"
include = ["*"]
modes = ["local"]
"#,
        socket.display()
    );
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    for path in ["stacks/edge/docker-compose.yml", "stacks/odoo/docker-compose.yml", "modules/qr/a.py", "modules/x/b"] {
        let path = world.path("srv").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{}: {SECRET}", path.display())).unwrap();
    }
    world
}

/// A far end of which every byte is kept, both ways.
fn recorded() -> Far {
    Far::Script(format!(
        "tee -a \"$TMPDIR/request\" | {} \"$@\" | tee -a \"$TMPDIR/answer\"",
        env!("CARGO_BIN_EXE_driftlock")
    ))
}

fn same(world: &World, a: &str, b: &str) {
    let mut diff = Command::new("diff");
    diff.args(["-r", "-x", ".*", a, b]);
    world.command(diff).code(0);
}

/// The seed's "Option 1", from the repository.
#[needs(landlock, sshd, docker)]
fn what_is_on_a_server_becomes_the_baseline() {
    let engine = Engine::docker().unwrap();
    let world = stack(&engine.socket());
    engine.import(&root(&world.path("")), "app:1");
    let secrets = ["--env".to_owned(), format!("TOKEN={SECRET}"), "--label".to_owned(), format!("note={SECRET}")];
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    let create = |image: &str| {
        let more = ["--volume", "data:/data", "--network", "none"];
        engine.run(&[&["create", "--name", "web"], &secrets[..], &more, &[image, "/bin/sleep", SECRET]].concat());
    };
    create("app:1");
    let device = format!("device={SECRET}");
    let label = format!("l={SECRET}");
    engine.run(&["volume", "create", "--label", &label, "--opt", "type=tmpfs", "--opt", &device, "labelled"]);
    let site = Site::with(world, &[("web", recorded())]);

    let first = site.driftlock(&["export", "--output", "out/web", "--server", "web", "--require-sandbox"]).code(0);
    let text = first.stdout();
    for line in [
        "wrote out/web/locks/compose_sha256.lock.txt: 2 entries",
        "wrote out/web/locks/addon_hashes.lock.json: 4 entries",
        "wrote out/web/locks/docker_images.lock.json: 1 entry",
        "wrote out/web/SUMMARY.md",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Nothing that could be a secret came over, or was written, though names did and were.
    let sent = fs::read_to_string(site.world.path("far-tmp/answer")).unwrap();
    assert!(sent.contains("\"env\":[\"TOKEN\"]") && sent.contains("{\"volume\":"), "{sent}");
    assert_eq!([&text, &first.stderr()].map(|stream| stream.contains(SECRET)), [false, false]);
    let mut grep = Command::new("grep");
    grep.args(["-rF", SECRET, "out", "far-tmp"]);
    site.world.command(grep).code(1);

    // It is what the server's own export has, to the byte, but for the paths.
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let there =
        declaration.replace("\"infra/stacks\"", "\"srv/stacks\"").replace("\"odoo_modules\"", "\"srv/modules\"");
    fs::write(site.world.path("there.toml"), there).unwrap();
    site.world.driftlock(["export", "--config", "there.toml", "--output", "out/local"]).code(2);
    for part in ["engine", "locks"] {
        same(&site.world, &format!("out/local/{part}"), &format!("out/web/{part}"));
    }
    assert!(fs::read_to_string(site.world.path("out/web/locks/addon_hashes.lock.json")).unwrap().contains("\"nar\":"));
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--strict", "out/web/config_hashes.txt"]);
    assert_eq!(site.world.command(sums).code(0).stdout().lines().count(), 2);
    let summary = fs::read_to_string(site.world.path("out/web/SUMMARY.md")).unwrap();
    assert!(
        summary.starts_with("# Runtime state of web\n") && summary.contains("| web | app:1 | sha256:"),
        "{summary}"
    );
    let again = site.driftlock(&["export", "--output", "out/again", "--server", "web", "--json"]).code(0).json();
    same(&site.world, "out/web", "out/again");
    assert_eq!((&again["server"], &again["locks"][1]["check"]), (&"web".into(), &"addon_hashes".into()));

    // The export becomes the baseline, and the server passes.
    site.driftlock(&["check", "--server", "web"]).code(3);
    let locked = site.driftlock(&["lock", "--from", "out/web"]).code(0).stdout();
    let left =
        "left audit/locks/notes.lock.json unchanged: the export has no such lock, and its check is not for servers\n";
    assert!(locked.contains(left), "{locked}");
    same(&site.world, "out/web/locks", "audit/locks");
    let text = site.driftlock(&["check", "--server", "web", "--check", "compose_hashes", "--check", "docker_images"]);
    assert!(text.code(0).stdout().contains("[PASS] Docker images match baseline\n"));
    site.driftlock(&["check", "--server", "web", "--check", "addon_hashes"]).code(0);

    // What changes there drifts, until it is exported again.
    fs::write(site.world.path("srv/modules/qr/a.py"), "changed").unwrap();
    engine.remove("web");
    engine.run(&["tag", "app:1", "app:2"]);
    create("app:2");
    let checks = ["check", "--server", "web", "--check", "addon_hashes", "--check", "docker_images"];
    let text = site.driftlock(&checks).code(1).stdout();
    assert!(text.contains("    image changed: app:1 → app:2") && text.contains("Addon drift: qr"), "{text}");
    site.driftlock(&["export", "--output", "out/new", "--server", "web"]).code(0);
    site.driftlock(&["lock", "--from", "out/new"]).code(0);
    site.driftlock(&checks).code(0);
}

/// An export that is refused: what is said, and that nothing is written.
fn refused(site: &Site, arguments: &[&str], problem: &str) {
    let arguments = [&["export", "--output", "refused"], arguments].concat();
    let said = site.driftlock(&arguments).code(2).stderr();
    assert!(said.contains(problem) && said.contains("to do: "), "{arguments:?}: {said}");
    let written = fs::read_dir(site.world.path("refused")).map(|mut entries| entries.next().is_some());
    assert!(!written.unwrap_or(false), "{arguments:?}");
}

#[needs(sshd)]
fn an_answer_that_is_not_whole_is_no_export() {
    let filtered = |filter: &str| Far::Script(format!("{} \"$@\" | {filter}", env!("CARGO_BIN_EXE_driftlock")));
    let says = |text: &str| Far::Script(format!("read -r request\necho '{text}'"));
    // The lines: 1 the head, 2 progress, 3 to 6 the files, 7 to 12 the modules, 13 to 15 the containers, 16 the engine, 17 a
    // container, 18 an image, 19 a network, 20 a volume, 21 its end, 22 the end.
    let lies: &[(&str, Far, &str)] = &[
        ("dead", Far::Nothing, "dead: it has no driftlock to start"),
        (
            "older",
            says(
                r#"{"failed":{"problem":"the request is refused: its version is 2, and only 1 is known here","remedy":"send it with `driftlock check --server` of the same version as this one"}}"#,
            ),
            "older: it says: the request is refused: its version is 2, and only 1 is known here",
        ),
        ("newer", says(r#"{"driftlock_collect":6}"#), "newer: its driftlock uses version 6 of the protocol"),
        ("cut", filtered("head -n 20"), "its answer ends early, after line 20; nothing was written"),
        ("plain", filtered("sed '16,21d;$s/4/3/'"), "line 16 of its answer is not what driftlock writes: "),
        ("other", filtered("sed '16s#/engine.sock#/other.sock#'"), "it is about the engine at "),
        (
            "dropped",
            filtered("sed 18d"),
            "line 20 of its answer is not what driftlock writes: the stated engine, number",
        ),
        ("changed", filtered("sed '18s/web:1/web:2/'"), "the stated engine, number of lines or digest"),
        (
            "swapped",
            filtered("sed '18{h;d};19{G}'"),
            "line 19 of its answer is not what driftlock writes: it is out of order",
        ),
        (
            "late",
            filtered("sed '17{h;d};18{G}'"),
            "line 18 of its answer is not what driftlock writes: it is out of order",
        ),
        ("twice", filtered("sed 17p"), "line 18 of its answer is not what driftlock writes: it is out of order"),
        (
            "valued",
            filtered(&format!("sed -E '20s/[0-9a-f]{{64}}/{SECRET}/'")),
            "line 20 of its answer is not what driftlock writes: the value of a label is not",
        ),
        (
            "variable",
            filtered(&format!("sed '17s/\"env\":\\[\"A\"\\]/\"env\":{{\"TOKEN\":\"{SECRET}\"}}/'")),
            "line 17 of its answer is not what driftlock writes: ",
        ),
        ("less", filtered("sed '17s/\"state\":\"running\",//'"), "its attributes are not those that were asked for"),
        (
            "spaced",
            filtered("sed '18s/:/: /'"),
            "line 18 of its answer is not what driftlock writes: it is not in canonical form",
        ),
        ("count", filtered("sed '$s/4/5/'"), "it counts 5 checks and engines instead of 4"),
        ("more", filtered("(cat; echo more)"), "there is data after the end"),
    ];
    let world = stack(Path::new(""));
    let socket = world.path("engine.sock");
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    let socket_line = format!("socket = \"{}\"", socket.display());
    fs::write(world.path("driftlock.toml"), declaration.replace("socket = \"\"", &socket_line)).unwrap();
    let _ = listen(&socket, engine);
    let mut hosts: Vec<_> = lies.iter().map(|(name, far, _)| (*name, far.clone())).collect();
    hosts.push(("honest", Far::Driftlock));
    let site = Site::with(world, &hosts);
    for (name, _, problem) in lies {
        refused(&site, &["--server", name], problem);
    }
    site.driftlock(&["export", "--output", "honest", "--server", "honest"]).code(0);

    refused(
        &site,
        &["--server", "honest", "--server", "dead"],
        "an export has the state of one server, and 2 are named",
    );
    refused(&site, &["--server", "honest", "--check", "notes"], "there is nothing to read on honest");
    refused(&site, &["--all-servers"], "declares no server");
    refused(&site, &["--push"], "--push is for servers, and no server is named");
    let said = site.driftlock(&["export", "--output", "honest", "--server", "honest"]).code(2).stderr();
    assert!(said.contains("the directory honest is not empty"), "{said}");
}

/// An engine with one of each.
fn engine(target: &str) -> Reply {
    match target {
        "/v1.41/networks" => answer(200, r#"[{"Name": "edge", "Driver": "bridge", "Scope": "local"}]"#),
        "/v1.41/volumes" => {
            let volume = format!(r#"{{"Name": "data", "Driver": "local", "Labels": {{"l": "{SECRET}"}}}}"#);
            answer(200, format!(r#"{{"Volumes": [{volume}]}}"#))
        }
        _ => well_behaved(target),
    }
}

/// A check that fails there is told and left out; what was read of the others is written.
#[needs(landlock, sshd)]
fn allow_holds_for_exports_too() {
    let world = stack(Path::new(""));
    let socket = world.path("run/engine.sock");
    fs::create_dir(world.path("run")).unwrap();
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    let socket_line = format!("socket = \"{}\"", socket.display());
    fs::write(world.path("driftlock.toml"), declaration.replace("socket = \"\"", &socket_line)).unwrap();
    let _ = listen(&socket, engine);
    let at = world.path("").display().to_string();
    let forced = |allowed: &[&str]| {
        let allowed: String = allowed.iter().map(|allowed| format!(" --allow {at}/{allowed}")).collect();
        Far::Forced(format!("driftlock collect --require-sandbox{allowed}"))
    };
    let hosts = [("all", forced(&["srv", "run"])), ("files", forced(&["srv"])), ("engine", forced(&["run"]))];
    let site = Site::with(world, &hosts);
    site.driftlock(&["export", "--output", "all", "--server", "all"]).code(0);
    let exists = |path: &str| site.world.path(path).exists();
    assert!(exists("all/engine/volumes.json") && exists("all/locks/addon_hashes.lock.json"));

    let said = site.driftlock(&["export", "--output", "files", "--server", "files"]).code(2).stderr();
    let shut = "engine.sock lies in none of the directories that `--allow` names there";
    assert_eq!(said.matches(shut).count(), 1, "{said}");
    assert!(said.starts_with("driftlock: files: "), "{said}");
    assert!(!exists("files/engine") && !exists("files/locks/docker_images.lock.json"));
    assert!(exists("files/locks/addon_hashes.lock.json") && exists("files/locks/compose_sha256.lock.txt"));
    assert!(fs::read_to_string(site.world.path("files/SUMMARY.md")).unwrap().contains("This export is not complete."));
    // What it does not have can't be promoted without a word.
    let refused = site.driftlock(&["lock", "--from", "files"]).code(2).stderr();
    assert!(refused.contains("the export files has no lock of the check docker_images"), "{refused}");

    let said = site.driftlock(&["export", "--output", "engine", "--server", "engine"]).code(2).stderr();
    assert_eq!(said.matches("lies in none of the directories").count(), 2, "{said}");
    assert!(exists("engine/engine/volumes.json") && !exists("engine/locks/addon_hashes.lock.json"));
}

/// An endless answer that is well-formed and in order.
#[needs(sshd)]
fn a_flood_ends_at_a_limit_of_memory() {
    let flood = "read -r request; echo '{\"driftlock_collect\":5,\"driftlock\":\"0.1.0\",\"landlock\":null,\"seccomp\":true}'\n\
                 echo '{\"check\":\"tree\",\"resolved_root\":\"/\",\"failed\":null}'\n\
                 seq 1000000000 1999999999 | sed 's/.*/{\"path\":\"&\",\"type\":\"fifo\"}/'";
    let site = Site::new(&[("web", Far::Script(flood.to_owned()))]);
    let mut command = Command::new("time");
    let run = site.driftlock(&["export", "--output", "out", "--server", "web"]);
    command.args(["-f", "%M", "-o"]).arg(site.world.path("memory")).arg(run.command.get_program());
    command.args(run.command.get_args());
    let path = run.command.get_envs().find(|(key, _)| *key == "PATH").unwrap().1.unwrap().to_str().unwrap().to_owned();
    let said = site.world.command(command).env("PATH", &path).code(2).stderr();
    assert!(said.contains("web: its answer is longer than 134217728 bytes; nothing was written"), "{said}");
    let memory = fs::read_to_string(site.world.path("memory")).unwrap();
    let kib: u64 = memory.lines().last().unwrap().trim().parse().unwrap();
    assert!(kib < 1 << 20, "{kib} KiB");
}
