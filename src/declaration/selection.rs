//! Which paths below a root a check records: include and exclude globs.
//!
//! Globs are `globset`'s, anchored at both ends; only `**` matches `/`.

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// The compiled globs of a check.
#[derive(Debug)]
pub struct Selection {
    /// The globs as declared, for messages.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// `None`: everything is included.
    pub(super) included: Option<GlobSet>,
    pub(super) excluded: GlobSet,
    /// Everything below excluded directories.
    below_excluded: GlobSet,
    /// Directories that may contain included entries; others are not opened.
    leads: GlobSet,
}

/// A glob that `globset` can't read.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct GlobError {
    /// The glob, as declared.
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
            if let Some(lead) = leads_of(glob) {
                leads.add(pattern(&lead).empty_alternates(true).build().map_err(|_| unreadable(glob))?);
            }
        }
        let included = set(&include)?;
        let excluded = set(&exclude)?;
        let below_excluded = set(&exclude.iter().map(|glob| format!("{glob}/**")).collect::<Vec<_>>());
        // `**` matches every path.
        let everything = include.is_empty() || include.iter().any(|glob| glob == "**");
        Ok(Self {
            included: (!everything).then_some(included),
            excluded,
            // Malformed globs were reported above, as declared.
            below_excluded: below_excluded.map_err(|error| GlobError { glob: exclude.join(", "), ..error })?,
            leads: leads.build().map_err(|error| GlobError { glob: include.join(", "), reason: error.to_string() })?,
            include,
            exclude,
        })
    }

    /// Selects everything.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            included: None,
            excluded: GlobSet::empty(),
            below_excluded: GlobSet::empty(),
            leads: GlobSet::empty(),
        }
    }

    /// The globs as they were declared, to include and to exclude. All else follows from them.
    #[must_use]
    pub fn declared(&self) -> (&[String], &[String]) {
        let Self { include, exclude, included: _, excluded: _, below_excluded: _, leads: _ } = self;
        (include, exclude)
    }

    /// Whether every path is recorded, so that no path need be matched.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.included.is_none() && self.excluded.is_empty()
    }

    /// Whether an entry at this path is skipped, with everything below it.
    #[must_use]
    pub fn excludes(&self, path: &[u8]) -> bool {
        !self.excluded.is_empty() && self.excluded.is_match_candidate(&Candidate::from_bytes(path))
    }

    /// Whether an entry at this path, which no glob excludes, is included.
    #[must_use]
    pub fn includes(&self, path: &[u8]) -> bool {
        self.included.as_ref().is_none_or(|set| set.is_match_candidate(&Candidate::from_bytes(path)))
    }

    /// Whether a check of kind `files` records an entry at this path.
    #[must_use]
    pub fn picks(&self, path: &[u8]) -> bool {
        self.includes(path) && !self.excludes(path) && !self.is_below_excluded(path)
    }

    /// Whether an entry at this path is skipped because a directory above it is excluded.
    #[must_use]
    pub fn is_below_excluded(&self, path: &[u8]) -> bool {
        !self.below_excluded.is_empty() && self.below_excluded.is_match_candidate(&Candidate::from_bytes(path))
    }

    /// Whether a directory at this path, which no glob excludes, can contain included entries.
    #[must_use]
    pub fn descends(&self, path: &[u8]) -> bool {
        self.included.is_none() || self.leads.is_match_candidate(&Candidate::from_bytes(path))
    }
}

fn pattern(glob: &str) -> GlobBuilder<'_> {
    let mut pattern = GlobBuilder::new(glob);
    pattern.literal_separator(true);
    pattern
}

fn compile(glob: &str) -> Result<Glob, globset::Error> {
    pattern(glob).build()
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

/// The glob for the directories above what `glob` matches: `a/*/c.yml` leads through `a` and `a/*`, which is `a{,/*}`.
/// It is not larger than `glob`, however many directories there are.
///
/// A glob with `**`, or with a `/` that may be in braces or brackets, leads everywhere below the names before that:
/// searching in vain is slow, but not searching would miss drift.
fn leads_of(glob: &str) -> Option<String> {
    /// Limits the nesting of braces; below this many names, a glob leads everywhere.
    const DEEPEST: usize = 32;
    let mut lead = String::new();
    let mut open = 0;
    let mut names = glob.split('/').peekable();
    while let Some(name) = names.next() {
        let goes_on = names.peek().is_some();
        let everywhere = name.contains("**") || open == DEEPEST || name.contains(['{', '[', '\\']) && goes_on;
        if !everywhere && !goes_on {
            break;
        }
        if !lead.is_empty() {
            lead.push_str("{,/");
            open += 1;
        }
        // Between braces, a comma of the name must be escaped.
        lead.push_str(&if everywhere { "**".to_owned() } else { name.replace(',', "\\,") });
        if everywhere {
            break;
        }
    }
    lead.push_str(&"}".repeat(open));
    Some(lead).filter(|lead| !lead.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::path::directories_above;

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

    /// It is not tested, because the result is known.
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

    /// Each step on the way is one of the glob's names.
    #[test]
    fn leads_nowhere_else() {
        for (glob, path) in
            [("a/b/c/d", "a/x"), ("a,b/c,d/e", "a,bd"), ("a/b,c/d", "a/b"), ("a/*/c/d", "a/b/x"), ("a/b/c", "a/b/c")]
        {
            assert!(!selection(&[glob], &[]).descends(path.as_bytes()), "{glob} leads through {path}");
        }
        let deep = "*/".repeat(120) + "x";
        let selection = selection(&[&deep], &[]);
        assert!(selection.descends("d/".repeat(119).trim_end_matches('/').as_bytes()));
    }

    /// Every directory above an included path must be entered, for any glob.
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
            ("a,b/c,d/e,f/g", "a,b/c,d/e,f/g"),
            ("a/b/c/d/e/f", "a/b/c/d/e/f"),
            ("a/*/**/c/d", "a/b/x/y/c/d"),
        ] {
            let selection = selection(&[glob], &[]);
            assert!(selection.includes(path.as_bytes()), "{glob} picks {path}");
            for (slash, _) in path.match_indices('/') {
                assert!(selection.descends(&path.as_bytes()[..slash]), "{glob} leads through {}", &path[..slash]);
            }
        }
    }

    proptest! {
        /// The direct test gives the same result as testing each directory above.
        #[test]
        fn what_is_below_an_excluded_directory_is_not_picked(
            globs in prop::collection::vec("(\\*\\*/|a/|b/|\\*/|[ab]x?/|\\{a,b\\}/){0,3}(\\*\\*|a|b|\\*x|a\\*|\\[ab\\]|\\?)", 1..3),
            path in "([abx.]{1,2}/){0,4}[abx\n]{1,2}",
        ) {
            let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
            let selection = selection(&[], &globs);
            let path = path.as_bytes();
            let excluded = directories_above(path).chain([path]).any(|path| selection.excludes(path));
            prop_assert_eq!(selection.picks(path), !excluded);
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
