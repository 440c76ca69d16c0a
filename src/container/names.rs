//! The names under which containers are recorded: their own, without what an engine makes up anew each time.

use std::collections::{HashMap, HashSet};

use super::answers::{Listed, Pod};
use super::error::EngineError;
use crate::compose::PROJECT;
use crate::declaration::engine::is_container_name;

/// How many digits of an id Podman and Docker Compose put into a name.
const SHORT_ID: usize = 12;
/// What Podman's name for the infra container of a pod ends with, behind the beginning of the pod's id.
const INFRA: &str = "-infra";

/// `/web` is `web`; `/web/db` is what another container calls it.
pub(super) fn own(name: &str) -> Option<&str> {
    name.strip_prefix('/').filter(|name| is_container_name(name))
}

fn own_of(listed: &Listed) -> Option<&str> {
    listed.names.iter().find_map(|name| own(name))
}

/// Whether it has the name that Podman gives the infra container of a pod.
pub(super) fn may_be_of_pod(listed: &Listed) -> bool {
    own_of(listed).is_some_and(|name| name.strip_suffix(INFRA).is_some_and(is_short_id))
}

fn is_short_id(text: &str) -> bool {
    text.len() == SHORT_ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Gives every container its name; none to one that the engine lists without. Of the containers that Swarm has made for
/// one slot of a service the one that counts is given, and the tasks before it are not.
///
/// # Errors
/// Two containers of one name.
pub(super) fn of(all: Vec<Listed>, pods: &[Pod]) -> Result<Vec<(Listed, Option<String>)>, EngineError> {
    let pods: HashMap<&str, &Pod> = pods.iter().map(|pod| (pod.infra_id.as_str(), pod)).collect();
    let mut taken = HashSet::with_capacity(all.len());
    for name in all.iter().filter_map(own_of) {
        if !taken.insert(name.to_owned()) {
            return Err(EngineError::malformed(format!("two containers are named {name}")));
        }
    }
    let newest = newest_tasks(&all);
    let name = |listed: &Listed| {
        let own = own_of(listed)?;
        let lasting = slot(listed, own).or_else(|| replacing(listed, own)).map(str::to_owned);
        let lasting = lasting.or_else(|| of_pod(listed, own, &pods));
        // A name that a user gave counts for more than one that follows from something else.
        Some(lasting.filter(|name| taken.insert(name.clone())).unwrap_or_else(|| own.to_owned()))
    };
    let is_past = |listed: &Listed| {
        let slot = own_of(listed).and_then(|own| slot(listed, own));
        slot.is_some_and(|slot| newest.get(slot).is_some_and(|id| *id != listed.id))
    };
    let past: Vec<bool> = all.iter().map(is_past).collect();
    let kept: Vec<Listed> = all.into_iter().zip(past).filter_map(|(listed, past)| (!past).then_some(listed)).collect();
    let names: Vec<_> = kept.iter().map(name).collect();
    Ok(kept.into_iter().zip(names).collect())
}

/// Of each slot of a service the container that runs, or else the one that was made last.
fn newest_tasks(all: &[Listed]) -> HashMap<String, String> {
    let rank = |listed: &Listed| (listed.state == "running", listed.created);
    let mut newest: HashMap<&str, &Listed> = HashMap::new();
    for listed in all {
        if let Some(slot) = own_of(listed).and_then(|own| slot(listed, own)) {
            let current = newest.entry(slot).or_insert(listed);
            if rank(listed) > rank(current) {
                *current = listed;
            }
        }
    }
    newest.into_iter().map(|(slot, listed)| (slot.to_owned(), listed.id.clone())).collect()
}

/// `shop_web.1` of `shop_web.1.x0qjfi3tyutdo0vuowmdgvpx6`, whose end is the id of Swarm's task.
fn slot<'a>(listed: &Listed, own: &'a str) -> Option<&'a str> {
    own.strip_suffix(listed.label("com.docker.swarm.task.id")?)?
        .strip_suffix('.')
        .filter(|name| is_container_name(name))
}

/// `shop-web-1` of `0f6e8b1c2d3a_shop-web-1`, as Compose calls a container for as long as the one before it is there.
fn replacing<'a>(listed: &Listed, own: &'a str) -> Option<&'a str> {
    listed.label(PROJECT)?;
    let (id, name) = own.split_once('_')?;
    (is_short_id(id) && is_container_name(name)).then_some(name)
}

/// `shop-infra` of `4f1c09a7d2be-infra`, as Podman calls the container that holds the namespaces of the pod `shop`.
fn of_pod(listed: &Listed, own: &str, pods: &HashMap<&str, &Pod>) -> Option<String> {
    let is_of = |id: &str, pod: &Pod| is_short_id(id) && pod.id.starts_with(id);
    let pod = pods.get(listed.id.as_str()).filter(|pod| own.strip_suffix(INFRA).is_some_and(|id| is_of(id, pod)))?;
    Some(format!("{}{INFRA}", pod.name)).filter(|name| is_container_name(name))
}
