//! Containers → entries: what stays the same for as long as nothing is changed, and no value that could be a secret.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::BorrowedFd;

use super::answers::{Image, Inspected, Listed, MountPoint};
use super::client::Client;
use super::error::EngineError;
use super::stream::Patience;
use crate::declaration::engine::is_container_name;
use crate::digest::Sha256;
use crate::manifest::container::{Container, Mount, sorted};
use crate::manifest::{AttributeSet, Content, List, Record, Sha256Digest, Unverified, json};
use crate::path::EntryPath;

/// The most containers that are looked at.
const MOST_CONTAINERS: usize = 10_000;

/// Labels that Docker Compose changes by itself: the id of the container that this one took the place of.
const LABELS_OF_ONE_CONTAINER: &[&str] = &["com.docker.compose.replace"];

/// Collects the containers of these names, or all of them if there are none, through a connected socket. One that is
/// named and not there is [`Unverified::Absent`].
///
/// # Errors
/// An engine that can't be asked, or gives no sense.
pub fn containers(
    socket: BorrowedFd<'_>,
    names: &[String],
    attributes: AttributeSet,
    patience: Patience,
) -> Result<List, EngineError> {
    collect(&mut Client::new(socket, patience)?, names, attributes)
}

/// The same, through a client that has agreed on a version.
pub(super) fn collect(
    client: &mut Client<'_>,
    names: &[String],
    attributes: AttributeSet,
) -> Result<List, EngineError> {
    let target = client.target(&["containers", "json"]).query("all", "1");
    let all: Vec<Listed> = client.json(&target)?.ok_or_else(|| not_found("its containers"))?;
    if all.len() > MOST_CONTAINERS {
        return Err(EngineError::TooLarge { what: "containers", limit: MOST_CONTAINERS as u64 });
    }
    let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let name_of = |listed: &Listed| listed.names.iter().find_map(|name| own_name(name)).map(str::to_owned);
    let ids: HashMap<String, String> =
        all.iter().filter_map(|listed| Some((listed.id.clone(), name_of(listed)?))).collect();
    let mut seen = BTreeSet::new();
    let mut images = HashMap::new();
    let mut entries = Vec::new();
    for listed in &all {
        let is_wanted = |name: &String| own_name(name).is_some_and(|name| wanted.contains(name));
        if !wanted.is_empty() && !listed.names.iter().any(is_wanted) {
            continue;
        }
        let target = client.target(&["containers", &listed.id, "json"]);
        let (name, found) = match client.json::<Inspected>(&target)? {
            None => (name_of(listed).ok_or_else(nameless)?, Err(Unverified::Vanished)),
            Some(inspected) if inspected.id == listed.id => {
                let name = own_name(&inspected.name).ok_or_else(nameless)?.to_owned();
                let digests = repo_digests(client, &mut images, &inspected.image)?;
                (name, Ok(record(inspected, digests, attributes, &ids)?))
            }
            Some(_) => return Err(EngineError::malformed("it tells of another container than was asked for")),
        };
        let path = EntryPath::new(name.as_bytes()).map_err(|_| nameless())?;
        if !seen.insert(name) {
            return Err(EngineError::malformed(format!("two containers are named {path}")));
        }
        entries.push((path, found));
    }
    let absent = wanted.iter().filter(|name| !seen.contains(**name));
    entries.extend(absent.filter_map(|name| Some((EntryPath::new(name.as_bytes()).ok()?, Err(Unverified::Absent)))));
    Ok(List::new(entries))
}

/// `/web` is `web`; `/web/db` is what another container calls it.
fn own_name(name: &str) -> Option<&str> {
    name.strip_prefix('/').filter(|name| is_container_name(name))
}

fn nameless() -> EngineError {
    EngineError::malformed("a container has no name that an engine would give it")
}

fn not_found(what: &str) -> EngineError {
    EngineError::malformed(format!("it does not know {what}"))
}

/// The digests that registries know an image by; none of an image that was removed under a container.
fn repo_digests(
    client: &mut Client<'_>,
    known: &mut HashMap<String, Vec<Box<str>>>,
    id: &str,
) -> Result<Vec<Box<str>>, EngineError> {
    if let Some(digests) = known.get(id) {
        return Ok(digests.clone());
    }
    let target = client.target(&["images", id, "json"]);
    let image: Option<Image> = client.json(&target)?;
    let digests = image.and_then(|image| image.repo_digests).unwrap_or_default();
    let digests = sorted(digests.into_iter().map(String::into_boxed_str).collect());
    known.insert(id.to_owned(), digests.clone());
    Ok(digests)
}

