//! The report for people, in the form of the scripts that driftlock replaces. Below each `[FAIL]` line are the entries
//! that drifted, and how.
//!
//! A line begins with a tag, with a word of the frame, or with four blanks. Text from outside goes through [`escaped`],
//! so a name can neither forge a line nor act as a command to the terminal. Programs should parse the JSON report,
//! which has every entry.

pub(in crate::report) mod describe;
mod drifted;
mod page;
mod sealed;
mod servers;

use std::collections::HashMap;
use std::io::{self, Write};

use super::alike;
use super::format::{Prose, capitalized, containers, counted, grouped, shown_path, stem};
use super::group;
use super::uncovered;
use super::{CheckReport, HostReport, Outcome, Report, RunInfo, ServerReport, Status, missing_locks, next};
use crate::baseline::OldLock;
use crate::compare::{Counts, LeftOut, UnverifiedEntry};
use crate::manifest::{Kind, Unverified};
use crate::path::escaped;
use crate::remote::Head;
use crate::sandbox::Enforced;
use page::{Page, Tag};
use sealed::seal;

/// The appearance of a text report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether tags and verdict are in colour.
    pub color: bool,
    /// Print only failures, warnings, their details, and a verdict other than PASS.
    pub quiet: bool,
    /// The most characters of a table's line: the width of the terminal. Without a terminal, there is no limit.
    pub width: Option<u16>,
}

/// The most lines of drift to show for one check. The others are only counted; the JSON has them.
const LINES: usize = 200;

const RULE: &str = "========================================";

/// Writes the text report. `report_path` is the path of the JSON report, if one was written.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, style: Style, report_path: Option<&str>) -> io::Result<()> {
    match report.only() {
        Some(host) => write_host(out, &report.run, host, style, report_path),
        None => servers::write(out, report, style, report_path),
    }
}

/// Writes the text report of one host alone.
///
/// # Errors
/// Those of `out`.
pub fn write_host(
    out: &mut impl Write,
    run: &RunInfo,
    host: &HostReport,
    style: Style,
    report_path: Option<&str>,
) -> io::Result<()> {
    let mut page = begin(out, run, std::slice::from_ref(host), style, host.mode())?;
    if let Some(server) = &host.server {
        collection(&mut page, server)?;
    }
    for check in &host.checks {
        self::check(&mut page, check, host.mode())?;
        steps(&mut page, run, host, check)?;
    }
    let summary = host.summary();
    let skipped = if summary.skipped > 0 { format!("\nSkipped: {}", summary.skipped) } else { String::new() };
    let sums =
        format!("Total checks: {}\nPassed: {}\nFailed: {}{skipped}", summary.total, summary.passed, summary.failed);
    end(&mut page, &sums, host.counts(), host.overall(), report_path)
}

/// The part that is the same for all hosts: the time, the sandbox, and the missing locks.
fn begin<W: Write>(out: W, run: &RunInfo, hosts: &[HostReport], style: Style, mode: &str) -> io::Result<Page<W>> {
    let mut page = Page { out, style, lines: LINES, next: !style.quiet };
    let timestamp = escaped(run.timestamp.as_bytes());
    page.frame(format_args!("{RULE}\n  Drift Check - {timestamp}\n  Mode: {mode}\n{RULE}\n"))?;
    sandbox(&mut page, &run.sandbox)?;
    window(&mut page, run)?;
    lock_files(&mut page, run, hosts)?;
    seal(&mut page, hosts)?;
    Ok(page)
}

/// The totals, the verdict, and the path of the report.
fn end(
    page: &mut Page<impl Write>,
    sums: &str,
    counts: Counts,
    overall: Status,
    report_path: Option<&str>,
) -> io::Result<()> {
    let Counts { verified, drifted, unverified, .. } = counts;
    let [verified, drifted, unverified] = [verified, drifted, unverified].map(grouped);
    page.frame(format_args!("\n{RULE}\n  SUMMARY\n{RULE}\n{sums}"))?;
    page.frame(format_args!("Entries: {verified} verified, {drifted} drifted, {unverified} unverified\n"))?;
    page.overall(overall)?;
    match report_path {
        Some(path) => page.frame(format_args!("\nReport: {}", escaped(path.as_bytes()))),
        None => Ok(()),
    }
}

