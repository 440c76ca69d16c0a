//! The second request of a conversation: the status of collected entries, and the contents of files.
//!
//! Both sides enforce the same limits. The server reports only on entries that it has collected, and sends contents
//! only if `collect --contents` allows it. The client knows the digest of each file: contents with another digest are a
//! lie, and end the answer.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::connection::FollowUp;
use super::decode::{Answer, DoneLine};
use super::{AnswerError, LINE_LIMIT};
use crate::compare::LiveStatus;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind};
use crate::manifest::Sha256Digest;
use crate::manifest::bytes::{joined, split};
use crate::path::{EntryPath, escaped};

/// The most entries of a request.
pub const MOST: usize = 1000;

/// The largest file to send. As Base64, it fits into a line.
pub use crate::patch::LARGEST;

/// The size limit of all contents together, in bytes.
pub const ALL: usize = 64 << 20;

/// The longest request, in bytes.
pub const LIMIT: u64 = LINE_LIMIT;

/// The reason of a server that does not send contents. Part of the protocol.
pub const NOT_GIVEN: &str = "contents of files are not given here";

/// A requested entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    pub check: &'a str,
    pub path: &'a EntryPath,
    /// The digest in the first answer, if contents are requested.
    pub contents: Option<Sha256Digest>,
}

/// The answer to a second request.
#[derive(Debug, Default)]
pub struct Received {
    /// The status of each entry, in the order of the request.
    pub live: Vec<Option<LiveStatus>>,
    /// Contents by digest, or why they were not sent.
    contents: HashMap<Sha256Digest, Result<Vec<u8>, String>>,
}

impl Received {
    /// The contents with this digest, if they were requested.
    #[must_use]
    pub fn given(&self, sha256: Sha256Digest) -> Option<Result<&[u8], &str>> {
        self.contents.get(&sha256).map(|found| found.as_deref().map_err(|reason| &**reason))
    }

    /// The contents with this digest.
    ///
    /// # Errors
    /// Why there are none.
    pub fn contents(&self, sha256: Sha256Digest) -> Result<&[u8], String> {
        match self.contents.get(&sha256) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(format!(
                "a server sends at most {MOST} files, {LARGEST} bytes of each and {ALL} bytes in all; select fewer with --check"
            )),
        }
    }
}

/// The remaining capacity of a request.
#[derive(Debug)]
pub struct Budget {
    entries: usize,
    /// In bytes: of contents, and of the request itself.
    contents: u64,
    line: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { entries: MOST, contents: ALL as u64, line: LIMIT - ITEM }
    }
}

/// An upper bound for the rest of an item in the request: the keys, and the name of its check.
const ITEM: u64 = 512;

impl Budget {
    /// Reserves capacity for an entry, and for contents of this size if requested; returns whether it fits.
    pub fn take(&mut self, path: &EntryPath, contents: Option<u64>) -> bool {
        // An escaped byte takes six bytes; Base64 takes less.
        let line = 6 * path.as_bytes().len() as u64 + ITEM;
        let contents = contents.unwrap_or(0);
        let fits = self.entries > 0 && line <= self.line && contents <= self.contents.min(LARGEST as u64);
        if fits {
            (self.entries, self.line, self.contents) = (self.entries - 1, self.line - line, self.contents - contents);
        }
        fits
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    further: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    check: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    contents: bool,
}

/// A requested entry, as the server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAbout {
    /// The index of its check in the first request.
    pub check: usize,
    pub path: EntryPath,
    /// Whether its contents are requested.
    pub contents: bool,
}

/// The line that requests these entries, with its line feed. They are in the order of the checks and of paths.
///
/// # Errors
/// The request is too large.
pub fn line(wanted: &[Wanted<'_>]) -> Result<Vec<u8>, Error> {
    let item = |wanted: &Wanted<'_>| {
        let (path, path_base64) = split(wanted.path.as_bytes());
        Item { check: wanted.check.to_owned(), path, path_base64, contents: wanted.contents.is_some() }
    };
    let request = Request { further: wanted.iter().map(item).collect() };
    let failed = |problem: String| {
        Error::new(
            ErrorKind::Server,
            format!("the drifted entries can't be requested: {problem}"),
            "select fewer checks with --check",
        )
    };
    let mut line = serde_json::to_vec(&request).map_err(|error| failed(error.to_string()))?;
    line.push(b'\n');
    if line.len() as u64 > LIMIT {
        return Err(failed(format!("the names take more than {LIMIT} bytes")));
    }
    Ok(line)
}

