//! The findings of one check: every drift with the locked and the live state, and every unverified entry with its
//! reason.

use std::io::{self, Write};

use super::element::{Text, badge};
use crate::compare::{Change, Drift, Excerpt};
use crate::manifest::{Content, Record};
use crate::path::escaped;
use crate::report::findings::{emptied, sentence};
use crate::report::format::{Prose, counted, grouped, joined, shown_path};
use crate::report::group::{self, Item, Shape};
use crate::report::next::{self, Next};
use crate::report::text::describe;
use crate::report::{CheckReport, HostReport, Outcome, RunInfo, alike, uncovered};

/// The most items of one list to show, if there are not many lists. The others are only counted; the JSON has them.
pub(super) const ITEMS: usize = 500;

/// Whether there is more than the table shows.
pub(super) fn has_card(check: &CheckReport) -> bool {
    let troubled = matches!(check.outcome, Outcome::Failed(_) | Outcome::Compared { .. }) && check.troubled();
    check.drifted() || troubled || !check.mounts.is_empty() || !check.uncovered.is_empty() || !check.touched.is_empty()
}

/// Writes the card of the check, if it has one, with at most `items` of each list.
pub(super) fn write(
    out: &mut impl Write,
    index: usize,
    (run, host, check): (&RunInfo, &HostReport, &CheckReport),
    items: usize,
) -> io::Result<()> {
    if !has_card(check) {
        return Ok(());
    }
    let name = Prose(&check.name).to_string();
    write!(out, "<section class=\"card\" id=\"check-{index}\">\n<header><h2>{} ", Text(&name))?;
    super::result(out, check)?;
    writeln!(out, "</h2><span class=\"under\">{}</span>", Text(&sentence(check)))?;
    let facts = [
        ("lock", Some(&check.lock)),
        ("root", check.resolved_root.as_ref()),
        ("declared root", check.declared_root.as_ref()),
    ];
    for (what, value) in facts {
        if let Some(value) = value {
            let value = escaped(value.as_bytes()).to_string();
            writeln!(out, "<span class=\"under\">{what} <code>{}</code></span>", Text(&value))?;
        }
    }
    writeln!(out, "</header>")?;
    match &check.outcome {
        Outcome::Failed(trouble) => {
            writeln!(out, "<p>{}", Text(&Prose(&trouble.problem).to_string()))?;
            if !trouble.help.is_empty() {
                write!(out, "<span class=\"under\">To do: {}</span>", Text(&Prose(&trouble.help).to_string()))?;
            }
            writeln!(out, "</p>")?;
        }
        Outcome::Compared { .. } => {
            drift(out, check, items)?;
            if let Some(sentence) = alike::sentence(check) {
                writeln!(out, "<p>{}</p>", Text(&sentence))?;
            }
            unverified(out, check, items)?;
            next(out, next::of(run, host, check))?;
        }
        Outcome::NoLock | Outcome::OtherMode | Outcome::NotCollected => {}
    }
    uncovered(out, check, items)?;
    let mounts = check.mounts.iter().map(|mount| (&mount.path[..], Some(mount.what.phrase())));
    noted(out, check, "Another mount or file system begins here", mounts, "mounts", items)?;
    let touched = check.touched.iter().map(|path| (&path[..], None));
    noted(out, check, "Touched during the run", touched, "touched", items)?;
    writeln!(out, "</section>")
}

fn drift(out: &mut impl Write, check: &CheckReport, items: usize) -> io::Result<()> {
    let Outcome::Compared { comparison, .. } = &check.outcome else { return Ok(()) };
    if let Some(emptied) = emptied(check) {
        return writeln!(out, "<p>{}</p>", Text(&emptied));
    }
    let groups = group::groups(check.kind, &comparison.drift);
    let mut room = items;
    let mut hidden = 0;
    // Entries beside the modules share a list, between those of the modules.
    let mut open = false;
    for group in &groups {
        let (shown, cut) = group.items.split_at(group.items.len().min(room));
        room -= shown.len();
        hidden += cut.iter().map(Item::entries).sum::<u64>();
        if shown.is_empty() {
            continue;
        }
        if group.module || !open {
            if open {
                writeln!(out, "</ol>")?;
            }
            if group.module {
                let module = escaped(group.path).to_string();
                writeln!(out, "<h3>Module <b><code>{}</code></b></h3>", Text(&module))?;
            }
            writeln!(out, "<ol>")?;
        }
        for item in shown {
            self::item(out, check, item)?;
        }
        open = !group.module;
        if group.module {
            writeln!(out, "</ol>")?;
        }
    }
    if open {
        writeln!(out, "</ol>")?;
    }
    more(out, hidden, "drifted")?;
    unlisted(out, check)
}

