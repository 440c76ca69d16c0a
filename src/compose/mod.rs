//! Reads what Docker Compose prints about its files, and determines which containers there should be.
//!
//! driftlock does not read Compose files: the rules of `extends`, `include`, profiles, override files and `.env` change
//! with the versions of Compose, and only its own library follows them. So a check takes the output of Compose:
//! [`config`] reads that of `docker compose config --format json`, [`hashes`] that of `docker compose config --hash
//! '*'`. [`expected`](Project::expected) computes the expected containers.
//!
//! Only names, images and numbers are kept: the output contains values of variables, including secrets.

mod config;
mod error;
mod expected;
mod hashes;
mod image;
#[cfg(test)]
mod tests;

pub use error::ComposeError;
pub use expected::Misfits;

use std::collections::BTreeMap;

use image::Reference;

/// The label with the name of a container's Compose project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The size limit of each file, in bytes.
pub const LIMIT: u64 = 16 << 20;
/// The most containers that a project may declare: the limit for an engine.
pub const MOST_CONTAINERS: u64 = 10_000;

/// A Compose project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    services: BTreeMap<String, Service>,
}

/// The part of a service that can be compared with its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    image: Image,
    /// The number of containers.
    replicas: u64,
    /// The declared name of its only container.
    container_name: Option<String>,
    /// Whether its containers may be done, and need not run.
    ends: bool,
    /// Compose's digest of its configuration, if there is one.
    hash: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Image {
    /// The declared reference, as text and parsed.
    Declared(String, Reference),
    /// Built locally, and named after project and service.
    Built,
}

impl Project {
    /// Parses the configuration that Compose prints, and the hashes if there are any.
    ///
    /// # Errors
    /// They are not outputs of Compose, or of different projects.
    pub fn parse(config: &[u8], hashes: Option<&[u8]>) -> Result<Self, ComposeError> {
        let mut project = config::parse(config)?;
        if let Some(bytes) = hashes {
            hashes::add(bytes, &mut project.services)?;
        }
        Ok(project)
    }
}
