//! The report of several servers: a table of servers against checks, and below it what failed where. Servers of which
//! the same is to be said share a line, so that it can be read with hundreds of them.

use std::io::{self, Write};

use super::page::{Page, Tag};
use super::{RULE, Style, lock_files, sandbox, unsandboxed};
use crate::path::escaped;
use crate::report::fleet::Fleet;
use crate::report::words::{Prose, counted};
use crate::report::{CheckReport, Outcome, Report, Status};

/// With more servers than this, those on which everything is verified are one line of the table.
const ROWS: usize = 20;

/// The longest name that a column shows, in characters.
const WIDEST: usize = 32;

/// Lines about drift that are shown of all servers together.
const LINES: usize = 600;

/// Names of servers that share a line are listed up to this many.
const NAMES: usize = 12;

/// Writes the text report of several servers.
///
/// # Errors
/// Those of `out`.
pub fn write_fleet(out: &mut impl Write, fleet: &Fleet, style: Style, report_path: Option<&str>) -> io::Result<()> {
    let mut page = Page { out, style, lines: super::LINES };
    let summary = fleet.summary();
    page.frame(format_args!(
        "{RULE}\n  Drift Check - {}\n  Mode: server, {}\n{RULE}\n",
        escaped(fleet.timestamp.as_bytes()),
        counted(summary.total, "server", "servers")
    ))?;
    sandbox(&mut page, &fleet.sandbox)?;
    if let Some(first) = fleet.servers.first() {
        // They have the same locks.
        lock_files(&mut page, first)?;
    }
    page.frame(format_args!(""))?;
    table(&mut page, &fleet.servers)?;
    details(&mut page, &fleet.servers)?;
    page.frame(format_args!("\n{RULE}\n  SUMMARY\n{RULE}"))?;
    page.frame(format_args!(
        "Total servers: {}\nPassed: {}\nFailed: {}",
        summary.total, summary.passed, summary.failed
    ))?;
    if summary.not_collected > 0 {
        page.frame(format_args!("Not collected: {}", summary.not_collected))?;
    }
    page.frame(format_args!(""))?;
    page.overall(fleet.overall())?;
    if let Some(path) = report_path {
        page.frame(format_args!("\nReport: {}", escaped(path.as_bytes())))?;
    }
    Ok(())
}

/// What a report calls its server. Harmless.
fn name(report: &Report) -> String {
    report.server.as_ref().map_or_else(String::new, |server| escaped(server.name.as_bytes()).to_string())
}

fn table(page: &mut Page<impl Write>, servers: &[Report]) -> io::Result<()> {
    let passes = |report: &&Report| report.exit_code() == 0;
    let folded = servers.len() > ROWS || page.style.quiet;
    let rows: Vec<_> = servers.iter().filter(|report| !folded || !passes(report)).collect();
    let hidden = (servers.len() - rows.len()) as u64;
    if !rows.is_empty() {
        let mut header = vec![("SERVER".to_owned(), None), ("collected".to_owned(), None)];
        let checks = servers.first().map_or(&[][..], |report| &report.checks);
        header.extend(checks.iter().map(|check| (cut(&escaped(check.name.as_bytes()).to_string()), None)));
        let mut lines = vec![header];
        lines.extend(rows.into_iter().map(|report| {
            let collected = report.server_collection().unwrap_or(Status::Skip);
            let mut cells = vec![(cut(&name(report)), None), (collected.word().to_owned(), Some(collected))];
            cells.extend(report.checks.iter().map(cell));
            cells
        }));
        let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for line in &lines {
            page.row(line, &widths)?;
        }
    }
    if hidden > 0 {
        let also = if hidden < servers.len() as u64 { " more" } else { "" };
        let one = format!("{}{also} server passes", 1);
        let text = if hidden == 1 { one } else { format!("{hidden}{also} servers pass") };
        page.line(Tag::Pass, format_args!("{text}, with everything verified"))?;
    }
    Ok(())
}

/// A name that leaves room for others.
fn cut(name: &str) -> String {
    match name.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

/// How a check ended on one server, in few words.
fn cell(check: &CheckReport) -> (String, Option<Status>) {
    let counts = check.counts();
    let text = match &check.outcome {
        Outcome::Compared { .. } => match (counts.drifted, counts.unverified) {
            (0, 0) => "PASS".to_owned(),
            (drifted, 0) => format!("{drifted} drifted"),
            (0, unverified) => format!("{unverified} unverified"),
            (drifted, unverified) => format!("{drifted} drifted, {unverified} unverified"),
        },
        Outcome::Failed(_) => "FAIL".to_owned(),
        Outcome::NoLock => "no lock".to_owned(),
        Outcome::OtherMode => "-".to_owned(),
        Outcome::NotCollected => "?".to_owned(),
    };
    (text, Some(check.status()))
}

/// What is wrong on which servers. Those with the same text are told together, in the order of the first of them.
fn details(page: &mut Page<impl Write>, servers: &[Report]) -> io::Result<()> {
    let failed = servers.iter().filter(|report| report.exit_code() != 0).count();
    let style = Style { quiet: true, ..page.style };
    let mut groups: Vec<(Vec<u8>, Vec<String>)> = Vec::new();
    for report in servers {
        let mut text = Vec::new();
        let mut block = Page { out: &mut text, style, lines: (LINES / failed.max(1)).clamp(10, super::LINES) };
        if let Some(server) = &report.server {
            unsandboxed(&mut block, server, "")?;
            if let Some(trouble) = &server.trouble {
                block.line(Tag::Fail, format_args!("Not collected: {}", Prose(&trouble.problem)))?;
                block.detail(format_args!("{}", Prose(&trouble.remedy)))?;
            }
        }
        for check in &report.checks {
            super::check(&mut block, check, report.mode())?;
        }
        match groups.iter_mut().find(|(same, _)| *same == text) {
            _ if text.is_empty() => {}
            Some((_, names)) => names.push(name(report)),
            None => groups.push((text, vec![name(report)])),
        }
    }
    for (text, names) in groups {
        let listed = names.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(page.out, "\n{listed}{more}:")?;
        page.out.write_all(&text)?;
    }
    Ok(())
}