fn sandbox(page: &mut Page<impl Write>, enforced: &Enforced) -> io::Result<()> {
    if enforced.landlock.is_none() {
        page.line(
            Tag::Warn,
            format_args!(
                "Sandbox: Landlock did not hold, so nothing but driftlock itself kept this run to the declared paths"
            ),
        )?;
    }
    if !enforced.seccomp {
        page.line(Tag::Warn, format_args!("Sandbox: seccomp did not hold, so every system call was open to this run"))?;
    }
    Ok(())
}

fn window(page: &mut Page<impl Write>, run: &RunInfo) -> io::Result<()> {
    let Some(window) = &run.window else { return Ok(()) };
    let (until, reason) = (window.until(), Prose(&window.reason));
    if run.window_is_open() {
        page.line(Tag::Info, format_args!("Drift is expected until {until}: {reason}"))
    } else {
        page.line(Tag::Warn, format_args!("Drift was expected until {until}, which has passed: {reason}"))
    }
}

fn lock_files(page: &mut Page<impl Write>, run: &RunInfo, hosts: &[HostReport]) -> io::Result<()> {
    page.line(Tag::Info, format_args!("Checking lock files exist..."))?;
    let missing = missing_locks(hosts);
    if missing.is_empty() {
        return page.line(Tag::Pass, format_args!("All required lock files present"));
    }
    // The first check that has this lock.
    let mut checks: HashMap<&str, (&HostReport, &CheckReport)> = HashMap::new();
    for (host, check) in hosts.iter().flat_map(|host| host.checks.iter().map(move |check| (host, check))) {
        checks.entry(&check.lock).or_insert((host, check));
    }
    for lock in missing {
        page.line(Tag::Fail, format_args!("Missing lock file: {}", escaped(lock.as_bytes())))?;
        match checks.get(lock).map(|(host, check)| (check, next::of(run, host, check))) {
            Some((_, Some(next))) => {
                if page.next {
                    page.detail(format_args!("{}", next.cause))?;
                }
                next.steps.iter().try_for_each(|step| page.detail(format_args!("run `{}`", step.line)))?;
            }
            Some((check, None)) => {
                page.detail(format_args!("run `driftlock lock --check {}`", escaped(check.name.as_bytes())))?;
            }
            None => page.detail(format_args!("run `driftlock lock`"))?,
        }
    }
    Ok(())
}

fn collection(page: &mut Page<impl Write>, server: &ServerReport) -> io::Result<()> {
    let name = escaped(server.name.as_bytes());
    page.line(Tag::Info, format_args!("Running server-side drift checks on {name}..."))?;
    unsandboxed(page, server, &format!("{name}: "))?;
    match &server.trouble {
        None => page.line(Tag::Pass, format_args!("Server state collected successfully")),
        Some(trouble) => {
            page.line(Tag::Fail, format_args!("{name}: {}", Prose(&trouble.problem)))?;
            page.detail(format_args!("{}", Prose(&trouble.help)))
        }
    }
}

/// Warns of the layers that did not hold on the server.
fn unsandboxed(page: &mut Page<impl Write>, server: &ServerReport, whose: &str) -> io::Result<()> {
    let mut missing = server.head.iter().flat_map(Head::missing);
    missing.try_for_each(|layer| {
        page.line(Tag::Warn, format_args!("{whose}{layer} did not hold on the server while it was read"))
    })
}

