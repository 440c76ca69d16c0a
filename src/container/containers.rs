//! Containers → entries. Each is asked about by itself: one that goes away meanwhile is not there, and one that the engine
//! fails at keeps no other from being verified.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::BorrowedFd;

use super::answers::{Image, Inspected, Listed, Pod};
use super::client::Client;
use super::error::EngineError;
use super::http::Target;
use super::names;
use super::picks::Picks;
use super::record::{image_id, record};
use super::stream::Patience;
use crate::manifest::container::sorted;
use crate::manifest::list::Found;
use crate::manifest::{AttributeSet, List, Uncovered, Unverified};
use crate::path::EntryPath;

/// The most containers that are looked at.
const MOST_CONTAINERS: usize = 10_000;
/// How often the engine is asked about a container that it lists and can't tell about.
const MOST_ROUNDS: usize = 3;

/// Collects containers through a connected socket, and the patterns that match none. One that is named and not there is
/// [`Unverified::Absent`].
///
/// # Errors
/// An engine that can't be asked, or gives no sense.
pub fn containers(
    socket: BorrowedFd<'_>,
    picks: Picks<'_>,
    attributes: AttributeSet,
    patience: Patience,
) -> Result<(List, Vec<Uncovered>), EngineError> {
    collect(&mut Client::new(socket, patience)?, picks, attributes)
}

/// The same, through a client that has agreed on a version.
pub(super) fn collect(
    client: &mut Client<'_>,
    mut picks: Picks<'_>,
    attributes: AttributeSet,
) -> Result<(List, Vec<Uncovered>), EngineError> {
    let mut inspection = Inspection { attributes, digests: HashMap::new(), told: HashMap::new() };
    let mut listed = listed(client, &mut picks)?;
    for round in 1..=MOST_ROUNDS {
        if inspection.ask(client, &listed)? {
            break;
        }
        // What is not listed any more has gone away. What is listed in its place is asked about, but for the last time.
        let now = self::listed(client, &mut picks)?;
        if round < MOST_ROUNDS {
            listed = now;
        } else {
            let ids: HashSet<String> = now.named.into_iter().map(|(listed, _)| listed.id).collect();
            listed.named.retain(|(listed, _)| ids.contains(&listed.id) || inspection.is_told(&listed.id));
        }
    }
    let mut entries = Vec::new();
    for (Listed { id, .. }, name) in listed.named {
        let (inspected_name, found) = inspection.told.remove(&id).ok_or_else(twice)?;
        let name = name.or(inspected_name).ok_or_else(nameless)?;
        entries.push((EntryPath::new(name.into_bytes()).map_err(|_| nameless())?, found));
    }
    let seen: BTreeSet<&[u8]> = entries.iter().map(|(path, _)| path.as_bytes()).collect();
    let absent = picks.names().filter(|name| !seen.contains(name.as_bytes()));
    let absent: Vec<_> = absent.filter_map(|name| EntryPath::new(name.as_bytes()).ok()).collect();
    entries.extend(absent.into_iter().map(|path| (path, Err(Unverified::Absent))));
    Ok((List::new(entries), picks.unmatched()))
}

/// The containers that there are.
struct Containers {
    /// Those that are picked, each with its name if the engine has told it.
    named: Vec<(Listed, Option<String>)>,
    /// The names of all, by id.
    names: HashMap<String, String>,
}

fn listed(client: &mut Client<'_>, picks: &mut Picks<'_>) -> Result<Containers, EngineError> {
    let target = client.target(&["containers", "json"]).query("all", "1");
    let all: Vec<Listed> = again(|| client.json(&target))?.ok_or_else(|| not_found("its containers"))?;
    if all.len() > MOST_CONTAINERS {
        return Err(EngineError::TooLarge { what: "containers", limit: MOST_CONTAINERS as u64 });
    }
    let pods = if all.iter().any(names::may_be_of_pod) { pods(client)? } else { Vec::new() };
    let named = names::of(all, &pods)?;
    let names = named.iter().filter_map(|(listed, name)| Some((listed.id.clone(), name.clone()?))).collect();
    let is_wanted = |(listed, name): &(Listed, Option<String>)| picks.pick(listed, name.as_deref());
    Ok(Containers { named: named.into_iter().filter(is_wanted).collect(), names })
}

