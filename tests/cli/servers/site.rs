//! An sshd with any number of hosts, which are ports of it, and what `ssh` needs to reach them.

use std::fs;
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::harness::{Run, World};

/// What a host runs when it is asked for `driftlock`.
#[derive(Clone, Debug)]
pub enum Far {
    /// The real one.
    Driftlock,
    /// Nothing: it has none.
    Nothing,
    /// This script of sh.
    Script(String),
    /// This command instead of any that is asked for.
    Forced(String),
    /// These programs and no others.
    Only(&'static [&'static str]),
}

/// More ports than this no sshd listens on.
const PORTS: usize = 16;

/// A world with servers. Each host is an alias in ssh's configuration: `ssh -F ssh_config NAME`.
pub struct Site {
    pub world: World,
    sshd: Vec<Child>,
    ports: Vec<u16>,
}

/// One check over `root`, which lies at the same place on every host.
pub fn declaration(world: &World) -> String {
    format!(
        "locks = \"locks\"\nreports = \"reports\"\n\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\nserver_root = \
         \"{}\"\n",
        world.path("root").display()
    )
}

impl Site {
    pub fn new(hosts: &[(&str, Far)]) -> Self {
        let world = World::new();
        fs::write(world.path("driftlock.toml"), declaration(&world)).unwrap();
        world.write("module/a.py", "a\n");
        world.write("module/b.py", "b\n");
        world.lock();
        Self::with(world, hosts)
    }

