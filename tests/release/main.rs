//! Packages, releases, and what uses them: the units that packages bring, the signature of a release, the action, the hook and the
//! recipes of docs/ci.md. A real web server on loopback has the release. scripts/test-deb and scripts/test-release do the rest.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests open what they like by name")]

#[path = "../machine/mod.rs"]
mod machine;
mod packages;
mod scene;
mod uses;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const BINARY: &str = env!("CARGO_BIN_EXE_driftlock");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(REPOSITORY).join(path)).unwrap()
}

fn directory() -> TempDir {
    tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap()
}

/// The only block of a page in a language that holds a word.
fn block(page: &str, language: &str, word: &str) -> String {
    let text = read(page);
    let blocks = text.split("```").skip(1).step_by(2);
    let of = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    let found: Vec<_> = of.filter(|block| block.contains(word)).collect();
    let [block] = found[..] else { panic!("{page}: {} blocks with {word}", found.len()) };
    block.to_owned()
}

/// What a script of Python prints of a text, as JSON.
fn python(script: &str, text: &str) -> Value {
    let output = Command::new("python3").args(["-c", script, text]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn yaml(text: &str) -> Value {
    python("import json, sys, yaml; print(json.dumps(yaml.load(sys.argv[1], yaml.BaseLoader)))", text)
}
