//! The kinds of differences.

use crate::manifest::Kind;

/// How an entry differs from its lock. If several apply, it is the first in this order; `expected` and `actual` of the
/// [`Drift`](super::Drift) show all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    Added,
    Removed,
    /// The type of the entry changed.
    TypeChanged,
    /// The bytes of a file, the target of a link, or the number of a device changed.
    Modified,
    /// The same content has another path.
    Moved,
    ExecutableChanged,
    ModeChanged,
    OwnerChanged,
    XattrsChanged,
    /// The container was created from an image with another name, such as another tag.
    ImageChanged,
    /// The container was created from another image with the same name.
    ImageRebuilt,
    /// The image is the same, but its registry digests changed.
    DigestsChanged,
    /// Privileges, capabilities, namespaces and so on. It comes before less dangerous changes.
    SecurityChanged,
    StateChanged,
    MountsChanged,
    NetworksChanged,
    PortsChanged,
    LabelsChanged,
    /// The names of environment variables changed. Values are not recorded.
    EnvChanged,
    /// The Compose project, service or configuration changed.
    ComposeChanged,
}

impl Change {
    /// All changes, in order.
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

    /// The changes that entries of this kind can have, in order.
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
