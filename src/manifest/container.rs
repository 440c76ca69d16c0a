//! What a manifest says of a container: what it was made from, and by `attributes` how it is set up.
//!
//! Nothing in here changes by itself: no ids of containers, times, addresses, or names that an engine made up. Labels are
//! recorded by the digest of their value, and environment variables by their name alone: a lock never has a secret in it.

use super::{AttributeSet, Sha256Digest};

/// A container. Every list is sorted and has nothing twice; a field of `attributes` is filled exactly if it was asked
/// for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The image as it was named when the container was created: `traefik:v2.10`.
    pub image: Box<str>,
    /// The digest that the engine knows the image by; nothing for a container without one, such as those that Podman makes
    /// of a directory (`--rootfs`).
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
}

/// What is mounted into a container. They are sorted by where they are mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    pub destination: Box<str>,
    /// `bind`, `volume`, `tmpfs` and so on.
    pub kind: Box<str>,
    /// The path that is bound, or the volume's name; nothing for a volume that the engine has named itself.
    pub source: Option<Box<str>>,
    pub read_only: bool,
}

impl Container {
    /// Which attributes are filled.
    #[must_use]
    pub const fn attributes(&self) -> AttributeSet {
        AttributeSet {
            state: self.state.is_some(),
            mounts: self.mounts.is_some(),
            networks: self.networks.is_some(),
            ports: self.ports.is_some(),
            labels: self.labels.is_some(),
            env: self.env.is_some(),
            mode: false,
            owner: false,
            xattrs: false,
        }
    }
}

/// Sorts a list, and leaves out what is there twice.
#[must_use]
pub fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}
