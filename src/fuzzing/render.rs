//! Renders any report in every format.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::harmless_lines;
use crate::compare::{self, DifferenceBudget, Excerpt, Hidden, LONGEST};
use crate::manifest::list::List;
use crate::manifest::{
    Boundary, Cause, Content, Crossing, GlobList, Kind, Record, Sha256Digest, Uncovered, Unverified,
};
use crate::path::{EntryPath, Prose, escaped, is_invisible};
use crate::remote::Head;
use crate::report::next::{Footing, Ground, InGit};
use crate::report::places::{Place, Places};
use crate::report::seal::{SealReport, Sealed};
use crate::report::text::Style;
use crate::report::{
    CheckReport, Error, ErrorKind, HostReport, LOCK_FILES_EXIST, Outcome, Report, RunInfo, SERVER_COLLECTION, Scope,
    ServerReport, Window, github, html, json, junit, prometheus, sarif, slack, text,
};
use crate::sandbox::{Enforced, Landlock, landlock};

/// A report in every format, by name.
pub type Forms = [(&'static str, String); 9];

/// The first byte: one bit for each part that a report may have.
struct Options(u8);

impl Options {
    const fn has(&self, bit: u8) -> bool {
        self.0 & 1 << bit != 0
    }

    const fn several(&self) -> bool {
        self.has(0)
    }

    const fn window(&self) -> bool {
        self.has(1)
    }

    const fn files(&self) -> bool {
        self.has(2)
    }

    const fn uncovered_is_trouble(&self) -> bool {
        self.has(3)
    }

    const fn sandbox(&self) -> bool {
        self.has(4)
    }

    const fn server_failed(&self) -> bool {
        self.has(5)
    }

    /// Whether the reader's location is known, so that each failed check has its next steps.
    const fn ground(&self) -> bool {
        self.has(6)
    }

    const fn git(&self) -> bool {
        self.has(7)
    }
}

/// Texts from the input: names, roots, links and messages that try to be something else.
struct Words<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);

impl<'a> Words<'a> {
    fn bytes(&mut self) -> &'a [u8] {
        self.0.next().unwrap_or_default()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// A text of a [`Error`], with names already escaped.
    fn prose(&mut self) -> String {
        Prose(&self.text()).to_string()
    }
}

/// Creates a report with texts of the input wherever it can have foreign text.
fn report(data: &[u8]) -> Report {
    let (&options, words) = data.split_first().unwrap_or((&0, &[]));
    let options = Options(options);
    let mut words = Words(words.split(|&byte| byte == 0));
    let (run, mut host) = host_of(&mut words, &options);
    if !options.several() {
        return Report { run, hosts: vec![host] };
    }
    let (_, mut other) = host_of(&mut words, &options);
    // Both belong to one run.
    other.seal.clone_from(&host.seal);
    for (other, check) in other.checks.iter_mut().zip(&host.checks) {
        other.name.clone_from(&check.name);
    }
    for host in [&mut host, &mut other] {
        host.server = Some(server_of(&mut words, &options));
    }
    if let (Some(first), Some(second)) = (&host.server, &mut other.server)
        && first.name == second.name
    {
        second.name.push('2');
    }
    Report { run: RunInfo { scope: Scope::Servers, ..run }, hosts: vec![host, other] }
}

fn forms(report: &Report) -> Forms {
    let mut places = Places::default();
    for check in report.hosts.first().iter().flat_map(|host| &host.checks) {
        places.declare(&check.name, Place { file: check.lock.clone(), line: 3 });
    }
    let context = prometheus::Context { run: "run", ..prometheus::Context::default() };
    let narrow = Style { quiet: true, width: Some(40), ..Style::default() };
    [
        ("text", written("text", |out| text::write(out, report, Style::default(), None))),
        ("narrow", written("narrow", |out| text::write(out, report, narrow, None))),
        ("json", json(report)),
        ("html", html(report)),
        ("github", written("github", |out| github::write(out, report, &places))),
        ("junit", written("junit", |out| junit::write(out, report))),
        ("sarif", written("sarif", |out| sarif::write(out, report, &places))),
        ("slack", written("slack", |out| slack::write(out, report, "title"))),
        ("prometheus", written("prometheus", |out| prometheus::write(out, report, context))),
    ]
}

fn json(report: &Report) -> String {
    written("json", |out| json::write(out, report))
}

fn html(report: &Report) -> String {
    written("html", |out| html::write(out, report, "title"))
}

fn written(name: &str, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    assert!(write(&mut out).is_ok(), "{name}");
    let Ok(out) = String::from_utf8(out) else { panic!("{name} is not UTF-8") };
    out
}

fn server_of(words: &mut Words<'_>, options: &Options) -> ServerReport {
    let head = Head { driftlock: words.prose(), landlock: Some(4), seccomp: options.sandbox() };
    let trouble = Error::new(ErrorKind::Recorded, words.prose(), words.prose());
    ServerReport {
        // Declared names consist of letters, digits, `-`, `_` and `.`, and a row of the table starts with one.
        name: format!("s{}", words.text()),
        host: words.text(),
        head: (!options.server_failed()).then_some(head),
        trouble: options.server_failed().then_some(trouble),
    }
}

fn host_of(words: &mut Words<'_>, options: &Options) -> (RunInfo, HostReport) {
    let record = |content| Ok(Record { content, attributes: None });
    let digest = |byte| Sha256Digest([byte; 32]);
    let root = words.text();
    let (mut locked, mut live, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    let mut uncovered = Vec::new();
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
                uncovered.push(Uncovered::Link { path: path.clone(), target: other.into() });
                locked.push((path.clone(), record(link)));
                live.push((path, record(Content::Fifo)));
            }
        }
    }
    uncovered.push(Uncovered::Glob { list: GlobList::Include, glob: words.text() });
    uncovered.sort();
    uncovered.dedup();
    paths.sort();
    paths.dedup();
    let (locked, live) = (List::new(locked), List::new(live));
    let mut comparison =
        compare::compare(&mut DifferenceBudget::unlimited(), &mut locked.entries(), &mut live.entries())
            .unwrap_or_default();
    for (drift, hidden) in comparison.drift.iter_mut().zip(Hidden::ALL.into_iter().cycle()) {
        let line = |sign: &str| sign.chars().chain(words.text().chars().take(LONGEST)).collect();
        let lines = Excerpt::Lines { lines: ["@@", "-", "+", " ", "\\"].map(line).into(), left_out: 1 };
        drift.diff = Some(Box::new(if drift.expected.is_some() { lines } else { Excerpt::Hidden(hidden) }));
    }
    let counts = comparison.counts;
    let live_digest = (counts.unverified == 0).then(|| digest(if counts.drifted == 0 { 4 } else { 5 }).sri());
    let mounts =
        (0..).zip(&paths).map(|(number, path)| Crossing::into(Boundary::ALL[number % 3], path.clone())).collect();
    let touched = if comparison.counts.entries >= paths.len() as u64 { paths.clone() } else { Vec::new() };
    let check = |name: &str, root: &str, outcome| CheckReport {
        name: name.to_owned(),
        kind: if options.files() { Kind::Files } else { Kind::Trees },
        root: root.to_owned(),
        resolved_root: Some(root.to_owned()),
        declared_root: options.files().then(|| root.to_owned()),
        lock: root.to_owned(),
        outcome,
        mounts: Vec::new(),
        uncovered: Vec::new(),
        uncovered_is_trouble: options.uncovered_is_trouble(),
        touched: Vec::new(),
        trusted: 0,
        old_lock: None,
    };
    let trouble = Error::new(ErrorKind::Recorded, words.prose(), words.prose());
    let compared = Outcome::Compared { comparison, digest: Some(digest(4).sri()), live_digest };
    let missing = words.text();
    let name = match words.text() {
        taken if ["tree", "missing", LOCK_FILES_EXIST, SERVER_COLLECTION].contains(&&*taken) => "other".to_owned(),
        name => name,
    };
    let until = if options.uncovered_is_trouble() { "2026-01-29T09:00:00Z" } else { "2026-01-29T05:00:00Z" };
    let window = options.window().then(|| Window::new(until, &escaped(words.bytes()).to_string()).ok()).flatten();
    let landlock = Landlock { abi: 4, restrictions: landlock::restriction("tcp").into_iter().collect() };
    let run = RunInfo {
        scope: Scope::ThisMachine,
        timestamp: "20260129_153042".to_owned(),
        started: "2026-01-29T15:30:42+09:00".to_owned(),
        previous: None,
        window,
        sandbox: Enforced { landlock: options.sandbox().then_some(landlock), seccomp: options.sandbox() },
        ground: options.ground().then(|| ground_of(&name, &root, options)),
    };
    let checks = vec![
        CheckReport { mounts, touched, uncovered, ..check("tree", &root, compared) },
        check(&name, &root, Outcome::Failed(trouble)),
        check("missing", &missing, Outcome::NoLock),
    ];
    let seal = (!options.sandbox()).then(|| Arc::new(seal_of(&name, &root)));
    (run, HostReport { server: None, seal, duration: Duration::from_millis(1), bytes: 1, checks })
}

