//! The report of several servers: a table of servers and checks, then the findings. Servers with the same findings
//! share them, so that it can be read with hundreds of servers.

use std::collections::HashMap;
use std::io::{self, Write};

use super::page::{Page, Tag};
use super::{Style, begin, end, unsandboxed};
use crate::path::escaped;
use crate::report::format::{Prose, counted};
use crate::report::servers::by_checks;
use crate::report::{CheckReport, HostReport, Outcome, Report, RunInfo, Status};

/// With more servers than this, those on which everything is verified are one line of the table.
const ROWS: usize = 20;

/// The most characters of a name in a column.
const WIDEST: usize = 32;

/// The most lines of drift to show for all servers together.
const LINES: usize = 600;

/// The number of blanks between two columns.
const GAP: usize = 2;

/// The most names to list in one line.
const NAMES: usize = 12;

/// Writes the text report of several servers.
pub(super) fn write(out: &mut impl Write, report: &Report, style: Style, report_path: Option<&str>) -> io::Result<()> {
    let Report { run, hosts } = report;
    let summary = report.servers_summary();
    let mode = format!("server, {}", counted(summary.total, "server", "servers"));
    let mut page = begin(out, run, hosts, style, &mode)?;
    page.frame(format_args!(""))?;
    tables(&mut page, hosts)?;
    details(&mut page, run, hosts)?;
    let not_collected = match summary.not_collected {
        0 => String::new(),
        number => format!("\nNot collected: {number}"),
    };
    let sums = format!(
        "Total servers: {}\nPassed: {}\nFailed: {}{not_collected}",
        summary.total, summary.passed, summary.failed
    );
    end(&mut page, &sums, report.counts(), report.overall(), report_path)
}

/// The name of a host. Escaped.
fn name(host: &HostReport) -> String {
    host.server.as_ref().map_or_else(String::new, |server| escaped(server.name.as_bytes()).to_string())
}

/// One table for all servers that were asked for the same checks.
fn tables(page: &mut Page<impl Write>, hosts: &[HostReport]) -> io::Result<()> {
    let tables = by_checks(hosts.iter());
    let folded = hosts.len() > ROWS || page.style.quiet;
    for (number, servers) in tables.iter().enumerate() {
        if number > 0 {
            page.frame(format_args!(""))?;
        }
        table(page, servers, folded, tables.len() > 1)?;
    }
    Ok(())
}

/// One table. `differ`: other servers were asked for other checks.
fn table(page: &mut Page<impl Write>, servers: &[&HostReport], folded: bool, differ: bool) -> io::Result<()> {
    let rows: Vec<_> = servers.iter().copied().filter(|host| !folded || host.exit_code() != 0).collect();
    let hidden = (servers.len() - rows.len()) as u64;
    let checks = servers.first().map_or(&[][..], |host| &host.checks);
    let names: Vec<_> = checks.iter().map(|check| escaped(check.name.as_bytes()).to_string()).collect();
    if !rows.is_empty() {
        let wide = lines(&rows, names.iter().map(|name| cut(name)).collect(), words);
        let (lines, widths) = match page.style.width {
            Some(width) if wide.1.iter().sum::<usize>() + GAP * wide.1.len().saturating_sub(1) > width.into() => {
                for (number, name) in (1..).zip(&names) {
                    writeln!(page.out, "{number:>3}  {name}")?;
                }
                writeln!(page.out, "     A number counts entries that drifted; with a u, unverified entries.\n")?;
                lines(&rows, (1..=names.len()).map(|number| number.to_string()).collect(), signs)
            }
            _ => wide,
        };
        for line in &lines {
            page.row(line, &widths)?;
        }
    }
    if hidden > 0 {
        let also = if hidden < servers.len() as u64 { " more" } else { "" };
        let one = format!("{}{also} server passes", 1);
        let text = if hidden == 1 { one } else { format!("{hidden}{also} servers pass") };
        let asked = if differ { format!(", asked for {}", listed(&names)) } else { String::new() };
        page.line(Tag::Pass, format_args!("{text}, with everything verified{asked}"))?;
    }
    Ok(())
}

/// A cell: its text and its status.
type Cell = (String, Option<Status>);

/// The lines of a table, and the widths of its columns.
fn lines(rows: &[&HostReport], names: Vec<String>, cell: fn(&CheckReport) -> String) -> (Vec<Vec<Cell>>, Vec<usize>) {
    let first = ["SERVER".to_owned(), "collected".to_owned()].into_iter().chain(names);
    let mut lines = vec![first.map(|name| (name, None)).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|host| {
        let collected = host.server_collection().unwrap_or(Status::Skip);
        let mut cells = vec![(cut(&name(host)), None), (collected.word().to_owned(), Some(collected))];
        cells.extend(host.checks.iter().map(|check| (cell(check), Some(check.status()))));
        cells
    }));
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0)
    };
    let widths = (0..columns).map(width).collect();
    (lines, widths)
}

