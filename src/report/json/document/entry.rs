//! Paths, records and drift as JSON. A record has the keys of its line in a lock, without the path.

mod container;

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::present;
use crate::compare::{Change, Drift, Excerpt, Hidden, LINES, LONGEST, LiveStatus, UnverifiedEntry};
use crate::manifest::bytes::{joined, split};
use crate::manifest::{Attributes, Boundary, Cause, Compose, Content, Crossing, Record, Security, Sha256Digest};
use crate::path::EntryPath;
use crate::report::words::Prose;

fn path(text: Option<String>, base64: Option<String>) -> Result<EntryPath, String> {
    EntryPath::new(joined(text, base64)?).map_err(|error| error.to_string())
}

/// A path alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PathItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
}

impl From<&[u8]> for PathItem {
    fn from(bytes: &[u8]) -> Self {
        let (path, path_base64) = split(bytes);
        Self { path, path_base64 }
    }
}

impl TryFrom<PathItem> for EntryPath {
    type Error = String;

    fn try_from(item: PathItem) -> Result<Self, String> {
        path(item.path, item.path_base64)
    }
}

/// A place where another mount or file system begins.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct MountItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    what: String,
}

impl From<&Crossing> for MountItem {
    fn from(crossing: &Crossing) -> Self {
        let (path, path_base64) = split(&crossing.path);
        Self { path, path_base64, what: crossing.what.name().to_owned() }
    }
}

impl TryFrom<MountItem> for Crossing {
    type Error = String;

    fn try_from(item: MountItem) -> Result<Self, String> {
        let what = Boundary::ALL.into_iter().find(|known| known.name() == item.what);
        let what = what.ok_or("what begins at a mount is not known")?;
        Ok(Self { path: path(item.path, item.path_base64)?.as_bytes().to_vec(), what })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct UnverifiedItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    reason: String,
    cause: String,
}

impl From<&UnverifiedEntry> for UnverifiedItem {
    fn from(entry: &UnverifiedEntry) -> Self {
        let (path, path_base64) = split(entry.path.as_bytes());
        let (reason, cause) = (Prose(&entry.reason.to_string()).to_string(), entry.reason.cause().name().to_owned());
        Self { path, path_base64, reason, cause }
    }
}

impl UnverifiedItem {
    pub fn into_parts(self) -> Result<(EntryPath, String, Cause), String> {
        let cause = Cause::named(&self.cause).ok_or("the cause of something unverified is not known")?;
        Ok((path(self.path, self.path_base64)?, self.reason, cause))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DriftItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    change: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_base64: Option<String>,
    #[serde(deserialize_with = "present")]
    expected: Option<RecordItem>,
    #[serde(deserialize_with = "present")]
    actual: Option<RecordItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<DiffItem>,
}

/// When what is there was written, and whose it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveItem {
    mtime: String,
    uid: u32,
    gid: u32,
}

impl From<LiveStatus> for LiveItem {
    fn from(live: LiveStatus) -> Self {
        Self { mtime: live.mtime(), uid: live.uid, gid: live.gid }
    }
}

impl TryFrom<LiveItem> for LiveStatus {
    type Error = &'static str;

    fn try_from(item: LiveItem) -> Result<Self, Self::Error> {
        let LiveItem { mtime, uid, gid } = item;
        Self::restored(&mtime, uid, gid).ok_or("an `mtime` is not a time as driftlock writes it")
    }
}

/// The lines that changed, or the word for why they are not shown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffItem {
    #[serde(deserialize_with = "present")]
    hidden: Option<String>,
    lines: Vec<String>,
    left_out: u64,
}

impl From<&Excerpt> for DiffItem {
    fn from(excerpt: &Excerpt) -> Self {
        match excerpt {
            Excerpt::Lines { lines, left_out } => Self { hidden: None, lines: lines.clone(), left_out: *left_out },
            Excerpt::Hidden(why) => Self { hidden: Some(why.name().to_owned()), lines: Vec::new(), left_out: 0 },
        }
    }
}

