//! Every system call of a run, in the words of `strace`: from the moment in which the sandbox is entered, files are opened
//! through the declared handles and in no other way.

use std::fs;
use std::path::Path;

use crate::harness::{FILES, World};
use crate::watch::{names, no_panic, strace};
use needs::needs;

/// What is not even tried once inside, let alone done. Opening by other means than `openat` and `openat2` is on it too.
const NEVER: [&str; 52] = [
    "execve",
    "execveat",
    "fork",
    "vfork",
    "socket",
    "socketpair",
    "connect",
    "accept",
    "accept4",
    "bind",
    "listen",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recvfrom",
    "recvmsg",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kill",
    "pidfd_open",
    "pidfd_send_signal",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "chroot",
    "pivot_root",
    "setns",
    "unshare",
    "open",
    "creat",
    "open_by_handle_at",
    "unlink",
    "unlinkat",
    "rmdir",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "io_uring_setup",
    "memfd_create",
    "bpf",
    "userfaultfd",
];

/// Calls that put the bytes of files or messages into the trace, where a path is no path.
const WITH_CONTENTS: [&str; 6] = ["read", "pread64", "write", "pwrite64", "readv", "writev"];

struct Call<'a> {
    name: &'a str,
    rest: &'a str,
}

fn calls(trace: &str) -> Vec<Call<'_>> {
    fn of_line(line: &str) -> Option<Call<'_>> {
        let (name, rest) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(Call { name, rest })
    }
    trace.lines().filter_map(of_line).collect()
}

/// Runs a command and makes sure of its whole trace. `allowed` are the directories, and the files in them, that it may
/// open once inside; it has to open at least `least` of them.
fn is_confined(world: &World, arguments: &[&str], code: i32, allowed: &[&str], least: usize) {
    assert_eq!(removals(world, arguments, code, allowed, least, None), 0);
}

/// The same of a run that may remove what is in one directory. Gives how much it removed.
fn removals(
    world: &World,
    arguments: &[&str],
    code: i32,
    allowed: &[&str],
    least: usize,
    pruned: Option<&str>,
) -> usize {
    let all = [arguments, &["--threads", "2"]].concat();
    let arguments = if arguments[0] == "init" { arguments } else { &all };
    let finished = strace(world, &["-y", "-s", "300", "-e", "trace=all", "-e", "signal=none"], arguments).code(code);
    no_panic(&finished);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    let calls = calls(&trace);
    let position = |wanted: &str| {
        let succeeded = |call: &Call<'_>| call.name == wanted && call.rest.trim_end().ends_with("= 0");
        calls.iter().rposition(succeeded).unwrap_or_else(|| panic!("{arguments:?}: no {wanted} in {trace}"))
    };
    let (landlock, seccomp) = (position("landlock_restrict_self"), position("seccomp"));
    assert!(landlock < seccomp, "{arguments:?}");
    // No thread, and no other process, that the sandbox would not hold.
    let is_start = |call: &&Call<'_>| call.name.starts_with("clone") || call.name.ends_with("fork");
    let started: Vec<_> = calls[..seccomp].iter().filter(is_start).collect();
    assert!(started.iter().all(|call| call.rest.contains("CLONE_THREAD")), "{arguments:?}");
    // The one that watches what is opened by name has ended.
    let ended = calls[..landlock].iter().filter(|call| call.name == "exit");
    assert!(started.len() <= 1 && ended.count() == started.len(), "{arguments:?}: {trace}");

    let allowed: Vec<_> = allowed.iter().map(|path| fs::canonicalize(world.path(path)).unwrap()).collect();
    let pruned = pruned.map(|path| fs::canonicalize(world.path(path)).unwrap());
    let (mut opened, mut removed) = (0, 0);
    for Call { name, rest } in &calls[landlock + 1..] {
        let told = || format!("{arguments:?}: {name}({rest}");
        let place = || {
            let handle = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')).unwrap().0;
            Path::new(handle.trim_end_matches(" (deleted)")).to_owned()
        };
        if let (&"unlinkat", Some(pruned)) = (name, &pruned) {
            assert!(place().starts_with(pruned) && !rest.contains("\"/") && !rest.contains(".."), "{}", told());
            removed += 1;
            continue;
        }
        // glibc looks at this before it gives memory of a thread back, and keeps the memory where it may not.
        if rest.contains("\"/proc/sys/vm/overcommit_memory\"") && rest.contains(" = -1 EACCES ") {
            continue;
        }
        assert!(!NEVER.contains(name), "{}", told());
        if WITH_CONTENTS.contains(name) {
            continue;
        }
        // Where a link leads is read and nothing more; and std asks in this way whether the kernel has statx.
        let rest = &if *name == "readlinkat" { rest.splitn(3, ", ").take(2).collect() } else { rest.to_string() };
        if *name == "statx" && rest.contains(", NULL, ") {
            continue;
        }
        // No path that starts at the root of the file system or at the working directory, and none that climbs,
        // whatever the call does with it. (A path that strace prints in `<>` is that of a handle.)
        assert!(!rest.contains("AT_FDCWD") && !rest.starts_with("\"/"), "{}", told());
        assert!(!rest.contains(", \"/") && !rest.contains("\"..\"") && !rest.contains("../"), "{}", told());
        if matches!(*name, "openat" | "openat2") {
            assert!(allowed.iter().any(|root| place().starts_with(root)), "{}", told());
            assert!(rest.contains("O_CLOEXEC"), "{}", told());
            opened += 1;
        }
        // Nothing that the run wants is refused and survived by luck. (clone3 is ENOSYS, so that `clone` is used,
        // whose arguments seccomp can see.)
        assert!(!rest.contains("= -1 EPERM") && !rest.contains("= -1 EACCES"), "{}", told());
        if *name == "clone" {
            assert!(rest.contains("CLONE_THREAD"), "{}", told());
        }
    }
    assert!(opened >= least, "{arguments:?}: only {opened} were opened");
    removed
}

