//! The page of several servers: a table of servers and checks, then the findings. Servers with the same findings share
//! a card, and servers that pass are folded away, so that the page can be read with hundreds of servers.

use std::collections::HashMap;
use std::io::{self, Write};

use super::element::{Text, badge};
use super::{check, unsandboxed};
use crate::report::format::{Prose, counted, grouped};
use crate::report::servers::by_checks;
use crate::report::{CheckReport, HostReport, Outcome, Report, RunInfo, ServerReport, Status};

/// With more servers than this, those on which everything is verified are folded away.
const ROWS: usize = 20;

/// The most items to show on all cards together, unless there are so many cards that each would have hardly any.
const MOST_ITEMS: usize = 5000;
const FEWEST_ITEMS: usize = 10;

/// The most servers of a card to name; the others are folded away.
const NAMES: usize = 12;

/// Servers with the same findings, and the number of the first of their checks on the page.
struct Group<'a> {
    servers: &'a [&'a HostReport],
    first: usize,
}

pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { run, hosts } = report;
    let alike = report.alike();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut next = 0;
    // The number of the first card of each server, by its name.
    let mut cards = HashMap::new();
    for servers in &alike {
        let Some(host) = servers.first() else { continue };
        groups.push(Group { servers, first: next });
        cards.extend(servers.iter().map(|host| (name(host), next)));
        next += host.checks.len();
    }
    table(out, hosts, &cards)?;
    uncollected(out, hosts)?;
    let number = groups.iter().flat_map(|group| group.servers.first()).flat_map(|host| &host.checks);
    let items = MOST_ITEMS / number.filter(|check| check::has_card(check)).count().max(1);
    groups.iter().try_for_each(|group| self::group(out, run, group, items.clamp(FEWEST_ITEMS, check::ITEMS)))
}

/// The exact name; the caller escapes it.
fn name(host: &HostReport) -> &str {
    host.server.as_ref().map_or("", |server| &server.name)
}

fn table(out: &mut impl Write, hosts: &[HostReport], cards: &HashMap<&str, usize>) -> io::Result<()> {
    let (passing, failing): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| host.exit_code() == 0);
    let all: Vec<&HostReport> = hosts.iter().collect();
    let folded = all.len() > ROWS && !passing.is_empty();
    let shown = if folded { &failing } else { &all };
    if !shown.is_empty() {
        writeln!(out, "<section class=\"card hosts\">")?;
        tables(out, shown, cards)?;
        writeln!(out, "</section>")?;
    }
    if folded {
        let also = if failing.is_empty() { "" } else { " more" };
        let number = passing.len() as u64;
        let pass = if number == 1 { "server passes" } else { "servers pass" };
        let number = grouped(number);
        writeln!(
            out,
            "<details class=\"card hosts\">\n<summary>{number}{also} {pass}, with everything verified</summary>"
        )?;
        tables(out, &passing, cards)?;
        writeln!(out, "</details>")?;
    }
    Ok(())
}

/// One table for all servers that were asked for the same checks.
fn tables(out: &mut impl Write, servers: &[&HostReport], cards: &HashMap<&str, usize>) -> io::Result<()> {
    by_checks(servers.iter().copied()).iter().try_for_each(|servers| rows(out, servers, cards))
}

