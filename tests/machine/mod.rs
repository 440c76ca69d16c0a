//! What this machine lets a test do, found by trying it. `#[needs(...)]` (the crate in `tests/needs`) asks here.
//!
//! A test that can't run is told apart from one that fails: [`has_all`] writes its name and the reason to stderr, past
//! libtest's capture, and appends them to the file that `DRIFTLOCK_TESTS_NOT_RUN` names. `scripts/test` counts them.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it tries what the crate must not do")]

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, OnceLock};

/// Why a test can't run here; `Ok` if it can.
pub type Has = Result<(), String>;

/// The programs that tests run, each with the Debian package that has it. `scripts/test` reads the same file.
const PROGRAMS: &str = include_str!("programs");

/// Where programs are looked for: the path, and where `mkfs` and its like are.
pub fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// Whether the machine has all that a test needs; if not, it is noted that the test did not run, and why.
pub fn has_all(test: &str, needs: &[&dyn Fn() -> Has]) -> bool {
    let Some(reason) = needs.iter().find_map(|need| need().err()) else { return true };
    not_run(test, &reason);
    false
}

/// Whether all tests run, as in `scripts/test`: also those that `cargo test` by itself ignores.
pub fn is_whole_suite() -> bool {
    std::env::args().any(|argument| argument == "--include-ignored" || argument == "--ignored")
}

/// How many of so many random cases, or rounds of the same, to try: a third of them in a plain `cargo test`, which is to take little time.
pub fn cases(all: u32) -> u32 {
    if is_whole_suite() { all } else { all.div_ceil(3) }
}

/// Notes that a test did not run.
pub fn not_run(test: &str, reason: &str) {
    let reason = reason.replace('\n', " ");
    // The macros `print` and `eprint` are captured; this is not.
    let _ = writeln!(std::io::stderr(), "not run: {test}: {reason}");
    if let Some(file) = std::env::var_os("DRIFTLOCK_TESTS_NOT_RUN") {
        let file = fs::OpenOptions::new().create(true).append(true).open(&file);
        // One write, so that lines of tests at the same time do not mix.
        file.and_then(|mut file| file.write_all(format!("{test}\t{reason}\n").as_bytes()))
            .expect("the list of not run");
    }
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&search_path()).map(|directory| directory.join(program)).find(is_program)
}

/// A program is installed.
pub fn program(name: &str) -> Has {
    static FOUND: LazyLock<Mutex<HashMap<String, bool>>> = LazyLock::new(Mutex::default);
    let mut found = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *found.entry(name.to_owned()).or_insert_with(|| find(name).is_some()) {
        return Ok(());
    }
    let listed = PROGRAMS.lines().filter_map(|line| line.split_once(' ')).find(|(program, _)| *program == name);
    let (_, package) = listed.unwrap_or_else(|| panic!("{name} is not listed in tests/machine/programs"));
    Err(format!("{name} is not installed (Debian: {package})"))
}

/// `root` that may be another user: files can be given away, and programs run as `nobody`.
pub fn root() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    TRIED.get_or_init(try_root).clone()
}

fn try_root() -> Has {
    if !rustix::process::geteuid().is_root() {
        return Err("the tests do not run as root".to_owned());
    }
    program("setpriv")?;
    let directory = directory();
    chown(directory.path(), Some(65534), Some(65534))
        .map_err(|error| format!("root can't give files away: {error}"))?;
    let other = run("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "true"]);
    other.map_err(|why| format!("root can't be another user: {why}"))
}

/// File systems can be mounted, in a mount namespace of their own.
pub fn mounts() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    TRIED.get_or_init(|| in_namespace("mount -t tmpfs tmpfs .").map_err(|why| format!("no mounts: {why}"))).clone()
}

/// Images of ext4, xfs and btrfs can be mounted by way of loop devices.
pub fn images() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    TRIED.get_or_init(try_images).clone()
}

fn try_images() -> Has {
    for kind in ["ext4", "xfs", "btrfs"] {
        program(&format!("mkfs.{kind}"))?;
    }
    mounts()?;
    for kind in ["ext4", "xfs", "btrfs"] {
        let script = format!("truncate -s 512M i; mkfs.{kind} -q i; mkdir m; mount -t {kind} -o loop i m");
        in_namespace(&script).map_err(|why| format!("no loop mounts of {kind}: {why}"))?;
    }
    Ok(())
}

