//! Resolves the operator's arguments to drifts: a path as reports show it, a directory above it, or a glob.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::Drifted;
use super::units::{Choice, left};
use crate::error::{Error, ErrorKind};
use crate::manifest::Kind;
use crate::path::{ROOT, below, escaped, first_name, joined, without_dots};

/// Limits for a glob: nested braces use stack when `globset` compiles them.
const LONGEST: usize = 4096;
const MOST_BRACES: usize = 64;

/// The operator's arguments.
#[derive(Debug)]
pub struct Names<'a> {
    names: Vec<Name<'a>>,
    globs: GlobSet,
    /// For each glob, the index of its name.
    of_globs: Vec<usize>,
}

#[derive(Debug)]
struct Name<'a> {
    given: &'a [u8],
    /// Without trailing slashes.
    path: &'a [u8],
    /// It ends in a slash: the directory and everything in it.
    directory: bool,
    /// Why it is not a valid glob, though it looks like one.
    malformed: Option<String>,
}

/// The drifts of one check by path, including the paths that something moved away from.
struct Index<'a> {
    drifted: &'a Drifted,
    /// Sorted by path.
    paths: Vec<(&'a [u8], usize)>,
}

impl<'a> Names<'a> {
    /// Parses the arguments. An argument that is not a valid glob may still be a path.
    ///
    /// # Errors
    /// There are more globs than can be compiled.
    pub fn new(given: impl IntoIterator<Item = &'a OsStr>) -> Result<Self, Error> {
        let mut names: Vec<_> = given.into_iter().map(|name| Name::new(name.as_bytes())).collect();
        let mut globs = GlobSetBuilder::new();
        let mut of_globs = Vec::new();
        for (index, name) in names.iter_mut().enumerate() {
            match name.glob() {
                None => {}
                Some(Ok(glob)) => {
                    globs.add(glob);
                    of_globs.push(index);
                }
                Some(Err(reason)) => name.malformed = Some(reason),
            }
        }
        let globs =
            globs.build().map_err(|error| Error::new(ErrorKind::Usage, error.to_string(), "name fewer globs"))?;
        Ok(Self { names, globs, of_globs })
    }

    /// Returns the named drifts of each check.
    ///
    /// # Errors
    /// The first name that matches no drift.
    pub fn find(&self, all: &[&Drifted]) -> Result<Vec<Choice>, Error> {
        let mut choices: Vec<Choice> = all.iter().map(|drifted| vec![false; drifted.found.drift.len()]).collect();
        let indices: Vec<_> = all.iter().map(|drifted| Index::new(drifted)).collect();
        let mut found = vec![false; self.names.len()];
        for (name, found) in self.names.iter().zip(&mut found) {
            for (index, choice) in indices.iter().zip(&mut choices) {
                for place in &index.drifted.places {
                    if let Some(path) = below(place, name.path) {
                        *found |= index.choose(path, name.directory, choice);
                    }
                }
            }
        }
        for find in [Self::find_globs, Self::find_escaped, Self::find_modules] {
            if found.iter().any(|found| !found) {
                find(self, &indices, &mut found, &mut choices);
            }
        }
        match self.names.iter().zip(&found).find(|(_, found)| !**found) {
            None => Ok(choices),
            Some((name, _)) => Err(name.not_found(all)),
        }
    }

