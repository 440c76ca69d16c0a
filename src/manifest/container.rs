//! What a manifest records of a container: its image and, by `attributes`, its settings.
//!
//! Nothing recorded here changes by itself: there are no container ids, times, addresses, or names that an engine
//! generated. Labels are recorded by the digest of their value, and environment variables only by name, so that a lock
//! never holds a secret.

use serde::{Deserialize, Serialize};

use super::{AttributeSet, Sha256Digest};

/// A container. Every list is sorted and has no duplicates. A field of `attributes` is present exactly if the check
/// records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The image as it was named when the container was created: `traefik:v2.10`.
    pub image: Box<str>,
    /// The engine's digest of the image; `None` for a container without one, for example one that Podman made of a
    /// directory (`--rootfs`).
    pub image_id: Option<Sha256Digest>,
    /// The digests that registries know the image by: `traefik@sha256:…`.
    pub repo_digests: Vec<Box<str>>,
    /// `running`, `exited` and so on.
    pub state: Option<Box<str>>,
    pub mounts: Option<Vec<Mount>>,
    /// Names of networks; without any, the mode: `host`, `none`, `container:<name>`.
    pub networks: Option<Vec<Box<str>>>,
    /// Published ports, as `docker ps` shows them: `127.0.0.1:8080->80/tcp`.
    pub ports: Option<Vec<Box<str>>>,
    /// The SHA-256 of each label's value.
    pub labels: Option<Vec<(Box<str>, Sha256Digest)>>,
    /// Names of environment variables.
    pub env: Option<Vec<Box<str>>>,
    pub security: Option<Box<Security>>,
    pub compose: Option<Box<Compose>>,
}

impl Container {
    /// A container of which only its image is known.
    #[must_use]
    pub const fn of_image(image: Box<str>, image_id: Option<Sha256Digest>) -> Self {
        Self {
            image,
            image_id,
            repo_digests: Vec::new(),
            state: None,
            mounts: None,
            networks: None,
            ports: None,
            labels: None,
            env: None,
            security: None,
            compose: None,
        }
    }
}

/// What Docker Compose says of a container in its labels; empty in one that Compose has not made. The keys in locks and
/// reports, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    pub project: Box<str>,
    pub service: Box<str>,
    /// Compose's own digest of the service's configuration.
    pub config_hash: Box<str>,
}

impl Compose {
    /// The words, each with its key.
    #[must_use]
    pub fn words(&self) -> [(&'static str, &str); 3] {
        [("project", &self.project), ("service", &self.service), ("config_hash", &self.config_hash)]
    }
}

/// What isolates a container from its host, and what does not. The keys of locks and reports, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    pub privileged: bool,
    /// Capabilities, without `CAP_`.
    pub cap_add: Vec<Box<str>>,
    pub cap_drop: Vec<Box<str>>,
    /// As requested; empty for the user of the image.
    pub user: Box<str>,
    /// `host`, `container:<name>`, or the engine's own name for it.
    pub pid_mode: Box<str>,
    pub ipc_mode: Box<str>,
    pub userns_mode: Box<str>,
    /// `no-new-privileges`, `apparmor=unconfined` and so on; a profile that was passed as JSON by its digest.
    pub security_opt: Vec<Box<str>>,
    /// `/dev/fuse:/dev/fuse:rwm`, and device rules: `c 1:3 rwm`.
    pub devices: Vec<Box<str>>,
    pub read_only_root: bool,
    /// `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:3`.
    pub restart: Box<str>,
}

impl Security {
    /// With every list sorted.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        for list in [&mut self.cap_add, &mut self.cap_drop, &mut self.security_opt, &mut self.devices] {
            *list = sorted(std::mem::take(list));
        }
        self
    }

    /// The lists, each with the name of one of its items.
    #[must_use]
    pub fn lists(&self) -> [(&'static str, &[Box<str>]); 4] {
        [
            ("cap_add", &self.cap_add),
            ("cap_drop", &self.cap_drop),
            ("security_opt", &self.security_opt),
            ("device", &self.devices),
        ]
    }

    /// The single values, each with its key.
    #[must_use]
    pub fn words(&self) -> [(&'static str, &str); 7] {
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        [
            ("privileged", yes_or_no(self.privileged)),
            ("user", &self.user),
            ("pid_mode", &self.pid_mode),
            ("ipc_mode", &self.ipc_mode),
            ("userns_mode", &self.userns_mode),
            ("read_only_root", yes_or_no(self.read_only_root)),
            ("restart", &self.restart),
        ]
    }
}

/// A mount in a container. Mounts are sorted by destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    pub destination: Box<str>,
    /// `bind`, `volume`, `tmpfs` and so on.
    pub kind: Box<str>,
    /// The path of a bind mount, or the volume's name; `None` for a volume whose name the engine generated.
    pub source: Option<Box<str>>,
    pub read_only: bool,
}

impl Container {
    /// Which attributes are present.
    #[must_use]
    pub const fn attributes(&self) -> AttributeSet {
        AttributeSet {
            state: self.state.is_some(),
            mounts: self.mounts.is_some(),
            networks: self.networks.is_some(),
            ports: self.ports.is_some(),
            labels: self.labels.is_some(),
            env: self.env.is_some(),
            security: self.security.is_some(),
            compose: self.compose.is_some(),
            mode: false,
            owner: false,
            xattrs: false,
        }
    }
}

/// Sorts a list and removes duplicates.
#[must_use]
pub fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}
