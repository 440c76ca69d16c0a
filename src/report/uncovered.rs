//! Describes what is uncovered.

use super::CheckReport;
use super::format::{counted, grouped, shown_path};
use crate::manifest::{GlobList, Uncovered};
use crate::path::escaped;

/// The most items to name in one line; the others are only counted.
const NAMED: usize = 5;

/// One item, for a line of its own. Escaped.
pub fn item(root: &str, uncovered: &Uncovered) -> String {
    match uncovered {
        Uncovered::Glob { list, glob } => format!("{} \"{}\"", list.name(), escaped(glob.as_bytes())),
        Uncovered::Link { path, target } => format!("{} -> {}", shown_path(root, path.as_bytes()), escaped(target)),
    }
}

/// One item as a finding. Escaped.
pub(super) fn message(root: &str, uncovered: &Uncovered) -> String {
    let what = match uncovered {
        Uncovered::Glob { .. } => "matches nothing",
        Uncovered::Link { .. } => "leads to what no check covers",
    };
    format!("uncovered: {}: {what}", item(root, uncovered))
}

/// A sentence for globs, and one for links. Escaped.
pub fn sentences(root: &str, all: &[Uncovered]) -> Vec<String> {
    let of = |sort: fn(&&Uncovered) -> bool, what: &dyn Fn(u64) -> String| {
        let number = all.iter().filter(sort).count();
        let mut named: Vec<_> = all.iter().filter(sort).take(NAMED).map(|uncovered| item(root, uncovered)).collect();
        if number > NAMED {
            named.push(format!("and {} more; the JSON report has every one", grouped((number - NAMED) as u64)));
        }
        (number > 0).then(|| format!("{}: {}", what(number as u64), named.join(", ")))
    };
    let globs = |number| {
        format!("{} nothing", if number == 1 { "1 glob matches".to_owned() } else { format!("{number} globs match") })
    };
    let links = |number| {
        let lead = if number == 1 { "leads" } else { "lead" };
        format!("{} {lead} to what no check covers", counted(number, "link", "links"))
    };
    let of_globs = of(|uncovered| matches!(uncovered, Uncovered::Glob { .. }), &globs);
    of_globs.into_iter().chain(of(|uncovered| matches!(uncovered, Uncovered::Link { .. }), &links)).collect()
}

/// What to do about them.
pub fn help(all: &[Uncovered]) -> &'static str {
    let has = |list| all.iter().any(|uncovered| matches!(uncovered, Uncovered::Glob { list: of, .. } if *of == list));
    if has(GlobList::Containers) {
        return "correct the patterns, which are for names of containers, or remove them";
    }
    match (GlobList::ALL.into_iter().any(has), all.iter().any(|one| matches!(one, Uncovered::Link { .. }))) {
        (true, false) => "correct the globs, which are relative to the root, or remove them",
        (false, _) => "declare a check over what the links lead to, or `exclude` them",
        (true, true) => {
            "correct the globs, which are relative to the root; declare a check over what the links lead to, or `exclude` \
             them"
        }
    }
}

impl CheckReport {
    /// The number of uncovered items.
    #[must_use]
    pub const fn uncovered_count(&self) -> u64 {
        self.uncovered.len() as u64
    }
}
