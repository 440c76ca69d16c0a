//! The report as one page to attach to a ticket: the verdict first, no scripts, and nothing that is loaded from
//! elsewhere.
//!
//! Any name may be hostile. Text gets into the page only through [`Text`]; the page's own markup is in string literals.
//! If a name got through all the same, the policy in the head would stop it: no script, no request, and no style except
//! the one with the stated digest.

mod check;
mod element;
mod servers;

use std::io::{self, Write};

use super::findings::{headline, verdict};
use super::format::{Prose, counted, grouped};
use super::seal::Sealed;
use super::{CheckReport, HostReport, Outcome, Report, ServerReport, Status};
use crate::compare::Counts;
use crate::digest::Sha256;
use element::{Text, badge, number};

const STYLE: &str = include_str!("html/style.css");

/// Writes the page. `title` says what was checked, for example the name of a machine.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, title: &str) -> io::Result<()> {
    let title = Prose(title).to_string();
    head(out, report, &title)?;
    verdict_card(out, report, &title)?;
    notes(out, report)?;
    match report.only() {
        Some(host) => {
            if let Some(server) = &host.server {
                of_server(out, server)?;
            }
            overview(out, host)?;
            for (index, check) in host.checks.iter().enumerate() {
                check::write(out, index, (&report.run, host, check), check::ITEMS)?;
            }
        }
        None => servers::write(out, report)?,
    }
    writeln!(out, "</main>")?;
    footer(out, report)?;
    writeln!(out, "</body>\n</html>")
}

fn head(out: &mut impl Write, report: &Report, title: &str) -> io::Result<()> {
    let mut hasher = Sha256::new();
    hasher.update(STYLE.as_bytes());
    let digest = hasher.finish().sri();
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{digest}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        Text(title),
        verdict(report.exit_code()),
    )
}

/// The class for the colour of the verdict.
const fn tone(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "good",
        2 => "warn",
        _ => "bad",
    }
}

fn verdict_card(out: &mut impl Write, report: &Report, title: &str) -> io::Result<()> {
    let tone = tone(report.exit_code());
    // A tick, or an exclamation mark.
    let icon = match tone {
        "good" => "M7 12.5l3.3 3.3L17 9",
        _ => "M12 6.5v7M12 17v.1",
    };
    writeln!(
        out,
        "<section class=\"verdict {tone}\">\n<p class=\"title\"><span>{}</span><time>{}</time></p>\n\
         <h1><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"10.5\" \
         fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\"/><path d=\"{icon}\" fill=\"none\" \
         stroke=\"currentColor\" stroke-width=\"2.4\" stroke-linecap=\"round\" stroke-linejoin=\"round\"/></svg>{}</h1>",
        Text(title),
        Text(&when(&report.run.started)),
        verdict(report.exit_code()),
    )?;
    let headline = headline(report);
    // The heading already has the part before the colon.
    let rest = headline.split_once(": ").map_or(headline.as_str(), |(_, rest)| rest);
    writeln!(out, "<p class=\"headline\">{}</p>", Text(rest))?;
    let counts = report.counts();
    bar(out, counts)?;
    writeln!(out, "<dl class=\"counts\">")?;
    let mut numbers = vec![
        ("entries", counts.entries, ""),
        ("verified", counts.verified, ""),
        ("drifted", counts.drifted, "bad"),
        ("unverified", counts.unverified, "warn"),
    ];
    match report.only() {
        Some(host) => {
            let ended = |status: Status| host.checks.iter().filter(|check| check.status() == status).count() as u64;
            numbers.push(("checks", host.checks.len() as u64, ""));
            numbers.push(("failed", ended(Status::Fail), "bad"));
            numbers.extend(Some(("skipped", ended(Status::Skip), "")).filter(|(_, number, _)| *number > 0));
        }
        None => {
            let summary = report.servers_summary();
            numbers.push(("servers", summary.total, ""));
            numbers.push(("failed", summary.failed, "bad"));
            numbers.push(("not collected", summary.not_collected, "warn"));
        }
    }
    for (name, number, tone) in numbers {
        let some = if number > 0 && !tone.is_empty() { " some" } else { "" };
        writeln!(out, "<div class=\"{tone}{some}\"><dt>{name}</dt><dd>{}</dd></div>", grouped(number))?;
    }
    writeln!(out, "</dl>\n</section>")
}

