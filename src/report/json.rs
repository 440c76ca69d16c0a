//! The report for machines, `drift_report.json`: the only writer, and with [`read()`] the only reader.
//!
//! It keeps the fields of the scripts that driftlock replaces, in their order and with their meanings, so that an
//! alerting rule with `jq -r .overall` still works. It adds other fields. `docs/report.schema.json` specifies it.
//!
//! - Lists are complete.
//! - `path`, `from` and `target` are exact. Bytes that are not UTF-8 are in `path_base64`, `from_base64` and
//!   `target_base64` instead.
//! - `details` is for people. It counts and lists what failed, with a `;` after each item. Names are escaped as in text
//!   reports, and a `;` in a name is `\x3b`, so a name can't look like two items.
//! - In every string, characters that are invisible, or hazardous on a terminal or in a CI system's log, are `\uXXXX`.

pub(super) mod details;
mod digests;
mod document;
mod entry;
mod error;
mod head;
mod items;
mod read;
mod seal;

pub use error::ReportError;
pub use head::{Head, head};
pub use read::{read, read_one};

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::{HostReport, Report, RunInfo};
use crate::compare::{Drift, UnverifiedEntry};
use crate::digest::Sha256;
use crate::manifest::{Sha256Digest, Uncovered, UncoveredItem};
use crate::path::to_escape;
use entry::{DriftItem, UnverifiedItem};
use items::Items;

/// The value of `schema`. Its number changes when a field changes its meaning or is removed.
pub const SCHEMA: &str = "driftlock-report-1";

/// The value of `schema` in a report of several servers.
pub const SERVERS_SCHEMA: &str = "driftlock-servers-1";

/// Writes the JSON report.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    match report.only() {
        Some(host) => write_host(out, &report.run, host),
        None => write_value(out, &document::of_servers(report)),
    }
}

/// Writes the JSON report of one host alone.
///
/// # Errors
/// Those of `out`.
pub fn write_host(out: &mut impl Write, run: &RunInfo, host: &HostReport) -> io::Result<()> {
    write_value(out, &document::of(run, host))
}

/// A digest of everything in a host's report except its name and duration: equal for hosts with the same findings.
pub(super) fn gist(host: &HostReport) -> Sha256Digest {
    let head = host.server.as_ref().and_then(|server| server.head.as_ref());
    digest(&(document::checks(host), head.map(|head| (head.landlock, head.seccomp))))
}

/// The digest of a value as JSON, computed without a copy.
fn digest(value: &impl Serialize) -> Sha256Digest {
    struct Hasher(Sha256);
    impl Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Hasher(Sha256::new());
    // Every report is valid JSON, and hashing can't fail.
    let _ = serde_json::to_writer(&mut hasher, value);
    hasher.0.finish()
}

/// Escapes every character of [`to_escape`] in JSON text. The value stays the same.
#[must_use]
pub fn harmless(json: &str) -> String {
    let mut out = Vec::with_capacity(json.len());
    // Only strings have characters to escape. Writing to memory can't fail, and escapes are ASCII.
    let _ = Harmless(CompactFormatter).write_string_fragment(&mut out, json);
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes any value as JSON, indented and escaped as a report.
///
/// # Errors
/// Those of `out`.
pub fn write_value(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless(PrettyFormatter::new())))?;
    out.write_all(b"\n")
}

/// Writes a JSON array, with one element on each line.
///
/// # Errors
/// Those of `out`.
pub fn write_lines<T: Serialize>(out: &mut impl Write, items: &[T]) -> io::Result<()> {
    out.write_all(b"[\n")?;
    for (number, item) in items.iter().enumerate() {
        out.write_all(if number == 0 { b"" } else { b",\n" })?;
        item.serialize(&mut Serializer::with_formatter(&mut *out, Harmless(CompactFormatter)))?;
    }
    out.write_all(if items.is_empty() { b"]\n" } else { b"\n]\n" })
}

/// Drift, as in a report.
pub(super) fn drift(all: &[Drift]) -> impl Serialize {
    Items::<Drift, DriftItem>::of(all)
}

/// Unverified entries, as in a report.
pub(super) fn unverified(all: &[UnverifiedEntry]) -> impl Serialize {
    Items::<UnverifiedEntry, UnverifiedItem>::of(all)
}

/// One drift, as in a report.
pub(super) fn drift_item(drift: &Drift) -> impl Serialize + use<> {
    DriftItem::from(drift)
}

/// What is uncovered, as in a report.
#[must_use]
pub fn uncovered(all: &[Uncovered]) -> Vec<serde_json::Value> {
    // It has only strings, which are always valid JSON.
    all.iter().map(|one| serde_json::to_value(UncoveredItem::from(one)).unwrap_or_default()).collect()
}

/// Escapes every character of [`to_escape`], including those that JSON allows unescaped.
struct Harmless<F>(F);

impl<F: Formatter> Formatter for Harmless<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        let mut at = 0;
        for (character, escape) in to_escape(fragment) {
            let behind = at + character.len_utf8();
            // A quote or an escape precedes each fragment, so its `::` does not begin a line.
            if escape && character != ':' {
                writer.write_all(&fragment.as_bytes()[plain..at])?;
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                plain = behind;
            }
            at = behind;
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