/// Cuts a name to the width of a column.
fn cut(name: &str) -> String {
    match name.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

/// The outcome of a check on one server, in few words.
fn words(check: &CheckReport) -> String {
    let counts = check.counts();
    match (&check.outcome, counts.drifted, counts.unverified) {
        (Outcome::Compared { .. }, 0, 0) => "PASS".to_owned(),
        (Outcome::Compared { .. }, drifted, 0) => format!("{drifted} drifted"),
        (Outcome::Compared { .. }, 0, unverified) => format!("{unverified} unverified"),
        (Outcome::Compared { .. }, drifted, unverified) => format!("{drifted} drifted, {unverified} unverified"),
        (Outcome::Failed(_), ..) => "FAIL".to_owned(),
        (Outcome::NoLock, ..) => "no lock".to_owned(),
        (Outcome::OtherMode, ..) => "-".to_owned(),
        (Outcome::NotCollected, ..) => "?".to_owned(),
    }
}

/// The outcome in a few characters.
fn signs(check: &CheckReport) -> String {
    let counts = check.counts();
    match (&check.outcome, counts.drifted, counts.unverified) {
        (Outcome::Compared { .. }, 0, unverified @ 1..) => format!("{unverified}u"),
        (Outcome::Compared { .. }, drifted @ 1.., 0) => drifted.to_string(),
        (Outcome::Compared { .. }, drifted @ 1.., unverified) => format!("{drifted}+{unverified}u"),
        _ => words(check),
    }
}

/// The findings. Servers with the same text are grouped, ordered by the first of each group.
fn details(page: &mut Page<impl Write>, run: &RunInfo, hosts: &[HostReport]) -> io::Result<()> {
    let failed = hosts.iter().filter(|host| host.exit_code() != 0).count();
    let style = Style { quiet: true, ..page.style };
    let mut groups: Vec<Group> = Vec::new();
    let mut places = HashMap::new();
    for host in hosts {
        let mut text = Vec::new();
        let lines = (LINES / failed.max(1)).clamp(10, super::LINES);
        let mut block = Page { out: &mut text, style, lines, next: page.next };
        if let Some(server) = &host.server {
            unsandboxed(&mut block, server, "")?;
            if let Some(trouble) = &server.trouble {
                block.line(Tag::Fail, format_args!("Not collected: {}", Prose(&trouble.problem)))?;
                block.detail(format_args!("{}", Prose(&trouble.help)))?;
            }
        }
        for check in &host.checks {
            super::check(&mut block, check, host.mode())?;
            super::steps(&mut block, run, host, check)?;
        }
        // A text report is UTF-8.
        let text = String::from_utf8_lossy(&text).into_owned();
        if text.is_empty() {
            continue;
        }
        let same = nameless(&text, host);
        let place = *places.entry(same.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.names.push(name(host)),
            None => groups.push(Group { same, first: text, names: vec![name(host)] }),
        }
    }
    for Group { same, first, names } in groups {
        let text = if names.len() > 1 { same } else { first };
        write!(page.out, "\n{}:\n{text}", listed(&names))?;
    }
    Ok(())
}

/// A few names, and the number of the others.
fn listed(names: &[String]) -> String {
    let listed = names.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// Servers with the same findings.
struct Group {
    /// The text with the names of the server replaced.
    same: String,
    /// The text of the first server.
    first: String,
    names: Vec<String>,
}

/// Replaces the names of a server and its host in a text by `<server>`.
fn nameless(text: &str, host: &HostReport) -> String {
    let Some(server) = &host.server else { return text.to_owned() };
    let of_name = |character: char| character.is_alphanumeric() || "-_.:%[]".contains(character);
    let mut left = text;
    let mut nameless = String::with_capacity(text.len());
    while let Some(start) = left.find(of_name) {
        let word = &left[start..];
        let word = &word[..word.find(|character| !of_name(character)).unwrap_or(word.len())];
        let called = word.trim_end_matches(['.', ':']);
        nameless.push_str(&left[..start]);
        nameless.push_str(if called == server.host || called == server.name { "<server>" } else { called });
        nameless.push_str(&word[called.len()..]);
        left = &left[start + word.len()..];
    }
    nameless + left
}
