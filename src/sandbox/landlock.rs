//! The layer that decides by object. See `landlock(7)`.
//!
//! By default, the `landlock` crate silently drops what a kernel does not know. This module asks the kernel for its ABI
//! and computes the request for that ABI. The kernel must then enforce every bit of the request, or [`restrict`] fails.
//! [`Landlock::restrictions`] shows what an older ABI leaves open.
//!
//! Every right that the ABI knows is handled, so it is refused unless a rule grants it. Never granted: executing,
//! making links, device nodes, FIFOs and sockets, moving a file into another directory, device ioctls, any TCP port.
//! Directories can be removed only in the directory that [`Grants::remove`] names.
//!
//! A rename takes a name out of its directory, so a writable directory needs the right to remove files. Only
//! [`seccomp`](super::seccomp) refuses `unlinkat` itself, unless something may be removed.

use std::os::fd::{AsFd, BorrowedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, RestrictSelf,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Grants, Landlock};

/// The newest ABI whose rights were reviewed. A later crate that knows more must not ask for more before a review.
const NEWEST: ABI = ABI::V10;

/// What each ABI added, in the order of [`Landlock::restrictions`].
const RESTRICTIONS: [(ABI, &str); 8] = [
    (ABI::V1, "filesystem"),
    (ABI::V2, "refer"),
    (ABI::V3, "truncate"),
    (ABI::V4, "tcp"),
    (ABI::V5, "ioctl"),
    (ABI::V6, "scope"),
    (ABI::V9, "unix"),
    (ABI::V10, "udp"),
];

/// Why the kernel offers no Landlock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLandlock {
    #[error(
        "Landlock is missing (it needs Linux 5.13 or later built with CONFIG_SECURITY_LANDLOCK, and a container or \
         service manager that permits its system calls)"
    )]
    NotImplemented,
    #[error("Landlock is built into this kernel but switched off (add `landlock` to the kernel parameter `lsm=`)")]
    NotEnabled,
    #[error("the kernel could not be asked for Landlock: {0}")]
    Unknown(String),
}

/// Why Landlock could not be enforced in full.
#[derive(Debug, thiserror::Error)]
pub enum LandlockError {
    #[error(transparent)]
    Unavailable(#[from] NoLandlock),
    #[error("Landlock: the status of a granted handle could not be read: {0}")]
    Handle(Errno),
    #[error("Landlock (ABI {abi}): the kernel refused rights that it offers: {error}")]
    Refused { abi: u32, error: Box<RulesetError> },
    #[error("Landlock (ABI {abi}): the kernel enforced less than was requested: {status}")]
    Incomplete { abi: u32, status: String },
}

/// What [`restrict`] would enforce on this kernel. Asking changes nothing.
///
/// # Errors
/// The kernel offers no Landlock, or something above this process blocks it.
pub fn offered() -> Result<Landlock, NoLandlock> {
    kernel().map(described)
}

/// One of [`Landlock::restrictions`] by its name; `None` if it is unknown.
#[must_use]
pub fn restriction(name: &str) -> Option<&'static str> {
    RESTRICTIONS.iter().map(|(_, known)| *known).find(|known| *known == name)
}

/// Reads [`Landlock::restrictions`].
pub(super) fn restrictions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
    let known = |name: &String| {
        let unknown = || D::Error::custom(format!("the restriction {name:?} of Landlock is not known"));
        restriction(name).ok_or_else(unknown)
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(known).collect()
}

fn described(abi: ABI) -> Landlock {
    Landlock {
        abi: abi as u32,
        restrictions: RESTRICTIONS.iter().filter(|(since, _)| *since <= abi).map(|(_, name)| *name).collect(),
    }
}

/// Enters Landlock only: `grants` apply to the calling thread and every thread that it starts.
///
/// A run calls [`enter`](super::enter); this is public so that each layer can be tried alone.
///
/// # Errors
/// The kernel offers no Landlock, or does not enforce everything that its ABI has.
pub fn restrict(grants: &Grants<'_>) -> Result<Landlock, LandlockError> {
    let abi = kernel()?;
    let status = apply(abi, grants).map_err(|error| match error {
        Failed::Handle(errno) => LandlockError::Handle(errno),
        Failed::Ruleset(error) => LandlockError::Refused { abi: abi as u32, error },
    })?;
    match status {
        RestrictionStatus { ruleset: RulesetStatus::FullyEnforced, no_new_privs: true, .. } => Ok(described(abi)),
        _ => Err(LandlockError::Incomplete { abi: abi as u32, status: format!("{status:?}") }),
    }
}

