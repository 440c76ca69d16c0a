//! Roots, and the directories of locks and reports, that are not what they should be.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::harness::{FILES, TREES, World, drift, the_check, unprivileged};
use crate::watch::{names, no_panic, not_checked, refused, refused_and_untouched, says, snapshot};
use needs::needs;

/// A world with a locked module, and another check `other` over `other` that is fine and has drifted.
fn two_checks() -> World {
    let other = "\n[check.other]\nkind = \"trees\"\nroot = \"other\"\n";
    let world = World::declaring(&format!("{TREES}{other}"));
    world.write("m/a", "1");
    fs::create_dir(world.path("other")).unwrap();
    fs::write(world.path("other/b"), "1").unwrap();
    world.lock();
    fs::write(world.path("other/b"), "2").unwrap();
    world
}

fn root_is(replace: impl Fn(&World), problem: &str, remedy: &str) {
    let world = two_checks();
    fs::rename(world.path("root"), world.path("away")).unwrap();
    replace(&world);
    let before = snapshot(&world, &["locks/tree.lock.json", "root", "away"]);
    // The other check is carried out all the same: 1 for its drift, 2 for this one.
    not_checked(&world, 3, &["root", problem]);
    let text = world.driftlock(["check"]).code(3).stdout();
    says(&text, &[remedy, "[FAIL] Other drift: other/b"]);
    let lock = world.driftlock(["lock"]).code(2);
    no_panic(&lock);
    says(&lock.stderr(), &["the root root could not be opened", problem, remedy]);
    says(&lock.stdout(), &["wrote locks/other.lock.json"]);
    assert_eq!(snapshot(&world, &["locks/tree.lock.json", "root", "away"]), before);
}

#[test]
fn root_missing() {
    root_is(|_| (), "No such file", "create it, or correct `root`");
}

#[test]
fn root_that_is_a_file() {
    root_is(|world| fs::write(world.path("root"), "x").unwrap(), "Not a directory", "declare the directory");
}

#[test]
fn root_that_is_a_dangling_link() {
    root_is(|world| symlink("nowhere", world.path("root")).unwrap(), "No such file", "create it, or correct `root`");
}

#[test]
fn root_that_is_a_loop_of_links() {
    root_is(
        |world| symlink("root", world.path("root")).unwrap(),
        "symbolic links",
        "check the path and the links on it",
    );
}

#[test]
fn root_unreadable() {
    let world = two_checks();
    fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o000)).unwrap();
    let run = world.command(unprivileged(&world, &["check", "--output", "/nowhere"]));
    let finished = run.code(3);
    no_panic(&finished);
    says(&finished.stdout(), &["[FAIL] tree: the root root could not be read: could not open it: Permission denied"]);
    says(&finished.stdout(), &["run driftlock as a user who may read it"]);
    says(&finished.stdout(), &["[FAIL] Other drift: other/b", "OVERALL: FAIL"]);
    let locked = fs::read(world.path("locks/tree.lock.json")).unwrap();
    fs::set_permissions(world.path("locks"), fs::Permissions::from_mode(0o777)).unwrap();
    let run = world.command(unprivileged(&world, &["lock"]));
    says(&run.code(2).stderr(), &["the root root could not be read: could not open it: Permission denied"]);
    assert_eq!(fs::read(world.path("locks/tree.lock.json")).unwrap(), locked);
    // Searchable and not listable, for its owner too.
    fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o311)).unwrap();
    let run = world.command(unprivileged(&world, &["check", "--output", "/nowhere"]));
    says(
        &run.code(2).stdout(),
        &["[FAIL] tree: the root root could not be read: could not open it: Permission denied"],
    );
    fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn glob_that_matches_nothing() {
    let nothing = FILES.replace("\"**\"", "\"*.conf\", \"*.cfg\"");
    let world = World::declaring(&nothing);
    world.write("a.txt", "1");
    let expected = ["the check tree finds nothing", "nothing below root matches \"*.conf\", \"*.cfg\""];
    let finished = refused(world.driftlock(["lock"]), &expected);
    says(&finished.stderr(), &["allow_empty = true"]);
    assert_eq!(names(world.path("locks")), [""; 0], "nothing is locked");

    // Something was there when it was locked: gone, which is drift and not only a glob that matches nothing.
    world.write("a.conf", "1");
    world.lock();
    fs::remove_file(world.root("a.conf")).unwrap();
    let report = world.check(1);
    assert_eq!(drift(&report), [("removed".to_owned(), "a.conf".to_owned())]);

    fs::write(world.path("driftlock.toml"), nothing.replace("kind", "allow_empty = true\nkind")).unwrap();
    world.lock();
    fs::write(world.path("driftlock.toml"), nothing).unwrap();
    not_checked(&world, 2, &expected);
    says(&world.driftlock(["check"]).code(2).stdout(), &["allow_empty = true"]);
}

