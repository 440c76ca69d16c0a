//! Names that look the same and are not: composed and decomposed letters (NFC, NFD), and blanks at the end of a name or
//! of another sort. What is not shown at all is escaped everywhere ([`escaped`]), so it makes no two names look the
//! same.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

use super::format::{counted, grouped};
use super::{CheckReport, Outcome};
use crate::path::{EntryPath, escaped, joined};

/// The most pairs to name; the others are only counted.
const NAMED: usize = 5;

/// Warns of drifted paths of a check that look the same, and escapes what differs in them. `None` if there are none.
/// Escaped.
pub fn sentence(check: &CheckReport) -> Option<String> {
    let Outcome::Compared { comparison, .. } = &check.outcome else { return None };
    let paths = comparison.drift.iter().flat_map(|drift| [Some(&drift.path), drift.from.as_ref()]).flatten();
    let mut seen: HashMap<String, &[u8]> = HashMap::new();
    let mut pairs = Vec::new();
    for path in paths.map(EntryPath::as_bytes) {
        let Some(look) = std::str::from_utf8(path).ok().map(look) else { continue };
        match seen.get(&look) {
            Some(before) if *before != path => pairs.push((*before, path)),
            Some(_) => {}
            None => drop(seen.insert(look, path)),
        }
    }
    if pairs.is_empty() {
        return None;
    }
    let number = pairs.len();
    let mut named: Vec<_> =
        pairs.iter().take(NAMED).map(|(a, b)| apart(&joined(&check.root, a), &joined(&check.root, b))).collect();
    if number > NAMED {
        named.push(format!("and {} more", grouped((number - NAMED) as u64)));
    }
    let pairs =
        counted(number as u64, "pair of names looks the same and is not", "pairs of names look the same and are not");
    Some(format!("{pairs}: {}", named.join(", ")))
}

/// What a path looks like: equal for two paths that a reader can't tell apart.
fn look(path: &str) -> String {
    let names = path.split('/').map(|name| {
        let composed = name.nfc().map(|character| if character.is_whitespace() { ' ' } else { character });
        composed.collect::<String>().trim_end().to_owned()
    });
    names.collect::<Vec<_>>().join("/")
}

/// Two paths that look the same, with what differs escaped.
fn apart(a: &[u8], b: &[u8]) -> String {
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let pairs = || a.chars().zip(b.chars());
    let front = pairs().take_while(|(a, b)| a == b).map(|(character, _)| character.len_utf8()).sum::<usize>();
    let ends = a[front..].chars().rev().zip(b[front..].chars().rev());
    let back = ends.take_while(|(a, b)| a == b).map(|(character, _)| character.len_utf8()).sum::<usize>();
    let shown = |text: &str| {
        let (before, rest) = text.split_at(front);
        let (middle, behind) = rest.split_at(rest.len() - back);
        let middle: String = middle.chars().map(|character| character.escape_unicode().to_string()).collect();
        format!("{}{middle}{}", escaped(before.as_bytes()), escaped(behind.as_bytes()))
    };
    format!("{} and {}", shown(&a), shown(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_escaped_and_nothing_else() {
        for (a, b, shown) in [
            ("caf\u{e9}.conf", "cafe\u{301}.conf", "caf\\u{e9}.conf and caf\\u{65}\\u{301}.conf"),
            ("a", "a ", "a and a\\u{20}"),
            ("a b", "a\u{a0}b", "a\\u{20}b and a\\u{a0}b"),
            (
                "Gr\u{fc}\u{df}e/\u{e9}",
                "Gr\u{fc}\u{df}e/e\u{301}",
                "Gr\u{fc}\u{df}e/\\u{e9} and Gr\u{fc}\u{df}e/\\u{65}\\u{301}",
            ),
            ("x\u{e9}\u{e9}", "x\u{e9}", "x\u{e9}\\u{e9} and x\u{e9}"),
        ] {
            assert_eq!(apart(a.as_bytes(), b.as_bytes()), shown);
        }
    }

    #[test]
    fn names_that_look_the_same_have_one_look() {
        for (a, b) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("d /x", "d/x"),
            ("a\u{2003}b", "a b"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("q\u{323}\u{307}", "q\u{307}\u{323}"),
        ] {
            assert_eq!(look(a), look(b), "{a:?} {b:?}");
        }
        for (a, b) in [("e", "\u{e9}"), ("a", "A"), (" a", "a"), ("a/b", "a b")] {
            assert_ne!(look(a), look(b), "{a:?} {b:?}");
        }
    }
}
