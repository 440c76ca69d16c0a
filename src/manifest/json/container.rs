//! The keys of a container in a lock line.

use serde::Deserialize;

use super::line::{Line, push_hex, push_string};
use crate::manifest::Sha256Digest;
use crate::manifest::container::{Compose, Container, Mount, Security, sorted};

/// The prefix of an image id.
const SHA256: &str = "sha256:";

/// Appends the keys after `type`.
pub fn push(out: &mut Vec<u8>, container: &Container) {
    key(out, "image");
    push_string(out, &container.image);
    if let Some(id) = &container.image_id {
        key(out, "image_id");
        push_string(out, &image_id(id));
    }
    strings(out, "repo_digests", Some(&container.repo_digests));
    if let Some(state) = &container.state {
        key(out, "state");
        push_string(out, state);
    }
    if let Some(mounts) = &container.mounts {
        key(out, "mounts");
        out.push(b'[');
        separated(out, mounts, |out, mount| {
            out.extend_from_slice(b"{\"destination\":");
            push_string(out, &mount.destination);
            key(out, "type");
            push_string(out, &mount.kind);
            if let Some(source) = &mount.source {
                key(out, "source");
                push_string(out, source);
            }
            out.extend_from_slice(if mount.read_only { b",\"read_only\":true}" } else { b"}" });
        });
        out.push(b']');
    }
    strings(out, "networks", container.networks.as_deref());
    strings(out, "ports", container.ports.as_deref());
    if let Some(labels) = &container.labels {
        key(out, "labels");
        out.push(b'{');
        separated(out, labels, |out, (name, value)| {
            push_string(out, name);
            out.extend_from_slice(b":\"");
            push_hex(out, &value.0);
            out.push(b'"');
        });
        out.push(b'}');
    }
    strings(out, "env", container.env.as_deref());
    if let Some(security) = &container.security {
        self::security(out, security);
    }
    if let Some(compose) = &container.compose {
        self::compose(out, compose);
    }
}

fn compose(out: &mut Vec<u8>, compose: &Compose) {
    key(out, "compose");
    out.push(b'{');
    separated(out, &compose.words(), |out, (name, word)| {
        push_string(out, name);
        out.push(b':');
        push_string(out, word);
    });
    out.push(b'}');
}

fn security(out: &mut Vec<u8>, security: &Security) {
    let Security { privileged, cap_add, cap_drop, user, pid_mode, ipc_mode, userns_mode, .. } = security;
    let Security { security_opt, devices, read_only_root, restart, .. } = security;
    let text = |out: &mut Vec<u8>, name, text: &str| {
        key(out, name);
        push_string(out, text);
    };
    let boolean = |yes: &bool| if *yes { &b"true"[..] } else { b"false" };
    key(out, "security");
    out.extend_from_slice(b"{\"privileged\":");
    out.extend_from_slice(boolean(privileged));
    strings(out, "cap_add", Some(cap_add));
    strings(out, "cap_drop", Some(cap_drop));
    text(out, "user", user);
    text(out, "pid_mode", pid_mode);
    text(out, "ipc_mode", ipc_mode);
    text(out, "userns_mode", userns_mode);
    strings(out, "security_opt", Some(security_opt));
    strings(out, "devices", Some(devices));
    key(out, "read_only_root");
    out.extend_from_slice(boolean(read_only_root));
    text(out, "restart", restart);
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn separated<T>(out: &mut Vec<u8>, items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}

fn strings(out: &mut Vec<u8>, name: &str, list: Option<&[Box<str>]>) {
    if let Some(list) = list {
        key(out, name);
        out.push(b'[');
        separated(out, list, |out, text| push_string(out, text));
        out.push(b']');
    }
}

/// A mount in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountItem {
    destination: Box<str>,
    r#type: Box<str>,
    source: Option<Box<str>>,
    #[serde(default)]
    read_only: bool,
}

/// Parses what [`push`] wrote. Sorts lists and removes duplicates, so the reader sees whether they were canonical.
pub fn parse(line: &mut Line<'_>) -> Result<Container, String> {
    let labels = |(name, value): (Box<str>, String)| Some((name, Sha256Digest::from_hex(&value)?));
    let labels = match line.labels.take() {
        Some(map) => Some(
            map.into_iter()
                .map(labels)
                .collect::<Option<Vec<_>>>()
                .ok_or("a label is not 64 lower-case hexadecimal digits")?,
        ),
        None => None,
    };
    let mount = |item: MountItem| Mount {
        destination: item.destination,
        kind: item.r#type,
        source: item.source,
        read_only: item.read_only,
    };
    let image_id = match line.image_id {
        Some(id) => Some(parse_image_id(id).ok_or("`image_id` is not `sha256:` and 64 lower-case hexadecimal digits")?),
        None => None,
    };
    Ok(Container {
        image: line.image.take().ok_or("a container needs `image`")?,
        image_id,
        repo_digests: line.repo_digests.take().map(sorted).ok_or("a container needs `repo_digests`")?,
        state: line.state.take(),
        mounts: line.mounts.take().map(|mounts| sorted(mounts.into_iter().map(mount).collect())),
        networks: line.networks.take().map(sorted),
        ports: line.ports.take().map(sorted),
        labels,
        env: line.env.take().map(sorted),
        security: line.security.take().map(|security| Box::new(security.canonical())),
        compose: line.compose.take(),
    })
}

/// `sha256:` and the digits, as engines print the id of an image.
pub fn image_id(digest: &Sha256Digest) -> String {
    format!("{SHA256}{}", digest.hex())
}

/// Parses the form of [`image_id`], and no other.
pub fn parse_image_id(text: &str) -> Option<Sha256Digest> {
    Sha256Digest::from_hex(text.strip_prefix(SHA256)?)
}
