//! `driftlock diff --patch`: what real `git apply` makes of it.

mod random;
mod refused;
mod shown;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::harness::{FILES, TREES, World};
use crate::model::below;
use crate::watch::{says, shell};
use needs::needs;

/// Writes a patch into the world, and gives what it says.
fn patch(world: &World, arguments: &[&str], code: i32) -> Vec<u8> {
    let finished = world.driftlock([&["diff", "--patch"], arguments].concat()).code(code);
    let patch = finished.output.stdout.clone();
    fs::write(world.path("patch"), &patch).unwrap();
    patch
}

/// Applies it in a directory.
fn apply(world: &World, directory: &str) {
    // Git takes a directory with it that has nothing left in it.
    let script = format!("cd {directory} && git apply ../patch && mkdir -p root");
    shell(world, "bash", &script).env("GIT_CEILING_DIRECTORIES", "/").env("HOME", "/nonexistent").code(0);
}

/// The lock that a copy of the tree would have.
pub fn lock_of(world: &World, root: &str) -> Vec<u8> {
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    let declaration = declaration.replace("\"root\"", &format!("{root:?}")).replace("\"locks\"", "\"others\"");
    fs::write(world.path("other.toml"), declaration).unwrap();
    world.driftlock(["lock", "--config", "other.toml"]).code(0);
    let bytes = fs::read(world.path("others/tree.lock.json")).unwrap();
    fs::remove_dir_all(world.path("others")).unwrap();
    bytes
}

fn copy(world: &World, to: &str) {
    shell(world, "bash", &format!("mkdir {to} && cp -a root {to}/root")).code(0);
}

/// There and back: the patch makes of what is locked what is there, and the other one the other way round.
fn there_and_back(world: &World) {
    let locked = world.lock_bytes();
    let live = lock_of(world, "root");
    shell(world, "bash", "cp -a reference there && mkdir back && cp -a root back/root").code(0);
    patch(world, &["--reference", "reference"], 1);
    apply(world, "there");
    assert!(
        lock_of(world, "there/root") == live,
        "{}",
        String::from_utf8_lossy(&fs::read(world.path("patch")).unwrap())
    );
    patch(world, &["--reference", "reference", "--reverse"], 1);
    apply(world, "back");
    assert!(
        lock_of(world, "back/root") == locked,
        "{}",
        String::from_utf8_lossy(&fs::read(world.path("patch")).unwrap())
    );
}

/// Names that a patch has to quote.
pub const NASTY: [&[u8]; 10] = [
    b"a b",
    b"tab\t",
    b"new\nline",
    b"\"",
    b"\\",
    b"\xff\xfe",
    b"-x",
    b"a/b c/d",
    b"e => f",
    "bidi\u{202e}".as_bytes(),
];

#[needs("git", "bash")]
fn every_change_of_every_name() {
    for name in NASTY {
        let at = |end: &str| [name, end.as_bytes()].concat();
        let world = World::declaring(FILES);
        for end in ["modified", "removed", "moved", "empty", "mode", "link", "type", "crlf", "end", "both"] {
            world.write(at(end), format!("{end}\none\ntwo\n"));
        }
        symlink("target", world.root(at("to file"))).unwrap();
        symlink("target", world.root(at("retarget"))).unwrap();
        fs::write(world.root(at("empty")), "").unwrap();
        fs::write(world.root(at("end")), "no end").unwrap();
        world.lock();
        copy(&world, "reference");
        let put = |end: &str, contents: &str| fs::write(world.root(at(end)), contents).unwrap();
        put("modified", "modified\n1\ntwo\n");
        fs::remove_file(world.root(at("removed"))).unwrap();
        fs::rename(world.root(at("moved")), world.root(at("elsewhere"))).unwrap();
        put("empty", "not any more");
        put("added", "");
        put("added too", "x\n");
        fs::set_permissions(world.root(at("mode")), fs::Permissions::from_mode(0o755)).unwrap();
        for (end, target) in [("link", "where"), ("retarget", "no\nend")] {
            fs::remove_file(world.root(at(end))).unwrap();
            symlink(target, world.root(at(end))).unwrap();
        }
        fs::remove_file(world.root(at("type"))).unwrap();
        world.write(at("type/below"), "x");
        put("crlf", "crlf\r\none\r\ntwo\r\n");
        put("end", "no end\n");
        fs::remove_file(world.root(at("to file"))).unwrap();
        put("to file", "\u{1b}[31m\0binary\u{202e}");
        put("both", "both\none\n");
        fs::set_permissions(world.root(at("both")), fs::Permissions::from_mode(0o755)).unwrap();
        there_and_back(&world);
    }
}

