//! `kill -9` at every point that matters. What is left is the old lock or the new one, and nothing that a later run
//! trips over.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use crate::harness::{Run, World};
use crate::watch::{contents, names, strace};
use needs::needs;

/// Every system call that a run may make about the files that it writes.
const CALLS: [&str; 20] = [
    "open",
    "openat",
    "openat2",
    "creat",
    "write",
    "writev",
    "pwrite64",
    "ftruncate",
    "truncate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "flock",
    "mkdir",
    "mkdirat",
    "close",
    "statx",
    "newfstatat",
];

/// No run makes so many calls of one name before it ends.
const MOST: u32 = 400;

/// Runs until the `number`th call of that name, in whichever thread, and kills it there. Whether it came that far.
fn kill_at(mut run: Run<'_>) -> bool {
    let output = run.command.output().unwrap();
    match (output.status.code(), output.status.signal()) {
        (Some(0 | 1), None) => false,
        (None, Some(9)) => true,
        other => panic!("{:?}: {other:?}\n{}", run.command, String::from_utf8_lossy(&output.stderr)),
    }
}

/// Kills `arguments` before each of its calls of each name. `reset` comes before each run, `look` after each.
fn kill_everywhere(world: &World, arguments: &[&str], mut reset: impl FnMut(), mut look: impl FnMut(&str)) -> u32 {
    let mut killed = 0;
    for call in CALLS {
        for number in 1.. {
            assert!(number < MOST, "{call} has no end");
            reset();
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let was_killed = kill_at(strace(world, &["-e", &inject], arguments));
            look(&format!("{call} {number}"));
            if !was_killed {
                break;
            }
            killed += 1;
        }
    }
    killed
}

/// A world with two states of its root, and the locks of both.
fn two_states() -> (World, Vec<u8>, Vec<u8>) {
    let world = World::new();
    for number in 0..8 {
        world.write(format!("m{number}/a"), "1");
    }
    world.lock();
    let old = world.lock_bytes();
    world.write("m3/a", "2");
    world.write("m9/b", "new");
    world.lock();
    let new = world.lock_bytes();
    assert_ne!(old, new);
    (world, old, new)
}

#[needs(strace)]
fn lock_killed_before_every_call_leaves_the_old_or_the_new_lock() {
    let (world, old, new) = two_states();
    let lock = world.path("locks/tree.lock.json");
    // What a run that was killed leaves beside the lock stays there for the next one.
    let reset = || fs::write(&lock, &old).unwrap();
    let (mut seen, mut left) = ([0, 0], HashSet::new());
    let killed = kill_everywhere(&world, &["lock"], reset, |at| {
        let there = world.lock_bytes();
        assert!(there == old || there == new, "{at}: {}", String::from_utf8_lossy(&there));
        seen[usize::from(there == new)] += 1;
        // Later runs do the same where the same is left.
        if !left.insert(contents(&world, "locks")) {
            return;
        }
        world.lock();
        assert_eq!(world.lock_bytes(), new, "{at}");
        let left = names(world.path("locks"));
        assert!(left.iter().all(|name| name == "tree.lock.json" || name == ".tree.lock.json.tmp"), "{at}: {left:?}");
        world.driftlock(["check", "--output", "out"]).code(0);
    });
    // It was killed in all phases: while it started, while it read, while it wrote, and afterwards.
    assert!(killed > 40 && seen[0] > 20 && seen[1] > 3, "{killed} kills, {seen:?}");
}

#[needs(strace)]
fn first_lock_killed_before_every_call() {
    let (world, _, new) = two_states();
    let reset = || {
        if world.path("locks").exists() {
            fs::remove_dir_all(world.path("locks")).unwrap();
        }
    };
    let mut left = HashSet::new();
    kill_everywhere(&world, &["lock"], reset, |at| {
        if let Ok(there) = fs::read(world.path("locks/tree.lock.json")) {
            assert_eq!(there, new, "{at}");
        }
        if !left.insert((world.path("locks").exists(), contents(&world, "locks"))) {
            return;
        }
        world.lock();
        assert_eq!(world.lock_bytes(), new, "{at}");
        world.driftlock(["check", "--output", "out"]).code(0);
    });
}

#[needs(strace)]
fn check_killed_before_every_call_leaves_whole_reports() {
    let (world, old, _) = two_states();
    fs::write(world.path("locks/tree.lock.json"), &old).unwrap();
    let reset = || {
        let _ = fs::remove_dir_all(world.path("reports"));
    };
    let mut left = HashSet::new();
    kill_everywhere(&world, &["check"], reset, |at| {
        assert_eq!(world.lock_bytes(), old, "{at}");
        // Two reports of the same length differ in their time.
        let reports = contents(&world, "reports").into_iter();
        let reports: Vec<_> =
            reports.map(|(path, bytes)| (path.file_name().unwrap().to_owned(), bytes.len())).collect();
        if !left.insert((fs::read_dir(world.path("reports")).ok().map(Iterator::count), reports)) {
            return;
        }
        world.driftlock(["check", "--quiet"]).code(1);
        let mut whole = 0;
        for run in names(world.path("reports")) {
            let Ok(bytes) = fs::read(world.path("reports").join(run).join("drift_report.json")) else { continue };
            let report: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(report["overall"], "FAIL", "{at}");
            whole += 1;
        }
        assert!(whole >= 1, "{at}: at least the report of the run that was not killed");
    });
}

