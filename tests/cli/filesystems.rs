//! The same tree on tmpfs, ext4, xfs and btrfs has the same lock.
//!
//! The file systems are mounted in a mount namespace of their own, which goes with the script that runs in it, and the
//! loop devices with their mounts: whatever happens, nothing is left behind.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::World;
use crate::model::Model;
use crate::model::{Item, declaration};
use crate::nar::nastier;
use needs::needs;

const FILE_SYSTEMS: [&str; 4] = ["tmpfs", "ext4", "xfs", "btrfs"];

/// `$1` is driftlock. Sparse files are holes on two of them and zeros on the others; btrfs compresses too.
const SCRIPT: &str = r#"
set -eu
export LC_ALL=C
image() { truncate -s 512M "$1.img"; }
for fs in tmpfs ext4 xfs btrfs; do
    mkdir -p "mnt/$fs"
    sparse=never
    case $fs in
        tmpfs) mount -t tmpfs -o size=512m tmpfs mnt/tmpfs ;;
        ext4) image ext4; mkfs.ext4 -q -b 4096 ext4.img; mount -t ext4 -o loop ext4.img mnt/ext4 ;;
        xfs) image xfs; mkfs.xfs -q xfs.img; mount -t xfs -o loop xfs.img mnt/xfs; sparse=always ;;
        btrfs)
            image btrfs; mkfs.btrfs -q btrfs.img; sparse=always
            mount -t btrfs -o loop,compress-force=zstd btrfs.img mnt/btrfs ;;
    esac
    [ "$(stat -f -c %T "mnt/$fs")" != "$(stat -f -c %T mnt)" ] || [ $fs = ext4 ]
    cp -a --sparse=$sparse source "mnt/$fs/root"
    sync -f "mnt/$fs"
    "$1" lock --config $fs.toml
    "$1" check --config $fs.toml
    printf x >> "mnt/$fs/root/loose file"
    code=0; "$1" check --config $fs.toml || code=$?
    [ $code = 1 ] || { echo "a change on $fs ended with exit code $code" >&2; exit 9; }
done
"#;

/// `$1` is driftlock. Traces the threads that a check starts: on a file system that was just mounted, and then again.
const COLD: &str = r#"
set -eu
export LC_ALL=C
truncate -s 512M cold.img
mkfs.ext4 -q -b 4096 cold.img
mount -t ext4 -o loop cold.img root
cp -a source/. root
rmdir root/lost+found
"$1" lock
forget() { umount root; mount -t ext4 -o loop cold.img root; }
for round in cold warm given linked; do
    threads=
    case $round in
        cold) forget ;;
        given) forget; threads='--threads 2' ;;
        # Each file has two names.
        linked)
            mkdir root/n
            find root -mindepth 1 -maxdepth 1 ! -name n -exec cp -al {} root/n/ \;
            [ -z "$(find root -type f -links 1)" ]
            "$1" lock
            forget ;;
    esac
    strace -f -e trace=clone -e status=successful -o $round "$1" check --no-report $threads
done
"#;

fn tree() -> Model {
    let mut model = nastier();
    // XFS has links of at most 1,023 bytes.
    model.0.insert(b"m/links/long".to_vec(), Item::Link { target: vec![b't'; 1023] });
    for number in 0..2000 {
        let contents = number.to_string().into_bytes();
        model.add(format!("m/wide/{number}").as_bytes(), Item::File { contents, mode: 0o644 });
    }
    let mut holes = vec![0; 3_000_000];
    for at in [0, 1_234_567, 2_999_999] {
        holes[at] = b'x';
    }
    model.add(b"m/holes/inside", Item::File { contents: holes, mode: 0o644 });
    model.add(b"m/holes/only", Item::File { contents: vec![0; 2_000_001], mode: 0o644 });
    let mut end = vec![b'x'; 1_100_000];
    end.resize(3_100_000, 0);
    model.add(b"m/holes/at the end", Item::File { contents: end, mode: 0o644 });
    model
}

