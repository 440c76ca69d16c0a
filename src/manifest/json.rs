//! The lock format `<check>.lock.json`, version 1: the only writer and the only reader.
//!
//! ```text
//! {
//! "driftlock": 1,
//! "check": "addon_hashes",
//! "kind": "trees",
//! "attributes": ["mode"],         only if the check asks for attributes
//! "digest": "sha256-<base64>",    over the entry lines as they stand here, with their commas and line feeds
//! "entries": [
//! {"path":"m","type":"directory","nar":"sha256-<base64>"},
//! {"path":"m/f","type":"file","size":3,"sha256":"<hex>"}
//! ]
//! }
//! ```
//!
//! `docs/lock-format.md` specifies it in full. Reading is strict: what would not be written back to the same bytes is
//! refused, and the reader shows that by writing each line back, unless it is one that can be written in one way only.

mod container;
mod line;
mod plain;
mod reader;

pub use container::{image_id, parse_image_id};
pub use reader::{Reader, fits};

use std::io::{self, Write};

use crate::digest::Sha256;
use crate::manifest::{AttributeSet, Entries, Entry, Kind, LockError, Record, Sha256Digest};

/// What stands before the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub check: String,
    pub kind: Kind,
    pub attributes: AttributeSet,
}

impl Header {
    /// The lines from `{` up to and with `"entries": [`.
    pub fn write(&self, out: &mut Vec<u8>, digest: &str) {
        out.extend_from_slice(b"{\n\"driftlock\": 1,\n\"check\": ");
        line::push_string(out, &self.check);
        out.extend_from_slice(b",\n\"kind\": ");
        line::push_string(out, self.kind.name());
        if !self.attributes.is_empty() {
            out.extend_from_slice(b",\n\"attributes\": [");
            for (number, name) in self.attributes.names().enumerate() {
                out.extend_from_slice(if number == 0 { b"" } else { b", " });
                line::push_string(out, name);
            }
            out.push(b']');
        }
        out.extend_from_slice(b",\n\"digest\": ");
        line::push_string(out, digest);
        out.extend_from_slice(b",\n\"entries\": [\n");
    }
}

/// Calls `each` with every entry line: with its comma, save the last, and its line feed.
fn for_each_line<E>(entries: &mut impl Entries, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E>
where
    E: From<LockError>,
{
    let mut text = Vec::new();
    while let Some(entry) = entries.next()? {
        let Ok(record) = entry.state else { continue };
        if !text.is_empty() {
            text.extend_from_slice(b",\n");
            each(&text)?;
            text.clear();
        }
        line::push_entry(&mut text, entry.path, record);
    }
    if !text.is_empty() {
        text.push(b'\n');
        each(&text)?;
    }
    Ok(())
}

/// The digest of a manifest: what `digest` in its lock says.
///
/// # Errors
/// Those of the stream.
pub fn digest(entries: &mut impl Entries) -> Result<Sha256Digest, LockError> {
    let mut hasher = Sha256::new();
    for_each_line::<LockError>(entries, |line| {
        hasher.update(line);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Writes a lock. `digest` is what [`digest`] gives for the same entries.
///
/// Entries that are unverified are passed over, so the caller makes sure that there are none.
///
/// # Errors
/// Those of `out`, and those of the stream as [`io::ErrorKind::InvalidData`].
pub fn write(
    out: &mut impl Write,
    header: &Header,
    digest: Sha256Digest,
    entries: &mut impl Entries,
) -> io::Result<()> {
    let mut head = Vec::new();
    header.write(&mut head, &digest.sri());
    out.write_all(&head)?;
    for_each_line::<WriteError>(entries, |line| Ok(out.write_all(line)?)).map_err(|error| match error {
        WriteError::Io(error) => error,
        WriteError::Lock(error) => io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    out.write_all(b"]\n}\n")
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// One entry as a line of a lock, without comma and line feed: for reports and `driftlock hash`.
#[must_use]
pub fn entry_line(path: &[u8], record: &Record) -> String {
    let mut text = Vec::new();
    line::push_entry(&mut text, path, record);
    // What is pushed is ASCII and pieces of valid UTF-8, so nothing is ever replaced here.
    String::from_utf8_lossy(&text).into_owned()
}

/// What is recorded of an entry as a JSON object, with the keys of its line in a lock: for reports.
#[must_use]
pub fn record(record: &Record) -> Vec<u8> {
    let mut text = Vec::new();
    line::push_record(&mut text, record);
    text
}

/// Reads what [`record`] writes, however it is spaced. What would not be written back as the same value is the caller's to refuse.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_record(text: &[u8]) -> Result<Record, String> {
    line::parse_record(text)
}

/// Reads what [`entry_line`] writes, and nothing else.
///
/// # Errors
/// What is wrong, in words.
pub fn read_entry(text: &[u8]) -> Result<Entry, String> {
    let entry = line::parse_entry(text)?;
    let mut canonical = Vec::with_capacity(text.len());
    line::push_entry(&mut canonical, entry.path.as_bytes(), &entry.record);
    if canonical == text { Ok(entry) } else { Err(format!("it should read `{}`", String::from_utf8_lossy(&canonical))) }
}