fn rows(out: &mut impl Write, servers: &[&HostReport], cards: &HashMap<&str, usize>) -> io::Result<()> {
    write!(out, "<table>\n<thead><tr><th scope=\"col\">Server</th><th scope=\"col\">collected</th>")?;
    for check in servers.first().iter().flat_map(|host| &host.checks) {
        write!(out, "<th scope=\"col\">{}</th>", Text(&Prose(&check.name).to_string()))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for host in servers {
        let first = cards.get(name(host)).copied().unwrap_or_default();
        write!(out, "<tr><th scope=\"row\">{}</th><td>", Text(&Prose(name(host)).to_string()))?;
        match host.server_collection() {
            Some(Status::Fail) => {
                write!(out, "<a href=\"#uncollected\">")?;
                badge(out, "warn", "no")?;
                write!(out, "</a>")?;
            }
            _ => write!(out, "✓")?,
        }
        write!(out, "</td>")?;
        for (number, check) in host.checks.iter().enumerate() {
            cell(out, first + number, check)?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>")
}

/// The outcome of a check on one server, in few words.
fn cell(out: &mut impl Write, index: usize, check: &CheckReport) -> io::Result<()> {
    let counts = check.counts();
    let (tone, text) = match &check.outcome {
        Outcome::Compared { .. } => match (counts.drifted, counts.unverified) {
            (0, 0) => ("good", String::new()),
            (drifted, 0) => ("bad", format!("{} drifted", grouped(drifted))),
            (0, unverified) => ("warn", format!("{} unverified", grouped(unverified))),
            (drifted, unverified) => {
                ("bad", format!("{} drifted, {} unverified", grouped(drifted), grouped(unverified)))
            }
        },
        Outcome::Failed(_) => ("warn", "trouble".to_owned()),
        Outcome::NoLock => ("bad", "no lock".to_owned()),
        Outcome::OtherMode => ("idle", "skipped".to_owned()),
        Outcome::NotCollected => ("idle", "not collected".to_owned()),
    };
    write!(out, "<td>")?;
    match (text.is_empty(), check::has_card(check)) {
        // A check that passed is only a tick, so that the others stand out.
        (true, false) => write!(out, "✓")?,
        (true, true) => write!(out, "<a href=\"#check-{index}\">✓</a>")?,
        (false, false) => badge(out, tone, &text)?,
        (false, true) => {
            write!(out, "<a href=\"#check-{index}\">")?;
            badge(out, tone, &text)?;
            write!(out, "</a>")?;
        }
    }
    write!(out, "</td>")
}

/// The servers that were not reached, or did not answer in full. Their messages are rarely the same, so they are not
/// grouped.
fn uncollected(out: &mut impl Write, hosts: &[HostReport]) -> io::Result<()> {
    let troubles = || hosts.iter().filter_map(|host| Some((host, host.trouble()?)));
    let number = troubles().count() as u64;
    if number == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "<section class=\"card\" id=\"uncollected\">\n<header><h2>Not collected</h2><span class=\"under\">{}</span></header>\n<ol>",
        counted(number, "server", "servers")
    )?;
    for (host, trouble) in troubles() {
        let (problem, help) = (Prose(&trouble.problem).to_string(), Prose(&trouble.help).to_string());
        write!(out, "<li><div class=\"entry\"><span class=\"path\">{}</span>", Text(&Prose(name(host)).to_string()))?;
        write!(out, "<span class=\"reason\">{}</span>", Text(&problem))?;
        writeln!(out, "<span class=\"reason\">To do: {}</span></div></li>", Text(&help))?;
    }
    writeln!(out, "</ol>\n</section>")
}

/// The findings that some servers share, if there are any.
fn group(out: &mut impl Write, run: &RunInfo, group: &Group<'_>, items: usize) -> io::Result<()> {
    let Some(host @ HostReport { server: Some(server), checks, .. }) = group.servers.first() else { return Ok(()) };
    if !checks.iter().any(check::has_card) && unsandboxed(server).next().is_none() {
        return Ok(());
    }
    let names: Vec<_> = group.servers.iter().map(|host| Prose(name(host)).to_string()).collect();
    let (shown, more) = names.split_at(names.len().min(NAMES));
    write!(out, "<section class=\"servers\">\n<h2>{}", Text(&shown.join(", ")))?;
    if more.is_empty() {
        writeln!(out, "</h2>")?;
    } else {
        let number = grouped(more.len() as u64);
        writeln!(out, " and {number} more</h2>\n<details><summary>The other {number}</summary>")?;
        writeln!(out, "<p>{}</p></details>", Text(&more.join(", ")))?;
    }
    layers(out, server)?;
    for (number, check) in checks.iter().enumerate() {
        check::write(out, group.first + number, (run, host, check), items)?;
    }
    writeln!(out, "</section>")
}

fn layers(out: &mut impl Write, server: &ServerReport) -> io::Result<()> {
    for layer in unsandboxed(server) {
        writeln!(out, "<p class=\"note warn\"><b>{layer} did not hold</b> there while it was read.</p>")?;
    }
    Ok(())
}
