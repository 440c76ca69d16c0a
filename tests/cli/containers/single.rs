//! What becomes of one container must not become of the others, and what an engine makes up is not drift.

use needs::needs;
use serde_json::json;

use super::recorded::{Recorded, container, id, start};
use crate::harness::{World, drift, the_check, unverified};

const DECLARATION: &str = "locks = \"locks\"\nreports = \"reports\"\n\
    [check.tree]\nkind = \"containers\"\nsocket = \"engine.sock\"\nattributes = [\"state\", \"networks\"]\n";

fn two() -> Recorded {
    let image = format!("sha256:{}", id('e'));
    Recorded {
        containers: vec![container('1', "web", &json!({})), container('2', "db", &json!({}))],
        images: [(image, Vec::new())].into(),
        ..Recorded::default()
    }
}

fn one(change: &str, name: &str) -> Vec<(String, String)> {
    vec![(change.to_owned(), name.to_owned())]
}

/// An engine that fails at one container, or at the image of one: the others are verified.
#[test]
fn an_engine_that_fails_at_one_container() {
    let world = World::declaring(DECLARATION);
    let mut engine = two();
    engine.containers[1]["Image"] = format!("sha256:{}", id('f')).into();
    engine.images.insert(format!("sha256:{}", id('f')), Vec::new());
    let (engine, _) = start(&world, engine);
    world.lock();
    world.check(0);
    for broken in [format!("containers/{}", id('2')), format!("images/sha256:{}", id('f'))] {
        engine.lock().unwrap().instead = vec![(broken.clone(), 500)];
        let report = world.check(2);
        let check = the_check(&report);
        assert_eq!((drift(&report), unverified(&report)), (Vec::new(), vec!["db".to_owned()]), "{broken}");
        assert_eq!((&check["counts"]["verified"], &check["trouble"]), (&1.into(), &json!(null)), "{broken}");
        assert_eq!(check["unverified"][0]["reason"], "the engine answers with status 500: layer does not exist");
        assert_eq!(check["unverified"][0]["cause"], "engine");
        let refused = world.driftlock(["lock"]).code(2).stderr();
        assert!(refused.contains("db: the engine answers with status 500"), "{refused}");
    }
    // Where it fails at all of them, it is said of each.
    engine.lock().unwrap().instead = vec![("/images/".to_owned(), 500)];
    assert_eq!(unverified(&world.check(2)), ["db", "web"]);
}

/// A container without an image, as Podman tells of one that was made of a directory.
#[needs("python3")]
fn a_container_without_an_image() {
    let world = World::declaring(DECLARATION);
    let mut engine = two();
    let bare = json!({"Image": "sha256:", "Config": {"Image": ""}});
    engine.containers.push(container('3', "bare", &bare));
    let (engine, requests) = start(&world, engine);
    world.lock();
    world.check(0);
    let entry = world.entry("bare");
    let expected = json!({"path": "bare", "type": "container", "image": "", "repo_digests": [], "state": "running", "networks": ["shop_default"]});
    assert_eq!(entry, expected);
    assert!(!requests.lock().unwrap().iter().any(|request| request.contains("images/sha256:/")), "it is not asked for");
    super::verified(&world);

    engine.lock().unwrap().containers[2]["Image"] = format!("sha256:{}", id('e')).into();
    assert_eq!(drift(&world.check(1)), one("image_rebuilt", "bare"));
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(text.contains("image rebuilt: image id none → eeeeee"), "{text}");
    engine.lock().unwrap().containers.truncate(2);
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(text.contains("removed: container, image none, state running"), "{text}");
}

/// Listed, and gone when it is asked about: it was not there, and that is no trouble. If the lock has it, it is removed.
#[test]
fn a_container_that_goes_away_between_the_list_and_the_question() {
    let world = World::declaring(DECLARATION);
    let (engine, _) = start(&world, two());
    world.lock();
    engine.lock().unwrap().containers.push(container('3', "job", &json!({})));
    engine.lock().unwrap().leaves_when_listed = vec!["job".to_owned()];
    let report = world.check(0);
    assert_eq!(the_check(&report)["counts"]["verified"], 2);

    engine.lock().unwrap().leaves_when_listed = vec!["db".to_owned()];
    let report = world.check(1);
    assert_eq!((drift(&report), unverified(&report)), (one("removed", "db"), Vec::new()));
    // One that took its place under another id is the one that counts.
    *engine.lock().unwrap() = two();
    engine.lock().unwrap().containers.insert(0, container('4', "old", &json!({})));
    engine.lock().unwrap().leaves_when_listed = vec!["old".to_owned()];
    world.check(0);
}

