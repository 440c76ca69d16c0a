//! A first declaration, guessed from what lies below a directory.
//!
//! [`look`] walks, [`mod@write`] decides and writes. What is found becomes a check; for what isn't, an example stands there
//! as a comment. The same directory gives the same text.

mod look;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use cap_std::fs::Dir;

/// Guesses the text of a `driftlock.toml` for `dir`. Reads names only, follows no links, writes nothing.
///
/// # Errors
/// `dir` itself can't be read. A directory below it that can't be is passed over, with a comment that says so.
pub fn guess(dir: &Dir) -> io::Result<String> {
    Ok(write::declaration(&look::look(dir)?))
}
