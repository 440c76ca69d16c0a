//! Writes the text of a declaration from a scan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::scan::{Marker, NamePath, SKIPPED, ScanResult, is_compose};
use crate::path::is_hazardous;

/// Names of Docker Compose files, at any depth, so that files added later are covered too.
const COMPOSE: &str = "**/{docker-compose,compose}*.{yml,yaml}";
/// The same for a lock of the scripts.
const OLD_COMPOSE: [&str; 2] = ["*/docker-compose*.yml", "*/docker-compose*.yaml"];
/// driftlock's own files, which would drift with every run.
const OURS: &[&str] = &["audit", "driftlock.toml"];
/// The most skipped paths that are listed.
const MOST_NOTES: usize = 500;

/// Names of the scripts' locks, in the directory of locks.
const OLD_FILES: &str = "compose_sha256.lock.txt";
const OLD_MODULES: &str = "odoo_addons_modules.hash.txt";
const OLD_IMAGES: &str = "docker_images.lock.json";

const TOP: &str = "\
# What driftlock locks and checks. Written by `driftlock init` from what it found. Review it, and adapt it.
#
# Paths are relative to this file. In globs, `*` stays within one name, and `**` goes through directories.

# Where lock files live. Commit them to git.
locks = \"audit/locks\"
# Where reports go, one folder for each run.
reports = \"audit/runtime\"
";

/// Writes the declaration; `None` if there is nothing to check.
pub fn declaration(found: &ScanResult) -> Option<String> {
    if found.files.keys().all(|path| OURS.contains(&path[0].as_str())) {
        return None;
    }
    let mut text = TOP.to_owned();
    let mut names = BTreeSet::new();
    let mut trees = trees(found);
    let stacks = stacks(found, &trees);
    if trees.is_empty() && stacks.is_empty() {
        trees.insert(NamePath::new(), Tree { modules: 0, markers: BTreeSet::new() });
    }
    for (root, links) in &stacks {
        let name = name("compose_hashes", "compose", root, stacks.len(), &mut names);
        let old = (stacks.len() == 1 && has_old(found, OLD_FILES)).then_some(OLD_FILES);
        write_files(&mut text, &name, root, links, old);
    }
    for (root, tree) in &trees {
        let (only, prefix) = match () {
            () if tree.markers.contains(&Marker::Odoo) => ("addon_hashes", "addons"),
            () if tree.modules > 0 => ("module_hashes", "modules"),
            () => ("tree_hashes", "tree"),
        };
        let name = name(only, prefix, root, trees.len(), &mut names);
        let old = (trees.len() == 1 && tree.modules > 0 && has_old(found, OLD_MODULES)).then_some(OLD_MODULES);
        write_trees(&mut text, &name, root, tree, old);
    }
    if has_old(found, OLD_IMAGES) {
        text.push_str(OLD_CONTAINERS);
    }
    Some(text)
}

