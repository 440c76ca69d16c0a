//! What the tests of bad input, crashes and the sandbox look at: the state of a directory before and after, refusals,
//! and a run as the kernel sees it.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Finished, Run, World};

/// Everything below some directories, with what would change if anything were written there.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, String>);

/// Takes the state of paths in a world. A path that is not there is part of the state.
pub fn snapshot(world: &World, paths: &[&str]) -> Snapshot {
    let mut state = BTreeMap::new();
    for path in paths {
        take(&world.path(path), &mut state);
    }
    Snapshot(state)
}

fn take(path: &Path, state: &mut BTreeMap<PathBuf, String>) {
    let Ok(status) = path.symlink_metadata() else {
        state.insert(path.to_path_buf(), "not there".to_owned());
        return;
    };
    let kind = status.file_type();
    let contents = if kind.is_file() {
        let contents = fs::read(path).unwrap();
        let mut hasher = DefaultHasher::new();
        contents.hash(&mut hasher);
        format!("{} bytes {:016x}", contents.len(), hasher.finish())
    } else if kind.is_symlink() {
        format!("{:?}", fs::read_link(path).unwrap())
    } else {
        String::new()
    };
    let times = (status.mtime(), status.mtime_nsec());
    state.insert(path.to_path_buf(), format!("{:o} inode {} {times:?} {contents}", status.mode(), status.ino()));
    if kind.is_dir() {
        let mut below: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        below.sort();
        below.iter().for_each(|path| take(path, state));
    }
}

/// The names in a directory, sorted.
pub fn names(directory: impl AsRef<Path>) -> Vec<String> {
    let listing = fs::read_dir(directory.as_ref()).unwrap_or_else(|error| panic!("{:?}: {error}", directory.as_ref()));
    let mut names: Vec<_> = listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // What `check` puts into a folder for reports that it makes.
    names.retain(|name| name != ".gitignore");
    names.sort();
    names
}

/// No run, whatever becomes of it, panics.
pub fn no_panic(finished: &Finished) {
    for stream in [finished.stdout(), finished.stderr()] {
        assert!(!stream.contains("panicked") && !stream.contains("RUST_BACKTRACE"), "{stream}");
    }
}

/// Makes sure that text says everything that it should.
pub fn says(text: &str, expected: &[&str]) {
    for wanted in expected {
        assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
    }
}

/// Runs what has to be refused: exit code 2, nothing on stdout, and on stderr one line that says what is wrong and what
/// to do, with all that is `expected`.
pub fn refused(run: Run<'_>, expected: &[&str]) -> Finished {
    let finished = run.code(2);
    no_panic(&finished);
    assert_eq!(finished.stdout(), "");
    says(&finished.stderr(), expected);
    assert!(finished.stderr().starts_with("driftlock: "), "{}", finished.stderr());
    finished
}

/// The same, and nothing at all in the world may be touched.
pub fn refused_and_untouched(world: &World, arguments: &[&str], expected: &[&str]) -> Finished {
    let before = snapshot(world, &["."]);
    let finished = refused(world.driftlock(arguments), expected);
    assert_eq!(snapshot(world, &["."]), before, "{arguments:?}");
    finished
}

/// Checks, and makes sure that the check `tree` was not carried out: told in the text, with the remedy on the line
/// below, and in the JSON.
pub fn not_checked(world: &World, code: i32, expected: &[&str]) {
    let finished = world.driftlock(["check"]).code(code);
    no_panic(&finished);
    let text = finished.stdout();
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("[FAIL] tree: "));
    let at = at.unwrap_or_else(|| panic!("no line for the check: {text}"));
    says(lines[at], expected);
    assert!(lines[at + 1].starts_with("    ") && lines[at + 1].len() > 14, "no remedy: {text}");
    says(&text, &["OVERALL: FAIL"]);
    assert!(!text.contains("[PASS] All tree"), "{text}");

    let report = world.check(code);
    let check = crate::harness::the_check(&report);
    assert_eq!((&check["status"], &report["overall"]), (&"FAIL".into(), &"FAIL".into()));
    says(check["trouble"]["problem"].as_str().unwrap(), expected);
    assert!(check["trouble"]["remedy"].as_str().unwrap().len() > 10);
}

/// The binary under `strace` with these options, in a world. The trace, if any, goes to the file `trace` in it.
pub fn strace<'a>(world: &'a World, options: &[&str], arguments: &[&str]) -> Run<'a> {
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(world.path("trace")).args(options);
    // A call that is injected is the only one to be written down: that is most of the time otherwise.
    if let Some(calls) = options.iter().find_map(|option| option.strip_prefix("inject=")?.split(':').next()) {
        command.arg("-e").arg(format!("trace={calls}"));
    }
    command.arg("--").arg(env!("CARGO_BIN_EXE_driftlock")).args(arguments);
    world.command(command)
}

/// The files of a directory in a world, by name, and what is below: the same if a later run finds the same.
pub fn contents(world: &World, directory: &str) -> Vec<(PathBuf, Vec<u8>)> {
    fn below(directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() { below(&path, found) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
        }
    }
    let mut found = Vec::new();
    below(&world.path(directory), &mut found);
    found.sort();
    found
}

/// A shell script in a world, with the binary as `$DRIFTLOCK`.
pub fn shell<'a>(world: &'a World, shell: &str, script: &str) -> Run<'a> {
    let mut command = Command::new(shell);
    command.args(["-c", script]);
    world.command(command).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock"))
}
