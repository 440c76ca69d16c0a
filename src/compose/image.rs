//! Image references: an engine may report `nginx` as `docker.io/library/nginx:latest`.
//!
//! Source: <https://github.com/distribution/reference>, for the parts of a reference and the defaults of a short one.

use crate::manifest::Container;
use crate::manifest::json::image_id;

const DOCKER_HUB: &str = "docker.io";
/// The prefix that Podman adds to the short name of a local image.
const LOCAL: &str = "localhost";

/// A parsed image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// `None` for a short reference.
    registry: Option<String>,
    path: String,
    tag: Option<String>,
    /// `sha256:…`
    digest: Option<String>,
}

impl Reference {
    /// Parses a reference; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'$');
        if !fits(text) {
            return None;
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let tag_at = name.rfind(':').filter(|&colon| !name[colon..].contains('/'));
        let (name, tag) = tag_at.map_or((name, None), |colon| (&name[..colon], Some(&name[colon + 1..])));
        let is_registry = |first: &str| first.contains(['.', ':']) || first == LOCAL;
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (Some(first), rest),
            _ => (None, name),
        };
        let parts = [Some(path), registry, tag, digest];
        if parts.into_iter().flatten().any(|part| part.is_empty() || part.contains('@')) {
            return None;
        }
        let is_of_hub = registry.is_none_or(|registry| registry == DOCKER_HUB);
        let path = if is_of_hub { path.strip_prefix("library/").unwrap_or(path) } else { path };
        let own = |part: Option<&str>| part.map(str::to_owned);
        Some(Self { registry: own(registry), path: path.to_owned(), tag: own(tag), digest: own(digest) })
    }

    /// The tag: `latest` for a reference without a tag and without a digest.
    fn tag(&self) -> Option<&str> {
        self.tag.as_deref().or(self.digest.is_none().then_some("latest"))
    }

    /// Whether `said`, which an engine reports, has the same repository. The engine decides what a short name means.
    fn names(&self, said: &Self) -> bool {
        let registry = match (&self.registry, &said.registry) {
            (None, said) => said.as_deref().is_none_or(|said| said == DOCKER_HUB || said == LOCAL),
            (Some(own), None) => own == DOCKER_HUB,
            (Some(own), Some(said)) => own == said,
        };
        registry && self.path == said.path
    }

    /// Whether a container was created from this image. If the reference has a digest, the image must have it, and the
    /// tag does not matter.
    pub fn is_of(&self, container: &Container) -> bool {
        let Some(said) = Self::parse(&container.image) else { return false };
        if !self.names(&said) {
            return false;
        }
        let Some(digest) = &self.digest else { return said.digest.is_none() && self.tag() == said.tag() };
        let known = container.repo_digests.iter().filter_map(|known| Self::parse(known));
        said.digest.as_ref() == Some(digest)
            || container.image_id.as_ref().is_some_and(|id| image_id(id) == *digest)
            || known.into_iter().any(|known| self.names(&known) && known.digest.as_ref() == Some(digest))
    }
}