/// Podman's pods, which its API has beside Docker's.
fn pods(client: &mut Client<'_>) -> Result<Vec<Pod>, EngineError> {
    /// The oldest version that all of Podman 4 and 5 speak, of an API with numbers of its own.
    const VERSION: &str = "v4.0.0";
    if !client.is_podman {
        return Ok(Vec::new());
    }
    let target = Target::new(&[VERSION, "libpod", "pods", "json"]);
    Ok(again(|| client.json(&target))?.unwrap_or_default())
}

/// What was told of containers so far.
struct Inspection {
    attributes: AttributeSet,
    /// By the image's id.
    digests: HashMap<String, Vec<Box<str>>>,
    /// By the container's id: its name, and what is recorded of it.
    told: HashMap<String, (Option<String>, Found)>,
}

impl Inspection {
    fn is_told(&self, id: &str) -> bool {
        self.told.get(id).is_some_and(|(_, found)| found.is_ok())
    }

    /// Asks about all containers that nothing is known of. Says whether something is known of each now.
    fn ask(&mut self, client: &mut Client<'_>, containers: &Containers) -> Result<bool, EngineError> {
        let mut all = true;
        for (listed, _) in &containers.named {
            if !self.is_told(&listed.id) {
                let told = self.one(client, listed, &containers.names)?;
                all &= told.1.is_ok();
                self.told.insert(listed.id.clone(), told);
            }
        }
        Ok(all)
    }

    /// Asks about one container.
    fn one(
        &mut self,
        client: &mut Client<'_>,
        listed: &Listed,
        names: &HashMap<String, String>,
    ) -> Result<(Option<String>, Found), EngineError> {
        let target = client.target(&["containers", &listed.id, "json"]);
        let inspected: Inspected = match alone(client.json(&target))? {
            Err(failed) => return Ok((None, Err(failed))),
            Ok(None) => return Ok((None, Err(Unverified::Vanished))),
            Ok(Some(inspected)) => inspected,
        };
        if inspected.id != listed.id {
            return Err(EngineError::malformed("it tells of another container than was asked for"));
        }
        let name = names::own(&inspected.name).ok_or_else(nameless)?.to_owned();
        let id = image_id(&inspected.image)?;
        let digests = match id {
            Some(_) => self.repo_digests(client, &inspected.image)?,
            None => Ok(Vec::new()),
        };
        let found = digests.map(|digests| record(inspected, id, digests, self.attributes, names));
        Ok((Some(name), found))
    }

    /// The digests that registries know an image by; none of an image that was removed under a container.
    fn repo_digests(
        &mut self,
        client: &mut Client<'_>,
        id: &str,
    ) -> Result<Result<Vec<Box<str>>, Unverified>, EngineError> {
        if let Some(digests) = self.digests.get(id) {
            return Ok(Ok(digests.clone()));
        }
        let target = client.target(&["images", id, "json"]);
        let image: Option<Image> = match alone(client.json(&target))? {
            Err(failed) => return Ok(Err(failed)),
            Ok(image) => image,
        };
        let digests = image.and_then(|image| image.repo_digests).unwrap_or_default();
        let digests = sorted(digests.into_iter().map(String::into_boxed_str).collect());
        self.digests.insert(id.to_owned(), digests.clone());
        Ok(Ok(digests))
    }
}

/// An answer about one container alone: the word of an engine that fails at it is the container's, and no trouble of the
/// others.
fn alone<T>(answer: Result<Option<T>, EngineError>) -> Result<Result<Option<T>, Unverified>, EngineError> {
    match answer {
        Err(EngineError::Status { status, message }) => Ok(Err(Unverified::Engine { status, message: message.into() })),
        answer => answer.map(Ok),
    }
}

/// Asks for a list again where the engine fails at it, which may be since something went away while it made one.
fn again<T>(mut ask: impl FnMut() -> Result<T, EngineError>) -> Result<T, EngineError> {
    for _ in 1..MOST_ROUNDS {
        match ask() {
            Err(EngineError::Status { .. }) => {}
            answer => return answer,
        }
    }
    ask()
}

fn nameless() -> EngineError {
    EngineError::malformed("a container has no name that an engine would give it")
}

fn twice() -> EngineError {
    EngineError::malformed("it lists a container twice")
}

fn not_found(what: &str) -> EngineError {
    EngineError::malformed(format!("it does not know {what}"))
}
