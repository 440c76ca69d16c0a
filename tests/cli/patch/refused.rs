//! What is in no patch, and says so.

use std::fs;
use std::os::unix::fs::symlink;

use super::{copy, patch};
use crate::harness::{FILES, World};
use crate::watch::{refused, says, shell};
use needs::needs;

fn drifted() -> World {
    let world = World::declaring(FILES);
    world.write("a", "1\n");
    world.write("b", "2\n");
    world.lock();
    copy(&world, "reference");
    world.write("a", "changed\n");
    world.write("b", "changed too\n");
    world
}

/// A reference counts only where it has the locked digests, and is never followed out of its directory.
#[needs("bash")]
fn a_reference_has_to_have_what_is_locked() {
    let world = drifted();
    fs::write(world.path("reference/root/a"), "another\n").unwrap();
    let finished = world.driftlock(["diff", "--patch", "--reference", "reference"]).code(3);
    assert!(!finished.stdout().contains("another") && finished.stdout().contains("-2\n"), "{}", finished.stdout());
    says(
        &finished.stderr(),
        &["root/a is not in the patch: the reference does not have it: the file there has another digest"],
    );
    // What is locked, behind a link: a file outside, by its digest, is none of the reference's.
    fs::write(world.path("secret"), "1\n").unwrap();
    fs::remove_file(world.path("reference/root/a")).unwrap();
    symlink("../../secret", world.path("reference/root/a")).unwrap();
    let finished = world.driftlock(["diff", "--patch", "--reference", "reference"]).code(3);
    says(&finished.stderr(), &["root/a is not in the patch: the reference does not have it: "]);
    shell(&world, "bash", "rm reference/root/a && mkfifo reference/root/a").code(0);
    let finished = world.driftlock(["diff", "--patch", "--reference", "reference"]).code(3);
    says(&finished.stderr(), &["root/a is not in the patch: the reference does not have it: "]);
}

/// Without a reference there is what was added, and a word for the rest; nothing of it is in the report.
#[test]
fn without_a_reference() {
    let world = drifted();
    world.write("new", "3\n");
    let finished = world.driftlock(["diff", "--patch"]).code(3);
    says(&finished.stdout(), &["+++ b/root/new\n@@ -0,0 +1,1 @@\n+3\n"]);
    assert!(!finished.stdout().contains("changed"), "{}", finished.stdout());
    says(
        &finished.stderr(),
        &["the check tree has no reference", "--reference DIR, or write `reference` in the check"],
    );
    refused(
        world.driftlock(["diff", "--patch", "--reference", "nowhere"]),
        &["the reference directory nowhere could not be opened"],
    );
    refused(world.driftlock(["diff", "--patch", "--json"]), &["a patch can't be printed as JSON"]);
    fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
    refused(world.driftlock(["diff", "--patch"]), &["the check tree has no lock to compare with"]);
}

/// What git can't hold, and what lies where no patch of this directory could be applied.
#[needs("bash")]
fn what_no_patch_can_hold() {
    let world = drifted();
    shell(&world, "bash", "mkfifo root/pipe").code(0);
    let finished = world.driftlock(["diff", "--patch", "--reference", "reference"]).code(3);
    says(&finished.stderr(), &["root/pipe is not in the patch: git does not keep a fifo"]);
    says(&finished.stdout(), &["+changed\n", "+changed too\n"]);
    fs::remove_file(world.root("pipe")).unwrap();
    fs::write(world.root("a"), vec![b'x'; 9 << 20]).unwrap();
    let finished = world.driftlock(["diff", "--patch", "--reference", "reference"]).code(3);
    says(&finished.stderr(), &["root/a is not in the patch: could not read it: File too large"]);
    assert!(finished.output.stdout.len() < 1000);
    fs::create_dir(world.path("elsewhere")).unwrap();
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(
        world.path("elsewhere/driftlock.toml"),
        declaration.replace("\"root\"", "\"../root\"").replace("\"locks\"", "\"../locks\""),
    )
    .unwrap();
    let finished = world.driftlock(["diff", "--patch", "--config", "elsewhere/driftlock.toml"]).code(3);
    says(&finished.stderr(), &["the root ../root of the check tree is not in the directory of the declaration"]);
}

/// A report never has contents: there is a word in these files, and it is in none of them.
#[needs("bash")]
fn contents_are_in_no_report() {
    let world = drifted();
    world.write("a", "hunter2-swordfish\n");
    let shown = patch(&world, &["--reference", "reference"], 1);
    assert!(String::from_utf8_lossy(&shown).contains("+hunter2-swordfish\n"));
    fs::remove_file(world.path("patch")).unwrap();
    for form in ["text", "json", "html", "slack", "github", "junit", "sarif", "prometheus"] {
        let printed = world.driftlock(["check", "--format", form]).code(1);
        assert!(!printed.stdout().contains("hunter2") && !printed.stderr().contains("hunter2"), "{form}");
    }
    world.driftlock(["accept", "--dry-run", "root/a"]).code(0);
    shell(&world, "bash", "grep -r hunter2 reports locks").code(1);
}
