//! The report as SARIF 2.1.0, for tools that show the findings of analyzers (GitHub's code scanning, editors).
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; the tests validate the output
//! with its JSON schema. A result points to a line of the lock or of the declaration. The entry itself, which may be on
//! another machine, is the logical location. Several servers are in one SARIF run.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Report;
use super::findings::{self, Failed, Finding, headline, warnings};
use super::format::{Prose, counted, shown_path};
use super::json::write_value;
use super::places::{Place, Places};
use crate::compare::Change;
use crate::digest::Sha256;
use crate::manifest::Uncovered;
use crate::path::escaped;

/// The most results of a run. GitHub shows 5,000 and silently drops the others; it refuses a file with more than
/// 25,000.
///
/// Source: GitHub's documentation, "SARIF results exceed one or more limits".
pub const MOST: usize = 5000;

/// The rule of the result that counts the results that were left out.
const LEFT_OUT: &str = "left_out";

/// Writes the report. If there are too many findings, each check gets a share, and a last result counts the rest.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, places: &Places) -> io::Result<()> {
    let failed = findings::all(report);
    let lengths = failed.iter().map(|failed| failed.findings.len());
    let number: usize = lengths.clone().sum();
    let share = if number > MOST { findings::share(lengths, MOST - 1) } else { MOST };
    let shown = failed.iter().flat_map(|failed| failed.findings.iter().take(share).map(move |&one| (failed, one)));
    let shown = shown.take(if number > MOST { MOST - 1 } else { MOST });
    let window_is_open = report.run.window_is_open();
    let mut results: Vec<_> = shown
        .map(|(failed, finding)| {
            let expected = window_is_open && !finding.is_trouble();
            result(failed, finding, &failed.place(finding, places), expected)
        })
        .collect();
    if number > results.len() {
        results.push(left_out(number - results.len(), &places.declaration()));
    }
    let trouble = report.exit_code() & 2 != 0;
    let run = json!({
        "tool": {
            "driver": {
                "name": "driftlock",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(),
            },
        },
        "invocations": [{
            "executionSuccessful": !trouble,
            "exitCode": report.exit_code(),
            "startTimeUtc": report.run.started.parse::<jiff::Timestamp>().map(|time| time.to_string()).unwrap_or_default(),
            "toolExecutionNotifications": report
                .run
                .sandbox
                .missing()
                .map(|missing| format!("{missing} did not hold during this run"))
                .chain(warnings(report))
                .map(|text| json!({ "level": "warning", "message": { "text": plain(&text) } }))
                .collect::<Vec<_>>(),
        }],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "headline": headline(report),
            "window": report.run.window.as_ref().map(|window| json!({ "until": window.until(), "reason": window.reason })),
        },
    });
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    write_value(out, &log)
}

/// All rules, always in the same order.
fn rules() -> Vec<Value> {
    let changes = Change::ALL.map(|change| {
        let name = change.name();
        (name, format!("An entry drifted from its lock: {}", name.replace('_', " ")))
    });
    let others = [
        ("missing_lock", "A check has no lock file"),
        ("unverified", "An entry could not be read, or did not hold still"),
        ("uncovered", "A glob matches nothing, or a link leads to what no check covers"),
        ("trouble", "A check could not be carried out, or a server could not be collected"),
        (LEFT_OUT, "There are more findings than this format has room for"),
    ];
    changes
        .into_iter()
        .chain(others.map(|(name, text)| (name, text.to_owned())))
        .map(|(name, text)| json!({ "id": name, "shortDescription": { "text": text } }))
        .collect()
}

fn result(failed: &Failed<'_>, finding: Finding<'_>, place: &Place, expected: bool) -> Value {
    let rule = finding.rule();
    let path = match finding {
        Finding::Drift(drift) => Some(&drift.path),
        Finding::Unverified(entry) => Some(&entry.path),
        Finding::Uncovered(Uncovered::Link { path, .. }) => Some(path),
        Finding::Uncovered(Uncovered::Glob { .. }) | Finding::Failed(_) | Finding::MissingLock => None,
    };
    let name = Prose(failed.name()).to_string();
    let server = failed.server().map(|server| escaped(server.as_bytes()).to_string());
    let of_server = |text: String| server.as_ref().map_or(text.clone(), |server| format!("{server}: {text}"));
    let entry = path.map_or_else(|| name.clone(), |path| shown_path(failed.root(), path.as_bytes()));
    // A finding keeps its alert from run to run, even if its line in the lock changes.
    let mut identity = Sha256::new();
    let path = path.map_or(&b""[..], |path| path.as_bytes());
    for part in [failed.name().as_bytes(), rule.as_bytes(), path].into_iter().chain(failed.server().map(str::as_bytes))
    {
        identity.update(part);
        identity.update(b"\0");
    }
    json!({
        "ruleId": rule,
        "level": if expected { "note" } else { "error" },
        "message": { "text": plain(&of_server(failed.message(finding))) },
        "locations": [{
            "physicalLocation": physical(place),
            "logicalLocations": [{ "fullyQualifiedName": of_server(entry), "kind": "resource" }],
        }],
        "partialFingerprints": { "driftlockEntry/v1": identity.finish().hex() },
        "properties": { "check": name },
    })
}

/// A message without links. In SARIF, `[text](target)` in a message is a link, even in a file name.
///
/// Source: SARIF 2.1.0, section 3.11.6.
fn plain(text: &str) -> String {
    text.replace("](", "]\\u{28}")
}

fn left_out(number: usize, place: &Place) -> Value {
    let more = counted(number as u64, "more finding is", "more findings are");
    let mut identity = Sha256::new();
    identity.update(LEFT_OUT.as_bytes());
    json!({
        "ruleId": LEFT_OUT,
        "level": "error",
        "message": { "text": format!("{more} left out: the JSON report has every entry") },
        "locations": [{ "physicalLocation": physical(place) }],
        "partialFingerprints": { "driftlockEntry/v1": identity.finish().hex() },
    })
}

fn physical(place: &Place) -> Value {
    let mut artifact = json!({ "uri": uri(&place.file) });
    if !place.file.starts_with('/') {
        artifact["uriBaseId"] = json!("%SRCROOT%");
    }
    json!({ "artifactLocation": artifact, "region": { "startLine": place.line } })
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
    fn a_message_has_no_link() {
        assert_eq!(plain("symlink to [a](https://b) [c](1)"), "symlink to [a]\\u{28}https://b) [c]\\u{28}1)");
    }

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri("audit/locks/a b:c#%.json"), "audit/locks/a%20b%3Ac%23%25.json");
        assert_eq!(uri("/srv/é"), "file:///srv/%C3%A9");
    }
}