/// What to do next, as lines to paste.
fn next(out: &mut impl Write, next: Option<Next>) -> io::Result<()> {
    let Some(next) = next else { return Ok(()) };
    writeln!(out, "<h3><b>What to do</b></h3>\n<ol>\n<li><span class=\"reason\">{}</span></li>", Text(next.cause))?;
    for step in &next.steps {
        writeln!(out, "<li><span class=\"reason\">{}</span><code>{}</code></li>", step.what, Text(&step.line))?;
    }
    writeln!(out, "</ol>")
}

/// Entries that the JSON report does not have either.
fn unlisted(out: &mut impl Write, check: &CheckReport) -> io::Result<()> {
    let Outcome::Compared { comparison, .. } = &check.outcome else { return Ok(()) };
    let left_out = comparison.left_out;
    if left_out.is_nothing() {
        return Ok(());
    }
    let (drifted, unverified) = (grouped(left_out.drifted), grouped(left_out.unverified));
    writeln!(
        out,
        "<p class=\"more\">… and {drifted} more drifted and {unverified} more unverified: more than a run keeps.</p>"
    )
}

fn more(out: &mut impl Write, hidden: u64, what: &str) -> io::Result<()> {
    if hidden == 0 {
        return Ok(());
    }
    let hidden = grouped(hidden);
    writeln!(out, "<p class=\"more\">… and {hidden} more {what}; the JSON report has every entry.</p>")
}

const fn tone(change: Change) -> &'static str {
    match change {
        Change::Moved => "idle",
        _ => "bad",
    }
}

fn item(out: &mut impl Write, check: &CheckReport, item: &Item<'_>) -> io::Result<()> {
    let (label, text) = describe::item(&check.root, item);
    let tone = match item.shape {
        Shape::Entry(drift) => tone(drift.change),
        Shape::MovedWhole { .. } | Shape::MovedAway { .. } => "idle",
    };
    write!(out, "<li><div class=\"entry\"><span class=\"path\">{}</span>", Text(&shown_path(&check.root, item.path)))?;
    badge(out, tone, label)?;
    let Shape::Entry(drift) = item.shape else {
        return writeln!(out, "<span class=\"reason\">{}</span></div></li>", Text(&text));
    };
    if let Some(from) = &drift.from {
        write!(
            out,
            "<span class=\"reason\">from <code>{}</code></span>",
            Text(&shown_path(&check.root, from.as_bytes()))
        )?;
    }
    if item.below > 0 {
        let below = counted(item.below, "entry", "entries");
        write!(out, "<span class=\"reason\">and with it {below} below it</span>")?;
    }
    // Records of containers are long, so the difference is hard to find in them.
    if check.kind.is_of_containers() && drift.expected.is_some() && drift.actual.is_some() {
        write!(out, "<span class=\"reason\">{}</span>", Text(&text))?;
    }
    write!(out, "</div><div class=\"records\">")?;
    let records = match (&drift.expected, &drift.actual) {
        // It moved unchanged.
        (Some(expected), Some(actual)) if expected == actual => vec![("same idle", actual)],
        (expected, actual) => {
            let before = expected.iter().map(|record| ("before bad", record));
            before.chain(actual.iter().map(|record| ("after good", record))).collect()
        }
    };
    for (class, record) in records {
        write!(out, "<span class=\"record {class}\">{}</span>", Text(&self::record(record)))?;
    }
    write!(out, "</div>")?;
    excerpt(out, drift)?;
    writeln!(out, "</li>")
}

