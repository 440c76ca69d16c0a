//! A fast parser for plain entry lines: nearly all lines of a lock.
//!
//! A line is plain if its strings are printable ASCII without `"` and `\`, and its entry is a file, a directory or a
//! link without attributes and `nar`. Such an entry has only one encoding, and this parser accepts only that. So the
//! reader need not write it again to see whether it is canonical. Other lines go to [`line`](super::line).

use data_encoding::HEXLOWER;

use super::line::is_plain;
use crate::manifest::{Content, Entry, Record, Sha256Digest};
use crate::path::EntryPath;

/// Parses a plain entry line, without comma and line feed; `None` if it is not plain or invalid.
pub fn parse_entry(line: &[u8]) -> Option<Entry> {
    let (path, rest) = string(line.strip_prefix(b"{\"path\":\"")?)?;
    let rest = rest.strip_prefix(b",\"type\":\"")?;
    let content = if let Some(rest) = rest.strip_prefix(b"file\"") {
        file(rest)?
    } else if let Some(rest) = rest.strip_prefix(b"symlink\",\"target\":\"") {
        let (target, rest) = string(rest)?;
        (rest == b"}").then(|| Content::Symlink { target: target.into() })?
    } else {
        (rest == b"directory\"}").then_some(Content::Directory { nar: None })?
    };
    Some(Entry { path: EntryPath::new(path).ok()?, record: Record { content, attributes: None } })
}

/// The part after the type of a file.
fn file(rest: &[u8]) -> Option<Content> {
    let behind = rest.strip_prefix(b",\"executable\":true");
    let (executable, rest) = (behind.is_some(), behind.unwrap_or(rest));
    let rest = rest.strip_prefix(b",\"size\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at(digits);
    let size = match digits {
        [] | [b'0', _, ..] => return None,
        digits => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    let hex: &[u8; 64] = rest.strip_prefix(b",\"sha256\":\"")?.strip_suffix(b"\"}")?.try_into().ok()?;
    let mut sha256 = Sha256Digest([0; 32]);
    HEXLOWER.decode_mut(hex, &mut sha256.0).ok()?;
    Some(Content::File { executable, size, sha256 })
}

/// The bytes up to the closing quote, and those after it.
fn string(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = rest.iter().position(|&byte| byte == b'"')?;
    let (string, rest) = rest.split_at(end);
    string.iter().copied().all(is_plain).then_some((string, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::line;
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn lines() -> Vec<String> {
        vec![
            format!(r#"{{"path":"a/b c","type":"file","size":0,"sha256":"{DIGEST}"}}"#),
            format!(
                r#"{{"path":"~","type":"file","executable":true,"size":18446744073709551615,"sha256":"{DIGEST}"}}"#
            ),
            r#"{"path":"a","type":"directory"}"#.to_owned(),
            r#"{"path":"a","type":"symlink","target":"../b"}"#.to_owned(),
            r#"{"path":"a","type":"symlink","target":""}"#.to_owned(),
        ]
    }

    /// If it accepts a line, the other parser reads the same, and the line is its only encoding.
    fn agrees(text: &[u8]) -> bool {
        let Some(entry) = parse_entry(text) else { return false };
        let mut written = Vec::new();
        line::push_entry(&mut written, entry.path.as_bytes(), &entry.record);
        assert_eq!((&written[..], Ok(&entry)), (text, line::parse_entry(text).as_ref()));
        true
    }

    #[test]
    fn plain_lines_are_read() {
        for line in lines() {
            assert!(agrees(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn all_else_is_left_to_the_other_reader() {
        let file =
            |size: &str, digest: &str| format!(r#"{{"path":"a","type":"file","size":{size},"sha256":"{digest}"}}"#);
        for line in [
            file("00", DIGEST),
            file("01", DIGEST),
            file("", DIGEST),
            file("-1", DIGEST),
            file("18446744073709551616", DIGEST),
            file("1", &DIGEST.to_uppercase()),
            file("1", &DIGEST[1..]),
            format!(r#"{{"path":"a","type":"file","executable":false,"size":1,"sha256":"{DIGEST}"}}"#),
            format!(r#"{{"path":"é","type":"file","size":1,"sha256":"{DIGEST}"}}"#),
            format!(r#"{{"path":"a\\","type":"file","size":1,"sha256":"{DIGEST}"}}"#),
            format!(r#"{{"path":"a/../b","type":"file","size":1,"sha256":"{DIGEST}"}}"#),
            r#"{"path":"","type":"directory"}"#.to_owned(),
            r#"{"path":"a","type":"fifo"}"#.to_owned(),
            r#"{"path":"a","type":"directory","mode":"0755"}"#.to_owned(),
            format!("{} ", lines()[2]),
            "{\"path\":\"a\u{7f}\",\"type\":\"directory\"}".to_owned(),
        ] {
            assert_eq!(parse_entry(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_line_with_any_other_byte_is_read_as_the_other_reader_does() {
        for line in lines() {
            for at in 0..line.len() {
                let mut other = line.clone().into_bytes();
                for byte in 0..=255 {
                    other[at] = byte;
                    agrees(&other);
                }
                agrees(&line.as_bytes()[..at]);
                agrees(&[&line.as_bytes()[..at], &line.as_bytes()[at + 1..]].concat());
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_read_as_the_other_reader_does(
            which in 0..5_usize,
            at: prop::sample::Index,
            cut in 0..4_usize,
            bytes in "[ -~\\x00-\\x1fé\"\\\\/.0-9]{0,6}",
        ) {
            let line = lines().swap_remove(which).into_bytes();
            let at = at.index(line.len());
            agrees(&[&line[..at], bytes.as_bytes(), &line[(at + cut).min(line.len())..]].concat());
        }
    }
}