/// The newest ABI that the kernel, the crate and [`NEWEST`] have in common.
fn kernel() -> Result<ABI, NoLandlock> {
    // Without flags and no_new_privs, this asks for the version and applies nothing.
    let status = RestrictSelf::default().no_new_privs(false).apply();
    match status.map(|status| status.landlock) {
        Ok(LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi.min(NEWEST)),
        Ok(LandlockStatus::NotEnabled) => Err(NoLandlock::NotEnabled),
        Ok(LandlockStatus::NotImplemented) => Err(NoLandlock::NotImplemented),
        Err(error) => Err(NoLandlock::Unknown(error.to_string())),
    }
}

enum Failed {
    Handle(Errno),
    Ruleset(Box<RulesetError>),
}

impl<E: Into<RulesetError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Ruleset(Box::new(error.into()))
    }
}

fn apply(abi: ABI, grants: &Grants<'_>) -> Result<RestrictionStatus, Failed> {
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi))?;
    // An empty set is an error, not a no-op.
    let ports = AccessNet::from_all(abi);
    if !ports.is_empty() {
        ruleset = ruleset.handle_access(ports)?;
    }
    let scopes = Scope::from_all(abi);
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    let mut ruleset = ruleset.create()?;
    let remove = Vec::from_iter(grants.remove);
    for (handles, rights) in
        [(&grants.read, reading()), (&grants.write, reading() | writing(abi)), (&remove, removing())]
    {
        for handle in handles {
            ruleset = ruleset.add_rule(PathBeneath::new(*handle, rights & legal(abi, *handle)?))?;
        }
    }
    Ok(ruleset.restrict_self()?)
}

fn reading() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{ReadFile | ReadDir})
}

fn writing(abi: ABI) -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | RemoveFile}) & AccessFs::from_all(abi)
}

fn removing() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{RemoveFile | RemoveDir})
}

/// The rights that a rule for this handle may carry: the kernel refuses directory rights for other files.
fn legal(abi: ABI, handle: BorrowedFd<'_>) -> Result<BitFlags<AccessFs>, Failed> {
    let stat = fstat(handle.as_fd()).map_err(Failed::Handle)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => AccessFs::from_all(abi),
        _ => AccessFs::from_file(abi),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_restriction_is_named_by_the_abi_that_brought_it() {
        for (since, name) in RESTRICTIONS {
            let before = ABI::from(since as i32 - 1);
            assert!(
                AccessFs::from_all(since) != AccessFs::from_all(before)
                    || AccessNet::from_all(since) != AccessNet::from_all(before)
                    || Scope::from_all(since) != Scope::from_all(before),
                "{name}: ABI {since} handles nothing that {before} does not"
            );
        }
    }

    #[test]
    fn no_restriction_goes_unnamed() {
        for abi in 1..=NEWEST as i32 {
            let (before, abi) = (ABI::from(abi - 1), ABI::from(abi));
            if RESTRICTIONS.iter().all(|(since, _)| *since != abi) {
                assert_eq!(AccessFs::from_all(before), AccessFs::from_all(abi), "ABI {abi}");
                assert_eq!(AccessNet::from_all(before), AccessNet::from_all(abi), "ABI {abi}");
                assert_eq!(Scope::from_all(before), Scope::from_all(abi), "ABI {abi}");
            }
        }
    }

    #[test]
    fn grants_stay_within_what_an_abi_knows() {
        for abi in 1..=NEWEST as i32 {
            let abi = ABI::from(abi);
            assert!(AccessFs::from_all(abi).contains(reading() | writing(abi) | removing()), "ABI {abi}");
        }
    }

    #[test]
    fn nothing_granted_executes_links_or_leaves_its_directory() {
        let never = make_bitflags!(AccessFs::{
            Execute | MakeChar | MakeBlock | MakeSock | MakeFifo | MakeSym | Refer | IoctlDev | ResolveUnix
        });
        assert!(!(reading() | writing(NEWEST) | removing()).intersects(never));
        assert!(!(reading() | writing(NEWEST)).intersects(make_bitflags!(AccessFs::{RemoveDir})));
    }
}
