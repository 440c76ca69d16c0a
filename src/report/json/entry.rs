//! Paths and drift as JSON.

mod ordered;
mod record;

use serde::{Deserialize, Serialize};

use crate::compare::{Change, Drift, Excerpt, Hidden, LINES, LONGEST, LiveStatus, UnverifiedEntry};
use crate::manifest::bytes::{joined, split};
use crate::manifest::{Boundary, Cause, Crossing, Unverified};
use crate::path::{EntryPath, directories_above};
use crate::report::format::Prose;
use record::RecordItem;

fn path(text: Option<String>, base64: Option<String>) -> Result<EntryPath, String> {
    EntryPath::new(joined(text, base64)?).map_err(|error| error.to_string())
}

/// A path without anything else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
}

impl From<&Vec<u8>> for PathItem {
    fn from(bytes: &Vec<u8>) -> Self {
        let (path, path_base64) = split(bytes);
        Self { path, path_base64 }
    }
}

impl TryFrom<PathItem> for Vec<u8> {
    type Error = String;

    fn try_from(item: PathItem) -> Result<Self, String> {
        Ok(path(item.path, item.path_base64)?.as_bytes().to_vec())
    }
}

/// A place where another mount or file system begins.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MountItem {
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
        let what = what.ok_or("the type of a mount is unknown")?;
        Ok(Self { path: path(item.path, item.path_base64)?.as_bytes().to_vec(), what })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnverifiedItem {
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

impl TryFrom<UnverifiedItem> for UnverifiedEntry {
    type Error = String;

    /// Text reports group the entries below a directory that could not be read, so this recognises the wording of that
    /// reason.
    fn try_from(item: UnverifiedItem) -> Result<Self, String> {
        let cause = Cause::named(&item.cause).ok_or("the cause of an unverified entry is unknown")?;
        let path = path(item.path, item.path_base64)?;
        let below = Some(cause).filter(|&cause| cause == Cause::Below).and_then(|_| below(&path, &item.reason));
        let reason = below.unwrap_or_else(|| Unverified::Reported(cause, item.reason.into()));
        Ok(Self { path, reason })
    }
}

/// The reason [`Unverified::Below`], if `reason` is its wording for one of the directories above a path.
fn below(path: &EntryPath, reason: &str) -> Option<Unverified> {
    let directory = reason.strip_prefix(Unverified::BELOW.0)?.strip_suffix(Unverified::BELOW.1)?;
    // The escaped form of a directory is the beginning of the escaped path.
    let shown = path.to_string();
    shown.strip_prefix(directory)?.strip_prefix('/')?;
    // No escape contains a slash.
    let names = directory.matches('/').count() + 1;
    Some(Unverified::Below(directories_above(path.as_bytes()).nth(names - 1)?.into()))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriftItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    change: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_base64: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    expected: Option<RecordItem>,
    #[serde(deserialize_with = "Option::deserialize")]
    actual: Option<RecordItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<DiffItem>,
}

/// The mtime and the owner of the live entry.
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
        Self::restored(&mtime, uid, gid).ok_or("an `mtime` is not in the form that driftlock writes")
    }
}

/// The lines that changed, or a word for why they are not shown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffItem {
    #[serde(deserialize_with = "Option::deserialize")]
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
            return why.map(Self::Hidden).ok_or("the reason why a `diff` is not shown is unknown");
        }
        let fits = |line: &String| line.starts_with(['@', ' ', '-', '+', '\\']) && line.chars().count() <= LONGEST + 1;
        if lines.len() > LINES || !lines.iter().all(fits) {
            return Err("a `diff` has lines that driftlock would not write");
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
            expected: drift.expected.clone().map(RecordItem),
            actual: drift.actual.clone().map(RecordItem),
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
            .ok_or_else(|| format!("the change {:?} is unknown", item.change))?;
        let moved = item.from.is_some() || item.from_base64.is_some();
        let drift = Self {
            path: path(item.path, item.path_base64)?,
            change,
            expected: item.expected.map(|item| item.0),
            actual: item.actual.map(|item| item.0),
            from: moved.then(|| path(item.from, item.from_base64)).transpose()?,
            live: item.live.map(LiveStatus::try_from).transpose()?,
            diff: item.diff.map(Excerpt::try_from).transpose()?.map(Box::new),
        };
        if drift.live.is_some() && drift.actual.is_none() {
            return Err(format!("{}: it was removed, but has `live`", drift.path));
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