fn check(page: &mut Page<impl Write>, check: &CheckReport, mode: &str) -> io::Result<()> {
    let stem = stem(&check.name);
    let title = capitalized(&stem);
    let (what, all) = match check.kind {
        Kind::Files | Kind::ContainerFiles => (format!("{stem} file hashes"), format!("All {stem} files")),
        Kind::Trees => (format!("{stem} hashes"), format!("All {stem} modules")),
        Kind::Containers | Kind::Compose => {
            let containers = containers(&check.name, &stem);
            (containers.clone(), capitalized(&containers))
        }
    };
    match &check.outcome {
        Outcome::NoLock => {
            let lock = escaped(check.lock.as_bytes());
            return page.line(Tag::Skip, format_args!("{title}: its lock file {lock} is missing"));
        }
        Outcome::OtherMode => {
            return page.line(Tag::Skip, format_args!("{title}: not for mode {mode}, as its `modes` say"));
        }
        Outcome::NotCollected => return page.line(Tag::Skip, format_args!("{title}: not collected")),
        Outcome::Failed(_) | Outcome::Compared { .. } => {}
    }
    page.line(Tag::Info, format_args!("Checking {what}..."))?;
    whereabouts(page, check, &title)?;
    match &check.outcome {
        Outcome::Failed(trouble) => {
            let name = escaped(check.name.as_bytes());
            page.line(Tag::Fail, format_args!("{name}: {}", Prose(&trouble.problem)))?;
            page.detail(format_args!("{}", Prose(&trouble.help)))?;
        }
        Outcome::Compared { comparison, .. } => {
            let groups = group::groups(check.kind, &comparison.drift);
            old_lock(page, check, &title)?;
            drifted::drift(page, check, &title, &groups)?;
            if let Some(sentence) = alike::sentence(check) {
                page.line(Tag::Info, format_args!("{title}: {sentence}"))?;
            }
            unverified(page, check, &title, &comparison.unverified)?;
            left_out(page, &title, comparison.left_out)?;
            uncovered(page, check, &title)?;
            trusted(page, check, &title)?;
            if !check.drifted() && !check.troubled() {
                page.line(Tag::Pass, format_args!("{all} match baseline"))?;
            }
        }
        Outcome::NoLock | Outcome::OtherMode | Outcome::NotCollected => {}
    }
    Ok(())
}

/// What to do next, as commands to paste.
fn steps(page: &mut Page<impl Write>, run: &RunInfo, host: &HostReport, check: &CheckReport) -> io::Result<()> {
    // For a missing lock, the check of the lock files printed the commands.
    let is_wanted = page.next && !matches!(check.outcome, Outcome::NoLock);
    let Some(next) = is_wanted.then(|| next::of(run, host, check)).flatten() else { return Ok(()) };
    page.detail(format_args!("{}", next.cause))?;
    let width = next.steps.iter().map(|step| step.what.len()).max().unwrap_or(0);
    next.steps.iter().try_for_each(|step| page.detail(format_args!("  {:width$}  {}", step.what, step.line)))
}

/// Warns that the lock is an old one, and of what it does not record.
fn old_lock(page: &mut Page<impl Write>, check: &CheckReport, title: &str) -> io::Result<()> {
    let Some(old) = check.old_lock else { return Ok(()) };
    let (lock, name) = (escaped(check.lock.as_bytes()), escaped(check.name.as_bytes()));
    page.line(Tag::Warn, format_args!("{title}: {lock} is an old lock, blind to {}", old.blind_to()))?;
    match old {
        OldLock::FileHashes => page.detail(format_args!(
            "remove `lock` from the check and run `driftlock lock --check {name}` to write a new one"
        )),
        OldLock::ModuleHashes | OldLock::ContainerImages => {
            page.detail(format_args!("run `driftlock lock --check {name}` to write a new one"))?;
            if old == OldLock::ModuleHashes && check.drifted() && check.counts().verified == 0 {
                page.detail(format_args!(
                    "no module fits: if its hashes were made where the modules are in another directory, name that directory with `server_root`"
                ))?;
            }
            Ok(())
        }
    }
}

/// Reports what is uncovered.
fn uncovered(page: &mut Page<impl Write>, check: &CheckReport, title: &str) -> io::Result<()> {
    let tag = if check.uncovered_is_trouble { Tag::Fail } else { Tag::Warn };
    let sentences = uncovered::sentences(&check.root, &check.uncovered);
    sentences.iter().try_for_each(|sentence| page.line(tag, format_args!("{title}: {sentence}")))
}

/// Tells how many files were not read.
fn trusted(page: &mut Page<impl Write>, check: &CheckReport, title: &str) -> io::Result<()> {
    if check.trusted == 0 {
        return Ok(());
    }
    let (trusted, all) = (grouped(check.trusted), counted(check.counts().entries, "entry", "entries"));
    page.line(
        Tag::Info,
        format_args!("{title}: contents of {trusted} of {all} not read again, but trusted from the stat cache"),
    )
}

