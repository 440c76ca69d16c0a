//! The names under which containers are recorded: their own, without what an engine makes up anew each time.

use std::collections::{HashMap, HashSet};

use super::answers::{Listed, Pod};
use super::error::EngineError;
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

/// Gives every container its name; none to one that the engine lists without.
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
    let name = |listed: &Listed| {
        let own = own_of(listed)?;
        // A name that a user gave counts for more than one that follows from something else.
        let lasting = lasting(listed, own, &pods).filter(|name| taken.insert(name.clone()));
        Some(lasting.unwrap_or_else(|| own.to_owned()))
    };
    let names: Vec<_> = all.iter().map(name).collect();
    Ok(all.into_iter().zip(names).collect())
}

/// What the name would be if the engine had not put an id into it.
fn lasting(listed: &Listed, own: &str, pods: &HashMap<&str, &Pod>) -> Option<String> {
    let pod = pods
        .get(listed.id.as_str())
        .filter(|pod| own.strip_suffix(INFRA).is_some_and(|id| is_short_id(id) && pod.id.starts_with(id)))?;
    Some(format!("{}{INFRA}", pod.name)).filter(|name| is_container_name(name))
}
