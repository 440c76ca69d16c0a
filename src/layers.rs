//! The order of the modules in the documentation of the crate holds.

#![allow(clippy::disallowed_methods, reason = "the test reads the sources")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules that the crate's documentation names as links, in its order.
fn documented() -> Vec<String> {
    let lines = include_str!("lib.rs").lines().filter_map(|line| line.strip_prefix("//! "));
    let lines: Vec<_> = lines.skip_while(|line| !line.starts_with("1. ")).collect();
    let text = lines.join("\n");
    text.split("[`").skip(1).map(|rest| rest.split_once("`]").unwrap().0.to_owned()).collect()
}

/// The sources below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a source names, but for its comments and tests.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code = code.lines().map(|line| line.split("//").next().unwrap());
    let names = code.flat_map(|line| line.split("crate::").skip(1).collect::<Vec<_>>());
    let is_part = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    names.map(|rest| rest.split(|byte| !is_part(byte)).next().unwrap().to_owned()).collect()
}

#[test]
fn no_module_knows_a_later_one() {
    let order = documented();
    let at = |module: &str| order.iter().position(|documented| documented == module);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut seen = BTreeSet::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap();
        let module = name.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "main", "layers", "fuzzing"].contains(&module) || name.ends_with("tests.rs") {
            continue;
        }
        seen.insert(module.to_owned());
        let own = at(module).unwrap_or_else(|| panic!("lib.rs documents no module {module}"));
        for other in named(&std::fs::read_to_string(&file).unwrap()) {
            assert_ne!(other, "", "{}: one import a line, so that this test can read it", name.display());
            if let Some(other_at) = at(&other) {
                assert!(other_at <= own, "{} knows {other}, which comes after {module}", name.display());
            }
        }
    }
    assert_eq!(seen, order.into_iter().collect(), "each module is documented, and each that is documented is there");
}
