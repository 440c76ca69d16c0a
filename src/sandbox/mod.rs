//! The step that can't be undone: from here on the kernel holds this process to what it was granted.
//!
//! Two layers, neither of which trusts the code that runs inside them:
//!
//! - [`landlock`] decides by object: files are read below the granted handles only, and written below the granted
//!   directories only; nothing is executed; no TCP, no signals and no abstract UNIX sockets to the outside, as far as
//!   the kernel's ABI goes.
//! - [`seccomp`] decides by system call: a list of what a program that reads, hashes and writes needs, and an error for
//!   all else. It can't see memory, so it knows neither paths nor the flags of `openat2`.
//!
//! What neither stops, and what a reader of this module must not take for granted:
//!
//! - Handles that were opened before keep the rights they were opened with. Grants are no list of open handles: close
//!   what the rest of the run doesn't need, open for reading what is only read.
//! - Metadata. Landlock has no right for it, so `statx`, `readlinkat` and `getxattr` answer for any path that the user
//!   could name before. Contents and listings stay out of reach.
//! - Use of processor and memory.
//!
//! [`enter`] belongs to the process: Landlock restricts the thread that calls it and the threads which that one starts.
//! So it refuses to run when there is a second thread, and has to be called by `main` before the first worker starts.

pub mod landlock;
pub mod seccomp;

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

pub use landlock::{LandlockError, NoLandlock};
pub use seccomp::SeccompError;

/// What a process keeps after it has entered the sandbox.
#[derive(Debug, Clone, Default)]
pub struct Grants<'a> {
    /// Directories (everything below them) or single files that may be opened for reading.
    pub read: Vec<BorrowedFd<'a>>,
    /// Directories below which files may be read, created, written and truncated, directories made, and files renamed
    /// within the directory that they are in. Without any, the calls that write are refused altogether.
    pub write: Vec<BorrowedFd<'a>>,
    /// One of the directories in `write`, in which files and empty directories may be removed.
    pub remove: Option<BorrowedFd<'a>>,
    /// Groups that a file may be given.
    pub groups: BTreeSet<u32>,
}

/// Which layers hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforced {
    pub landlock: Option<Landlock>,
    pub seccomp: bool,
}

/// What Landlock enforces, all of it fully.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landlock {
    /// The version of the kernel's interface for which everything was asked, and granted.
    pub abi: u32,
    /// What that version covers: `filesystem`, `refer`, `truncate`, `tcp`, `ioctl`, `scope`, `unix`, `udp`.
    pub restrictions: Vec<&'static str>,
}

/// How much of a sandbox a run insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Whatever the kernel offers; [`Enforced`] says what that was.
    AsAvailable,
    /// Both layers, or no run.
    Everything,
}

/// A layer that doesn't hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    Landlock(NoLandlock),
    /// With the kernel's words, if it was asked to enforce a filter.
    Seccomp(Option<Errno>),
}

/// Why the sandbox could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "the sandbox has to be entered while the process has one thread, and it has more (this is a bug: report it)"
    )]
    Threads,
    #[error("a full sandbox is required, and this kernel does not give one: {}", list(.0))]
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

    /// The layers that do not hold, by their names.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        [("Landlock", self.landlock.is_some()), ("seccomp", self.seccomp)]
            .into_iter()
            .filter_map(|(name, holds)| (!holds).then_some(name))
    }
}

/// What this kernel offers, for messages: asking changes nothing.
///
/// Of seccomp it can only be asked whether the kernel knows it. Whether it takes a filter shows when it is given one.
#[must_use]
pub fn available() -> Enforced {
    Enforced { landlock: landlock::offered().ok(), seccomp: seccomp::offered() }
}

/// Refuses a kernel that does not offer what is required: asking changes nothing. That it gives what it offers is known
/// only once it has, by [`enter`].
///
/// # Errors
/// Under [`Requirement::Everything`], with what is missing.
pub fn required(requirement: Requirement) -> Result<(), SandboxError> {
    demand(requirement, landlock::offered().err().as_ref())
}

/// Names both layers at once if both are missing: an operator mends a kernel once.
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

/// Gives up everything but `grants`, for good.
///
/// Sets `no_new_privs`, then enters Landlock, then seccomp. After an error the process may hold part of a sandbox: it
/// has to say so and end.
///
/// # Errors
/// When the process has a second thread, when a grant is no file or directory, when a layer that the kernel offers
/// can't be enforced in full, and under [`Requirement::Everything`] when the kernel doesn't offer both.
pub fn enter(grants: &Grants<'_>, requirement: Requirement) -> Result<Enforced, SandboxError> {
    one_thread()?;
    let offered = landlock::offered();
    // Before anything is given up.
    demand(requirement, offered.as_ref().err())?;
    // Each layer does this by itself; a kernel that offers neither still gives this much.
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

/// Refuses a process with a second thread, which Landlock would leave free.
///
/// Asked without a path: `unshare(CLONE_THREAD)` does nothing for a process of one thread and is EINVAL for any other.
/// Where something above us forbids `unshare`, the answer is not to be had, and the caller's order of things has to do.
fn one_thread() -> Result<(), SandboxError> {
    // A thread that has been joined is counted for a moment longer, so one look is not enough to refuse.
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