#[test]
fn empty_root() {
    let world = World::new();
    let finished = refused(world.driftlock(["lock"]), &["the root root is empty", "submodule"]);
    says(&finished.stderr(), &["allow_empty = true"]);
}

#[test]
fn empty_lock_is_canonical_where_it_is_allowed() {
    for (kind, declaration) in [("trees", TREES.to_owned()), ("files", FILES.replace("**", "*.conf"))] {
        let world = World::declaring(&declaration.replace("kind", "allow_empty = true\nkind"));
        world.lock();
        // The digest of nothing, as `printf '' | sha256sum | xxd -r -p | base64` prints it.
        let expected = format!(
            "{{\n\"driftlock\": 1,\n\"check\": \"tree\",\n\"kind\": \"{kind}\",\n\
             \"digest\": \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\",\n\"entries\": [\n]\n}}\n"
        );
        assert_eq!(String::from_utf8(world.lock_bytes()).unwrap(), expected);
        let report = world.check(0);
        assert_eq!((&report["overall"], &the_check(&report)["counts"]["entries"]), (&"PASS".into(), &0.into()));
        world.write("a.conf", "1");
        assert_eq!(drift(&world.check(1)), [("added".to_owned(), "a.conf".to_owned())]);
    }
}

#[needs(root)]
fn locks_directory_that_may_not_be_written() {
    let world = World::new();
    world.write("m/a", "1");
    // Not there, and not to be created.
    let run = world.command(unprivileged(&world, &["lock"]));
    refused(run, &["the locks directory locks could not be created", "Permission denied", "correct `locks`"]);
    world.lock();
    world.write("m/a", "2");
    let before = snapshot(&world, &["locks"]);
    let finished = refused(world.command(unprivileged(&world, &["lock"])), &["locks/tree.lock.json", "Permission"]);
    says(&finished.stderr(), &["make the directory writable", "existing files are unchanged"]);
    assert_eq!(snapshot(&world, &["locks"]), before);
    // Where nothing would be written, nothing has to be writable.
    says(&world.command(unprivileged(&world, &["lock", "--dry-run"])).code(0).stdout(), &["would write"]);
    world.write("m/a", "1");
    says(&world.command(unprivileged(&world, &["lock"])).code(0).stdout(), &["unchanged locks/tree.lock.json"]);
    assert_eq!(snapshot(&world, &["locks"]), before);
}

#[test]
fn locks_that_is_a_file_or_below_one() {
    for locks in ["plain", "plain/locks"] {
        let world = World::declaring(&TREES.replace("\"locks\"", &format!("\"{locks}\"")));
        world.write("m/a", "1");
        fs::write(world.path("plain"), "precious").unwrap();
        refused_and_untouched(&world, &["lock"], &["the locks directory plain", "correct `locks`"]);
        refused_and_untouched(&world, &["check"], &["the locks directory plain", "correct `locks`"]);
        assert_eq!(fs::read(world.path("plain")).unwrap(), b"precious");
    }
}

