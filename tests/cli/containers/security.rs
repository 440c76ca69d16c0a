//! How a container is kept apart from its host, and how it was not when it was made anew.

use needs::needs;
use serde_json::{Value, json};

use super::engines::{Engine, root};
use super::recorded::{Recorded, container, id, start};
use crate::harness::{World, drift};

fn world(socket: &str, more: &str) -> World {
    World::declaring(&format!(
        "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"containers\"\nsocket = {socket:?}\n{more}\n"
    ))
}

const SECURITY: &str = "attributes = [\"security\"]";

fn one(change: &str) -> Vec<(String, String)> {
    vec![(change.to_owned(), "web".to_owned())]
}

#[needs(docker, devices)]
fn of_docker() {
    let engine = Engine::docker().unwrap();
    of_an_engine(&engine);
    // Docker's client hands the profile over, and Docker keeps it.
    let world = world(engine.socket().to_str().unwrap(), SECURITY);
    std::fs::write(world.path("profile.json"), r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).unwrap();
    let profile = format!("seccomp={}", world.path("profile.json").to_str().unwrap());
    engine.create("web", "localhost/app:1", &["--network", "none", "--security-opt", &profile]);
    world.lock();
    let kept = engine.run(&["inspect", "--format", "{{index .HostConfig.SecurityOpt 0}}", "web"]);
    let digest = sha256(kept.strip_prefix("seccomp=").unwrap());
    assert_eq!(world.entry("web")["security"]["security_opt"], json!([format!("seccomp=sha256:{digest}")]));
    engine.remove("web");
}

/// In hexadecimal digits.
fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    driftlock::internals::manifest::Sha256Digest(sha2::Sha256::digest(text).into()).hex()
}

#[needs(podman, devices)]
fn of_podman() {
    of_an_engine(&Engine::podman().unwrap());
}

/// Made anew in the same way it is the same, and with each setting more it is drift.
fn of_an_engine(engine: &Engine) {
    let world = world(engine.socket().to_str().unwrap(), SECURITY);
    engine.import(&root(&world.path("")), "localhost/app:1");
    let make = |more: &[&str]| engine.create("web", "localhost/app:1", &[&["--network", "none"], more].concat());
    make(&[]);
    world.lock();
    for (more, said) in [
        (&[][..], ""),
        (&["--privileged"], "privileged no → yes"),
        (&["--cap-add", "SYS_ADMIN"], "cap_add SYS_ADMIN added"),
        (&["--cap-drop", "CHOWN"], "cap_drop CHOWN added"),
        (&["--user", "1000:1000"], "user none → 1000:1000"),
        (&["--pid", "host"], "→ host"),
        (&["--ipc", "host"], "→ host"),
        (&["--security-opt", "no-new-privileges"], "security_opt no-new-privileges"),
        (&["--device", "/dev/null:/dev/zilch:r"], "device /dev/null:/dev/zilch:"),
        (&["--read-only"], "read_only_root no → yes"),
        (&["--restart", "on-failure:3"], "restart no → on-failure:3"),
        (&[], ""),
    ] {
        // Podman 4.3 says `shareable` of every mode.
        if more.first() == Some(&"--ipc") && !engine.is_docker() {
            continue;
        }
        engine.remove("web");
        make(more);
        if said.is_empty() {
            world.check(0);
            continue;
        }
        assert_eq!(drift(&world.check(1)), one("security_changed"), "{more:?}");
        let text = world.driftlock(["check"]).code(1).stdout();
        assert!(text.contains("security changed: ") && text.contains(said), "{more:?}: {text}");
    }
    // Locked so, it stays so, however often it is made.
    engine.remove("web");
    make(&["--privileged", "--device", "/dev/null", "--pid", "host"]);
    world.lock();
    engine.remove("web");
    make(&["--privileged", "--device", "/dev/null", "--pid", "host"]);
    world.check(0);
    super::verified(&world);
    engine.remove("web");
}

fn recorded(host: Value, user: &str) -> Recorded {
    let more = json!({"HostConfig": host, "Config": {"User": user}});
    Recorded {
        containers: vec![container('1', "web", &more), container('2', "db", &json!({}))],
        images: [(format!("sha256:{}", id('e')), Vec::new())].into(),
        ..Recorded::default()
    }
}

/// All of it as Docker 28 says it, and what is the same in other words.
#[test]
fn what_is_recorded() {
    let world = world("engine.sock", SECURITY);
    let profile = r#"{"defaultAction":"SCMP_ACT_ERRNO"}"#;
    let host = json!({
        "Privileged": true,
        "CapAdd": ["CAP_SYS_ADMIN", "net_admin"],
        "CapDrop": ["ALL"],
        "PidMode": format!("container:{}", id('2')),
        "IpcMode": "host",
        "UsernsMode": "host",
        "SecurityOpt": ["no-new-privileges", format!("seccomp={profile}")],
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
        "DeviceCgroupRules": ["c 13:* rwm"],
        "ReadonlyRootfs": true,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    });
    let (engine, _) = start(&world, recorded(host.clone(), "1000"));
    world.lock();
    let digest = sha256(profile);
    let expected = json!({
        "privileged": true,
        "cap_add": ["NET_ADMIN", "SYS_ADMIN"],
        "cap_drop": ["ALL"],
        "user": "1000",
        "pid_mode": "container:db",
        "ipc_mode": "host",
        "userns_mode": "host",
        "security_opt": ["no-new-privileges", format!("seccomp=sha256:{digest}")],
        "devices": ["/dev/fuse:/dev/fuse:rwm", "c 13:* rwm"],
        "read_only_root": true,
        "restart": "on-failure:3",
    });
    assert_eq!(world.entry("web")["security"], expected);
    let expected = json!({
        "privileged": false, "cap_add": [], "cap_drop": [], "user": "", "pid_mode": "", "ipc_mode": "private",
        "userns_mode": "", "security_opt": [], "devices": [], "read_only_root": false, "restart": "no",
    });
    assert_eq!(world.entry("db")["security"], expected);
    let mut same = host;
    same["CapAdd"] = json!(["NET_ADMIN", "SYS_ADMIN"]);
    same["DeviceCgroupRules"] = json!(["c 13:* rwm"]);
    *engine.lock().unwrap() = recorded(same, "1000");
    world.check(0);
}

/// A lock of a check that does not ask for it has none of it, and none of it is drift.
#[test]
fn who_does_not_ask_is_not_told() {
    let world = world("engine.sock", "");
    let (engine, _) = start(&world, recorded(json!({}), ""));
    world.lock();
    assert!(!String::from_utf8(world.lock_bytes()).unwrap().contains("security"));
    *engine.lock().unwrap() = recorded(json!({"Privileged": true}), "0");
    world.check(0);
}
