//! Writes drift as a patch that `git apply` accepts, in the format of `git diff`.
//!
//! Source: git's documentation, "Generating patch text with -p" (`diff-generate-patch`), and git's `apply.c` for what
//! is accepted. All files are treated as text: a patch can hold lines of any bytes, and `git apply` accepts them.

mod lines;
mod name;
pub mod secret;
mod terminal;

pub use lines::Effort;
pub use terminal::Harmless;

use std::io::{self, Write};

/// The largest file whose contents are compared, local or on a server, in bytes.
pub const LARGEST: usize = 8 << 20;

/// What git records of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File { executable: bool, contents: Vec<u8> },
    Link { target: Vec<u8> },
}

impl Node {
    /// The mode in git's notation.
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

/// A path as the patch names it, and its node.
pub type At = (Vec<u8>, Node);

/// Writes one change. `old` is `None` for an added path, `new` for a removed one. Different paths are a move.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, old: Option<&At>, new: Option<&At>, effort: &mut Effort) -> io::Result<()> {
    match (old, new) {
        (None, None) => Ok(()),
        // git treats a change of type as a removed and an added file.
        (Some(old), Some(new)) if old.1.is_link() != new.1.is_link() || holds(&old.0, &new.0) => {
            one(out, Some(old), None, effort)?;
            one(out, None, Some(new), effort)
        }
        _ => one(out, old, new, effort),
    }
}

/// Whether one path is a directory above the other, so that both can't exist together.
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

/// Only the hunks; empty if the contents are equal.
#[must_use]
pub fn hunks(old: &[u8], new: &[u8], effort: &mut Effort) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory can't fail.
    let _ = lines::write(&mut out, old, new, effort);
    out
}

fn line(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.write_all(b"\n")
}
