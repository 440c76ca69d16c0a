//! A first declaration, guessed from what lies below a directory.
//!
//! [`scan`] walks, [`mod@write`] decides and writes, and [`covered`] holds the result against what is there. What is found
//! becomes a check; where nothing is known of what it is, one check covers all of it. The same directory gives the same text.

mod covered;
mod scan;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use cap_std::fs::Dir;

/// A declaration that was guessed.
#[derive(Debug)]
pub struct Guess {
    /// The text of a `driftlock.toml`.
    pub text: String,
    /// What no check of it covers, by name and reason. Harmless.
    pub uncovered: Vec<String>,
}

/// Guesses a `driftlock.toml` for `dir`; nothing if there is nothing to lock. Reads names only, follows no links, writes
/// nothing.
///
/// # Errors
/// `dir` itself can't be read. A directory below it that can't be is passed over, with a comment that says so.
pub fn guess(dir: &Dir) -> io::Result<Option<Guess>> {
    let mut found = scan::scan(dir)?;
    let Some(mut text) = write::declaration(&found) else { return Ok(None) };
    let covers = covered::trees(&text);
    for place in found.too_deep.iter().filter(|place| !covers(place)) {
        found.passed_over.push(format!("{}: deeper than {} directories", scan::shown(place), scan::DEEPEST));
    }
    let uncovered = covered::not(&found, &text);
    write::add_notes(&mut text, "Not looked into", &found.passed_over);
    write::add_notes(&mut text, "Covered by no check", &uncovered);
    let uncovered = found.passed_over.into_iter().chain(uncovered).collect();
    Ok(Some(Guess { text, uncovered }))
}
