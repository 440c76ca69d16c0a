//! Where another mount or file system begins below a root, what begins there is told: another file system, a bind mount
//! of the same one, or a btrfs subvolume.

use std::fs;
use std::process::Command;

use needs::needs;
use serde_json::{Value, json};

use crate::harness::{Finished, TREES, World, the_check};
use crate::watch::says;

/// Runs a script in a mount namespace of its own, with the binary as `$0`.
fn in_namespace(world: &World, code: i32, script: &str) -> Finished {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", script, env!("CARGO_BIN_EXE_driftlock")]);
    world.command(command).code(code)
}

fn mounts(report: &Value) -> Value {
    the_check(report)["mounts"].clone()
}

#[needs(mounts)]
fn a_bind_mount_of_the_same_file_system_is_called_that() {
    let world = World::new();
    world.write("a/x", "1");
    world.write("b/x", "1");
    world.write("c/x", "1");
    world.write("f", "1");
    world.lock();
    let mount =
        "mount --bind root/a root/b; mount -t tmpfs tmpfs root/c; echo -n 1 >root/c/x; mount --bind root/a/x root/f; ";
    let report = in_namespace(&world, 0, &format!("{mount} exec \"$0\" check --json")).json();
    let expected = json!([
        {"path": "b", "what": "bind_mount"},
        {"path": "c", "what": "file_system"},
        {"path": "f", "what": "bind_mount"},
    ]);
    assert_eq!(mounts(&report), expected);
    let text = in_namespace(&world, 0, &format!("{mount} exec \"$0\" check")).stdout();
    says(
        &text,
        &[
            "[WARN] Tree: a part of the same file system is mounted once more (a bind mount) at root/b\n",
            "[WARN] Tree: another file system is mounted at root/c\n",
            "[WARN] Tree: a part of the same file system is mounted once more (a bind mount) at root/f\n",
        ],
    );
    let html = in_namespace(&world, 0, &format!("{mount} exec \"$0\" check --format html")).stdout();
    says(&html, &["a part of the same file system is mounted once more (a bind mount)"]);

    fs::write(world.path("driftlock.toml"), format!("{TREES}one_file_system = true\n")).unwrap();
    let text = in_namespace(&world, 2, &format!("{mount} exec \"$0\" check")).stdout();
    says(
        &text,
        &[
            "root/b: a part of the same file system is mounted once more (a bind mount) here, and `one_file_system` refuses",
            "root/c: another file system is mounted here, and `one_file_system` refuses",
        ],
    );
    let stderr = in_namespace(&world, 2, &format!("{mount} exec \"$0\" lock")).stderr();
    says(&stderr, &["(a bind mount) here", "to do: unmount it, declare a check of its own over it"]);
}

#[needs(images, "btrfs")]
fn a_btrfs_subvolume_is_called_that() {
    let world = World::new();
    let image = "truncate -s 256M image; mkfs.btrfs -q image >&2; mount -t btrfs -o loop image root; \
                 btrfs subvolume create root/vol >/dev/null; mkdir root/m; echo 1 >root/vol/x; echo 1 >root/m/x; ";
    let script = format!("{image} \"$0\" lock >&2; exec \"$0\" check --json");
    let report = in_namespace(&world, 0, &script).json();
    assert_eq!(mounts(&report), json!([{"path": "vol", "what": "subvolume"}]));
    let text =
        in_namespace(&world, 0, &format!("rm -r image locks; {image} \"$0\" lock >&2; exec \"$0\" check")).stdout();
    says(&text, &["[WARN] Tree: a btrfs subvolume begins at root/vol\n"]);
    fs::write(world.path("driftlock.toml"), format!("{TREES}one_file_system = true\n")).unwrap();
    let stderr = in_namespace(&world, 2, &format!("rm -r image locks; {image} exec \"$0\" lock")).stderr();
    says(
        &stderr,
        &["    vol: a btrfs subvolume begins here, and", "to do: declare a check of its own over it, or take"],
    );
}
