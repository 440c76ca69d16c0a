//! Real engines: lock, check clean, and then everything that can happen to a container.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use needs::needs;
use serde_json::Value;

use super::engines::{Engine, root};
use crate::harness::{World, drift, the_check, unverified};

/// Looked for in all that a run leaves behind, and in all that it prints.
const SECRET: &str = "hunter2-swordfish";

const ALL: &str = r#"attributes = ["state", "mounts", "networks", "ports", "labels", "env", "security"]"#;

fn declaring(engine: &Engine, more: &str) -> World {
    let world = World::declaring("");
    declare(&world, engine, "containers", more);
    world
}

fn declare(world: &World, engine: &Engine, kind: &str, more: &str) {
    let socket = engine.socket();
    let text = format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"{kind}\"\nsocket = {socket:?}\n{more}\n"
    );
    fs::write(world.path("driftlock.toml"), text).unwrap();
}

/// What drifted, as `(change, container)`.
fn changes(world: &World) -> Vec<(String, String)> {
    let report = world.check(1);
    assert_eq!(unverified(&report), [""; 0]);
    drift(&report)
}

fn one(change: &str, name: &str) -> Vec<(String, String)> {
    vec![(change.to_owned(), name.to_owned())]
}

fn text(world: &World) -> String {
    world.driftlock(["check"]).code(1).stdout()
}

#[needs(docker, devices)]
fn docker() {
    let engine = Engine::docker().unwrap();
    from_clean_to_removed(&engine);
    settings(&engine);
    files_inside(&engine);
    running(&engine);
}

#[needs(podman, devices)]
fn podman() {
    let engine = Engine::podman().unwrap();
    from_clean_to_removed(&engine);
    settings(&engine);
    files_inside(&engine);
}

fn from_clean_to_removed(engine: &Engine) {
    let world = declaring(engine, ALL);
    let refused = world.driftlock(["lock"]).code(2).stderr();
    assert!(refused.contains("the engine has no containers"), "{refused}");

    let root = root(&world.path(""));
    engine.import(&root, "localhost/app:1");
    let environment = format!("TOKEN={SECRET}");
    let label = format!("note={SECRET}");
    let settings = ["--network", "none", "--env", &environment, "--label", &label];
    engine.create("web", "localhost/app:1", &settings);
    engine.create("db", "localhost/app:1", &settings);
    world.lock();
    let lock = world.lock_bytes();
    assert_eq!(world.lock().stdout(), "unchanged locks/tree.lock.json: 2 entries\n");
    agrees_with_the_engine(engine, &world);

    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 2);
    assert_eq!(report["sandbox"]["seccomp"], true, "all of this is done inside of the sandbox: {report:#}");

    // Another container from the same image and with the same settings: all that is new changes by itself.
    engine.remove("web");
    engine.create("web", "localhost/app:1", &settings);
    world.check(0);
    world.lock();
    assert_eq!(world.lock_bytes(), lock);

    // Another tag of the same image.
    engine.run(&["tag", "localhost/app:1", "localhost/app:2"]);
    engine.remove("web");
    engine.create("web", "localhost/app:2", &settings);
    assert_eq!(changes(&world), one("image_changed", "web"));
    let said = text(&world);
    assert!(said.contains("[FAIL] Tree drift: web\n    image changed: localhost/app:1 → localhost/app:2\n"), "{said}");
    engine.remove("web");
    engine.run(&["rmi", "localhost/app:2"]);
    engine.create("web", "localhost/app:1", &settings);
    world.check(0);

    // The same tag for another image: nothing that runs has changed until a container is made from it.
    fs::write(root.join("etc/nginx/nginx.conf"), "server { listen 81; }\n").unwrap();
    engine.import(&root, "localhost/app:1");
    let unchanged = world.driftlock(["check", "--json"]).command.output().unwrap();
    let rebuilt: Vec<_> =
        drift(&serde_json::from_slice(&unchanged.stdout).unwrap()).into_iter().map(|(change, _)| change).collect();
    assert!(rebuilt.iter().all(|change| change == "digests_changed"), "an image has lost its name: {rebuilt:?}");
    engine.remove("web");
    engine.create("web", "localhost/app:1", &settings);
    assert!(changes(&world).contains(&("image_rebuilt".to_owned(), "web".to_owned())));
    let said = text(&world);
    assert!(said.contains("[FAIL] Tree drift: web\n    image rebuilt: image id "), "{said}");

    // Accepted, and then one that is gone and one that is new.
    world.lock();
    world.check(0);
    engine.remove("db");
    assert_eq!(changes(&world), one("removed", "db"));
    assert!(text(&world).contains("[FAIL] Tree drift: db\n    removed: container, image localhost/app:1, image id "));
    engine.create("extra", "localhost/app:1", &settings);
    assert_eq!(changes(&world), [one("removed", "db"), one("added", "extra")].concat());

    // Only the named containers are recorded, and one that does not exist is reported.
    declare(&world, engine, "containers", &format!("containers = [\"web\", \"db\"]\n{ALL}"));
    assert_eq!(changes(&world), one("removed", "db"));
    let refused = world.driftlock(["lock"]).code(2).stderr();
    assert!(refused.contains("db: it is declared, and the engine has no such container"), "{refused}");
    declare(&world, engine, "containers", &format!("containers = [\"web\", \"db\", \"ghost\"]\n{ALL}"));
    let report = world.check(3);
    assert_eq!((drift(&report), unverified(&report)), (one("removed", "db"), vec!["ghost".to_owned()]));

    no_secret(&world);
    engine.remove("web");
    engine.remove("extra");
}

