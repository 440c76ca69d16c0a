//! What a report says to do next: the lines work when they are pasted into a shell.

mod forms;
pub mod lines;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::harness::{FILES, Run, TREES, World};
use crate::watch::{says, shell};
use lines::{line, lines};
use needs::needs;

/// Pastes a line into a shell in the world, with driftlock on its path.
fn pasted<'a>(world: &'a World, directory: &str, line: &str) -> Run<'a> {
    let path = "PATH=\"$(dirname \"$DRIFTLOCK\"):$PATH\"\nexport GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent GIT_PAGER=cat";
    shell(world, "bash", &format!("{path}\ncd '{directory}' || exit 9\n{line}\n"))
}

/// Makes the world a repository with everything in it committed, locks and all.
fn repository(world: &World) {
    world.lock();
    fs::write(world.path(".gitignore"), "/reports/\n").unwrap();
    pasted(world, ".", "git init -q && git config user.name Ann && git config user.email a@b").code(0);
    commit(world);
}

fn commit(world: &World) {
    pasted(world, ".", "git add -A && git commit -qm 'all of it'").code(0);
}

fn report(world: &World) -> String {
    world.driftlock(["check", "--no-report"]).code(1).stdout()
}

/// Names that a shell, git or a terminal would make something else of.
const NASTY: [&[u8]; 16] = [
    b"plain.yml",
    b"a b",
    b"it's",
    b"\"quoted\"",
    b"$(touch owned)`touch owned`",
    b"new\nline",
    b"\xff\xfe",
    b"[a].yml",
    b"*",
    b":(top)x",
    b"-rf",
    b"back\\slash",
    "bidi\u{202e}gpj".as_bytes(),
    b"!!",
    b"~",
    b"##[error]",
];

/// Each name in a repository of its own: the change is seen, told of, undone, made again and taken.
#[needs("git", "bash")]
fn lines_for_every_name_work_when_they_are_pasted() {
    for root in ["root", "."] {
        for name in NASTY {
            let exclude =
                "include = [\"**\"]\nexclude = [\"driftlock.toml\", \".git\", \".gitignore\", \"locks\", \"reports\"]";
            let declaration = FILES.replace("\"root\"", &format!("{root:?}")).replace("include = [\"**\"]", exclude);
            let world = World::declaring(&declaration);
            let write = |contents: &str| match root {
                "." => fs::write(crate::model::below(&world.path(""), name), contents).unwrap(),
                _ => drop(world.write(name, contents)),
            };
            write("one\ntwo\n");
            repository(&world);
            write("one\n2\n");
            let text = report(&world);
            let seen = pasted(&world, ".", &line(&text, "see it")).code(0).stdout();
            says(&seen, &["-two\n+2\n"]);
            assert_eq!(pasted(&world, ".", &line(&text, "who did it")).code(0).stdout(), "", "it is not committed");
            pasted(&world, ".", &line(&text, "undo it")).code(0);
            world.driftlock(["check"]).code(0);
            write("three\n");
            commit(&world);
            let text = report(&world);
            says(&pasted(&world, ".", &line(&text, "who did it")).code(0).stdout(), &["Ann, ", ": all of it\n"]);
            says(&pasted(&world, ".", &line(&text, "take it")).code(0).stdout(), &["accepted 1, 0 drifts left\n"]);
            world.driftlock(["check"]).code(0);
            assert!(!world.path("owned").exists() && !world.root("owned").exists());
        }
    }
}

/// A way to drift.
type Drift = fn(&World);

/// Every kind of drift that git knows is undone by the line that says so, in trees and in files.
#[needs("git", "bash")]
fn every_change_is_undone() {
    let changes: [(&str, Drift); 11] = [
        ("added", |world| drop(world.write("m/new", "1"))),
        ("added directory", |world| drop(world.write("m/new/deep/x", "1"))),
        ("removed", |world| fs::remove_file(world.root("m/a")).unwrap()),
        ("removed directory", |world| fs::remove_dir_all(world.root("m/d")).unwrap()),
        ("removed module", |world| fs::remove_dir_all(world.root("m")).unwrap()),
        ("moved", |world| fs::rename(world.root("m/a"), world.root("m/b")).unwrap()),
        ("moved directory", |world| fs::rename(world.root("m/d"), world.root("m/e")).unwrap()),
        ("executable", |world| fs::set_permissions(world.root("m/a"), fs::Permissions::from_mode(0o755)).unwrap()),
        ("file to link", |world| {
            fs::remove_file(world.root("m/a")).unwrap();
            symlink("x", world.root("m/a")).unwrap();
        }),
        ("file to directory", |world| {
            fs::remove_file(world.root("m/a")).unwrap();
            world.write("m/a/x", "1");
        }),
        ("directory to file", |world| {
            fs::remove_dir_all(world.root("m/d")).unwrap();
            world.write("m/d", "1");
        }),
    ];
    for declaration in [TREES, FILES] {
        for (what, drift) in changes {
            let world = World::declaring(declaration);
            for (path, contents) in [("m/a", "first"), ("m/d/x", "second"), ("m/d/y", "third"), ("n/z", "fourth")] {
                world.write(path, contents);
            }
            repository(&world);
            drift(&world);
            let text = report(&world);
            pasted(&world, ".", &line(&text, "see it")).code(0);
            pasted(&world, ".", &line(&text, "undo it")).code(0);
            let code = world.driftlock(["check"]).command.output().unwrap().status.code();
            assert_eq!(code, Some(0), "{declaration}{what}\n{text}");
        }
    }
}

