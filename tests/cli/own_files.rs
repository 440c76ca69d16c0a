//! What a run writes: not where the locks are, not into what others have prepared, and never without a word.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use needs::needs;

use crate::harness::World;
use crate::watch::{names, no_panic, says};

fn drifted() -> World {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    world.write("m/a", "2");
    world
}

#[test]
fn a_check_writes_neither_into_the_locks_nor_above_them() {
    let world = drifted();
    let before = names(world.path("locks"));
    fs::create_dir(world.path("locks/below")).unwrap();
    fs::create_dir(world.path("elsewhere")).unwrap();
    for arguments in [
        &["check", "--output", "locks"][..],
        &["check", "--output", "locks/new"],
        &["check", "--metrics", "locks/x.prom"],
        &["check", "--metrics", "locks/below/x.prom"],
        &["export", "--output", "locks/export"],
    ] {
        let refused = world.driftlock(arguments).code(2);
        says(&refused.stderr(), &[" overlap, and this run may not write to the locks", "to do: "]);
    }
    fs::remove_dir(world.path("locks/below")).unwrap();
    assert_eq!(names(world.path("locks")), before);
    let declaration = "locks = \"audit/locks\"\nreports = \"audit\"\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\n";
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    // Whether they are there yet or not.
    says(
        &world.driftlock(["check"]).code(2).stderr(),
        &["the reports directory", " and the locks directory ", " overlap"],
    );
    assert!(!world.path("audit").exists());
    world.lock();
    says(
        &world.driftlock(["check"]).code(2).stderr(),
        &["the reports directory", " and the locks directory ", " overlap"],
    );
    world.driftlock(["check", "--output", "elsewhere"]).code(0);
}

/// In a directory where all users may create files, another user has already created the temporary file.
#[needs(root)]
fn a_temporary_file_of_another_user_is_left_alone() {
    let world = drifted();
    fs::set_permissions(world.path("locks"), fs::Permissions::from_mode(0o1777)).unwrap();
    let planted = world.path("locks/.tree.lock.json.tmp");
    fs::write(&planted, "planted").unwrap();
    std::os::unix::fs::chown(&planted, Some(65534), Some(65534)).unwrap();
    world.lock();
    assert_eq!(fs::read_to_string(&planted).unwrap(), "planted");
    assert_eq!(fs::metadata(&planted).unwrap().uid(), 65534);
    assert_eq!(fs::metadata(world.path("locks/tree.lock.json")).unwrap().uid(), 0);
    assert_eq!(names(world.path("locks")), [".tree.lock.json.tmp", "tree.lock.json"]);
    world.check(0);
}

#[needs("flock")]
fn who_holds_the_temporary_file_is_named() {
    let world = drifted();
    let held = world.path("locks/.tree.lock.json.tmp");
    fs::write(&held, "").unwrap();
    let mut holder = Command::new("flock");
    holder.args(["-s"]).arg(&held).args(["sh", "-c", "echo held; exec sleep 60"]).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    let refused = world.driftlock(["lock"]).code(2);
    let pid = holder.id();
    holder.kill().unwrap();
    holder.wait().unwrap();
    says(&refused.stderr(), &["could not be written: process ", " holds .tree.lock.json.tmp", "what that process is"]);
    assert!(refused.stderr().contains(&format!("process {pid} ")), "{}", refused.stderr());
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_with_a_message() {
    let world = drifted();
    for number in 0..2000 {
        world.write(format!("m/some-name-{number}"), "1");
    }
    let old = world.lock_bytes();
    for (command, problem) in [("lock", "locks/tree.lock.json could not be written"), ("check", "the report reports/")]
    {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f 8 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_driftlock"), command]);
        let finished = world.command(limited).code(if command == "lock" { 2 } else { 3 });
        no_panic(&finished);
        says(&finished.stderr(), &[problem, "File too large", "ulimit -f"]);
    }
    assert_eq!(world.lock_bytes(), old);
}

/// A file at the end of stdout is one of those: what is cut off is told on stderr and by the bit of trouble, also where
/// stderr leads to the same file and nothing more can be said.
#[test]
fn a_limit_of_the_size_of_files_is_an_error_where_stdout_is_a_file() {
    let world = drifted();
    for number in 0..200 {
        world.write(format!("m/some-name-{number}"), "1");
    }
    world.check(1);
    for (command, code) in [
        ("lock --dry-run", 2),
        ("check --no-report", 3),
        ("check --no-report --json", 3),
        ("check --no-report --format html", 3),
        ("report --format json", 2),
        ("report --format sarif", 2),
        ("hash root", 2),
        ("diff locks/tree.lock.json live", 3),
        ("diff --json locks/tree.lock.json live", 3),
        ("check --help", 2),
        ("completions bash", 2),
        ("man", 2),
    ] {
        for stderr in ["", " 2>&1"] {
            let script = format!("ulimit -f 2 && exec \"$0\" {command} >out{stderr}");
            let mut limited = Command::new("sh");
            limited.args(["-c", &script, env!("CARGO_BIN_EXE_driftlock")]);
            let finished = world.command(limited).code(code);
            assert!(fs::metadata(world.path("out")).unwrap().len() <= 1024, "{command}");
            if stderr.is_empty() {
                says(&finished.stderr(), &["stdout could not be written to", "File too large", "ulimit -f"]);
            }
        }
    }
}
