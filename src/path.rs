//! Paths below a root: their exact bytes, their order, and how they are shown.
//!
//! A path is a sequence of names joined by `/`, relative to a root. A name is any non-empty bytes but `/` and NUL, and
//! is neither `.` nor `..`. Linux guarantees no more than that, so nothing here assumes UTF-8.
//!
//! Paths are ordered by their bytes, `dir#x` before `dir/x`, as `LC_ALL=C sort` does.

use std::fmt;

/// The path of the root itself: an entry only if a check records attributes.
pub const ROOT: &[u8] = b".";

/// A valid path below a root, or [`ROOT`], ordered by its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Box<[u8]>);

/// Why some bytes are not an [`EntryPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path is empty")]
    Empty,
    #[error("the path is absolute")]
    Absolute,
    #[error("the path has an empty name (`//`, or `/` at its end)")]
    EmptyName,
    #[error("the path has a `.` or `..` in it")]
    Dots,
    #[error("the path has a NUL byte in it")]
    Nul,
}

impl EntryPath {
    /// Validates the bytes of a path.
    ///
    /// # Errors
    /// The first rule of this module's documentation that the bytes break.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        if *bytes != *ROOT {
            check(&bytes)?;
        }
        Ok(Self(bytes))
    }

    /// The exact bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Checks that the bytes are a path below a root.
///
/// # Errors
/// The first rule of this module's documentation that they break.
pub fn check(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        [] => return Err(PathError::Empty),
        [b'/', ..] => return Err(PathError::Absolute),
        _ if bytes.contains(&0) => return Err(PathError::Nul),
        _ => {}
    }
    for name in bytes.split(|&byte| byte == b'/') {
        match name {
            b"" => return Err(PathError::EmptyName),
            b"." | b".." => return Err(PathError::Dots),
            _ => {}
        }
    }
    Ok(())
}

/// The directory part of a path and its last name: `a/b/c` is `a/b` and `c`, `c` is the empty path and `c`.
#[must_use]
pub fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The directories above a path, the outermost first: for `a/b/c`, `a` and `a/b`.
pub fn directories_above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(slash, _)| &path[..slash])
}

/// The name directly below the root: the module that an entry of a `trees` check is in.
#[must_use]
pub fn first_name(path: &[u8]) -> &[u8] {
    path.split(|&byte| byte == b'/').next().unwrap_or(path)
}

/// A path as the operator knows it: the declared root and the entry. Not escaped.
#[must_use]
pub fn joined(root: &str, path: &[u8]) -> Vec<u8> {
    if path == ROOT {
        return root.as_bytes().to_vec();
    }
    match root.trim_end_matches('/') {
        "" if root.starts_with('/') => [b"/", path].concat(),
        "" | "." => path.to_vec(),
        root => [root.as_bytes(), b"/", path].concat(),
    }
}

/// The inverse of [`joined`]: the path below the root, or [`ROOT`] for the root itself. `None` if it is elsewhere.
/// Ignores a leading `./` in both.
#[must_use]
pub fn below<'a>(root: &str, path: &'a [u8]) -> Option<&'a [u8]> {
    let (root, path) = (without_dots(root.as_bytes()), without_dots(path));
    let rest = match root {
        b"" | b"." => path,
        _ => {
            let slashes = root.iter().rev().take_while(|&&byte| byte == b'/').count();
            match path.strip_prefix(&root[..root.len() - slashes])? {
                b"" => b"",
                rest => rest.strip_prefix(b"/")?,
            }
        }
    };
    Some(if matches!(rest, b"" | b".") { ROOT } else { rest })
}

/// Removes each leading `./`.
#[must_use]
pub fn without_dots(mut path: &[u8]) -> &[u8] {
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    path
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", escaped(&self.0))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(&self.0).fmt(f)
    }
}

/// Whether a character could forge a line, act as a command to a terminal, or change the visible order of text: control
/// characters (C0, DEL, C1), the soft hyphen, zero-width and bidirectional marks, the line and paragraph separators,
/// the byte order mark, and interlinear annotation.
///
/// The list is part of the lock format (`docs/lock-format.md`), which writes these characters as `\uXXXX`. So it must
/// never change within one version of the format. All of them are in the Basic Multilingual Plane.
#[must_use]
pub const fn is_hazardous(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// Whether a character is invisible, so that two names that differ in it look the same: those that Unicode calls
/// ignorable by default, without those of [`is_hazardous`].
///
/// Source: Unicode 16, `DerivedCoreProperties.txt`, `Default_Ignorable_Code_Point`.
#[must_use]
pub const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The characters of a text, each with whether it must be escaped. Escaped are hazardous and invisible characters, and
/// what would form a command in the log of a CI system: the first colon of a `::` that only blanks precede, and each
/// `#` after another one, as in `##[` and `##vso[`.
///
/// Source: `ActionCommand.cs` of GitHub's runner and `Command.cs` of Azure's agent. Both trim what precedes `::`, and
/// find `##` anywhere.
pub fn to_escape(text: &str) -> impl Iterator<Item = (char, bool)> {
    let blanks = text.len() - text.trim_start().len();
    let command = text[blanks..].starts_with("::").then_some(blanks);
    let mut before = ' ';
    text.char_indices().map(move |(at, character)| {
        let makes_command = command == Some(at) || (character == '#' && before == '#');
        before = character;
        (character, makes_command || is_hazardous(character) || is_invisible(character))
    })
}

/// Escapes bytes from outside (names, link targets) so that they are harmless on a terminal and in a log, stay on one
/// line, and different bytes look different.
///
/// The characters of [`to_escape`], `\` and bytes that are not UTF-8 become `\n`, `\t`, `\r`, `\\`, `\u{202e}` or
/// `\xff`.
#[must_use]
pub const fn escaped(bytes: &[u8]) -> Escaped<'_> {
    Escaped(bytes)
}

