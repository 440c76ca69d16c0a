//! The second request of a conversation, for the contents of files that were collected, and the answer to it.
//!
//! Both sides hold to the same bounds. The server gives what it has collected and nothing else, and only where `collect
//! --contents` allows it. Who asked knows the digest of each file: contents that have another are a lie, and end the answer.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read::{Answer, DoneLine};
use super::{AnswerError, LINE_LIMIT};
use crate::digest::Sha256;
use crate::manifest::Sha256Digest;
use crate::manifest::bytes::{joined, split};
use crate::path::{EntryPath, escaped};
use crate::trouble::Trouble;

/// How many files are given.
pub const MOST: usize = 1000;

/// The largest file that is given. As Base64 it fits into a line.
pub use crate::patch::LARGEST;

/// How much is given of all files, in bytes.
pub const ALL: usize = 64 << 20;

/// The longest request, in bytes.
pub const LIMIT: u64 = LINE_LIMIT;

/// A file whose contents are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    pub check: &'a str,
    pub path: &'a EntryPath,
    /// What the collection said of it.
    pub sha256: Sha256Digest,
}

/// Contents, by their digests, or why they were not given.
#[derive(Debug, Default)]
pub struct Received(HashMap<Sha256Digest, Result<Vec<u8>, String>>);

impl Received {
    /// The contents that have this digest.
    ///
    /// # Errors
    /// Why they are not there.
    pub fn get(&self, sha256: Sha256Digest) -> Result<&[u8], String> {
        match self.0.get(&sha256) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(format!(
                "a server sends {MOST} files at most, {LARGEST} bytes of each and {ALL} of all; name some of them with --check"
            )),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    contents: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
}

/// The line that asks for these contents, with its line feed. They are in the order of the checks and of paths.
///
/// # Errors
/// A request that no server would take, for its size.
pub fn line(wanted: &[Wanted<'_>]) -> Result<Vec<u8>, Trouble> {
    let item = |wanted: &Wanted<'_>| {
        let (path, path_base64) = split(wanted.path.as_bytes());
        Item { check: wanted.check.to_owned(), path, path_base64 }
    };
    let request = Request { contents: wanted.iter().map(item).collect() };
    let failed =
        |problem: String| Trouble::new(format!("the contents can't be asked for: {problem}"), "name fewer checks");
    let mut line = serde_json::to_vec(&request).map_err(|error| failed(error.to_string()))?;
    line.push(b'\n');
    if line.len() as u64 > LIMIT {
        return Err(failed(format!("their names take more than {LIMIT} bytes")));
    }
    Ok(line)
}

/// Reads a request about these checks: what is wanted, each with the place of its check.
///
/// # Errors
/// What is no request, asks for too much, or is not in order.
pub fn parse(line: &[u8], checks: &[&str]) -> Result<Vec<(usize, EntryPath)>, Trouble> {
    let refused = |problem: &str| {
        Trouble::new(
            format!("the request for contents is refused: {}", escaped(problem.as_bytes())),
            "let `driftlock diff --server --patch` write it, of the same version as this one",
        )
    };
    let request: Request = serde_json::from_slice(line).map_err(|error| refused(&error.to_string()))?;
    if request.contents.len() > MOST {
        return Err(refused(&format!("it asks for more than {MOST} files")));
    }
    let places: HashMap<&str, usize> = checks.iter().enumerate().map(|(place, check)| (*check, place)).collect();
    let mut wanted: Vec<(usize, EntryPath)> = Vec::with_capacity(request.contents.len());
    for Item { check, path, path_base64 } in request.contents {
        let place = *places.get(&*check).ok_or_else(|| refused("it names a check that was not asked for"))?;
        let path = joined(path, path_base64).ok().and_then(|bytes| EntryPath::new(bytes).ok());
        let item = (place, path.ok_or_else(|| refused("it has what is no path"))?);
        if wanted.last().is_some_and(|before| *before >= item) {
            return Err(refused("what it asks for is not in order"));
        }
        wanted.push(item);
    }
    Ok(wanted)
}

/// Writes the contents of the file that is the `index`th of those that are wanted, or why they are not given.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, index: usize, contents: Result<&[u8], &str>) -> io::Result<()> {
    match contents {
        Ok(bytes) => {
            write!(out, "{{\"contents\":{index},\"base64\":\"")?;
            // Whole groups of three bytes, so that pieces can be put one behind the other.
            bytes.chunks(48 << 10).try_for_each(|bytes| out.write_all(BASE64.encode(bytes).as_bytes()))?;
            out.write_all(b"\"}\n")
        }
        Err(reason) => writeln!(out, "{{\"contents\":{index},\"failed\":{}}}", json!(reason)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentsLine {
    contents: u64,
    base64: Option<String>,
    failed: Option<String>,
}

impl<R: BufRead> Answer<R> {
    /// Reads the contents that were asked for, up to the end of the answer.
    ///
    /// # Errors
    /// Contents that are not those of the file that the collection told of, and whatever else is no answer.
    pub fn contents(mut self, wanted: &[Wanted<'_>]) -> Result<Received, AnswerError> {
        let mut received = Received::default();
        let mut left = ALL;
        for (index, Wanted { check, path, sha256 }) in wanted.iter().enumerate() {
            self.next_line()?;
            self.told()?;
            let ContentsLine { contents, base64, failed } = self.parse()?;
            if contents != index as u64 {
                return Err(self.malformed(format!("it is about file {contents}, and it is the turn of {index}")));
            }
            let found = match (base64, failed) {
                (Some(base64), None) => {
                    let bytes = BASE64.decode(base64.as_bytes());
                    let bytes = bytes.map_err(|_| self.malformed("it has what is no Base64".to_owned()))?;
                    let mut hasher = Sha256::new();
                    hasher.update(&bytes);
                    if hasher.finish() != *sha256 {
                        return Err(AnswerError::OtherContents { check: (*check).to_owned(), path: (*path).clone() });
                    }
                    left = left
                        .checked_sub(bytes.len())
                        .ok_or_else(|| self.malformed(format!("it has more than {ALL} bytes of contents")))?;
                    Ok(bytes)
                }
                (None, Some(reason)) => Err(self.text(&reason)?),
                _ => return Err(self.malformed("it needs contents, or why they are not given".to_owned())),
            };
            // Of several files with the same contents one is enough.
            if found.is_ok() || !received.0.contains_key(sha256) {
                received.0.insert(*sha256, found);
            }
        }
        self.next_line()?;
        self.told()?;
        let DoneLine { done } = self.parse()?;
        if done != wanted.len() as u64 {
            return Err(self.malformed(format!("it counts {done} files, and there were {}", wanted.len())));
        }
        self.nothing_more()?;
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let paths = [&b"a b"[..], b"a\"\n", b"z\xff"].map(|path| EntryPath::new(path).unwrap());
        let mut paths: Vec<_> = paths.iter().collect();
        paths.sort();
        let wanted: Vec<_> = ["one", "two"]
            .into_iter()
            .flat_map(|check| paths.iter().map(move |path| Wanted { check, path, sha256: Sha256Digest([0; 32]) }))
            .collect();
        let line = line(&wanted).unwrap();
        assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
        let read = parse(&line, &["one", "two"]).unwrap();
        assert_eq!(read.len(), 6);
        for ((place, path), wanted) in read.iter().zip(&wanted) {
            assert_eq!((["one", "two"][*place], path), (wanted.check, wanted.path));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let item = |path: &str| format!("{{\"check\":\"a\",\"path\":\"{path}\"}}");
        let many: Vec<_> = (0..=MOST).map(|number| item(&format!("{number:04}"))).collect();
        for (items, problem) in [
            (item("b") + "," + &item("a"), "not in order"),
            (item("a") + "," + &item("a"), "not in order"),
            (item("../a"), "no path"),
            (item("/etc/shadow"), "no path"),
            ("{\"check\":\"a\"}".to_owned(), "no path"),
            ("{\"check\":\"a\",\"path\":\"x\",\"path_base64\":\"eA==\"}".to_owned(), "no path"),
            ("{\"check\":\"b\",\"path\":\"x\"}".to_owned(), "a check that was not asked for"),
            ("{\"check\":\"a\",\"path\":\"x\",\"more\":1}".to_owned(), "unknown field"),
            (many.join(","), "more than 1000 files"),
        ] {
            let refused = parse(format!("{{\"contents\":[{items}]}}").as_bytes(), &["a"]).unwrap_err();
            assert!(refused.problem.contains(problem), "{}", refused.problem);
        }
    }
}
