//! Drift as a patch that `git apply` takes: what a path has in it before and after, in the format of `git diff`.
//!
//! Source: git's documentation, "Generating patch text with -p" (`diff-generate-patch`), and for what is applied its
//! `apply.c`. All files are text here: a patch knows lines of any bytes, and `git apply` takes them.

mod lines;
mod name;
pub mod secret;
mod terminal;

pub use lines::Effort;
pub use terminal::Harmless;

use std::io::{self, Write};

/// The largest file whose contents are compared, here or from a server, in bytes.
pub const LARGEST: usize = 8 << 20;

/// What git keeps of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File { executable: bool, contents: Vec<u8> },
    Link { target: Vec<u8> },
}

impl Node {
    /// The mode, as git knows it.
    const fn mode(&self) -> &'static str {
        match self {
            Self::File { executable: false, .. } => "100644",
            Self::File { executable: true, .. } => "100755",
            Self::Link { .. } => "120000",
        }
    }

    fn contents(&self) -> &[u8] {
        match self {
            Self::File { contents, .. } => contents,
            Self::Link { target } => target,
        }
    }

    const fn is_link(&self) -> bool {
        matches!(self, Self::Link { .. })
    }
}

/// A path, as the patch names it, and what is there.
pub type At = (Vec<u8>, Node);

/// Writes how something changed: from nothing if it was added, to nothing if it was removed, from another path if it moved.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, old: Option<&At>, new: Option<&At>, effort: &mut Effort) -> io::Result<()> {
    match (old, new) {
        (None, None) => Ok(()),
        // To git, another type is another file.
        (Some(old), Some(new)) if old.1.is_link() != new.1.is_link() || holds(&old.0, &new.0) => {
            one(out, Some(old), None, effort)?;
            one(out, None, Some(new), effort)
        }
        _ => one(out, old, new, effort),
    }
}

/// Whether one of two paths is a directory above the other: both can't be there at once.
fn holds(a: &[u8], b: &[u8]) -> bool {
    let above = |a: &[u8], b: &[u8]| b.strip_prefix(a).is_some_and(|rest| rest.starts_with(b"/"));
    above(a, b) || above(b, a)
}

fn one(out: &mut impl Write, old: Option<&At>, new: Option<&At>, effort: &mut Effort) -> io::Result<()> {
    let Some((any, _)) = old.or(new) else { return Ok(()) };
    let (a, b) = (old.map_or(any, |(path, _)| path), new.map_or(any, |(path, _)| path));
    let [a_name, b_name] = [name::quoted(b"a/", a), name::quoted(b"b/", b)];
    line(out, &[b"diff --git ", &a_name, b" ", &b_name])?;
    match (old, new) {
        (Some((_, old)), Some((_, new))) => {
            if old.mode() != new.mode() {
                writeln!(out, "old mode {}\nnew mode {}", old.mode(), new.mode())?;
            }
            if a != b {
                let share = if old.contents() == new.contents() { 100 } else { 50 };
                writeln!(out, "similarity index {share}%")?;
                line(out, &[b"rename from ", &name::quoted(b"", a)])?;
                line(out, &[b"rename to ", &name::quoted(b"", b)])?;
            }
        }
        (None, Some((_, new))) => writeln!(out, "new file mode {}", new.mode())?,
        (Some((_, old)), None) => writeln!(out, "deleted file mode {}", old.mode())?,
        (None, None) => {}
    }
    let [before, after] = [old, new].map(|at| at.map_or(&b""[..], |(_, node)| node.contents()));
    if before == after {
        return Ok(());
    }
    let null = b"/dev/null".to_vec();
    line(out, &[b"--- ", if old.is_some() { &a_name } else { &null }])?;
    line(out, &[b"+++ ", if new.is_some() { &b_name } else { &null }])?;
    lines::write(out, before, after, effort)
}

/// The hunks alone, as text: nothing where the two are the same.
#[must_use]
pub fn hunks(old: &[u8], new: &[u8], effort: &mut Effort) -> Vec<u8> {
    let mut out = Vec::new();
    // Memory has no errors.
    let _ = lines::write(&mut out, old, new, effort);
    out
}

fn line(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.write_all(b"\n")
}
