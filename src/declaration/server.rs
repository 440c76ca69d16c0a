//! `[server.NAME]`: the hosts that `--server` can name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::group::{self, CheckIndex};
use super::section::{Section, StringValue};
use super::source::{Source, dotted};
use super::value::{Data, Key, Value};
use super::{DeclarationError, Problem, Server};

pub(super) const KEYS: &[&str] = &["host", "user", "key", "port", "roots", "checks"];

/// Longer than any DNS name.
const LONGEST_HOST: usize = 255;

impl Server {
    /// A host from the command line that is not declared: `host` or `user@host`.
    ///
    /// # Errors
    /// It is not a valid host.
    pub fn undeclared(given: &str) -> Result<Self, Problem> {
        let (user, host) = match given.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, given),
        };
        let name = self::host(host)?;
        let user = user.map(self::user).transpose()?;
        Ok(Self {
            name: name.clone(),
            host: name,
            user,
            key: None,
            port: None,
            roots: BTreeMap::new(),
            checks: None,
            group_checks: Vec::new(),
        })
    }
}

/// Validates all servers. `name` validates their names, which are folder names too.
pub fn servers(
    source: Source<'_>,
    declared: &[(Key, Value)],
    known: CheckIndex<'_>,
    name: impl Fn(&str) -> Result<(), Problem>,
) -> Result<Vec<Server>, DeclarationError> {
    let server = |(key, value): &(Key, Value)| {
        let path = dotted("server", &key.name);
        name(&key.name).map_err(|problem| source.error(key.span.start, &path, problem))?;
        let Data::Table(entries) = &value.data else {
            return Err(source.error(key.span.start, &path, Problem::NotATable { found: value.data.type_name() }));
        };
        let section = Section { source, path: &path, at: key.span.start, entries };
        section.only(KEYS)?;
        let Some(host) = section.string("host", "\"web.example.org\"")? else {
            return Err(section.missing("host", "\"web.example.org\""));
        };
        let user = section.string("user", "\"driftlock\"")?;
        let user = user.map(|text| self::user(text.text).map_err(|problem| section.error(text.at, "user", problem)));
        Ok(Server {
            name: key.name.clone(),
            host: self::host(host.text).map_err(|problem| section.error(host.at, "host", problem))?,
            user: user.transpose()?,
            key: section.string("key", "\"keys/web\"")?.map(|StringValue { text, .. }| text.into()),
            port: port(section)?,
            roots: roots(section, known)?,
            checks: group::checks(section, known)?,
            group_checks: Vec::new(),
        })
    };
    declared.iter().map(server).collect()
}

/// A valid argument after `ssh --`: a name, an address, or an alias from ssh's configuration. Removes brackets around
/// an address.
fn host(host: &str) -> Result<String, Problem> {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => return self::host(address),
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        // An IPv6 address has several colons: `::1`.
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    if let Some(port) = port
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
    {
        return Err(Problem::HostWithPort { host: name.to_owned(), port: port.to_owned() });
    }
    if can_name_server(host) { Ok(host.to_owned()) } else { Err(Problem::Host { host: host.to_owned() }) }
}

/// Whether a server can have this name, and so its locks a folder of this name. A declared one has a stricter name; one
/// from the command line has its host's.
#[must_use]
pub fn can_name_server(name: &str) -> bool {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:%".contains(&byte));
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || b":_".contains(&byte));
    fits && starts && name.len() <= LONGEST_HOST
}

/// A user name that ssh accepts and no shell interprets.
///
/// # Errors
/// It is not a valid user name.
pub fn user(user: &str) -> Result<String, Problem> {
    let fits = !user.is_empty()
        && !user.starts_with('-')
        && user.len() <= LONGEST_HOST
        && user.chars().all(|character| !character.is_control() && !" \t'`\"$\\;&<>|(){}/".contains(character));
    if fits { Ok(user.to_owned()) } else { Err(Problem::User { user: user.to_owned() }) }
}

fn port(section: Section<'_>) -> Result<Option<u16>, DeclarationError> {
    let Some((_, value)) = section.get("port") else { return Ok(None) };
    let Data::Integer(number) = value.data else {
        return Err(section.wrong_type("port", value, "an integer", "22"));
    };
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(Some(port)),
        _ => Err(section.error(value.span.start, "port", Problem::Port { number })),
    }
}

fn roots(section: Section<'_>, known: CheckIndex<'_>) -> Result<BTreeMap<String, PathBuf>, DeclarationError> {
    let Some((key, value)) = section.get("roots") else { return Ok(BTreeMap::new()) };
    let path = dotted(section.path, "roots");
    let Data::Table(entries) = &value.data else {
        return Err(section.error(key.span.start, "roots", Problem::NotATable { found: value.data.type_name() }));
    };
    let table = Section { source: section.source, path: &path, at: key.span.start, entries };
    entries
        .iter()
        .map(|(key, value)| {
            if !known.indices.contains_key(key.name.as_str()) {
                let checks = known.checks.iter().map(|check| check.name.clone()).collect();
                return Err(table.error(key.span.start, &key.name, Problem::NoSuchCheck { checks }));
            }
            Ok((key.name.clone(), absolute(table, &key.name, value)?))
        })
        .collect()
}

/// A path on a server, which must be absolute.
pub fn absolute(section: Section<'_>, name: &str, value: &Value) -> Result<PathBuf, DeclarationError> {
    let StringValue { at, text } = section.text(name, value, "a string", "\"/srv/stacks\"")?;
    if text.starts_with('/') {
        Ok(text.into())
    } else {
        Err(section.error(at, name, Problem::NotAbsolute { path: text.to_owned() }))
    }
}