/// FUSE file systems can be mounted, through `/dev/fuse`.
pub fn fuse() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        mounts()?;
        fs::File::open("/dev/fuse").map_err(|error| format!("no FUSE: /dev/fuse: {error}"))?;
        in_namespace("mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 driftlock-test . 3<>/dev/fuse")
            .map_err(|why| format!("no FUSE mounts: {why}"))
    };
    TRIED.get_or_init(attempt).clone()
}

/// A test that waits for long is for `scripts/test`, and runs on every machine.
pub fn time() -> Has {
    Ok(())
}

/// Device nodes can be made, and opened.
pub fn devices() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    TRIED.get_or_init(try_devices).clone()
}

fn try_devices() -> Has {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    root()?;
    let directory = directory();
    let node = directory.path().join("null");
    mknodat(CWD, &node, FileType::CharacterDevice, Mode::from(0o600), makedev(1, 3))
        .map_err(|error| format!("no device nodes: {error}"))?;
    fs::File::open(node).map(drop).map_err(|error| format!("no device nodes: {error}"))
}

/// Nothing was taken away from root, if the tests run as root: some containers leave it neither mounts nor devices.
pub fn undiminished() -> Has {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    mounts()?;
    devices()
}

/// The kernel has Landlock and lets this process ask for it.
pub fn landlock() -> Has {
    match driftlock::internals::sandbox::available() {
        offered if offered.landlock.is_none() => Err("this kernel or container offers no Landlock".to_owned()),
        offered if !offered.seccomp => Err("this kernel or container offers no seccomp filters".to_owned()),
        _ => Ok(()),
    }
}

/// The directory for temporary files keeps extended attributes of users.
pub fn xattrs() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        let directory = directory();
        rustix::fs::setxattr(directory.path(), "user.driftlock", b"x", rustix::fs::XattrFlags::empty())
            .map_err(|error| format!("{} keeps no xattrs: {error}", std::env::temp_dir().display()))
    };
    TRIED.get_or_init(attempt).clone()
}

/// `strace` is there, and the kernel lets it trace and answer system calls.
pub fn strace() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        program("strace")?;
        let options = ["-f", "-o", "/dev/null", "-e", "inject=sync:retval=0", "--", "true"];
        run("strace", &options).map_err(|why| format!("strace may not trace: {why}"))
    };
    TRIED.get_or_init(attempt).clone()
}

/// Reads that leave the page cache as it is: `RWF_DONTCACHE`.
pub fn uncached_reads() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        let file = tempfile::tempfile().map_err(|error| error.to_string())?;
        let flags = rustix::io::ReadWriteFlags::from_bits_retain(0x80);
        rustix::io::preadv2(&file, &mut [std::io::IoSliceMut::new(&mut [0])], 0, flags)
            .map(drop)
            .map_err(|error| format!("no RWF_DONTCACHE in {}: {error}", std::env::temp_dir().display()))
    };
    TRIED.get_or_init(attempt).clone()
}

/// Python with the module `jsonschema`.
pub fn jsonschema() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    TRIED.get_or_init(|| python_module("jsonschema")).clone()
}

/// Python with the module `yaml`.
pub fn yaml() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    TRIED.get_or_init(|| python_module("yaml")).clone()
}

fn python_module(name: &str) -> Has {
    program("python3")?;
    let tried = run("python3", &["-c", &format!("import {name}")]);
    tried.map_err(|_| format!("python3 has no {name} (Debian: python3-{name})"))
}

/// A new time namespace, in which a program sees another clock.
pub fn time_namespace() -> Has {
    static TRIED: OnceLock<Has> = OnceLock::new();
    let attempt = || {
        root()?;
        let tried = run("unshare", &["--time", "--boottime", "1000", "true"]);
        tried.map_err(|why| format!("no time namespaces: {why}"))
    };
    TRIED.get_or_init(attempt).clone()
}

/// A script of `sh` in a mount namespace and a directory of its own, as root.
fn in_namespace(script: &str) -> Has {
    root()?;
    program("mount")?;
    let directory = directory();
    let script = format!("set -e; cd {:?}; {script}", directory.path());
    run("unshare", &["--mount", "--propagation", "private", "sh", "-c", &script])
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("driftlock-test-").tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    directory
}

/// Runs a program; what it says on stderr is the reason if it fails.
fn run(program: &str, arguments: &[&str]) -> Has {
    let mut command = Command::new(find(program).as_deref().unwrap_or(Path::new(program)));
    command.args(arguments).env("PATH", search_path()).stdin(Stdio::null());
    let Output { status, stderr, .. } = command.output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&stderr);
    let said = said.trim().lines().last().unwrap_or_default().to_owned();
    if status.success() { Ok(()) } else { Err(if said.is_empty() { status.to_string() } else { said }) }
}
