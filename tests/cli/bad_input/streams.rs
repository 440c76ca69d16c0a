//! A stdout that is closed or full, or whose reader has stopped reading.

use std::fs::{self, File};
use std::process::Stdio;

use crate::harness::{Run, World};
use crate::watch::{no_panic, says, shell};

/// A clean world, and one that has drifted.
fn worlds() -> [(World, i32); 2] {
    [("1", 0), ("2", 1)].map(|(contents, code)| {
        let world = World::new();
        world.write("m/a", "1");
        world.lock();
        world.write("m/a", contents);
        (world, code)
    })
}

/// Commands that print, and their exit codes in a world whose checks end with `code`.
fn printing(code: i32) -> Vec<(&'static [&'static str], i32)> {
    vec![
        (&["check"], code),
        (&["check", "--json"], code),
        (&["check", "--quiet"], code),
        (&["lock", "--dry-run"], 0),
        (&["lock", "--dry-run", "--json"], 0),
        (&["diff", "locks/tree.lock.json", "live"], code),
        (&["diff", "locks/tree.lock.json", "live", "--json"], code),
        (&["diff", "locks/tree.lock.json", "locks/tree.lock.json"], 0),
        (&["hash", "root"], 0),
        (&["hash", "--format", "json", "root"], 0),
        (&["hash", "--format", "nar", "root"], 0),
        (&["capabilities"], 0),
        (&["capabilities", "--json"], 0),
        (&["completions", "bash"], 0),
        (&["completions", "zsh"], 0),
        (&["man"], 0),
        (&["--help"], 0),
        (&["check", "--help"], 0),
        (&["--version"], 0),
    ]
}

/// Runs with `stdout`, which `Command::output` would replace.
fn with_stdout(mut run: Run<'_>, stdout: Stdio) -> (Option<i32>, String) {
    run.command.stdout(stdout).stderr(Stdio::piped());
    let output = run.command.spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{:?}: {stderr}", run.command);
    (output.status.code(), stderr)
}

#[test]
fn full_device() {
    // Without Landlock, a run that is quiet has that to say.
    let has_nothing_to_say = crate::machine::landlock().is_ok();
    for (world, code) in worlds() {
        for (arguments, code) in printing(code) {
            // What clap prints itself has no exit code of ours.
            if arguments.iter().any(|argument| argument.starts_with("--help") || *argument == "--version") {
                continue;
            }
            let full = File::options().write(true).open("/dev/full").unwrap();
            let (found, stderr) = with_stdout(world.driftlock(arguments), full.into());
            if arguments.contains(&"--quiet") && code == 0 && has_nothing_to_say {
                assert_eq!((found, &*stderr), (Some(0), ""), "nothing is printed");
                continue;
            }
            assert_eq!(found, Some(code | 2), "{arguments:?}\n{stderr}");
            says(&stderr, &["stdout could not be written to: No space left", "to do: "]);
        }
        // The report is kept all the same.
        assert!(fs::read_dir(world.path("reports")).unwrap().count() >= 3);
    }
}

/// Who reads from us (`| head`) may have read enough: no panic, no complaint, and the code is that of the run.
#[test]
fn reader_that_went_away() {
    for (world, code) in worlds() {
        for (arguments, code) in printing(code) {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let (found, stderr) = with_stdout(world.driftlock(arguments), writer.into());
            assert_eq!((found, &*stderr), (Some(code), ""), "{arguments:?}");
        }
    }
    let (world, code) = &worlds()[1];
    let script = "set -o pipefail; \"$DRIFTLOCK\" check | head -c 1 >/dev/null";
    no_panic(&shell(world, "bash", script).code(*code));
}

#[test]
fn closed_streams() {
    for (world, code) in worlds() {
        for (arguments, code) in printing(code) {
            let script = format!("exec \"$DRIFTLOCK\" {} >&- 2>&- <&-", arguments.join(" "));
            no_panic(&shell(&world, "sh", &script).code(code));
        }
        // A report must not end up in some file of ours that got the number of a closed stream.
        let before = world.lock_bytes();
        world.write("m/b", "new");
        shell(&world, "sh", "exec \"$DRIFTLOCK\" lock >&- 2>&- <&-").code(0);
        assert_ne!(world.lock_bytes(), before);
        world.check(0);
    }
}

#[test]
fn full_stderr_is_no_reason_to_panic() {
    let world = World::new();
    shell(&world, "sh", "exec \"$DRIFTLOCK\" lock 2>/dev/full").code(2);
    shell(&world, "sh", "exec \"$DRIFTLOCK\" nonsense 2>/dev/full").code(2);
}
