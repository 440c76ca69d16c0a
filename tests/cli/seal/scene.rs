//! A world with locks and keys to seal them with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Finished, World};

/// The seal and its signature.
pub const SEAL: &str = "locks/driftlock.seal";
pub const SIGNATURE: &str = "locks/driftlock.seal.sig";
/// Who signs, in the file of allowed signers.
pub const OPS: &str = "ops@example.org";

/// A world with one locked check, and a key of that type that is allowed to seal it.
pub fn scene(kind: &str) -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    keygen(&world, kind, "key");
    allow(&world, "allowed", &[(OPS, "key")]);
    world
}

/// Makes a key without a passphrase.
pub fn keygen(world: &World, kind: &str, name: &str) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", "", "-C", "a comment", "-f", name]);
    world.command(command).code(0);
}

/// The public half of a key, as a line of a file has it.
pub fn public(world: &World, key: &str) -> String {
    fs::read_to_string(world.path(format!("{key}.pub"))).unwrap().trim().to_owned()
}

/// Writes a file of allowed signers: principals, with options behind them if there are any, and keys.
pub fn allow(world: &World, file: &str, signers: &[(&str, &str)]) {
    let lines = signers.iter().map(|(who, key)| format!("{who} {}\n", public(world, key)));
    fs::write(world.path(file), lines.collect::<String>()).unwrap();
}

/// Seals with the key `key`, which has to succeed.
pub fn seal(world: &World) -> Finished {
    world.driftlock(["seal", "--key", "key"]).code(0)
}

/// The seal as any JSON parser reads it.
pub fn sealed(world: &World) -> Value {
    serde_json::from_slice(&fs::read(world.path(SEAL)).unwrap()).unwrap()
}

/// What `ssh-keygen -Y verify` says of the seal.
pub fn oracle(world: &World, allowed: &str, who: &str) -> bool {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", "driftlock", "-I", who, "-f", allowed, "-s", SIGNATURE]);
    let mut run = world.command(command);
    run.command.stdin(fs::File::open(world.path(SEAL)).unwrap());
    run.command.output().unwrap().status.success()
}

/// Signs a file as a person would, with whatever key and namespace, into the place of the seal's signature.
pub fn sign_by_hand(world: &World, key: &str, namespace: &str) {
    let _ = fs::remove_file(world.path(SIGNATURE));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", namespace, "-f", key, SEAL]);
    world.command(command).code(0);
}

/// Checks with these arguments and `--json`: the report, and what is said of the seal.
pub fn verdict(world: &World, arguments: &[&str], code: i32) -> (Value, Vec<String>) {
    let report = world.driftlock([&["check", "--json"], arguments].concat()).code(code).json();
    let troubles = report["seal"]["troubles"].as_array().unwrap_or_else(|| panic!("{report:#}")).clone();
    let problems = troubles.iter().map(|trouble| {
        assert_ne!(trouble["remedy"], "", "{trouble}");
        trouble["problem"].as_str().unwrap().to_owned()
    });
    (report, problems.collect())
}

/// An agent for a test, which ends with it.
pub struct Agent {
    process: std::process::Child,
    pub socket: PathBuf,
}

impl Agent {
    /// Starts one that has this key, which is then removed from the disk.
    pub fn with(world: &World, key: &str) -> Self {
        let socket = world.path("agent");
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(&socket);
        let mut run = world.command(command);
        let process = run.command.stdout(std::process::Stdio::null()).spawn().unwrap();
        let agent = Self { process, socket };
        let started = std::time::Instant::now();
        while !agent.socket.exists() {
            assert!(started.elapsed().as_secs() < 60, "ssh-agent does not start");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let mut add = Command::new("ssh-add");
        add.args(["-q", key]);
        world.command(add).env("SSH_AUTH_SOCK", agent.socket.to_str().unwrap()).code(0);
        fs::remove_file(world.path(key)).unwrap();
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
