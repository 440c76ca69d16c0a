//! The report as SARIF 2.1.0, for what shows the findings of analyzers (GitHub's code scanning, editors).
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; the tests hold this against its
//! JSON schema. A result points to the line of the lock or of the declaration; the entry itself, which may be on
//! another machine, is its logical location.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::findings::{self, Finding, headline};
use super::json::write_value;
use super::places::{Place, Places};
use super::words::{Prose, shown};
use super::{CheckReport, Report};
use crate::compare::Change;
use crate::digest::Sha256;

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, places: &Places) -> io::Result<()> {
    let rules = rules();
    let results: Vec<_> = report
        .checks
        .iter()
        .flat_map(|check| findings::of(check).into_iter().map(move |finding| (check, finding)))
        .map(|(check, finding)| {
            let expected = report.window_is_open() && !finding.is_trouble();
            result(check, finding, &places.of(check, finding), expected)
        })
        .collect();
    let trouble = report.exit_code() & 2 != 0;
    let window = report.window.as_ref();
    let run = json!({
        "tool": {
            "driver": {
                "name": "driftlock",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            },
        },
        "invocations": [{
            "executionSuccessful": !trouble,
            "exitCode": report.exit_code(),
            "startTimeUtc": report.started.parse::<jiff::Timestamp>().map(|time| time.to_string()).unwrap_or_default(),
            "toolExecutionNotifications": report.sandbox.missing().map(|missing| json!({
                "level": "warning",
                "message": { "text": format!("{missing} did not hold during this run") },
            })).collect::<Vec<_>>(),
        }],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "headline": headline(report),
            "window": window.map(|window| json!({ "until": window.until(), "reason": window.reason })),
        },
    });
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    write_value(out, &log)
}

/// Every rule there is, in an order that does not depend on what was found.
fn rules() -> Vec<Value> {
    let changes = Change::ALL.map(|change| {
        let name = change.name();
        (name, format!("An entry drifted from its lock: {}", name.replace('_', " ")))
    });
    let others = [
        ("missing_lock", "A check has no lock file"),
        ("unverified", "An entry could not be read, or did not hold still"),
        ("trouble", "A check could not be carried out"),
    ];
    changes
        .into_iter()
        .chain(others.map(|(name, text)| (name, text.to_owned())))
        .map(|(name, text)| json!({ "id": name, "shortDescription": { "text": text } }))
        .collect()
}

fn result(check: &CheckReport, finding: Finding<'_>, place: &Place, expected: bool) -> Value {
    let rule = finding.rule();
    let path = match finding {
        Finding::Drift(drift) => Some(&drift.path),
        Finding::Unverified(entry) => Some(&entry.path),
        Finding::Failed(_) | Finding::MissingLock => None,
    };
    let name = Prose(&check.name).to_string();
    let entry = path.map_or_else(|| name.clone(), |path| shown(&check.root, path.as_bytes()));
    // The same finding of two runs is the same alert, whatever line of the lock it is on.
    let mut identity = Sha256::new();
    for part in [check.name.as_bytes(), rule.as_bytes(), path.map_or(&b""[..], |path| path.as_bytes())] {
        identity.update(part);
        identity.update(b"\0");
    }
    let mut artifact = json!({ "uri": uri(&place.file) });
    if !place.file.starts_with('/') {
        artifact["uriBaseId"] = json!("%SRCROOT%");
    }
    json!({
        "ruleId": rule,
        "level": if expected { "note" } else { "error" },
        "message": { "text": finding.message(check) },
        "locations": [{
            "physicalLocation": { "artifactLocation": artifact, "region": { "startLine": place.line } },
            "logicalLocations": [{ "fullyQualifiedName": entry, "kind": "resource" }],
        }],
        "partialFingerprints": { "driftlockEntry/v1": identity.finish().hex() },
        "properties": { "check": name },
    })
}

/// A path as a relative reference, or as a URI of the scheme `file`. Source: RFC 3986, sections 2.3 and 4.2.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri("audit/locks/a b:c#%.json"), "audit/locks/a%20b%3Ac%23%25.json");
        assert_eq!(uri("/srv/é"), "file:///srv/%C3%A9");
    }
}
