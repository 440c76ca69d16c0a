//! Encodes the answer of `driftlock collect`.

use std::io::{self, Write};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{PROTOCOL, inventory};
use crate::container::Inventory;
use crate::digest::Sha256;
use crate::error::Error;
use crate::manifest::{Crossing, Entries as _, UncoveredItem, Unverified, json::entry_line};
use crate::sandbox::Enforced;
use crate::session::Collected;

/// Writes the first line: the version, and which layers of the sandbox hold.
///
/// # Errors
/// Those of `out`.
pub fn hello(out: &mut impl Write, enforced: &Enforced) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Hello {
        driftlock_collect: u64,
        driftlock: &'static str,
        landlock: Option<u32>,
        seccomp: bool,
    }
    let hello = Hello {
        driftlock_collect: PROTOCOL,
        driftlock: env!("CARGO_PKG_VERSION"),
        landlock: enforced.landlock.as_ref().map(|landlock| landlock.abi),
        seccomp: enforced.seccomp,
    };
    out.write_all(&serde_json::to_vec(&hello)?)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes the progress of the walk, which also shows that the connection is alive.
///
/// # Errors
/// Those of `out`.
pub fn progress(out: &mut impl Write, entries: u64, bytes: u64) -> io::Result<()> {
    writeln!(out, "{{\"progress\":{{\"entries\":{entries},\"bytes\":{bytes}}}}}")?;
    out.flush()
}

/// Writes why there is no answer.
///
/// # Errors
/// Those of `out`.
pub fn failed(out: &mut impl Write, trouble: &Error) -> io::Result<()> {
    writeln!(out, "{}", json!({ "failed": trouble_value(trouble) }))?;
    out.flush()
}

/// Writes one check: all its lines, or why it failed.
///
/// # Errors
/// Those of `out`.
pub fn check(
    out: &mut impl Write,
    name: &str,
    resolved_root: Option<&str>,
    collection: &Result<Collected, Error>,
) -> io::Result<()> {
    let trouble = collection.as_ref().err().map(trouble_value);
    let mut lines = Lines { out, hasher: Sha256::new(), count: 0 };
    // `json!` would sort the keys.
    let (quoted, resolved, trouble) = (json!(name), json!(resolved_root), json!(trouble));
    writeln!(lines.out, "{{\"check\":{quoted},\"resolved_root\":{resolved},\"failed\":{trouble}}}")?;
    if let Ok(collection) = collection {
        for Crossing { path, what } in &collection.mounts {
            let what = what.name();
            lines.line(&match std::str::from_utf8(path) {
                Ok(path) => json!({ "mount": path, "what": what }).to_string(),
                Err(_) => json!({ "mount_base64": BASE64.encode(path), "what": what }).to_string(),
            })?;
        }
        for uncovered in &collection.uncovered {
            lines.line(&json!({ "uncovered": UncoveredItem::from(uncovered) }).to_string())?;
        }
        for path in &collection.touched {
            lines.line(&match std::str::from_utf8(path) {
                Ok(path) => json!({ "touched": path }).to_string(),
                Err(_) => json!({ "touched_base64": BASE64.encode(path) }).to_string(),
            })?;
        }
        let mut entries = collection.entries();
        while let Some(entry) = entries.next().map_err(io::Error::other)? {
            lines.line(&match entry.state {
                Ok(record) => entry_line(entry.path, record),
                Err(reason) => {
                    let cause = reason.cause().name();
                    let reason = match reason {
                        Unverified::Absent => json!(null),
                        reason => json!(reason.to_string()),
                    };
                    match std::str::from_utf8(entry.path) {
                        Ok(path) => {
                            format!("{{\"unverified\":{reason},\"cause\":\"{cause}\",\"path\":{}}}", json!(path))
                        }
                        Err(_) => {
                            format!(
                                "{{\"unverified\":{reason},\"cause\":\"{cause}\",\"path_base64\":\"{}\"}}",
                                BASE64.encode(entry.path)
                            )
                        }
                    }
                }
            })?;
        }
    }
    lines.end(&quoted)
}

/// Writes the inventory of an engine: all its lines, or why it failed.
///
/// # Errors
/// Those of `out`.
pub fn engine(out: &mut impl Write, socket: &str, inventory: &Result<Inventory, Error>) -> io::Result<()> {
    let (quoted, failed) = (json!(socket), json!(inventory.as_ref().err().map(trouble_value)));
    let mut lines = Lines { out, hasher: Sha256::new(), count: 0 };
    writeln!(lines.out, "{{\"engine\":{quoted},\"failed\":{failed}}}")?;
    if let Ok(inventory) = inventory {
        inventory::lines(inventory, |line| lines.line(line))?;
    }
    lines.end(&quoted)
}

/// Writes the end of the answer, with the number of checks and engines.
///
/// # Errors
/// Those of `out`.
pub fn done(out: &mut impl Write, sections: usize) -> io::Result<()> {
    writeln!(out, "{{\"done\":{sections}}}")?;
    out.flush()
}

fn trouble_value(trouble: &Error) -> Value {
    json!({ "problem": trouble.problem, "remedy": trouble.help })
}

/// The lines of a check or an engine, between its first and last line.
struct Lines<'a, W> {
    out: &'a mut W,
    hasher: Sha256,
    count: u64,
}

impl<W: Write> Lines<'_, W> {
    fn line(&mut self, line: &str) -> io::Result<()> {
        for bytes in [line.as_bytes(), b"\n"] {
            self.hasher.update(bytes);
            self.out.write_all(bytes)?;
        }
        self.count += 1;
        Ok(())
    }

    /// Writes the last line.
    fn end(self, name: &Value) -> io::Result<()> {
        let (count, digest) = (self.count, self.hasher.finish().sri());
        writeln!(self.out, "{{\"end\":{name},\"lines\":{count},\"digest\":\"{digest}\"}}")
    }
}