impl TryFrom<DiffItem> for Excerpt {
    type Error = &'static str;

    fn try_from(item: DiffItem) -> Result<Self, Self::Error> {
        let DiffItem { hidden, lines, left_out } = item;
        if let Some(name) = hidden {
            let why =
                Hidden::ALL.into_iter().find(|why| why.name() == name).filter(|_| lines.is_empty() && left_out == 0);
            return why.map(Self::Hidden).ok_or("why a `diff` is not shown is not known");
        }
        let fits = |line: &String| line.starts_with(['@', ' ', '-', '+', '\\']) && line.chars().count() <= LONGEST + 1;
        if lines.len() > LINES || !lines.iter().all(fits) {
            return Err("a `diff` has lines that driftlock does not write");
        }
        Ok(Self::Lines { lines, left_out })
    }
}

impl From<&Drift> for DriftItem {
    fn from(drift: &Drift) -> Self {
        let (path, path_base64) = split(drift.path.as_bytes());
        let (from, from_base64) = drift.from.as_ref().map(|from| split(from.as_bytes())).unwrap_or_default();
        Self {
            path,
            path_base64,
            change: drift.change.name().to_owned(),
            from,
            from_base64,
            expected: drift.expected.as_ref().map(RecordItem::from),
            actual: drift.actual.as_ref().map(RecordItem::from),
            live: drift.live.map(LiveItem::from),
            diff: drift.diff.as_deref().map(DiffItem::from),
        }
    }
}

impl TryFrom<DriftItem> for Drift {
    type Error = String;

    fn try_from(item: DriftItem) -> Result<Self, String> {
        let change = Change::ALL
            .into_iter()
            .find(|change| change.name() == item.change)
            .ok_or_else(|| format!("the change {:?} is not known", item.change))?;
        let moved = item.from.is_some() || item.from_base64.is_some();
        let drift = Self {
            path: path(item.path, item.path_base64)?,
            change,
            expected: item.expected.map(Record::try_from).transpose()?,
            actual: item.actual.map(Record::try_from).transpose()?,
            from: moved.then(|| path(item.from, item.from_base64)).transpose()?,
            live: item.live.map(LiveStatus::try_from).transpose()?,
            diff: item.diff.map(Excerpt::try_from).transpose()?.map(Box::new),
        };
        if drift.live.is_some() && drift.actual.is_none() {
            return Err(format!("{}: what is gone has no `live`", drift.path));
        }
        let sides = (drift.expected.is_some(), drift.actual.is_some(), drift.from.is_some());
        let fits = match change {
            Change::Added => (false, true, false),
            Change::Removed => (true, false, false),
            Change::Moved => (true, true, true),
            _ => (true, true, false),
        };
        if sides == fits {
            Ok(drift)
        } else {
            Err(format!("{}: `expected`, `actual` and `from` do not fit the change {}", drift.path, change.name()))
        }
    }
}

/// What a lock line says of its path. Keys in the order of the lock format.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RecordItem {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    major: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xattrs: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repo_digests: Option<Vec<Box<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mounts: Option<Vec<container::MountItem>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Vec<Box<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<Vec<Box<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<Box<str>, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Vec<Box<str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security: Option<Box<Security>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compose: Option<Box<Compose>>,
}

