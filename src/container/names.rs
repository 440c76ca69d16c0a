//! The names under which containers are recorded: their own, without parts that an engine generates anew each time.

use std::collections::{HashMap, HashSet};

use super::error::EngineError;
use super::responses::{ContainerSummary, Pod};
use crate::compose::PROJECT;
use crate::declaration::engine::is_container_name;

/// The digits of an id that Podman and Docker Compose put into a name.
const SHORT_ID: usize = 12;
/// The suffix of Podman's name for the infra container of a pod, after the short id of the pod.
const INFRA: &str = "-infra";

/// `/web` is `web`; `/web/db` is an alias that another container uses.
pub(super) fn own_name(name: &str) -> Option<&str> {
    name.strip_prefix('/').filter(|name| is_container_name(name))
}

fn own_name_of(listed: &ContainerSummary) -> Option<&str> {
    listed.names.iter().find_map(|name| own_name(name))
}

/// Whether it is named like the infra container of a Podman pod.
pub(super) fn may_be_pod_infra(listed: &ContainerSummary) -> bool {
    own_name_of(listed).is_some_and(|name| name.strip_suffix(INFRA).is_some_and(is_short_id))
}

fn is_short_id(text: &str) -> bool {
    text.len() == SHORT_ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Assigns every container its name; `None` if the engine lists it without one. Of the containers of one slot of a
/// Swarm service, only the current one is returned.
///
/// # Errors
/// Two containers have the same name.
pub(super) fn assign(
    all: Vec<ContainerSummary>,
    pods: &[Pod],
) -> Result<Vec<(ContainerSummary, Option<String>)>, EngineError> {
    let pods: HashMap<&str, &Pod> = pods.iter().map(|pod| (pod.infra_id.as_str(), pod)).collect();
    let mut taken = HashSet::with_capacity(all.len());
    for name in all.iter().filter_map(own_name_of) {
        if !taken.insert(name.to_owned()) {
            return Err(EngineError::malformed(format!("two containers are named {name}")));
        }
    }
    let newest = newest_tasks(&all);
    let name = |listed: &ContainerSummary| {
        let own = own_name_of(listed)?;
        let lasting = swarm_slot(listed, own).or_else(|| compose_replacement(listed, own)).map(str::to_owned);
        let lasting = lasting.or_else(|| pod_infra_name(listed, own, &pods));
        // A name that a user chose takes precedence over a derived one.
        Some(lasting.filter(|name| taken.insert(name.clone())).unwrap_or_else(|| own.to_owned()))
    };
    let is_past = |listed: &ContainerSummary| {
        let slot = own_name_of(listed).and_then(|own| swarm_slot(listed, own));
        slot.is_some_and(|slot| newest.get(slot).is_some_and(|id| *id != listed.id))
    };
    let past: Vec<bool> = all.iter().map(is_past).collect();
    let kept: Vec<ContainerSummary> =
        all.into_iter().zip(past).filter_map(|(listed, past)| (!past).then_some(listed)).collect();
    let names: Vec<_> = kept.iter().map(name).collect();
    Ok(kept.into_iter().zip(names).collect())
}

/// For each slot of a service, the id of the running container, or of the newest one.
fn newest_tasks(all: &[ContainerSummary]) -> HashMap<String, String> {
    let rank = |listed: &ContainerSummary| (listed.state == "running", listed.created);
    let mut newest: HashMap<&str, &ContainerSummary> = HashMap::new();
    for listed in all {
        if let Some(slot) = own_name_of(listed).and_then(|own| swarm_slot(listed, own)) {
            let current = newest.entry(slot).or_insert(listed);
            if rank(listed) > rank(current) {
                *current = listed;
            }
        }
    }
    newest.into_iter().map(|(slot, listed)| (slot.to_owned(), listed.id.clone())).collect()
}

/// `shop_web.1` of `shop_web.1.x0qjfi3tyutdo0vuowmdgvpx6`, which ends with the id of Swarm's task.
fn swarm_slot<'a>(listed: &ContainerSummary, own: &'a str) -> Option<&'a str> {
    own.strip_suffix(listed.label("com.docker.swarm.task.id")?)?
        .strip_suffix('.')
        .filter(|name| is_container_name(name))
}

/// `shop-web-1` of `0f6e8b1c2d3a_shop-web-1`, the name that Compose uses while the previous container still exists.
fn compose_replacement<'a>(listed: &ContainerSummary, own: &'a str) -> Option<&'a str> {
    listed.label(PROJECT)?;
    let (id, name) = own.split_once('_')?;
    (is_short_id(id) && is_container_name(name)).then_some(name)
}

