//! The user, groups, boot and clocks of a run, to which the stat cache is bound; and the version of `ssh`.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::declared::read;

/// The user, groups, boot and clocks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunIdentity {
    /// The effective user and group, and all other groups, sorted.
    pub user: u32,
    pub group: u32,
    pub groups: Vec<u32>,
    /// The kernel's id of this boot. Empty if `/proc` does not have it, for example in a unit with `ProcSubset=pid`.
    pub boot: Vec<u8>,
    /// Nanoseconds since 1970, by the clock that stamps files.
    pub now: i64,
    /// The boot time of the machine, by the present clock. It changes with each boot and when the clock is set, but not
    /// when the clock is slowed down or the machine sleeps.
    pub booted: i64,
}

/// Reads the user, groups, boot and clocks.
///
/// # Errors
/// The groups can't be read.
pub fn run_identity() -> io::Result<RunIdentity> {
    let mut groups: Vec<u32> = rustix::process::getgroups()?.into_iter().map(rustix::process::Gid::as_raw).collect();
    groups.sort_unstable();
    let (now, booted) = clocks();
    Ok(RunIdentity {
        user: rustix::process::geteuid().as_raw(),
        group: rustix::process::getegid().as_raw(),
        groups,
        boot: read(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default(),
        now,
        booted,
    })
}

/// The time in nanoseconds since 1970, and the time that a file written now would get: the last tick before it.
#[must_use]
pub fn clock() -> (i64, i64) {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
    };
    (read(ClockId::Realtime), read(ClockId::RealtimeCoarse))
}

/// [`RunIdentity::now`] and [`RunIdentity::booted`].
fn clocks() -> (i64, i64) {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
    };
    // The two can't be read at once. Of three tries, the fastest is the most accurate.
    let tries = (0..3).map(|_| {
        let (before, now, after) = (read(ClockId::Boottime), read(ClockId::Realtime), read(ClockId::Boottime));
        (after - before, (now, now - before))
    });
    tries.min().map_or((0, 0), |(_, clocks)| clocks)
}

/// The version of OpenSSH: what `ssh -V` prints. `None` if there is none.
#[must_use]
pub fn ssh_version() -> Option<String> {
    let mut command = Command::new(super::launcher::on_path(OsStr::new("ssh"))?);
    let output = command.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).output().ok()?;
    String::from_utf8(output.stderr).ok()
}