#[test]
fn reports_directory_that_can_not_be_created() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    fs::write(world.path("plain"), "precious").unwrap();
    for output in ["plain", "plain/below", "/proc/nowhere", "/dev/null"] {
        let finished = world.driftlock(["check", "--output", output]).code(2);
        no_panic(&finished);
        says(&finished.stdout(), &["[PASS] All tree modules match baseline", "OVERALL: PASS"]);
        assert!(!finished.stdout().contains("Report: "), "{}", finished.stdout());
        says(&finished.stderr(), &["the reports directory", output, "to do: correct --output"]);
    }
    world.write("m/a", "2");
    let finished = world.driftlock(["check", "--output", "plain", "--json"]).code(3);
    assert_eq!(drift(&finished.json()).len(), 1, "the verdict is still printed");
    assert_eq!(fs::read(world.path("plain")).unwrap(), b"precious");
    fs::write(world.path("driftlock.toml"), TREES.replace("\"reports\"", "\"plain\"")).unwrap();
    let finished = world.driftlock(["check"]).code(3);
    says(&finished.stdout(), &["[FAIL] Tree drift: m", "OVERALL: FAIL"]);
    says(&finished.stderr(), &["correct `reports` in the declaration", "--output"]);
}

#[test]
fn our_own_files_where_a_check_looks() {
    for (key, command) in [("locks", "lock"), ("reports", "check")] {
        let inside = TREES.replace(&format!("\"{key}\""), &format!("\"root/m/{key}\""));
        let world = World::declaring(&inside);
        world.write(format!("m/{key}/a"), "1");
        refused_and_untouched(&world, &[command], &["the check tree would record driftlock's own files", key]);
        // Excluded there, all is fine.
        let excluded = inside.replace("kind", &format!("exclude = [\"*/{key}\"]\nkind"));
        fs::write(world.path("driftlock.toml"), excluded).unwrap();
        world.driftlock(["lock"]).code(0);
        let report = world.check(0);
        assert_eq!(the_check(&report)["counts"]["entries"], 1, "the module alone");
        world.check(0);
        // A `files` check that does not pick them is fine as well.
        let files =
            inside.replace("\"trees\"", "\"files\"\ninclude = [\"*.conf\", \"*/*.conf\"]\nlock = \"f.lock.json\"");
        fs::write(world.path("driftlock.toml"), files).unwrap();
        world.write("m/a.conf", "1");
        world.driftlock(["lock"]).code(0);
        assert_eq!(the_check(&world.check(0))["counts"]["entries"], 1);
    }
}

/// A refusal must not leave in a root what it refuses to put there.
#[test]
fn nothing_is_created_where_it_is_refused() {
    for (key, command) in [("locks", "lock"), ("reports", "check")] {
        let world = World::declaring(&TREES.replace(&format!("\"{key}\""), &format!("\"root/new/{key}\"")));
        world.write("m/a", "1");
        refused_and_untouched(&world, &[command], &["would record driftlock's own files", "exclude"]);
    }
}

#[test]
fn root_inside_a_directory_that_is_written_to() {
    let inside = TREES.replace("\"root\"", "\"ours/root\"");
    for (key, command) in [("locks", "lock"), ("reports", "check")] {
        let world = World::declaring(&inside.replace(&format!("\"{key}\""), "\"ours\""));
        fs::create_dir_all(world.path("ours/root/m")).unwrap();
        refused_and_untouched(&world, &[command], &["the root of the check tree is in the", key, "outside every root"]);
    }
    let world = World::declaring(&TREES.replace("\"reports\"", "\"root\""));
    world.write("m/a", "1");
    world.lock();
    refused_and_untouched(&world, &["check"], &["the root of the check tree is in the reports directory"]);
    // By a link the same.
    fs::write(world.path("driftlock.toml"), TREES.replace("\"reports\"", "\"link\"")).unwrap();
    symlink("root", world.path("link")).unwrap();
    refused_and_untouched(&world, &["check"], &["the root of the check tree is in the reports directory"]);
}
