//! What Compose files declare, in the words of Docker Compose itself, and how that is held against what runs.
//!
//! Compose files are read by Compose alone: `extends`, `include`, profiles, override files and `.env` have rules that change
//! with its versions, and no library but its own follows them. So a check takes what it prints: [`config`] reads the output of
//! `docker compose config --format json`, [`hashes`] that of `docker compose config --hash '*'`. [`expected`](Project::expected)
//! says which containers there have to be, and what has to be known of them.
//!
//! Of those files only names, images and numbers are kept: they have the values of variables in them, and secrets among these.

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

/// The label with the name of the Compose project that a container belongs to.
pub const PROJECT: &str = "com.docker.compose.project";
/// The largest of the two files that is read, in bytes.
pub const LIMIT: u64 = 16 << 20;
/// The most containers that a project may declare: as many as are looked at.
pub const MOST_CONTAINERS: u64 = 10_000;

/// A project as Compose understands its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    services: BTreeMap<String, Service>,
}

/// What of a service can be told from its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    image: Image,
    /// How many containers there have to be.
    replicas: u64,
    /// The name of its one container, if the files give it one.
    container_name: Option<String>,
    /// Whether its containers are done at some time, and need not run.
    ends: bool,
    /// Compose's digest of its configuration, if that was handed over.
    hash: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Image {
    /// As it is declared, and what that means.
    Declared(String, Reference),
    /// It is built here, and called after project and service.
    Built,
}

impl Project {
    /// Reads what Compose prints of the configuration, and of its hashes if there are any.
    ///
    /// # Errors
    /// What Compose has not printed, or not of one project.
    pub fn parse(config: &[u8], hashes: Option<&[u8]>) -> Result<Self, ComposeError> {
        let mut project = config::parse(config)?;
        if let Some(bytes) = hashes {
            hashes::add(bytes, &mut project.services)?;
        }
        Ok(project)
    }
}
