//! Manifests: the canonical, sorted list of entries that a check collects. A lock is a manifest at rest.
//!
//! `docs/lock-format.md` specifies both lock formats. [`json`] is the only code that writes and reads
//! `<check>.lock.json`; [`text`] is the same for the `sha256sum` format.

mod boundary;
pub mod bytes;
mod cause;
pub mod container;
mod error;
pub mod json;
pub mod list;
mod spoiled;
pub mod text;
mod uncovered;

pub use crate::digest::Sha256Digest;
use crate::path::EntryPath;
pub use boundary::{Boundary, Crossing};
pub use cause::Cause;
pub use container::{Compose, Container, Mount, Security};
pub use error::LockError;
pub use list::List;
pub use spoiled::Spoiled;
pub use uncovered::{GlobList, Uncovered, UncoveredItem};

use serde::{Deserialize, Serialize};

/// One entry of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: EntryPath,
    pub record: Record,
}

/// What a manifest records of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub content: Content,
    /// What the check's `attributes` record beyond content; `None` if the check has none.
    pub attributes: Option<Box<Attributes>>,
}

impl Record {
    /// Which attributes are present.
    #[must_use]
    pub fn attribute_set(&self) -> AttributeSet {
        let attributes = self.attributes.as_deref();
        let of_container = match &self.content {
            Content::Container(container) => container.attributes(),
            _ => AttributeSet::default(),
        };
        AttributeSet {
            mode: attributes.is_some_and(|found| found.mode.is_some()),
            owner: attributes.is_some_and(|found| found.owner.is_some()),
            xattrs: attributes.is_some_and(|found| found.xattrs.is_some()),
            ..of_container
        }
    }
}

/// Type and content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A regular file. `executable` is the owner's execute bit, which is what git and Nix keep.
    File {
        executable: bool,
        size: u64,
        sha256: Sha256Digest,
    },
    /// A regular file from a `sha256sum` lock, which records only the digest. Never collected, only read.
    Checksum {
        sha256: Sha256Digest,
    },
    /// A module from a lock of the scripts, which records one digest for all its files. Never collected, only read.
    Module {
        sha256: Sha256Digest,
    },
    /// A directory. `nar` is the digest of its Nix archive, and is present only for modules.
    Directory {
        nar: Option<Sha256Digest>,
    },
    /// A symbolic link, by the text of its target. It is never followed.
    Symlink {
        target: Box<[u8]>,
    },
    Fifo,
    Socket,
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    /// A container; its path is its name.
    Container(Box<Container>),
}

impl Content {
    /// Its name in locks and reports.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Checksum { .. } => "file",
            Self::Directory { .. } | Self::Module { .. } => "directory",
            Self::Symlink { .. } => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharDevice { .. } => "char_device",
            Self::BlockDevice { .. } => "block_device",
            Self::Container(_) => "container",
        }
    }

    /// The digest of a regular file.
    #[must_use]
    pub const fn sha256(&self) -> Option<Sha256Digest> {
        match self {
            Self::File { sha256, .. } | Self::Checksum { sha256 } => Some(*sha256),
            _ => None,
        }
    }
}

/// What `attributes` on a check adds to each entry. A field is present exactly if the check records it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits with set-user-ID, set-group-ID and sticky: `0o0000..=0o7777`.
    pub mode: Option<u16>,
    /// Numeric user and group.
    pub owner: Option<(u32, u32)>,
    /// Extended attributes, sorted by name.
    pub xattrs: Option<Xattrs>,
}

/// Names and values of extended attributes.
pub type Xattrs = Vec<(Box<[u8]>, Box<[u8]>)>;

/// Which [`Attributes`], or which optional fields of a [`Container`], a check records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeSet {
    pub mode: bool,
    pub owner: bool,
    pub xattrs: bool,
    pub state: bool,
    pub mounts: bool,
    pub networks: bool,
    pub ports: bool,
    pub labels: bool,
    pub env: bool,
    pub security: bool,
    pub compose: bool,
}