/// See [`escaped`].
#[derive(Clone, Copy)]
pub struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for (character, escape) in to_escape(chunk.valid()) {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    _ if escape => write_escape(f, character)?,
                    _ => f.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

fn write_escape(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        _ => write!(f, "\\u{{{:x}}}", u32::from(character)),
    }
}

/// Text whose names are escaped already, so a backslash stays as it is. Any character that should have been escaped is
/// escaped as [`escaped`] does it.
#[derive(Clone, Copy)]
pub struct Prose<'a>(pub &'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        to_escape(self.0).try_for_each(|(character, escape)| match escape {
            true => write_escape(f, character),
            false => f.write_char(character),
        })
    }
}

/// Cuts a line that is too long to be useful. The longest path that the kernel accepts fits, with each byte escaped.
#[must_use]
pub fn cut(mut line: String) -> String {
    const LONGEST: usize = 20_000;
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_path_below_a_root() {
        for (bytes, error) in [
            (&b""[..], PathError::Empty),
            (b"/a", PathError::Absolute),
            (b"a//b", PathError::EmptyName),
            (b"a/", PathError::EmptyName),
            (b"a/./b", PathError::Dots),
            (b"..", PathError::Dots),
            (b"./a", PathError::Dots),
            (b"a/.", PathError::Dots),
            (b"a/../b", PathError::Dots),
            (b"a\0b", PathError::Nul),
        ] {
            assert_eq!(EntryPath::new(bytes).unwrap_err(), error, "{bytes:?}");
        }
        for bytes in [&b"a"[..], b"a/b", b"...", b"\xff\n", b" ", b"a/.b", b"."] {
            assert_eq!(EntryPath::new(bytes).unwrap().as_bytes(), bytes);
        }
    }

    #[test]
    fn orders_by_byte_and_not_by_name() {
        let mut paths =
            ["dir/sub", "dir#", "dir", "Dir", "dir/Sub", "\u{e9}"].map(|path| EntryPath::new(path.as_bytes()).unwrap());
        paths.sort();
        assert_eq!(paths.map(|path| path.to_string()), ["Dir", "dir", "dir#", "dir/Sub", "dir/sub", "\u{e9}"]);
    }

    #[test]
    fn shows_hostile_names_harmlessly() {
        assert_eq!(escaped(b"a\nb\x1b[31m\\\xff\xc2").to_string(), "a\\nb\\u{1b}[31m\\\\\\xff\\xc2");
        assert_eq!(escaped("\u{202e}gpj.exe \u{200b}".as_bytes()).to_string(), "\\u{202e}gpj.exe \\u{200b}");
        assert_eq!(escaped("Grüße/文.txt".as_bytes()).to_string(), "Grüße/文.txt");
    }

    /// As they are, and after any kind of blanks. An invisible character is shown.
    #[test]
    fn shows_no_command_of_a_ci_system_and_nothing_invisible() {
        for (text, shown) in [
            ("::error::x", "\\u{3a}:error::x"),
            (" \u{3000}::set-output name=a::b", " \u{3000}\\u{3a}:set-output name=a::b"),
            ("a::b", "a::b"),
            (":a", ":a"),
            ("##[error]x", "#\\u{23}[error]x"),
            ("a###vso[task]", "a#\\u{23}\\u{23}vso[task]"),
            ("#a#", "#a#"),
            ("\u{3164}\u{34f}\u{fe0f}\u{e0041}\u{115f}", "\\u{3164}\\u{34f}\\u{fe0f}\\u{e0041}\\u{115f}"),
        ] {
            assert_eq!((escaped(text.as_bytes()).to_string(), Prose(text).to_string()), (shown.into(), shown.into()));
            assert_eq!(Prose(shown).to_string(), shown, "once is enough");
        }
    }

    #[test]
    fn prose_keeps_what_was_escaped_before() {
        assert_eq!(Prose("a\\nb\nc\u{1b}").to_string(), "a\\nb\\nc\\u{1b}");
    }

    #[test]
    fn a_path_is_taken_apart_as_it_was_put_together() {
        for (root, path, expected) in [
            ("infra/stacks", &b"infra/stacks/a/b"[..], Some(&b"a/b"[..])),
            ("infra/stacks/", b"./infra/stacks/a", Some(b"a")),
            ("./infra/stacks", b"infra/stacks", Some(ROOT)),
            ("infra/stacks", b"infra/stacks2/a", None),
            ("infra/stacks", b"a", None),
            ("/", b"/a", Some(b"a")),
            ("/", b"a", None),
            (".", b"a", Some(b"a")),
            (".", b".", Some(ROOT)),
            ("", b"web", Some(b"web")),
            ("../x", b"../x/a", Some(b"a")),
        ] {
            assert_eq!(below(root, path), expected, "{root:?} {path:?}");
        }
    }

    #[test]
    fn knows_what_lies_below() {
        assert_eq!(directories_above(b"ab/b/c").collect::<Vec<_>>(), [&b"ab"[..], b"ab/b"]);
        assert_eq!(directories_above(b"a").count(), 0);
        assert_eq!(split_last(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split_last(b"c"), (&b""[..], &b"c"[..]));
    }

    proptest! {
        #[test]
        fn different_bytes_look_different_and_nothing_hazardous_is_left(a: Vec<u8>, b: Vec<u8>) {
            let (shown_a, shown_b) = (escaped(&a).to_string(), escaped(&b).to_string());
            prop_assert!(!to_escape(&shown_a).any(|(_, escape)| escape));
            prop_assert_eq!(a == b, shown_a == shown_b);
        }
    }
}