impl From<&Record> for RecordItem {
    fn from(record: &Record) -> Self {
        let mut item = Self { r#type: record.content.type_name().to_owned(), ..Self::default() };
        match &record.content {
            Content::File { executable, size, sha256 } => {
                item.executable = executable.then_some(true);
                item.size = Some(*size);
                item.sha256 = Some(sha256.hex());
            }
            Content::Checksum { sha256 } | Content::Module { sha256 } => item.sha256 = Some(sha256.hex()),
            Content::Directory { nar } => item.nar = nar.map(|nar| nar.sri()),
            Content::Symlink { target } => (item.target, item.target_base64) = split(target),
            Content::CharDevice { major, minor } | Content::BlockDevice { major, minor } => {
                (item.major, item.minor) = (Some(*major), Some(*minor));
            }
            Content::Container(found) => container::set(&mut item, found),
            Content::Fifo | Content::Socket => {}
        }
        if let Some(attributes) = &record.attributes {
            item.mode = attributes.mode.map(|mode| format!("{mode:04o}"));
            (item.uid, item.gid) = attributes.owner.unzip();
            item.xattrs = attributes.xattrs.as_ref().map(|xattrs| {
                let name = |name: &[u8]| match split(name) {
                    (Some(name), _) => name,
                    (None, base64) => format!("base64:{}", base64.unwrap_or_default()),
                };
                xattrs.iter().map(|(key, value)| (name(key), BASE64.encode(value))).collect()
            });
        }
        item
    }
}

impl TryFrom<RecordItem> for Record {
    type Error = String;

    /// What would not be written back the same is refused, so a key too many can't go unseen.
    fn try_from(item: RecordItem) -> Result<Self, String> {
        let record = Self { content: content(&item)?, attributes: attributes(&item)? };
        if RecordItem::from(&record) == item {
            Ok(record)
        } else {
            Err(format!("the keys of an entry do not fit its type {:?}", item.r#type))
        }
    }
}

fn content(item: &RecordItem) -> Result<Content, String> {
    let sha256 = item
        .sha256
        .as_deref()
        .map(|text| Sha256Digest::from_hex(text).ok_or("a `sha256` is not 64 lower-case hexadecimal digits"));
    let nar = item.nar.as_deref().map(|text| Sha256Digest::from_sri(text).ok_or("a `nar` is not `sha256-` and Base64"));
    let (sha256, nar) = (sha256.transpose()?, nar.transpose()?);
    Ok(match (item.r#type.as_str(), sha256, item.size, item.major, item.minor) {
        ("file", Some(sha256), Some(size), ..) => {
            Content::File { executable: item.executable.unwrap_or(false), size, sha256 }
        }
        ("file", Some(sha256), None, ..) => Content::Checksum { sha256 },
        ("directory", Some(sha256), ..) => Content::Module { sha256 },
        ("directory", ..) => Content::Directory { nar },
        ("symlink", ..) => Content::Symlink { target: joined(item.target.clone(), item.target_base64.clone())?.into() },
        ("fifo", ..) => Content::Fifo,
        ("socket", ..) => Content::Socket,
        ("char_device", .., Some(major), Some(minor)) => Content::CharDevice { major, minor },
        ("block_device", .., Some(major), Some(minor)) => Content::BlockDevice { major, minor },
        ("container", ..) => Content::Container(Box::new(container::get(item)?)),
        (other, ..) => return Err(format!("the keys of an entry do not fit its type {other:?}")),
    })
}

fn attributes(item: &RecordItem) -> Result<Option<Box<Attributes>>, String> {
    let mode = item.mode.as_deref().map(|text| u16::from_str_radix(text, 8).map_err(|_| "a `mode` is not octal"));
    let mode = mode.transpose()?;
    let decode = |(name, value): (&String, &String)| {
        let name = match name.strip_prefix("base64:") {
            Some(base64) => BASE64.decode(base64.as_bytes()).ok()?,
            None => name.clone().into_bytes(),
        };
        Some((name.into(), BASE64.decode(value.as_bytes()).ok()?.into()))
    };
    let xattrs = match &item.xattrs {
        Some(map) => {
            let xattrs = map.iter().map(decode).collect::<Option<Vec<(Box<[u8]>, Box<[u8]>)>>>();
            let mut xattrs = xattrs.ok_or("an extended attribute is not Base64")?;
            xattrs.sort();
            Some(xattrs)
        }
        None => None,
    };
    let owner = item.uid.zip(item.gid);
    let any = mode.is_some() || owner.is_some() || xattrs.is_some();
    Ok(any.then(|| Box::new(Attributes { mode, owner, xattrs })))
}
