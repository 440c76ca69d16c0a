//! From what was found to the text of a declaration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::look::{Found, Marker, Place};
use crate::path::is_hazardous;

/// What `*.yml` and `*.yaml` files of Docker Compose are called.
const COMPOSE: &[&str] = &["docker-compose*.yml", "docker-compose*.yaml", "compose*.yml", "compose*.yaml"];
/// How much of what was passed over is listed.
const MOST_NOTES: usize = 20;

const TOP: &str = "\
# What driftlock locks and checks. Written by `driftlock init` from what it found: read it, and change it.
#
# Paths are relative to this file. In globs, `*` stays within one name, and `**` goes through directories.

# Where lock files live. They belong into git.
locks = \"audit/locks\"
# Where reports go, one folder a run.
reports = \"audit/runtime\"
";

const FILES_EXAMPLE: &str = "
# No compose files were found. This would lock single files picked by globs:
#
# [check.compose_hashes]
# kind = \"files\"
# root = \"infra/stacks\"
# include = [\"*/docker-compose*.yml\", \"*/docker-compose*.yaml\"]
# # Where the same root lies on a server, for `--server`:
# server_root = \"/srv/stacks\"
";

const TREES_EXAMPLE: &str = "
# No directory with several modules was found. This would lock everything below a root, each directory directly below
# it being a module:
#
# [check.addon_hashes]
# kind = \"trees\"
# root = \"addons\"
# exclude = [\"**/__pycache__\", \"**/*.pyc\"]
";

/// Writes the declaration.
pub fn declaration(found: &Found) -> String {
    let mut text = TOP.to_owned();
    let mut names = BTreeSet::new();
    let trees = trees(found);
    let stacks = stacks(found, &trees);
    let trees = if stacks.is_empty() { trees } else { without_top(trees) };

    for (root, depths) in &stacks {
        let name = name("compose_hashes", "compose", root, stacks.len(), &mut names);
        write_files(&mut text, &name, root, depths);
    }
    if stacks.is_empty() {
        text.push_str(FILES_EXAMPLE);
    }
    for (root, tree) in &trees {
        let (only, prefix) = if tree.markers.contains(&Marker::Odoo) {
            ("addon_hashes", "addons")
        } else {
            ("module_hashes", "modules")
        };
        let name = name(only, prefix, root, trees.len(), &mut names);
        write_trees(&mut text, &name, root, tree);
    }
    if trees.is_empty() {
        text.push_str(TREES_EXAMPLE);
    }
    write_notes(&mut text, &found.passed_over);
    text
}

/// The modules directly below one root.
struct Tree {
    modules: usize,
    markers: BTreeSet<Marker>,
}

/// Roots of `trees` checks: directories with several modules directly below them, none below another.
fn trees(found: &Found) -> BTreeMap<Place, Tree> {
    let mut candidates: BTreeMap<Place, Tree> = BTreeMap::new();
    for (module, markers) in &found.modules {
        let Some((_, root)) = module.split_last() else { continue };
        // The parts of a module, such as Python's packages in packages, are no modules beside each other.
        if found.modules.contains_key(root) {
            continue;
        }
        let tree = candidates.entry(root.to_vec()).or_insert(Tree { modules: 0, markers: BTreeSet::new() });
        tree.modules += 1;
        tree.markers.extend(markers);
    }
    // Nothing but an addon has Odoo's manifest, so one of those is enough.
    candidates.retain(|_, tree| tree.modules > 1 || tree.markers.contains(&Marker::Odoo));
    if candidates.len() > 1 {
        candidates = without_top(candidates);
    }
    let mut roots: BTreeMap<Place, Tree> = BTreeMap::new();
    // A directory comes before those below it.
    for (root, tree) in candidates {
        if !roots.keys().any(|above| root.starts_with(above)) {
            roots.insert(root, tree);
        }
    }
    roots
}

/// The directory of the declaration itself holds the locks, git's own files and all other roots. It makes a poor root,
/// and is one only where there is no better.
fn without_top(mut trees: BTreeMap<Place, Tree>) -> BTreeMap<Place, Tree> {
    trees.remove(&Place::new());
    trees
}