/// The lines are for the directory that the report was asked for in.
#[needs("git", "bash")]
fn from_another_directory() {
    let world = World::declaring(FILES);
    world.write("a", "1\n");
    world.write("sub/x", "1");
    repository(&world);
    let place = world.path("").display().to_string();
    let place = place.trim_end_matches('/');
    let named = format!("{place}/driftlock.toml");
    for (directory, arguments) in [
        (format!("{place}/root/sub"), &[][..]),
        ("/".to_owned(), &["--config", &named]),
        (format!("{place}/root"), &["--config", "../driftlock.toml"]),
    ] {
        for (what, done) in [("undo it", ""), ("take it", "accepted 1")] {
            world.write("a", "2\n");
            let mut run = world.driftlock([&["check", "--no-report"], arguments].concat());
            run.command.current_dir(&directory);
            let text = run.code(1).stdout();
            says(&pasted(&world, &directory, &line(&text, "see it")).code(0).stdout(), &["+2"]);
            says(&pasted(&world, &directory, &line(&text, what)).code(0).stdout(), &[done]);
            world.driftlock(["check", "--no-report"]).code(0);
        }
        world.write("a", "1\n");
        world.lock();
    }
}

/// With many, one line is about one of them, and one about all.
#[needs("git", "bash")]
fn many_drifts_have_one_block() {
    let world = World::declaring(FILES);
    (0..9).for_each(|number| drop(world.write(format!("{number}"), format!("{number}\n"))));
    repository(&world);
    (0..9).for_each(|number| drop(world.write(format!("{number}"), format!("{number}!\n"))));
    let text = report(&world);
    assert_eq!(text.matches("see it").count(), 1, "{text}");
    let seen = pasted(&world, ".", &line(&text, "see it")).code(0).stdout();
    assert_eq!(seen.matches("diff --git").count(), 9);
    pasted(&world, ".", &line(&text, "undo one")).code(0);
    says(&report(&world), &["8 drifted"]);
    says(&pasted(&world, ".", &line(&report(&world), "take one")).code(0).stdout(), &["accepted 1, 7 drifts left"]);
    pasted(&world, ".", &line(&report(&world), "take all")).code(0);
    world.driftlock(["check"]).code(0);
}

/// Without git there is less to say, and nothing that would not work.
#[needs("bash")]
fn without_git() {
    let world = World::declaring(FILES);
    world.write("a b", "1");
    world.lock();
    world.write("a b", "2");
    let text = report(&world);
    let steps: Vec<_> = lines(&text).into_iter().map(|(what, _)| what).collect();
    assert_eq!(steps, ["who did it", "take it"], "{text}");
    says(&pasted(&world, ".", &line(&text, "who did it")).code(0).stdout(), &["Modify: ", "File: root/a b"]);
    pasted(&world, ".", &line(&text, "take it")).code(0);
    world.driftlock(["check"]).code(0);
}

/// Without git, and with a reference, the change is seen all the same.
#[needs("bash")]
fn without_git_and_with_a_reference() {
    let world = World::declaring(&FILES.replace("include", "reference = \"old\"\ninclude"));
    world.write("a b", "1\n");
    world.lock();
    shell(&world, "bash", "cp -a root old").code(0);
    world.write("a b", "2\n");
    let text = report(&world);
    let steps: Vec<_> = lines(&text).into_iter().map(|(what, _)| what).collect();
    assert_eq!(steps, ["see it", "who did it", "take it"], "{text}");
    says(&pasted(&world, ".", &line(&text, "see it")).code(1).stdout(), &["-1\n+2\n"]);
}

/// A root in another repository is none that this one's git knows; one behind a link goes by where it really lies.
#[needs("git", "bash")]
fn a_repository_in_the_repository() {
    let world = World::declaring(FILES);
    world.write("a", "1");
    repository(&world);
    fs::create_dir(world.root(".git")).unwrap();
    world.write("a", "2");
    let text = report(&world);
    assert!(text.contains("driftlock accept root/a") && !text.contains("git "), "{text}");
    fs::remove_dir(world.root(".git")).unwrap();
    fs::rename(world.path("root"), world.path("real")).unwrap();
    symlink("real", world.path("root")).unwrap();
    world.lock();
    commit(&world);
    fs::write(world.path("real/a"), "3").unwrap();
    let text = report(&world);
    says(&line(&text, "undo it"), &[" -- real/a"]);
    pasted(&world, ".", &line(&text, "undo it")).code(0);
    world.driftlock(["check"]).code(0);
}