    fn find_globs(&self, indices: &[Index<'_>], found: &mut [bool], choices: &mut [Choice]) {
        let before = found.to_vec();
        for (index, choice) in indices.iter().zip(choices) {
            for (path, drift) in &index.paths {
                for place in &index.drifted.places {
                    for glob in self.globs.matches(OsStr::from_bytes(without_dots(&joined(place, path)))) {
                        let name = self.of_globs[glob];
                        if !before[name] {
                            found[name] = true;
                            choice[*drift] = true;
                        }
                    }
                }
            }
        }
    }

    /// Names that were copied in the escaped form of reports: `a\nb`.
    fn find_escaped(&self, indices: &[Index<'_>], found: &mut [bool], choices: &mut [Choice]) {
        let missing = self.names.iter().enumerate().filter(|(index, _)| !found[*index]);
        let missing: HashMap<&[u8], usize> = missing.map(|(index, name)| (name.path, index)).collect();
        for (index, choice) in indices.iter().zip(choices) {
            for (path, _) in &index.paths {
                for place in &index.drifted.places {
                    let shown = escaped(&joined(place, path)).to_string();
                    if let Some(name) = missing.get(shown.as_bytes()) {
                        found[*name] |= index.choose(path, self.names[*name].directory, choice);
                    }
                }
            }
        }
    }

    /// Modules, which reports name without their root.
    fn find_modules(&self, indices: &[Index<'_>], found: &mut [bool], choices: &mut [Choice]) {
        for (name, found) in self.names.iter().zip(found).filter(|(_, found)| !**found) {
            for (index, choice) in indices.iter().zip(choices.iter_mut()) {
                if index.drifted.kind == Kind::Trees && first_name(name.path) == name.path {
                    *found |= index.choose(name.path, true, choice);
                }
            }
        }
    }
}

impl<'a> Name<'a> {
    fn new(given: &'a [u8]) -> Self {
        let slashes = given.iter().rev().take_while(|&&byte| byte == b'/').count();
        let path = &given[..given.len() - slashes];
        // The slash of `/` alone is its name.
        let (path, directory) = if path.is_empty() { (given, true) } else { (path, slashes > 0) };
        Self { given, path, directory, malformed: None }
    }

    /// The argument as a glob, if it looks like one.
    fn glob(&self) -> Option<Result<Glob, String>> {
        let text = std::str::from_utf8(without_dots(self.path)).ok()?;
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return None;
        }
        if text.len() > LONGEST || text.matches('{').count() > MOST_BRACES {
            return Some(Err("it is too large".to_owned()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        Some(glob.map_err(|error| error.kind().to_string()))
    }

    fn not_found(&self, all: &[&Drifted]) -> Error {
        let given = escaped(self.given);
        for drifted in all {
            let mut relative = drifted.places.iter().filter_map(|place| below(place, self.path));
            let unread = relative.find_map(|path| {
                let unverified = &drifted.found.unverified;
                let at = unverified.binary_search_by(|entry| entry.path.as_bytes().cmp(path)).ok()?;
                unverified.get(at)
            });
            if let Some(entry) = unread {
                let problem = format!("{given} could not be read: {}; nothing was accepted", entry.reason);
                return Error::new(ErrorKind::Input, problem, entry.reason.help());
            }
        }
        if let Some(reason) = &self.malformed {
            let problem = format!("{given}: the glob is malformed: {reason}; nothing was accepted");
            return Error::new(ErrorKind::Usage, problem, "correct it; in a name itself, write `[*]` for `*`");
        }
        Error::new(
            ErrorKind::Usage,
            format!("nothing that drifted has the path {given}; nothing was accepted"),
            "run `driftlock check` to see what drifted, and use the paths that it shows",
        )
    }
}

impl<'a> Index<'a> {
    fn new(drifted: &'a Drifted) -> Self {
        let drifts = drifted.found.drift.iter().enumerate();
        let paths = drifts.flat_map(|(index, drift)| {
            let from = left(drift, &drifted.found.drift).map(|from| (from, index));
            std::iter::once((drift.path.as_bytes(), index)).chain(from)
        });
        let mut paths: Vec<_> = paths.collect();
        paths.sort_unstable();
        Self { drifted, paths }
    }

    /// Chooses the drifts at a path and below it; returns whether there was one.
    fn choose(&self, path: &[u8], directory: bool, choice: &mut Choice) -> bool {
        let start = self.paths.partition_point(|(other, _)| *other < path);
        let own = self.paths[start..].iter().take_while(|(other, _)| *other == path);
        let own: Vec<_> = own.map(|(_, drift)| *drift).collect();
        own.iter().for_each(|drift| choice[*drift] = true);
        // The root itself is an entry, and is also above all others.
        if path == ROOT && (directory || own.is_empty()) {
            choice.fill(true);
            return !choice.is_empty();
        }
        let prefix = [path, b"/"].concat();
        let start = self.paths.partition_point(|(other, _)| *other < &*prefix);
        let inside = self.paths[start..].iter().take_while(|(other, _)| other.starts_with(&prefix));
        let mut any = !own.is_empty();
        for (_, drift) in inside {
            choice[*drift] = true;
            any = true;
        }
        any
    }
}
