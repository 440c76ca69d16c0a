//! What is mounted, what can't be read, what changes during a run, and where a root lies.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use needs::needs;
use serde_json::Value;

use super::{MORE, mark, skips};
use crate::harness::{FILES, TREES, World, drift, the_check, unprivileged, unverified};
use crate::stat_cache::directories::{SAME, known};
use crate::stat_cache::{CACHE, check, same, settle, world};

/// Runs a script, with driftlock as `$1`, in a mount namespace of its own.
fn in_namespace(world: &World, script: &str) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_driftlock")]);
    world.command(command).code(0);
}

/// `state/marked` is a cache that says of itself if it was taken for equal. It is used for the first look at each mount; the
/// second look is at what the first one kept, and the third at what there is without the mount.
const MOUNTS: &str = r#"
set -u
mkdir other; echo x > other/one; echo other > file
found() {
    code=0; "$1" check --json --stat-cache state/cache > "$2.json" 2>> errors || code=$?
    full=0; "$1" check --json > "$2-full.json" 2>> errors || full=$?
    [ $code = $full ] || { echo "$2: $code and not $full" >&2; cat errors >&2; exit 9; }
}
look() {
    what=$1; where=$2; shift 2
    cat state/marked > state/cache
    mount "$@" "$where" || exit 9
    found "$driftlock" "$what"; found "$driftlock" "$what-again"
    umount "$where" || exit 9
    found "$driftlock" "$what-gone"
}
driftlock=$1
look bound root/m/d --bind other
look neighbour root/m/d --bind root/m/e
look itself root/m/d --bind root/m/d
look memory root/m/d -t tmpfs tmpfs
look empty root/m/empty -t tmpfs tmpfs
look file root/m/d/one --bind file
look twin root/m/d/one --bind root/m/e/one
look same root/m/d/one --bind root/m/d/one
look above root --bind root/m
look root root --bind root
cat state/marked > state/cache
found "$driftlock" none
"#;

#[needs(mounts)]
fn what_is_mounted_over_what_was_equal_is_compared() {
    let world = known(TREES);
    check(&world, 0);
    assert_eq!(skips(&world, 0), [true]);
    fs::copy(world.path(CACHE), world.path("state/marked")).unwrap();
    mark(&world.path("state/marked"));
    in_namespace(&world, MOUNTS);
    let report = |name: String| -> Value { serde_json::from_slice(&fs::read(world.path(name)).unwrap()).unwrap() };
    for mount in ["bound", "neighbour", "itself", "memory", "empty", "file", "twin", "same", "above"] {
        for look in ["", "-again", "-gone"] {
            let (with, without) = (report(format!("{mount}{look}.json")), report(format!("{mount}{look}-full.json")));
            for key in SAME {
                assert_eq!(the_check(&with)[key], the_check(&without)[key], "{mount}{look}: {key}");
            }
            let mounts = the_check(&with)["mounts"].as_array().unwrap().len();
            assert_eq!(mounts > 0, look != "-gone" && mount != "above", "{mount}{look}: {with:#}");
        }
    }
    // The root is what it is, wherever it is mounted. Else nothing here could have failed.
    for name in ["root", "none"] {
        let entries = |name: String| the_check(&report(name))["counts"]["entries"].as_u64().unwrap();
        assert_eq!(entries(format!("{name}.json")), entries(format!("{name}-full.json")) + MORE, "{name}");
    }
}

/// A lock of the scripts makes sense below one root only, though it may be the same directory.
#[test]
fn an_old_lock_is_compared_again_if_the_root_is_called_otherwise() {
    let old = FILES.replace("root = \"root\"", "lock = \"tree.lock.txt\"\nroot = \"srv/app\"").replace("**", "m/*");
    let world = world(&old);
    fs::create_dir_all(world.path("srv/app/m")).unwrap();
    for name in ["a", "b"] {
        fs::write(world.path("srv/app/m").join(name), name).unwrap();
    }
    let mut sums = Command::new("sh");
    sums.args(["-c", "mkdir locks; sha256sum srv/app/m/* > locks/tree.lock.txt"]);
    world.command(sums).code(0);
    settle();
    check(&world, 0);
    assert_eq!(drift(&same(&world, "an old lock")), []);
    // The directory itself, and its ctime, are as they were.
    fs::rename(world.path("srv"), world.path("opt")).unwrap();
    fs::write(world.path("driftlock.toml"), old.replace("srv/app", "opt/app")).unwrap();
    same(&world, "the same root by another name");
}