    pub fn with(world: World, hosts: &[(&str, Far)]) -> Self {
        for key in ["host_key", "second_key", "other_key", "user_key", "stranger_key"] {
            let mut keygen = Command::new("ssh-keygen");
            let kind = if key == "second_key" { "ecdsa" } else { "ed25519" };
            keygen.args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]).arg(world.path(key));
            assert!(keygen.status().expect("needs OpenSSH (Debian: openssh-client)").success());
        }
        fs::copy(world.path("user_key.pub"), world.path("authorized_keys")).unwrap();
        let ports: Vec<_> = hosts.iter().map(|_| free_port()).collect();
        let at = |name: &str| world.path(name).display().to_string();
        // The default of OpenSSH 9 takes a quarter of a second of each connection, in builds without vectors.
        let sshd_config = format!(
            "ListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 500\n\
             PrintMotd no\nKexAlgorithms curve25519-sha256\n",
            at("host_key"),
            at("second_key"),
            at("authorized_keys")
        );
        let mut ssh_config = String::new();
        let mut matches = String::new();
        let real = Path::new(env!("CARGO_BIN_EXE_driftlock")).parent().unwrap().display();
        for ((name, far), port) in hosts.iter().zip(&ports) {
            let (path, forced) = match far {
                Far::Driftlock => (format!("{real}:"), String::new()),
                Far::Nothing => (String::new(), String::new()),
                Far::Forced(command) => (format!("{real}:"), format!("    ForceCommand {command}\n")),
                Far::Only(programs) => {
                    let directory = world.path(format!("far-{name}"));
                    fs::create_dir(&directory).unwrap();
                    for program in *programs {
                        std::os::unix::fs::symlink(which(program), directory.join(program)).unwrap();
                    }
                    (directory.display().to_string(), String::new())
                }
                Far::Script(script) => {
                    let directory = world.path(format!("far-{name}"));
                    fs::create_dir(&directory).unwrap();
                    fs::write(directory.join("driftlock"), format!("#!/bin/sh\n{script}\n")).unwrap();
                    fs::set_permissions(directory.join("driftlock"), fs::Permissions::from_mode(0o755)).unwrap();
                    (format!("{}:", directory.display()), String::new())
                }
            };
            let path = if matches!(far, Far::Only(_)) { path } else { format!("{path}/usr/bin:/bin") };
            matches.push_str(&format!(
                "Match LocalPort {port}\n    SetEnv \"PATH={path}\" \"TMPDIR={}\"\n{forced}",
                at("far-tmp")
            ));
            ssh_config.push_str(&format!("Host {name}\n    HostName 127.0.0.1\n    Port {port}\n"));
        }
        fs::create_dir(world.path("far-tmp")).unwrap();
        ssh_config.push_str(&format!(
            "Host *\n    User {}\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {}\n    \
             GlobalKnownHostsFile none\n",
            user(),
            at("user_key"),
            at("known_hosts")
        ));
        let sshd = ports.chunks(PORTS).enumerate().map(|(number, ports)| {
            let listening: String = ports.iter().map(|port| format!("Port {port}\n")).collect();
            let config = world.path(format!("sshd_config-{number}"));
            fs::write(&config, [&*sshd_config, &listening, &matches].concat()).unwrap();
            (config, ports)
        });
        let sshd: Vec<_> = sshd.map(|(config, ports)| serve(&config, ports)).collect();
        fs::write(world.path("ssh_config"), ssh_config).unwrap();
        let site = Self { sshd, world, ports };
        site.know("host_key");
        site
    }

    /// Makes this the key by which the hosts are known; none if it is empty.
    pub fn know(&self, key: &str) {
        let mut lines = String::new();
        if !key.is_empty() {
            let key = fs::read_to_string(self.world.path(format!("{key}.pub"))).unwrap();
            for port in &self.ports {
                lines.push_str(&format!("[127.0.0.1]:{port} {key}"));
            }
        }
        fs::write(self.world.path("known_hosts"), lines).unwrap();
    }

    pub fn port(&self, host: usize) -> u16 {
        self.ports[host]
    }

    /// Adds a host that is nothing but a port.
    pub fn alias(&self, name: &str, port: u16) {
        let path = self.world.path("ssh_config");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("Host {name}\n    HostName 127.0.0.1\n    Port {port}\n{config}")).unwrap();
        let key = fs::read_to_string(self.world.path("host_key.pub")).unwrap();
        let known = fs::read_to_string(self.world.path("known_hosts")).unwrap();
        fs::write(self.world.path("known_hosts"), format!("{known}[127.0.0.1]:{port} {key}")).unwrap();
    }

    /// Adds a host that is this one behind a connection which is cut once so many bytes have gone there or come back; gives
    /// how many did.
    pub fn cut(&self, name: &str, host: usize, there: u64, back: u64) -> JoinHandle<(u64, u64)> {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        self.alias(name, proxy.local_addr().unwrap().port());
        let far = self.port(host);
        std::thread::spawn(move || {
            let (near, _) = proxy.accept().unwrap();
            let far = TcpStream::connect(("127.0.0.1", far)).unwrap();
            let copy = |from: &TcpStream, to: &TcpStream, limit: u64| {
                let (from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || {
                    let copied = std::io::copy(&mut (&from).take(limit), &mut to).unwrap_or(0);
                    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    copied
                })
            };
            let (there, back) = (copy(&near, &far, there), copy(&far, &near, back));
            (there.join().unwrap(), back.join().unwrap())
        })
    }

    /// Logs in to a host and leaves again.
    ///
    /// # Errors
    ///
    /// What `ssh` said, if it can't.
    pub fn login(&self, host: &str) -> Result<(), String> {
        let mut ssh = Command::new(which("ssh"));
        ssh.arg("-F").arg(self.world.path("ssh_config")).args(["-o", "BatchMode=yes", host, "true"]);
        let output = ssh.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{}: {}", output.status, said.trim())) }
    }

    /// A directory with an `ssh` that reads the configuration of this site and is the machine's in all else.
    pub fn bin(&self) -> PathBuf {
        let bin = self.world.path("bin");
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            let config = self.world.path("ssh_config");
            let ssh = format!("#!/bin/sh\nexec /usr/bin/env -u LANG ssh -F {} \"$@\"\n", config.display());
            // Found again by `env`, which must not find itself.
            let ssh = ssh.replace(" ssh -F", &format!(" {} -F", which("ssh").display()));
            fs::write(bin.join("ssh"), ssh).unwrap();
            fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    /// The command, with that `ssh`.
    pub fn driftlock<'a>(&'a self, arguments: &[&str]) -> Run<'a> {
        let bin = self.bin();
        let run = self.world.driftlock(arguments);
        let path = run.command.get_envs().find(|(key, _)| *key == "PATH").and_then(|(_, path)| path);
        let path = format!("{}:{}", bin.display(), path.unwrap().to_str().unwrap());
        run.env("PATH", &path)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for sshd in &mut self.sshd {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }
}

/// A free port, another one each time. None of those that the kernel gives to connections: another test's might
/// have it by the time that it is used.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const PORTS: u16 = 22_000;
    let start = (std::process::id() * 101 % u32::from(PORTS)) as u16;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn which(program: &str) -> PathBuf {
    let found = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/run/current-system/sw/bin"]
        .into_iter()
        .map(|directory| Path::new(directory).join(program))
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|directory| directory.join(program)))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("this test needs {program} (Debian: openssh-server, openssh-client)"))
}

/// Starts an sshd, and waits until it listens on all its ports.
fn serve(config: &Path, ports: &[u16]) -> Child {
    let log_path = config.with_extension("log");
    let log = fs::File::create(&log_path).unwrap();
    let mut command = Command::new(which("sshd"));
    command.args(["-D", "-e", "-f"]).arg(config);
    let mut sshd = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
    let started = Instant::now();
    let said = || fs::read_to_string(&log_path).unwrap();
    while !ports.iter().all(|port| said().contains(&format!("port {port}."))) {
        assert!(started.elapsed() < Duration::from_secs(60), "sshd does not start: {}", said());
        assert_eq!(sshd.try_wait().unwrap(), None, "sshd has ended: {}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
    sshd
}
