//! The JSON lines of an answer, except for entries.

use serde::Deserialize;

use crate::manifest::UncoveredItem;

#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) driftlock_collect: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HelloLine {
    #[serde(rename = "driftlock_collect")]
    _version: u64,
    pub(super) driftlock: String,
    pub(super) landlock: Option<u32>,
    pub(super) seccomp: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgressLine {
    pub(super) progress: Progress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    #[serde(rename = "entries")]
    _entries: u64,
    pub(super) bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailedLine {
    pub(super) failed: TroubleItem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TroubleItem {
    pub(super) problem: String,
    #[serde(rename = "remedy")]
    pub(super) help: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckLine {
    pub(super) check: String,
    pub(super) resolved_root: Option<String>,
    pub(super) failed: Option<TroubleItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MountLine {
    pub(super) mount: Option<String>,
    pub(super) mount_base64: Option<String>,
    pub(super) what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UncoveredLine {
    pub(super) uncovered: UncoveredItem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TouchedLine {
    pub(super) touched: Option<String>,
    pub(super) touched_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnverifiedLine {
    /// `None`: a declared container is missing.
    pub(super) unverified: Option<String>,
    pub(super) cause: String,
    pub(super) path: Option<String>,
    pub(super) path_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) end: String,
    pub(super) lines: u64,
    pub(super) digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::remote) struct DoneLine {
    pub(in crate::remote) done: u64,
}
