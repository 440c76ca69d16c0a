//! What the file system says of an entry that drifted, beside what locks hold: when it was written, and whose it is.

use jiff::Timestamp;

/// The status of what is there, a moment after it was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveStatus {
    mtime: Timestamp,
    pub uid: u32,
    pub gid: u32,
}

impl LiveStatus {
    /// `mtime` is in seconds since 1970; nothing where no calendar has a date for it (years beyond 9999).
    #[must_use]
    pub fn new(mtime: i64, uid: u32, gid: u32) -> Option<Self> {
        Timestamp::from_second(mtime).ok().map(|mtime| Self { mtime, uid, gid })
    }

    /// The last modification, in seconds since 1970.
    #[must_use]
    pub fn mtime_unix(&self) -> i64 {
        self.mtime.as_second()
    }

    /// The same in RFC 3339, in UTC.
    #[must_use]
    pub fn mtime(&self) -> String {
        self.mtime.to_string()
    }

    /// Out of what [`mtime`](Self::mtime) gives; nothing for any other spelling.
    #[must_use]
    pub fn restored(mtime: &str, uid: u32, gid: u32) -> Option<Self> {
        let parsed: Timestamp = mtime.parse().ok()?;
        Self::new(parsed.as_second(), uid, gid).filter(|status| status.mtime() == mtime)
    }
}