impl AttributeSet {
    /// The names, in the order of locks and declarations.
    pub fn names(mut self) -> impl Iterator<Item = &'static str> {
        let names =
            ["mode", "owner", "xattrs", "state", "mounts", "networks", "ports", "labels", "env", "security", "compose"];
        names.into_iter().filter(move |name| self.named(name).is_some_and(|wanted| *wanted))
    }

    /// The attribute with this name.
    pub fn named(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "mode" => &mut self.mode,
            "owner" => &mut self.owner,
            "xattrs" => &mut self.xattrs,
            "state" => &mut self.state,
            "mounts" => &mut self.mounts,
            "networks" => &mut self.networks,
            "ports" => &mut self.ports,
            "labels" => &mut self.labels,
            "env" => &mut self.env,
            "security" => &mut self.security,
            "compose" => &mut self.compose,
            _ => return None,
        })
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The `kind` of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Single files, selected by globs.
    Files,
    /// Everything below the root. Each directory directly below the root is a module and has a `nar`.
    Trees,
    /// Containers of an engine, and their images.
    Containers,
    /// Single files in a container.
    ContainerFiles,
    /// Containers of a Compose project, which Compose files declare.
    Compose,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Files, Self::Trees, Self::Containers, Self::ContainerFiles, Self::Compose];

    /// Its name in declarations, locks and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Trees => "trees",
            Self::Containers => "containers",
            Self::ContainerFiles => "container_files",
            Self::Compose => "compose",
        }
    }

    /// Whether its entries are containers.
    #[must_use]
    pub const fn is_of_containers(self) -> bool {
        matches!(self, Self::Containers | Self::Compose)
    }
}

/// Why a path could not be verified. An unverified path is never "unchanged" and never "removed".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The kernel refused: no permission, an I/O error, and so on.
    #[error("could not {action}: {}", std::io::Error::from_raw_os_error(*.errno))]
    Refused { action: &'static str, errno: i32 },
    /// A file changed during each attempt to read it.
    #[error("unstable: it changed while it was read, {attempts} times in a row")]
    Unstable { attempts: u32 },
    /// It was listed in its directory, but had disappeared before it was read.
    #[error("unstable: it was listed and had disappeared when it was to be read")]
    Vanished,
    /// It was listed as a directory, but was something else when it was opened.
    #[error("unstable: it was a directory when it was listed, and no longer is")]
    Replaced,
    /// Another mount or file system begins here, and the check has `one_file_system = true`.
    #[error("{} here, and `one_file_system` refuses that", .0.phrase())]
    OtherFileSystem(Boundary),
    /// A process (Samba, an NFS server) holds a write lease and does not release it.
    #[error("another process holds a lease on it, and has not given it up")]
    Leased,
    /// A file of a kernel file system that states no size and has more bytes than are kept.
    #[error("it states no size, and has more than {limit} bytes")]
    Sizeless { limit: usize },
    /// Its file system did not answer, and the run stopped waiting.
    #[error("it did not answer, and the run was given up")]
    Hangs,
    /// The run gave up before it read this.
    #[error("it was not read: the run was given up before")]
    GivenUp,
    /// It was touched since the run started, and the check has `strict = true`.
    #[error("it was touched during the run, and `strict` refuses that")]
    Touched,
    /// The declaration names a container that the engine does not have. If the lock has it, it was removed.
    #[error("it is declared, and the engine has no such container")]
    Absent,
    /// The engine has the container, but fails to describe it.
    #[error("the engine answers with status {status}: {}", crate::path::escaped(message.as_bytes()))]
    Engine { status: u16, message: Box<str> },
    /// The directory above could not be read, so its entries are not known.
    #[error("{}{}{}", Self::BELOW.0, crate::path::escaped(.0), Self::BELOW.1)]
    Below(Box<[u8]>),
    /// The wording of a report that was read back, or of a server.
    #[error("{1}")]
    Reported(Cause, Box<str>),
}

impl Unverified {
    /// The words before and after the directory in the message of [`Below`](Self::Below).
    pub const BELOW: (&'static str, &'static str) = ("the directory ", " could not be read");

    /// The category of the reason.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Refused { errno, .. } => Cause::of_errno(*errno),
            Self::Unstable { .. } => Cause::Unstable,
            Self::Touched => Cause::Touched,
            Self::Vanished | Self::Replaced => Cause::Vanished,
            Self::OtherFileSystem(Boundary::Subvolume) => Cause::Subvolume,
            Self::OtherFileSystem(_) => Cause::Mount,
            Self::Leased => Cause::Lease,
            Self::Hangs => Cause::Hangs,
            Self::GivenUp => Cause::GivenUp,
            Self::Sizeless { .. } => Cause::Sizeless,
            Self::Absent => Cause::Absent,
            Self::Engine { .. } => Cause::Engine,
            Self::Below(_) => Cause::Below,
            Self::Reported(cause, _) => *cause,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.cause().help()
    }
}

/// What a stream yields for one path.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    pub path: &'a [u8],
    pub state: Result<&'a Record, &'a Unverified>,
}

/// Entries in the order of paths, without duplicates.
pub trait Entries {
    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// The lock is malformed.
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError>;

    /// Skips the next entry if it equals `_same`, when that can be seen without parsing it. If this returns `false`,
    /// nothing was skipped, and the next entry may still be equal.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    fn skip_if_equal(&mut self, _same: &Observed<'_>) -> Result<bool, LockError> {
        Ok(false)
    }
}
