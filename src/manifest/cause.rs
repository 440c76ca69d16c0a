//! Why something could not be verified, as a word for programs, and what to do about it.

/// The category of an [`Unverified`](super::Unverified) reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    Permission,
    Io,
    NameTooLong,
    Unsupported,
    /// A network file system that is gone.
    Gone,
    /// Too many open files.
    Limit,
    /// Any other error of the kernel.
    Refused,
    Unstable,
    Touched,
    Vanished,
    Mount,
    Subvolume,
    Lease,
    Hangs,
    GivenUp,
    Sizeless,
    /// A container that does not exist.
    Absent,
    /// The engine fails for one container.
    Engine,
    /// A directory above could not be read.
    Below,
}

impl Cause {
    pub const ALL: [Self; 19] = [
        Self::Permission,
        Self::Io,
        Self::NameTooLong,
        Self::Unsupported,
        Self::Gone,
        Self::Limit,
        Self::Refused,
        Self::Unstable,
        Self::Touched,
        Self::Vanished,
        Self::Mount,
        Self::Subvolume,
        Self::Lease,
        Self::Hangs,
        Self::GivenUp,
        Self::Sizeless,
        Self::Absent,
        Self::Engine,
        Self::Below,
    ];

    /// The cause for an error number of the kernel.
    #[must_use]
    pub const fn of_errno(errno: i32) -> Self {
        match errno {
            libc::EACCES | libc::EPERM => Self::Permission,
            libc::EIO => Self::Io,
            libc::ENAMETOOLONG => Self::NameTooLong,
            libc::EOPNOTSUPP => Self::Unsupported,
            libc::ESTALE | libc::ENOTCONN | libc::ETIMEDOUT | libc::EHOSTDOWN => Self::Gone,
            libc::EMFILE | libc::ENFILE => Self::Limit,
            _ => Self::Refused,
        }
    }

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Io => "io",
            Self::NameTooLong => "name_too_long",
            Self::Unsupported => "unsupported",
            Self::Gone => "gone",
            Self::Limit => "limit",
            Self::Refused => "refused",
            Self::Unstable => "unstable",
            Self::Touched => "touched",
            Self::Vanished => "vanished",
            Self::Mount => "mount",
            Self::Subvolume => "subvolume",
            Self::Lease => "lease",
            Self::Hangs => "hangs",
            Self::GivenUp => "given_up",
            Self::Sizeless => "sizeless",
            Self::Absent => "absent",
            Self::Engine => "engine",
            Self::Below => "below",
        }
    }

    /// The cause with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Permission => {
                "run driftlock as a user who may read it; if that is root already, see what keeps root out (a network file \
                 system, a sandbox, a security module)"
            }
            Self::Io => "the disk or the file system fails: see the kernel's log (`dmesg`), and restore the file",
            Self::NameTooLong => "shorten its name or its path, or `exclude` it",
            Self::Unsupported => {
                "the file system does not support this attribute: leave the attribute out, or `exclude` it"
            }
            Self::Gone => "the network file system is gone: mount it again",
            Self::Limit => "raise the limit of open files (`ulimit -n`)",
            Self::Refused => "look up the error, and the kernel's log (`dmesg`); or `exclude` it",
            Self::Unstable | Self::Touched => "run it while nothing writes to it, or `exclude` it",
            Self::Vanished => "run it while nothing changes the tree, or `exclude` what comes and goes",
            Self::Mount => "unmount it, declare a check of its own over it, or take `one_file_system` out of the check",
            Self::Subvolume => "declare a check of its own over it, or take `one_file_system` out of the check",
            Self::Lease => {
                "find the process that holds the lease in `/proc/locks` (Samba or an NFS server, for example), and end it"
            }
            Self::Hangs => {
                "check whether its file system still answers (a network file system, FUSE), and mount it again; or `exclude` it"
            }
            Self::GivenUp => "look at what did not answer, or give the run more time (`--timeout`)",
            Self::Sizeless => "`exclude` it: it is not a configuration file",
            Self::Absent => "start the container, or take its name out of `containers`",
            Self::Engine => "look at the engine's log, and at `docker inspect` or `podman inspect` of the container",
            Self::Below => "look at the reason for that directory",
        }
    }
}
