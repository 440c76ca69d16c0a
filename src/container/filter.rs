//! Selects the containers that a check records.

use std::collections::{BTreeMap, BTreeSet};

use super::responses::ContainerSummary;
use crate::declaration::engine::is_container_name;
use crate::declaration::{Engine, Matched, Selection};
use crate::manifest::{GlobList, Uncovered};

/// The label that marks containers of `docker compose run`.
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// Selects by names, patterns and labels.
#[derive(Debug)]
pub struct ContainerFilter<'a> {
    selection: &'a Selection,
    /// Names, without patterns.
    names: BTreeSet<&'a str>,
    labels: Option<&'a BTreeMap<String, String>>,
    one_off: bool,
    matched: Matched,
}

impl<'a> ContainerFilter<'a> {
    /// The selection of a check.
    #[must_use]
    pub fn of(engine: &'a Engine, selection: &'a Selection) -> Self {
        let names = engine.containers.iter().map(String::as_str).filter(|name| is_container_name(name)).collect();
        let (labels, one_off) = (Some(&engine.labels), engine.one_off);
        Self { selection, names, labels, one_off, matched: selection.unmatched_yet() }
    }

    /// Selects all containers.
    #[must_use]
    pub fn all(everything: &'a Selection) -> Self {
        let matched = everything.unmatched_yet();
        Self { selection: everything, names: BTreeSet::new(), labels: None, one_off: true, matched }
    }

    /// The containers that must exist.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }

    /// Whether to record this container under this name.
    pub(super) fn pick(&mut self, listed: &ContainerSummary, name: Option<&str>) -> bool {
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

    /// The patterns that have matched nothing. Missing names are reported separately.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::declaration::{Declaration, Format};

    fn summary(project: &str, service: &str, one_off: &str) -> ContainerSummary {
        let labels = json!({
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            ONE_OFF: one_off,
        });
        serde_json::from_value(json!({"Id": "1", "Labels": labels})).unwrap()
    }

    const JOB: &str = "shop-web-run-5d8c8e1ff0a6";

    /// The names that a check with these keys selects, and its globs that match nothing.
    fn selected(keys: &str) -> (Vec<&'static str>, Vec<String>) {
        let text = format!("[check.a]\nkind = \"containers\"\nsocket = \"s\"\n{keys}\n");
        let check = Declaration::parse("t", Format::Toml, text.as_bytes()).unwrap().checks.remove(0);
        let mut picks = ContainerFilter::of(check.engine.as_ref().unwrap(), &check.selection);
        let all = [
            ("shop-web-1", summary("shop", "web", "False")),
            ("shop-db-1", summary("shop", "db", "False")),
            (JOB, summary("shop", "web", "True")),
            ("blog-web-1", summary("blog", "web", "False")),
            ("traefik", serde_json::from_value(json!({"Id": "1"})).unwrap()),
        ];
        let names = all.iter().filter(|(name, summary)| picks.pick(summary, Some(name))).map(|(name, _)| *name);
        let names = names.collect();
        let unmatched = picks.unmatched().into_iter().map(|uncovered| match uncovered {
            Uncovered::Glob { glob, .. } => glob,
            Uncovered::Link { .. } => panic!("{uncovered:?}"),
        });
        (names, unmatched.collect())
    }

    #[test]
    fn selects_by_names_patterns_and_labels() {
        for (keys, expected) in [
            ("", &["shop-web-1", "shop-db-1", "blog-web-1", "traefik"][..]),
            ("one_off = true", &["shop-web-1", "shop-db-1", JOB, "blog-web-1", "traefik"]),
            ("containers = ['shop-*']", &["shop-web-1", "shop-db-1"]),
            ("containers = ['shop-*']\none_off = true", &["shop-web-1", "shop-db-1", JOB]),
            ("containers = ['traefik', 'shop-web-run-5d8c8e1ff0a6']", &[JOB, "traefik"]),
            ("containers = ['*-web-?', 'traefik']", &["shop-web-1", "blog-web-1", "traefik"]),
            ("containers = ['{blog,shop}-*']\nexclude = ['*-db-[0-9]']", &["shop-web-1", "blog-web-1"]),
            ("exclude = ['blog-*', 'traefik']", &["shop-web-1", "shop-db-1"]),
            ("labels = { 'com.docker.compose.project' = 'shop' }", &["shop-web-1", "shop-db-1"]),
            (
                "labels = { 'com.docker.compose.project' = 'shop', 'com.docker.compose.service' = 'web' }",
                &["shop-web-1"],
            ),
            ("labels = { 'com.docker.compose.project' = '' }", &[]),
        ] {
            assert_eq!(selected(keys), (expected.to_vec(), Vec::new()), "{keys}");
        }
    }

    #[test]
    fn reports_patterns_that_match_nothing_but_no_names() {
        let (_, unmatched) = selected("containers = ['shop-*', 'shpo-*', 'ghost']\nexclude = ['old-*']");
        assert_eq!(unmatched.len(), 2, "{unmatched:?}");
        assert!(unmatched.contains(&"shpo-*".to_owned()) && unmatched.contains(&"old-*".to_owned()), "{unmatched:?}");
    }

    #[test]
    fn a_container_without_a_name_is_selected_only_with_all() {
        let everything = Selection::everything();
        let nameless: ContainerSummary = serde_json::from_value(json!({"Id": "1"})).unwrap();
        assert!(ContainerFilter::all(&everything).pick(&nameless, None));
        let some = Selection::new(vec!["a".to_owned()], Vec::new()).unwrap();
        assert!(!ContainerFilter::all(&some).pick(&nameless, None));
    }
}
