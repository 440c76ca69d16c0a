//! The outcome of a check that was compared.

use crate::compare::Comparison;
use crate::declaration::Check;
use crate::error::{Error, ErrorKind};
use crate::manifest::Kind;
use crate::path::escaped;
use crate::report::Outcome;

/// The outcome of a check that was compared. `place` is its root or engine, and whether that is known to be empty.
/// `live` returns the digest of the live state.
pub(super) fn judge(
    check: &Check,
    (place, is_empty): (&str, bool),
    comparison: Comparison,
    stated: Option<&str>,
    live: impl FnOnce() -> Option<String>,
) -> Outcome {
    // If attributes are recorded, the root itself is an entry. A single entry is then only the root.
    let none = u64::from(!check.attributes.is_empty() && matches!(check.kind, Kind::Files | Kind::Trees));
    if comparison.counts.entries <= none && !check.allow_empty {
        return Outcome::Failed(nothing_found(check, place, is_empty));
    }
    // For a Compose project, the lock has only what the Compose files do not declare, so its digest does not fit.
    let digest = stated.filter(|_| check.kind != Kind::Compose).map(str::to_owned);
    let live_digest = match comparison.counts {
        // The difference is huge. Do not read all entries again for a digest that nothing is compared with.
        _ if !comparison.left_out.is_nothing() => None,
        counts if counts.unverified > 0 => None,
        counts if counts.drifted == 0 && digest.is_some() => digest.clone(),
        _ => live(),
    };
    Outcome::Compared { comparison, digest, live_digest }
}

/// The error for a check that finds nothing.
pub fn nothing_found(check: &Check, place: &str, is_empty: bool) -> Error {
    if check.kind.is_of_containers() {
        let picks_some = check.engine.as_ref().is_some_and(|engine| {
            !(engine.labels.is_empty() && engine.containers.is_empty() && check.selection.exclude.is_empty())
        });
        let picked = if picks_some { " that the check picks" } else { "" };
        return Error::new(
            ErrorKind::Input,
            format!("the check {} finds nothing: the engine has no containers{picked}", check.name),
            "start them, or write `allow_empty = true` if that is what you expect",
        );
    }
    let root = escaped(place.as_bytes()).to_string();
    if is_empty {
        return Error::new(
            ErrorKind::Input,
            format!("the check {} finds nothing: the root {root} is empty", check.name),
            "check whether it is a submodule that is not checked out (`git submodule update --init`), or a file system that is \
             not mounted; write `allow_empty = true` if that is what you expect",
        );
    }
    let include = check.selection.include.join("\", \"");
    let problem = if include.is_empty() {
        format!("the check {} finds nothing: {root} is empty, or all of it is excluded", check.name)
    } else {
        format!("the check {} finds nothing: nothing below {root} matches \"{include}\"", check.name)
    };
    Error::new(
        ErrorKind::Input,
        problem,
        "correct `root` and `include`, or write `allow_empty = true` if that is what you expect",
    )
}
