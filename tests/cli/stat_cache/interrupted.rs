//! Runs that are killed, that find no room, that meet another one, and that may not read everything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use needs::needs;
use serde_json::Value;

use super::{CACHE, check, known, private_directory, run, settle, trusted, world};
use crate::harness::{TREES, drift, the_check, unprivileged};
use crate::watch::{no_panic, strace};

#[needs(root)]
fn files_that_can_not_be_read_stay_unverified() {
    let world = known(TREES);
    let state = world.path("nobodys");
    private_directory(&state);
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).unwrap();
    let reports = world.path("reports");
    fs::set_permissions(reports, fs::Permissions::from_mode(0o777)).unwrap();
    let arguments = ["check", "--json", "--stat-cache", "nobodys/cache"];
    let check = |code| world.command(unprivileged(&world, &arguments)).code(code).json();
    let unread = |report: &Value| the_check(report)["unverified"].as_array().unwrap().len();
    check(0);
    assert_eq!(trusted(&check(0)), 3);
    fs::set_permissions(world.root("m/a"), fs::Permissions::from_mode(0o600)).unwrap();
    settle();
    for _ in 0..3 {
        let report = check(2);
        assert_eq!((unread(&report), trusted(&report)), (1, 2), "{report:#}");
    }
    // What root read is not known to others, even if they are given the cache.
    run(&world, 0);
    fs::copy(world.path(CACHE), state.join("cache")).unwrap();
    std::os::unix::fs::chown(state.join("cache"), Some(65534), Some(65534)).unwrap();
    let report = check(2);
    assert_eq!((unread(&report), trusted(&report)), (1, 0));
}

/// Killed at any call that has to do with the cache, it leaves the old one or the new one, and the next run is none the
/// worse for it.
#[needs(strace)]
fn a_run_that_is_killed_leaves_the_old_cache_or_the_new_one() {
    let world = known(TREES);
    let path = world.path(CACHE);
    let old = fs::read(&path).unwrap();
    world.write("m/new", "new");
    settle();
    let new = [("added".to_owned(), "m/new".to_owned())];
    let mut left = [0, 0];
    for call in ["openat", "newfstatat", "statx", "pread64", "read", "flock", "ftruncate", "write", "fsync", "renameat"]
    {
        for when in 1.. {
            // What is known stays true: the old cache and what there is to learn, over and over.
            fs::write(&path, &old).unwrap();
            let paths = [world.path("state"), path.clone(), world.path("state/.cache.tmp")];
            let inject = format!("inject={call}:signal=KILL:when={when}");
            let mut options = vec!["-q", "-e", &inject];
            options.extend(paths.iter().flat_map(|path| ["-P", path.to_str().unwrap()]));
            let output =
                strace(&world, &options, &["check", "--json", "--stat-cache", CACHE]).command.output().unwrap();
            let killed = match (output.status.code(), output.status.signal()) {
                (None, Some(9)) => true,
                (Some(1), None) => false,
                other => panic!("{call} {when}: {other:?}\n{}", String::from_utf8_lossy(&output.stderr)),
            };
            let now = fs::read(&path).unwrap();
            left[usize::from(now != old)] += usize::from(killed);
            let found = check(&world, 1);
            assert_eq!(
                (drift(&found), trusted(&found)),
                (new.to_vec(), if now == old { 3 } else { 4 }),
                "{call} {when}"
            );
            if !killed {
                break;
            }
        }
    }
    assert!(left[0] > 8 && left[1] > 0, "killed before and after: {left:?}");
}

#[test]
fn two_runs_at_once_leave_a_whole_cache_and_both_find_what_there_is() {
    let world = known(TREES);
    let path = world.path(CACHE);
    for round in 0..10 {
        // Something that each of them learns, and so writes.
        world.write("m/new", format!("{round}"));
        if round % 5 == 0 {
            settle();
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(drift(&check(&world, 1)), [("added".to_owned(), "m/new".to_owned())]));
            }
        });
        assert!(trusted(&check(&world, 1)) >= 3, "round {round}");
    }
    // One that can't write, since another one does.
    settle();
    let held = fs::File::options().write(true).create(true).truncate(false).open(world.path("state/.cache.tmp"));
    let held = held.unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = fs::read(&path).unwrap();
    let second = run(&world, 1);
    assert!(second.stderr().contains("was not updated: another run is writing it"), "{}", second.stderr());
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(held);
    check(&world, 1);
    assert_eq!(trusted(&check(&world, 1)), 4);
}

/// `$1` is driftlock. 300 facts do not fit in 16 KiB.
const FULL: &str = r#"
set -u
mount -t tmpfs -o size=16k,mode=700 tmpfs state
code=0; "$1" check --json --stat-cache state/cache > full.json 2> full.err || code=$?
[ $code = 2 ] || { echo "a full disk ended with $code" >&2; cat full.err >&2; exit 9; }
[ ! -e state/cache ] || { echo "half a cache" >&2; exit 9; }
umount state
mount -t tmpfs -o mode=700 tmpfs state
mkdir root/mounted
mount -t tmpfs tmpfs root/mounted
echo x > root/mounted/file
"$1" lock || exit 9
for run in 1 2; do "$1" check --json --stat-cache state/cache > mounted.json || exit 9; done
umount root/mounted; rmdir root/mounted
mount -o remount,ro state
"$1" lock || exit 9
code=0; "$1" check --json --stat-cache state/cache > ro.json 2> ro.err || code=$?
[ $code = 2 ] || { echo "a read-only disk ended with $code" >&2; cat ro.err >&2; exit 9; }
"#;

#[needs(mounts)]
fn a_full_disk_is_trouble_and_what_is_mounted_below_is_read_each_time() {
    let world = world(TREES);
    for number in 0..300 {
        world.write(format!("m/{number}"), "x");
    }
    world.lock();
    settle();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", FULL, "sh", env!("CARGO_BIN_EXE_driftlock")]);
    world.command(command).code(0);
    let said = |name: &str| fs::read_to_string(world.path(name)).unwrap();
    let report = |name: &str| serde_json::from_str::<Value>(&said(name)).unwrap();
    assert!(
        said("full.err").contains("the stat cache state/cache could not be written: No space left"),
        "{}",
        said("full.err")
    );
    assert_eq!((&report("full.json")["overall"], trusted(&report("full.json"))), (&"PASS".into(), 0));
    assert!(said("ro.err").contains("the stat cache state/cache could not be written: Read-only file system"));
    let mounted = report("mounted.json");
    assert_eq!(
        (trusted(&mounted), &the_check(&mounted)["mounts"]),
        (300, &serde_json::json!([{"path": "mounted", "what": "file_system"}]))
    );
}

/// Without a thread to read the cache ahead, it is read all the same.
#[needs(strace)]
fn a_cache_is_not_lost_where_no_thread_is_to_be_had() {
    let world = known(TREES);
    for inject in ["inject=clone,clone3:error=EAGAIN", "inject=clone,clone3:error=EAGAIN:when=2+"] {
        let arguments = ["check", "--threads", "4", "--json", "--stat-cache", CACHE];
        let finished = strace(&world, &["-e", inject], &arguments).code(0);
        no_panic(&finished);
        assert_eq!((trusted(&finished.json()), finished.stderr()), (3, String::new()));
    }
}