/// `2026-01-29 15:30:42 +09:00`
fn when(started: &str) -> String {
    match (started.get(..10), started.get(11..19), started.get(19..)) {
        (Some(date), Some(time), Some(offset)) => format!("{date} {time} {offset}"),
        _ => started.to_owned(),
    }
}

/// A bar with the shares of verified, drifted and unverified entries. A share that is not zero is always visible.
fn bar(out: &mut impl Write, counts: Counts) -> io::Result<()> {
    const WIDTH: u64 = 1000;
    let text = format!(
        "{} verified, {} drifted, {} unverified",
        grouped(counts.verified),
        grouped(counts.drifted),
        grouped(counts.unverified)
    );
    write!(
        out,
        "<svg class=\"bar\" viewBox=\"0 0 {WIDTH} 8\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{text}\">\
         <rect class=\"none\" width=\"{WIDTH}\" height=\"8\"/>"
    )?;
    let share = |number: u64| match number {
        0 => 0,
        _ => (u128::from(number) * u128::from(WIDTH) / u128::from(counts.entries.max(1))).max(8) as u64,
    };
    let (drifted, unverified) = (share(counts.drifted), share(counts.unverified));
    let verified = if counts.verified > 0 { WIDTH.saturating_sub(drifted + unverified) } else { 0 };
    let mut at = 0;
    for (class, width) in [("verified", verified), ("drifted", drifted), ("unverified", unverified)] {
        if width > 0 {
            write!(out, "<rect class=\"{class}\" x=\"{at}\" width=\"{width}\" height=\"8\"/>")?;
            at += width;
        }
    }
    writeln!(out, "</svg>")
}

fn notes(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if let Some(window) = &report.run.window {
        let state = if report.run.window_is_open() { "Drift is expected" } else { "Drift was expected" };
        let (until, reason) = (window.until(), Text(&window.reason));
        writeln!(out, "<p class=\"note idle\"><b>{state}</b> until {until}: {reason}</p>")?;
    }
    for layer in report.run.sandbox.missing() {
        writeln!(out, "<p class=\"note warn\"><b>{layer} did not hold</b> during this run.</p>")?;
    }
    let seal = report.hosts.first().and_then(|host| host.seal.as_deref());
    if let Some(Sealed { serial, signer, key, fingerprint, declaration }) = seal.and_then(|seal| seal.sealed.as_ref()) {
        let who = format!("{} ({} {})", Prose(signer), Prose(key), Prose(fingerprint));
        write!(out, "<p class=\"note idle\"><b>Baseline sealed</b> by {}, serial {serial}", Text(&who))?;
        if let Some(declaration) = declaration {
            let declaration = Prose(declaration).to_string();
            write!(out, ". The declaration that was compared is {}, not this run's own", Text(&declaration))?;
        }
        writeln!(out, "</p>")?;
    }
    for trouble in seal.iter().flat_map(|seal| &seal.troubles) {
        let (problem, help) = (Prose(&trouble.problem).to_string(), Prose(&trouble.help).to_string());
        writeln!(
            out,
            "<p class=\"note bad\"><b>Seal</b> {}<span class=\"under\">To do: {}</span></p>",
            Text(&problem),
            Text(&help)
        )?;
    }
    for lock in report.missing_locks() {
        let lock = Prose(lock).to_string();
        writeln!(out, "<p class=\"note bad\"><b>Missing lock file</b> <code>{}</code></p>", Text(&lock))?;
    }
    Ok(())
}

/// Notes about a server: missing layers of its sandbox, and why it was not collected.
fn of_server(out: &mut impl Write, server: &ServerReport) -> io::Result<()> {
    for layer in unsandboxed(server) {
        writeln!(out, "<p class=\"note warn\"><b>{layer} did not hold</b> on the server while it was read.</p>")?;
    }
    if let Some(trouble) = &server.trouble {
        let (problem, help) = (Prose(&trouble.problem).to_string(), Prose(&trouble.help).to_string());
        writeln!(
            out,
            "<p class=\"note bad\"><b>Not collected</b> {}<span class=\"under\">To do: {}</span></p>",
            Text(&problem),
            Text(&help)
        )?;
    }
    Ok(())
}

/// The layers that did not hold on a server that answered.
fn unsandboxed(server: &ServerReport) -> impl Iterator<Item = &'static str> {
    let layers = server.head.iter().flat_map(|head| [(head.landlock.is_some(), "Landlock"), (head.seccomp, "seccomp")]);
    layers.filter(|(held, _)| !held).map(|(_, layer)| layer)
}

