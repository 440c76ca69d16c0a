//! The report as the payload of an incoming webhook: blocks for Slack, and a short text, which notifications and
//! Mattermost show.
//!
//! Source: Slack's reference of blocks (50 in a message; 150 characters in a header, 3,000 in a section), and its pages
//! on incoming webhooks and on formatting text (`&`, `<` and `>` are escaped, and nothing else). Text from outside is
//! between backquotes, where neither Slack nor Mattermost has markup or mentions, and contains no backquote.

use std::collections::HashSet;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::findings::{self, Failed, emptied, headline, sentence, verdict};
use super::format::{Prose, capitalized, counted, grouped, shown_path};
use super::group::{self, Item};
use super::json::write_value;
use super::row::Row;
use super::text::describe;
use super::uncovered;
use super::{CheckReport, Outcome, Report, ServerReport};
use crate::path::escaped;

/// The most blocks in a message.
const MOST_BLOCKS: usize = 50;
/// The most checks to show. The other blocks are the header, the headline, the count of the rest, and the context.
const MOST_CHECKS: usize = MOST_BLOCKS - 4;
/// The most characters of a section's text.
const LONGEST_SECTION: usize = 3000;
/// The most of these for the commands that say what to do next.
const LONGEST_NEXT: usize = 1200;
/// The most characters of a header.
const LONGEST_HEADER: usize = 150;
/// The most characters of the text. Slack accepts 4,000, Mattermost 16,383.
const LONGEST_TEXT: usize = 4000;
/// The most characters of a name or a description to show.
const LONGEST_NAME: usize = 200;
/// The most servers with one failure to name, and the most characters of each name.
const MOST_NAMES: usize = 3;
const LONGEST_SERVER: usize = 60;
/// The most lines of one check; the report has the others.
const LINES: usize = 20;

/// Writes the payload. `title` says what was checked, for example the name of a machine.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, title: &str) -> io::Result<()> {
    let all = told(report);
    let title = Prose(title).to_string();
    let headline = escape(&headline(report));
    let header = cut(&format!("{title}: {}", verdict(report.exit_code())), LONGEST_HEADER);
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": header, "emoji": false } }),
        section(&format!("{}{headline}", emoji(report))),
    ];
    let mut text = format!("{}{}: {headline}", emoji(report), code(&title));
    if let Some(window) = window(report) {
        text.push('\n');
        text.push_str(&window);
    }
    for told in all.iter().take(MOST_CHECKS) {
        let next = told.next();
        blocks.push(section(&(told.text(LONGEST_SECTION - length(&next), LINES) + &next)));
        let room = LONGEST_TEXT.saturating_sub(length(&text) + 100);
        let short = told.text(room, 3);
        // Escaping can make a text longer than the limit.
        if room > 300 && length(&short) <= room {
            text.push('\n');
            text.push_str(&short);
        }
    }
    if let Some(more) = all.len().checked_sub(MOST_CHECKS).filter(|&more| more > 0) {
        blocks.push(section(&format!(
            "… and {}; the report has them",
            counted(more as u64, "more check", "more checks")
        )));
    }
    let context = cut(&context(report), LONGEST_SECTION);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": context }] }));
    write_value(out, &json!({ "text": text, "blocks": blocks }))
}

/// Something that failed, and on which servers.
struct Grouped<'a> {
    failed: Failed<'a>,
    servers: Vec<&'a str>,
}

/// Everything that failed. Servers with the same findings are one item, and what is wrong with the locks is listed
/// once.
fn told(report: &Report) -> Vec<Grouped<'_>> {
    let groups = report.only().map_or_else(|| report.alike(), |host| vec![vec![host]]);
    let mut missing = HashSet::new();
    let mut all = Vec::new();
    for group in groups {
        let Some(&host) = group.first() else { continue };
        let names = group.iter().filter_map(|host| host.server.as_ref());
        let names: Vec<_> = names.map(|server| server.name.as_str()).collect();
        all.extend(findings::failed(&report.run, host, &mut missing).into_iter().map(|failed| Grouped {
            servers: if failed.is_about_locks() { Vec::new() } else { names.clone() },
            failed,
        }));
    }
    all
}