/// The lines that changed, if they were asked for.
fn excerpt(out: &mut impl Write, drift: &Drift) -> io::Result<()> {
    let (lines, left_out) = match drift.diff.as_deref() {
        None => return Ok(()),
        Some(Excerpt::Hidden(why)) => return write!(out, "<span class=\"reason\">{}</span>", Text(why.phrase())),
        Some(Excerpt::Lines { lines, left_out }) => (lines, *left_out),
    };
    write!(out, "<div class=\"diff\">")?;
    for line in lines {
        let class = match line.as_bytes().first() {
            Some(b'-') => "line bad",
            Some(b'+') => "line good",
            _ => "line",
        };
        write!(out, "<span class=\"{class}\">{}</span>", Text(&Prose(line).to_string()))?;
    }
    if left_out > 0 {
        write!(out, "<span class=\"line\">… and {} more</span>", Text(&counted(left_out, "line", "lines")))?;
    }
    write!(out, "</div>")
}

/// Everything that a lock records of an entry, in one line. Escaped.
fn record(record: &Record) -> String {
    let mut parts = vec![describe::kind(&record.content)];
    match &record.content {
        Content::File { size, sha256, .. } => {
            parts.push(counted(*size, "byte", "bytes"));
            parts.push(format!("sha256 {}", sha256.hex()));
        }
        Content::Checksum { sha256 } | Content::Module { sha256 } => parts.push(format!("sha256 {}", sha256.hex())),
        Content::Container(container) => describe::whole_container(container, &mut parts),
        _ => {}
    }
    describe::attributes_of(record, &mut parts);
    parts.join(", ")
}

fn unverified(out: &mut impl Write, check: &CheckReport, items: usize) -> io::Result<()> {
    let Outcome::Compared { comparison, .. } = &check.outcome else { return Ok(()) };
    let entries = &comparison.unverified;
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3><b>Unverified</b>: could not be read, or did not hold still</h3>\n<ol>")?;
    for entry in entries.iter().take(items) {
        let (path, reason) =
            (shown_path(&check.root, entry.path.as_bytes()), Prose(&entry.reason.to_string()).to_string());
        write!(out, "<li><div class=\"entry\"><span class=\"path\">{}</span>", Text(&path))?;
        badge(out, "warn", "unverified")?;
        writeln!(out, "<span class=\"reason\">{}</span>", Text(&reason))?;
        writeln!(out, "<span class=\"reason\">To do: {}</span></div></li>", Text(entry.reason.help()))?;
    }
    writeln!(out, "</ol>")?;
    more(out, entries.len().saturating_sub(items) as u64, "unverified")
}

fn uncovered(out: &mut impl Write, check: &CheckReport, items: usize) -> io::Result<()> {
    if check.uncovered.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3><b>Uncovered</b>: globs that match nothing, links to what no check covers</h3>\n<ol>")?;
    for one in check.uncovered.iter().take(items) {
        let path = uncovered::item(&check.root, one);
        writeln!(out, "<li><span class=\"path\">{}</span></li>", Text(&path))?;
    }
    writeln!(out, "</ol>")?;
    more(out, check.uncovered.len().saturating_sub(items) as u64, "uncovered")
}

/// A list of paths with a note that does not change the verdict. `key` is its key in the JSON.
fn noted<'a>(
    out: &mut impl Write,
    check: &CheckReport,
    heading: &str,
    paths: impl ExactSizeIterator<Item = (&'a [u8], Option<&'static str>)>,
    key: &str,
    items: usize,
) -> io::Result<()> {
    let count = paths.len();
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "<h3>{heading}</h3>\n<ol>")?;
    for (path, what) in paths.take(items) {
        let path = escaped(&joined(&check.root, path)).to_string();
        write!(out, "<li><span class=\"path\">{}</span>", Text(&path))?;
        if let Some(what) = what {
            write!(out, "<span class=\"reason\">{}</span>", Text(what))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ol>")?;
    more(out, count.saturating_sub(items) as u64, key)
}
