use driftlock::internals::report::Report;
use driftlock::internals::report::slack::write;
use serde_json::{Value, json};

use super::rendered;
use crate::samples;

fn payload(report: &Report) -> Value {
    serde_json::from_str(&rendered(|out| write(out, report, "shop-1"))).unwrap()
}

/// Every string below a value.
fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        Value::Object(values) => {
            values.iter().filter(|(key, _)| *key != "type").for_each(|(_, value)| strings(value, found));
        }
        _ => {}
    }
}

/// The limits of Slack's reference, "Blocks" and "Text object".
fn assert_within_limits(name: &str, payload: &Value) {
    let length = |value: &Value| value["text"].as_str().unwrap().encode_utf16().count();
    let keys: Vec<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["blocks", "text"]);
    assert!((1..=4000).contains(&length(payload)), "{name}: {}", length(payload));
    let blocks = payload["blocks"].as_array().unwrap();
    assert!((3..=50).contains(&blocks.len()), "{name}: {}", blocks.len());
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => {
                assert_eq!(block["text"]["type"], "plain_text");
                assert!((1..=150).contains(&length(&block["text"])), "{name}");
            }
            "section" => {
                assert_eq!(block["text"]["type"], "mrkdwn");
                assert!((1..=3000).contains(&length(&block["text"])), "{name}: {}", length(&block["text"]));
            }
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                assert!(elements.iter().all(|element| element["type"] == "mrkdwn"));
            }
            other => panic!("{name}: {other}"),
        }
    }
}

/// Checks that no name is markup: outside of backquotes are our own words alone.
fn assert_no_markup(name: &str, payload: &Value) {
    let mut found = Vec::new();
    strings(payload, &mut found);
    for text in found {
        // The one markup of ours.
        let text = [":white_check_mark:", ":rotating_light:", ":warning:", ":construction:"]
            .iter()
            .fold(text.to_owned(), |text, emoji| text.strip_prefix(emoji).map_or(text.clone(), str::to_owned));
        assert!(!text.contains('<') && !text.contains('>'), "{name}: {text}");
        for line in text.lines() {
            assert!(line.matches('`').count().is_multiple_of(2), "{name}: {line}");
            for outside in line.split('`').step_by(2) {
                assert!(!outside.contains(['*', '_', '~', '@', '[', ']', '#', '\\']), "{name}: {outside}");
            }
        }
    }
}

#[test]
fn every_report_is_a_message_that_slack_takes() {
    let long = samples::Tree::new().file(vec![b'<'; 4000], "x").file(vec![0xff; 3000], "y");
    let mut reports = samples::all();
    reports.push(("long names", samples::report(vec![samples::files(&samples::Tree::new(), &long)])));
    let many = (0..100).map(|number| samples::every_change_as(&format!("check_{number}"))).collect();
    reports.push(("many checks", samples::report(many)));
    for (name, report) in reports {
        let payload = payload(&report);
        assert_within_limits(name, &payload);
        assert_no_markup(name, &payload);
    }
    let mut fleets = samples::fleets();
    let long = |number: usize| samples::on(vec![b"<&`"[number % 3]; 3000], samples::seed_fail());
    fleets.push(("long names", samples::fleet((0..9).map(long).collect())));
    for (name, fleet) in fleets {
        let payload = fleet_payload(&fleet);
        assert_within_limits(name, &payload);
        assert_no_markup(name, &payload);
    }
}

fn fleet_payload(fleet: &Report) -> Value {
    serde_json::from_str(&rendered(|out| write(out, fleet, "shop"))).unwrap()
}

#[test]
fn what_is_the_same_on_several_servers_is_told_once() {
    let payload = fleet_payload(&samples::large_fleet());
    let text = |block: usize| payload["blocks"][block]["text"]["text"].as_str().unwrap_or_default().to_owned();
    assert_eq!(text(0), "shop: Drift and trouble");
    let names = "`web-010.example.org`, `web-011.example.org`, `web-012.example.org` and 27 more: ";
    assert!(
        text(2).starts_with(&format!("{names}`compose_hashes`: 2 of 2 entries drifted\n• modified `infra/")),
        "{}",
        text(2)
    );
    assert!(text(3).starts_with(&format!("{names}`addon_hashes`: ")), "{}", text(3));
    let blocks = payload["blocks"].as_array().unwrap();
    // Both checks of the 30 and of each of the five others, and each of those that were not collected.
    assert_eq!(blocks.len(), 2 + 2 + 5 * 2 + 5 + 1);
    let unreached = "`web-045.example.org`: not collected: `ssh: connect to web-045.example.org: Connection refused`";
    assert_eq!(text(14), unreached);
}

#[test]
fn long_lists_are_cut_with_a_count() {
    let payload = payload(&samples::report(vec![samples::many(5000)]));
    let text = payload["blocks"][2]["text"]["text"].as_str().unwrap();
    assert_eq!(text.matches("\n• modified `").count(), 20, "{text}");
    assert!(text.ends_with("\n… and 4,980 more; the report has every entry"), "{text}");
    let text = payload["text"].as_str().unwrap();
    assert!(
        text.contains("`compose_hashes`: 5,000 of 5,000 entries drifted")
            && text.ends_with("… and 4,997 more; the report has every entry")
    );
    let many = (0..100).map(|number| samples::every_change_as(&format!("check_{number}"))).collect();
    let payload = self::payload(&samples::report(many));
    assert_eq!(payload["blocks"][48]["text"]["text"], "… and 54 more checks; the report has them");
}

#[test]
fn the_verdict_stands_first() {
    let head = |report: &Report| {
        let payload = payload(report);
        let text = payload["text"].as_str().unwrap().lines().next().unwrap().to_owned();
        (payload["blocks"][0]["text"]["text"].clone(), text)
    };
    assert_eq!(
        head(&samples::seed_pass()),
        (
            json!("shop-1: No drift"),
            ":white_check_mark: `shop-1`: No drift: 3 checks passed, 8 entries verified".to_owned()
        )
    );
    let (header, text) = head(&samples::seed_fail());
    assert_eq!(header, "shop-1: Drift");
    assert_eq!(text, ":rotating_light: `shop-1`: Drift: 4 entries drifted in 2 checks");
    assert!(head(&samples::report(samples::troubled())).1.starts_with(":warning: "));
    let window = payload(&samples::in_window());
    let expected = "Drift is expected until 2026-01-29T09:00:00Z: `&lt;b&gt;Odoo&lt;/b&gt; 18.0.7 &amp; *friends*`";
    assert!(window["text"].as_str().unwrap().contains(expected), "{window:#}");
}