fn world() -> World {
    let world = World::declaring(&format!("{}\n[check.modules]\nkind = \"trees\"\nroot = \"root\"\n", FILES));
    for module in ["m", "n", "o"] {
        for name in ["a", "b", "deep/c", "deep/deeper/d"] {
            world.write(format!("{module}/{name}"), name);
        }
    }
    std::os::unix::fs::symlink("/etc/passwd", world.root("m/link")).unwrap();
    fs::write(world.path("secret"), "secret").unwrap();
    world
}

#[needs(landlock, strace)]
fn lock_opens_the_roots_and_the_locks() {
    let world = world();
    is_confined(&world, &["lock"], 0, &["root", "locks"], 30);
    world.write("m/a", "2");
    is_confined(&world, &["lock"], 0, &["root", "locks"], 30);
    is_confined(&world, &["lock", "--require-sandbox"], 0, &["root", "locks"], 30);
    is_confined(&world, &["lock", "--dry-run"], 0, &["root", "locks"], 30);
}

#[needs(landlock, strace)]
fn check_opens_the_roots_the_locks_and_the_reports() {
    let world = world();
    world.lock();
    is_confined(&world, &["check"], 0, &["root", "locks", "reports"], 30);
    world.write("m/a", "2");
    is_confined(&world, &["check", "--json"], 1, &["root", "locks", "reports"], 30);
    is_confined(&world, &["check", "--require-sandbox", "--output", "out"], 1, &["root", "locks", "out"], 30);
    fs::remove_dir_all(world.path("reports")).unwrap();
    fs::write(world.path("reports"), "").unwrap();
    // With nothing to write to, nothing is opened to be written to either.
    is_confined(&world, &["check"], 3, &["root", "locks"], 30);
    fs::remove_file(world.path("locks/modules.lock.json")).unwrap();
    is_confined(&world, &["check"], 3, &["root", "locks"], 10);
}

#[needs(landlock, strace)]
fn check_removes_old_reports_and_nothing_else() {
    let world = world();
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    world.lock();
    for _ in 0..3 {
        is_confined(&world, &["check"], 0, &["root", "locks", "reports"], 30);
    }
    fs::write(world.path("driftlock.toml"), format!("reports_keep = 2\n{declaration}")).unwrap();
    let arguments = ["check", "--require-sandbox"];
    // Two of four, each of them two files and their directory.
    assert_eq!(removals(&world, &arguments, 0, &["root", "locks", "reports"], 30, Some("reports")), 6);
    assert_eq!(names(world.path("reports")).len(), 2);
    // A directory that was named with an argument is another one.
    is_confined(&world, &["check", "--output", "reports"], 0, &["root", "locks", "reports"], 30);
    assert_eq!(names(world.path("reports")).len(), 3);
}

#[needs(landlock, strace)]
fn diff_opens_nothing_but_a_root() {
    let world = world();
    world.lock();
    fs::copy(world.path("locks/modules.lock.json"), world.path("old.json")).unwrap();
    world.write("m/a", "2");
    world.lock();
    world.driftlock(["check", "--output", "out"]).code(0);
    // Both sides are open before the sandbox is entered.
    is_confined(&world, &["diff", "old.json", "locks/modules.lock.json"], 1, &[], 0);
    let report = world.path("out").join(&names(world.path("out"))[0]);
    is_confined(&world, &["diff", report.to_str().unwrap(), report.to_str().unwrap()], 0, &[], 0);
    is_confined(&world, &["diff", "old.json", "live"], 1, &["root"], 20);
}

#[needs(landlock, strace)]
fn hash_opens_what_it_is_given() {
    let world = world();
    for format in ["sha256sum", "nar", "json"] {
        is_confined(&world, &["hash", "--format", format, "root/m", "root/n"], 0, &["root/m", "root/n"], 10);
        is_confined(&world, &["hash", "--format", format, "secret"], 0, &[], 0);
    }
}

#[needs(landlock, strace)]
fn init_opens_the_working_directory() {
    let world = world();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    is_confined(&world, &["init"], 0, &["."], 5);
}

/// The calls of a run are few, so that a reader of the list in `seccomp.rs` can trust it: nothing else is needed.
#[needs(landlock)]
fn the_report_says_what_held() {
    let world = world();
    world.lock();
    let report = world.driftlock(["check", "--json", "--require-sandbox"]).code(0).json();
    assert_eq!(report["sandbox"]["seccomp"], true);
    assert!(report["sandbox"]["landlock"]["abi"].as_u64().unwrap() >= 1, "{report:#}");
    assert_eq!(report["sandbox"]["landlock"]["restrictions"][0], "filesystem");
    let offered = world.driftlock(["capabilities", "--json"]).code(0).json();
    assert_eq!(offered["offered"]["landlock"], report["sandbox"]["landlock"], "an auditor is told the same before");
    assert!(!world.driftlock(["check"]).code(0).stdout().contains("[WARN] Sandbox"));
}
