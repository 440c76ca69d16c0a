//! Which entries were touched during the run: what was read of them was there at some moment, and need not have been there
//! at any other.

use rustix::fs::Statx;

use crate::capability;

/// When the run started, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Start(i64);

impl Start {
    /// Now, by the clock that stamps files.
    #[must_use]
    pub fn now() -> Self {
        Self(capability::clock().0)
    }

    /// Waits until whatever is touched from now on gets a later stamp than the start of the run. File systems stamp by the
    /// last tick of a clock that ticks each few milliseconds.
    pub fn pass(self) {
        const TICK: std::time::Duration = std::time::Duration::from_millis(1);
        // A clock that stands still, or was set back, is not waited for.
        for _ in 0..50 {
            if capability::clock().1 > self.0 {
                break;
            }
            std::thread::sleep(TICK);
        }
    }

    /// Whether something with this status was touched since. The change time can't be set to a time of one's choice. The
    /// modification time can, so one in the future says nothing.
    #[must_use]
    pub fn is_before(self, status: &Statx) -> bool {
        let nanoseconds =
            |second: i64, nanosecond: u32| second.saturating_mul(1_000_000_000).saturating_add(i64::from(nanosecond));
        let changed = nanoseconds(status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec);
        let modified = nanoseconds(status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec);
        changed > self.0 || modified > self.0 && modified <= capability::clock().0
    }
}