/// Parses a request about these checks.
///
/// # Errors
/// The request is malformed, too large, or not in order.
pub fn parse(line: &[u8], checks: &[&str]) -> Result<Vec<AskedAbout>, Error> {
    let refused = |problem: &str| {
        Error::new(
            ErrorKind::Server,
            format!("the second request is refused: {}", escaped(problem.as_bytes())),
            "send it with driftlock of the same version as this one",
        )
    };
    let request: Request = serde_json::from_slice(line).map_err(|error| refused(&error.to_string()))?;
    if request.further.len() > MOST {
        return Err(refused(&format!("it asks about more than {MOST} entries")));
    }
    let places: HashMap<&str, usize> = checks.iter().enumerate().map(|(place, check)| (*check, place)).collect();
    let mut asked: Vec<AskedAbout> = Vec::with_capacity(request.further.len());
    for Item { check, path, path_base64, contents } in request.further {
        let check = *places.get(&*check).ok_or_else(|| refused("it names a check that was not requested"))?;
        let path = joined(path, path_base64).ok().and_then(|bytes| EntryPath::new(bytes).ok());
        let path = path.ok_or_else(|| refused("it has an invalid path"))?;
        if asked.last().is_some_and(|before| (before.check, &before.path) >= (check, &path)) {
            return Err(refused("its entries are not in order"));
        }
        asked.push(AskedAbout { check, path, contents });
    }
    Ok(asked)
}

