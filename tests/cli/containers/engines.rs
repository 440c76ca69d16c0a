//! Docker and Podman, each with a socket and storage of its own, started and stopped by the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long an engine may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running engine. It ends with the test.
pub struct Engine {
    /// The words before any command of its client.
    client: Vec<String>,
    directory: tempfile::TempDir,
    service: Child,
}

impl Engine {
    /// Debian's `docker.io`, without networks of its own: it shares the machine with whatever else runs there.
    ///
    /// # Errors
    ///
    /// If it does not start: what it said.
    pub fn docker() -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let socket = format!("unix://{}", path("engine.sock"));
        let mut service = Command::new("dockerd");
        service.args(["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]);
        service.args(["--host", &socket, "--data-root", &path("data"), "--exec-root", &path("exec")]);
        service.args(["--pidfile", &path("pid"), "--config-file", &path("no-config")]);
        fs::write(path("no-config"), "{}").unwrap();
        let client = ["docker", "--config", &path("client"), "--host", &socket].map(str::to_owned).to_vec();
        Self::start(directory, service, client)
    }

    /// Debian's `podman`.
    ///
    /// # Errors
    ///
    /// If it does not start: what it said.
    pub fn podman() -> Result<Self, String> {
        Self::podman_with(&[])
    }

    /// The same for containers that run: by `runc`, which needs no more of the machine's cgroups than Docker does.
    ///
    /// # Errors
    ///
    /// If it does not start: what it said.
    pub fn running_podman() -> Result<Self, String> {
        Self::podman_with(&["--runtime", "runc"])
    }

    fn podman_with(options: &[&str]) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let own = ["podman", "--root", &path("root"), "--runroot", &path("run"), "--storage-driver", "vfs"];
        let more = ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--tmpdir", &path("tmp")];
        let client: Vec<_> = own.into_iter().chain(more).chain(options.iter().copied()).map(str::to_owned).collect();
        let mut service = Command::new(&client[0]);
        service.args(&client[1..]).args(["system", "service", "--time", "0"]);
        service.arg(format!("unix://{}", path("engine.sock")));
        Self::start(directory, service, client)
    }

    fn start(directory: tempfile::TempDir, mut service: Command, client: Vec<String>) -> Result<Self, String> {
        let log = fs::File::create(directory.path().join("log")).unwrap();
        // Where containerd writes its stacks when it is asked to end while it is busy.
        service.env("TMPDIR", directory.path());
        service.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let service = service.spawn().unwrap_or_else(|error| panic!("{service:?}: {error}"));
        let mut engine = Self { client, directory, service };
        let started = Instant::now();
        while !engine.command(&["version"]).output().unwrap().status.success() || !engine.socket().exists() {
            let ended = engine.service.try_wait().unwrap();
            if ended.is_some() || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(engine.directory.path().join("log")).unwrap();
                return Err(format!("{ended:?}: {}", log.lines().last().unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(engine)
    }

    pub fn is_docker(&self) -> bool {
        self.client[0] == "docker"
    }

    /// What a container that runs has to be told: Podman would raise its limits above those of a machine that is a container.
    pub fn limits(&self) -> &'static [&'static str] {
        if self.is_docker() { &[] } else { &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"] }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.client[0]);
        command.args(&self.client[1..]).args(arguments).stdin(Stdio::null());
        command
    }

    /// Has the client do something, which must succeed; gives what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim().to_owned()
    }

    /// Makes an image of a directory.
    pub fn import(&self, root: &Path, name: &str) {
        let archive = self.directory.path().join("image.tar");
        let packed = Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg(".").status().unwrap();
        assert!(packed.success());
        self.run(&["import", archive.to_str().unwrap(), name]);
    }

    /// Creates a container that would sleep, with whatever else is said of it.
    pub fn create(&self, name: &str, image: &str, more: &[&str]) {
        self.run(&[&["create", "--name", name], more, &[image, "/bin/sleep", "1000"]].concat());
    }

    /// Removes a container, with the volumes that have no name.
    pub fn remove(&self, name: &str) {
        self.run(&["rm", "--force", "--volumes", name]);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let process = rustix::process::Pid::from_child(&self.service);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let started = Instant::now();
        while started.elapsed() < PATIENCE && matches!(self.service.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.service.kill();
        let _ = self.service.wait();
        // What an engine mounts below its directory outlives it, and keeps the directory from being removed.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below =
            |line: &&str| line.split(' ').nth(1).is_some_and(|at| Path::new(at).starts_with(self.directory.path()));
        for mount in mounts.lines().filter(below).filter_map(|line| line.split(' ').nth(1)).rev() {
            let _ = Command::new("umount").arg(mount).status();
        }
    }
}

/// A directory to make an image of: something to run, and some configuration.
pub fn root(directory: &Path) -> PathBuf {
    let root = directory.join("image");
    for path in ["bin", "etc/nginx/conf.d", "data"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap();
    let busybox = std::env::split_paths(&path).map(|directory| directory.join("busybox")).find(|path| path.exists());
    fs::copy(busybox.expect("this test needs busybox (Debian: busybox-static)"), root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/sleep")).unwrap();
    fs::write(root.join("etc/nginx/nginx.conf"), "server { listen 80; }\n").unwrap();
    fs::write(root.join("etc/nginx/conf.d/a.conf"), "# a\n").unwrap();
    root
}
