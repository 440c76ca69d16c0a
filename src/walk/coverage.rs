//! Decides whether a check covers the target of a link.
//!
//! A link is never followed. Its target is resolved from the names alone. A check with globs may cover a path only if
//! it is a file, or only if it is a directory; then the type is read through the root's handle, without passing any
//! link.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::open;
use crate::declaration::Selection;
use crate::manifest::Kind;

/// The longest path to examine, in names. Longer ones count as uncovered: a false report costs one line.
const DEEPEST: usize = 128;

/// What the checks of a run cover, by root.
#[derive(Debug, Default)]
pub struct Coverage<'a> {
    root: Node<'a>,
}

#[derive(Debug, Default)]
struct Node<'a> {
    below: BTreeMap<Box<[u8]>, Node<'a>>,
    checks: Vec<CoveredRoot<'a>>,
}

#[derive(Debug)]
struct CoveredRoot<'a> {
    kind: Kind,
    selection: &'a Selection,
    root: Option<BorrowedFd<'a>>,
}

impl<'a> Coverage<'a> {
    /// Adds a check, with the resolved path of its root, and the root itself if it is open.
    pub fn add(&mut self, path: &Path, kind: Kind, selection: &'a Selection, root: Option<BorrowedFd<'a>>) {
        let mut node = &mut self.root;
        for name in names(path.as_os_str().as_bytes()) {
            node = node.below.entry(name.into()).or_default();
        }
        node.checks.push(CoveredRoot { kind, selection, root });
    }

    /// Whether a check covers the target of the link at `path`. `root` is the resolved path of the link's root.
    #[must_use]
    pub fn covers(&self, root: &Path, path: &[u8], target: &[u8]) -> bool {
        let mut resolved: Vec<&[u8]> = Vec::new();
        if !target.starts_with(b"/") {
            resolved.extend(names(root.as_os_str().as_bytes()));
            resolved.extend(names(crate::path::split_last(path).0));
        }
        for name in names(target) {
            match name {
                b".." => drop(resolved.pop()),
                name => resolved.push(name),
            }
        }
        if resolved.len() > DEEPEST {
            return false;
        }
        let mut node = &self.root;
        for depth in 0..=resolved.len() {
            if node.checks.iter().any(|check| check.covers(&resolved[depth..])) {
                return true;
            }
            match resolved.get(depth).and_then(|name| node.below.get(*name)) {
                Some(next) => node = next,
                None => return false,
            }
        }
        false
    }
}

impl CoveredRoot<'_> {
    fn covers(&self, names: &[&[u8]]) -> bool {
        let mut path = Vec::new();
        for (number, name) in names.iter().enumerate() {
            if number > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            if self.selection.excludes(&path) {
                return false;
            }
        }
        if self.kind == Kind::Trees || path.is_empty() {
            return true;
        }
        let (picked, on_the_way) = (self.selection.includes(&path), self.selection.descends(&path));
        if picked == on_the_way {
            return picked;
        }
        match self.root.map(|root| file_type(root, &path)) {
            // Either the link is recorded, or a link on the path to it is, and its own target is checked.
            None | Some(Some(FileType::Symlink)) => true,
            Some(Some(FileType::Directory)) => on_the_way,
            Some(Some(_) | None) => picked,
        }
    }
}

/// The type of an entry below a root; `None` if there is none, or it can't be read.
fn file_type(root: BorrowedFd<'_>, path: &[u8]) -> Option<FileType> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(file) => open::status(&file).ok().map(|status| open::file_type(&status)),
        Err(rustix::io::Errno::LOOP) => Some(FileType::Symlink),
        Err(_) => None,
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        Selection::new(owned(include), owned(exclude)).unwrap()
    }

    #[test]
    fn knows_where_links_lead() {
        let (trees, files) = (selection(&[], &["tmp"]), selection(&["**/compose*.yml"], &["old"]));
        let mut coverage = Coverage::default();
        coverage.add(Path::new("/srv/addons"), Kind::Trees, &trees, None);
        coverage.add(Path::new("/srv/stacks"), Kind::Files, &files, None);
        let root = Path::new("/srv/addons");
        for (path, target, expected) in [
            ("a/link", "../b", true),
            ("a/link", "b", true),
            ("link", ".", true),
            ("link", "../stacks/web", true),
            ("link", "/srv/stacks", true),
            ("link", "/srv/stacks/old/x", false),
            ("link", "tmp/x", false),
            ("link", "/srv", false),
            ("link", "../..", false),
            ("link", "/srv/addonsx", false),
            ("link", "../../../../srv/addons/x", true),
            ("link", "/", false),
            ("link", "", true),
        ] {
            assert_eq!(coverage.covers(root, path.as_bytes(), target.as_bytes()), expected, "{path} -> {target}");
        }
        assert!(!coverage.covers(root, b"link", "a/".repeat(200).as_bytes()));
    }

    #[test]
    #[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test makes the tree that it looks at")]
    fn with_globs_it_matters_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("web")).unwrap();
        for file in ["devel.yaml", "compose.yml", "web/compose.yml"] {
            std::fs::write(at(file), "").unwrap();
        }
        symlink("web", at("link")).unwrap();
        let handle = std::fs::File::open(directory.path()).unwrap();
        let files = selection(&["**/compose*.yml"], &[]);
        let mut coverage = Coverage::default();
        coverage.add(directory.path(), Kind::Files, &files, Some(handle.as_fd()));
        for (target, expected) in [
            ("compose.yml", true),
            ("web", true),
            ("devel.yaml", false),
            ("nothing", false),
            ("link", true),
            ("link/x.yml", true),
            ("compose-new.yml", true),
        ] {
            assert_eq!(coverage.covers(directory.path(), b"l", target.as_bytes()), expected, "{target}");
        }
    }
}