/// With containerd's image store an image has a digest for every local tag, all of them its id. They come and go with
/// tags that no container cares for.
#[test]
fn digests_that_follow_local_tags() {
    let world = World::declaring(DECLARATION);
    let image = format!("sha256:{}", id('e'));
    let digests = |repositories: &[&str]| -> Vec<String> {
        repositories.iter().map(|repository| format!("{repository}@sha256:{}", id('e'))).collect()
    };
    let (engine, _) = start(&world, two());
    engine.lock().unwrap().images.insert(image.clone(), digests(&["shop/web"]));
    world.lock();
    let lock = world.lock_bytes();
    assert_eq!(world.entry("web")["repo_digests"], json!([]));
    // `docker tag`, `docker rmi` of the one tag, and a build that took the tag away.
    for repositories in [&["shop/web", "registry.example:5000/shop/web"][..], &["other"], &[]] {
        engine.lock().unwrap().images.insert(image.clone(), digests(repositories));
        world.check(0);
        world.lock();
        assert_eq!(world.lock_bytes(), lock, "{repositories:?}");
    }
    engine.lock().unwrap().images.remove(&image);
    world.check(0);
    // A digest that is another one is news, as it is with Docker's own store.
    engine.lock().unwrap().images.insert(image, vec![format!("shop/web@sha256:{}", id('a'))]);
    let report = world.check(1);
    assert_eq!(drift(&report), [one("digests_changed", "db"), one("digests_changed", "web")].concat());
}

/// The infra container of a pod has the pod's id in its name, and the others name it by its own.
#[test]
fn a_pod_that_was_made_anew() {
    let world = World::declaring(DECLARATION);
    let pod = |pod: char, infra: char, web: char| {
        let short = &id(pod)[..12];
        let infra_body = json!({"Image": "sha256:", "Config": {"Image": ""}});
        let member = json!({
            "HostConfig": {"NetworkMode": format!("container:{}", id(infra))},
            "NetworkSettings": {"Networks": null},
        });
        Recorded {
            containers: vec![
                container(infra, &format!("{short}-infra"), &infra_body),
                container(web, "web", &member),
                // What looks like it, and is in no pod.
                container('9', "0123456789ab-infra", &json!({})),
            ],
            pods: Some(json!([{"Id": id(pod), "Name": "shop", "InfraId": id(infra), "Containers": []}])),
            ..two()
        }
    };
    let (engine, requests) = start(&world, pod('1', '2', '3'));
    world.lock();
    assert_eq!(world.entry("web")["networks"], json!(["container:shop-infra"]));
    let lock = String::from_utf8(world.lock_bytes()).unwrap();
    assert!(lock.contains("{\"path\":\"shop-infra\"") && lock.contains("{\"path\":\"0123456789ab-infra\""), "{lock}");
    *engine.lock().unwrap() = pod('4', '5', '6');
    world.check(0);
    // A name that a user gave is that container's own.
    engine.lock().unwrap().containers.push(container('7', "shop-infra", &json!({})));
    let report = world.check(1);
    assert!(drift(&report).contains(&("added".to_owned(), format!("{}-infra", &id('4')[..12]))), "{report:#}");
    // Docker is not asked for pods.
    assert!(requests.lock().unwrap().iter().any(|request| request.starts_with("GET /v4.0.0/libpod/pods/json ")));
    *engine.lock().unwrap() = Recorded { pods: None, ..pod('1', '2', '3') };
    requests.lock().unwrap().clear();
    world.check(1);
    assert!(!requests.lock().unwrap().iter().any(|request| request.contains("libpod")));
}

/// A list that the engine fails at, since something goes away while it makes one.
#[test]
fn a_list_that_fails_is_asked_for_again() {
    let world = World::declaring(DECLARATION);
    let (engine, _) = start(&world, two());
    world.lock();
    for (fails, code) in [(1, 0), (2, 0), (3, 2)] {
        engine.lock().unwrap().lists_that_fail = fails;
        let report = world.check(code);
        let trouble = the_check(&report)["trouble"]["problem"].as_str().unwrap_or_default();
        assert_eq!(trouble.contains("it answers with status 500: no such pod"), code == 2, "{fails}: {trouble}");
        assert_eq!(engine.lock().unwrap().lists_that_fail, 0);
    }
}
