//! When a drifted entry was written, and its owner.

use jiff::Timestamp;

/// The status of a live entry, read shortly after the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveStatus {
    mtime: Timestamp,
    pub uid: u32,
    pub gid: u32,
}

impl LiveStatus {
    /// `mtime` is in seconds since 1970; `None` for years after 9999.
    #[must_use]
    pub fn new(mtime: i64, uid: u32, gid: u32) -> Option<Self> {
        Timestamp::from_second(mtime).ok().map(|mtime| Self { mtime, uid, gid })
    }

    /// The last modification, in seconds since 1970.
    #[must_use]
    pub fn mtime_unix(&self) -> i64 {
        self.mtime.as_second()
    }

    /// The last modification in RFC 3339, in UTC.
    #[must_use]
    pub fn mtime(&self) -> String {
        self.mtime.to_string()
    }

    /// Parses the form of [`mtime`](Self::mtime), and no other.
    #[must_use]
    pub fn restored(mtime: &str, uid: u32, gid: u32) -> Option<Self> {
        let parsed: Timestamp = mtime.parse().ok()?;
        Self::new(parsed.as_second(), uid, gid).filter(|status| status.mtime() == mtime)
    }
}
