//! Suggests a first declaration for what is below a directory.
//!
//! [`scan`] walks the directory, [`mod@write`] writes the declaration, and [`covered`] lists what no check covers.
//! Known layouts become checks of their own. If there is none, one check covers everything. The same directory gives
//! the same text.

mod covered;
mod scan;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use cap_std::fs::Dir;

/// A suggested declaration.
#[derive(Debug)]
pub struct Suggestion {
    /// The text of a `driftlock.toml`.
    pub text: String,
    /// What no check covers, and why. Escaped.
    pub uncovered: Vec<String>,
}

/// Suggests a `driftlock.toml` for `dir`; `None` if there is nothing to lock. Reads only names, follows no links, and
/// writes nothing.
///
/// # Errors
/// `dir` itself can't be read. A directory below it that can't be read is skipped; a comment in the text says so.
pub fn suggest(dir: &Dir) -> io::Result<Option<Suggestion>> {
    let mut found = scan::scan(dir)?;
    let Some(mut text) = write::declaration(&found) else { return Ok(None) };
    let covers = covered::trees(&text);
    for path in found.too_deep.iter().filter(|path| !covers(path)) {
        found.skipped.push(format!("{}: deeper than {} directories", scan::display(path), scan::DEEPEST));
    }
    let uncovered = covered::not(&found, &text);
    write::add_notes(&mut text, "Not looked into", &found.skipped);
    write::add_notes(&mut text, "Covered by no check", &uncovered);
    let uncovered = found.skipped.into_iter().chain(uncovered).collect();
    Ok(Some(Suggestion { text, uncovered }))
}
