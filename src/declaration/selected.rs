//! The globs of a check: values → [`Selection`], or an error about one of them.

use super::section::{Section, StringValue};
use super::validate::MOST_GLOBS;
use super::{DeclarationError, Problem, Selection, globs};
use crate::manifest::Kind;

pub(super) fn selection(section: Section<'_>, kind: Kind, room: &mut usize) -> Result<Selection, DeclarationError> {
    const EXAMPLE: &str = "[\"*/docker-compose*.yml\"]";
    let include = match (kind, section.get("include")) {
        (Kind::Trees, Some((key, _))) => {
            return Err(section.error(key.span.start, "include", Problem::IncludeOnTrees));
        }
        // Names and patterns, already validated.
        (Kind::Containers, _) => globs(section, "containers", "[\"traefik\"]", room)?,
        (Kind::Trees | Kind::ContainerFiles, None) | (Kind::Compose, _) => Vec::new(),
        (Kind::Files, None) => return Err(section.missing("include", EXAMPLE)),
        (Kind::Files | Kind::ContainerFiles, Some((_, value))) => {
            let globs = globs(section, "include", EXAMPLE, room)?;
            // Without globs, a selection includes everything.
            if globs.is_empty() {
                return Err(section.error(value.span.start, "include", Problem::EmptyInclude));
            }
            globs
        }
    };
    let exclude = globs(section, "exclude", "[\"**/__pycache__\"]", room)?;
    let owned = |globs: &[StringValue<'_>]| globs.iter().map(|glob| glob.text.to_owned()).collect();
    Selection::new(owned(&include), owned(&exclude)).map_err(|error| {
        let key = if kind == Kind::Containers { "containers" } else { "include" };
        let lists = [(key, &include), ("exclude", &exclude)];
        let mut positions = lists.iter().flat_map(|(name, globs)| globs.iter().map(move |glob| (*name, glob)));
        // Globs that are too large only together are not the fault of one of them.
        let list = if include.is_empty() { "exclude" } else { key };
        let (name, at) = positions
            .find(|(_, glob)| glob.text == error.glob)
            .map_or((list, section.at), |(name, glob)| (name, glob.at));
        section.error(at, name, Problem::GlobMalformed { glob: error.glob, reason: error.reason })
    })
}

/// Subtracts their size from `room`.
fn globs<'a>(
    section: Section<'a>,
    name: &str,
    example: &'static str,
    room: &mut usize,
) -> Result<Vec<StringValue<'a>>, DeclarationError> {
    let globs = section.strings(name, example)?.unwrap_or_default();
    for glob in &globs {
        let left = room.checked_sub(glob.text.len());
        *room = left.ok_or_else(|| section.error(glob.at, name, Problem::GlobsTooLarge { most: MOST_GLOBS }))?;
        globs::check(glob.text).map_err(|problem| {
            let problem = match problem {
                Problem::GlobAbsolute { glob, .. } => {
                    Problem::GlobAbsolute { below: below_a_root(section, &glob), glob }
                }
                problem => problem,
            };
            section.error(glob.at, name, problem)
        })?;
    }
    Ok(globs)
}

/// The rest of an absolute glob after the root of its check, here or on a server.
fn below_a_root(section: Section<'_>, glob: &str) -> Option<String> {
    let roots = ["root", "server_root"].into_iter().filter_map(|key| section.string(key, "").ok().flatten());
    let below = roots.filter_map(|root| {
        // The location of a relative root is unknown here, but the glob may contain it.
        let is_absolute = root.text.starts_with('/');
        let root = root.text.trim_start_matches("./").trim_matches('/');
        let (above, below) = glob.split_once(&format!("/{root}/"))?;
        (!root.is_empty() && (above.is_empty() || !is_absolute)).then(|| below.to_owned())
    });
    below.filter(|below| globs::check(below).is_ok()).min_by_key(String::len)
}
