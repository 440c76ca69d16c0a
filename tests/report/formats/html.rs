use std::collections::HashSet;
use std::process::Command;

use driftlock::internals::report::Report;
use driftlock::internals::report::html::write;
use needs::needs;
use serde_json::Value;

use super::{content, rendered};
use crate::samples;

/// What a parser that is not ours makes of a page: each tag with its attributes, and the text.
const PARSE: &str = r#"
import json, sys
from html.parser import HTMLParser

VOID = {"meta"}
class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.text, self.open = [], [], []
    def handle_starttag(self, tag, attributes):
        self.tags.append([tag, dict(attributes)])
        if tag not in VOID: self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.tags.append([tag, dict(attributes)])
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
    def handle_data(self, data):
        if "style" not in self.open: self.text.append(data)
    def handle_comment(self, data): raise AssertionError(data)
    def unknown_decl(self, data): raise AssertionError(data)
    def handle_pi(self, data): raise AssertionError(data)

page = Page()
page.feed(sys.stdin.buffer.read().decode("utf-8"))
page.close()
assert not page.open, page.open
print(json.dumps({"tags": page.tags, "text": "".join(page.text)}))
"#;

fn page(report: &Report) -> String {
    rendered(|out| write(out, report, "shop-1 <b>"))
}

fn parsed(name: &str, report: &Report) -> (Vec<(String, Value)>, String) {
    let said = content(Command::new("python3").args(["-c", PARSE]), page(report).as_bytes(), name);
    let parsed: Value = serde_json::from_str(&said).unwrap();
    let tags = parsed["tags"].as_array().unwrap().iter();
    let tags = tags.map(|tag| (tag[0].as_str().unwrap().to_owned(), tag[1].clone())).collect();
    (tags, parsed["text"].as_str().unwrap().to_owned())
}

/// The elements that pages are made of, and the attributes that each may have.
const KNOWN: [(&str, &[&str]); 39] = [
    ("html", &["lang"]),
    ("head", &[]),
    ("meta", &["charset", "http-equiv", "content", "name"]),
    ("title", &[]),
    ("style", &[]),
    ("body", &[]),
    ("main", &[]),
    ("section", &["class", "id"]),
    ("header", &[]),
    ("footer", &[]),
    ("h1", &[]),
    ("h2", &[]),
    ("h3", &[]),
    ("p", &["class"]),
    ("b", &[]),
    ("a", &["href"]),
    ("span", &["class"]),
    ("div", &["class"]),
    ("code", &[]),
    ("time", &[]),
    ("dl", &["class"]),
    ("dt", &[]),
    ("dd", &[]),
    ("ol", &[]),
    ("li", &[]),
    ("table", &["class"]),
    ("thead", &[]),
    ("tbody", &[]),
    ("tr", &[]),
    ("th", &["scope", "class"]),
    ("td", &["class", "data-label"]),
    ("svg", &["class", "viewbox", "preserveaspectratio", "role", "aria-label", "aria-hidden"]),
    ("rect", &["class", "x", "width", "height"]),
    ("circle", &["cx", "cy", "r", "fill", "stroke", "stroke-width"]),
    ("path", &["d", "fill", "stroke", "stroke-width", "stroke-linecap", "stroke-linejoin"]),
    ("ul", &[]),
    ("em", &[]),
    ("details", &["class"]),
    ("summary", &[]),
];

#[needs("python3")]
fn no_name_is_markup() {
    let (ones, fleets) = (samples::all(), samples::fleets());
    for (name, report) in ones.iter().chain(&fleets) {
        let (tags, _) = parsed(name, report);
        let (mut targets, mut links) = (Vec::new(), Vec::new());
        for (tag, attributes) in &tags {
            let known = KNOWN.iter().find(|(known, _)| known == tag);
            let (_, known) = known.unwrap_or_else(|| panic!("{name}: <{tag}> {attributes}"));
            for (attribute, value) in attributes.as_object().unwrap() {
                assert!(known.contains(&attribute.as_str()), "{name}: <{tag} {attribute}={value}>");
                match attribute.as_str() {
                    "href" => links.push(value.as_str().unwrap().strip_prefix('#').unwrap()),
                    "id" => targets.push(value.as_str().unwrap()),
                    _ => {}
                }
            }
        }
        let known: HashSet<_> = targets.iter().copied().collect();
        assert_eq!(known.len(), targets.len(), "{name}: an id is there twice");
        assert!(links.iter().all(|link| known.contains(link)), "{name}: a link leads nowhere");
        assert_eq!(tags.iter().filter(|(tag, _)| tag == "style").count(), 1, "{name}");
    }
    let (_, text) = parsed("hostile", &samples::hostile());
    assert!(text.contains("<img src=x onerror=alert(1)>"), "{text}");
    assert!(text.trim_start().starts_with("shop-1 <b>: Drift"), "{text}");
    let (_, text) = parsed("hostile", &samples::fleet(vec![samples::on(samples::HOSTILE[10], samples::seed_fail())]));
    assert!(text.contains("<img src=x onerror=alert(1)>"), "{text}");
}