#[needs(strace)]
fn init_killed_before_every_call_leaves_a_whole_declaration_or_none() {
    let world = World::new();
    fs::create_dir_all(world.path("stacks/a")).unwrap();
    fs::write(world.path("stacks/a/docker-compose.yml"), "x").unwrap();
    let declaration = world.path("driftlock.toml");
    let reset = || {
        if declaration.exists() {
            fs::remove_file(&declaration).unwrap();
        }
    };
    reset();
    // The file of strace is among what `init` names as covered by no check.
    fs::write(world.path("trace"), "").unwrap();
    world.driftlock(["init"]).code(0);
    let whole = fs::read_to_string(&declaration).unwrap();
    let mut left = HashSet::new();
    kill_everywhere(&world, &["init"], reset, |at| {
        if declaration.exists() {
            assert_eq!(fs::read_to_string(&declaration).unwrap(), whole, "{at}");
        } else if left.insert(fs::read(world.path(".driftlock.toml.tmp")).ok()) {
            world.driftlock(["init"]).code(0);
            assert_eq!(fs::read_to_string(&declaration).unwrap(), whole, "{at}");
        }
    });
}

/// A lock of many entries, killed at calls from all over the run.
#[needs(strace)]
fn lock_of_many_entries_killed_on_the_way() {
    const WHEN: [u32; 8] = [1, 2, 5, 11, 29, 101, 307, 1009];
    let world = World::new();
    let write = |contents: &str| {
        for number in 0..1500 {
            let path = format!("m{}/some-name-that-takes-room-in-the-lock-{number}", number % 7);
            world.write(path, format!("{number} {contents}"));
        }
    };
    write("");
    world.lock();
    let old = world.lock_bytes();
    write("now another");
    world.lock();
    let new = world.lock_bytes();
    let mut killed = [0, 0];
    for call in ["openat2", "statx", "read", "pread64", "close", "write", "futex", "fsync", "renameat2", "rename"] {
        for when in WHEN {
            fs::write(world.path("locks/tree.lock.json"), &old).unwrap();
            let inject = format!("inject={call}:signal=KILL:when={when}");
            if !kill_at(strace(&world, &["-e", &inject], &["lock"])) {
                break;
            }
            let there = world.lock_bytes();
            assert!(there == old || there == new, "{call} {when}: a lock of {} bytes", there.len());
            killed[usize::from(there == new)] += 1;
        }
    }
    assert!(killed[0] > 10, "{killed:?}");
    world.lock();
    assert_eq!(world.lock_bytes(), new);
    assert_eq!(names(world.path("locks")), ["tree.lock.json"]);
    world.check(0);
}

/// What makes all of this true after a power cut too, which no `kill` shows.
#[needs(strace)]
fn bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end() {
    let (world, old, _) = two_states();
    fs::write(world.path("locks/tree.lock.json"), &old).unwrap();
    let calls = "trace=write,ftruncate,fsync,fdatasync,rename,renameat,renameat2,flock,unlink,unlinkat";
    strace(&world, &["-y", "-e", calls, "-e", "signal=none"], &["lock"]).code(0);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    let steps: Vec<_> = trace
        .lines()
        .filter(|line| line.contains("/locks"))
        .map(|line| {
            let call = line.split_whitespace().nth(1).unwrap().split('(').next().unwrap();
            let temporary = line.contains(".tree.lock.json.tmp>");
            (call.trim_end_matches("at2").trim_end_matches("at"), temporary)
        })
        .collect();
    let mut expected = vec![("flock", true), ("ftrunc", true), ("write", true), ("fsync", true), ("rename", false)];
    expected.push(("fsync", false));
    let steps: Vec<_> = steps.into_iter().map(|(call, own)| (call.trim_end_matches("ate"), own)).collect();
    assert_eq!(steps, expected, "{trace}");
}

/// A report costs one wait for the disk: the JSON has its bytes there before it has its name.
#[needs(strace)]
fn the_json_of_a_report_is_on_the_disk_before_its_name() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let calls = "trace=fsync,fdatasync,syncfs,sync,rename,renameat,renameat2";
    strace(&world, &["-y", "-e", calls, "-e", "signal=none"], &["check"]).code(0);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    let steps: Vec<_> = trace
        .lines()
        .filter(|line| line.contains("sync(") || line.contains("rename"))
        .map(|line| (line.contains("sync("), line.contains("drift_report.json")))
        .collect();
    // The text is renamed, the JSON is synced and renamed.
    assert_eq!(steps, [(false, false), (true, true), (false, true)], "{trace}");
}
