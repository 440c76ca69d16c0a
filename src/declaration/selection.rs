//! Which paths below a root a check records: include and exclude globs.
//!
//! Globs are `globset`'s, anchored at both ends, with `/` matched by `**` only.

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::path::directories_above;

/// The compiled globs of a check.
#[derive(Debug)]
pub struct Selection {
    /// The globs as declared, for messages.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// `None`: everything is included.
    pub(super) included: Option<GlobSet>,
    pub(super) excluded: GlobSet,
    /// Directories that may hold something included: where there is no use in looking, nothing is opened.
    leads: GlobSet,
}

/// A glob that `globset` can't read.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct GlobError {
    /// The glob, as it was declared.
    pub glob: String,
    pub reason: String,
}

impl Selection {
    /// Compiles globs. An empty `include` includes everything, as `**` does.
    ///
    /// # Errors
    /// The first glob that is malformed.
    pub fn new(include: Vec<String>, exclude: Vec<String>) -> Result<Self, GlobError> {
        let mut leads = GlobSetBuilder::new();
        for glob in &include {
            for lead in leads_of(glob) {
                leads.add(compile(&lead).map_err(|_| unreadable(glob))?);
            }
        }
        let included = set(&include)?;
        // `**` is every path: nobody need ask.
        let everything = include.is_empty() || include.iter().any(|glob| glob == "**");
        Ok(Self {
            included: (!everything).then_some(included),
            excluded: set(&exclude)?,
            leads: leads.build().map_err(|error| GlobError { glob: include.join(", "), reason: error.to_string() })?,
            include,
            exclude,
        })
    }

    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            included: None,
            excluded: GlobSet::empty(),
            leads: GlobSet::empty(),
        }
    }

    /// Whether every path is recorded, so that nobody need ask.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.included.is_none() && self.excluded.is_empty()
    }

    /// Whether an entry at this path is passed over, with everything below it.
    #[must_use]
    pub fn excludes(&self, path: &[u8]) -> bool {
        !self.excluded.is_empty() && self.excluded.is_match_candidate(&Candidate::from_bytes(path))
    }

    /// Whether an entry at this path, which no glob excludes, is picked.
    #[must_use]
    pub fn includes(&self, path: &[u8]) -> bool {
        self.included.as_ref().is_none_or(|set| set.is_match_candidate(&Candidate::from_bytes(path)))
    }

    /// Whether a check of single files records what lies at this path.
    #[must_use]
    pub fn picks(&self, path: &[u8]) -> bool {
        self.includes(path) && !directories_above(path).chain([path]).any(|path| self.excludes(path))
    }

    /// Whether a directory at this path, which no glob excludes, can have something picked below it.
    #[must_use]
    pub fn descends(&self, path: &[u8]) -> bool {
        self.included.is_none() || self.leads.is_match_candidate(&Candidate::from_bytes(path))
    }
}

fn compile(glob: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(glob).literal_separator(true).build()
}

fn set(globs: &[String]) -> Result<GlobSet, GlobError> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(compile(glob).map_err(|error| GlobError { glob: glob.clone(), reason: error.kind().to_string() })?);
    }
    builder.build().map_err(|error| GlobError { glob: globs.join(", "), reason: error.to_string() })
}

fn unreadable(glob: &str) -> GlobError {
    let reason = compile(glob).map_or_else(|error| error.kind().to_string(), |_| "malformed".to_owned());
    GlobError { glob: glob.to_owned(), reason }
}