/// What the engine's own client says of the containers that were locked, and the verifier of the lock.
fn agrees_with_the_engine(engine: &Engine, world: &World) {
    for name in ["web", "db"] {
        let entry = world.entry(name);
        let inspected: Value = serde_json::from_str(&engine.run(&["inspect", name])).unwrap();
        let inspected = &inspected[0];
        let id = inspected["Image"].as_str().unwrap();
        let id = format!("sha256:{}", id.trim_start_matches("sha256:"));
        assert_eq!(entry["image_id"], id);
        // Podman's own client calls it by another name.
        let image = if engine.is_docker() { &inspected["Config"]["Image"] } else { &inspected["ImageName"] };
        assert_eq!((&entry["image"], image), (&Value::from("localhost/app:1"), image));
        assert_eq!(image, "localhost/app:1");
        assert_eq!(entry["state"], "created");
        let variables =
            inspected["Config"]["Env"].as_array().unwrap().iter().map(|variable| variable.as_str().unwrap());
        let mut names: Vec<_> = variables.map(|variable| variable.split_once('=').unwrap().0).collect();
        names.sort_unstable();
        assert_eq!(entry["env"], Value::from(names));
        let image: Value = serde_json::from_str(&engine.run(&["image", "inspect", &id])).unwrap();
        let mut digests: Vec<_> = image[0]["RepoDigests"].as_array().into_iter().flatten().cloned().collect();
        digests.sort_by_key(|digest| digest.as_str().unwrap().to_owned());
        assert_eq!(entry["repo_digests"], Value::from(digests));
        assert_eq!(entry["networks"], serde_json::json!(["none"]));
    }
    super::verified(world);
}

/// No byte of the secret in locks, reports, or on either stream.
fn no_secret(world: &World) {
    for arguments in
        [&["check"][..], &["check", "--json"], &["lock", "--dry-run"], &["diff", "locks/tree.lock.json", "live"]]
    {
        let output = world.driftlock(arguments).command.output().unwrap();
        for stream in [output.stdout, output.stderr] {
            assert!(!String::from_utf8(stream).unwrap().contains(SECRET), "{arguments:?}");
        }
    }
    let mut grep = Command::new("grep");
    grep.args(["-rF", SECRET, "locks", "reports"]);
    assert_eq!(world.command(grep).code(1).stdout(), "");
}

fn settings(engine: &Engine) {
    let world = declaring(engine, &format!("containers = [\"set\"]\n{ALL}"));
    let bound = world.path("bound").to_str().unwrap().to_owned();
    fs::create_dir(&bound).unwrap();
    let mounts = format!("{bound}:/mnt:ro");
    // A port can't be published by a container that is in no network, and networks need more than a test should take.
    let base = ["--label", "a=1", "--volume", "named:/data", "--volume", "/anonymous", "--volume", &mounts];
    let make = |more: &[&str]| {
        engine.create("set", "localhost/app:1", &[&base[..], more].concat());
    };
    make(&["--network", "none", "--env", "A=1"]);
    world.lock();
    let entry = world.entry("set");
    let mounts = serde_json::json!([
        {"destination": "/anonymous", "type": "volume"},
        {"destination": "/data", "type": "volume", "source": "named"},
        {"destination": "/mnt", "type": "bind", "source": bound, "read_only": true},
    ]);
    assert_eq!(entry["mounts"], mounts);
    let digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    assert_eq!(entry["labels"]["a"], digest, "SHA-256 of 1, as sha256sum prints it");

    for (more, change, said) in [
        (&["--network", "none", "--env", "A=1"][..], "", ""),
        (&["--network", "none", "--env", "A=2"], "", ""),
        (&["--network", "none", "--env", "A=1", "--env", "B=1"], "env_changed", "variable B added"),
        (&["--network", "none", "--env", "A=1", "--label", "a=2"], "labels_changed", "label a changed: sha256 6b86b2"),
        (&["--network", "none", "--env", "A=1", "--volume", "more:/more"], "mounts_changed", "mount /more added"),
        (&["--network", "none", "--env", "A=1", "--tmpfs", "/scratch"], "mounts_changed", "mount /scratch added"),
        (&["--network", "host", "--env", "A=1"], "networks_changed", "network none removed, network host added"),
    ] {
        engine.remove("set");
        make(more);
        if change.is_empty() {
            world.check(0);
            continue;
        }
        assert_eq!(changes(&world), one(change, "set"), "{more:?}");
        let text = text(&world);
        assert!(text.contains(said), "{text}");
    }
    engine.remove("set");
    if engine.is_docker() {
        // Docker takes these down without a network to publish them in.
        make(&["--env", "A=1", "--publish", "127.0.0.1:8080:80", "--publish", "9000-9001:9000-9001/udp"]);
        assert!(world.driftlock(["lock"]).code(0).stdout().contains("port 127.0.0.1:8080->80/tcp added"));
        let ports = ["127.0.0.1:8080->80/tcp", "9000->9000/udp", "9001->9001/udp"];
        assert_eq!(world.entry("set")["ports"], serde_json::json!(ports));
        engine.remove("set");
        make(&["--env", "A=1", "--publish", "8080:80", "--publish", "9000-9001:9000-9001/udp"]);
        assert_eq!(changes(&world), one("ports_changed", "set"));
        engine.remove("set");
    }
    engine.run(&["volume", "rm", "named", "more"]);
}

