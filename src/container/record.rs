//! The details of one container → its record: only what stays the same until something is changed, and no values that
//! could be secret.

use std::collections::{HashMap, HashSet};

use super::error::EngineError;
use super::responses::{ContainerDetails, MountPoint};
use super::security;
use crate::compose::PROJECT;
use crate::digest::Sha256;
use crate::manifest::container::{Compose, Container, Mount, sorted};
use crate::manifest::{AttributeSet, Content, Record, Sha256Digest, json};

/// Labels that engines generate for each container: the ids of the replaced container, of a task and of its service.
const LABELS_OF_ONE_CONTAINER: &[&str] = &[
    "com.docker.compose.replace",
    "com.docker.swarm.service.id",
    "com.docker.swarm.task.id",
    "com.docker.swarm.task.name",
];

/// The id of the image; `None` for a container without one, for which Podman reports `sha256:` without digits.
///
/// # Errors
/// The id is malformed.
pub(super) fn image_id(text: &str) -> Result<Option<Sha256Digest>, EngineError> {
    if matches!(text, "" | "sha256:") {
        return Ok(None);
    }
    let wrong = || EngineError::malformed("the id of an image is not `sha256:` and 64 hexadecimal digits");
    json::parse_image_id(text).map(Some).ok_or_else(wrong)
}

/// The record of a container whose image has this id and these digests. `names` are the names of all containers, by id.
pub(super) fn record(
    inspected: ContainerDetails,
    image_id: Option<Sha256Digest>,
    mut repo_digests: Vec<Box<str>>,
    attributes: AttributeSet,
    names: &HashMap<String, String>,
) -> Record {
    if let Some(id) = &image_id {
        // With containerd's image store, the id is the digest of the manifest, and each local tag adds it to the
        // digests.
        let id = json::image_id(id);
        repo_digests.retain(|digest| digest.rsplit('@').next() != Some(&*id));
    }
    let container = Container {
        image_id,
        repo_digests,
        compose: attributes.compose.then(|| Box::new(compose(&inspected))),
        networks: attributes.networks.then(|| networks(&inspected, names)),
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
        security: attributes
            .security
            .then(|| Box::new(security::of(&inspected.config.user, &inspected.host_config, names))),
        image: inspected.config.image.into(),
    };
    Record { content: Content::Container(Box::new(container)), attributes: None }
}

/// The Compose labels of a container.
fn compose(inspected: &ContainerDetails) -> Compose {
    let label = |name: &str| -> Box<str> {
        let labels = inspected.config.labels.as_ref();
        labels.and_then(|labels| labels.get(name)).map_or("", String::as_str).into()
    };
    Compose {
        project: label(PROJECT),
        service: label("com.docker.compose.service"),
        config_hash: label("com.docker.compose.config-hash"),
    }
}

pub(super) fn digest(bytes: &[u8]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finish()
}

/// The names of the networks. Without any, the network mode, which Docker lists as a network and Podman does not.
fn networks(inspected: &ContainerDetails, names: &HashMap<String, String>) -> Vec<Box<str>> {
    let networks = inspected.network_settings.networks.iter().flatten();
    let networks: Vec<Box<str>> = networks.map(|(name, _)| name.as_str().into()).collect();
    if !networks.is_empty() {
        return sorted(networks);
    }
    let mode = inspected.host_config.network_mode.as_str();
    if mode.is_empty() { Vec::new() } else { vec![namespace_mode(mode, names)] }
}

/// A namespace mode. One that refers to another container uses its name, because its id changes when that container is
/// recreated.
pub(super) fn namespace_mode(mode: &str, names: &HashMap<String, String>) -> Box<str> {
    let Some(other) = mode.strip_prefix("container:") else { return mode.into() };
    let name = names.get(other).map_or(if is_id(other) { "?" } else { other }, String::as_str);
    format!("container:{name}").into()
}

