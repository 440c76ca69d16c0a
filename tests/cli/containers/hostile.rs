//! An engine that lies: each lie is trouble of its check, in bounded time and memory, and the other checks are made.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use needs::needs;

use super::fake::{ID, IMAGE, Reply, answer, inspected, listen, well_behaved};
use crate::harness::{World, drift, the_check, unprivileged};

const DECLARATION: &str = "locks = \"locks\"\nreports = \"reports\"\n\
    [check.tree]\nkind = \"containers\"\nsocket = \"engine.sock\"\n\
    [check.files]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"*\"]\n";

fn world() -> World {
    let world = World::declaring(DECLARATION);
    world.write("a", "a");
    listen(&world.path("engine.sock"), well_behaved);
    world.lock();
    world.check(0);
    // What drifted beside the trouble is told as well.
    world.write("a", "b");
    world
}

/// Checks against an engine that answers one target so, and all others well. Gives what the check says of it.
fn told(world: &World, target: &'static str, reply: impl Fn() -> Reply + Send + 'static) -> String {
    listen(
        &world.path("engine.sock"),
        move |asked| if asked.starts_with(target) { reply() } else { well_behaved(asked) },
    );
    let report = world.check(3);
    assert_eq!(report["checks"][2]["counts"]["drifted"], 1, "{report:#}");
    let check = the_check(&report);
    assert_eq!((&check["status"], &check["counts"]["verified"]), (&"FAIL".into(), &0.into()), "{check:#}");
    let trouble = &check["trouble"];
    assert!(!trouble["remedy"].as_str().unwrap().is_empty());
    trouble["problem"].as_str().unwrap().to_owned()
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What is refused is in the unit tests of `src/container`; what the program makes of it is here.
#[test]
fn answers_that_are_none() {
    let world = world();
    for (raw, problem) in [
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "it is not HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "a key is missing"),
        ("HTTP/1.1 200", "closed the connection"),
        ("HTTP/1.1 500 x\r\nContent-Length: 22\r\n\r\n{\"message\":\"\\u001b[x\"}", "status 500: \\u{1b}[x"),
        ("HTTP/1.1 404 x\r\nContent-Length: 2\r\n\r\n{}", "status 404"),
    ] {
        let bytes = raw.as_bytes().to_vec();
        let said = told(&world, "/version", move || Reply::Last(bytes.clone()));
        assert!(said.starts_with("the container engine at engine.sock could not be asked: "), "{said}");
        assert!(said.contains(problem), "{raw:.200}: {said}");
    }
}

#[test]
fn the_newest_version_that_both_have_and_nothing_but_get() {
    let world = world();
    let requests = listen(&world.path("engine.sock"), |target| match target {
        "/version" => answer(200, r#"{"ApiVersion":"1.52","MinAPIVersion":"1.44"}"#),
        target => well_behaved(&target.replace("v1.44", "v1.41")),
    });
    world.check(1);
    let requests = requests.lock().unwrap().join("\n");
    let expected = format!(
        "GET /version HTTP/1.1\nGET /v1.44/containers/json?all=1 HTTP/1.1\nGET /v1.44/containers/{ID}/json HTTP/1.1\nGET /v1.44/images/{IMAGE}/json HTTP/1.1"
    );
    assert_eq!(requests, expected, "one connection, and nothing but GET");
}

#[test]
fn containers_that_can_t_be() {
    let world = world();
    let many: Vec<_> = (0..10_001).map(|number| format!(r#"{{"Id":"{number}"}}"#)).collect();
    for (body, problem) in
        [("[{}]".to_owned(), "a key is missing"), (format!("[{}]", many.join(",")), "more than 10000 containers")]
    {
        let said = told(&world, "/v1.41/containers/json", move || answer(200, &body));
        assert!(said.contains(problem), "{said}");
    }
    for (from, to, problem) in [
        ("/web", "/../../etc/passwd", "a container has no valid name"),
        ("[\"A=b\"]", "[\"A=b\", 1]", "a key is missing or has the wrong type"),
    ] {
        let body = inspected().replace(from, to);
        let target = "/v1.41/containers/1def";
        let said = told(&world, target, move || answer(200, &body));
        assert!(said.contains(problem), "{from} → {to}: {said}");
        assert!(!said.contains("A=b"), "what is in an answer is not told: {said}");
    }
}

/// A container that is listed each time and denied each time is neither removed nor verified.
#[test]
fn a_container_that_vanishes() {
    let world = world();
    listen(&world.path("engine.sock"), |target| match target {
        "/version" | "/v1.41/containers/json?all=1" => well_behaved(target),
        _ => answer(404, r#"{"message":"no such container"}"#),
    });
    let report = world.check(3);
    assert_eq!(drift(&report), []);
    assert_eq!(the_check(&report)["unverified"][0]["path"], "web");
    let reason = the_check(&report)["unverified"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("had disappeared"), "{reason}");
}

#[test]
fn names_in_answers_are_harmless() {
    let world = world();
    let hostile = "x\u{1b}[31m\n[PASS] forged \u{202e}";
    let body = inspected().replace("\"web:1\"", &serde_json::to_string(hostile).unwrap());
    listen(&world.path("engine.sock"), move |target| {
        if target.starts_with("/v1.41/containers/1def") { answer(200, &body) } else { well_behaved(target) }
    });
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(text.contains("image changed: web:1 → x\\u{1b}[31m\\n[PASS] forged \\u{202e}\n"), "{text}");
    world.lock();
    let lock = String::from_utf8(world.lock_bytes()).unwrap();
    assert!(lock.contains("\"image\":\"x\\u001b[31m\\n[PASS] forged \\u202e\""), "{lock}");
    world.check(0);
}

/// Answers without an end, under a limit on memory far below what they would take.
#[test]
fn answers_without_an_end() {
    let world = world();
    for (start, again, problem) in [
        (CHUNKED.to_owned() + "8\r\n[\"aaaaa\"\r\n", "8\r\n,\"aaaaa\"\r\n".repeat(10_000), "more than 33554432 bytes"),
        (CHUNKED.to_owned() + "1;", "x".repeat(10_000), "is too long"),
        (CHUNKED.to_owned() + "0\r\n", "x: y\r\n".repeat(10_000), "bytes after the body"),
        ("HTTP/1.1 200 OK\r\nX: ".to_owned(), "x".repeat(10_000), "bytes before the body"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n".to_owned(),
            " ".repeat(100_000),
            "more than 33554432 bytes",
        ),
        (
            "HTTP/1.1 500 x\r\nContent-Length: 9999999999\r\n\r\n".to_owned(),
            " ".repeat(100_000),
            "more than 65536 bytes",
        ),
    ] {
        listen(&world.path("engine.sock"), move |_| {
            Reply::Endless(start.clone().into_bytes(), again.clone().into_bytes())
        });
        let mut limited = Command::new("bash");
        let script = "ulimit -v 1000000; exec \"$0\" check --json --threads 1";
        limited.args(["-c", script, env!("CARGO_BIN_EXE_driftlock")]);
        let report = world.command(limited).code(3).json();
        let said = the_check(&report)["trouble"]["problem"].as_str().unwrap();
        assert!(said.contains(problem), "{said}");
    }
}

/// An engine that takes the connection and says nothing. The only test that waits for what a run waits for.
#[needs(time)]
fn an_engine_that_hangs() {
    let world = world();
    let started = Instant::now();
    let said = told(&world, "/v1.41/containers/json", || Reply::Silence);
    assert!(said.contains("it did not respond for 20 seconds"), "{said}");
    assert!(started.elapsed() >= Duration::from_secs(20));
}

#[test]
fn sockets_that_can_t_be_connected_to() {
    let world = world();
    let socket = world.path("engine.sock");
    let problem = |code| the_check(&world.check(code))["trouble"].clone();
    fs::remove_file(&socket).unwrap();
    assert!(problem(3)["remedy"].as_str().unwrap().starts_with("start the engine"));
    // What an engine leaves that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let trouble = problem(3);
    assert!(trouble["problem"].as_str().unwrap().contains("Connection refused"), "{trouble}");
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "no socket").unwrap();
    assert!(problem(3)["problem"].as_str().unwrap().contains("engine.sock could not be connected to"));
    assert!(world.driftlock(["lock"]).code(2).stderr().contains("could not be connected to"));
}

#[test]
fn a_socket_without_permission() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = world();
    let requests = listen(&world.path("engine.sock"), well_behaved);
    fs::set_permissions(world.path("engine.sock"), fs::Permissions::from_mode(0o600)).unwrap();
    let output = world.path("output");
    fs::create_dir(&output).unwrap();
    fs::set_permissions(&output, fs::Permissions::from_mode(0o777)).unwrap();
    let command = unprivileged(&world, &["check", "--json", "--output", "output"]);
    if !crate::harness::is_root() {
        fs::set_permissions(world.path("engine.sock"), fs::Permissions::from_mode(0o0)).unwrap();
    }
    let report = world.command(command).code(3).json();
    let trouble = &the_check(&report)["trouble"];
    assert!(trouble["problem"].as_str().unwrap().contains("Permission denied"), "{trouble}");
    assert!(trouble["remedy"].as_str().unwrap().contains("in the group `docker`"), "{trouble}");
    assert_eq!(requests.lock().unwrap().len(), 0);
}

/// Where a check does not apply, no engine is asked.
#[test]
fn other_modes_do_not_connect() {
    let world = World::declaring(&DECLARATION.replace("engine.sock\"", "engine.sock\"\nmodes = [\"server\"]"));
    world.write("a", "a");
    let requests = listen(&world.path("engine.sock"), well_behaved);
    world.lock();
    let report = world.check(0);
    assert_eq!((&the_check(&report)["skipped"], requests.lock().unwrap().len()), (&"other_mode".into(), 0));
    assert!(!world.path("locks/tree.lock.json").exists());
}

#[test]
fn capabilities_lists_sockets() {
    let world = world();
    let text = world.driftlock(["capabilities"]).code(0).stdout();
    assert!(text.contains("  engine.sock  (engine of the check tree: records all containers)\n"), "{text}");
    let json = world.driftlock(["capabilities", "--json"]).code(0).json();
    assert_eq!(
        (&json["read"][0]["socket"], &json["read"][1]["socket"]),
        (&"engine.sock".into(), &serde_json::Value::Null)
    );
}
