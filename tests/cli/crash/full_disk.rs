//! Disks that are really full: a small tmpfs in a mount namespace of its own.

use crate::harness::{Finished, World};
use crate::watch::{no_panic, says};
use needs::needs;

/// Runs a script with a tmpfs of so many blocks of 4 KiB mounted on `directory`, which keeps its files. The function
/// `fill` fills it up to the last byte.
fn with_disk(world: &World, directory: &str, blocks: u32, script: &str, code: i32) -> Finished {
    // In KiB: tmpfs takes `p` for petabytes, and gives them until the machine has no memory left.
    let size = blocks * 4;
    assert!(size < 1024, "`fill` writes no more than 1 MiB");
    let script = format!(
        "set -eu\n\
         mkdir -p {directory}\n\
         cp -a {directory} kept\n\
         mount -t tmpfs -o size={size}k,nr_inodes=100 none {directory}\n\
         test \"$(stat -f -c %b {directory})\" -eq {blocks} # never fill what is not this small disk\n\
         cp -a kept/. {directory}\n\
         fill() {{ head -c 1M /dev/zero >{directory}/filler 2>/dev/null || true; }}\n\
         set +e\n{script}"
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let finished = world.command(command).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock")).code(code);
    no_panic(&finished);
    finished
}

#[needs(mounts)]
fn lock_on_a_full_disk() {
    for blocks in [4, 40] {
        let world = World::new();
        for number in 0..300 {
            world.write(format!("m/some-name-{number}"), "1");
        }
        world.lock();
        world.write("m/new", "2");
        let script = "fill; \"$DRIFTLOCK\" lock; code=$?; cp locks/tree.lock.json after.json; \
                      \"$DRIFTLOCK\" check --output out >check.txt; echo \"check $?\" >&2\n\
                      rm locks/filler; mount -o remount,size=1m locks; \"$DRIFTLOCK\" lock >&2 && cp locks/* out; exit $code";
        // Room for the lock and a bit, or for many of it, all of it taken.
        let blocks = blocks + u32::try_from(world.lock_bytes().len() / 4096).unwrap();
        let finished = with_disk(&world, "locks", blocks, script, 2);
        let stderr = finished.stderr();
        says(&stderr, &["locks/tree.lock.json could not be written: No space left", "make room"]);
        says(&stderr, &["existing files are unchanged", "check 1", "1 changed since the last lock"]);
        assert!(!finished.stdout().contains("wrote"), "{}", finished.stdout());
        assert_eq!(std::fs::read(world.path("after.json")).unwrap(), world.lock_bytes(), "the old lock");
        let lock = std::fs::read_to_string(world.path("out/tree.lock.json")).unwrap();
        assert!(lock.contains("m/new"), "once there is room, the new one");
    }
}

#[needs(mounts)]
fn first_lock_on_a_full_disk() {
    let world = World::new();
    world.write("m/a", "1");
    let script = "fill; \"$DRIFTLOCK\" lock; code=$?; ls -A locks >&2; exit $code";
    let finished = with_disk(&world, "locks", 4, script, 2);
    assert!(!finished.stderr().lines().any(|line| line == "tree.lock.json"), "{}", finished.stderr());
}

#[needs(mounts)]
fn report_on_a_full_disk() {
    for (contents, code, word) in [("1", 2, "OVERALL: PASS"), ("2", 3, "OVERALL: FAIL")] {
        let world = World::new();
        world.write("m/a", "1");
        world.lock();
        world.write("m/a", contents);
        // Full of bytes, and full of files.
        for full in ["fill", "for n in $(seq 200); do touch reports/$n 2>/dev/null || break; done"] {
            let script = format!("{full}; \"$DRIFTLOCK\" check");
            let finished = with_disk(&world, "reports", 8, &script, code);
            says(&finished.stdout(), &[word]);
            says(&finished.stderr(), &["the report reports/", "No space left", "make room"]);
            assert!(!finished.stdout().contains("Report: "), "{}", finished.stdout());
        }
    }
}

#[needs(mounts)]
fn locks_on_a_disk_that_is_mounted_to_be_read_only() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    world.write("m/a", "2");
    let script = "mount -o remount,ro locks; \"$DRIFTLOCK\" lock";
    let finished = with_disk(&world, "locks", 40, script, 2);
    says(
        &finished.stderr(),
        &["locks/tree.lock.json could not be written: Read-only file system", "make the directory"],
    );
}
