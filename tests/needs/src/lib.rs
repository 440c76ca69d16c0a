//! `#[needs(...)]` in place of `#[test]`: a test that needs more than any machine has.
//!
//! ```ignore
//! #[needs(mounts, "strace")]
//! fn a_full_disk() { ... }
//! ```
//!
//! A word names a function of the test's `crate::machine` that tries whether this machine has it; a string names a
//! program. `cargo test` ignores such a test and prints what it needs. `scripts/test` runs it (`--include-ignored`):
//! then the machine is tried, and a test that it can't run is noted as not run, with the reason.
//!
//! Words in [`EVERYWHERE`] are tried by `cargo test` too.
//!
//! It does without a parser of Rust, as cargo's own `#[cargo_test]` does: the last token of a function is its body.

use std::fmt::Write as _;

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// What takes neither root nor another program: a test that needs only these is part of `cargo test`.
const EVERYWHERE: [&str; 2] = ["landlock", "xattrs"];

/// See the crate's documentation.
#[proc_macro_attribute]
pub fn needs(list: TokenStream, test: TokenStream) -> TokenStream {
    let mut tries = String::new();
    let mut named = Vec::new();
    for token in list {
        match token {
            TokenTree::Ident(word) => {
                write!(tries, "&crate::machine::{word},").expect("a string takes all");
                named.push(word.to_string());
            }
            TokenTree::Literal(program) => {
                write!(tries, "&|| crate::machine::program({program}),").expect("a string takes all");
                named.push(program.to_string().trim_matches('"').to_owned());
            }
            TokenTree::Punct(comma) if comma.as_char() == ',' => {}
            other => panic!("#[needs] takes words and strings, not `{other}`"),
        }
    }
    assert!(!named.is_empty(), "#[needs] without a need: write #[test]");

    let mut test: Vec<TokenTree> = test.into_iter().collect();
    let Some(TokenTree::Group(body)) = test.pop() else { panic!("#[needs] goes before a function") };
    assert_eq!(body.delimiter(), Delimiter::Brace, "#[needs] goes before a function");
    let at = test.iter().position(|token| token.to_string() == "fn").expect("#[needs] goes before a function");
    let name = &test[at + 1];

    let mut attributes = "#[test]".to_owned();
    if !named.iter().all(|need| EVERYWHERE.contains(&need.as_str())) {
        let reason = format!("needs {}; run scripts/test", named.join(", "));
        write!(attributes, "#[ignore = {reason:?}]").expect("a string takes all");
    }
    let guard = format!(
        "if !crate::machine::has_all(::std::concat!(::std::module_path!(), \"::{name}\"), &[{tries}]) {{ return; }}"
    );
    let guarded: TokenStream = parsed(&guard).into_iter().chain(body.stream()).collect();
    let guarded = TokenTree::Group(Group::new(Delimiter::Brace, guarded));
    parsed(&attributes).into_iter().chain(test).chain([guarded]).collect()
}

fn parsed(text: &str) -> TokenStream {
    text.parse().expect("written above, and valid")
}