/// The ports that were requested. A host port that the engine chooses changes each time.
fn ports(inspected: &ContainerDetails) -> Vec<Box<str>> {
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

fn mounts(inspected: &ContainerDetails) -> Vec<Mount> {
    let mount = |point: &MountPoint| Mount {
        destination: point.destination.as_str().into(),
        kind: point.kind.as_str().into(),
        source: match point.kind.as_str() {
            "bind" => Some(point.source.as_str().into()),
            // The engine generates a name for an anonymous volume.
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

/// Whether this is a generated name: 64 hexadecimal digits.
pub(super) fn is_id(name: &str) -> bool {
    Sha256Digest::from_hex(name).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::inventory::ALL_ATTRIBUTES;
    use super::*;

    const OTHER: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    /// The container that is recorded of these details, with other ones over them.
    fn recorded(host: &Value, more: &Value) -> Container {
        let mut details = json!({
            "Id": "1",
            "Name": "/web",
            "Image": "sha256:",
            "State": {"Status": "running"},
            "Config": {"Image": "web:1", "Env": null, "Labels": null},
            "HostConfig": host,
            "NetworkSettings": {"Networks": null},
        });
        details.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let details: ContainerDetails = serde_json::from_value(details).unwrap();
        let names = [(OTHER.to_owned(), "db".to_owned())].into();
        let record = record(details, None, Vec::new(), ALL_ATTRIBUTES, &names);
        let Content::Container(container) = record.content else { panic!("{record:?}") };
        *container
    }

    fn texts(list: Option<&Vec<Box<str>>>) -> Vec<&str> {
        list.unwrap().iter().map(|text| &**text).collect()
    }

    #[test]
    fn an_image_id_is_a_digest_or_there_is_none() {
        let digest = Sha256Digest([0xab; 32]);
        assert_eq!(image_id(&json::image_id(&digest)).unwrap(), Some(digest));
        for none in ["", "sha256:"] {
            assert_eq!(image_id(none).unwrap(), None);
        }
        for wrong in ["sha256", "sha256:abc", OTHER, &format!("sha512:{OTHER}"), &format!("sha256:{OTHER}2")] {
            assert!(image_id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ports_are_those_that_were_requested() {
        let host = json!({
            "PortBindings": {
                "443/tcp": [{"HostIp": "::1", "HostPort": "8443"}],
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "80"}],
                "53/udp": null,
                "90/tcp": [{"HostPort": ""}],
            },
            "PublishAllPorts": true,
        });
        let container = recorded(&host, &json!({}));
        let expected = ["->90/tcp", "127.0.0.1:80->80/tcp", "8080->80/tcp", "[::1]:8443->443/tcp", "all exposed"];
        assert_eq!(texts(container.ports.as_ref()), expected);
    }

    #[test]
    fn networks_are_names_or_the_mode() {
        let networks = json!({"NetworkSettings": {"Networks": {"b": {"IPAddress": "172.18.0.2"}, "a": {}}}});
        assert_eq!(texts(recorded(&json!({"NetworkMode": "a"}), &networks).networks.as_ref()), ["a", "b"]);
        for (mode, expected) in [
            ("host".to_owned(), &["host"][..]),
            (String::new(), &[]),
            (format!("container:{OTHER}"), &["container:db"]),
            (format!("container:{}", "3".repeat(64)), &["container:?"]),
            ("container:web".to_owned(), &["container:web"]),
        ] {
            let container = recorded(&json!({"NetworkMode": mode}), &json!({}));
            assert_eq!(texts(container.networks.as_ref()), expected, "{mode}");
        }
    }

    #[test]
    fn generated_names_of_volumes_are_not_recorded() {
        let mounts = json!({"Mounts": [
            {"Type": "bind", "Source": "/srv", "Destination": "/a", "RW": false},
            {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/x", "Destination": "/b", "RW": true},
            {"Type": "volume", "Name": OTHER, "Source": "/var/lib/docker/y", "Destination": "/c", "RW": true},
            {"Type": "tmpfs", "Destination": "/d", "RW": true},
        ]});
        let container = recorded(&json!({"Tmpfs": {"/d": "", "/e": "size=1m"}}), &mounts);
        let mount = |mount: &Mount| {
            let source = mount.source.as_deref().unwrap_or("none");
            format!("{} {} {source} {}", mount.destination, mount.kind, mount.read_only)
        };
        let expected = [
            "/a bind /srv true",
            "/b volume data false",
            "/c volume none false",
            "/d tmpfs none false",
            "/e tmpfs none false",
        ];
        assert_eq!(container.mounts.unwrap().iter().map(mount).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn values_are_digests_or_absent() {
        let config = json!({"Config": {
            "Image": "web:1",
            "Env": ["B=secret", "A=x=y", "B=other", "C"],
            "Labels": {"a": "secret", "com.docker.compose.replace": "1", "com.docker.compose.service": "web"},
        }});
        let container = recorded(&json!({}), &config);
        assert_eq!(texts(container.env.as_ref()), ["A", "B", "C"]);
        let labels: Vec<_> = container.labels.as_ref().unwrap().iter().map(|(name, value)| (&**name, *value)).collect();
        assert_eq!(labels, [("a", digest(b"secret")), ("com.docker.compose.service", digest(b"web"))]);
        assert_eq!(&*container.compose.as_ref().unwrap().service, "web");
        assert!(!format!("{container:?}").contains("secret"));
    }
}