/// A tree with everything in it that engines send, next to a check of kind `files` over the very same tree.
fn files_inside(engine: &Engine) {
    let world = World::declaring("");
    let image = root(&world.path(""));
    let tree = image.join("tree");
    let at = |name: &[u8]| tree.join(OsStr::from_bytes(name));
    fs::create_dir_all(at(b"d/empty")).unwrap();
    fs::create_dir_all(at(&[b"l".repeat(200), b"/".to_vec(), b"m".repeat(200)].concat())).unwrap();
    for (name, contents) in [
        (&b"empty"[..], Vec::new()),
        (b"d/file", b"x".to_vec()),
        (b"exactly a block", vec![7; 512]),
        (b"large", vec![b'l'; 300_001]),
        (b"line\nbreak", b"n".to_vec()),
        (b"\xff\xfe", b"bytes".to_vec()),
        ("grüße".as_bytes(), b"utf-8".to_vec()),
        (
            &[b"l".repeat(200), b"/".to_vec(), b"m".repeat(200), b"/".to_vec(), b"n".repeat(200)].concat(),
            b"deep".to_vec(),
        ),
        (b"d/skip.bak", b"bak".to_vec()),
    ] {
        fs::write(at(name), contents).unwrap();
    }
    fs::write(at(b"run"), "#!").unwrap();
    fs::set_permissions(at(b"run"), fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::chown(at(b"d/file"), Some(1234), Some(2_000_000)).unwrap();
    fs::hard_link(at(b"d/file"), at(b"hard")).unwrap();
    symlink("d/file", at(b"link")).unwrap();
    symlink(OsStr::from_bytes(&b"t".repeat(400)), at(b"long link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at(b"null"),
        rustix::fs::FileType::CharacterDevice,
        0o600.into(),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at(b"fifo"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    symlink("tree", image.join("to-tree")).unwrap();

    // What Podman sends belongs to the container's user, whomever it belongs to.
    let attributes = if engine.is_docker() { "[\"mode\", \"owner\"]" } else { "[\"mode\"]" };
    let globs = format!("include = [\"**\"]\nexclude = [\"**/*.bak\"]\nattributes = {attributes}");
    let text = format!(
        "locks = \"here\"\nreports = \"reports\"\n[check.tree]\nkind = \"files\"\nroot = \"image/tree\"\n{globs}\n"
    );
    fs::write(world.path("driftlock.toml"), text).unwrap();
    world.lock();
    let here = fs::read_to_string(world.path("here/tree.lock.json")).unwrap();
    let lines =
        |lock: &str| lock.lines().filter(|line| line.starts_with("{\"path")).map(str::to_owned).collect::<Vec<_>>();
    assert!(lines(&here).len() >= 14, "{here}");

    engine.import(&image, "localhost/files:1");
    engine.create("box", "localhost/files:1", &["--network", "none"]);
    let roots = if engine.is_docker() { &["/tree", "/tree/", "/to-tree"][..] } else { &["/tree", "/tree/"] };
    for root in roots {
        declare(&world, engine, "container_files", &format!("container = \"box\"\nroot = \"{root}\"\n{globs}"));
        let _ = fs::remove_file(world.path("locks/tree.lock.json"));
        world.lock();
        let inside = String::from_utf8(world.lock_bytes()).unwrap();
        let mut expected = lines(&here);
        if !engine.is_docker() {
            // Podman's archive has no entry for the directory that was asked for.
            expected.retain(|line| !line.starts_with("{\"path\":\".\","));
        }
        assert_eq!(lines(&inside), expected, "{root}: the files are the same, and so is what a lock says of them");
    }
    let report = world.check(0);
    let root = format!("box:{}", roots.last().unwrap());
    assert_eq!((&the_check(&report)["root"], &the_check(&report)["resolved_root"]), (&root.into(), &Value::Null));

    // Something is changed inside.
    let copy = |contents: &str, to: &str| {
        fs::write(world.path("copied"), contents).unwrap();
        engine.run(&["cp", world.path("copied").to_str().unwrap(), &format!("box:{to}")]);
    };
    declare(&world, engine, "container_files", "container = \"box\"\nroot = \"/etc/nginx\"");
    fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
    world.lock();
    copy("server { listen 82; }\n", "/etc/nginx/nginx.conf");
    copy("", "/etc/nginx/conf.d/new.conf");
    assert_eq!(changes(&world), [one("added", "conf.d/new.conf"), one("modified", "nginx.conf")].concat());
    let said = self::text(&world);
    assert!(said.contains("[FAIL] Tree drift: box:/etc/nginx/nginx.conf\n    modified: sha256 "), "{said}");

    // What can't be looked at.
    for (more, problem) in [
        ("container = \"box\"\nroot = \"/nowhere\"", "the container box has no directory /nowhere"),
        ("container = \"box\"\nroot = \"/tree/run\"", "the container box has no directory /tree/run"),
        ("container = \"bo\"\nroot = \"/\"", "it has no container bo"),
    ] {
        declare(&world, engine, "container_files", more);
        let refused = world.driftlock(["lock"]).code(2).stderr();
        assert!(refused.contains(problem), "{refused}");
    }
    if !engine.is_docker() {
        declare(&world, engine, "container_files", "container = \"box\"\nroot = \"/to-tree\"");
        assert!(world.driftlock(["lock"]).code(2).stderr().contains("/to-tree is a link to /tree"));
        declare(&world, engine, "container_files", "container = \"box\"\nroot = \"/tree\"\nattributes = [\"owner\"]");
        assert!(world.driftlock(["lock"]).code(2).stderr().contains("Podman does not report"));
    }
    // The beginning of an id is no name.
    let id = engine.run(&["inspect", "--format", "{{.Id}}", "box"]);
    declare(&world, engine, "container_files", &format!("container = \"{}\"\nroot = \"/\"", &id[..12]));
    assert!(world.driftlock(["lock"]).code(2).stderr().contains("it has no container"));
    engine.remove("box");
}

/// Containers that run, which takes more of a machine than those that were only created.
fn running(engine: &Engine) {
    let world = declaring(engine, &format!("containers = [\"up\", \"beside\"]\n{ALL}"));
    engine.create("up", "localhost/app:1", &["--network", "none"]);
    engine.run(&["start", "up"]);
    engine.create("beside", "localhost/app:1", &["--network", "container:up"]);
    world.lock();
    assert_eq!(world.entry("up")["state"], "running");
    assert_eq!(world.entry("beside")["networks"], serde_json::json!(["container:up"]));
    engine.run(&["restart", "--time", "0", "up"]);
    world.check(0);
    engine.run(&["stop", "--time", "0", "up"]);
    assert_eq!(changes(&world), one("state_changed", "up"));
    assert!(text(&world).contains("state changed: running → exited"));
    // Made anew, both have other ids, and nothing else.
    engine.remove("beside");
    engine.remove("up");
    engine.create("up", "localhost/app:1", &["--network", "none"]);
    engine.run(&["start", "up"]);
    engine.create("beside", "localhost/app:1", &["--network", "container:up"]);
    world.check(0);

    // The engine ends, and with it the check; another one goes on.
    let with_files = format!(
        "{}[check.files]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"*\"]\n",
        fs::read_to_string(world.path("driftlock.toml")).unwrap()
    );
    fs::write(world.path("driftlock.toml"), with_files).unwrap();
    world.write("a", "a");
    world.lock();
    world.write("a", "b");
    let socket = engine.socket();
    let hidden = Path::new(&socket).with_extension("hidden");
    fs::rename(&socket, &hidden).unwrap();
    let report = world.check(3);
    assert!(
        the_check(&report)["trouble"]["problem"].as_str().unwrap().contains("No such file or directory"),
        "{report:#}"
    );
    assert_eq!(report["checks"][2]["counts"]["drifted"], 1);
    fs::rename(&hidden, &socket).unwrap();
    world.write("a", "a");
    world.check(0);
    engine.remove("beside");
    engine.remove("up");
}
