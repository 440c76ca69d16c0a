//! What parsers of HTML and XML find in a page.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind::{Rawtext, Rcdata};
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};

/// The elements of the page, each with the attributes that it may have.
const ELEMENTS: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("b", &[]),
    ("body", &[]),
    ("circle", &["cx", "cy", "r", "fill", "stroke", "stroke-width"]),
    ("code", &[]),
    ("dd", &[]),
    ("details", &["open"]),
    ("div", &[]),
    ("dl", &[]),
    ("dt", &[]),
    ("footer", &[]),
    ("h1", &[]),
    ("h2", &[]),
    ("h3", &[]),
    ("head", &[]),
    ("header", &[]),
    ("html", &["lang"]),
    ("li", &[]),
    ("main", &[]),
    ("meta", &["charset", "http-equiv", "content", "name"]),
    ("ol", &[]),
    ("p", &[]),
    ("path", &["d", "fill", "stroke", "stroke-width", "stroke-linecap", "stroke-linejoin"]),
    ("rect", &["x", "width", "height"]),
    ("section", &[]),
    ("span", &[]),
    ("style", &[]),
    ("summary", &[]),
    ("svg", &["viewbox", "preserveaspectratio", "role"]),
    ("table", &[]),
    ("tbody", &[]),
    ("td", &["data-label"]),
    ("th", &["scope"]),
    ("thead", &[]),
    ("time", &[]),
    ("title", &[]),
    ("tr", &[]),
];

/// Those of every element.
const ATTRIBUTES: &[&str] = &["class", "id", "aria-hidden", "aria-label", "title"];

/// What is open, from the outside in.
#[derive(Default)]
struct Page {
    open: RefCell<Vec<String>>,
}

impl Page {
    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let mut open = self.open.borrow_mut();
        if tag.kind == TagKind::EndTag {
            assert_eq!(open.pop().as_deref(), Some(name), "elements end in the order in which they began");
            return TokenSinkResult::Continue;
        }
        let Some((_, own)) = ELEMENTS.iter().find(|(element, _)| *element == name) else { panic!("<{name}>") };
        for attribute in &tag.attrs {
            let attribute_name = &*attribute.name.local;
            assert!(
                own.contains(&attribute_name) || ATTRIBUTES.contains(&attribute_name),
                "{attribute_name} of {name}"
            );
            if attribute_name == "href" {
                assert!(attribute.value.starts_with('#'), "{:?}", attribute.value);
            }
        }
        if !tag.self_closing && name != "meta" {
            open.push(name.to_owned());
        }
        match name {
            "style" => TokenSinkResult::RawData(Rawtext),
            "title" => TokenSinkResult::RawData(Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }
}

impl TokenSink for Page {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => return self.tag(&tag),
            Token::CommentToken(comment) => panic!("a comment: {comment}"),
            Token::ParseError(error) => panic!("{error}"),
            Token::DoctypeToken(_) | Token::CharacterTokens(_) | Token::NullCharacterToken | Token::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

/// A page has the elements and attributes that are ours, well nested, and no others.
pub fn html(page: &str) {
    let tokenizer = Tokenizer::new(Page::default(), html5ever::tokenizer::TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(page));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    assert!(tokenizer.sink.open.borrow().is_empty(), "all elements end");
}

const JUNIT: &[&str] = &[
    "testsuites",
    "testsuite",
    "testcase",
    "failure",
    "error",
    "skipped",
    "properties",
    "property",
    "system-out",
    "system-err",
];

/// XML with the elements of JUnit, and nothing else in it.
pub fn junit(page: &str) {
    let document = roxmltree::Document::parse(page).unwrap_or_else(|error| panic!("{error}: {page}"));
    for node in document.descendants().filter(|node| !node.is_root() && !node.is_text()) {
        assert!(node.is_element() && JUNIT.contains(&node.tag_name().name()), "{node:?} in {page}");
    }
}
