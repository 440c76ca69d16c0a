//! System calls that fail while a root is read: the entry is unverified, nothing of that is ever a PASS, and drift
//! beside it is still told.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{Finished, World, drift, the_check, unverified};
use crate::watch::{no_panic, says, strace};
use needs::needs;

fn world() -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.write("m/b", "1");
    world.write("n/deep/c", "1");
    world.write("n/deep/d", "1");
    symlink("a", world.root("m/link")).unwrap();
    world.lock();
    world
}

/// Options with which the calls about a path below the root fail: by its handle, and by its name where it is opened.
fn failing(world: &World, path: &str, inject: &str) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap();
    let paths = [world.root(path).into_os_string().into_string().unwrap(), path.to_owned(), name.to_owned()];
    let paths = if inject.contains("open") { &paths[..] } else { &paths[..1] };
    let mut options: Vec<_> = paths.iter().flat_map(|path| ["-P".to_owned(), path.clone()]).collect();
    options.extend(["-e".to_owned(), format!("inject={inject}")]);
    options
}

/// Runs with these options, and what came of it.
fn run(world: &World, options: &[String], arguments: &[&str], code: i32) -> Finished {
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let finished = strace(world, &options, arguments).code(code);
    no_panic(&finished);
    finished
}

/// Makes sure of what is unverified when calls about a path fail, without drift and with drift beside it.
fn is_unverified(path: &str, inject: &str, expected: &[&str], reason: &str) {
    let world = world();
    let old = world.lock_bytes();
    let options = failing(&world, path, inject);
    let report = run(&world, &options, &["check", "--json"], 2).json();
    assert_eq!(unverified(&report), expected, "{inject}");
    assert_eq!((&report["overall"], &the_check(&report)["status"]), (&"FAIL".into(), &"FAIL".into()));
    assert_eq!(drift(&report), [], "{inject}: what could not be read is not gone");
    let told = the_check(&report)["unverified"][0]["reason"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
    let counts = &the_check(&report)["counts"];
    assert_eq!(counts["verified"].as_u64().unwrap() + expected.len() as u64, 8, "{counts}");

    world.write("m/b", "2");
    let report = run(&world, &options, &["check", "--json"], 3).json();
    assert_eq!(unverified(&report), expected, "{inject}");
    assert_eq!(drift(&report), [("modified".to_owned(), "m/b".to_owned())], "drift beside it is told");

    // It does not get into a lock either.
    let finished = run(&world, &options, &["lock"], 2);
    says(&finished.stderr(), &["the check tree was not locked", expected[0], "the old lock is untouched"]);
    assert_eq!(world.lock_bytes(), old);
    world.driftlock(["check", "--json"]).code(1);
}

#[needs(strace)]
fn reading_a_file() {
    for error in ["EIO", "EBADMSG", "ESTALE"] {
        is_unverified("m/a", &format!("pread64,read:error={error}"), &["m/a"], "could not read it");
    }
}

#[needs(strace)]
fn opening_a_file() {
    for error in ["EIO", "EMFILE", "ENFILE", "ENOMEM", "EACCES"] {
        is_unverified("m/a", &format!("openat,openat2:error={error}"), &["m/a"], "could not open it");
    }
}

#[needs(strace)]
fn the_status_of_a_file() {
    is_unverified("m/a", "statx,newfstatat,fstat:error=EIO", &["m/a"], "could not read its status");
}

#[needs(strace)]
fn listing_a_directory() {
    let below = ["n/deep", "n/deep/c", "n/deep/d"];
    is_unverified("n/deep", "getdents64:error=EIO", &below, "could not list it");
    is_unverified("n/deep", "openat,openat2:error=EIO", &below, "could not open it");
    is_unverified("n/deep", "statx:error=EIO", &below, "could not read its status");
    // Some of its names came, and then no more.
    is_unverified("n/deep", "getdents64:error=EIO:when=2+", &below, "could not list it");
}

#[needs(strace)]
fn reading_a_link() {
    is_unverified("m/link", "readlinkat,openat,openat2:error=EIO", &["m/link"], "Input/output error");
}

#[needs(strace)]
fn listing_the_root() {
    let world = world();
    let old = world.lock_bytes();
    let root = world.path("root");
    let options = ["-P", root.to_str().unwrap(), "-e", "inject=getdents64:error=EIO"];
    let finished = strace(&world, &options, &["check"]).code(2);
    no_panic(&finished);
    says(&finished.stdout(), &["[FAIL] tree: the root root could not be read", "Input/output error", "OVERALL: FAIL"]);
    let finished = strace(&world, &options, &["lock"]).code(2);
    says(&finished.stderr(), &["the root root could not be read", "Input/output error", "to do: "]);
    assert_eq!(world.lock_bytes(), old);
    for format in ["sha256sum", "nar", "json"] {
        let finished = strace(&world, &options, &["hash", "--format", format, "root"]).code(2);
        says(&finished.stderr(), &["root could not be hashed", "Input/output error"]);
        assert!(!finished.stdout().contains("sha256"), "{}", finished.stdout());
    }
}

#[needs(strace)]
fn hashing_a_file_that_can_not_be_read() {
    let world = world();
    for path in ["root/m/a", "root"] {
        for format in ["sha256sum", "nar", "json"] {
            let file = world.path("root/m/a");
            let options = ["-P", file.to_str().unwrap(), "-e", "inject=pread64,read:error=EIO"];
            let finished = strace(&world, &options, &["hash", "--format", format, path]).code(2);
            no_panic(&finished);
            says(&finished.stderr(), &["root/m/a could not be hashed", "Input/output error", "to do: "]);
            assert!(!finished.stdout().contains("m/a\""), "{}", finished.stdout());
            assert!(format != "nar" || finished.stdout().is_empty(), "{}", finished.stdout());
        }
    }
}

#[needs(strace)]
fn reading_the_lock() {
    let world = world();
    let old = world.lock_bytes();
    let lock = world.path("locks/tree.lock.json");
    let options = ["-P", lock.to_str().unwrap(), "-e", "inject=read,pread64:error=EIO"];
    let finished = strace(&world, &options, &["check"]).code(2);
    no_panic(&finished);
    says(&finished.stdout(), &["locks/tree.lock.json is refused: it could not be read: Input/output error"]);
    says(&finished.stdout(), &["OVERALL: FAIL"]);
    let finished = strace(&world, &options, &["lock"]).code(2);
    says(&finished.stderr(), &["locks/tree.lock.json is refused", "was left as it is"]);
    // One that can't even be opened is not one that is missing.
    let options = ["-P", "tree.lock.json", "-e", "inject=openat,openat2:error=EIO"];
    let finished = strace(&world, &options, &["check"]).code(2);
    says(&finished.stdout(), &["[PASS] All required lock files present", "is refused: it could not be read"]);
    strace(&world, &options, &["lock"]).code(2);
    assert_eq!(world.lock_bytes(), old);
}

/// A call that was only interrupted is made again.
#[needs(strace)]
fn interrupted_calls_are_made_again() {
    let world = world();
    for (path, call) in [("root/m/a", "pread64"), ("root/n/deep", "getdents64"), ("locks/tree.lock.json", "read")] {
        let path = world.path(path);
        let inject = format!("inject={call}:error=EINTR:when=1");
        let finished =
            strace(&world, &["-P", path.to_str().unwrap(), "-e", &inject], &["check", "--threads", "1", "--json"]);
        assert_eq!(finished.code(0).json()["overall"], "PASS", "{call}");
        assert!(fs::read_to_string(world.path("trace")).unwrap().contains("EINTR"), "{call} was interrupted");
    }
}