/// Tells what may be unexpected about the root: links above it, mounts below it, files that were touched.
fn whereabouts(page: &mut Page<impl Write>, check: &CheckReport, title: &str) -> io::Result<()> {
    if let Some(resolved) = &check.resolved_root {
        let declared: Vec<_> = names(&check.root).collect();
        let real: Vec<_> = names(resolved).collect();
        // Where `..` leads does not show in the path, and is no surprise to the author of the declaration.
        if !declared.contains(&"..") && !real.ends_with(&declared) {
            let (root, resolved) = (escaped(check.root.as_bytes()), escaped(resolved.as_bytes()));
            page.line(Tag::Info, format_args!("{title}: {root} really lies at {resolved}"))?;
        }
    }
    if let Some(declared) = check.declared_root.as_ref().filter(|_| check.drifted()) {
        let (root, declared) = (escaped(check.root.as_bytes()), escaped(declared.as_bytes()));
        page.line(Tag::Info, format_args!("{title}: {root} on the server is {declared} here"))?;
    }
    for mount in check.mounts.iter().take(page.lines) {
        let (what, path) = (mount.what.phrase(), shown_path(&check.root, &mount.path));
        page.line(Tag::Warn, format_args!("{title}: {what} at {path}"))?;
    }
    if let Some(more @ 1..) = check.mounts.len().checked_sub(page.lines) {
        more_of(page, more as u64, "")?;
    }
    for path in check.touched.iter().take(page.lines) {
        page.line(Tag::Warn, format_args!("{title}: touched during the run: {}", shown_path(&check.root, path)))?;
    }
    match check.touched.len().checked_sub(page.lines) {
        None | Some(0) => Ok(()),
        Some(more) => more_of(page, more as u64, ""),
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !matches!(*name, "" | "."))
}

fn more_of(page: &mut Page<impl Write>, number: u64, place: &str) -> io::Result<()> {
    page.detail(format_args!("… and {} more{place}; the JSON report has every entry", grouped(number)))
}

/// Counts the entries that no list has, not even in the JSON report.
fn left_out(page: &mut Page<impl Write>, title: &str, left_out: LeftOut) -> io::Result<()> {
    for (number, how) in [(left_out.drifted, "drifted"), (left_out.unverified, "are unverified")] {
        if number > 0 {
            let more = counted(number, "more entry", "more entries");
            page.line(Tag::Fail, format_args!("{title}: {more} {how}: more than a run keeps"))?;
        }
    }
    Ok(())
}

fn unverified(
    page: &mut Page<impl Write>,
    check: &CheckReport,
    title: &str,
    entries: &[UnverifiedEntry],
) -> io::Result<()> {
    // The locked entries below a directory that could not be read are counted in its line.
    let unread = entries.iter().filter(|entry| !matches!(entry.reason, Unverified::Below(_)));
    let mut below: HashMap<&[u8], u64> = unread.map(|entry| (entry.path.as_bytes(), 0)).collect();
    let mut own = Vec::new();
    for entry in entries {
        let above = match &entry.reason {
            Unverified::Below(directory) => below.get_mut(&**directory),
            _ => None,
        };
        match above {
            Some(number) => *number += 1,
            None => own.push(entry),
        }
    }
    let mut shown_entries = own.iter().take(page.lines).peekable();
    while let Some(entry) = shown_entries.next() {
        let path = shown_path(&check.root, entry.path.as_bytes());
        let reason = entry.reason.to_string();
        page.line(Tag::Fail, format_args!("{title} unverified: {path}: {}", Prose(&reason)))?;
        match below.get(entry.path.as_bytes()) {
            None | Some(0) => {}
            Some(&number) => {
                let entries = counted(number, "entry", "entries");
                page.detail(format_args!("and with it {entries} that the lock has below it"))?;
            }
        }
        // Entries in a row with the same remedy share it.
        let help = entry.reason.help();
        if shown_entries.peek().is_none_or(|next| next.reason.help() != help) {
            page.detail(format_args!("{help}"))?;
        }
    }
    match own.get(page.lines..) {
        None | Some([]) => Ok(()),
        Some(cut) => {
            let number = |entry: &&UnverifiedEntry| 1 + below.get(entry.path.as_bytes()).copied().unwrap_or(0);
            more_of(page, cut.iter().map(number).sum(), "")
        }
    }
}