/// Two that were swapped, and modules.
#[needs("git", "bash")]
fn swapped_and_in_modules() {
    let world = World::declaring(TREES);
    for (path, contents) in [("m/a", "1\n"), ("m/b", "2\n"), ("n/c/d", "3\n"), ("loose", "4\n")] {
        world.write(path, contents);
    }
    world.lock();
    copy(&world, "reference");
    world.write("m/a", "2\n");
    world.write("m/b", "1\n");
    fs::rename(world.root("n"), world.root("o")).unwrap();
    world.write("loose", "5\n");
    there_and_back(&world);
}

/// `git apply` takes paths from the top of a work tree, wherever it is started, and passes over what lies elsewhere without a word.
#[needs("git", "bash")]
fn a_declaration_below_the_top_of_a_work_tree() {
    let world = World::declaring(FILES);
    world.write("a", "1\n");
    world.lock();
    let lock = world.lock_bytes();
    let git = |line: &str| {
        let script =
            format!("export GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent; set -e -o pipefail; cd deep/down; {line}");
        shell(&world, "bash", &script)
    };
    fs::create_dir_all(world.path("deep/down")).unwrap();
    git("git init --quiet ../.. && cp -a ../../root ../../locks ../../driftlock.toml . && cp -a . ../../reference")
        .code(0);
    fs::write(world.path("deep/down/root/a"), "2\n").unwrap();
    fs::write(world.path("deep/down/root/b"), "new\n").unwrap();
    let diff = "($DRIFTLOCK diff --patch --reference ../../reference";
    says(&git(&format!("{diff})")).code(1).stdout(), &["--- a/deep/down/root/a\n+++ b/deep/down/root/a\n"]);
    for at in [".", "../.."] {
        git(&format!("{diff} --reverse || [ $? = 1 ]) | git -C {at} apply")).code(0);
        assert_eq!(fs::read(world.path("deep/down/root/a")).unwrap(), b"1\n");
        git("$DRIFTLOCK lock --quiet").code(0);
        assert_eq!(fs::read(world.path("deep/down/locks/tree.lock.json")).unwrap(), lock);
        fs::write(world.path("deep/down/root/a"), "2\n").unwrap();
    }
}

/// The task: from a drift to the changed line is one command; the lines are those of `diff`.
#[needs("git", "bash")]
fn from_a_drift_to_the_changed_line() {
    let declaration = FILES.replace("include", "reference = \"../elsewhere/root\"\ninclude");
    let world = World::declaring(&declaration);
    fs::create_dir(world.path("here")).unwrap();
    fs::rename(world.path("driftlock.toml"), world.path("here/driftlock.toml")).unwrap();
    fs::rename(world.path("root"), world.path("here/root")).unwrap();
    let write = |contents: &str| fs::write(world.path("here/root/a.yml"), contents).unwrap();
    write("one\ntwo\nthree\n");
    let run = |arguments: &[&str], code| {
        let mut run = world.driftlock(arguments);
        run.command.current_dir(world.path("here/root"));
        run.code(code)
    };
    run(&["lock"], 0);
    shell(&world, "bash", "mkdir elsewhere && cp -a here/root elsewhere/root").code(0);
    write("one\n2\nthree\n");
    let finished = run(&["diff", "--patch"], 1);
    assert_eq!(
        finished.stdout(),
        "diff --git a/root/a.yml b/root/a.yml\n--- a/root/a.yml\n+++ b/root/a.yml\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
    );
    assert_eq!(finished.stderr(), "");
    // The way back is one command, too.
    let script = "PATH=\"$(dirname \"$DRIFTLOCK\"):$PATH\"; cd here && driftlock diff --patch --reverse | git apply && driftlock check";
    shell(&world, "bash", script).env("GIT_CEILING_DIRECTORIES", "/").code(0);
    let finished = run(&["diff", "--patch"], 0);
    assert_eq!((finished.stdout(), finished.stderr()), (String::new(), String::new()));
}

/// On a terminal it is harmless, and has colours.
#[needs("script")]
fn on_a_terminal() {
    let world = World::declaring(FILES);
    world.write("a\u{1b}[2J", "1\n");
    world.lock();
    copy(&world, "reference");
    world.write("a\u{1b}[2J", "\u{1b}[2J\u{202e}\n");
    let mut command = std::process::Command::new("script");
    command.args(["-qec", "\"$DRIFTLOCK\" diff --patch --reference reference", "/dev/null"]);
    let run = world.command(command).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock")).env("TERM", "xterm");
    let text = run.code(1).stdout();
    assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{202e}'), "{text}");
    says(&text, &["\u{1b}[31m-1\u{1b}[0m", "\u{1b}[32m+\\u{1b}[2J\\u{202e}\u{1b}[0m"]);
}

/// A tree by its paths, for a copy elsewhere.
fn build(model: &crate::model::Model, directory: &Path) {
    model.build(&below(directory, b"root"));
}
