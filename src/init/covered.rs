//! Finds the files that no check of the new declaration covers.

use std::collections::BTreeMap;

use super::scan::{DEEPEST, NamePath, ScanResult, display};
use crate::declaration::{Check, Declaration, Format};
use crate::manifest::Kind;
use crate::path::{directories_above, escaped};

/// Number of files below a directory, at any depth.
#[derive(Default)]
struct Sum {
    covered: u64,
    uncovered: u64,
}

/// What no check covers: a whole directory if nothing in it is covered, otherwise single files; and links, which are
/// covered only as links. Escaped.
pub fn not(found: &ScanResult, text: &str) -> Vec<String> {
    // The text was just written, so it is valid; tests hold it to that.
    let Ok(declared) = Declaration::parse("driftlock.toml", Format::Toml, text.as_bytes()) else { return Vec::new() };
    let mut sums: BTreeMap<&[String], Sum> = BTreeMap::new();
    let mut uncovered: Vec<&NamePath> = Vec::new();
    for path in found.files.keys() {
        let covered = declared.checks.iter().any(|check| covers(check, path));
        for depth in 0..path.len() {
            let sum = sums.entry(&path[..depth]).or_default();
            if covered { sum.covered += 1 } else { sum.uncovered += 1 }
        }
        if !covered && !is_ours(path) {
            uncovered.push(path);
        }
    }
    // The highest directory in which nothing is covered.
    let mut notes = lines(&uncovered, &sums, |path| {
        let mut above = (1..path.len()).map(|depth| &path[..depth]);
        above.find(|above| sums.get(above).is_some_and(|sum| sum.covered == 0))
    });
    // If that gives too many lines, directories further up stand for what is below them.
    for depth in (1..DEEPEST).rev() {
        if notes.len() <= READABLE {
            break;
        }
        notes = lines(&uncovered, &sums, |path| path.get(..depth).filter(|above| above.len() < path.len()));
    }
    for (path, target) in &found.files {
        if let Some(target) = target {
            notes.push(format!("{} -> {}: a link, which is not followed", display(path), escaped(target.as_bytes())));
        }
    }
    notes
}

/// Returns a predicate: whether a `trees` check covers everything in a directory that was not scanned.
pub fn trees(text: &str) -> impl Fn(&NamePath) -> bool + use<> {
    let declared = Declaration::parse("driftlock.toml", Format::Toml, text.as_bytes()).ok();
    move |path| declared.as_ref().is_some_and(|declared| is_in_trees(declared, path))
}

fn is_in_trees(declared: &Declaration, path: &NamePath) -> bool {
    declared.checks.iter().any(|check| check.kind == Kind::Trees && covers(check, path))
}

/// The most lines that an operator will read.
const READABLE: usize = 60;

/// Describes how many files below a directory are uncovered, and of how many.
fn below(sum: &Sum) -> String {
    let files = |number: u64| if number == 1 { "1 file".to_owned() } else { format!("{number} files") };
    match sum.covered {
        0 => format!("{} that no check includes", files(sum.uncovered)),
        covered => format!("{} of {} that no check includes", sum.uncovered, files(sum.uncovered + covered)),
    }
}

/// One line for each uncovered file. `above` may name a directory that stands for the file; then that directory gets
/// one line for everything below it.
fn lines<'a>(
    uncovered: &[&'a NamePath],
    sums: &BTreeMap<&[String], Sum>,
    above: impl Fn(&'a NamePath) -> Option<&'a [String]>,
) -> Vec<String> {
    let mut notes = Vec::new();
    let mut last: Option<&[String]> = None;
    for &path in uncovered {
        if last.is_some_and(|last| path.starts_with(last)) {
            continue;
        }
        match above(path).and_then(|above| Some((above, sums.get(above)?))) {
            Some((above, sum)) => {
                last = Some(above);
                notes.push(format!("{}/: {}", display(&above.to_vec()), below(sum)));
            }
            None => notes.push(format!("{}: no check includes it", display(path))),
        }
    }
    notes
}

fn is_ours(path: &NamePath) -> bool {
    matches!(path.first().map(String::as_str), Some("driftlock.toml" | ".driftlock.toml.tmp" | "audit"))
}

fn covers(check: &Check, path: &NamePath) -> bool {
    let path = path.join("/");
    let root = check.root.to_string_lossy();
    let below =
        if root == "." { Some(&*path) } else { path.strip_prefix(&*root).and_then(|rest| rest.strip_prefix('/')) };
    let Some(below) = below.map(str::as_bytes) else { return false };
    let excluded = directories_above(below).chain([below]).any(|path| check.selection.excludes(path));
    !excluded && (check.kind == Kind::Trees || check.selection.includes(below))
}
