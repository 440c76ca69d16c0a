//! Tests of reading Compose's output.

use super::image::Reference;
use super::*;
use crate::manifest::{Container, Sha256Digest};

/// A container with this image and these registry digests.
fn container(image: &str, repo_digests: &[&str]) -> Container {
    Container {
        repo_digests: repo_digests.iter().map(|&digest| digest.into()).collect(),
        ..Container::of_image(image.into(), Some(Sha256Digest([0xab; 32])))
    }
}

#[test]
fn an_image_is_the_declared_one() {
    let (digest, other) = (format!("sha256:{}", "1".repeat(64)), format!("sha256:{}", "2".repeat(64)));
    let id = format!("sha256:{}", "ab".repeat(32));
    let at = |name: &str, digest: &str| format!("{name}@{digest}");
    let known = at("docker.io/library/nginx", &digest);
    for (declared, said, digests, expected) in [
        ("nginx", "nginx", &[][..], true),
        ("nginx", "nginx:latest", &[], true),
        ("nginx", "docker.io/library/nginx:latest", &[], true),
        ("nginx", "docker.io/nginx:latest", &[], true),
        ("library/nginx", "docker.io/library/nginx:latest", &[], true),
        ("docker.io/nginx", "nginx", &[], true),
        // Docker reports it as it was given.
        ("library/nginx", "library/nginx", &[], true),
        ("nginx", "library/nginx", &[], true),
        ("docker.io/library/nginx", "library/nginx", &[], true),
        ("quay.io/library/nginx", "quay.io/nginx", &[], false),
        ("shop/web:1", "localhost/shop/web:1", &[], true),
        ("localhost/shop/web:1", "localhost/shop/web:1", &[], true),
        ("localhost:5000/web", "localhost:5000/web:latest", &[], true),
        ("nginx:1.25", "nginx:1.26", &[], false),
        ("nginx:1.25", "nginx", &[], false),
        ("nginx", "quay.io/nginx", &[], false),
        ("quay.io/nginx", "nginx", &[], false),
        ("localhost/web", "web", &[], false),
        ("localhost:5000/web", "web:5000", &[], false),
        ("nginx", "shop/nginx", &[], false),
        ("nginx", "", &[], false),
        // Digests.
        ("nginx", &at("nginx", &digest), &[], false),
        (&at("nginx", &digest), &at("nginx", &digest), &[], true),
        (&at("nginx:1.25", &digest), &at("nginx", &digest), &[], true),
        (&at("nginx:1.25", &digest), "nginx:1.25", &[], false),
        (&at("nginx:1.25", &digest), "nginx:1.25", &[&*known], true),
        (&at("nginx:1.25", &digest), "nginx:1.26", &[&*known], true),
        (&at("nginx:1.25", &other), "nginx:1.25", &[&*known], false),
        (&at("nginx", &other), &at("nginx", &digest), &[], false),
        (&at("nginx", &digest), &at("other", &digest), &[], false),
        (&at("nginx", &digest), "nginx", &[&*at("other", &digest)], false),
        (&at("nginx", &id), "nginx", &[], true),
    ] {
        let reference = Reference::parse(declared).unwrap();
        assert_eq!(reference.is_of(&container(said, digests)), expected, "{declared} is {said}, {digests:?}");
    }
    for none in ["", " ", "$IMAGE", "${IMAGE:-x}", "a b", ":1", "a:", "a@", "@sha256:1", "quay.io/", "a@b@c"] {
        assert_eq!(Reference::parse(none), None, "{none:?}");
    }
}

fn parse(config: &str) -> Result<Project, ComposeError> {
    Project::parse(config.as_bytes(), None)
}

const GOOD: &str = r#"{"name": "shop", "services": {"web": {"image": "web:1", "environment": {"A": "hunter2"}}}}"#;

