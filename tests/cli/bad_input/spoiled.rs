//! What git, editors and word processors make of locks and declarations: each is named, with its cure.

use std::fs;

use crate::harness::{FILES, TREES, World};
use crate::watch::says;

const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

fn replaced(text: &str, from: &str, to: &str) -> Vec<u8> {
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn locks() {
    for (declaration, lock) in [
        (TREES.to_owned(), "locks/tree.lock.json"),
        (format!("{FILES}lock = \"tree.lock.txt\"\n"), "locks/tree.lock.txt"),
    ] {
        let world = World::declaring(&declaration);
        world.write("m/a", "a");
        world.write("m/b", "b");
        world.lock();
        let good = fs::read_to_string(world.path(lock)).unwrap();
        let line = good.lines().find(|line| line.contains("m/b")).unwrap();
        let conflict = format!("<<<<<<< HEAD\n{line}\n=======\n{line}\n>>>>>>> other");
        for (spoiled, expected) in [
            (good.replace('\n', "\r\n").into_bytes(), ["its lines end with CR LF", "*.lock.json -text"]),
            (format!("\u{feff}{good}").into_bytes(), ["byte order mark", "restore it from git"]),
            (replaced(&good, line, &conflict), ["the marks of a merge conflict", "take one side"]),
            (LFS.into(), ["a pointer of Git LFS", "git lfs pull"]),
        ] {
            fs::write(world.path(lock), &spoiled).unwrap();
            let text = world.driftlock(["check"]).code(2).stdout();
            says(&text, &expected);
            assert!(!text.contains("drift:"), "{text}");
            // It is evidence, and stays.
            says(&world.driftlock(["lock"]).code(2).stderr(), &expected[..1]);
            assert_eq!(fs::read(world.path(lock)).unwrap(), spoiled);
        }
    }
}

#[test]
fn declarations() {
    for (declaration, expected) in [
        (LFS.to_owned(), ["driftlock.toml:1: it is a pointer of Git LFS", "git lfs pull"]),
        (format!("<<<<<<< HEAD\n{TREES}"), ["driftlock.toml:1: it has the marks of a merge conflict", "take one side"]),
        (
            TREES.replace("\"root\"", "“root”"),
            ["driftlock.toml:6:8: a typographic quote, `“`", "use plain quotes, `\"`"],
        ),
    ] {
        let world = World::declaring(&declaration);
        says(&world.driftlock(["check"]).code(2).stderr(), &expected);
    }
    // These ends of lines are fine in TOML.
    let world = World::declaring(&TREES.replace('\n', "\r\n"));
    world.write("m/a", "a");
    world.lock();
    world.check(0);
}
