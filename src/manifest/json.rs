//! The lock format `<check>.lock.json`, version 1. Only this module writes and reads it.
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
//! `docs/lock-format.md` specifies it in full. The reader is strict: it refuses a lock if it would not write the same
//! bytes. To see that, it writes each line again, except lines that have only one encoding.

mod container;
mod line;
mod plain;
mod reader;

pub use container::{image_id, parse_image_id};
pub use line::push_string;
pub use reader::{Reader, fits};

use std::io::{self, Write};

use crate::digest::Sha256;
use crate::manifest::{AttributeSet, Entries, Entry, Kind, LockError, Record, Sha256Digest};

/// The part before the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub check: String,
    pub kind: Kind,
    pub attributes: AttributeSet,
}

impl Header {
    /// Writes the lines from `{` to `"entries": [`.
    pub fn write(&self, out: &mut Vec<u8>, digest: &str) {
        out.extend_from_slice(b"{\n\"driftlock\": 1,\n\"check\": ");
        push_string(out, &self.check);
        out.extend_from_slice(b",\n\"kind\": ");
        push_string(out, self.kind.name());
        if !self.attributes.is_empty() {
            out.extend_from_slice(b",\n\"attributes\": [");
            for (number, name) in self.attributes.names().enumerate() {
                out.extend_from_slice(if number == 0 { b"" } else { b", " });
                push_string(out, name);
            }
            out.push(b']');
        }
        out.extend_from_slice(b",\n\"digest\": ");
        push_string(out, digest);
        out.extend_from_slice(b",\n\"entries\": [\n");
    }
}

/// Calls `each` with every entry line, including its comma (except the last one) and its line feed.
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

/// The digest of a manifest, as its lock states it.
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

/// Writes a lock. `digest` is the result of [`digest`] for the same entries.
///
/// Skips unverified entries, so the caller must make sure that there are none.
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
    // Only ASCII and parts of valid UTF-8 are pushed, so nothing is ever replaced.
    String::from_utf8_lossy(&text).into_owned()
}

/// The record of an entry as a JSON object, with the keys of its line in a lock: for reports.
#[must_use]
pub fn record(record: &Record) -> Vec<u8> {
    let mut text = Vec::new();
    line::push_record(&mut text, record);
    text
}

/// Parses what [`record`] writes, with any spacing. The caller must refuse what would not be written back as the same
/// value.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_record(text: &[u8]) -> Result<Record, String> {
    line::parse_record(text)
}

/// Parses what [`entry_line`] writes, and nothing else.
///
/// # Errors
/// What is wrong, in words.
pub fn read_entry(text: &[u8]) -> Result<Entry, String> {
    let entry = line::parse_entry(text)?;
    let mut canonical = Vec::with_capacity(text.len());
    line::push_entry(&mut canonical, entry.path.as_bytes(), &entry.record);
    if canonical == text { Ok(entry) } else { Err(format!("it should read `{}`", String::from_utf8_lossy(&canonical))) }
}
