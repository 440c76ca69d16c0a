//! The ways in which the scripts may have spelled a check's root.
//!
//! A lock of the scripts contains that directory, in its paths or in its hashes, as `find` got it: relative to the
//! repository or to any directory above it, or absolute, on this machine or on a server.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

/// The most directories above a root that are tried.
const DEEPEST: usize = 40;

/// All spellings, the most likely first. None is empty, ends in a slash, or starts with `./`.
#[derive(Clone, Debug, Default)]
pub struct Spellings(Vec<Vec<u8>>);

impl Spellings {
    /// The spellings of a root that is declared as `declared` and is at these absolute places.
    pub fn new<'a>(declared: &'a Path, places: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut spellings = Vec::new();
        let mut known = HashSet::new();
        let mut add = |spelling: Vec<u8>| {
            if !matches!(&*spelling, b"" | b"/") && known.insert(spelling.clone()) {
                spellings.push(spelling);
            }
        };
        let names = names(declared);
        if !declared.is_absolute() && !names.contains(&&b".."[..]) {
            add(names.join(&b'/'));
        }
        let places: Vec<_> =
            places.into_iter().chain(declared.is_absolute().then_some(declared)).map(self::names).collect();
        for names in &places {
            add([b"/", names.join(&b'/').as_slice()].concat());
        }
        for names in &places {
            for first in names.len().saturating_sub(DEEPEST)..names.len() {
                add(names[first..].join(&b'/'));
            }
        }
        Self(spellings)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

fn names(path: &Path) -> Vec<&[u8]> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.as_bytes()),
        Component::ParentDir => Some(&b".."[..]),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

/// The part of a path below a directory.
pub fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(directory)?.strip_prefix(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(declared: &str, places: &[&str]) -> Vec<String> {
        let spellings = Spellings::new(Path::new(declared), places.iter().map(Path::new));
        spellings.iter().map(|spelling| String::from_utf8(spelling.to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_declared_one_comes_first_and_then_all_directories_above() {
        assert_eq!(
            spelled("./infra//stacks/", &["/srv/app/infra/stacks", "/srv/stacks"]),
            [
                "infra/stacks",
                "/srv/app/infra/stacks",
                "/srv/stacks",
                "srv/app/infra/stacks",
                "app/infra/stacks",
                "stacks",
                "srv/stacks"
            ]
        );
        assert_eq!(spelled("/srv/stacks", &[]), ["/srv/stacks", "srv/stacks", "stacks"]);
        assert_eq!(spelled("../stacks", &["/a/stacks"]), ["/a/stacks", "a/stacks", "stacks"]);
        assert_eq!(spelled(".", &["/"]), [""; 0]);
        let deep = "/x".repeat(1000);
        assert_eq!(spelled(".", &[&deep]).len(), 1 + DEEPEST);
    }

    #[test]
    fn below_is_by_whole_names() {
        assert_eq!(below(b"a/b/c", b"a/b"), Some(&b"c"[..]));
        assert_eq!(below(b"a/bc", b"a/b"), None);
        assert_eq!(below(b"a/b", b"a/b"), None);
    }
}
