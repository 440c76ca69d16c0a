//! Everything that an engine has: containers, images, networks and volumes, for `driftlock export`.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::containers::collect;
use super::error::EngineError;
use super::filter::ContainerFilter;
use super::record::{digest, is_id};
use super::stream::Timeouts;
use crate::declaration::Selection;
use crate::manifest::container::sorted;
use crate::manifest::{AttributeSet, List, json};

/// Everything that an engine has, in a canonical order. As in a lock, it has nothing that changes by itself, and no
/// values of variables, labels or options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All containers, with all attributes.
    pub containers: List,
    pub images: Vec<Image>,
    pub networks: Vec<Network>,
    pub volumes: Vec<Volume>,
}

/// All attributes of containers.
pub const ALL_ATTRIBUTES: AttributeSet = AttributeSet {
    state: true,
    mounts: true,
    networks: true,
    ports: true,
    labels: true,
    env: true,
    security: true,
    compose: true,
    mode: false,
    owner: false,
    xattrs: false,
};

/// Labels, each with the SHA-256 of its value in hexadecimal digits.
pub type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub name: String,
    pub driver: String,
    pub scope: String,
    pub internal: bool,
    pub ipv6: bool,
    pub labels: Labels,
}

/// A volume with a name that a user chose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    pub labels: Labels,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageAnswer {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkAnswer {
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    internal: bool,
    #[serde(default, rename = "EnableIPv6")]
    ipv6: bool,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumesAnswer {
    volumes: Option<Vec<VolumeAnswer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeAnswer {
    name: String,
    #[serde(default)]
    driver: String,
    labels: Option<BTreeMap<String, String>>,
}

/// Collects an engine's inventory through a connected socket.
///
/// # Errors
/// The engine does not respond, or its responses are invalid.
pub fn inventory(socket: BorrowedFd<'_>, timeouts: Timeouts) -> Result<Inventory, EngineError> {
    let mut client = Client::new(socket, timeouts)?;
    let everything = Selection::everything();
    let (containers, _) = collect(&mut client, ContainerFilter::all(&everything), ALL_ATTRIBUTES)?;
    let images: Vec<ImageAnswer> = ask(&mut client, &["images", "json"])?;
    if let Some(ImageAnswer { id, .. }) = images.iter().find(|answer| json::parse_image_id(&answer.id).is_none()) {
        return Err(EngineError::malformed(format!("`{id}` is not an image id")));
    }
    let image = |answer: ImageAnswer| Image {
        id: answer.id,
        repo_tags: sorted(answer.repo_tags.unwrap_or_default()),
        repo_digests: sorted(answer.repo_digests.unwrap_or_default()),
    };
    let networks: Vec<NetworkAnswer> = ask(&mut client, &["networks"])?;
    let network = |answer: NetworkAnswer| Network {
        name: answer.name,
        driver: answer.driver,
        scope: answer.scope,
        internal: answer.internal,
        ipv6: answer.ipv6,
        labels: labels(answer.labels),
    };
    let volumes: VolumesAnswer = ask(&mut client, &["volumes"])?;
    let named = volumes.volumes.unwrap_or_default().into_iter().filter(|volume| !is_id(&volume.name));
    let volume =
        |answer: VolumeAnswer| Volume { name: answer.name, driver: answer.driver, labels: labels(answer.labels) };
    Ok(Inventory {
        containers,
        images: sorted(images.into_iter().map(image).collect()),
        networks: sorted(networks.into_iter().map(network).collect()),
        volumes: sorted(named.map(volume).collect()),
    })
}

fn ask<T: DeserializeOwned>(client: &mut Client<'_>, names: &[&str]) -> Result<T, EngineError> {
    let target = client.target(names);
    client.json(&target)?.ok_or_else(|| EngineError::malformed(format!("it does not know {}", names.join("/"))))
}

fn labels(labels: Option<BTreeMap<String, String>>) -> Labels {
    labels.into_iter().flatten().map(|(name, value)| (name, digest(value.as_bytes()).hex())).collect()
}
