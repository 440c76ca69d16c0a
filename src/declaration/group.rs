//! `[group.NAME]`: named sets of servers, and the checks that they run; also the `checks` of a single server.

use std::collections::HashMap;
use std::sync::Arc;

use super::section::{Section, StringValue, nearest};
use super::source::{Source, dotted};
use super::value::{Data, Key, Value};
use super::{Check, DeclarationError, Group, Problem, Server};

pub(super) const KEYS: &[&str] = &["servers", "checks"];

/// The checks of a declaration, and the index of each by its name.
#[derive(Clone, Copy)]
pub struct CheckIndex<'a> {
    pub checks: &'a [Check],
    pub indices: &'a HashMap<&'a str, usize>,
}

/// Validates all groups, and adds their checks to their servers. `name` validates group names.
pub fn groups(
    source: Source<'_>,
    declared: &[(Key, Value)],
    known: CheckIndex<'_>,
    servers: &mut [Server],
    name: impl Fn(&str) -> Result<(), Problem>,
) -> Result<Vec<Group>, DeclarationError> {
    let indices: HashMap<String, usize> =
        servers.iter().enumerate().map(|(index, server)| (server.name.clone(), index)).collect();
    let group = |(key, value): &(Key, Value)| {
        let path = dotted("group", &key.name);
        name(&key.name).map_err(|problem| source.error(key.span.start, &path, problem))?;
        let Data::Table(entries) = &value.data else {
            return Err(source.error(key.span.start, &path, Problem::NotATable { found: value.data.type_name() }));
        };
        let section = Section { source, path: &path, at: key.span.start, entries };
        section.only(KEYS)?;
        let named = section.strings("servers", "[\"web1\", \"web2\"]")?;
        let named = named.ok_or_else(|| section.missing("servers", "[\"web1\", \"web2\"]"))?;
        if named.is_empty() {
            return Err(section.error(at(section, "servers"), "servers", Problem::EmptyGroup));
        }
        let index = |StringValue { at, text }: &StringValue<'_>| match indices.get(*text) {
            Some(index) => Ok(*index),
            None => {
                let all = servers.iter().map(|server| server.name.as_str());
                Err(section.error(*at, "servers", not_declared("server", text, all)))
            }
        };
        let members = named.iter().map(index).collect::<Result<Vec<_>, _>>()?;
        Ok(Group { name: key.name.clone(), servers: members, checks: checks(section, known)? })
    };
    let found = declared.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    for Group { servers: members, checks, .. } in &found {
        for &index in members {
            servers[index].group_checks.extend(checks.clone());
        }
    }
    Ok(found)
}

/// The indices of the checks that `checks` names, sorted; `None` if the key is missing.
pub fn checks(section: Section<'_>, known: CheckIndex<'_>) -> Result<Option<Arc<[usize]>>, DeclarationError> {
    let Some(named) = section.strings("checks", "[\"compose_hashes\"]")? else { return Ok(None) };
    if named.is_empty() {
        return Err(section.error(at(section, "checks"), "checks", Problem::EmptyChecks));
    }
    let index = |StringValue { at, text }: &StringValue<'_>| {
        let Some(&index) = known.indices.get(text) else {
            let all = known.checks.iter().map(|check| check.name.as_str());
            return Err(section.error(*at, "checks", not_declared("check", text, all)));
        };
        if known.checks[index].modes.server {
            Ok(index)
        } else {
            Err(section.error(*at, "checks", Problem::NotForServers { check: (*text).to_owned() }))
        }
    };
    let mut indices = named.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    indices.sort_unstable();
    Ok(Some(indices.into()))
}

/// The position of a key's value.
fn at(section: Section<'_>, name: &str) -> usize {
    section.get(name).map_or(section.at, |(_, value)| value.span.start)
}

fn not_declared<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let known: Vec<_> = known.collect();
    let nearest = nearest(name, &known).map(str::to_owned);
    Problem::NotDeclared { what, name: name.to_owned(), nearest, known: known.into_iter().map(str::to_owned).collect() }
}
