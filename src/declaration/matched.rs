//! Tracks which globs of a check have matched, to report those that match nothing.

use globset::{Candidate, GlobSet};

use super::Selection;
use crate::manifest::{GlobList, Uncovered};

/// Which globs of a selection have matched so far.
#[derive(Clone, Debug, Default)]
pub struct Matched {
    include: MatchedGlobs,
    exclude: MatchedGlobs,
}

#[derive(Clone, Debug, Default)]
struct MatchedGlobs {
    seen: Vec<bool>,
    /// The number of globs without a match. At 0, no glob is tested any more.
    left: usize,
    /// A buffer for the indices of matching globs.
    buffer: Vec<usize>,
}

impl MatchedGlobs {
    fn of(globs: usize) -> Self {
        Self { seen: vec![false; globs], left: globs, buffer: Vec::new() }
    }

    fn note(&mut self, globs: &GlobSet, path: &[u8]) {
        if self.left == 0 {
            return;
        }
        globs.matches_candidate_into(&Candidate::from_bytes(path), &mut self.buffer);
        for &index in &self.buffer {
            if let Some(seen) = self.seen.get_mut(index)
                && !std::mem::replace(seen, true)
            {
                self.left -= 1;
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        if self.seen.is_empty() {
            self.seen.clone_from(&other.seen);
        }
        for (seen, other) in self.seen.iter_mut().zip(&other.seen) {
            *seen |= other;
        }
        self.left = self.seen.iter().filter(|seen| !**seen).count();
    }
}

impl Matched {
    /// Adds the matches of another part of the same walk.
    pub fn merge(&mut self, other: &Self) {
        self.include.merge(&other.include);
        self.exclude.merge(&other.exclude);
    }
}

impl Selection {
    /// The state before any match. If everything is included, include globs are not tracked.
    #[must_use]
    pub fn unmatched_yet(&self) -> Matched {
        let include = if self.included.is_some() { self.include.len() } else { 0 };
        Matched { include: MatchedGlobs::of(include), exclude: MatchedGlobs::of(self.exclude.len()) }
    }

    /// Like [`excludes`](Self::excludes); also notes the matching globs.
    pub fn excludes_noting(&self, path: &[u8], matched: &mut Matched) -> bool {
        let excludes = self.excludes(path);
        if excludes {
            matched.exclude.note(&self.excluded, path);
        }
        excludes
    }

    /// Like [`includes`](Self::includes); also notes the matching globs.
    pub fn includes_noting(&self, path: &[u8], matched: &mut Matched) -> bool {
        let includes = self.includes(path);
        if includes && let Some(included) = &self.included {
            matched.include.note(included, path);
        }
        includes
    }

    /// The globs that have matched nothing. Globs that exclude something at any depth (`**/__pycache__`) are a
    /// precaution, so these are not reported.
    #[must_use]
    pub fn unmatched(&self, matched: &Matched) -> Vec<Uncovered> {
        let of = |list, globs: &[String], seen: &MatchedGlobs| {
            let unseen = globs
                .iter()
                .zip(&seen.seen)
                .filter(|(glob, seen)| !(**seen || list == GlobList::Exclude && glob.starts_with("**/")));
            unseen.map(|(glob, _)| Uncovered::Glob { list, glob: glob.clone() }).collect::<Vec<_>>()
        };
        let mut all = of(GlobList::Include, &self.include, &matched.include);
        all.extend(of(GlobList::Exclude, &self.exclude, &matched.exclude));
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        Selection::new(owned(include), owned(exclude)).unwrap()
    }

    fn glob(list: GlobList, glob: &str) -> Uncovered {
        Uncovered::Glob { list, glob: glob.to_owned() }
    }

    #[test]
    fn names_what_has_matched_nothing() {
        let selection = selection(&["*.yml", "*.cnf"], &["old-*", "tmp", "**/*.pyc"]);
        let (mut first, mut second) = (selection.unmatched_yet(), selection.unmatched_yet());
        assert!(selection.includes_noting(b"a.yml", &mut first));
        assert!(!selection.includes_noting(b"a.yaml", &mut first));
        assert!(selection.excludes_noting(b"tmp", &mut second));
        let mut both = Matched::default();
        both.merge(&first);
        both.merge(&second);
        let expected = [glob(GlobList::Include, "*.cnf"), glob(GlobList::Exclude, "old-*")];
        assert_eq!(selection.unmatched(&both), expected);
    }

    #[test]
    fn where_everything_is_included_no_include_is_named() {
        let selection = selection(&["**", "x"], &[]);
        assert_eq!(selection.unmatched(&selection.unmatched_yet()), []);
    }
}
