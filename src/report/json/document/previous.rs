//! Which report was kept before another.

use serde::{Deserialize, Serialize};

use crate::manifest::Sha256Digest;
use crate::report::chain::{FolderName, Previous, timestamp};

/// Which report was kept before.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::report::json) struct PreviousItem {
    report: String,
    started: String,
    digest: String,
}

impl From<&Previous> for PreviousItem {
    fn from(previous: &Previous) -> Self {
        let Previous { report, started, digest } = previous.clone();
        Self { report, started, digest: digest.sri() }
    }
}

impl TryFrom<PreviousItem> for Previous {
    type Error = String;

    fn try_from(item: PreviousItem) -> Result<Self, String> {
        let PreviousItem { report, started, digest } = item;
        let digest = Sha256Digest::from_sri(&digest).ok_or("`previous`: its digest is none")?;
        match FolderName::parse(&report) {
            Some(name) if name.timestamp == timestamp(&started) && started.parse::<jiff::Timestamp>().is_ok() => {
                Ok(Self { report, started, digest })
            }
            _ => Err("`previous`: its folder is not that of a run that started then".to_owned()),
        }
    }
}
