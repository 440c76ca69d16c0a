//! A directory with a root that is granted and things beside it that aren't, and children that are put before it.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The environment variable that makes this binary a child, and those that tell it what to do.
pub const TASK: &str = "DRIFTLOCK_TEST_TASK";
pub const LAYERS: &str = "DRIFTLOCK_TEST_LAYERS";
pub const PLACE: &str = "DRIFTLOCK_TEST_PLACE";
pub const PORT: &str = "DRIFTLOCK_TEST_PORT";
pub const UNPRIVILEGED: &str = "DRIFTLOCK_TEST_UNPRIVILEGED";

/// The user `nobody` on most systems. The kernel needs no entry in `/etc/passwd`.
pub const NOBODY: u32 = 65534;

/// What a child enters before it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    None,
    Landlock,
    Seccomp,
    All,
}

impl Layers {
    pub const EVERY: [Self; 4] = [Self::None, Self::Landlock, Self::Seccomp, Self::All];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::All => "all",
        }
    }

    pub fn named(name: &str) -> Self {
        Self::EVERY.into_iter().find(|layers| layers.name() == name).expect("a name of layers")
    }
}

/// The place, and what listens beside it while it exists.
pub struct Scene {
    directory: tempfile::TempDir,
    unprivileged: bool,
    tcp: TcpListener,
    _unix: [UnixListener; 2],
}

impl Scene {
    pub fn new(unprivileged: bool) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).expect("chmod");
        for name in ["root", "root/sub", "beside", "empty", "root/empty", "out", "out/sub"] {
            fs::create_dir(place.join(name)).expect(name);
        }
        for name in ["root/inside", "root/other", "root/sub/deep", "secret", "beside/secret", "out/old"] {
            fs::write(place.join(name), name).expect(name);
        }
        symlink("../secret", place.join("root/link")).expect("a link that climbs");
        symlink(place.join("secret"), place.join("root/absolute")).expect("an absolute link");
        symlink("../beside", place.join("root/directory")).expect("a link to a directory");
        let path = UnixListener::bind(place.join("socket")).expect("a UNIX socket with a path");
        let address = SocketAddr::from_abstract_name(abstract_name(place)).expect("an abstract address");
        let nameless = UnixListener::bind_addr(&address).expect("an abstract UNIX socket");
        if unprivileged {
            give(place);
        }
        Self {
            unprivileged,
            tcp: TcpListener::bind("127.0.0.1:0").expect("a TCP port on the loopback"),
            _unix: [path, nameless],
            directory,
        }
    }

    pub fn place(&self) -> &Path {
        self.directory.path()
    }

    /// This binary as a child with a task. The command has to live no longer than the scene.
    pub fn command(&self, task: &str, layers: Layers) -> Command {
        self.prepared(Command::new(binary()), task, layers)
    }

    /// The same below `strace -f`, which the tests can't do without.
    pub fn traced(&self, options: &[&str], task: &str, layers: Layers) -> Command {
        let mut command = Command::new("strace");
        command.arg("-f").args(options).arg("--").arg(binary());
        self.prepared(command, task, layers)
    }

    fn prepared(&self, mut command: Command, task: &str, layers: Layers) -> Command {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env(TASK, task).env(LAYERS, layers.name()).env(PLACE, self.place());
        command.env(PORT, self.tcp.local_addr().expect("an address").port().to_string());
        if self.unprivileged {
            command.env(UNPRIVILEGED, "1");
        }
        command
    }
}

/// Runs it; a program that can't be started fails the test, whatever the reason.
pub fn output(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{:?} has to be installed: {error}", command.get_program()))
}

/// What a child said, and all there is to know when it said nothing.
pub fn said(command: Command) -> String {
    let output = output(command);
    match std::str::from_utf8(&output.stdout).map(str::trim) {
        Ok(text) if !text.is_empty() => text.to_owned(),
        _ => format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

pub fn abstract_name(place: &Path) -> Vec<u8> {
    format!("driftlock{}", place.display()).into_bytes()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn binary() -> PathBuf {
    std::env::current_exe().expect("the path of this test")
}

fn give(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("chown");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("read_dir") {
            let path = entry.expect("entry").path();
            if !path.is_symlink() {
                give(&path);
            }
        }
    }
}
