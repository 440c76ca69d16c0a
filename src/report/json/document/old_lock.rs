//! The locks of the scripts, by their words.

use serde::{Deserialize, Serialize};

use crate::baseline::OldLock;

/// Which lock of the scripts a check was compared with.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum OldLockItem {
    FileHashes,
    ModuleHashes,
    ContainerImages,
}

impl From<OldLock> for OldLockItem {
    fn from(old: OldLock) -> Self {
        match old {
            OldLock::FileHashes => Self::FileHashes,
            OldLock::ModuleHashes => Self::ModuleHashes,
            OldLock::ContainerImages => Self::ContainerImages,
        }
    }
}

impl From<OldLockItem> for OldLock {
    fn from(old: OldLockItem) -> Self {
        match old {
            OldLockItem::FileHashes => Self::FileHashes,
            OldLockItem::ModuleHashes => Self::ModuleHashes,
            OldLockItem::ContainerImages => Self::ContainerImages,
        }
    }
}
