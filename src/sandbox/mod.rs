//! The step that can't be undone: from here on, the kernel restricts this process to its grants.
//!
//! There are two layers, and neither trusts the code that runs inside:
//!
//! - [`landlock`] decides by object: files are read only below the granted handles, and written only below the granted
//!   directories. Nothing is executed. As far as the kernel's ABI goes, there is no TCP, and there are no signals and
//!   abstract UNIX sockets to the outside.
//! - [`seccomp`] decides by system call: it allows a list of the calls that reading, hashing and writing need, and all
//!   other calls fail. It can't see memory, so it checks neither paths nor the flags of `openat2`.
//!
//! Neither layer restricts these:
//!
//! - Handles that were opened before keep their rights. Grants do not list open handles: close what the rest of the run
//!   does not need, and open for reading what is only read.
//! - Metadata. Landlock can't restrict it, so `statx`, `readlinkat` and `getxattr` still work for any path. Contents
//!   and listings are out of reach.
//! - Use of processor and memory.
//!
//! [`enter`] applies to the process, but Landlock restricts only the calling thread and the threads that it starts. So
//! it refuses to run if there is a second thread; `main` must call it before the first worker starts.

pub mod landlock;
pub mod seccomp;

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

pub use landlock::{LandlockError, NoLandlock};
pub use seccomp::SeccompError;

/// What a process keeps after it has entered the sandbox.
#[derive(Debug, Clone, Default)]
pub struct Grants<'a> {
    /// Directories (everything below them) or single files that may be opened for reading.
    pub read: Vec<BorrowedFd<'a>>,
    /// Directories below which files may be read, created, written and truncated, directories created, and files
    /// renamed within their directory. If there are none, the system calls that write are refused.
    pub write: Vec<BorrowedFd<'a>>,
    /// One of the directories in `write`, in which files and empty directories may be removed.
    pub remove: Option<BorrowedFd<'a>>,
    /// Groups that a file may be given.
    pub groups: BTreeSet<u32>,
}

/// Which layers hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enforced {
    // Without this, serde takes an absent key for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub landlock: Option<Landlock>,
    pub seccomp: bool,
}

/// What Landlock enforces, all of it fully.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landlock {
    /// The ABI whose rights were all requested and granted.
    pub abi: u32,
    /// What that ABI covers: `filesystem`, `refer`, `truncate`, `tcp`, `ioctl`, `scope`, `unix`, `udp`.
    #[serde(deserialize_with = "landlock::restrictions")]
    pub restrictions: Vec<&'static str>,
}

/// How much of a sandbox a run requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Requirement {
    /// Whatever the kernel offers; [`Enforced`] says what that was.
    #[default]
    AsAvailable,
    /// Both layers; otherwise the run ends.
    Everything,
}

/// A layer that does not hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    Landlock(NoLandlock),
    /// With the kernel's error, if it refused a filter.
    Seccomp(Option<Errno>),
}

/// Why the sandbox could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox must be entered before a second thread starts, and there is one (this is a bug: report it)")]
    Threads,
    #[error("a full sandbox is required, and this kernel does not offer one: {}", list(.0))]
    Missing(Vec<Missing>),
    #[error(transparent)]
    Landlock(#[from] LandlockError),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
}

impl Enforced {
    /// Whether both layers hold.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.landlock.is_some() && self.seccomp
    }

    /// The names of the layers that do not hold.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        [("Landlock", self.landlock.is_some()), ("seccomp", self.seccomp)]
            .into_iter()
            .filter_map(|(name, holds)| (!holds).then_some(name))
    }
}

/// What this kernel offers, for messages. Asking changes nothing.
///
/// For seccomp, it can only tell whether the kernel knows it. Whether the kernel accepts a filter shows only when the
/// filter is installed.
#[must_use]
pub fn available() -> Enforced {
    Enforced { landlock: landlock::offered().ok(), seccomp: seccomp::offered() }
}

/// Refuses a kernel that does not offer what is required. Asking changes nothing. Only [`enter`] shows whether the
/// kernel keeps what it offers.
///
/// # Errors
/// Under [`Requirement::Everything`], with what is missing.
pub fn required(requirement: Requirement) -> Result<(), SandboxError> {
    demand(requirement, landlock::offered().err().as_ref())
}

/// Names both layers if both are missing, so that you need to fix the kernel only once.
fn demand(requirement: Requirement, no_landlock: Option<&NoLandlock>) -> Result<(), SandboxError> {
    if requirement == Requirement::AsAvailable {
        return Ok(());
    }
    let missing: Vec<_> = [
        no_landlock.map(|reason| Missing::Landlock(reason.clone())),
        (!seccomp::offered()).then_some(Missing::Seccomp(None)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if missing.is_empty() { Ok(()) } else { Err(SandboxError::Missing(missing)) }
}

/// Permanently gives up everything but `grants`.
///
/// Sets `no_new_privs`, then enters Landlock, then seccomp. After an error the process may be in part of a sandbox; the
/// caller must report the error and exit.
///
/// # Errors
/// The process has a second thread; a grant is not a file or directory; a layer that the kernel offers can't be
/// enforced in full; or, under [`Requirement::Everything`], the kernel does not offer both.
pub fn enter(grants: &Grants<'_>, requirement: Requirement) -> Result<Enforced, SandboxError> {
    one_thread()?;
    let offered = landlock::offered();
    // Check before anything is given up.
    demand(requirement, offered.as_ref().err())?;
    // Each layer sets this too. Here it also holds on a kernel that offers neither.
    rustix::thread::set_no_new_privs(true).map_err(SeccompError::NoNewPrivs)?;

    let landlock = match offered {
        Ok(_) => Some(landlock::restrict(grants)?),
        Err(_) => None,
    };
    let seccomp = match seccomp::install(grants) {
        Ok(()) => true,
        Err(SeccompError::Refused(errno)) if requirement == Requirement::Everything => {
            return Err(SandboxError::Missing(vec![Missing::Seccomp(Some(errno))]));
        }
        Err(SeccompError::Refused(_)) => false,
        Err(error) => return Err(error.into()),
    };
    Ok(Enforced { landlock, seccomp })
}

/// Refuses a process with a second thread, which Landlock would not restrict.
///
/// Needs no path: `unshare(CLONE_THREAD)` does nothing in a process with one thread, and fails with EINVAL otherwise.
/// If something above this process forbids `unshare`, the check can't be made, and the caller's order of calls must do.
fn one_thread() -> Result<(), SandboxError> {
    // A joined thread is counted for a moment longer, so one look is not enough.
    const LOOKS: u32 = 50;
    for look in 0..LOOKS {
        #[expect(deprecated, reason = "unsafe for the flags that part file tables; this one changes nothing")]
        let answer = rustix::thread::unshare(UnshareFlags::from_bits_retain(libc::CLONE_THREAD.cast_unsigned()));
        if answer != Err(Errno::INVAL) {
            return Ok(());
        }
        if look + 1 < LOOKS {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Err(SandboxError::Threads)
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock(reason) => reason.fmt(f),
            Self::Seccomp(None) => f.write_str(
                "seccomp is missing (it needs a kernel built with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64)",
            ),
            Self::Seccomp(Some(errno)) => write!(
                f,
                "seccomp refused the filter: {errno} (it needs a kernel built with CONFIG_SECCOMP_FILTER, and a \
                 container or service manager that permits the system call `seccomp`)"
            ),
        }
    }
}
