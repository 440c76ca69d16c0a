//! System calls that fail while a lock or a report is written: exit code 2, a message that says what to do, and the old
//! lock.

use std::fs;

use crate::harness::{World, drift};
use crate::watch::{names, no_panic, says, strace};
use needs::needs;

/// A world whose lock is old, and the bytes of it.
fn drifted() -> (World, Vec<u8>) {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    world.write("m/a", "2");
    let old = world.lock_bytes();
    (world, old)
}

#[needs(strace)]
fn errors_while_the_lock_is_written() {
    let (world, old) = drifted();
    let temporary = world.path("locks/.tree.lock.json.tmp");
    let (temporary, name) = (temporary.to_str().unwrap(), ".tree.lock.json.tmp");
    for error in ["ENOSPC", "EDQUOT", "EIO"] {
        for (call, path) in [
            ("write", temporary),
            ("ftruncate", temporary),
            ("fsync", temporary),
            ("flock", temporary),
            ("openat2", name),
            ("rename,renameat,renameat2", name),
        ] {
            let inject = format!("inject={call}:error={error}");
            let finished = strace(&world, &["-P", path, "-e", &inject], &["lock"]).code(2);
            no_panic(&finished);
            says(&finished.stderr(), &["locks/tree.lock.json could not be written", "to do: "]);
            says(&finished.stderr(), &["existing files are unchanged"]);
            if error != "EIO" {
                says(&finished.stderr(), &["make room"]);
            }
            assert!(!finished.stdout().contains("wrote"), "{}", finished.stdout());
            assert_eq!(world.lock_bytes(), old, "{call} {error}");
            let report = world.driftlock(["check", "--json", "--output", "out"]).code(1).json();
            assert_eq!(drift(&report).len(), 1, "the baseline is what it was");
        }
    }
    world.lock();
    assert_eq!(names(world.path("locks")), ["tree.lock.json"]);
    world.check(0);
}

/// A second part that can't be written, of a lock that is larger than one buffer.
#[needs(strace)]
fn error_in_the_middle_of_a_large_lock() {
    let world = World::new();
    for number in 0..4000 {
        world.write(format!("m{}/{}{number}", number % 5, "name".repeat(20)), "");
    }
    world.lock();
    let old = world.lock_bytes();
    assert!(old.len() > 600 << 10, "{}", old.len());
    world.write("m0/new", "");
    for when in 1..=3 {
        let temporary = world.path("locks/.tree.lock.json.tmp");
        let inject = format!("inject=write:error=ENOSPC:when={when}");
        let finished = strace(&world, &["-P", temporary.to_str().unwrap(), "-e", &inject], &["lock"]).code(2);
        says(&finished.stderr(), &["make room; existing files are unchanged"]);
        assert_eq!(world.lock_bytes(), old);
        // What could not be finished takes no room on a disk that has none.
        assert_eq!(fs::metadata(&temporary).unwrap().len(), 0);
    }
    world.lock();
    world.check(0);
}

/// The lock is in place then, so the message must not say that the old one is.
#[needs(strace)]
fn error_while_the_directory_is_synced() {
    let (world, old) = drifted();
    let locks = world.path("locks");
    let options = ["-P", locks.to_str().unwrap(), "-e", "inject=fsync:error=EIO"];
    let finished = strace(&world, &options, &["lock"]).code(2);
    no_panic(&finished);
    says(&finished.stderr(), &["locks/tree.lock.json", "it is in place, but", "Input/output error", "to do: "]);
    assert!(!finished.stderr().contains("untouched"), "{}", finished.stderr());
    assert_ne!(world.lock_bytes(), old);
    world.check(0);
}

#[needs(strace)]
fn errors_while_the_report_is_written() {
    for (contents, code, word) in [("1", 2, "OVERALL: PASS"), ("2", 3, "OVERALL: FAIL")] {
        let world = World::new();
        world.write("m/a", "1");
        world.lock();
        // Makes the reports folder, so that the calls below are those of a report alone.
        world.driftlock(["check"]).code(0);
        world.write("m/a", contents);
        for inject in [
            "inject=write:error=ENOSPC",
            "inject=fsync:error=EIO",
            "inject=rename,renameat,renameat2:error=EDQUOT",
            "inject=ftruncate:error=EIO",
        ] {
            let names = [".drift_report.json.tmp", ".drift_report.txt.tmp"];
            // The folder's name is the time, so the path is not known beforehand; these are the calls for the report only.
            let call = inject.trim_start_matches("inject=").split(':').next().unwrap();
            let inject = if call == "write" { format!("{inject}:when=1") } else { inject.to_owned() };
            let options = if call.starts_with("rename") {
                vec!["-P", names[0], "-P", names[1], "-e", &inject]
            } else {
                vec!["-e", &inject]
            };
            let finished = strace(&world, &options, &["check"]).code(code);
            no_panic(&finished);
            says(&finished.stdout(), &[word]);
            says(&finished.stderr(), &["the report reports/", "could not be written", "to do: "]);
            assert!(!finished.stdout().contains("Report: "), "{}", finished.stdout());
        }
        let finished = strace(&world, &["-e", "inject=mkdirat:error=ENOSPC"], &["check"]).code(code);
        says(&finished.stdout(), &[word]);
        says(&finished.stderr(), &["make room"]);
    }
}

#[needs(strace)]
fn errors_while_the_declaration_is_written() {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    for inject in ["write:error=ENOSPC:when=1", "fsync:error=EIO:when=1", "renameat2:error=EIO"] {
        let finished = strace(&world, &["-e", &format!("inject={inject}")], &["init"]).code(2);
        no_panic(&finished);
        says(&finished.stderr(), &["driftlock.toml could not be written", "to do: "]);
        assert!(!world.path("driftlock.toml").exists(), "half a declaration, after {inject}");
    }
    world.driftlock(["init"]).code(0);
}

/// Another run that writes the same lock at the same time is not waited for, and not mixed with.
#[test]
fn two_runs_at_once() {
    let (world, old) = drifted();
    let finished = {
        let held = fs::File::create(world.path("locks/.tree.lock.json.tmp")).unwrap();
        held.lock().unwrap();
        world.driftlock(["lock"]).code(2)
    };
    says(&finished.stderr(), &["another driftlock is writing it now", "wait until it ends"]);
    assert_eq!(world.lock_bytes(), old);
    let mut runs: Vec<_> = (0..8)
        .map(|_| {
            let mut run = world.driftlock(["lock"]);
            run.command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let codes: Vec<_> = runs.iter_mut().map(|run| run.wait().unwrap().code().unwrap()).collect();
    assert!(codes.iter().all(|code| [0, 2].contains(code)) && codes.contains(&0), "{codes:?}");
    world.check(0);
}

/// A machine that has no thread left gives a slower run and the same result.
#[needs(strace)]
fn no_more_threads() {
    let (world, _) = drifted();
    for inject in ["inject=clone,clone3:error=EAGAIN", "inject=clone,clone3:error=EAGAIN:when=3+"] {
        let finished = strace(&world, &["-e", inject], &["check", "--threads", "4", "--json"]).code(1);
        no_panic(&finished);
        assert_eq!(drift(&finished.json()).len(), 1);
    }
}
