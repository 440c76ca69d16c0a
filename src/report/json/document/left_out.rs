//! What is counted and is in no list.

use serde::{Deserialize, Serialize};

use crate::compare::LeftOut;

/// How many entries of `counts` are in neither list, since there was no room.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::report::json) struct LeftOutItem {
    drifted: u64,
    unverified: u64,
}

impl From<LeftOut> for LeftOutItem {
    fn from(LeftOut { drifted, unverified }: LeftOut) -> Self {
        Self { drifted, unverified }
    }
}

impl From<LeftOutItem> for LeftOut {
    fn from(LeftOutItem { drifted, unverified }: LeftOutItem) -> Self {
        Self { drifted, unverified }
    }
}