fn record(
    inspected: Inspected,
    repo_digests: Vec<Box<str>>,
    attributes: AttributeSet,
    ids: &HashMap<String, String>,
) -> Result<Record, EngineError> {
    let image_id = json::parse_image_id(&inspected.image)
        .ok_or_else(|| EngineError::malformed("the id of an image is not `sha256:` and 64 hexadecimal digits"))?;
    let container = Container {
        image_id,
        repo_digests,
        networks: attributes.networks.then(|| networks(&inspected, ids)),
        ports: attributes.ports.then(|| ports(&inspected)),
        mounts: attributes.mounts.then(|| mounts(&inspected)),
        state: attributes.state.then(|| inspected.state.status.into()),
        labels: attributes.labels.then(|| {
            let labels = inspected.config.labels.unwrap_or_default();
            let kept = labels.into_iter().filter(|(name, _)| !LABELS_OF_ONE_CONTAINER.contains(&name.as_str()));
            kept.map(|(name, value)| (name.into(), digest(value.as_bytes()))).collect()
        }),
        env: attributes.env.then(|| {
            let variables = inspected.config.env.unwrap_or_default();
            let name = |variable: String| variable.split('=').next().unwrap_or_default().into();
            sorted(variables.into_iter().map(name).collect())
        }),
        image: inspected.config.image.into(),
    };
    Ok(Record { content: Content::Container(Box::new(container)), attributes: None })
}

pub(super) fn digest(bytes: &[u8]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finish()
}

/// The names of the networks. A container that is in none has a mode, which Docker lists as a network and Podman does not.
fn networks(inspected: &Inspected, ids: &HashMap<String, String>) -> Vec<Box<str>> {
    let networks = inspected.network_settings.networks.iter().flatten();
    let names: Vec<Box<str>> = networks.map(|(name, _)| name.as_str().into()).collect();
    if !names.is_empty() {
        return sorted(names);
    }
    let mode = inspected.host_config.network_mode.as_str();
    match mode.strip_prefix("container:") {
        // By its name: an id is another one each time that the container is made anew.
        Some(other) => {
            let name = ids.get(other).map_or(if is_id(other) { "?" } else { other }, String::as_str);
            vec![format!("container:{name}").into()]
        }
        None if mode.is_empty() => Vec::new(),
        None => vec![mode.into()],
    }
}

/// What was asked to be published: a port of the host that the engine picks is another one each time.
fn ports(inspected: &Inspected) -> Vec<Box<str>> {
    let mut ports = Vec::new();
    for (port, bindings) in inspected.host_config.port_bindings.iter().flatten() {
        for binding in bindings.iter().flatten() {
            let address = match binding.host_ip.as_str() {
                "" => String::new(),
                ip if ip.contains(':') => format!("[{ip}]:"),
                ip => format!("{ip}:"),
            };
            ports.push(format!("{address}{}->{port}", binding.host_port).into());
        }
    }
    if inspected.host_config.publish_all_ports {
        ports.push("all exposed".into());
    }
    sorted(ports)
}

fn mounts(inspected: &Inspected) -> Vec<Mount> {
    let mount = |point: &MountPoint| Mount {
        destination: point.destination.as_str().into(),
        kind: point.kind.as_str().into(),
        source: match point.kind.as_str() {
            "bind" => Some(point.source.as_str().into()),
            // The engine makes up the name of a volume that has none.
            _ => Some(point.name.as_str()).filter(|name| !name.is_empty() && !is_id(name)).map(Into::into),
        },
        read_only: !point.writable,
    };
    let mut mounts: Vec<_> = inspected.mounts.iter().flatten().map(mount).collect();
    let taken: HashSet<&str> = inspected.mounts.iter().flatten().map(|point| point.destination.as_str()).collect();
    let in_memory = inspected.host_config.tmpfs.iter().flat_map(|tmpfs| tmpfs.keys());
    mounts.extend(in_memory.filter(|destination| !taken.contains(destination.as_str())).map(|destination| Mount {
        destination: destination.as_str().into(),
        kind: "tmpfs".into(),
        source: None,
        read_only: false,
    }));
    sorted(mounts)
}

/// Whether this is a name that an engine makes up: 64 hexadecimal digits.
pub(super) fn is_id(name: &str) -> bool {
    Sha256Digest::from_hex(name).is_some()
}
