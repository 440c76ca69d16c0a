//! The report for machines, `drift_report.json`: the only writer, and with [`read()`] the only reader.
//!
//! It keeps the fields of the scripts that driftlock replaces, in their order and with their meanings, so that
//! `jq -r .overall` of an alerting rule goes on working, and adds to them. `docs/report.schema.json` specifies it.
//!
//! - Every list is whole, however long.
//! - `path`, `from`, `target` are exact; bytes that are not UTF-8 are in `path_base64`, `from_base64`,
//!   `target_base64` instead.
//! - `details` is for people. It counts and lists what failed, each item followed by `;`. Names in it are shown as in
//!   text, and a `;` in a name as `\x3b`, so no name can make two items of one.
//! - What is hazardous on a terminal or in a CI system's log, or is invisible, is written as `\uXXXX`, in every string.

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

/// What `schema` says in a report of this form. The number changes when a field changes its meaning or goes.
pub const SCHEMA: &str = "driftlock-report-1";

/// What `schema` says in a report of several servers.
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

/// Over all that is to be said of a host, but for who it is and how long it took.
pub(super) fn gist(host: &HostReport) -> Sha256Digest {
    let head = host.server.as_ref().and_then(|server| server.head.as_ref());
    digest(&(document::checks(host), head.map(|head| (head.landlock, head.seccomp))))
}

/// Over a value as JSON, without a copy of it.
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
    // Nothing in it could fail to be JSON, and hashing has no errors.
    let _ = serde_json::to_writer(&mut hasher, value);
    hasher.0.finish()
}

/// JSON text in which all that [`to_escape`] names is escaped. It is the same value.
#[must_use]
pub fn harmless(json: &str) -> String {
    let mut out = Vec::with_capacity(json.len());
    // Outside of strings there is nothing to escape. Memory has no errors, and escapes are ASCII.
    let _ = Harmless(CompactFormatter).write_string_fragment(&mut out, json);
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes any JSON in the same form.
///
/// # Errors
/// Those of `out`.
pub fn write_value(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless(PrettyFormatter::new())))?;
    out.write_all(b"\n")
}

/// Writes a JSON array, an element a line.
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

/// The drift that a comparison found, as a report has it.
pub(super) fn drift(all: &[Drift]) -> impl Serialize {
    Items::<Drift, DriftItem>::of(all)
}

/// What a comparison could not verify, as a report has it.
pub(super) fn unverified(all: &[UnverifiedEntry]) -> impl Serialize {
    Items::<UnverifiedEntry, UnverifiedItem>::of(all)
}

/// One drift, as a report has it.
pub(super) fn drift_item(drift: &Drift) -> impl Serialize + use<> {
    DriftItem::from(drift)
}

/// What is uncovered, as a report has it.
#[must_use]
pub fn uncovered(all: &[Uncovered]) -> Vec<serde_json::Value> {
    // Strings only: nothing that could fail to be JSON.
    all.iter().map(|one| serde_json::to_value(UncoveredItem::from(one)).unwrap_or_default()).collect()
}

/// JSON in which all that [`to_escape`] names is escaped, also what JSON allows as it is.
struct Harmless<F>(F);

impl<F: Formatter> Formatter for Harmless<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        let mut at = 0;
        for (character, escape) in to_escape(fragment) {
            let behind = at + character.len_utf8();
            // What is before a fragment is no blank: it is a quote or an escape.
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
