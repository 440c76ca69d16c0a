//! What the fuzzers call, one function a reader of what others write, and one for what we write of it.
//!
//! Compiled for tests, which replay `fuzz/corpus`, and for `cargo fuzz`, which sets `cfg(fuzzing)`; never for a release.
//! Each function takes any bytes and panics if a promise is broken: what is accepted is written again to the same bytes,
//! and nothing that is rendered can be mistaken for something else.

use std::io::{BufReader, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::baseline::fuzzed as baseline;
use crate::compare::{self, Comparison};
use crate::container::fuzzed as container;
use crate::declaration::{Declaration, Format};
use crate::manifest::list::List;
use crate::manifest::{Boundary, Cause, Content, Crossing, Kind, Record, Sha256Digest, Unverified, json, text};
use crate::path::{EntryPath, is_hazardous};
use crate::remote::{self, Answer, AnswerError};
use crate::report::places::Places;
use crate::report::text::Style;
use crate::report::{self, CheckReport, Outcome, Report, Trouble};
use crate::sandbox::Enforced;
use crate::stat_cache::file as stat_cache_file;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 12] = [
    ("lock_json", lock_json),
    ("lock_text", lock_text),
    ("lock_old", lock_old),
    ("declaration_toml", declaration_toml),
    ("declaration_json", declaration_json),
    ("report", report),
    ("tar", tar),
    ("http", http),
    ("request", request),
    ("answer", answer),
    ("stat_cache", stat_cache),
    ("render", render),
];

/// A lock: one that is accepted is written again to the same bytes.
pub fn lock_json(data: &[u8]) {
    let Ok(mut reader) = json::Reader::new(data) else { return };
    let Ok(list) = List::read(&mut reader) else { return };
    let header = reader.header().clone();
    let Ok(digest) = json::digest(&mut list.entries()) else { panic!("a list has no errors") };
    // Without the digests of locks, which `unchecked` leaves out for reach, the header may state another.
    if !cfg!(all(fuzzing, feature = "unchecked")) {
        let mut written = Vec::new();
        assert!(json::write(&mut written, &header, digest, &mut list.entries()).is_ok());
        assert_eq!(written, data);
    }
}

/// A lock as `sha256sum` writes it: what is accepted is written, and read again as the same.
pub fn lock_text(data: &[u8]) {
    let Ok(mut reader) = text::Reader::new(data) else { return };
    let Ok(list) = List::read(&mut reader) else { return };
    let mut written = Vec::new();
    assert!(text::write(&mut written, &mut list.entries()).is_ok());
    let Ok(mut again) = text::Reader::new(&written) else { panic!("not read back: {written:?}") };
    let Ok(again) = List::read(&mut again) else { panic!("not read back: {written:?}") };
    assert_eq!(again, list);
}

/// The locks of the scripts.
pub fn lock_old(data: &[u8]) {
    baseline::old(data);
}

/// A declaration.
pub fn declaration_toml(data: &[u8]) {
    declaration(Format::Toml, data);
}

/// The same as JSON.
pub fn declaration_json(data: &[u8]) {
    declaration(Format::Json, data);
}

fn declaration(format: Format, data: &[u8]) {
    match Declaration::parse("fuzzed", format, data) {
        Err(error) => harmless_lines(&error.to_string()),
        Ok(declared) => {
            assert!(!declared.checks.is_empty());
            for check in &declared.checks {
                let _ = check.selection.includes(b"a/b");
                let _ = check.selection.excludes(b"a/b");
                let _ = check.selection.descends(b"a");
            }
        }
    }
}

/// A report that was kept: one that is accepted is written, and read again as the same.
pub fn report(data: &[u8]) {
    let _ = report::json::head(data);
    let write = |kept: report::json::Kept| -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let written = match kept {
            report::json::Kept::One(parsed) => report::json::write(&mut out, &parsed.into_report().ok()?),
            report::json::Kept::Several(parsed) => report::json::write_fleet(&mut out, &parsed.into_fleet().ok()?),
        };
        assert!(written.is_ok());
        Some(out)
    };
    match report::json::parse_kept(data) {
        Err(error) => harmless_lines(&error.to_string()),
        Ok(kept) => {
            let Some(written) = write(kept) else { return };
            // In the version that wrote it, not in ours, `details` may have other words.
            if !String::from_utf8_lossy(data).contains(env!("CARGO_PKG_VERSION")) {
                return;
            }
            let Ok(again) = report::json::parse_kept(&written) else {
                panic!("not read back: {}", String::from_utf8_lossy(&written))
            };
            assert_eq!(write(again), Some(written));
        }
    }
}