/// Roots of `files` checks, with how many directories deep below them compose files lie.
///
/// A root is what holds the stacks' folders. Stacks in a stack's folder belong to the same root, but for those below
/// the top, which would make everything readable to that check. Globs have a fixed depth, so no file is picked twice.
fn stacks(found: &Found, trees: &BTreeMap<Place, Tree>) -> BTreeMap<Place, BTreeSet<usize>> {
    let mut roots: BTreeMap<Place, BTreeSet<usize>> = BTreeMap::new();
    let mut stacks: Vec<_> = found.compose.iter().collect();
    // So that a root is known before the stacks further below it come. The sort keeps the order otherwise.
    stacks.sort_by_key(|stack| stack.len());
    for stack in stacks {
        // Locked whole already.
        if trees.keys().any(|tree| !tree.is_empty() && stack.starts_with(tree)) {
            continue;
        }
        let root = stack.split_last().map_or(&[][..], |(_, root)| root);
        let known = roots.keys().find(|known| !known.is_empty() && root.starts_with(known)).cloned();
        let root = known.unwrap_or_else(|| root.to_vec());
        let depth = stack.len() - root.len();
        roots.entry(root).or_default().insert(depth);
    }
    roots
}

fn write_files(text: &mut String, name: &str, root: &Place, depths: &BTreeSet<usize>) {
    let globs =
        depths.iter().flat_map(|depth| COMPOSE.iter().map(move |glob| format!("{}{glob}", "*/".repeat(*depth))));
    let root = basic_string(&path(root));
    let globs = lines(globs);
    // Writing to a `String` can't fail.
    let _ = write!(
        text,
        "
# Compose files, each locked by its content.
[check.{name}]
kind = \"files\"
root = {root}
include = [
{globs}]
# Where the same root lies on a server, for `--server`:
# server_root = \"/srv/stacks\"
"
    );
}

fn write_trees(text: &mut String, name: &str, root: &Place, tree: &Tree) {
    let mut globs = vec!["**/.git"];
    for marker in &tree.markers {
        globs.extend_from_slice(match marker {
            Marker::Odoo | Marker::Python => &["**/__pycache__", "**/*.pyc"],
            Marker::Node => &["**/node_modules"],
            Marker::Rust => &["**/target"],
            Marker::Php => &["**/vendor"],
            Marker::Other => &[],
        });
    }
    if root.is_empty() {
        // Else writing a lock or a report would itself be drift.
        globs.extend(["audit", "driftlock.toml"]);
    }
    globs.sort_unstable();
    globs.dedup();
    let globs = lines(globs);
    let modules = match tree.modules {
        1 => "1 module".to_owned(),
        modules => format!("{modules} modules"),
    };
    let root = basic_string(&path(root));
    let _ = write!(
        text,
        "
# Everything below the root ({modules} when this was written), but for what is made on the spot.
[check.{name}]
kind = \"trees\"
root = {root}
exclude = [
{globs}]
"
    );
}

fn write_notes(text: &mut String, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    text.push_str("\n# Not looked into:\n");
    for note in notes.iter().take(MOST_NOTES) {
        let _ = writeln!(text, "#   {note}");
    }
    if let Some(more @ 1..) = notes.len().checked_sub(MOST_NOTES) {
        let _ = writeln!(text, "#   and {more} more");
    }
}

/// A name for a check: the usual one where there is only one such check, else one that tells its root.
fn name(only: &str, prefix: &str, root: &Place, checks: usize, taken: &mut BTreeSet<String>) -> String {
    /// Leaves room for a number in the 100 bytes that a name may have.
    const LONGEST: usize = 80;
    let mut name = only.to_owned();
    if checks > 1 {
        name = format!("{prefix}_{}", if root.is_empty() { "top".to_owned() } else { root.join("_") });
        name =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(LONGEST).collect();
    }
    let mut unique = name.clone();
    let mut number = 2;
    while !taken.insert(unique.clone()) {
        unique = format!("{name}_{number}");
        number += 1;
    }
    unique
}

/// The elements of an array, one a line.
fn lines(elements: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let lines: Vec<_> =
        elements.into_iter().map(|element| format!("    {},\n", basic_string(element.as_ref()))).collect();
    lines.concat()
}

fn path(place: &Place) -> String {
    if place.is_empty() { ".".to_owned() } else { place.join("/") }
}

/// A TOML basic string: <https://toml.io/en/v1.0.0#string>. What could mislead a reader is escaped too.
fn basic_string(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            _ if is_hazardous(character) => {
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}