#[needs(images, "losetup")]
fn the_lock_is_the_same_on_tmpfs_ext4_xfs_and_btrfs() {
    const HOW: &str = "it mounts images of ext4, xfs and btrfs: run it as root on a kernel that has loop devices and these \
                       file systems, with util-linux, e2fsprogs, xfsprogs and btrfs-progs; a developer without root \
                       leaves it to CI with `cargo test -- --skip filesystems`";
    let world = World::new();
    let model = tree();
    model.build(&world.path("source"));
    for name in FILE_SYSTEMS {
        let declared = declaration("trees", true, &[])
            .replace("\"root\"", &format!("\"mnt/{name}/root\""))
            .replace("\"locks\"", &format!("\"locks/{name}\""));
        fs::write(world.path(format!("{name}.toml")), declared).unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh", env!("CARGO_BIN_EXE_driftlock")]);
    let mut run = world.command(command);
    let output = run.command.output().expect("util-linux is installed");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{:?}\n{stdout}\n{stderr}\nIf a mount failed, {HOW}", output.status);
    assert_eq!(stdout.matches("OVERALL: PASS").count(), FILE_SYSTEMS.len(), "{stdout}");

    let lock = |name: &str| fs::read(world.path(format!("locks/{name}/tree.lock.json"))).unwrap();
    let entries = model.entries("trees", true);
    let parsed: serde_json::Value = serde_json::from_slice(&lock("tmpfs")).unwrap();
    // The root itself, which comes with attributes, is no part of the model.
    let (root, below): (Vec<_>, Vec<_>) =
        parsed["entries"].as_array().unwrap().iter().cloned().partition(|entry| entry["path"] == ".");
    assert_eq!((root.len(), below), (1, entries));
    for name in &FILE_SYSTEMS[1..] {
        assert!(lock(name) == lock("tmpfs"), "the lock on {name} is not the one on tmpfs");
    }

    // The kernel takes the mounts and the loop devices down when the last process of the namespace is gone.
    let here = world.path("").to_str().unwrap().to_owned();
    let left = || {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let loops = Command::new("losetup").args(["--list", "--noheadings", "--output", "BACK-FILE"]).output().unwrap();
        [mounts, said(&loops.stdout)].into_iter().any(|list| list.contains(&here))
    };
    let start = Instant::now();
    while left() {
        assert!(start.elapsed() < Duration::from_secs(20), "mounts or loop devices are left behind");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// More threads than cores read what is not in the page cache. What they find is the same.
#[needs(images, "losetup", strace)]
fn a_cold_cache_is_read_by_more_threads() {
    let world = World::new();
    let mut model = nastier();
    for number in 0..3000 {
        let contents = number.to_string().into_bytes();
        model.add(format!("m/{}/{number}", number / 30).as_bytes(), Item::File { contents, mode: 0o644 });
    }
    model.build(&world.path("source"));
    fs::write(world.path("driftlock.toml"), declaration("trees", true, &[])).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", COLD, "sh", env!("CARGO_BIN_EXE_driftlock")]);
    let stdout = world.command(command).code(0).stdout();
    assert_eq!(stdout.matches("OVERALL: PASS").count(), 4, "{stdout}");
    let threads = |round: &str| fs::read_to_string(world.path(round)).unwrap().matches("clone(").count();
    let (cold, warm, given, linked) = (threads("cold"), threads("warm"), threads("given"), threads("linked"));
    let cores = std::thread::available_parallelism().unwrap().get();
    // Besides the walk, a run has a thread or two.
    assert!(warm <= cores + 2, "{warm} threads with a warm cache on {cores} cores");
    for cold in [cold, linked] {
        assert!(cold >= 30.max(cores), "{cold} threads with a cold cache");
    }
    assert!(given <= 4, "{given} threads where two were asked for");
}
