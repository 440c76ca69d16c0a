//! Containers → entries. Each container is inspected on its own: one that is removed meanwhile is absent, and one that the
//! engine can't inspect does not keep the others from being verified.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::BorrowedFd;

use super::client::Client;
use super::error::EngineError;
use super::filter::ContainerFilter;
use super::http::RequestTarget;
use super::names;
use super::record::{image_id, record};
use super::responses::{ContainerDetails, ContainerSummary, Image, Pod};
use super::stream::Timeouts;
use crate::manifest::container::sorted;
use crate::manifest::list::EntryResult;
use crate::manifest::{AttributeSet, List, Uncovered, Unverified};
use crate::path::EntryPath;

/// The most containers.
const MOST_CONTAINERS: usize = 10_000;
/// How often to inspect a container that the engine lists but can't inspect.
const MAX_ATTEMPTS: usize = 3;

/// Collects containers through a connected socket, and returns the patterns that match none. A missing container that
/// is named is [`Unverified::Absent`].
///
/// # Errors
/// The engine does not respond, or its responses are invalid.
pub fn containers(
    socket: BorrowedFd<'_>,
    picks: ContainerFilter<'_>,
    attributes: AttributeSet,
    timeouts: Timeouts,
) -> Result<(List, Vec<Uncovered>), EngineError> {
    collect(&mut Client::new(socket, timeouts)?, picks, attributes)
}

/// Likewise, through a client.
pub(super) fn collect(
    client: &mut Client<'_>,
    mut picks: ContainerFilter<'_>,
    attributes: AttributeSet,
) -> Result<(List, Vec<Uncovered>), EngineError> {
    let mut inspection = Inspection { attributes, digests: HashMap::new(), inspected_by_id: HashMap::new() };
    let mut listed = listed(client, &mut picks)?;
    for round in 1..=MAX_ATTEMPTS {
        if inspection.ask(client, &listed)? {
            break;
        }
        // Containers that are no longer listed were removed. New ones are inspected, except in the last round.
        let now = self::listed(client, &mut picks)?;
        if round < MAX_ATTEMPTS {
            listed = now;
        } else {
            let ids: HashSet<String> = now.named.into_iter().map(|(listed, _)| listed.id).collect();
            listed.named.retain(|(listed, _)| ids.contains(&listed.id) || inspection.is_inspected(&listed.id));
        }
    }
    let mut entries = Vec::new();
    for (ContainerSummary { id, .. }, name) in listed.named {
        let (inspected_name, found) = inspection.inspected_by_id.remove(&id).ok_or_else(listed_twice)?;
        let name = name.or(inspected_name).ok_or_else(no_valid_name)?;
        entries.push((EntryPath::new(name.into_bytes()).map_err(|_| no_valid_name())?, found));
    }
    let seen: BTreeSet<&[u8]> = entries.iter().map(|(path, _)| path.as_bytes()).collect();
    let absent = picks.names().filter(|name| !seen.contains(name.as_bytes()));
    let absent: Vec<_> = absent.filter_map(|name| EntryPath::new(name.as_bytes()).ok()).collect();
    entries.extend(absent.into_iter().map(|path| (path, Err(Unverified::Absent))));
    Ok((List::new(entries), picks.unmatched()))
}

/// The existing containers.
struct ContainerList {
    /// The selected containers, each with its name if it is known.
    named: Vec<(ContainerSummary, Option<String>)>,
    /// The names of all containers, by id.
    names: HashMap<String, String>,
}

fn listed(client: &mut Client<'_>, picks: &mut ContainerFilter<'_>) -> Result<ContainerList, EngineError> {
    let target = client.target(&["containers", "json"]).query("all", "1");
    let all: Vec<ContainerSummary> = retry(|| client.json(&target))?.ok_or_else(|| not_found("its containers"))?;
    if all.len() > MOST_CONTAINERS {
        return Err(EngineError::TooLarge { what: "containers", limit: MOST_CONTAINERS as u64 });
    }
    let pods = if all.iter().any(names::may_be_pod_infra) { pods(client)? } else { Vec::new() };
    let named = names::assign(all, &pods)?;
    let names = named.iter().filter_map(|(listed, name)| Some((listed.id.clone(), name.clone()?))).collect();
    let is_wanted = |(listed, name): &(ContainerSummary, Option<String>)| picks.pick(listed, name.as_deref());
    Ok(ContainerList { named: named.into_iter().filter(is_wanted).collect(), names })
}