#[test]
fn what_compose_has_not_printed_is_refused() {
    assert!(parse(GOOD).is_ok());
    let deep = format!("{{\"x\": {}", "[".repeat(100_000));
    for (config, problem) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("name: shop\n", "it is not JSON, at line 1, column 2"),
        (&GOOD[..GOOD.len() - 1], "it is not JSON"),
        (&format!("{GOOD}{GOOD}"), "it is not JSON"),
        (&deep, "it is not JSON"),
        ("[]", "it is not what Compose prints: a value has the wrong type, at line 1"),
        ("{\"services\": {}}", "it has no `name`"),
        (&GOOD.replace("shop", "Shop"), "`Shop` is not a valid project name"),
        (&GOOD.replace("shop", "\\u001b[31m"), "`\\u{1b}[31m` is not a valid project name"),
        ("{\"name\": \"shop\"}", "it has no services"),
        ("{\"name\": \"shop\", \"services\": null}", "it has no services"),
        ("{\"name\": \"shop\", \"services\": {}}", "it has no services"),
        ("{\"name\": \"shop\", \"services\": {\"a\": {\"provider\": {\"type\": \"x\"}}}}", "it has no services"),
        (&GOOD.replace("\"web\": {", "\"web\": {\"image\": \"a\"}, \"web\": {"), "the service web appears twice"),
        (&GOOD.replace("{\"web", "{\"we/b"), "`we/b` is not a valid service name"),
        (&GOOD.replace("{\"web\"", "{\"\""), "`` is not a valid service name"),
        (&GOOD.replace("\"name\"", "\"name\": \"a\", \"name\""), "a key appears twice"),
        (&GOOD.replace("\"image\"", "\"image\": \"a\", \"image\""), "a key appears twice"),
        (&GOOD.replace("\"web:1\"", "[\"hunter2\"]"), "a value has the wrong type"),
        (&GOOD.replace("{\"image\"", "{\"scale\": -1, \"image\""), "a value has the wrong type"),
        (&GOOD.replace("{\"image\"", "{\"scale\": \"2\", \"image\""), "a value has the wrong type"),
        (
            &GOOD.replace("\"web:1\"", "\"web:${TAG}\""),
            "the image of the service web is not a valid image reference, or contains a variable",
        ),
        (&GOOD.replace("\"image\": \"web:1\", ", ""), "the service web has neither `image` nor `build`"),
        (
            &GOOD.replace("{\"image\"", "{\"extends\": {\"service\": \"x\"}, \"image\""),
            "the service web contains `extends`",
        ),
        (&GOOD.replace("{\"name\"", "{\"include\": [], \"name\""), "it contains `include`"),
        (
            &GOOD.replace("{\"image\"", "{\"scale\": 2, \"deploy\": {\"replicas\": 3}, \"image\""),
            "and `deploy.replicas` differ",
        ),
        (
            &GOOD.replace("{\"image\"", "{\"scale\": 2, \"container_name\": \"a\", \"image\""),
            "a `container_name` that is invalid or not unique",
        ),
        (&GOOD.replace("{\"image\"", "{\"container_name\": \"a/b\", \"image\""), "a `container_name` that is invalid"),
        (
            r#"{"name": "s", "services": {"a": {"image": "a", "container_name": "c"}, "b": {"image": "a", "container_name": "c"}}}"#,
            "the service b has a `container_name` that is invalid or not",
        ),
        (&GOOD.replace("shop", &"s".repeat(256)), "a name in it is longer than 255 bytes"),
        (&GOOD.replace("{\"web", &format!("{{\"{}", "w".repeat(256))), "a name in it is longer than 255 bytes"),
        (&GOOD.replace("web:1", &"w".repeat(1025)), "the image of the service web is longer than 1024 bytes"),
        (&GOOD.replace("{\"image\"", "{\"scale\": 10001, \"image\""), "more than 10000 containers"),
        (&GOOD.replace("{\"image\"", "{\"scale\": 18446744073709551615, \"image\""), "more than 10000 containers"),
    ] {
        let refused = parse(config).unwrap_err();
        assert!(refused.to_string().contains(problem), "{config}: {refused}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        assert!(!refused.is_of_hashes() && !refused.help().is_empty(), "{refused}");
    }
    let large = format!("{GOOD}{}", " ".repeat(LIMIT as usize));
    assert_eq!(parse(&large), Err(ComposeError::TooLarge { limit: LIMIT }));
}

#[test]
fn hashes_of_another_configuration_are_refused() {
    let config = GOOD.replace("}}}}", "}}, \"db\": {\"image\": \"db\"}}}");
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let with = |hashes: &str| Project::parse(config.as_bytes(), Some(hashes.as_bytes()));
    let project = with(&format!("web {a}\ndb {b}\n")).unwrap();
    assert_eq!(project.services["web"].hash.as_ref(), Some(&a));
    assert_eq!(with(&format!("db {b}\r\n\nweb {a}")).unwrap(), project);
    for (hashes, problem) in [
        (String::new(), "it has no hash of the service db"),
        (format!("web {a}\n"), "it has no hash of the service db"),
        (format!("web {a}\ndb {b}\nweb {a}\n"), "line 3: the service web appears twice"),
        (format!("web {a}\nold {b}\n"), "line 2: the configuration has no service old"),
        (format!("web  {a}\n"), "line 1 is not a service, a blank and 64"),
        (format!("web {}\n", &a[1..]), "line 1 is not a service"),
        (format!("web {}\n", a.to_uppercase()), "line 1 is not a service"),
        ("hunter2\n".to_owned(), "line 1 is not a service"),
    ] {
        let refused = with(&hashes).unwrap_err();
        assert!(refused.to_string().contains(problem), "{hashes}: {refused}");
        assert!(refused.is_of_hashes() && refused.help().contains("--hash '*'"), "{refused}");
    }
    let not_utf8 = Project::parse(config.as_bytes(), Some(b"\xff\n"));
    assert_eq!(not_utf8, Err(ComposeError::HashLine { line: 1 }));
    let large = vec![b'\n'; LIMIT as usize + 1];
    assert_eq!(Project::parse(config.as_bytes(), Some(&large)), Err(ComposeError::HashesTooLarge { limit: LIMIT }));
}

#[test]
fn replicas_and_what_ends() {
    let config = r#"{"name": "s", "services": {
        "plain": {"image": "a"},
        "scaled": {"image": "a", "scale": 3},
        "deployed": {"image": "a", "deploy": {"replicas": 2, "restart_policy": {"condition": "any"}}},
        "off": {"build": ".", "deploy": {"replicas": 0}},
        "job": {"image": "a", "restart": "no"},
        "other_job": {"image": "a", "deploy": {"restart_policy": {"condition": "none"}}},
        "restarted": {"image": "a", "restart": "always", "deploy": {"restart_policy": {"condition": "none"}}},
        "init": {"image": "a", "restart": "on-failure"},
        "web": {"image": "a", "depends_on": {"init": {"condition": "service_completed_successfully"}, "plain": {"condition": "service_started"}}}
    }}"#;
    let project = parse(config).unwrap();
    let found = project.services.iter().map(|(name, service)| (&**name, service.replicas, service.ends));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("deployed", 2, false),
            ("init", 1, true),
            ("job", 1, true),
            ("off", 0, false),
            ("other_job", 1, true),
            ("plain", 1, false),
            ("restarted", 1, false),
            ("scaled", 3, false),
            ("web", 1, false),
        ]
    );
}
