//! What changed between two states, without the frame of a report: for `driftlock lock` and `driftlock diff`.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Status;
use super::difference::Difference;
pub use super::format::{counted, grouped as number};
use super::format::{grouped, shown_path};
use super::group;
use super::json::{self, drift_item};
use super::text::describe;
use crate::compare::{Comparison, Drift, UnverifiedEntry};
use crate::manifest::Kind;
use crate::path::{cut, escaped};

/// The most lines to show; the others are only counted. `--json` has every entry.
const LINES: usize = 200;

/// Writes one line for each entry that differs or could not be read, indented by four blanks. Escaped, as every text
/// report.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, kind: Kind, root: &str, found: &Comparison) -> io::Result<()> {
    let groups = group::groups(kind, &found.drift);
    let items: Vec<_> = groups.iter().flat_map(|group| &group.items).collect();
    for item in items.iter().take(LINES) {
        let (label, text) = describe::item(root, item);
        writeln!(out, "{}", cut(format!("    {label}: {} ({text})", shown_path(root, item.path))))?;
    }
    let hidden: u64 = items.iter().skip(LINES).map(|item| item.entries()).sum();
    if hidden > 0 {
        writeln!(out, "    … and {} more; --json has every entry", grouped(hidden))?;
    }
    for entry in found.unverified.iter().take(LINES) {
        let reason = entry.reason.to_string();
        let (path, reason) = (shown_path(root, entry.path.as_bytes()), escaped(reason.as_bytes()));
        writeln!(out, "{}", cut(format!("    unverified: {path} ({reason})")))?;
    }
    if !found.left_out.is_nothing() {
        let (drifted, unverified) = (grouped(found.left_out.drifted), grouped(found.left_out.unverified));
        writeln!(
            out,
            "    … and {drifted} that differ and {unverified} that could not be read: more than a run keeps"
        )?;
    }
    if let Some(hidden) = found.unverified.len().checked_sub(LINES).filter(|&hidden| hidden > 0) {
        writeln!(out, "    … and {} more that could not be read", grouped(hidden as u64))?;
    }
    Ok(())
}

/// `1 entry`, `4,812 entries`.
#[must_use]
pub fn entries(number: u64) -> String {
    counted(number, "entry", "entries")
}

/// A comparison as JSON: `drift`, `unverified` and `counts`, as in a report.
#[must_use]
pub fn value(found: &Comparison) -> Value {
    json!({
        "drift": json::drift(&found.drift),
        "unverified": json::unverified(&found.unverified),
        "left_out": found.left_out,
        "counts": found.counts,
    })
}

/// The difference between two reports as JSON: the checks that differ, and what is new, gone or changed in each.
#[must_use]
pub fn between_reports(difference: &Difference<'_>) -> Value {
    let checks: Vec<_> = difference
        .checks
        .iter()
        .map(|check| {
            let path =
                |entry: &&UnverifiedEntry| json!({"path": entry.path.to_string(), "reason": entry.reason.to_string()});
            let paths = |entries: &[&UnverifiedEntry]| entries.iter().map(path).collect();
            let items = |drift: &[&Drift]| drift.iter().map(|drift| drift_item(drift)).collect::<Vec<_>>();
            let changed = check.drift.changed.iter();
            let (new, gone): (Vec<_>, Vec<_>) = (paths(&check.unverified.new), paths(&check.unverified.gone));
            json!({
                "name": check.name,
                "status": check.status.map(|status| status.map(Status::word)),
                "lock_changed": check.lock_changed,
                "reason": check.reason,
                "drift": {
                    "new": items(&check.drift.new),
                    "gone": items(&check.drift.gone),
                    "changed": changed.map(|(was, is)| json!([drift_item(was), drift_item(is)])).collect::<Vec<_>>(),
                },
                "unverified": { "new": new, "gone": gone },
            })
        })
        .collect();
    json!({ "checks": checks })
}
