//! Connections that are refused on either side: each is told as what it is. Nothing but an unknown host key is met with
//! advice to add one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use needs::needs;

use super::super::harness::World;
use super::dead::fails;
use super::site::{Far, Site};

/// Writes a line before the configuration of `ssh`, where it counts for all hosts.
fn configure(site: &Site, line: &str) {
    let path = site.world.path("ssh_config");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{line}\n{config}")).unwrap();
}

fn known_hosts(site: &Site, marker: &str, key: &str) -> String {
    let key = fs::read_to_string(site.world.path(format!("{key}.pub"))).unwrap();
    format!("{marker}[127.0.0.1]:{} {key}", site.port(0))
}

fn not_to_be_added(remedy: &str) {
    for words in ["ssh-keyscan", ">>"] {
        assert!(!remedy.contains(words), "{remedy}");
    }
}

#[needs(sshd)]
fn an_unknown_host_key_is_to_be_compared_and_then_added() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    site.know("");
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("its host key is not known here: No ED25519 host key is known for"), "{problem}");
    assert!(remedy.starts_with("compare the fingerprint with one you have from elsewhere first"), "{remedy}");
    assert!(remedy.contains("ssh-keyscan"), "{remedy}");
    assert_eq!(fs::read(site.world.path("known_hosts")).unwrap(), b"", "nothing was learnt");
    site.know("host_key");
    site.driftlock(&["check", "--server", "web"]).code(0);
}

#[needs(sshd)]
fn a_changed_host_key_may_be_an_attacker() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    site.know("other_key");
    // A message of many lines, and one long path in it: more than what is shown.
    let far = site.world.path("d".repeat(200)).join("k".repeat(200));
    fs::create_dir(far.parent().unwrap()).unwrap();
    fs::rename(site.world.path("known_hosts"), &far).unwrap();
    configure(&site, &format!("UserKnownHostsFile {}", far.display()));
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("its host key has changed: "), "{problem}");
    assert!(remedy.starts_with("do not connect: what answers may be an attacker"), "{remedy}");
    assert!(remedy.contains("ssh-keygen -R"), "{remedy}");
    not_to_be_added(&remedy);
    // The same in the report for people.
    let text = site.driftlock(&["check", "--server", "web"]).code(2).stdout();
    assert!(text.contains("may be an attacker") && !text.contains("ssh-keyscan"), "{text}");
}

#[needs(sshd)]
fn a_revoked_host_key_is_not_to_be_trusted() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let revoked = known_hosts(&site, "@revoked ", "host_key") + &known_hosts(&site, "", "second_key");
    fs::write(site.world.path("known_hosts"), revoked).unwrap();
    configure(&site, "HostKeyAlgorithms ssh-ed25519");
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("its host key was revoked: "), "{problem}");
    assert!(remedy.starts_with("do not connect: that key is marked as stolen or withdrawn"), "{remedy}");
    not_to_be_added(&remedy);

    // The same by a list of revoked keys.
    site.know("host_key");
    configure(&site, &format!("RevokedHostKeys {}", site.world.path("host_key.pub").display()));
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("its host key was revoked: "), "{problem}");
    not_to_be_added(&remedy);
}

/// The `ssh` of a jump host is started by ours, and knows nothing of our options.
#[needs(sshd)]
fn the_host_key_of_a_jump_host() {
    let site = Site::new(&[("web", Far::Driftlock), ("jump", Far::Driftlock)]);
    let web = known_hosts(&site, "", "host_key");
    let jump = |key: &str| {
        let key = fs::read_to_string(site.world.path(format!("{key}.pub"))).unwrap();
        fs::write(site.world.path("known_hosts"), format!("{web}[127.0.0.1]:{} {key}", site.port(1))).unwrap();
    };
    let path = site.world.path("ssh_config");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replacen("Host web\n", "Host web\n    ProxyJump jump\n", 1)).unwrap();
    jump("host_key");
    site.driftlock(&["check", "--server", "web"]).code(0);
    jump("other_key");
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("its host key has changed: "), "{problem}");
    not_to_be_added(&remedy);
    // Unknown: ssh would ask, but there is no terminal.
    fs::write(site.world.path("known_hosts"), &web).unwrap();
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("its host key was refused: "), "{problem}");
    assert!(remedy.contains("a jump host needs its host key here too"), "{remedy}");
    not_to_be_added(&remedy);
}

