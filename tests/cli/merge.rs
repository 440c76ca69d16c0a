//! `driftlock merge-driver`: what real `git merge` makes of locks.

mod random;

use std::fs;

use crate::harness::{FILES, Finished, TREES, World};
use crate::watch::{says, shell};
use needs::needs;

/// What `init` prints, with the binary under test.
const SET_UP: &str = "ln -s $DRIFTLOCK $HOME/driftlock && export PATH=$HOME:$PATH && git init --quiet -b main && \
     git config user.name T && git config user.email t@example.org && \
     git config merge.driftlock.driver 'driftlock merge-driver --marker-size %L --path %P %O %A %B' && \
     printf '* -text\\n*.lock.json merge=driftlock\\n' >locks/.gitattributes";
const COMMIT: &str = "git add -A . && git commit --quiet -m x";

/// Runs a script in a repository, with `lock` for what both branches do once they have changed something.
fn git(world: &World, script: &str, code: i32) -> Finished {
    let home = world.path("home");
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(world.path("locks")).unwrap();
    fs::write(world.path(".gitignore"), "home\nreports\n").unwrap();
    let script = format!("export PATH=$HOME:$PATH; lock() {{ driftlock lock --quiet && {COMMIT}; }}; {script}");
    let run = shell(world, "bash", &format!("set -e; {script}"));
    run.env("HOME", home.to_str().unwrap()).env("GIT_CONFIG_NOSYSTEM", "1").code(code)
}

/// A repository with these files below the root, locked, in which two branches did each their own; they are merged, and git
/// ends with this code.
fn merged(declaration: &str, files: &[(&str, &str)], ours: &str, theirs: &str, code: i32) -> (World, Finished) {
    let world = World::declaring(declaration);
    for (path, contents) in files {
        world.write(path, contents);
    }
    git(&world, &format!("{SET_UP}; lock"), 0);
    git(&world, &format!("git checkout --quiet -b theirs; {theirs}; lock"), 0);
    git(&world, &format!("git checkout --quiet main; {ours}; lock"), 0);
    let finished = git(&world, "git merge --quiet -m merged theirs", code);
    (world, finished)
}

/// The lock is the one that `driftlock lock` writes of what git merged.
fn is_what_lock_writes(world: &World) {
    let merged = world.lock_bytes();
    fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
    world.lock();
    assert_eq!(String::from_utf8(merged).unwrap(), String::from_utf8(world.lock_bytes()).unwrap());
}

const THREE: [(&str, &str); 3] = [("a", "a"), ("b", "b"), ("c", "c")];

/// A merged lock is none that was sealed.
#[needs("git", "bash")]
fn a_merge_says_that_the_seal_is_out_of_date() {
    let (_, finished) = merged(FILES, &THREE, "echo x >root/a", "echo y >root/b", 0);
    assert_eq!(finished.stderr(), "");
    let seal = "touch locks/driftlock.seal; echo x >root/a";
    let (_, finished) = merged(FILES, &THREE, seal, "echo y >root/b", 0);
    says(&finished.stderr(), &["locks/driftlock.seal is out of date", "driftlock seal"]);
}

#[needs("git", "bash")]
fn what_one_side_changed_is_merged() {
    let ours = "echo x >root/a; echo x >root/new; git rm --quiet root/c";
    let (world, _) = merged(FILES, &THREE, ours, "echo y >root/b; mkdir root/d; echo y >root/d/y", 0);
    is_what_lock_writes(&world);
    // The same change on both sides is none.
    let (world, _) = merged(FILES, &THREE, "echo x >root/a", "echo x >root/a; echo y >root/b", 0);
    is_what_lock_writes(&world);
}

/// A clone in which it was not set up merges by lines, as without it.
#[needs("git", "bash")]
fn without_the_driver_git_has_a_conflict() {
    let (world, _) =
        merged(FILES, &THREE, "git config --unset merge.driftlock.driver; echo x >root/a", "echo y >root/b", 1);
    says(&world.driftlock(["check"]).code(2).stdout(), &["has the marks of a merge conflict in it"]);
}

#[needs("git", "bash")]
fn what_both_changed_is_a_conflict_and_is_named() {
    let (world, finished) = merged(FILES, &THREE, "echo x >root/b; echo x >root/a", "echo y >root/b; rm root/c", 1);
    says(&finished.stderr(), &["both sides changed in the lock locks/tree.lock.json: b\n"]);
    let lock = fs::read_to_string(world.path("locks/tree.lock.json")).unwrap();
    let lines: Vec<_> = lock.lines().map(|line| line.get(..14).unwrap_or(line)).collect();
    let conflict = |line: &'static str| ["<<<<<<< ours", line, "=======", line, ">>>>>>> theirs"];
    let head = ["{", "\"driftlock\": 1", "\"check\": \"tree", "\"kind\": \"files"];
    let expected = [
        &head[..],
        &conflict("\"digest\": \"sha"),
        &["\"entries\": [", "{\"path\":\"a\",\"t"],
        &conflict("{\"path\":\"b\",\"t"),
        &["]", "}"],
    ];
    assert_eq!(lines, expected.concat());
    says(&world.driftlock(["check"]).code(2).stdout(), &["has the marks of a merge conflict in it"]);
    // What it says to do is what works.
    let said = finished.stderr();
    let line = said.lines().find_map(|line| line.split_once("at the top of the work tree: ")).unwrap().1;
    git(&world, &format!("echo both >root/b; {line}; {COMMIT}"), 0);
    is_what_lock_writes(&world);
}