/// Writes the answer for the requested entry `index`: its status, and, if requested, its contents or why they are not
/// sent.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    index: usize,
    live: Option<LiveStatus>,
    contents: Option<Result<&[u8], &str>>,
) -> io::Result<()> {
    let live = live.map(|live| json!({ "mtime": live.mtime_unix(), "uid": live.uid, "gid": live.gid }));
    write!(out, "{{\"further\":{index},\"live\":{}", json!(live))?;
    match contents {
        None => {}
        Some(Ok(bytes)) => {
            out.write_all(b",\"base64\":\"")?;
            // Whole groups of three bytes, so that the encoded parts can be concatenated.
            bytes.chunks(48 << 10).try_for_each(|bytes| out.write_all(BASE64.encode(bytes).as_bytes()))?;
            out.write_all(b"\"")?;
        }
        Some(Err(reason)) => write!(out, ",\"failed\":{}", json!(reason))?,
    }
    out.write_all(b"}\n")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FurtherLine {
    further: u64,
    live: Option<LiveItem>,
    base64: Option<String>,
    failed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveItem {
    mtime: i64,
    uid: u32,
    gid: u32,
}

impl<R: BufRead> Answer<R> {
    /// Sends a second request on the same connection and reads the answer to its end. Without `way`, or if nothing is
    /// wanted, the answer must end here.
    ///
    /// # Errors
    /// The request is too large, and the errors of [`read_follow_up`](Self::read_follow_up).
    pub fn follow_up(mut self, way: Option<FollowUp<'_>>, wanted: &[Wanted<'_>]) -> Result<Received, AnswerError> {
        let Some(way) = way.filter(|_| !wanted.is_empty()) else {
            return self.nothing_more().map(|()| Received::default());
        };
        way.ask(&line(wanted).map_err(AnswerError::Told)?)?;
        self.read_follow_up(wanted)
    }

    /// Reads the answer about the requested entries, to its end.
    ///
    /// # Errors
    /// Contents do not have the digest in the first answer, or the answer is invalid.
    pub fn read_follow_up(mut self, wanted: &[Wanted<'_>]) -> Result<Received, AnswerError> {
        let mut received = Received::default();
        let mut left = ALL;
        for (index, Wanted { check, path, contents: sha256 }) in wanted.iter().enumerate() {
            self.next_line()?;
            self.told()?;
            let FurtherLine { further, live, base64, failed } = self.parse()?;
            if further != index as u64 {
                return Err(self.malformed(format!("it is about entry {further} instead of {index}")));
            }
            received.live.push(live.and_then(|LiveItem { mtime, uid, gid }| LiveStatus::new(mtime, uid, gid)));
            let (sha256, found) = match (sha256, base64, failed) {
                (None, None, None) => continue,
                (None, ..) => return Err(self.malformed("it has contents that were not requested".to_owned())),
                (Some(sha256), Some(base64), None) => {
                    let bytes = BASE64.decode(base64.as_bytes());
                    let bytes = bytes.map_err(|_| self.malformed("it has invalid Base64".to_owned()))?;
                    let mut hasher = Sha256::new();
                    hasher.update(&bytes);
                    if hasher.finish() != *sha256 {
                        return Err(AnswerError::OtherContents { check: (*check).to_owned(), path: (*path).clone() });
                    }
                    left = left
                        .checked_sub(bytes.len())
                        .ok_or_else(|| self.malformed(format!("it has more than {ALL} bytes of contents")))?;
                    (sha256, Ok(bytes))
                }
                (Some(sha256), None, Some(reason)) => (sha256, Err(self.text(&reason)?)),
                (Some(_), ..) => {
                    return Err(self.malformed("it has neither contents nor the reason why there are none".to_owned()));
                }
            };
            // Identical contents are stored once.
            if found.is_ok() || !received.contents.contains_key(sha256) {
                received.contents.insert(*sha256, found);
            }
        }
        self.next_line()?;
        self.told()?;
        let DoneLine { done } = self.parse()?;
        if done != wanted.len() as u64 {
            return Err(self.malformed(format!("it counts {done} entries instead of {}", wanted.len())));
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
            .flat_map(|check| {
                paths.iter().map(move |path| Wanted {
                    check,
                    path,
                    contents: (check == "one").then_some(Sha256Digest([0; 32])),
                })
            })
            .collect();
        let line = line(&wanted).unwrap();
        assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
        let read = parse(&line, &["one", "two"]).unwrap();
        assert_eq!(read.len(), 6);
        for (read, wanted) in read.iter().zip(&wanted) {
            let read = (["one", "two"][read.check], &read.path, read.contents);
            assert_eq!(read, (wanted.check, wanted.path, wanted.contents.is_some()));
        }
    }

    #[test]
    fn what_there_is_room_for_can_be_asked() {
        for length in [1, 100, 20_000] {
            let path =
                |number: usize| EntryPath::new(format!("{number:04}{}", "\u{1}".repeat(length)).into_bytes()).unwrap();
            let paths: Vec<_> = (0..=MOST).map(path).collect();
            let (mut budget, check) = (Budget::default(), "c".repeat(100));
            let asked: Vec<_> = paths.iter().filter(|path| budget.take(path, Some(1))).collect();
            assert_eq!(asked.len() == MOST, length < 20_000, "{length}: {}", asked.len());
            let wanted = |path| Wanted { check: &check, path, contents: Some(Sha256Digest([0; 32])) };
            let line = line(&asked.iter().map(|&path| wanted(path)).collect::<Vec<_>>()).unwrap();
            assert_eq!(parse(&line, &[&check]).unwrap().len(), asked.len());
        }
        let (path, mut budget) = (EntryPath::new(&b"a"[..]).unwrap(), Budget::default());
        assert!(!budget.take(&path, Some(LARGEST as u64 + 1)));
        let whole = (0..ALL / LARGEST).all(|_| budget.take(&path, Some(LARGEST as u64)));
        assert!(whole && !budget.take(&path, Some(1)) && budget.take(&path, None));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let item = |path: &str| format!("{{\"check\":\"a\",\"path\":\"{path}\",\"contents\":true}}");
        let many: Vec<_> = (0..=MOST).map(|number| item(&format!("{number:04}"))).collect();
        for (items, problem) in [
            (item("b") + "," + &item("a"), "not in order"),
            (item("a") + "," + &item("a"), "not in order"),
            (item("../a"), "an invalid path"),
            (item("/etc/shadow"), "an invalid path"),
            ("{\"check\":\"a\",\"contents\":true}".to_owned(), "an invalid path"),
            (
                "{\"check\":\"a\",\"path\":\"x\",\"path_base64\":\"eA==\",\"contents\":true}".to_owned(),
                "an invalid path",
            ),
            ("{\"check\":\"b\",\"path\":\"x\",\"contents\":false}".to_owned(), "a check that was not requested"),
            ("{\"check\":\"a\",\"path\":\"x\",\"more\":1}".to_owned(), "unknown field"),
            (many.join(","), "more than 1000 entries"),
        ] {
            let refused = parse(format!("{{\"further\":[{items}]}}").as_bytes(), &["a"]).unwrap_err();
            assert!(refused.problem.contains(problem), "{}", refused.problem);
        }
    }
}
