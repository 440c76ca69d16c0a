//! The output of `docker compose config --format json` → [`Project`].
//!
//! Source: <https://docs.docker.com/reference/cli/docker/compose/config/>, and the keys of the Compose specification
//! (<https://github.com/compose-spec/compose-spec>). Other keys are ignored.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use super::error::ComposeError;
use super::image::Reference;
use super::{Image, LIMIT, MOST_CONTAINERS, Project, Service};
use crate::declaration::engine::is_container_name;

/// The longest name of a project or a service, and the longest image reference, in bytes: they are repeated for each
/// missing replica.
const LONGEST_NAME: usize = 255;
const LONGEST_IMAGE: usize = 1024;

#[derive(Deserialize)]
struct Config {
    name: Option<String>,
    include: Option<IgnoredAny>,
    services: Option<Pairs<ServiceItem>>,
}

#[derive(Deserialize)]
struct ServiceItem {
    image: Option<String>,
    build: Option<IgnoredAny>,
    /// A service that Compose does not run itself.
    provider: Option<IgnoredAny>,
    extends: Option<IgnoredAny>,
    container_name: Option<String>,
    scale: Option<u64>,
    restart: Option<String>,
    deploy: Option<Deploy>,
    depends_on: Option<Pairs<Dependency>>,
}

#[derive(Deserialize)]
struct Deploy {
    replicas: Option<u64>,
    restart_policy: Option<RestartPolicy>,
}

#[derive(Deserialize)]
struct RestartPolicy {
    condition: Option<String>,
}

#[derive(Deserialize)]
struct Dependency {
    condition: Option<String>,
}

/// An object as a list, to detect duplicate keys.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// Parses a configuration.
///
/// # Errors
/// It is not an output of Compose.
pub(super) fn parse(bytes: &[u8]) -> Result<Project, ComposeError> {
    if bytes.len() as u64 > LIMIT {
        return Err(ComposeError::TooLarge { limit: LIMIT });
    }
    if bytes.trim_ascii().is_empty() {
        return Err(ComposeError::Empty);
    }
    let Config { name, include, services } = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    if include.is_some() {
        return Err(ComposeError::Include);
    }
    let name = name.ok_or(ComposeError::NoName)?;
    if name.len() > LONGEST_NAME {
        return Err(ComposeError::LongName { limit: LONGEST_NAME });
    }
    if !is_project_name(&name) {
        return Err(ComposeError::Name(name));
    }
    let Pairs(items) = services.unwrap_or(Pairs(Vec::new()));
    let completed: HashSet<String> = items.iter().flat_map(|(_, item)| completed(item)).map(str::to_owned).collect();
    let mut known = HashSet::with_capacity(items.len());
    let mut services = BTreeMap::new();
    let mut containers: u64 = 0;
    let mut names = HashSet::new();
    for (service, item) in items {
        if service.len() > LONGEST_NAME {
            return Err(ComposeError::LongName { limit: LONGEST_NAME });
        }
        if !known.insert(service.clone()) {
            return Err(ComposeError::Twice(service));
        }
        if !is_service_name(&service) {
            return Err(ComposeError::ServiceName(service));
        }
        if item.provider.is_some() {
            continue;
        }
        let found = self::service(&service, item, completed.contains(&service))?;
        if found.container_name.as_ref().is_some_and(|name| !names.insert(name.clone())) {
            return Err(ComposeError::ContainerName(service));
        }
        containers = containers.saturating_add(found.replicas);
        if containers > MOST_CONTAINERS {
            return Err(ComposeError::TooMany { most: MOST_CONTAINERS });
        }
        services.insert(service, found);
    }
    if services.is_empty() { Err(ComposeError::NoServices) } else { Ok(Project { name, services }) }
}

/// The services whose completion this one waits for.
fn completed(item: &ServiceItem) -> impl Iterator<Item = &str> {
    let all = item.depends_on.iter().flat_map(|Pairs(pairs)| pairs);
    all.filter(|(_, on)| on.condition.as_deref() == Some("service_completed_successfully")).map(|(name, _)| &**name)
}

fn service(name: &str, item: ServiceItem, is_waited_for: bool) -> Result<Service, ComposeError> {
    if item.extends.is_some() {
        return Err(ComposeError::Extends(name.to_owned()));
    }
    let image = match (item.image, item.build) {
        (Some(image), _) => {
            if image.len() > LONGEST_IMAGE {
                return Err(ComposeError::LongImage { service: name.to_owned(), limit: LONGEST_IMAGE });
            }
            let reference = Reference::parse(&image).ok_or_else(|| ComposeError::Image(name.to_owned()))?;
            Image::Declared(image, reference)
        }
        (None, Some(_)) => Image::Built,
        (None, None) => return Err(ComposeError::NoImage(name.to_owned())),
    };
    let (in_deploy, condition) = item
        .deploy
        .map_or((None, None), |deploy| (deploy.replicas, deploy.restart_policy.and_then(|policy| policy.condition)));
    let replicas = match (item.scale, in_deploy) {
        (Some(scale), Some(replicas)) if scale != replicas => return Err(ComposeError::Replicas(name.to_owned())),
        (scale, replicas) => scale.or(replicas).unwrap_or(1),
    };
    if item.container_name.as_ref().is_some_and(|name| !is_container_name(name) || replicas > 1) {
        return Err(ComposeError::ContainerName(name.to_owned()));
    }
    // Without `restart`, Compose uses `deploy`.
    let never_restarts = match item.restart.as_deref() {
        Some(restart) => restart == "no",
        None => condition.as_deref() == Some("none"),
    };
    let ends = never_restarts || is_waited_for;
    Ok(Service { image, replicas, container_name: item.container_name, ends, hash: None })
}

fn is_project_name(name: &str) -> bool {
    name.as_bytes().first().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

fn is_service_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn malformed(error: &serde_json::Error) -> ComposeError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Data if error.to_string().starts_with("duplicate field") => {
            ComposeError::Malformed { what: "a key appears twice", line, column }
        }
        Category::Data => ComposeError::Malformed { what: "a value has the wrong type", line, column },
        Category::Syntax | Category::Eof | Category::Io => ComposeError::NotJson { line, column },
    }
}