/// This check has the name that makes the scripts' lock its own.
const OLD_CONTAINERS: &str = "
# The containers on servers, compared with the old lock docker_images.lock.json: `driftlock check --server HOST`.
[check.docker_images]
kind = \"containers\"
socket = \"/var/run/docker.sock\"
modes = [\"server\"]
";

/// Whether the scripts left a lock with this name, as a regular file.
fn has_old(found: &ScanResult, name: &str) -> bool {
    let path = ["audit", "locks", name].map(str::to_owned).to_vec();
    found.files.get(&path).is_some_and(Option::is_none)
}

/// The line that names an old lock.
fn old_lock(old: Option<&str>) -> String {
    old.map_or_else(String::new, |name| {
        format!("# The old lock of the scripts, used until `driftlock lock` writes a new one: docs/migrating.md\nlock = \"{name}\"\n")
    })
}

/// Adds what no check of the declaration covers, as comments.
pub fn add_notes(text: &mut String, title: &str, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n# {title}:");
    for note in notes.iter().take(MOST_NOTES) {
        let _ = writeln!(text, "#   {note}");
    }
    if let Some(more @ 1..) = notes.len().checked_sub(MOST_NOTES) {
        let _ = writeln!(text, "#   and {more} more");
    }
}

/// The modules directly below one root.
struct Tree {
    modules: usize,
    markers: BTreeSet<Marker>,
}

/// Roots of `trees` checks: directories with several modules directly below them. No root is below another.
fn trees(found: &ScanResult) -> BTreeMap<NamePath, Tree> {
    let has_addons = found.modules.values().any(|markers| markers.contains(&Marker::Odoo));
    let mut candidates: BTreeMap<NamePath, Tree> = BTreeMap::new();
    for (module, markers) in &found.modules {
        let Some((_, root)) = module.split_last() else { continue };
        // Packaging stubs of addons, such as `setup/sale/setup.py`.
        if has_addons && root.iter().any(|name| name == "setup") {
            continue;
        }
        // Parts of a module, such as Python packages in packages, are not modules themselves, except at the top.
        if !root.is_empty() && found.modules.contains_key(root) {
            continue;
        }
        let tree = candidates.entry(root.to_vec()).or_insert(Tree { modules: 0, markers: BTreeSet::new() });
        tree.modules += 1;
        tree.markers.extend(markers);
    }
    // The top directory itself is one application.
    if let Some(markers) = found.modules.get(&NamePath::new()) {
        let tree = candidates.entry(NamePath::new()).or_insert(Tree { modules: 0, markers: BTreeSet::new() });
        tree.modules += 1;
        tree.markers.extend(markers);
    }
    // Only addons have Odoo's manifest, so one is enough.
    let is_top_module = found.modules.contains_key(&NamePath::new());
    candidates.retain(|root, tree| {
        tree.modules > 1 || tree.markers.contains(&Marker::Odoo) || root.is_empty() && is_top_module
    });
    let mut roots: BTreeMap<NamePath, Tree> = BTreeMap::new();
    // A directory comes before those below it.
    for (root, tree) in candidates {
        if !roots.keys().any(|above| root.starts_with(above)) {
            roots.insert(root, tree);
        }
    }
    roots
}

/// Roots of `files` checks, with the files that links beside compose files lead to: `docker-compose.yml -> devel.yaml`.
///
/// A root is the directory that holds the stacks' directories. A stack inside a stack's directory belongs to the same
/// root. Globs match at any depth, so no root is below another.
fn stacks(found: &ScanResult, trees: &BTreeMap<NamePath, Tree>) -> BTreeMap<NamePath, BTreeSet<String>> {
    let mut roots: BTreeMap<NamePath, BTreeSet<String>> = BTreeMap::new();
    let mut stacks: Vec<_> = found.compose.iter().collect();
    // Roots must be known before the stacks further below them. The sort is stable.
    stacks.sort_by_key(|stack| stack.len());
    for stack in stacks {
        // A `trees` check already covers it.
        if trees.keys().any(|tree| stack.starts_with(tree)) {
            continue;
        }
        let root = stack.split_last().map_or(&[][..], |(_, root)| root);
        let known = roots.keys().find(|known| root.starts_with(known)).cloned();
        let root = known.unwrap_or_else(|| root.to_vec());
        let below = &stack[root.len()..];
        let links = found.files.iter().filter(|(path, _)| path.split_last().is_some_and(|(_, above)| above == stack));
        let targets = links.filter_map(|(path, target)| {
            let (name, target) = (path.last()?, target.as_ref()?);
            let beside = [&stack[..], std::slice::from_ref(target)].concat();
            (is_compose(name.as_bytes()) && found.files.get(&beside)?.is_none())
                .then(|| [below, std::slice::from_ref(target)].concat().join("/"))
        });
        let targets: Vec<_> = targets.collect();
        roots.entry(root).or_default().extend(targets);
    }
    roots
}

fn write_files(text: &mut String, name: &str, root: &NamePath, links: &BTreeSet<String>, old: Option<&str>) {
    let mut exclude: Vec<String> = SKIPPED.iter().map(|name| format!("**/{name}")).collect();
    if root.is_empty() {
        exclude.push(OURS[0].to_owned());
    }
    // Paths in an old lock begin with the root. A glob for any depth would match them below the root as well.
    let globs: &[&str] = if old.is_some() { &OLD_COMPOSE } else { &[COMPOSE] };
    let lock = old_lock(old);
    let include = globs.iter().map(|glob| (*glob).to_owned()).chain(links.iter().map(|link| literal(link)));
    let (root, include, exclude) = (basic_string(&path(root)), lines(include), lines(exclude));
    // Writing to a `String` can't fail.
    let _ = write!(
        text,
        "
# Compose files, each locked by its content.
[check.{name}]
kind = \"files\"
root = {root}
include = [
{include}]
exclude = [
{exclude}]
{lock}# Where the same root lies on a server, for `--server`:
# server_root = \"/srv/stacks\"
"
    );
}

/// A path as a glob that matches only that path.
fn literal(path: &str) -> String {
    path.chars().flat_map(|c| "\\*?[]{},!".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

fn write_trees(text: &mut String, name: &str, root: &NamePath, tree: &Tree, old: Option<&str>) {
    let lock = old_lock(old);
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
        globs.extend(OURS);
        // The modules do not show what else is generated at the top, so the common globs are added.
        globs.extend(["**/__pycache__", "**/*.pyc", "**/node_modules"]);
    }
    globs.sort_unstable();
    globs.dedup();
    let globs = lines(globs);
    let modules = match tree.modules {
        0 => String::new(),
        1 => " (1 module when this was written)".to_owned(),
        modules => format!(" ({modules} modules when this was written)"),
    };
    let root = basic_string(&path(root));
    let _ = write!(
        text,
        "
# Everything below the root{modules}, except for generated files.
[check.{name}]
kind = \"trees\"
root = {root}
exclude = [
{globs}]
{lock}"
    );
}

/// A name for a check: the usual name if there is only one such check, otherwise a name with its root.
fn name(only: &str, prefix: &str, root: &NamePath, checks: usize, taken: &mut BTreeSet<String>) -> String {
    /// Leaves room for a number: a name may have 100 bytes.
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

/// The elements of an array, one on each line.
fn lines(elements: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let lines: Vec<_> =
        elements.into_iter().map(|element| format!("    {},\n", basic_string(element.as_ref()))).collect();
    lines.concat()
}

fn path(path: &NamePath) -> String {
    if path.is_empty() { ".".to_owned() } else { path.join("/") }
}

/// A TOML basic string: <https://toml.io/en/v1.0.0#string>. Also escapes characters that could mislead a reader.
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