/// Globs for the directories on the way to what `glob` picks: `a/*/c.yml` leads through `a` and `a/*`.
///
/// A glob whose `/` can't be told from one in braces or brackets, or which has `**`, leads everywhere below the names
/// before it: looking in vain is slow, not looking would miss drift.
fn leads_of(glob: &str) -> Vec<String> {
    let mut leads = Vec::new();
    let mut lead = String::new();
    let mut names = glob.split('/').peekable();
    while let Some(name) = names.next() {
        if name.contains("**") || name.contains(['{', '[', '\\']) && names.peek().is_some() {
            leads.push(if lead.is_empty() { "**".to_owned() } else { format!("{lead}/**") });
            return leads;
        }
        if names.peek().is_some() {
            if !lead.is_empty() {
                lead.push('/');
            }
            lead.push_str(name);
            leads.push(lead.clone());
        }
    }
    leads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        Selection::new(owned(include), owned(exclude)).unwrap()
    }

    #[test]
    fn a_star_does_not_cross_a_slash_and_globs_are_anchored() {
        let selection = selection(&["*/docker-compose*.yml", "u"], &[]);
        assert!(selection.includes(b"web/docker-compose.prod.yml"));
        assert!(!selection.includes(b"a/web/docker-compose.yml"));
        assert!(!selection.includes(b"docker-compose.yml"));
        assert!(!selection.includes(b"web/docker-compose.yml.bak"));
        assert!(selection.includes(b"u"));
        assert!(!selection.includes(b"u3.conf"), "adversarial row 25: a glob is not a prefix");
    }

    /// It is not asked about, and what it would say is known.
    #[test]
    fn two_stars_are_everything() {
        let stars = selection(&["a", "**"], &[]);
        assert!(stars.is_everything());
        let asked = set(&["**".to_owned()]).unwrap();
        for path in [&b"a"[..], b"a/b/c", b".a/..b", b"\n", b"a\n/\xff\xfe", b"*", b"\\"] {
            assert!(asked.is_match_candidate(&Candidate::from_bytes(path)), "{path:?}");
            assert!(stars.includes(path) && stars.descends(path), "{path:?}");
        }
        let excluding = selection(&["**"], &["**/x"]);
        assert!(!excluding.is_everything() && excluding.excludes(b"a/x") && excluding.includes(b"a/y"));
        assert_eq!(Selection::new(vec!["**".to_owned(), "[a".to_owned()], Vec::new()).unwrap_err().glob, "[a");
    }

    #[test]
    fn names_that_are_not_utf8_match() {
        assert!(selection(&["*/x?"], &[]).includes(b"\xff\xfe/x\xff"));
        assert!(selection(&[], &["**/*.pyc"]).excludes(b"a/\xff.pyc"));
    }

    #[test]
    fn goes_only_where_something_can_be_picked() {
        let plain = selection(&["a/*/c.yml"], &[]);
        for (path, expected) in [(&b"a"[..], true), (b"a/b", true), (b"b", false), (b"a/b/c.yml", false)] {
            assert_eq!(plain.descends(path), expected, "{path:?}");
        }
        let deep = selection(&["a/**/c.yml"], &[]);
        for (path, expected) in [(&b"a"[..], true), (b"a/b/c/d", true), (b"b", false)] {
            assert_eq!(deep.descends(path), expected, "{path:?}");
        }
    }

    /// Every directory above a picked path must be gone through, whatever the glob.
    #[test]
    fn never_passes_over_a_directory_that_leads_to_something_picked() {
        for (glob, path) in [
            ("{a/b,c}/d", "a/b/d"),
            ("x/{a/b,c}/d", "x/a/b/d"),
            ("**/d", "a/b/c/d"),
            ("**", "a/b"),
            ("a/**", "a/b/c"),
            ("a**/b", "ab/b"),
            ("[ab]/c/d", "a/c/d"),
            ("\\*/c/d", "*/c/d"),
            ("a/b{/c,/d}/e", "a/b/c/e"),
            ("*/?/[!x]", "q/w/e"),
        ] {
            let selection = selection(&[glob], &[]);
            assert!(selection.includes(path.as_bytes()), "{glob} picks {path}");
            for (slash, _) in path.match_indices('/') {
                assert!(selection.descends(&path.as_bytes()[..slash]), "{glob} leads through {}", &path[..slash]);
            }
        }
    }

    #[test]
    fn excludes_whole_directories() {
        let selection = selection(&[], &["**/__pycache__", "**/*.pyc"]);
        assert!(selection.excludes(b"__pycache__"));
        assert!(selection.excludes(b"m/models/__pycache__"));
        assert!(!selection.excludes(b"m/__pycache__x"));
    }
}