#[needs("git", "bash")]
fn a_removal_against_a_change_is_a_conflict() {
    for (ours, theirs) in [("rm root/b", "echo y >root/b"), ("echo x >root/b", "rm root/b")] {
        let (_, finished) = merged(FILES, &THREE, ours, theirs, 1);
        says(&finished.stderr(), &["both sides changed in the lock locks/tree.lock.json: b\n"]);
    }
}

/// Its `nar` would be that of no tree, though git merges the two files.
#[needs("git", "bash")]
fn a_module_that_both_changed_is_a_conflict_as_a_whole() {
    let files = [("m/a", "a"), ("m/b", "b"), ("m-n/a", "a"), ("n/a", "a"), ("loose", "l")];
    let (world, _) =
        merged(TREES, &files, "echo x >root/m/a; echo x >root/loose", "echo y >root/n/a; rm -r root/m-n", 0);
    is_what_lock_writes(&world);
    let (world, finished) = merged(TREES, &files, "echo x >root/m/a", "echo y >root/m/b; echo y >root/n/a", 1);
    says(&finished.stderr(), &["both sides changed in the lock locks/tree.lock.json: m\n"]);
    let lock = fs::read_to_string(world.path("locks/tree.lock.json")).unwrap();
    assert_eq!(lock.matches("\"path\":\"m/a\"").count(), 2, "{lock}");
    assert_eq!(lock.matches("\"path\":\"n/a\"").count(), 1, "{lock}");
    assert!(!git(&world, "git status --porcelain", 0).stdout().contains("root/m/a\n?"), "git merged the files");
    git(&world, &format!("git checkout --ours -- locks/tree.lock.json; driftlock lock --quiet; {COMMIT}"), 0);
    is_what_lock_writes(&world);
}

/// A file on one side and a directory on the other: both are new, and can't be there at once.
#[needs("git", "bash")]
fn a_file_where_the_other_side_has_a_directory_is_a_conflict() {
    let (_, finished) = merged(FILES, &THREE, "echo x >root/d", "mkdir root/d; echo y >root/d/y", 1);
    says(&finished.stderr(), &["both sides changed in the lock locks/tree.lock.json: d\n"]);
}

/// Nothing was locked where the branches parted.
#[needs("git", "bash")]
fn locks_that_both_sides_began_are_merged() {
    let world = World::declaring(FILES);
    world.write("a", "a");
    git(&world, &format!("{SET_UP}; {COMMIT}; git checkout --quiet -b theirs; echo y >root/y; lock"), 0);
    git(&world, "git checkout --quiet main; echo x >root/x; lock", 0);
    git(&world, "git merge --quiet -m merged theirs", 0);
    is_what_lock_writes(&world);
}

#[needs("git", "bash")]
fn names_of_any_bytes_are_merged() {
    let ours = "echo x >$'root/new\\nline'; echo x >$'root/\\xff'; echo x >'root/a b'";
    let (world, _) = merged(FILES, &THREE, ours, "echo y >$'root/\\xfe'; echo y >root/'\"'", 0);
    is_what_lock_writes(&world);
}

/// Git then has a conflict, with ours in its place.
#[test]
fn a_lock_that_is_refused_leaves_ours_as_it_was() {
    let world = World::declaring(FILES);
    world.write("a", "a");
    world.lock();
    let lock = world.lock_bytes();
    let text = String::from_utf8(lock.clone()).unwrap();
    let other = text.replace("\"check\": \"tree\"", "\"check\": \"other\"");
    let tampered = text.replace("\"size\":1", "\"size\":2");
    for (theirs, expected) in [
        (&*other, "both sides changed the check itself"),
        (&tampered, "their side is refused: its entries have the digest"),
        ("", "their side is refused: it is empty"),
        ("{\"images\": {}}", "their side is refused: it ends in the middle"),
    ] {
        fs::write(world.path("base"), "").unwrap();
        fs::write(world.path("ours"), &lock).unwrap();
        fs::write(world.path("theirs"), theirs).unwrap();
        let finished = world.driftlock(["merge-driver", "base", "ours", "theirs", "--path", "l"]).code(2);
        says(
            &finished.stderr(),
            &["the lock l was not merged", expected, "git checkout --ours -- l && driftlock lock"],
        );
        assert_eq!(fs::read(world.path("ours")).unwrap(), lock);
    }
    world.driftlock(["merge-driver", "base", "ours", "nowhere"]).code(2);
    world.driftlock(["merge-driver", "base", "root", "theirs"]).code(2);
    assert_eq!(fs::read(world.path("ours")).unwrap(), lock);
}

/// Of branches that were merged with each other git merges the bases first, and such a base may have conflicts in it.
#[test]
fn where_the_base_is_not_known_all_that_differs_is_a_conflict() {
    let world = World::declaring(FILES);
    world.write("a", "a");
    world.lock();
    fs::write(world.path("ours"), world.lock_bytes()).unwrap();
    world.write("b", "b");
    world.lock();
    fs::write(world.path("theirs"), world.lock_bytes()).unwrap();
    fs::write(world.path("base"), "<<<<<<< ours\n=======\n>>>>>>> theirs\n").unwrap();
    let finished = world.driftlock(["merge-driver", "base", "ours", "theirs", "--marker-size", "9"]).code(1);
    says(&finished.stderr(), &["both sides changed in the lock ours: b\n"]);
    says(&fs::read_to_string(world.path("ours")).unwrap(), &["<<<<<<<<< ours\n=========\n{\"path\":\"b\""]);
}
