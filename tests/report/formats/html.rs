use std::process::Command;

use driftlock::report::Report;
use driftlock::report::html::write;
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
const KNOWN: [(&str, &[&str]); 37] = [
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
];

#[test]
fn no_name_is_markup() {
    for (name, report) in samples::all() {
        let (tags, _) = parsed(name, &report);
        for (tag, attributes) in &tags {
            let known = KNOWN.iter().find(|(known, _)| known == tag);
            let (_, known) = known.unwrap_or_else(|| panic!("{name}: <{tag}> {attributes}"));
            for (attribute, value) in attributes.as_object().unwrap() {
                assert!(known.contains(&attribute.as_str()), "{name}: <{tag} {attribute}={value}>");
                if attribute == "href" {
                    assert!(value.as_str().unwrap().starts_with("#check-"), "{name}: {value}");
                }
            }
        }
        assert_eq!(tags.iter().filter(|(tag, _)| tag == "style").count(), 1, "{name}");
    }
    let (_, text) = parsed("hostile", &samples::hostile());
    assert!(text.contains("<img src=x onerror=alert(1)>"), "{text}");
    assert!(text.trim_start().starts_with("shop-1 <b>: Drift"), "{text}");
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

#[test]
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

#[test]
fn what_was_not_read_again_is_said() {
    let said = "contents of 3 entries not read again, but trusted from the stat cache";
    let trusted = samples::all().into_iter().find(|(_, report)| report.checks.iter().any(|check| check.trusted == 3));
    assert!(parsed("trusted", &trusted.unwrap().1).1.contains(said));
    assert!(!parsed("clean", &samples::seed_pass()).1.contains("stat cache"));
}

#[test]
fn an_old_lock_is_said() {
    let text = parsed("old locks", &samples::old_locks()).1;
    assert_eq!(text.matches("an old lock, blind to ").count(), 3, "{text}");
    assert!(!parsed("clean", &samples::seed_pass()).1.contains("old lock"));
}

#[test]
fn long_lists_are_cut_with_a_count() {
    let report = samples::report(vec![samples::many(5000)]);
    let (tags, text) = parsed("many", &report);
    assert_eq!(tags.iter().filter(|(tag, _)| tag == "li").count(), 500);
    assert!(text.contains("… and 4,500 more drifted; the JSON report has every entry."), "{text}");
    assert!(page(&report).len() < 400_000);
}