/// The table of checks.
fn overview(out: &mut impl Write, host: &HostReport) -> io::Result<()> {
    if host.checks.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section class=\"card\">\n<table class=\"checks\">\n<thead><tr><th scope=\"col\">Check</th>\
         <th scope=\"col\">Result</th><th scope=\"col\" class=\"number\">Entries</th>\
         <th scope=\"col\" class=\"number\">Verified</th><th scope=\"col\" class=\"number\">Drifted</th>\
         <th scope=\"col\" class=\"number\">Unverified</th></tr></thead>\n<tbody>"
    )?;
    for (index, check) in host.checks.iter().enumerate() {
        let (name, root) = (Prose(&check.name).to_string(), Prose(&check.root).to_string());
        let counts = check.counts();
        write!(out, "<tr><th scope=\"row\">")?;
        if check::has_card(check) {
            write!(out, "<a href=\"#check-{index}\">{}</a>", Text(&name))?;
        } else {
            write!(out, "{}", Text(&name))?;
        }
        write!(out, "<span class=\"under\">{}", check.kind.name())?;
        if !root.is_empty() {
            write!(out, " · {}", Text(&root))?;
        }
        if check.trusted > 0 {
            let trusted = counted(check.trusted, "entry", "entries");
            write!(out, " · contents of {trusted} not read again, but trusted from the stat cache")?;
        }
        if let (Some(old), Outcome::Compared { .. }) = (check.old_lock, &check.outcome) {
            write!(out, " · an old lock, blind to {}", old.blind_to())?;
        }
        write!(out, "</span></th><td class=\"result\">")?;
        result(out, check)?;
        write!(out, "</td>")?;
        number(out, "entries", counts.entries, "")?;
        number(out, "verified", counts.verified, "")?;
        number(out, "drifted", counts.drifted, "bad")?;
        number(out, "unverified", counts.unverified, "warn")?;
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

/// The outcome of a check, as a badge.
fn result(out: &mut impl Write, check: &CheckReport) -> io::Result<()> {
    let (tone, word) = match (check.status(), check.drifted(), check.troubled()) {
        (Status::Pass, ..) => ("good", "verified"),
        (Status::Skip, ..) if matches!(check.outcome, Outcome::NoLock) => ("bad", "no lock"),
        (Status::Skip, ..) => ("idle", "skipped"),
        (Status::Fail, true, true) => ("bad", "drift, trouble"),
        (Status::Fail, true, false) => ("bad", "drift"),
        (Status::Fail, ..) => ("warn", "trouble"),
    };
    badge(out, tone, word)
}

fn footer(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let landlock = report.run.sandbox.landlock.as_ref().map_or("did not hold".to_owned(), |landlock| {
        format!("ABI {}: {}", landlock.abi, landlock.restrictions.join(", "))
    });
    let seccomp = if report.run.sandbox.seccomp { "held" } else { "did not hold" };
    let all = report.hosts.iter();
    let bytes = counted(all.clone().map(|host| host.bytes).fold(0, u64::saturating_add), "byte", "bytes");
    let longest = all.map(|host| host.duration).max().unwrap_or_default().as_secs_f64();
    let read = match report.only() {
        Some(_) => format!("{bytes} in {longest:.1} s"),
        None => format!("{bytes}, of one server in {longest:.1} s at most"),
    };
    writeln!(out, "<footer>\n<dl>")?;
    let mut rows = vec![("Sandbox, Landlock", landlock), ("Sandbox, seccomp", seccomp.to_owned())];
    if let Some(HostReport { server: Some(server), .. }) = report.only() {
        let driftlock = server.head.as_ref().map_or_else(String::new, |head| format!(", driftlock {}", head.driftlock));
        let server = format!("{} ({}){driftlock}", Prose(&server.name), Prose(&server.host));
        rows.push(("Server", Prose(&server).to_string()));
    }
    rows.push(("Read", read));
    rows.push(("Report", report.run.timestamp.clone()));
    rows.push(("Rendered by", format!("driftlock {}", env!("CARGO_PKG_VERSION"))));
    for (name, value) in rows {
        writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Text(&value))?;
    }
    writeln!(out, "</dl>\n</footer>")
}
