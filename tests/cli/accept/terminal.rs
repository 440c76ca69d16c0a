//! One by one, on a terminal that `script` plays.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::drifted;
use crate::harness::World;
use crate::watch::{refused, says, shell, snapshot};
use needs::needs;

/// What the terminal showed, for these answers.
fn asked(world: &World, arguments: &str, answers: &str) -> String {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("\"$DRIFTLOCK\" accept {arguments}"), "/dev/null"]);
    let mut run = world.command(command).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock")).env("TERM", "xterm").command;
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}

#[needs("script")]
fn each_is_asked_for() {
    let world = drifted();
    let text = asked(&world, "", "y\nwhat\nn\nn\ny\n");
    says(
        &text,
        &[
            "    modified: root/stacks/edge/a.yml (",
            "(1/4) Accept this [y,n,d,a,q,?]? ",
            "a - accept it and all that follow",
            "    modified: root/addons/ocr/a.py (",
            "(4/4) Accept this",
            "    added: root/addons/qr/new.py (",
            "\naccepted 2, 2 drifts left\n",
        ],
    );
    assert_eq!(text.matches("Accept this").count(), 5, "asked again where the answer was none: {text}");
    let report = world.driftlock(["check", "--json"]).code(1).json();
    let paths: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|check| check["drift"].as_array().unwrap())
        .map(|drift| drift["path"].clone())
        .collect();
    assert_eq!(paths, ["odoo/a.yml", "ocr/a.py"]);
}

#[needs("script")]
fn all_that_follow_and_none() {
    let world = drifted();
    let before = snapshot(&world, &["audit"]);
    says(&asked(&world, "", "q\n"), &["accepted 0, 4 drifts left\n"]);
    // The terminal is closed before there is an answer.
    says(&asked(&world, "", "\u{4}"), &["accepted 0, 4 drifts left\n"]);
    says(&asked(&world, "--dry-run", "a\n"), &["would accept 4, 0 drifts would be left\n"]);
    assert_eq!(snapshot(&world, &["audit"]), before);
    says(&asked(&world, "", "y\nq\n"), &["accepted 1, 3 drifts left\n"]);
    says(&asked(&world, "--check addon_hashes", "n\na\n"), &["(2/2)", "accepted 1, 1 drift left\n"]);
    says(&asked(&world, "", "a\n"), &["(1/2)", "accepted 2, 0 drifts left\n"]);
    says(&asked(&world, "", ""), &["accepted 0, 0 drifts left\n"]);
    world.driftlock(["check"]).code(0);
}

/// A module is one question, with all that drifted in it; what moved between two is one as well.
#[needs("script")]
fn a_module_is_one_question() {
    let world = drifted();
    std::fs::rename(world.root("addons/ocr/b.py"), world.root("addons/qr/b.py")).unwrap();
    let text = asked(&world, "--check addon_hashes", "y\n");
    says(
        &text,
        &["modified: root/addons/ocr/a.py (", "added: root/addons/qr/new.py (", "(1/1)", "accepted 4, 0 drifts left"],
    );
    world.driftlock(["check", "--check", "addon_hashes"]).code(0);
}

/// The change is shown before it is taken, out of a reference; where there is none, that is said.
#[needs("script", "bash")]
fn the_change_is_shown() {
    let world = World::declaring(crate::harness::FILES);
    world.write("a", "one\ntwo\n");
    world.write("b", "1\n");
    world.lock();
    shell(&world, "bash", "mkdir reference && cp -a root reference/root").code(0);
    world.write("a", "one\n2\u{1b}[31m\n");
    world.write("b", "2\n");
    let text = asked(&world, "--reference reference --color never", "d\ny\nn\n");
    says(
        &text,
        &[
            "--- a/root/a\n+++ b/root/a\n@@ -1,2 +1,2 @@\n one\n-two\n+2\\u{1b}[31m\n(1/2) Accept",
            "accepted 1, 1 drift left\n",
        ],
    );
    assert!(!text.contains("b/root/b"), "{text}");
    says(&asked(&world, "", "d\nn\n"), &["the check tree has no reference", "--reference DIR"]);
}

/// A name can't make a line of its own on the terminal, or reach it as a command.
#[needs("script")]
fn names_are_harmless() {
    let world = World::declaring(crate::harness::FILES);
    world.write("a", "1");
    world.lock();
    world.write("x\u{1b}[31m\n(1/1) Accept", "1");
    let text = asked(&world, "", "n\n");
    assert!(!text.contains("\u{1b}[31m") && !text.contains("\n(1/1) Accept\n"), "{text}");
    says(&text, &["added: root/x\\u{1b}[31m\\n(1/1) Accept ("]);
}

#[test]
fn without_a_terminal_names_have_to_be_given() {
    let world = drifted();
    let before = snapshot(&world, &["audit"]);
    refused(
        world.driftlock(["accept"]),
        &["there is no terminal to ask on", "name paths as `driftlock check` shows them", "`driftlock lock`"],
    );
    refused(world.driftlock(["accept", "--json"]), &["there is no terminal to ask on"]);
    assert_eq!(snapshot(&world, &["audit"]), before);
}
