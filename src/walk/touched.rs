//! Detects entries that were touched during the run. What was read of them existed at one moment, and perhaps at no
//! other.

use rustix::fs::Statx;

use crate::capability;

/// The start of the run, in nanoseconds since 1970. The default is now.
#[derive(Clone, Copy, Debug)]
pub struct RunStart(i64);

impl Default for RunStart {
    fn default() -> Self {
        Self::now()
    }
}

impl RunStart {
    /// Now, by the clock of file times.
    #[must_use]
    pub fn now() -> Self {
        Self(capability::clock().0)
    }

    /// Waits, if it has to, until new file times are later than the start of the run. File systems use the last tick of a clock that
    /// ticks every few milliseconds.
    pub fn pass(self) {
        // The kernel adds 50 µs to each.
        const PAUSE: std::time::Duration = std::time::Duration::from_micros(20);
        // Do not wait forever for a clock that stands still or was set back.
        for _ in 0..1000 {
            if capability::clock().1 > self.0 {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether something with this status was touched since. The ctime can't be set. The mtime can, so an mtime in the
    /// future proves nothing.
    #[must_use]
    pub fn is_before(self, status: &Statx) -> bool {
        let nanoseconds =
            |second: i64, nanosecond: u32| second.saturating_mul(1_000_000_000).saturating_add(i64::from(nanosecond));
        let changed = nanoseconds(status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec);
        let modified = nanoseconds(status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec);
        changed > self.0 || modified > self.0 && modified <= capability::clock().0
    }
}