/// `$1` is driftlock. Two links change places right before the target of one is read, and back right afterwards: on XFS,
/// that moves the time of neither. `strace` holds the call up.
const LINKS: &str = r#"
set -eu
truncate -s 512M image; mkfs.xfs -q image; mkdir mnt; mount -o loop image mnt
mkdir mnt/root mnt/root/m; ln -s good mnt/root/m/link
sed -i 's:"root":"mnt/root":' driftlock.toml
"$1" lock --quiet
ln -sfn evil mnt/root/m/link; ln -s good mnt/other
sleep 2.2
exchange() {
    python3 -c 'import ctypes; assert ctypes.CDLL(None).renameat2(-100, b"mnt/root/m/link", -100, b"mnt/other", 2) == 0'
}
strace -f -o trace -e trace=readlinkat -e inject=readlinkat:delay_enter=1500000:delay_exit=1500000 \
    -P "$PWD/mnt/root/m" "$1" check --json --threads 1 --stat-cache state/cache > /dev/null &
sleep 1; exchange
sleep 1.5; exchange
wait $! || [ $? -le 1 ]
grep -q readlinkat trace
[ "$(readlink mnt/root/m/link)" = evil ]
sleep 2.2
for run in 1 2 3; do
    code=0; "$1" check --json --stat-cache state/cache > "$run.json" || code=$?
done
full=0; "$1" check --json > full.json || full=$?
"#;

#[needs(images, strace)]
fn a_link_that_changed_places_while_it_was_read_is_not_known_by_the_target_of_the_other() {
    let world = world(TREES);
    in_namespace(&world, LINKS);
    let drift = |name: &str| {
        let report: Value = serde_json::from_slice(&fs::read(world.path(format!("{name}.json"))).unwrap()).unwrap();
        drift(&report)
    };
    assert_eq!(drift("full"), [("modified".to_owned(), "m/link".to_owned())]);
    for run in ["1", "2", "3"] {
        assert_eq!(drift(run), drift("full"), "{run}");
    }
}

/// A file that can't be read, below directories that are known all the while.
#[needs(root)]
fn what_can_not_be_read_is_never_equal() {
    let world = world(TREES);
    let file = world.write("m/d/one", "1");
    world.write("m/two", "2");
    world.lock();
    fs::create_dir(world.path("nobodys")).unwrap();
    chown(world.path("nobodys"), Some(65534), Some(65534)).unwrap();
    let cache = ["--stat-cache", "nobodys/cache"];
    let look = |code, cache: &[&str]| {
        let arguments = [&["check", "--json", "--output", "nobodys"], cache].concat();
        world.command(unprivileged(&world, &arguments)).code(code).json()
    };
    for (mode, code) in [("600", 2), ("644", 0), ("000", 2), ("644", 0)] {
        assert!(Command::new("chmod").arg(mode).arg(&file).status().unwrap().success());
        for round in 0..4 {
            if round == 1 {
                settle();
            }
            let (with, without) = (look(code, &cache), look(code, &[]));
            for key in SAME {
                assert_eq!(the_check(&with)[key], the_check(&without)[key], "{mode}: {key}");
            }
            assert_eq!(unverified(&with).is_empty(), code == 0, "{mode}");
        }
        let kept = mark(&world.path("nobodys/cache"));
        assert_eq!(kept == [u64::MAX], code == 2, "{mode}");
        let entries = the_check(&look(code, &cache))["counts"]["entries"].as_u64().unwrap();
        assert_eq!(entries > MORE, code == 0, "{mode}");
    }
}
