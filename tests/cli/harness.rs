//! A directory of its own for each test, and a command that sees nothing of the environment.
//!
//! A failure prints the directory's contents, the command line and both streams.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driftlock_lanes::Kernel;
use serde_json::Value;

use crate::machine;

/// Forces the way in which SHA-256 is computed.
pub const KERNEL: &str = "DRIFTLOCK_SHA256_KERNEL";

/// The one that commands compute it with, unless they are told otherwise.
pub fn kernel() -> Kernel {
    std::env::var(KERNEL).map_or_else(|_| Kernel::detect(), |name| Kernel::named(name.as_bytes()).unwrap())
}

/// A test's own directory, which goes with it: a declaration, a root called `root`, locks and reports.
pub struct World {
    directory: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        // A user who is not root can't remove what is in a directory without permissions; then `TempDir` does it.
        if fs::remove_dir_all(self.path("")).is_err() {
            let _ = open_up(&self.path(""));
        }
    }
}

/// Lets the owner change a directory and all below.
fn open_up(directory: &Path) -> std::io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// The declaration that most tests want: everything below `root`, loose files and modules.
pub const TREES: &str = "locks = \"locks\"\nreports = \"reports\"\n\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\n";

/// The same with the kind `files`.
pub const FILES: &str =
    "locks = \"locks\"\nreports = \"reports\"\n\n[check.tree]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"**\"]\n";

impl World {
    /// An empty root, and a `trees` check over it.
    pub fn new() -> Self {
        Self::declaring(TREES)
    }

    /// An empty root and this declaration.
    pub fn declaring(declaration: &str) -> Self {
        Self::below(&std::env::temp_dir(), declaration)
    }

    /// The same in a directory of the caller's choice, on another file system for example.
    pub fn below(parent: &Path, declaration: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("driftlock-test-").tempdir_in(parent).unwrap();
        // Other users than the one who runs the tests have to get in where a test wants them to.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let world = Self { directory };
        fs::create_dir(world.path("root")).unwrap();
        fs::write(world.path("driftlock.toml"), declaration).unwrap();
        world
    }

    /// The same in memory where the machine offers that: for tests with so many runs that `fsync` would take most of
    /// their time.
    pub fn in_memory(declaration: &str) -> Self {
        Self::below(&memory(), declaration)
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// A path below the root, of any bytes.
    pub fn root(&self, relative: impl AsRef<[u8]>) -> PathBuf {
        self.path("root").join(OsStr::from_bytes(relative.as_ref()))
    }

    /// Writes a file below the root, and the directories above it.
    pub fn write(&self, relative: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// A command in this directory, with an empty environment.
    pub fn driftlock<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftlock"));
        command.args(arguments);
        self.command(command)
    }

    /// Any command in this directory, with nothing in its environment but a path, and the kernel that all tests are run under
    /// if there is one (`DRIFTLOCK_SHA256_KERNEL=avx2 cargo test`).
    pub fn command(&self, mut command: Command) -> Run<'_> {
        command.current_dir(self.directory.path()).env_clear().env("PATH", machine::search_path());
        command.envs(std::env::var_os(KERNEL).map(|kernel| (KERNEL, kernel)));
        command.stdin(Stdio::null());
        Run { world: self, command }
    }

    /// Locks, which has to succeed.
    pub fn lock(&self) -> Finished {
        self.driftlock(["lock"]).code(0)
    }

    /// Checks, and gives the report on stdout.
    pub fn check(&self, code: i32) -> Value {
        self.driftlock(["check", "--json"]).code(code).json()
    }

    /// The bytes of the lock of the check `tree`.
    pub fn lock_bytes(&self) -> Vec<u8> {
        fs::read(self.path("locks/tree.lock.json")).unwrap()
    }

    /// The entries of that lock, as any JSON parser reads them.
    pub fn entries(&self) -> Vec<Value> {
        let lock: Value = serde_json::from_slice(&self.lock_bytes()).unwrap();
        lock["entries"].as_array().unwrap().clone()
    }

    /// The entry of that lock with this path.
    pub fn entry(&self, path: &str) -> Value {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry["path"] == path);
        entry.unwrap_or_else(|| panic!("no entry {path} in {entries:#?}")).clone()
    }

    fn listing(&self) -> String {
        let output = Command::new("ls").arg("-laR").arg(self.directory.path()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).chars().take(4000).collect()
    }
}

/// A command that is about to run.
pub struct Run<'a> {
    world: &'a World,
    pub command: Command,
}

impl Run<'_> {
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Runs, and makes sure of the exit code.
    pub fn code(mut self, code: i32) -> Finished {
        let output =
            self.command.output().unwrap_or_else(|error| panic!("{:?} could not be run: {error}", self.command));
        let finished = Finished { output };
        assert_eq!(
            finished.output.status.code(),
            Some(code),
            "{:?}\n--- stdout\n{}\n--- stderr\n{}\n--- directory\n{}",
            self.command,
            finished.stdout(),
            finished.stderr(),
            self.world.listing()
        );
        finished
    }
}

/// A command that ran.
pub struct Finished {
    pub output: Output,
}

impl Finished {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// What is on stdout, which has to be one JSON value and nothing else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout(), self.stderr()))
    }
}

/// The drift of the one check of a report, as `(change, path)`.
pub fn drift(report: &Value) -> Vec<(String, String)> {
    let check = the_check(report);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    check["drift"].as_array().unwrap().iter().map(|drift| (text(&drift["change"]), text(&drift["path"]))).collect()
}

/// The paths that the one check of a report could not verify.
pub fn unverified(report: &Value) -> Vec<String> {
    let check = the_check(report);
    check["unverified"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

/// The check `tree` of a report, whose counts have to add up.
pub fn the_check(report: &Value) -> &Value {
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "tree").unwrap();
    let count = |key: &str| check["counts"][key].as_u64().unwrap();
    assert_eq!(count("entries"), count("verified") + count("drifted") + count("unverified"), "{check:#}");
    check
}

/// A directory of a file system in memory with room for the largest test, or else the one for temporary files.
pub fn memory() -> PathBuf {
    // What a container has by default is 64 MB.
    const ROOM: u64 = 1 << 30;
    let memory = PathBuf::from("/dev/shm");
    let room = rustix::fs::statvfs(&memory).map(|status| status.f_bavail * status.f_frsize);
    let inodes = rustix::fs::statvfs(&memory).map(|status| status.f_favail);
    let fits = room.is_ok_and(|room| room >= ROOM) && inodes.is_ok_and(|inodes| inodes >= 400_000);
    if fits { memory } else { std::env::temp_dir() }
}

/// Whether the tests run as root, as they do in containers; some rows need another user then.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs the binary as a user who may not read everything: `nobody` if the tests run as root.
pub fn unprivileged(world: &World, arguments: &[&str]) -> Command {
    let mut command;
    if is_root() {
        // The binary may lie where that user can't go.
        let copy = world.path("driftlock-copy");
        // Another process makes the copy. If this one opened it for writing, a child that another test starts meanwhile
        // would inherit the handle, and the file could not be executed.
        let mut install = Command::new("install");
        install.args(["-m", "755", env!("CARGO_BIN_EXE_driftlock")]).arg(&copy);
        assert!(install.status().unwrap().success());
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
    } else {
        command = Command::new(env!("CARGO_BIN_EXE_driftlock"));
    }
    command.args(arguments);
    command
}
