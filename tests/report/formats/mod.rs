//! The forms that other programs read, each held against those programs or against what they publish.

mod github;
mod html;
mod junit;
mod prometheus;
mod sarif;
mod slack;

use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use driftlock::internals::manifest::json::Reader;
use driftlock::internals::report::Report;
use driftlock::internals::report::places::{Place, Places};

/// A report in a form.
fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Gives a program something on stdin, and makes sure that it is content. What it says is in the result.
fn content(command: &mut Command, input: &[u8], what: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs {}: {error}", command.get_program().to_string_lossy()));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // If it ends early, its own message says more than a broken pipe.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {said}");
    said
}

fn schema(name: &str) -> String {
    format!("{}/tests/schemas/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Places as they would be next to a declaration: its checks from line 4 on, and a lock with these entry lines.
fn places(report: &Report, locks: &HashMap<&str, String>) -> Places {
    let mut places = Places::default();
    for (check, line) in report.checks().zip(4..) {
        let declared = Place { file: "ops/driftlock.toml".to_owned(), line };
        places.declare(&check.name, declared);
        if let Some(lock) = locks.get(check.name.as_str()) {
            let mut reader = Reader::new(lock.as_bytes()).unwrap();
            let file = format!("ops/audit/locks/{}.lock.json", check.name);
            places.look_up(check, (&mut reader, &file), Reader::line).unwrap();
        }
    }
    places
}