/// `shop-infra` for `4f1c09a7d2be-infra`, Podman's name for the container that holds the namespaces of the pod `shop`.
fn pod_infra_name(listed: &ContainerSummary, own: &str, pods: &HashMap<&str, &Pod>) -> Option<String> {
    let is_of = |id: &str, pod: &Pod| is_short_id(id) && pod.id.starts_with(id);
    let pod = pods.get(listed.id.as_str()).filter(|pod| own.strip_suffix(INFRA).is_some_and(|id| is_of(id, pod)))?;
    Some(format!("{}{INFRA}", pod.name)).filter(|name| is_container_name(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn summary(id: &str, name: &str, more: Value) -> ContainerSummary {
        let mut body = json!({"Id": id, "Names": [name]});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        serde_json::from_value(body).unwrap()
    }

    fn task(id: &str, task: &str, state: &str, created: i64) -> ContainerSummary {
        let labels = json!({"com.docker.swarm.task.id": task});
        let more = json!({"Labels": labels, "State": state, "Created": created});
        summary(id, &format!("/shop_web.1.{task}"), more)
    }

    fn compose(id: &str, name: &str) -> ContainerSummary {
        summary(id, name, json!({"Labels": {PROJECT: "shop"}}))
    }

    fn assigned(all: Vec<ContainerSummary>, pods: &[Pod]) -> Vec<(String, Option<String>)> {
        assign(all, pods).unwrap().into_iter().map(|(summary, name)| (summary.id, name)).collect()
    }

    fn named(id: &str, name: &str) -> (String, Option<String>) {
        (id.to_owned(), Some(name.to_owned()))
    }

    #[test]
    fn names_are_the_containers_own() {
        let alias = summary("1", "/web/db", json!({"Names": ["/web/db", "/db"]}));
        let nameless = summary("2", "/../etc", json!({}));
        assert_eq!(assigned(vec![alias, nameless], &[]), [named("1", "db"), ("2".to_owned(), None)]);
        let twice = || summary("1", "/web", json!({}));
        assert!(
            assign(vec![twice(), twice()], &[]).err().unwrap().to_string().contains("two containers are named web")
        );
    }

    #[test]
    fn a_slot_of_swarm_has_one_name_and_one_container() {
        let all = || vec![task("1", "aaa", "exited", 9), task("2", "bbb", "running", 2), task("3", "ccc", "exited", 3)];
        assert_eq!(assigned(all(), &[]), [named("2", "shop_web.1")], "the running one");
        let mut ended = all();
        ended.remove(1);
        assert_eq!(assigned(ended, &[]), [named("1", "shop_web.1")], "the newest one");
        let taken = vec![task("1", "aaa", "running", 1), summary("4", "/shop_web.1", json!({}))];
        assert_eq!(assigned(taken, &[]), [named("1", "shop_web.1.aaa"), named("4", "shop_web.1")]);
        let unlabelled = summary("1", "/shop_web.1.aaa", json!({}));
        assert_eq!(assigned(vec![unlabelled], &[]), [named("1", "shop_web.1.aaa")]);
    }

    #[test]
    fn a_replaced_container_of_compose_has_its_final_name() {
        let replaced = || compose("1", "/0f6e8b1c2d3a_shop-web-1");
        assert_eq!(assigned(vec![replaced()], &[]), [named("1", "shop-web-1")]);
        let both = vec![replaced(), compose("2", "/shop-web-1")];
        assert_eq!(assigned(both, &[]), [named("1", "0f6e8b1c2d3a_shop-web-1"), named("2", "shop-web-1")]);
        for other in ["/0f6e8b1c2d3_shop-web-1", "/0F6E8B1C2D3A_shop-web-1", "/0f6e8b1c2d3a_"] {
            assert_eq!(assigned(vec![compose("1", other)], &[]), [named("1", &other[1..])]);
        }
        let by_hand = summary("1", "/0f6e8b1c2d3a_shop-web-1", json!({}));
        assert_eq!(assigned(vec![by_hand], &[]), [named("1", "0f6e8b1c2d3a_shop-web-1")]);
    }

    #[test]
    fn an_infra_container_is_named_after_its_pod() {
        let pod = || -> Vec<Pod> {
            serde_json::from_value(json!([{"Id": "4f1c09a7d2be0000", "Name": "shop", "InfraId": "1"}])).unwrap()
        };
        let infra = || summary("1", "/4f1c09a7d2be-infra", json!({}));
        assert!(may_be_pod_infra(&infra()) && !may_be_pod_infra(&summary("1", "/web-infra", json!({}))));
        assert_eq!(assigned(vec![infra()], &pod()), [named("1", "shop-infra")]);
        assert_eq!(assigned(vec![infra()], &[]), [named("1", "4f1c09a7d2be-infra")], "it is in no pod");
        let other = summary("1", "/0123456789ab-infra", json!({}));
        assert_eq!(assigned(vec![other], &pod()), [named("1", "0123456789ab-infra")], "the id of another pod");
        let taken = vec![infra(), summary("2", "/shop-infra", json!({}))];
        assert_eq!(assigned(taken, &pod()), [named("1", "4f1c09a7d2be-infra"), named("2", "shop-infra")]);
    }
}
