//! The keys of checks that query a container engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::section::{Section, StringValue};
use super::value::{Data, Key, Value};
use super::{ComposeFiles, DeclarationError, Engine, Problem};
use crate::manifest::Kind;
use crate::path;

const SOCKET: &str = "\"/var/run/docker.sock\"";
/// The longest path of a socket, in bytes (`unix(7)`: `sun_path` also needs room for a NUL).
pub const LONGEST_SOCKET: usize = 107;

/// `socket`, and `containers` or `container` if the kind has them; `None` for kinds without an engine.
pub fn engine(section: Section<'_>, kind: Kind) -> Result<Option<Engine>, DeclarationError> {
    let containers = match kind {
        Kind::Files | Kind::Trees => return Ok(None),
        Kind::Compose => Vec::new(),
        Kind::Containers => {
            patterns(section, "exclude")?;
            let names = patterns(section, "containers")?;
            if let (Some((_, value)), true) = (section.get("containers"), names.is_empty()) {
                return Err(section.error(value.span.start, "containers", Problem::EmptyContainers));
            }
            names
        }
        Kind::ContainerFiles => {
            let Some(name) = section.string("container", "\"nginx\"")? else {
                return Err(section.missing("container", "\"nginx\""));
            };
            vec![container(section, "container", &name)?]
        }
    };
    let (labels, one_off) = match kind {
        Kind::Containers => (labels(section)?, section.boolean("one_off")?),
        _ => (BTreeMap::new(), false),
    };
    Ok(Some(Engine { socket: socket(section)?, containers, labels, one_off }))
}

/// The files of a check of kind `compose`; `None` for other kinds.
pub fn compose(section: Section<'_>, kind: Kind) -> Result<Option<ComposeFiles>, DeclarationError> {
    const EXAMPLE: &str = "\"infra/shop.compose.json\"";
    if kind != Kind::Compose {
        return Ok(None);
    }
    let config = section.string("config", EXAMPLE)?.ok_or_else(|| section.missing("config", EXAMPLE))?;
    let hashes = section.string("hashes", "\"infra/shop.compose.hashes\"")?;
    Ok(Some(ComposeFiles { config: config.text.into(), hashes: hashes.map(|hashes| hashes.text.into()) }))
}

/// Container names and patterns.
fn patterns(section: Section<'_>, key: &str) -> Result<Vec<String>, DeclarationError> {
    let names = section.strings(key, "[\"traefik\", \"shop-*\"]")?.unwrap_or_default();
    names
        .iter()
        .map(|name| match name.text.contains(['*', '?', '[', '{']) && !name.text.contains('/') {
            true => Ok(name.text.to_owned()),
            false => container(section, key, name),
        })
        .collect()
}

/// Labels, each with its value, which may be empty.
fn labels(section: Section<'_>) -> Result<BTreeMap<String, String>, DeclarationError> {
    const EXAMPLE: &str = "{ \"com.docker.compose.project\" = \"shop\" }";
    let Some((_, value)) = section.get("labels") else { return Ok(BTreeMap::new()) };
    let wrong = |value: &Value| {
        section.wrong_type("labels", value, "a table of labels, each in quotes with its value in quotes", EXAMPLE)
    };
    let Data::Table(entries) = &value.data else { return Err(wrong(value)) };
    if entries.is_empty() {
        return Err(section.error(value.span.start, "labels", Problem::EmptyLabels));
    }
    let label = |(key, value): &(Key, Value)| match &value.data {
        Data::String(text) => Ok((key.name.clone(), text.clone())),
        _ => Err(wrong(value)),
    };
    entries.iter().map(label).collect()
}

fn socket(section: Section<'_>) -> Result<PathBuf, DeclarationError> {
    let Some(StringValue { at, text }) = section.string("socket", SOCKET)? else {
        return Err(section.missing("socket", SOCKET));
    };
    let problem = match text.split_once("://") {
        Some(("unix", path)) => Problem::SocketScheme { path: Some(path.to_owned()) },
        Some(_) => Problem::SocketScheme { path: None },
        None if text.len() > LONGEST_SOCKET => Problem::SocketTooLong,
        None => return Ok(text.into()),
    };
    Err(section.error(at, "socket", problem))
}

/// Container names match `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
///
/// Source: `RestrictedNamePattern` in Moby's `daemon/names`, and `NameRegex` in Podman's `libpod/define`.
fn container(section: Section<'_>, key: &str, name: &StringValue<'_>) -> Result<String, DeclarationError> {
    if is_container_name(name.text) {
        return Ok(name.text.to_owned());
    }
    Err(section.error(name.at, key, Problem::ContainerName { name: name.text.to_owned() }))
}

/// Whether this is a valid container name.
pub fn is_container_name(name: &str) -> bool {
    name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The directory in the container: absolute, and without `.` and `..`.
pub fn root(section: Section<'_>) -> Result<PathBuf, DeclarationError> {
    const EXAMPLE: &str = "\"/etc/nginx\"";
    let Some(StringValue { at, text }) = section.string("root", EXAMPLE)? else {
        return Err(section.missing("root", EXAMPLE));
    };
    let fits = text == "/"
        || text.strip_prefix('/').is_some_and(|rest| path::check(rest.trim_end_matches('/').as_bytes()).is_ok());
    if fits {
        Ok(text.into())
    } else {
        Err(section.error(at, "root", Problem::ContainerRoot { root: text.to_owned() }))
    }
}
