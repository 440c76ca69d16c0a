//! The report as the payload of an incoming webhook: Slack's blocks, and a text with the gist of it, which is what
//! notifications show and all that Mattermost takes.
//!
//! Source: Slack's reference of blocks (50 a message; 150 characters a header, 3,000 a section), its page on incoming
//! webhooks, and on formatting text (`&`, `<` and `>` are escaped, and nothing else). What comes from outside stands
//! between backquotes, where neither of the two knows markup or mentions, and has none in it.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::findings::{headline, sentence, verdict};
use super::group::{self, Item};
use super::json::write_value;
use super::text::describe;
use super::words::{Prose, capitalized, counted, grouped, shown};
use super::{CheckReport, Outcome, Report, Status};
use crate::path::escaped;

/// Blocks that a message may have.
const MOST_BLOCKS: usize = 50;
/// Checks that are shown; the header, the headline, the count of the rest and the context are the other blocks.
const MOST_CHECKS: usize = MOST_BLOCKS - 4;
/// Characters that a section's text may have.
const LONGEST_SECTION: usize = 3000;
/// Characters that a header may have.
const LONGEST_HEADER: usize = 150;
/// Characters of the text. Slack wants no more than 4,000, Mattermost takes 16,383.
const LONGEST_TEXT: usize = 4000;
/// Characters of one name, or of one description, that are shown.
const LONGEST_NAME: usize = 200;
/// Lines of one check. Who has more to look at needs the report.
const LINES: usize = 20;

/// Writes the payload. `title` says what was checked: the name of a machine, say.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, report: &Report, title: &str) -> io::Result<()> {
    let failed: Vec<_> =
        report.checks.iter().filter(|check| check.status() == Status::Fail || is_missing(check)).collect();
    let title = Prose(title).to_string();
    let headline = escape(&headline(report));
    let header = cut(&format!("{title}: {}", verdict(report)), LONGEST_HEADER);
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": header, "emoji": false } }),
        section(&format!("{}{headline}", emoji(report))),
    ];
    let mut text = format!("{}{}: {headline}", emoji(report), code(&title));
    if let Some(window) = window(report) {
        text.push('\n');
        text.push_str(&window);
    }
    for check in failed.iter().take(MOST_CHECKS) {
        blocks.push(section(&self::check(check, LONGEST_SECTION, LINES)));
        let room = LONGEST_TEXT.saturating_sub(length(&text) + 100);
        if room > 300 {
            text.push('\n');
            text.push_str(&self::check(check, room, 3));
        }
    }
    if let Some(more) = failed.len().checked_sub(MOST_CHECKS).filter(|&more| more > 0) {
        blocks.push(section(&format!(
            "… and {}; the report has them",
            counted(more as u64, "more check", "more checks")
        )));
    }
    let context = cut(&context(report), LONGEST_SECTION);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": context }] }));
    write_value(out, &json!({ "text": text, "blocks": blocks }))
}

fn is_missing(check: &CheckReport) -> bool {
    matches!(check.outcome, Outcome::NoLock)
}

fn emoji(report: &Report) -> &'static str {
    match report.exit_code() {
        0 => ":white_check_mark: ",
        1 if report.window_is_open() => ":construction: ",
        1 => ":rotating_light: ",
        _ => ":warning: ",
    }
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// A check: what it is about, then its lines, as many as there is room for.
fn check(check: &CheckReport, room: usize, lines: usize) -> String {
    let name = code(&Prose(&check.name).to_string());
    let mut text = match check.outcome {
        Outcome::Compared { .. } | Outcome::OtherMode | Outcome::NotCollected => {
            format!("{name}: {}", escape(&sentence(check)))
        }
        Outcome::Failed(_) | Outcome::NoLock => format!("{name}: {}", code(&sentence(check))),
    };
    let Outcome::Compared { comparison, .. } = &check.outcome else { return text };
    let groups = group::groups(check.kind, &comparison.drift);
    let items = groups.iter().flat_map(|group| &group.items);
    let drift = items.map(|item| (Item::entries(item), drift(check, item)));
    let unverified = comparison.unverified.iter().map(|entry| {
        let path = shown(&check.root, entry.path.as_bytes());
        (1, format!("unverified {} {}", code(&path), code(&Prose(&entry.reason.to_string()).to_string())))
    });
    let mut hidden = 0;
    for (number, (entries, line)) in drift.chain(unverified).enumerate() {
        // Room for the line that counts the rest.
        if hidden > 0 || number >= lines || length(&text) + length(&line) + 100 > room {
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
    format!("{label} {} {}", code(&shown(&check.root, item.path)), code(&text))
}

fn window(report: &Report) -> Option<String> {
    let window = report.window.as_ref()?;
    let state = if report.window_is_open() { "Drift is expected until" } else { "Drift was expected until" };
    Some(format!("{state} {}: {}", window.until(), code(&window.reason)))
}

fn context(report: &Report) -> String {
    let mut parts = vec![format!("Checked {}", escape(&escaped(report.started.as_bytes()).to_string()))];
    parts.extend(window(report));
    parts.extend(report.sandbox.missing().map(|layer| format!("{} did not hold", capitalized(layer))));
    parts.push(format!("driftlock {}", env!("CARGO_PKG_VERSION")));
    parts.join(" · ")
}

/// Characters as Slack counts them, to be safe in units of UTF-16.
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

/// Something from outside, as it is. A backquote is shown as the byte that it is.
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