/// Said by the `ssh` of a jump host; ours is too quiet for it.
#[needs(sshd)]
fn no_host_key_of_a_kind_that_is_taken() {
    let site = Site::new(&[("web", Far::Driftlock), ("jump", Far::Driftlock)]);
    let path = site.world.path("ssh_config");
    let config = fs::read_to_string(&path).unwrap();
    let config = config.replacen("Host web\n", "Host web\n    ProxyJump jump\n", 1);
    fs::write(&path, config.replacen("Host jump\n", "Host jump\n    HostKeyAlgorithms rsa-sha2-512\n", 1)).unwrap();
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("it has no host key of a type that ssh accepts: "), "{problem}");
    not_to_be_added(&remedy);
}

#[needs(sshd)]
fn a_private_key_that_others_may_read() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let key = site.world.path("user_key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("other users can read the private key"), "{problem}");
    assert!(remedy.contains("chmod 600"), "{remedy}");
}

#[needs(sshd)]
fn a_port_has_an_option_of_its_own() {
    let world = World::new();
    world.write("m/a", "a");
    world.lock();
    for (server, to_do) in [
        ("127.0.0.1:2222", "write `--server 127.0.0.1 --ssh-port 2222`"),
        ("root@web:22", "write `--server root@web --ssh-port 22`"),
        ("[::1]:22", "write `--server ::1 --ssh-port 22`"),
    ] {
        let stderr = world.driftlock(["check", "--server", server]).code(2).stderr();
        assert!(stderr.contains("includes the port ") && stderr.contains(to_do), "{stderr}");
    }
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("driftlock.toml"), declaration + "[server.web]\nhost = \"web:22\"\n").unwrap();
    let stderr = world.driftlock(["check", "--server", "web"]).code(2).stderr();
    assert!(stderr.contains("write `host = \"web\"` and `port = 22`"), "{stderr}");

    let site = Site::new(&[("web", Far::Driftlock)]);
    let port = site.port(0).to_string();
    let path = site.world.path("ssh_config");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace(&format!("Port {port}"), "Port 1")).unwrap();
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.contains("Connection refused") && remedy.contains("--ssh-port"), "{problem}: {remedy}");
    site.driftlock(&["check", "--server", "web", "--ssh-port", &port]).code(0);
    for refused in [&["--ssh-port", &port][..], &["--server", "web", "--ssh-port", "0"]] {
        site.driftlock(&[&["check"], refused].concat()).code(2);
    }
}

/// What a configuration that is meant for tunnels says must not keep us waiting.
#[needs(sshd)]
fn there_is_a_session_that_reads_and_stays() {
    for line in [
        "SessionType none",
        "SessionType subsystem",
        "StdinNull yes",
        "ForkAfterAuthentication yes",
        "RemoteCommand sleep 300",
    ] {
        let site = Site::new(&[("web", Far::Driftlock)]);
        configure(&site, line);
        let out = site.driftlock(&["check", "--server", "web", "--idle-timeout", "20"]).code(0);
        assert!(out.stdout().contains("OVERALL: PASS"), "{line}");
    }
}

#[needs(sshd)]
fn a_forced_command_that_is_another_program() {
    let site = Site::new(&[("web", Far::Forced("echo hello".to_owned()))]);
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.contains("hello"), "{problem}");
    assert!(remedy.contains("`ForceCommand`, `command=` in authorized_keys"), "{remedy}");
    for command in ["true", "sleep 300"] {
        let site = Site::new(&[("web", Far::Forced(command.to_owned()))]);
        let (_, remedy) = fails(&site, &["--idle-timeout", "2"]);
        assert!(remedy.contains("`ForceCommand`, `command=` in authorized_keys"), "{command}: {remedy}");
    }
}

#[needs(root, sshd, "sudo")]
fn a_sudo_that_wants_a_password() {
    let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups sudo";
    for sudo in [as_nobody.to_owned(), format!("{as_nobody} -n"), format!("{as_nobody} -S")] {
        let site = Site::new(&[("web", Far::Forced(format!("{sudo} driftlock collect")))]);
        let (problem, remedy) = fails(&site, &["--idle-timeout", "30"]);
        assert!(problem.starts_with("it asks for a password"), "{sudo}: {problem}");
        assert!(remedy.contains("NOPASSWD"), "{remedy}");
    }
}