/// A seal of any signer, which is not what is there.
fn seal_of(name: &str, root: &str) -> SealReport {
    let sealed = Sealed {
        serial: 12,
        signer: name.to_owned(),
        key: "ed25519".to_owned(),
        fingerprint: root.to_owned(),
        declaration: Some(root.to_owned()),
    };
    let trouble = Error::new(ErrorKind::Recorded, Prose(name).to_string(), Prose(root).to_string());
    SealReport { sealed: Some(sealed), troubles: vec![trouble] }
}

/// Every check is in the reader's git work tree, or none is known to git.
fn ground_of(name: &str, root: &str, options: &Options) -> Ground {
    let footing = Footing {
        local: !options.server_failed(),
        place: root.to_owned(),
        git: options.git().then(|| InGit { root: root.into(), lock: name.into() }),
        reference: options.sandbox(),
        engine: None,
    };
    let checks = [name, "tree", "missing"].map(|check| (check.to_owned(), footing.clone())).into();
    let ssh = [("web".to_owned(), "ssh web".to_owned())].into();
    Ground {
        config: options.files().then(|| name.into()),
        as_server: None,
        base: name.into(),
        below_work_tree: root.into(),
        checks,
        ssh,
    }
}

/// Replaces one byte by another, if that does not make different texts equal.
fn replaced(data: &[u8], byte: u8, other: u8) -> Option<Vec<u8>> {
    let (_, words) = data.split_first()?;
    let replaced = words.iter().map(|&found| if found == byte { other } else { found });
    let possible = words.contains(&byte) && !words.contains(&other);
    possible.then(|| data[..1].iter().copied().chain(replaced).collect())
}

