//! What a lock file had before it is written anew, it keeps: its mode, and its group where the kernel lets it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use needs::needs;

use crate::harness::{World, unprivileged};
use crate::watch::names;

fn locked() -> (World, PathBuf) {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let lock = world.path("locks/tree.lock.json");
    (world, lock)
}

fn set(path: &Path, mode: u32, group: u32) {
    chown(path, None, Some(group)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_and_group(path: &Path) -> (u32, u32) {
    let status = fs::symlink_metadata(path).unwrap();
    (status.mode() & 0o7777, status.gid())
}

/// Locks under this umask.
fn relock(world: &World, umask: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$0\" lock"), env!("CARGO_BIN_EXE_driftlock")]);
    world.command(command).code(0);
}

#[test]
fn a_lock_keeps_its_mode_whatever_the_umask() {
    let (world, lock) = locked();
    for (number, mode) in [0o664, 0o640, 0o600, 0o755, 0o644].into_iter().enumerate() {
        for umask in ["022", "077", "000"] {
            fs::set_permissions(&lock, fs::Permissions::from_mode(mode)).unwrap();
            world.write("m/a", format!("{number} {umask}"));
            relock(&world, umask);
            assert_eq!(mode_and_group(&lock).0, mode, "umask {umask}");
        }
    }
    // A new one is what the umask says.
    fs::remove_file(&lock).unwrap();
    relock(&world, "027");
    assert_eq!(mode_and_group(&lock).0, 0o640);
    assert_eq!(names(world.path("locks")), ["tree.lock.json"]);
}

#[needs(root)]
fn a_lock_keeps_its_group() {
    let (world, lock) = locked();
    set(&lock, 0o664, 4242);
    world.write("m/a", "2");
    relock(&world, "022");
    assert_eq!(mode_and_group(&lock), (0o664, 4242));
    assert_eq!(names(world.path("locks")), ["tree.lock.json"]);
    world.check(0);
}

/// What a crash left has the mode of its day, and is left behind.
#[needs(root)]
fn what_a_crash_left_has_no_say() {
    let (world, lock) = locked();
    set(&lock, 0o640, 4242);
    fs::write(world.path("locks/.tree.lock.json.tmp"), "half").unwrap();
    fs::set_permissions(world.path("locks/.tree.lock.json.tmp"), fs::Permissions::from_mode(0o666)).unwrap();
    world.write("m/a", "2");
    relock(&world, "022");
    assert_eq!(mode_and_group(&lock), (0o640, 4242));
    world.check(0);
}

/// Where the group can't be kept, the group that comes in its place may do what all may.
#[needs(root)]
fn another_group_is_not_given_what_the_old_one_had() {
    let (world, lock) = locked();
    world.write("m/a", "2");
    chown(world.path("locks"), Some(65534), Some(65534)).unwrap();
    set(&lock, 0o664, 4242);
    world.command(unprivileged(&world, &["lock"])).code(0);
    assert_eq!(mode_and_group(&lock), (0o644, 65534));
    assert_eq!(names(world.path("locks")), ["tree.lock.json"]);
    world.check(0);
}
