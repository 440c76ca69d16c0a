//! The lock format of `sha256sum`: `<64 hex>  <path>` on each line, for `files` checks.
//!
//! Source: GNU coreutils manual, "md5sum invocation" and "cksum output modes". If a path has a backslash, line feed or
//! carriage return, its line starts with a backslash and has them as `\\`, `\n` and `\r`. Before the path are two
//! blanks, or a blank and `*` for `sha256sum --binary`.
//!
//! Lines are written sorted by the path's bytes, with two blanks, and the file `-` as `./-`. The reader accepts
//! everything that `sha256sum` writes (any order, `--binary`, `--tag`, a `./` before the path), because such files may
//! come from elsewhere. It refuses everything else, including lines without a checksum, which `sha256sum --check`
//! skips.

use std::io::{self, Write};

use super::{Content, Entries, Entry, LockError, Observed, Record, Sha256Digest, Spoiled};
use crate::path::{self, EntryPath, PathError};

/// Writes a lock. The caller makes sure that every entry is a regular file.
///
/// # Errors
/// Those of `out`; [`io::ErrorKind::InvalidData`] for an entry that this format can't hold.
pub fn write(out: &mut impl Write, entries: &mut impl Entries) -> io::Result<()> {
    let mut line = Vec::new();
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    while let Some(entry) = entries.next().map_err(|error| invalid(error.to_string()))? {
        let digest = entry.state.ok().and_then(|record| record.content.sha256());
        let digest = digest.ok_or_else(|| invalid(format!("{} is no file", path::escaped(entry.path))))?;
        line.clear();
        push_line(&mut line, digest, entry.path);
        out.write_all(&line)?;
    }
    Ok(())
}

/// Appends one line, with its line feed.
pub fn push_line(out: &mut Vec<u8>, digest: Sha256Digest, path: &[u8]) {
    if path.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r')) {
        out.push(b'\\');
    }
    out.extend_from_slice(digest.hex().as_bytes());
    out.extend_from_slice(b"  ");
    // `sha256sum --check` reads a lone `-` as standard input.
    if path == b"-" {
        out.extend_from_slice(b"./");
    }
    for &byte in path {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
}

/// A line of `sha256sum`, with any path.
#[derive(Debug)]
pub struct Line {
    /// From 1.
    pub number: u64,
    pub digest: Sha256Digest,
    /// Unescaped, and without a leading `./`.
    pub path: Vec<u8>,
}

/// Reads all lines of a lock.
///
/// # Errors
/// The first line that `sha256sum` would not write.
pub fn lines(bytes: &[u8]) -> Result<Vec<Line>, LockError> {
    if bytes.is_empty() {
        return Err(LockError::Empty);
    }
    if let Some(spoiled) = Spoiled::of_text(bytes) {
        return Err(LockError::Spoiled(spoiled));
    }
    let lines = (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n'));
    let lines = lines.map(|(number, line)| {
        let line = line.strip_suffix(b"\n").ok_or(LockError::Truncated { line: number })?;
        let (digest, path) = parse_line(line).map_err(|problem| LockError::NotSha256sum { line: number, problem })?;
        Ok(Line { number, digest, path })
    });
    lines.collect()
}

/// A lock that was read, sorted.
#[derive(Debug)]
pub struct Reader {
    /// With their line numbers.
    entries: Vec<(Entry, u64)>,
    next: usize,
}

impl Reader {
    /// Reads a whole lock, whose paths are relative to the check's root.
    ///
    /// # Errors
    /// The first line that `sha256sum` would not write, or a duplicate path.
    pub fn new(bytes: &[u8]) -> Result<Self, LockError> {
        Self::of_lines(lines(bytes)?)
    }

    /// The same for lines that were already read.
    ///
    /// # Errors
    /// The first path that is not relative to the root or is a duplicate.
    pub fn of_lines(lines: Vec<Line>) -> Result<Self, LockError> {
        let entries = lines.into_iter().map(|Line { number, digest, path }| {
            let path = path::check(&path).and_then(|()| EntryPath::new(path)).map_err(|error| {
                let problem = match error {
                    PathError::Absolute => "its path is absolute; paths are relative to the check's root",
                    PathError::Dots => "its path has a `.` or `..` in it; paths are relative to the check's root",
                    _ => "its path is empty or has an empty name",
                };
                LockError::NotSha256sum { line: number, problem }
            })?;
            let record = Record { content: Content::Checksum { sha256: digest }, attributes: None };
            Ok((Entry { path, record }, number))
        });
        Self::of_entries(entries.collect::<Result<_, LockError>>()?)
    }

    /// Builds a lock from entries with their line numbers, in any order.
    ///
    /// # Errors
    /// A duplicate path.
    pub fn of_entries(mut entries: Vec<(Entry, u64)>) -> Result<Self, LockError> {
        entries.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        if let Some([_, (twice, line)]) = entries.windows(2).find(|pair| pair[0].0.path == pair[1].0.path) {
            return Err(LockError::Duplicate { line: *line, path: twice.path.clone() });
        }
        Ok(Self { entries, next: 0 })
    }

    /// All entries, sorted.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().map(|(entry, _)| entry)
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The line number, from 1, of the entry that was returned last.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.next.checked_sub(1).and_then(|last| self.entries.get(last)).map_or(1, |(_, line)| *line)
    }
}

impl Entries for Reader {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        let entry = self.entries.get(self.next);
        self.next += 1;
        Ok(entry.map(|(entry, _)| Observed { path: entry.path.as_bytes(), state: Ok(&entry.record) }))
    }
}

fn parse_line(line: &[u8]) -> Result<(Sha256Digest, Vec<u8>), &'static str> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(line) => (true, line),
        None => (false, line),
    };
    let (digest, path) = match line.strip_prefix(b"SHA256 (") {
        Some(tagged) => {
            let at = tagged.len().checked_sub(4 + 64).ok_or("it is too short")?;
            let (path, rest) = tagged.split_at(at);
            (rest.strip_prefix(b") = ").ok_or("it has no `) = ` before the digest")?, path)
        }
        None => {
            let (digest, path) = line.split_at_checked(64).ok_or("it is too short")?;
            let path = path.strip_prefix(b"  ").or_else(|| path.strip_prefix(b" *"));
            (digest, path.ok_or("after 64 digits it needs two blanks, or a blank and `*`")?)
        }
    };
    let digest = std::str::from_utf8(digest).ok().and_then(Sha256Digest::from_hex);
    let digest = digest.ok_or("it has no 64 lower-case hexadecimal digits")?;
    let path = if escaped { unescape(path)? } else { path.to_vec() };
    let path = match path.strip_prefix(b"./") {
        Some(path) => path.to_vec(),
        None => path,
    };
    Ok((digest, path))
}

fn unescape(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'\\') => b'\\',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => return Err("its path has an escape other than `\\\\`, `\\n` and `\\r`"),
            },
            _ => byte,
        });
    }
    Ok(bytes)
}
