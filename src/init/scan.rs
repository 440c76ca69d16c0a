//! Finds compose files and modules below a directory, within fixed limits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::unix::ffi::OsStrExt;

use cap_std::fs::{Dir, DirEntry, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use crate::path::escaped;

/// Directories up to this depth are scanned: `odoo/custom/src/private/addon` has depth 5.
pub const DEEPEST: usize = 8;
/// A directory with more entries holds data, not stacks or modules, and is skipped.
const MOST_IN_ONE: usize = 2_000;
/// The limit for the whole scan. It goes level by level, so the deepest directories are left out.
const MOST: usize = 20_000;
/// Directories that tools generate, or whose contents come from elsewhere.
pub const SKIPPED: &[&str] = &[
    ".git",
    "node_modules",
    "target",
    ".direnv",
    "result",
    "__pycache__",
    ".venv",
    "venv",
    "vendor",
    ".tox",
    ".cache",
];

/// Files that make a directory a module.
const MARKERS: &[(&[u8], Marker)] = &[
    (b"__manifest__.py", Marker::Odoo),
    (b"__openerp__.py", Marker::Odoo),
    (b"__init__.py", Marker::Python),
    (b"pyproject.toml", Marker::Python),
    (b"setup.py", Marker::Python),
    (b"package.json", Marker::Node),
    (b"Cargo.toml", Marker::Rust),
    (b"composer.json", Marker::Php),
    (b"Chart.yaml", Marker::Other),
    (b"go.mod", Marker::Other),
    (b"Gemfile", Marker::Other),
    (b"pom.xml", Marker::Other),
    (b"build.gradle", Marker::Other),
    (b"build.gradle.kts", Marker::Other),
];

/// The language or packaging of a module. It decides which generated files to exclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    Odoo,
    Python,
    Node,
    Rust,
    Php,
    Other,
}

/// A path below the scanned directory, as names; empty for that directory itself. All names are UTF-8, as TOML
/// requires.
pub type NamePath = Vec<String>;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct ScanResult {
    /// Directories that hold compose files.
    pub compose: BTreeSet<NamePath>,
    /// Directories that are modules.
    pub modules: BTreeMap<NamePath, BTreeSet<Marker>>,
    /// Everything except directories, with the target if it is a link.
    pub files: BTreeMap<NamePath, Option<String>>,
    /// What was skipped and why, escaped.
    pub skipped: Vec<String>,
    /// Directories at the depth limit that have further directories.
    pub too_deep: Vec<NamePath>,
}

/// Scans a directory, level by level.
pub fn scan(dir: &Dir) -> io::Result<ScanResult> {
    let mut found = ScanResult::default();
    let mut left = MOST;
    let mut waiting = VecDeque::from([NamePath::new()]);
    while let Some(dir_path) = waiting.pop_front() {
        let names = match open(dir, &dir_path).and_then(|dir| read(&dir)) {
            Ok(Some(names)) => names,
            Ok(None) => {
                found.skipped.push(format!("{}: more than {MOST_IN_ONE} entries", display(&dir_path)));
                continue;
            }
            Err(error) if dir_path.is_empty() => return Err(error),
            Err(error) => {
                found.skipped.push(format!("{}: {}", display(&dir_path), error.kind()));
                continue;
            }
        };
        let Some(less) = left.checked_sub(names.len()) else {
            found
                .skipped
                .push(format!("{} and what comes after it: more than {MOST} entries in all", display(&dir_path)));
            break;
        };
        left = less;
        note(&mut found, dir, &dir_path, &names);
        // A Python environment holds installed packages, not sources.
        if names.contains_key(&b"pyvenv.cfg"[..]) {
            found.skipped.push(format!("{}: a Python environment", display(&dir_path)));
        } else if dir_path.len() < DEEPEST {
            waiting.extend(below(&mut found, &dir_path, names));
        } else if names.values().any(|file_type| *file_type == Type::Directory) {
            found.too_deep.push(dir_path);
        }
    }
    found.link_modules();
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Directory,
    File,
    /// Not followed: a link to a compose file is locked as a link.
    Link,
    Special,
}

type Names = BTreeMap<Vec<u8>, Type>;

fn open(dir: &Dir, dir_path: &NamePath) -> io::Result<Dir> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed());
    let mut opened = dir.try_clone()?;
    for name in dir_path {
        opened = Dir::from_std_file(opened.open_with(name, &options)?.into_std());
    }
    Ok(opened)
}

/// The target of a link, if it is UTF-8.
fn target(dir: &Dir, path: &NamePath) -> Option<String> {
    let (name, above) = path.split_last()?;
    open(dir, &above.to_vec()).ok()?.read_link_contents(name).ok()?.into_os_string().into_string().ok()
}

