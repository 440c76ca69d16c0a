//! What misleads the eye or the finger: names that look the same, locks that are links, locks that git does not track.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{FILES, TREES, World};
use crate::watch::says;

#[test]
fn names_that_look_the_same_are_shown_apart() {
    for (before, now, shown) in [
        ("m/caf\u{e9}.conf", "m/cafe\u{301}.conf", "root/m/caf\\u{e9}.conf and root/m/caf\\u{65}\\u{301}.conf"),
        ("m/a", "m/a ", "root/m/a and root/m/a\\u{20}"),
        ("m/a b", "m/a\u{a0}b", "root/m/a\\u{20}b and root/m/a\\u{a0}b"),
    ] {
        for declaration in [TREES, FILES] {
            let world = World::declaring(declaration);
            world.write(before, "1");
            world.lock();
            fs::rename(world.root(before), world.root(now)).unwrap();
            // Moved; and as one file that is gone and one that is new.
            for contents in ["1", "2"] {
                fs::write(world.root(now), contents).unwrap();
                let text = world.driftlock(["check"]).code(1).stdout();
                let pair = format!("[INFO] Tree: 1 pair of names looks the same and is not: {shown}\n");
                let order: Vec<_> = shown.split(" and ").collect();
                let other = pair.replace(shown, &format!("{} and {}", order[1], order[0]));
                assert!(text.contains(&pair) || text.contains(&other), "{text}");
                let html = world.driftlock(["check", "--format", "html"]).code(1).stdout();
                says(&html, &["1 pair of names looks the same and is not: "]);
            }
        }
    }
    // What has no width is escaped wherever it stands, and is no pair.
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    fs::rename(world.root("m/a"), world.root("m/a\u{200b}")).unwrap();
    let text = world.driftlock(["check"]).code(1).stdout();
    says(&text, &["root/m/a\\u{200b} (from root/m/a, mtime "]);
    assert!(!text.contains("looks the same"), "{text}");
}

#[test]
fn a_lock_that_is_a_link_out_of_its_directory_is_told_as_that() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    let lock = world.path("locks/tree.lock.json");
    fs::rename(&lock, world.path("elsewhere.json")).unwrap();
    let absolute = world.path("elsewhere.json");
    for target in ["../elsewhere.json", absolute.to_str().unwrap(), "nowhere.json"] {
        symlink(target, &lock).unwrap();
        let expected =
            format!("the lock locks/tree.lock.json is refused: it is a link to {target}, which is not in the locks");
        let text = world.driftlock(["check"]).code(2).stdout();
        says(
            &text,
            &[&expected, "    put the file itself in its place (`cp --remove-destination`), or name the directory"],
        );
        // It is not written over either.
        says(&world.driftlock(["lock"]).code(2).stderr(), &[&expected]);
        assert_eq!(fs::read_link(&lock).unwrap().to_str(), Some(target));
        fs::remove_file(&lock).unwrap();
    }
    // One within it is as good as the file.
    fs::rename(world.path("elsewhere.json"), world.path("locks/other.json")).unwrap();
    symlink("other.json", &lock).unwrap();
    world.check(0);
}

#[test]
fn a_lock_that_a_flake_does_not_see_is_told_with_git_add() {
    let world = World::new();
    let source = world.path("nix/store/a1b2-source");
    fs::create_dir_all(source.join("root")).unwrap();
    fs::write(source.join("root/a"), "1").unwrap();
    fs::write(source.join("driftlock.toml"), TREES).unwrap();
    let config = ["check", "--no-report", "--config", "nix/store/a1b2-source/driftlock.toml"];
    let finished = world.driftlock(config).code(1);
    says(&finished.stdout(), &["[FAIL] Missing lock file: locks/tree.lock.json"]);
    says(
        &finished.stderr(),
        &[
            "the declaration is in the Nix store, without these locks: locks/tree.lock.json",
            "sees only the files that git tracks: run `git add`",
        ],
    );
    // Elsewhere, git has nothing to do with it.
    world.write("a", "1");
    assert_eq!(world.driftlock(["check", "--no-report"]).code(1).stderr(), "");
}