/// An archive that an engine sends.
pub fn tar(data: &[u8]) {
    container::archive(data);
}

/// An engine's answer to a request, over a socket as a real one.
pub fn http(data: &[u8]) {
    // More would not fit into a socket that is written before it is read.
    let data = &data[..data.len().min(16 << 10)];
    let Ok((ours, mut engine)) = UnixStream::pair() else { return };
    if engine.write_all(data).is_ok() && engine.shutdown(Shutdown::Write).is_ok() {
        container::answers(ours.as_fd(), Duration::from_secs(5));
    }
}

/// A request on the server.
pub fn request(data: &[u8]) {
    if let Err(trouble) = remote::request::parse(data) {
        harmless_lines(&trouble.problem);
    }
}

/// What is asked for in [`answer`].
const ASKED: &str = r#"
    [check.tree]
    kind = "trees"
    root = "r"
    [check.files]
    kind = "files"
    root = "r"
    include = ["**"]
    attributes = ["mode", "owner", "xattrs"]
    [check.images]
    kind = "containers"
    socket = "/run/s"
    attributes = ["state", "mounts", "networks", "ports", "labels", "env"]
"#;

/// A server's answer, compared with locks of nothing.
pub fn answer(data: &[u8]) {
    let Ok(declared) = Declaration::parse("asked", Format::Toml, ASKED.as_bytes()) else {
        panic!("the declaration is good")
    };
    let read = || -> Result<(), AnswerError> {
        let (mut answer, _) = Answer::new(BufReader::with_capacity(100, data))?;
        let mut budget = 1 << 20;
        for check in &declared.checks {
            let Ok(mut collected) = answer.check(check)? else { continue };
            let compared = compare::compare_within(&mut budget, &mut List::default().entries(), &mut collected);
            let finished = collected.finish(&mut budget)?;
            assert!(finished.touched.is_sorted() && finished.mounts.is_sorted());
            adds_up(&compared.ok());
        }
        answer.end()
    };
    if let Err(error) = read() {
        harmless_lines(&error.to_string());
    }
}

fn adds_up(compared: &Option<Comparison>) {
    if let Some(Comparison { drift, unverified, counts, left_out }) = compared {
        assert_eq!(counts.entries, counts.verified + counts.drifted + counts.unverified);
        assert_eq!(counts.unverified, unverified.len() as u64 + left_out.unverified);
        assert!(counts.drifted >= drift.len() as u64 + left_out.drifted);
    }
}

/// A stat cache: one that is accepted is written again to the same bytes.
pub fn stat_cache(data: &[u8]) {
    let binding = Sha256Digest(data.get(16..48).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 32]));
    let booted = data.get(48..56).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes);
    let origin = stat_cache_file::Origin { binding, booted };
    let Ok(facts) = stat_cache_file::read(&mut &*data, data.len() as u64, &origin) else { return };
    let mut written = Vec::new();
    assert!(stat_cache_file::write(&mut written, &origin, &facts).is_ok());
    let stated = data.len().saturating_sub(32);
    assert_eq!(written.get(..stated), data.get(..stated));
}

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
fn harmless_lines(text: &str) {
    for character in text.chars().filter(|&character| character != '\n') {
        assert!(!is_hazardous(character), "{character:?} in {text:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every seed, and every input that once broke something, through its target.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test opens what it likes by name")]
    fn the_corpus_is_replayed() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let mut directories: Vec<_> = std::fs::read_dir(&corpora)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        directories.sort();
        let mut names = TARGETS.map(|(name, _)| name);
        names.sort_unstable();
        assert_eq!(directories, names, "each target has a corpus, and each corpus a target");
        for (name, target) in TARGETS {
            let mut seeds = 0;
            for seed in std::fs::read_dir(corpora.join(name)).unwrap() {
                let bytes = std::fs::read(seed.unwrap().path()).unwrap();
                target(&bytes);
                // What a fuzzer does first.
                for cut in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
                    target(&bytes[..cut]);
                }
                seeds += 1;
            }
            assert!(seeds > 0, "{name}");
        }
    }
}