impl ScanResult {
    /// A link to a module is a module too: `addons/sale -> ../oca/sale`.
    fn link_modules(&mut self) {
        let links = self.files.iter().filter_map(|(path, target)| Some((path, target.as_ref()?)));
        let modules: Vec<_> = links
            .filter_map(|(path, target)| Some((path.clone(), self.modules.get(&resolved(path, target)?)?.clone())))
            .collect();
        self.modules.extend(modules);
    }
}

/// The target path of a relative link, computed from the names alone.
fn resolved(path: &NamePath, target: &str) -> Option<NamePath> {
    let mut dir_path = path.split_last()?.1.to_vec();
    for name in target.split('/') {
        match name {
            "" if target.starts_with('/') => return None,
            "" | "." => {}
            ".." => drop(dir_path.pop()?),
            name => dir_path.push(name.to_owned()),
        }
    }
    Some(dir_path)
}

/// The names in a directory, sorted; `None` if there are too many. The order in which a file system lists names varies,
/// so a partial listing would not be reproducible.
fn read(dir: &Dir) -> io::Result<Option<Names>> {
    let mut names = Names::new();
    for entry in dir.entries()? {
        if names.len() == MOST_IN_ONE {
            return Ok(None);
        }
        let entry = entry?;
        names.insert(entry.file_name().as_bytes().to_vec(), type_of(&entry)?);
    }
    Ok(Some(names))
}

fn type_of(entry: &DirEntry) -> io::Result<Type> {
    let mut file_type = entry.file_type()?;
    if !(file_type.is_dir() || file_type.is_file() || file_type.is_symlink()) {
        // Some file systems do not report the type while listing.
        file_type = entry.metadata()?.file_type();
    }
    Ok(match () {
        () if file_type.is_dir() => Type::Directory,
        () if file_type.is_file() => Type::File,
        () if file_type.is_symlink() => Type::Link,
        () => Type::Special,
    })
}

fn note(found: &mut ScanResult, dir: &Dir, dir_path: &NamePath, names: &Names) {
    for (name, file_type) in names {
        if *file_type == Type::Directory {
            continue;
        }
        if let Ok(text) = std::str::from_utf8(name) {
            let path = [&dir_path[..], &[text.to_owned()]].concat();
            let target = (*file_type == Type::Link).then(|| target(dir, &path)).flatten();
            found.files.insert(path, target);
        }
        if *file_type == Type::Special {
            continue;
        }
        // An Ansible role is recognised by its tasks.
        if matches!(&name[..], b"main.yml" | b"main.yaml") && dir_path.last().is_some_and(|last| last == "tasks") {
            found.modules.entry(dir_path[..dir_path.len() - 1].to_vec()).or_default().insert(Marker::Other);
        }
        if is_compose(name) {
            found.compose.insert(dir_path.clone());
        }
        if let Some((_, marker)) = MARKERS.iter().find(|(file, _)| file == name) {
            found.modules.entry(dir_path.clone()).or_default().insert(*marker);
        }
    }
}

/// The directories in a directory, without those that no check should cover.
fn below(found: &mut ScanResult, dir_path: &NamePath, names: Names) -> Vec<NamePath> {
    let mut subdirectories = Vec::new();
    for (name, file_type) in names {
        let skipped = SKIPPED.iter().any(|skipped| skipped.as_bytes() == name);
        if file_type == Type::Directory && skipped && name != b".git" {
            let above = if dir_path.is_empty() { String::new() } else { format!("{}/", display(dir_path)) };
            found.skipped.push(format!("{above}{}: generated by tools, or maintained elsewhere", escaped(&name)));
        }
        if file_type != Type::Directory || skipped {
            continue;
        }
        match String::from_utf8(name) {
            Ok(name) => subdirectories.push([&dir_path[..], &[name]].concat()),
            Err(error) => {
                let name = escaped(error.as_bytes());
                let above = if dir_path.is_empty() { String::new() } else { format!("{}/", display(dir_path)) };
                found.skipped.push(format!("{above}{name}: the name is not UTF-8, which TOML requires"));
            }
        }
    }
    subdirectories
}

/// `docker-compose*.yml`, `docker-compose*.yaml`, `compose*.yml` or `compose*.yaml`: what [`super::write`] includes.
pub fn is_compose(name: &[u8]) -> bool {
    let stem = name.strip_suffix(b".yml").or_else(|| name.strip_suffix(b".yaml"));
    stem.is_some_and(|stem| stem.starts_with(b"docker-compose") || stem.starts_with(b"compose"))
}

/// A path for a comment: escaped, on one line.
pub fn display(dir_path: &NamePath) -> String {
    if dir_path.is_empty() { ".".to_owned() } else { escaped(dir_path.join("/").as_bytes()).to_string() }
}
