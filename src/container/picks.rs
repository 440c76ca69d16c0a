//! Which of an engine's containers a check records.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::Listed;
use crate::declaration::engine::is_container_name;
use crate::declaration::{Engine, Matched, Selection};
use crate::manifest::{GlobList, Uncovered};

/// The label by which Docker Compose marks what `docker compose run` has started.
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// Picks by names, patterns and labels.
#[derive(Debug)]
pub struct Picks<'a> {
    selection: &'a Selection,
    /// Names that are no patterns.
    names: BTreeSet<&'a str>,
    labels: Option<&'a BTreeMap<String, String>>,
    one_off: bool,
    matched: Matched,
}

impl<'a> Picks<'a> {
    /// As a check declares it.
    #[must_use]
    pub fn of(engine: &'a Engine, selection: &'a Selection) -> Self {
        let names = engine.containers.iter().map(String::as_str).filter(|name| is_container_name(name)).collect();
        let (labels, one_off) = (Some(&engine.labels), engine.one_off);
        Self { selection, names, labels, one_off, matched: selection.unmatched_yet() }
    }

    /// All there are.
    #[must_use]
    pub fn all(everything: &'a Selection) -> Self {
        let matched = everything.unmatched_yet();
        Self { selection: everything, names: BTreeSet::new(), labels: None, one_off: true, matched }
    }

    /// The containers that have to be there.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }

    /// Whether this container, with the name that it is recorded under, is one of those that are meant.
    pub(super) fn pick(&mut self, listed: &Listed, name: Option<&str>) -> bool {
        let mut labels = self.labels.into_iter().flatten();
        if !labels.all(|(key, value)| listed.label(key) == Some(value)) {
            return false;
        }
        let Some(name) = name else { return self.selection.is_everything() };
        let is_one_off = listed.label(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_one_off && !self.one_off && !self.names.contains(name) {
            return false;
        }
        let name = name.as_bytes();
        !self.selection.excludes_noting(name, &mut self.matched)
            && self.selection.includes_noting(name, &mut self.matched)
    }

    /// The patterns that have matched nothing. A name is told of by itself.
    pub(super) fn unmatched(&self) -> Vec<Uncovered> {
        let mut all: Vec<_> = self
            .selection
            .unmatched(&self.matched)
            .into_iter()
            .filter_map(|one| match one {
                Uncovered::Glob { list: GlobList::Include, glob } => {
                    let is_name = self.names.contains(&*glob);
                    (!is_name).then_some(Uncovered::Glob { list: GlobList::Containers, glob })
                }
                other => Some(other),
            })
            .collect();
        all.sort();
        all
    }
}
