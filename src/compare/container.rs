//! Compares two records of one container.

use super::Change;
use crate::manifest::Container;

/// The first difference, in the order of [`Change`].
pub(super) fn difference(expected: &Container, actual: &Container) -> Option<Change> {
    let Container { image, image_id, repo_digests, state, mounts, networks, ports, labels, env, .. } = expected;
    let Container { security, compose, .. } = expected;
    [
        (*image != actual.image, Change::ImageChanged),
        (*image_id != actual.image_id, Change::ImageRebuilt),
        (*repo_digests != actual.repo_digests, Change::DigestsChanged),
        (*security != actual.security, Change::SecurityChanged),
        (*state != actual.state, Change::StateChanged),
        (*mounts != actual.mounts, Change::MountsChanged),
        (*networks != actual.networks, Change::NetworksChanged),
        (*ports != actual.ports, Change::PortsChanged),
        (*labels != actual.labels, Change::LabelsChanged),
        (*env != actual.env, Change::EnvChanged),
        (*compose != actual.compose, Change::ComposeChanged),
    ]
    .into_iter()
    .find_map(|(differs, change)| differs.then_some(change))
}
