//! Any report in any form: what we write of words that are not ours.

use std::time::Duration;

use crate::compare;
use crate::manifest::list::List;
use crate::manifest::{Boundary, Cause, Content, Crossing, Kind, Record, Sha256Digest, Unverified};
use crate::path::{EntryPath, is_hazardous};
use crate::report::places::Places;
use crate::report::text::Style;
use crate::report::{self, CheckReport, Outcome, Report, Trouble};
use crate::sandbox::Enforced;

/// Texts from bytes: names, roots, links and words that want to be something else.
struct Words<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);

impl<'a> Words<'a> {
    fn bytes(&mut self) -> &'a [u8] {
        self.0.next().unwrap_or_default()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// A report with these words in every place that is not ours to write.
#[must_use]
pub fn report_of(data: &[u8]) -> Report {
    let mut words = Words(data.split(|&byte| byte == 0));
    let record = |content| Ok(Record { content, attributes: None });
    let digest = |byte| Sha256Digest([byte; 32]);
    let root = words.text();
    let (mut locked, mut live, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..8_u8 {
        let (path, other) = (words.bytes(), words.bytes());
        let Ok(path) = EntryPath::new(path) else { continue };
        paths.push(path.as_bytes().to_vec());
        let file = |byte| Content::File { executable: false, size: 1, sha256: digest(byte) };
        let link = Content::Symlink { target: other.into() };
        match number {
            0 => live.push((path, record(file(1)))),
            1 => locked.push((path, record(file(2)))),
            2 => locked.push((path, record(file(3)))),
            3 => live.push((path, record(file(3)))),
            4 => live.push((path, Err(Unverified::Reported(Cause::Io, String::from_utf8_lossy(other).into())))),
            5 => live.push((path, Err(Unverified::Below(other.into())))),
            _ => {
                locked.push((path.clone(), record(link)));
                live.push((path, record(Content::Fifo)));
            }
        }
    }
    paths.sort();
    paths.dedup();
    let (locked, live) = (List::new(locked), List::new(live));
    let comparison = compare::compare(&mut locked.entries(), &mut live.entries()).unwrap_or_default();
    let counts = comparison.counts;
    let live_digest = (counts.unverified == 0).then(|| digest(if counts.drifted == 0 { 4 } else { 5 }).sri());
    let mounts =
        (0..).zip(&paths).map(|(number, path)| Crossing::into(Boundary::ALL[number % 3], path.clone())).collect();
    let touched = if comparison.counts.entries >= paths.len() as u64 { paths.clone() } else { Vec::new() };
    let check = |name: &str, root: &str, outcome| CheckReport {
        name: name.to_owned(),
        kind: Kind::Trees,
        root: root.to_owned(),
        resolved_root: Some(root.to_owned()),
        lock: root.to_owned(),
        outcome,
        mounts: Vec::new(),
        uncovered: Vec::new(),
        uncovered_is_trouble: false,
        touched: Vec::new(),
        trusted: 0,
        old_lock: None,
    };
    let (problem, remedy) = (words.text(), words.text());
    let trouble =
        Trouble { problem: crate::path::Prose(&problem).to_string(), remedy: crate::path::Prose(&remedy).to_string() };
    let compared = Outcome::Compared { comparison, digest: Some(digest(4).sri()), live_digest };
    let missing = words.text();
    Report {
        timestamp: "20260129_153042".to_owned(),
        started: "2026-01-29T15:30:42+09:00".to_owned(),
        previous: None,
        duration: Duration::from_millis(1),
        bytes: 1,
        window: None,
        missing_locks: vec![missing.clone()],
        checks: vec![
            CheckReport { mounts, touched, ..check("tree", &root, compared) },
            check("failed", &root, Outcome::Failed(trouble)),
            check("missing", &missing, Outcome::NoLock),
        ],
        sandbox: Enforced { landlock: None, seccomp: false },
        server: None,
        ground: None,
    }
}

/// A report in every form.
#[must_use]
pub fn forms(report: &Report) -> [(&'static str, String); 8] {
    let form = |name, write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut out = Vec::new();
        assert!(write(&mut out).is_ok(), "{name}");
        let Ok(out) = String::from_utf8(out) else { panic!("{name} is not UTF-8") };
        (name, out)
    };
    let places = Places::default();
    let context = || report::prometheus::Context { run: "run", ..report::prometheus::Context::default() };
    [
        form("text", &|out| report::text::write(out, report, Style::default(), None)),
        form("json", &|out| report::json::write(out, report)),
        form("github", &|out| report::github::write(out, report, &places)),
        form("junit", &|out| report::junit::write(out, report)),
        form("sarif", &|out| report::sarif::write(out, report, &places)),
        form("slack", &|out| report::slack::write(out, report, "title")),
        form("prometheus", &|out| report::prometheus::write(out, report, context())),
        form("html", &|out| report::html::write(out, report, "title")),
    ]
}

/// Any report in any form: nothing in it is taken for more than text. What XML is, `fuzz/fuzz_targets/render.rs` asks a
/// parser that is not ours.
pub fn render(data: &[u8]) {
    let report = report_of(data);
    // No word opens an element: with another character in its place, there are as many.
    if !data.contains(&b'=') {
        let other: Vec<_> = data.iter().map(|&byte| if byte == b'<' { b'=' } else { byte }).collect();
        let elements = |report: &Report| forms(report)[7].1.matches('<').count();
        assert_eq!(elements(&report), elements(&report_of(&other)));
    }
    let failed = report.checks.iter().filter(|check| check.drifted() || check.troubled()).count();
    for (name, form) in forms(&report) {
        harmless_lines(&form);
        match name {
            "json" => {
                let Ok(report::json::Kept::One(parsed)) = report::json::parse_kept(form.as_bytes()) else {
                    panic!("not read back: {form}")
                };
                let Ok(again) = parsed.into_report() else { panic!("not read back: {form}") };
                assert_eq!(forms(&again)[1].1, form);
            }
            "sarif" | "slack" => {
                let read: Result<serde_json::Value, _> = serde_json::from_str(&form);
                assert!(read.is_ok(), "{form}");
            }
            "text" => {
                for line in form.lines() {
                    let tag = [
                        "[INFO]",
                        "[PASS]",
                        "[FAIL]",
                        "[WARN]",
                        "[SKIP]",
                        "    ",
                        "  ",
                        "=",
                        "Total",
                        "Passed",
                        "Failed",
                        "Skipped",
                        "Entries: ",
                        "OVERALL: FAIL",
                    ];
                    assert!(line.is_empty() || tag.iter().any(|tag| line.starts_with(tag)), "{line:?}");
                }
                assert_eq!(form.matches("\n[PASS] ").count(), 2 - failed, "{form}");
            }
            "github" => {
                for line in form.lines() {
                    let command = ["::error ", "::warning ", "::notice "];
                    assert!(command.iter().any(|command| line.starts_with(command)), "{line:?}");
                }
            }
            "prometheus" => {
                for line in form.lines() {
                    assert!(line.starts_with("# ") || line.starts_with("driftlock_"), "{line:?}");
                }
            }
            _ => {}
        }
    }
}

/// Text for people: no character in it moves the cursor, ends a line of ours, or changes the order of the others.
pub(super) fn harmless_lines(text: &str) {
    for character in text.chars().filter(|&character| character != '\n') {
        assert!(!is_hazardous(character), "{character:?} in {text:?}");
    }
}