/// The text of each element with this tag.
fn texts(page: &str, tag: &str) -> Vec<String> {
    let (start, end) = (format!("<{tag}"), format!("</{tag}>"));
    let parts = page.split(&*start).skip(1).map(|part| part.split_once('>').unwrap().1.split(&*end).next().unwrap());
    parts
        .map(|inner| inner.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text)).collect())
        .collect()
}

#[needs("python3")]
fn two_hundred_servers_are_a_table_that_can_be_read() {
    let fleet = samples::large_fleet();
    let (tags, text) = parsed("large", &fleet);
    let page = page(&fleet);
    assert!(page.len() < 200_000, "{}", page.len());
    let verdict =
        "Drift and trouble\n40 of 200 servers failed, 135 entries drifted in 70 checks, 5 servers not collected";
    assert!(text.contains(verdict), "{text}");
    let (first, folded) = page.split_once("<details class=\"card hosts\">").unwrap();
    // Those that fail stand first, in their order; those that pass are behind a line.
    let first = first.split_once("<section class=\"card hosts\">").unwrap().1;
    let rows = texts(first, "tr");
    assert_eq!(rows[0], "Servercollectedcompose_hashesaddon_hashes");
    assert_eq!(rows.len(), 41);
    assert_eq!(rows[1], "web-010.example.org✓2 drifted2 drifted");
    assert_eq!(rows[31], "web-040.example.org✓1 drifted2 drifted");
    assert_eq!(rows[40], "web-049.example.orgnonot collectednot collected");
    let folded = folded.split_once("</details>").unwrap().0;
    assert!(folded.contains("<summary>160 more servers pass, with everything verified</summary>"));
    assert_eq!(texts(folded, "tr").len(), 161);
    assert_eq!(texts(folded, "tr")[160], "web-199.example.org✓✓✓");
    // What is the same on 30 servers is told once, with all their names.
    let together = texts(&page, "h2");
    let names = |range: std::ops::Range<u32>| {
        range.map(|number| format!("web-{number:03}.example.org")).collect::<Vec<_>>().join(", ")
    };
    let all = format!("{} and 18 more", names(10..22));
    assert!(together.contains(&all), "{together:#?}");
    assert!(text.contains(&names(22..40)), "{text}");
    let cards = tags.iter().filter(|(tag, attributes)| tag == "section" && attributes["id"].is_string()).count();
    assert_eq!(cards, 2 + 5 * 2 + 1);
    assert!(text.contains("ssh: connect to web-045.example.org: Connection refused"), "{text}");
}

/// Servers that differ in everything, and each otherwise: the page can still be opened.
#[test]
fn what_many_servers_do_not_share_is_cut_with_a_count() {
    let unlike = |number: usize| {
        let (mut locked, mut live) = (samples::Tree::new(), samples::Tree::new());
        for file in 0..100 {
            locked = locked.file(format!("{file:03}"), "before");
            live = live.file(format!("{file:03}"), &format!("{number}"));
        }
        samples::on(format!("web-{number:03}"), samples::report(vec![samples::files(&locked, &live)]))
    };
    for (servers, items, hidden) in
        [(5, 100, None), (100, 50, Some("… and 50 more drifted")), (1000, 10, Some("… and 90 more drifted"))]
    {
        let fleet = samples::fleet((0..servers).map(unlike).collect());
        let page = page(&fleet);
        assert_eq!(page.matches("<li>").count(), servers * items, "{servers}");
        assert_eq!(hidden.map_or(0, |hidden| page.matches(hidden).count()), if hidden.is_some() { servers } else { 0 });
        assert!(page.len() < 8_000_000, "{servers}: {}", page.len());
    }
}

