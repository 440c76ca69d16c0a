//! The keys of a container in a report: those of its line in a lock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RecordItem;
use crate::manifest::container::{Container, Mount, sorted};
use crate::manifest::{Sha256Digest, json};

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super::super) struct MountItem {
    destination: Box<str>,
    r#type: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
}

/// Sets the keys.
pub(super) fn set(item: &mut RecordItem, container: &Container) {
    let Container { image, image_id, repo_digests, state, mounts, networks, ports, labels, env, .. } =
        container.clone();
    item.image = Some(image);
    item.image_id = image_id.as_ref().map(json::image_id);
    item.repo_digests = Some(repo_digests);
    item.state = state;
    let mount = |Mount { destination, kind, source, read_only }| MountItem {
        destination,
        r#type: kind,
        source,
        read_only: read_only.then_some(true),
    };
    item.mounts = mounts.map(|mounts| mounts.into_iter().map(mount).collect());
    item.networks = networks;
    item.ports = ports;
    item.labels = labels.map(|labels| labels.into_iter().map(|(name, value)| (name, value.hex())).collect());
    item.env = env;
    item.security.clone_from(&container.security);
    item.compose.clone_from(&container.compose);
}

/// Reads them back.
pub(super) fn get(item: &RecordItem) -> Result<Container, String> {
    let mount = |mount: &MountItem| Mount {
        destination: mount.destination.clone(),
        kind: mount.r#type.clone(),
        source: mount.source.clone(),
        read_only: mount.read_only.unwrap_or(false),
    };
    let label = |(name, value): (Box<str>, String)| Some((name, Sha256Digest::from_hex(&value)?));
    let labels = |labels: BTreeMap<_, _>| {
        labels.into_iter().map(label).collect::<Option<Vec<_>>>().ok_or("a label is no digest")
    };
    let image_id = |id| json::parse_image_id(id).ok_or("the `image_id` of a container is no digest");
    Ok(Container {
        image: item.image.clone().ok_or("a container has no `image`")?,
        image_id: item.image_id.as_deref().map(image_id).transpose()?,
        repo_digests: item.repo_digests.clone().map(sorted).ok_or("a container has no `repo_digests`")?,
        state: item.state.clone(),
        mounts: item.mounts.as_ref().map(|mounts| sorted(mounts.iter().map(mount).collect())),
        networks: item.networks.clone().map(sorted),
        ports: item.ports.clone().map(sorted),
        labels: item.labels.clone().map(labels).transpose()?,
        env: item.env.clone().map(sorted),
        security: item.security.clone().map(|security| Box::new(security.canonical())),
        compose: item.compose.clone(),
    })
}
