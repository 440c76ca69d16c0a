//! `[server.NAME]`, and what the command line makes of servers.

use std::fs;
use std::process::{Command, Stdio};

use super::super::harness::World;
use super::super::watch::names;
use super::site::{Far, Site};
use needs::needs;

#[needs(sshd)]
fn declared_servers_have_their_own_way_in_and_roots() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    // Neither user, key nor port come from ssh's configuration.
    let known = fs::read_to_string(site.world.path("known_hosts")).unwrap();
    fs::write(
        site.world.path("ssh_config"),
        format!("UserKnownHostsFile {}\nGlobalKnownHostsFile none\n", site.world.path("known_hosts").display()),
    )
    .unwrap();
    assert!(known.contains(&site.port(0).to_string()));
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    fs::rename(site.world.path("root"), site.world.path("elsewhere")).unwrap();
    fs::create_dir(site.world.path("root")).unwrap();
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let server = |name: &str, more: &str| {
        format!("\n[server.{name}]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\n{more}", site.port(0), user.trim())
    };
    let roots = format!("key = \"user_key\"\nroots = {{ tree = \"{}\" }}\n", site.world.path("elsewhere").display());
    let text = [declaration, server("there", &roots), server("other", "key = \"stranger_key\"\n")].concat();
    fs::write(site.world.path("driftlock.toml"), text).unwrap();
    site.driftlock(&["check", "--server", "there"]).code(0);
    let fleet = site.driftlock(&["check", "--all-servers", "--json"]).code(2).json();
    let names: Vec<_> = fleet["servers"].as_array().unwrap().iter().map(|report| &report["server"]["name"]).collect();
    assert_eq!(names, ["there", "other"]);
    assert_eq!(fleet["summary"]["not_collected"], 1);
    // The key on the command line is for all, and the root of the other has drifted.
    let fleet = site.driftlock(&["check", "--all-servers", "--json", "--ssh-key", "user_key"]).code(1).json();
    assert_eq!(fleet["summary"]["passed"], 1);
    let report = &fleet["servers"][1];
    assert_eq!(report["checks"][2]["counts"]["drifted"], 3);
}

#[test]
fn servers_that_can_not_be_are_refused_before_anything_runs() {
    let world = World::new();
    world.write("m/a", "a");
    world.lock();
    for (arguments, problem) in [
        (&["--server=-oProxyCommand=touch x"][..], "`-oProxyCommand=touch x` is not a valid host"),
        (&["--server", "a b"], "`a b` is not a valid host"),
        (&["--server", "a;reboot"], "`a;reboot` is not a valid host"),
        (&["--server", "../x"], "`../x` is not a valid host"),
        (&["--server", ""], "`` is not a valid host"),
        (&["--server=-l@web"], "`-l` is not a valid user name"),
        (&["--server", "web", "--ssh-user", "a\nb"], "`a\\nb` is not a valid user name"),
        (&["--server", "web", "--push-binary", "driftlock.toml"], "driftlock.toml is not a 64-bit ELF program"),
        (&["--server", "web", "--push-binary", "/nowhere/x"], "/nowhere/x could not be read"),
        (&["--server", "root@web", "--server", "web"], "there is another server web in this run"),
        (&["--server", "a@web", "--server", "b@web"], "--server b@web: there is another server web in this run"),
        (&["--all-servers"], "declares no server"),
        (&["--push"], "--push is for servers, and no server is named"),
        (&["--jobs", "3"], "--jobs is for servers, and no server is named"),
    ] {
        let arguments = [&["check"], arguments].concat();
        let stderr = world.driftlock(&arguments).code(2).stderr();
        assert!(stderr.contains(problem), "{arguments:?}: {stderr}");
        assert!(stderr.contains("to do: "), "{stderr}");
    }
    assert!(!world.path("reports").exists() || names(world.path("reports")).is_empty());
    for refused in
        [&["--server", "a", "--local"][..], &["--server", "a", "--all-servers"], &["--jobs", "0", "--server", "a"]]
    {
        world.driftlock([&["check"], refused].concat()).code(2);
    }
}

/// Another key than the one that was declared is not tried in its place, and the other servers are checked.
#[needs(sshd)]
fn a_key_that_is_not_there_is_trouble_of_its_server() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let server = |name: &str, key: &str| format!("\n[server.{name}]\nhost = \"web\"\nkey = \"{key}\"\n");
    let text = [declaration, server("good", "user_key"), server("bad", "keys/gone")].concat();
    fs::write(site.world.path("driftlock.toml"), text).unwrap();
    let fleet = site.driftlock(&["check", "--all-servers", "--json"]).code(2).json();
    assert_eq!(fleet["servers"][0]["overall"], "PASS");
    let trouble = &fleet["servers"][1]["checks"][1]["trouble"];
    assert_eq!(trouble["problem"], "its private key keys/gone does not exist");
    assert!(trouble["remedy"].as_str().unwrap().contains("--ssh-key"));
}

/// A configuration that is meant for people, and would lend this machine to the server, or keep something for later.
#[needs(sshd)]
fn the_configuration_of_ssh_is_not_followed_in_everything() {
    let site = Site::new(&[(
        "web",
        Far::Script(
            "env >\"$TMPDIR/env\"; exec DRIFTLOCK \"$@\"".replace("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock")),
        ),
    )]);
    let at = |name: &str| site.world.path(name).display().to_string();
    let mut agent = Command::new("ssh-agent");
    let agent = agent.args(["-D", "-a"]).arg(at("agent")).stdout(Stdio::null()).spawn().unwrap();
    let config = fs::read_to_string(site.world.path("ssh_config")).unwrap();
    let more = format!(
        "RemoteCommand tmux attach\nRequestTTY force\nPermitLocalCommand yes\nLocalCommand touch {}\nUpdateHostKeys yes\n\
         ControlMaster yes\nControlPath {}\nControlPersist yes\nForwardAgent yes\nGSSAPIDelegateCredentials yes\n\
         RemoteForward {} localhost:1\nTunnel yes\n",
        at("local-command"),
        at("control"),
        at("forwarded"),
    );
    fs::write(site.world.path("ssh_config"), more + &config).unwrap();
    let known = fs::read(site.world.path("known_hosts")).unwrap();
    let run = site.driftlock(&["check", "--server", "web"]).env("SSH_AUTH_SOCK", &at("agent"));
    run.code(0);
    let mut agent = agent;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(fs::read(site.world.path("known_hosts")).unwrap(), known, "a key was learnt");
    for trace in ["local-command", "control", "forwarded"] {
        assert!(!site.world.path(trace).exists(), "{trace}");
    }
    let environment = fs::read_to_string(site.world.path("far-tmp/env")).unwrap();
    assert!(!environment.contains("SSH_AUTH_SOCK") && !environment.contains("SSH_TTY"), "{environment}");
}