/// Podman's pods, from its own API.
fn pods(client: &mut Client<'_>) -> Result<Vec<Pod>, EngineError> {
    /// The oldest version of Podman's own API that Podman 4 and 5 support.
    const VERSION: &str = "v4.0.0";
    if !client.is_podman {
        return Ok(Vec::new());
    }
    let target = RequestTarget::new(&[VERSION, "libpod", "pods", "json"]);
    Ok(retry(|| client.json(&target))?.unwrap_or_default())
}

/// The containers that were inspected so far.
struct Inspection {
    attributes: AttributeSet,
    /// By the image's id.
    digests: HashMap<String, Vec<Box<str>>>,
    /// By the container's id: its name and its record.
    inspected_by_id: HashMap<String, (Option<String>, EntryResult)>,
}

impl Inspection {
    fn is_inspected(&self, id: &str) -> bool {
        self.inspected_by_id.get(id).is_some_and(|(_, found)| found.is_ok())
    }

    /// Inspects all containers without a record. Returns whether all have one now.
    fn ask(&mut self, client: &mut Client<'_>, containers: &ContainerList) -> Result<bool, EngineError> {
        let mut all = true;
        for (listed, _) in &containers.named {
            if !self.is_inspected(&listed.id) {
                let inspected = self.one(client, listed, &containers.names)?;
                all &= inspected.1.is_ok();
                self.inspected_by_id.insert(listed.id.clone(), inspected);
            }
        }
        Ok(all)
    }

    /// Inspects one container.
    fn one(
        &mut self,
        client: &mut Client<'_>,
        listed: &ContainerSummary,
        names: &HashMap<String, String>,
    ) -> Result<(Option<String>, EntryResult), EngineError> {
        let target = client.target(&["containers", &listed.id, "json"]);
        let inspected: ContainerDetails = match per_container(client.json(&target))? {
            Err(failed) => return Ok((None, Err(failed))),
            Ok(None) => return Ok((None, Err(Unverified::Vanished))),
            Ok(Some(inspected)) => inspected,
        };
        if inspected.id != listed.id {
            return Err(EngineError::malformed("it describes another container than the requested one"));
        }
        let name = names::own_name(&inspected.name).ok_or_else(no_valid_name)?.to_owned();
        let id = image_id(&inspected.image)?;
        let digests = match id {
            Some(_) => self.repo_digests(client, &inspected.image)?,
            None => Ok(Vec::new()),
        };
        let found = digests.map(|digests| record(inspected, id, digests, self.attributes, names));
        Ok((Some(name), found))
    }

    /// The registry digests of an image; empty for an image that was removed while a container uses it.
    fn repo_digests(
        &mut self,
        client: &mut Client<'_>,
        id: &str,
    ) -> Result<Result<Vec<Box<str>>, Unverified>, EngineError> {
        if let Some(digests) = self.digests.get(id) {
            return Ok(Ok(digests.clone()));
        }
        let target = client.target(&["images", id, "json"]);
        let image: Option<Image> = match per_container(client.json(&target))? {
            Err(failed) => return Ok(Err(failed)),
            Ok(image) => image,
        };
        let digests = image.and_then(|image| image.repo_digests).unwrap_or_default();
        let digests = sorted(digests.into_iter().map(String::into_boxed_str).collect());
        self.digests.insert(id.to_owned(), digests.clone());
        Ok(Ok(digests))
    }
}

/// A response about a single container: an error of the engine makes only this container unverified.
fn per_container<T>(answer: Result<Option<T>, EngineError>) -> Result<Result<Option<T>, Unverified>, EngineError> {
    match answer {
        Err(EngineError::Status { status, message }) => Ok(Err(Unverified::Engine { status, message: message.into() })),
        answer => answer.map(Ok),
    }
}

/// Retries a list request that fails, which can happen if a container is removed meanwhile.
fn retry<T>(mut ask: impl FnMut() -> Result<T, EngineError>) -> Result<T, EngineError> {
    for _ in 1..MAX_ATTEMPTS {
        match ask() {
            Err(EngineError::Status { .. }) => {}
            answer => return answer,
        }
    }
    ask()
}

fn no_valid_name() -> EngineError {
    EngineError::malformed("a container has no valid name")
}

fn listed_twice() -> EngineError {
    EngineError::malformed("it lists a container twice")
}

fn not_found(what: &str) -> EngineError {
    EngineError::malformed(format!("it does not know {what}"))
}

#[cfg(test)]
mod tests;