#[needs("python3")]
fn a_server_that_was_not_asked_in_full_is_told_of() {
    let (_, text) = parsed("unreached", &samples::unreached());
    for said in [
        "Trouble\nthe server was not collected",
        "Not collected ssh: connect to host",
        "To do: see whether",
        "web (web.example.org)",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let fleets = samples::fleets();
    let of = |name: &str| &fleets.iter().find(|(known, _)| *known == name).unwrap().1;
    let (_, text) = parsed("mixed", of("mixed"));
    assert!(text.contains("bare\nLandlock did not hold there while it was read."), "{text}");
    let rows = texts(&page(of("mixed")), "tr");
    assert_eq!(rows[1..], ["a✓✓✓", "b✓2 drifted2 drifted", "cnonot collectednot collected", "bare✓✓✓"]);
    let (_, text) = parsed("window", of("window"));
    assert!(text.contains("Drift is expected until 2026-01-29T09:00:00Z: <b>Odoo</b> 18.0.7"), "{text}");
}

#[needs("python3")]
fn a_container_is_told_with_all_that_differs() {
    let (_, text) = parsed("containers", &samples::report(vec![samples::containers()]));
    for said in [
        "14 of 15 containers drifted",
        "image changed",
        "traefik:v3.1 → traefik:v3.2",
        &format!("image id sha256:{}", samples::sha256(b"other").hex()),
        "mount /b changed: bind /srv/b read-only → bind /srv/b",
        "mounts /a (volume) /b (bind /srv/b read-only)",
        &format!("labels a (sha256 {})", samples::sha256(b"2").hex()),
        "variables A B",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[test]
fn the_policy_allows_its_own_style_and_nothing_else() {
    let page = page(&samples::seed_fail());
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = samples::sha256(style.as_bytes()).sri();
    let policy = format!("content=\"default-src 'none'; style-src '{digest}'; base-uri 'none'; form-action 'none'\">");
    assert!(page.find(&policy).unwrap() < page.find("<style>").unwrap());
    // Nothing is loaded from anywhere.
    for word in ["url(", "@import", "src=", "http:", "https:"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[needs("python3")]
fn it_says_all_of_each_drift() {
    let (_, text) = parsed("every_change", &samples::report(vec![samples::every_change()]));
    for said in [
        "odoo_modules/seisei/m/modified",
        &format!("file, 6 bytes, sha256 {}", samples::sha256(b"before").hex()),
        &format!("file, 8 bytes, sha256 {}", samples::sha256(b"after it").hex()),
        "symlink to /etc/shadow",
        "character device 1:5",
        "mode 4755",
        "owner 1000:100",
        "Landlock",
        "ABI 6: filesystem, tcp, scope",
        "56,789 bytes in 1.2 s",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let (_, text) = parsed("troubled", &samples::report(samples::troubled()));
    for said in [
        "Drift and trouble",
        "the root infra/stacks does not exist",
        "To do: create it, or correct `root` in driftlock.toml",
        "odoo_modules/seisei/m/d/x",
        "the directory m/d could not be read",
        "could not open it: Permission denied",
        "Missing lock file audit/locks/unit_files.lock.json",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[needs("python3")]
fn what_was_not_read_again_is_said() {
    let said = "contents of 3 entries not read again, but trusted from the stat cache";
    let trusted = samples::all().into_iter().find(|(_, report)| report.checks().any(|check| check.trusted == 3));
    assert!(parsed("trusted", &trusted.unwrap().1).1.contains(said));
    assert!(!parsed("clean", &samples::seed_pass()).1.contains("stat cache"));
}

#[needs("python3")]
fn an_old_lock_is_said() {
    let text = parsed("old locks", &samples::old_locks()).1;
    assert_eq!(text.matches("an old lock, blind to ").count(), 3, "{text}");
    assert!(!parsed("clean", &samples::seed_pass()).1.contains("old lock"));
}

#[needs("python3")]
fn long_lists_are_cut_with_a_count() {
    let report = samples::report(vec![samples::many(5000)]);
    let (tags, text) = parsed("many", &report);
    assert_eq!(tags.iter().filter(|(tag, _)| tag == "li").count(), 500);
    assert!(text.contains("… and 4,500 more drifted; the JSON report has every entry."), "{text}");
    assert!(page(&report).len() < 400_000);
}