impl Grouped<'_> {
    /// The servers, the failure, and as many lines as there is room for.
    fn text(&self, room: usize, lines: usize) -> String {
        let mut text = String::new();
        if !self.servers.is_empty() {
            let names = self.servers.iter().take(MOST_NAMES);
            let names = names.map(|name| code(&cut(&escaped(name.as_bytes()).to_string(), LONGEST_SERVER)));
            text.push_str(&names.collect::<Vec<_>>().join(", "));
            if let Some(more) = self.servers.len().checked_sub(MOST_NAMES).filter(|&more| more > 0) {
                text.push_str(&format!(" and {} more", grouped(more as u64)));
            }
            text.push_str(": ");
        }
        let room = room.saturating_sub(length(&text));
        text.push_str(&match self.failed.row {
            Row::Check(check) => self::check(check, room, lines),
            Row::Collection(ServerReport { trouble: Some(trouble), .. }) => {
                format!("not collected: {}", code(&Prose(&trouble.problem).to_string()))
            }
            Row::Seal(seal) => {
                let troubles: Vec<_> =
                    seal.troubles.iter().map(|trouble| code(&Prose(&trouble.problem).to_string())).collect();
                format!("seal: {}", troubles.join("; "))
            }
            Row::Collection(_) | Row::LockFiles(_) => String::new(),
        });
        text
    }

    /// What to do next, as commands to paste. A command that does not fit is left out.
    fn next(&self) -> String {
        let Some(next) = self.failed.next() else { return String::new() };
        let mut text = format!("\n_{}_", escape(next.cause));
        for step in next.steps {
            let line = format!("\n{}: `{}`", step.what, escape(&step.line));
            if length(&text) + length(&line) <= LONGEST_NEXT {
                text.push_str(&line);
            }
        }
        text
    }
}

fn emoji(report: &Report) -> &'static str {
    match report.exit_code() {
        0 => ":white_check_mark: ",
        1 if report.run.window_is_open() => ":construction: ",
        1 => ":rotating_light: ",
        _ => ":warning: ",
    }
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// A check: its outcome, then as many lines as there is room for.
fn check(check: &CheckReport, room: usize, lines: usize) -> String {
    let name = code(&Prose(&check.name).to_string());
    let mut text = match check.outcome {
        Outcome::Compared { .. } | Outcome::OtherMode | Outcome::NotCollected => {
            format!("{name}: {}", escape(&sentence(check)))
        }
        Outcome::Failed(_) | Outcome::NoLock => format!("{name}: {}", code(&sentence(check))),
    };
    let Outcome::Compared { comparison, .. } = &check.outcome else { return text };
    if let Some(emptied) = emptied(check) {
        return format!("{text}\n• {}", code(&emptied));
    }
    let groups = group::groups(check.kind, &comparison.drift);
    let items = groups.iter().flat_map(|group| &group.items);
    let drift = items.map(|item| (Item::entries(item), drift(check, item)));
    let unverified = comparison.unverified.iter().map(|entry| {
        let path = shown_path(&check.root, entry.path.as_bytes());
        (1, format!("unverified {} {}", code(&path), code(&Prose(&entry.reason.to_string()).to_string())))
    });
    let mut hidden = comparison.left_out.drifted + comparison.left_out.unverified;
    let mut cut = false;
    let uncovered = check.uncovered.iter().filter(|_| check.uncovered_is_trouble);
    let uncovered = uncovered.map(|one| (1, format!("uncovered {}", code(&uncovered::item(&check.root, one)))));
    for (number, (entries, line)) in drift.chain(unverified).chain(uncovered).enumerate() {
        // This leaves room for the line that counts the rest.
        if cut || number >= lines || length(&text) + length(&line) + 100 > room {
            cut = true;
            hidden += entries;
        } else {
            text.push_str("\n• ");
            text.push_str(&line);
        }
    }
    if hidden > 0 {
        text.push_str(&format!("\n… and {} more; the report has every entry", grouped(hidden)));
    }
    text
}

fn drift(check: &CheckReport, item: &Item<'_>) -> String {
    let (label, text) = describe::item(&check.root, item);
    format!("{label} {} {}", code(&shown_path(&check.root, item.path)), code(&text))
}

fn window(report: &Report) -> Option<String> {
    let window = report.run.window.as_ref()?;
    let state = if report.run.window_is_open() { "Drift is expected until" } else { "Drift was expected until" };
    Some(format!("{state} {}: {}", window.until(), code(&window.reason)))
}

fn context(report: &Report) -> String {
    let mut parts = vec![format!("Checked {}", escape(&escaped(report.run.started.as_bytes()).to_string()))];
    parts.extend(window(report));
    parts.extend(report.run.sandbox.missing().map(|layer| format!("{} did not hold", capitalized(layer))));
    parts.push(format!("driftlock {}", env!("CARGO_PKG_VERSION")));
    parts.join(" · ")
}

/// The length for Slack's limits, in UTF-16 units: never less than the number of characters.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

fn cut(text: &str, longest: usize) -> String {
    if length(text) <= longest {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut room = longest - 1;
    for character in text.chars() {
        let Some(left) = room.checked_sub(character.len_utf16()) else { break };
        room = left;
        cut.push(character);
    }
    cut.push('…');
    cut
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text from outside, as code. A backquote is shown as `\x60`.
fn code(text: &str) -> String {
    format!("`{}`", escape(&cut(text, LONGEST_NAME).replace('`', "\\x60")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(code("<!channel> `x` & *b*"), "`&lt;!channel&gt; \\x60x\\x60 &amp; *b*`");
        assert_eq!(code(&"é".repeat(300)), format!("`{}…`", "é".repeat(199)));
        assert_eq!(cut("ab\u{1f600}c", 4), "ab…");
    }
}
