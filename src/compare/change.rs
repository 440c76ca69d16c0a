//! What a difference is called.

use crate::manifest::Kind;

/// How an entry differs from its lock. Where several hold, the first in this order is named; `expected` and `actual`
/// of the [`Drift`](super::Drift) show them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    Added,
    Removed,
    /// A file, link, directory and so on in place of something of another type.
    TypeChanged,
    /// Other bytes in a file, another target of a link, another number of a device.
    Modified,
    /// The same content under another name.
    Moved,
    ExecutableChanged,
    ModeChanged,
    OwnerChanged,
    XattrsChanged,
    /// A container that was made from an image of another name, another tag for example.
    ImageChanged,
    /// A container that was made from another image of the same name.
    ImageRebuilt,
    /// A container's image is the same, and registries know it by other digests.
    DigestsChanged,
    /// Privileges, capabilities, namespaces and the like: before what is less of a danger.
    SecurityChanged,
    StateChanged,
    MountsChanged,
    NetworksChanged,
    PortsChanged,
    LabelsChanged,
    /// Other names of environment variables; their values are not recorded.
    EnvChanged,
    /// Another project, service or configuration of Docker Compose's.
    ComposeChanged,
}

impl Change {
    /// All of them, in their order.
    pub const ALL: [Self; 20] = [
        Self::Added,
        Self::Removed,
        Self::TypeChanged,
        Self::Modified,
        Self::Moved,
        Self::ExecutableChanged,
        Self::ModeChanged,
        Self::OwnerChanged,
        Self::XattrsChanged,
        Self::ImageChanged,
        Self::ImageRebuilt,
        Self::DigestsChanged,
        Self::SecurityChanged,
        Self::StateChanged,
        Self::MountsChanged,
        Self::NetworksChanged,
        Self::PortsChanged,
        Self::LabelsChanged,
        Self::EnvChanged,
        Self::ComposeChanged,
    ];

    /// Those that the entries of a check of this kind can undergo, in their order.
    pub fn of(kind: Kind) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |change| match change {
            Self::Added | Self::Removed => true,
            Self::TypeChanged
            | Self::Modified
            | Self::Moved
            | Self::ExecutableChanged
            | Self::ModeChanged
            | Self::OwnerChanged
            | Self::XattrsChanged => !kind.is_of_containers(),
            Self::ImageChanged
            | Self::ImageRebuilt
            | Self::DigestsChanged
            | Self::SecurityChanged
            | Self::StateChanged
            | Self::MountsChanged
            | Self::NetworksChanged
            | Self::PortsChanged
            | Self::LabelsChanged
            | Self::EnvChanged
            | Self::ComposeChanged => kind.is_of_containers(),
        })
    }

    /// The word in JSON reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::TypeChanged => "type_changed",
            Self::Modified => "modified",
            Self::Moved => "moved",
            Self::ExecutableChanged => "executable_changed",
            Self::ModeChanged => "mode_changed",
            Self::OwnerChanged => "owner_changed",
            Self::XattrsChanged => "xattrs_changed",
            Self::ImageChanged => "image_changed",
            Self::ImageRebuilt => "image_rebuilt",
            Self::DigestsChanged => "digests_changed",
            Self::SecurityChanged => "security_changed",
            Self::StateChanged => "state_changed",
            Self::MountsChanged => "mounts_changed",
            Self::NetworksChanged => "networks_changed",
            Self::PortsChanged => "ports_changed",
            Self::LabelsChanged => "labels_changed",
            Self::EnvChanged => "env_changed",
            Self::ComposeChanged => "compose_changed",
        }
    }
}