/// Renders a report with these texts, and checks that no format can mistake them for more than text.
/// `fuzz/fuzz_targets/render.rs` checks what other parsers make of the output.
///
/// # Panics
/// A promise is broken.
#[must_use]
pub fn rendered(data: &[u8]) -> Forms {
    let report = report(data);
    let forms = forms(&report);
    for (name, form) in &forms {
        harmless_lines(form);
        assert!(!form.contains("##"), "{name} has a command of Azure's: {form}");
        assert!(!form.chars().any(is_invisible), "{name} has what is not seen: {form}");
        let command = |line: &&str| line.trim_start().starts_with("::");
        match *name {
            "github" => form.lines().for_each(github_line),
            "text" | "narrow" => form.lines().for_each(text_line),
            _ => {}
        }
        if *name != "github" {
            assert_eq!(form.lines().find(command), None, "{name} has a command of GitHub's");
        }
    }
    same_words_are_one_shape(data, &report, &forms);
    read_back(&forms[2].1);
    forms
}

/// No text opens an element or ends a line: with another character in its place, the number of these is the same.
fn same_words_are_one_shape(data: &[u8], report: &Report, forms: &Forms) {
    if let Some(other) = replaced(data, b'<', b'=') {
        let elements = |page: &str| page.matches('<').count();
        assert_eq!(elements(&html(report)), elements(&html(&self::report(&other))));
    }
    // Both characters are escaped and adjacent, so the order of all paths is the same.
    if let Some(other) = replaced(data, b'\n', b'\x0b') {
        for ((name, form), (_, other)) in forms.iter().zip(self::forms(&self::report(&other))) {
            assert_eq!(form.lines().count(), other.lines().count(), "{name}: {form}{other}");
        }
    }
}

/// A report that is kept as JSON is read again as the same.
fn read_back(form: &str) {
    let kept = json::read(form.as_bytes());
    let again = kept.unwrap_or_else(|error| panic!("not read back: {error}: {form}"));
    assert_eq!(json(&again), form);
}

/// A line for GitHub: one of our commands, or a line of the log that is not a command.
fn github_line(line: &str) {
    let ours = ["::error file=", "::warning file=", "::error title=", "::warning title=", "::notice title="];
    let is_command = line.trim_start().starts_with("::");
    assert!(!is_command || ours.into_iter().any(|begin| line.starts_with(begin)), "{line:?}");
}

/// A line of text starts with our own words, or with a server's name in the table, which contains no brackets of tags.
fn text_line(line: &str) {
    let tags = ["[INFO] ", "[PASS] ", "[FAIL] ", "[WARN] ", "[SKIP] "];
    if line.starts_with('[') {
        assert!(tags.iter().any(|tag| line.starts_with(tag)), "{line:?}");
    }
}
