//! Versions, messages of errors, and JSON.

use std::os::fd::AsFd as _;

use serde_json::Value;

use super::*;
use crate::container::TIMEOUTS;
use crate::container::scripted::Scripted;

fn connect(version: &str) -> Result<String, EngineError> {
    let engine = Scripted::responses(&[(200, version)]);
    Client::new(engine.as_fd(), TIMEOUTS).map(|client| client.version)
}

#[test]
fn the_newest_common_version_is_used() {
    for (version, expected) in [
        (r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12","Unknown":[{}]}"#, "v1.41"),
        (r#"{"ApiVersion":"1.24"}"#, "v1.24"),
        (r#"{"ApiVersion":"1.52","MinAPIVersion":"1.44"}"#, "v1.44"),
    ] {
        assert_eq!(connect(version).unwrap(), expected);
    }
    for (version, problem) in [
        (r#"{"ApiVersion":"1.12"}"#, "its newest API version is 1.12, and driftlock needs at least 1.24"),
        (
            r#"{"ApiVersion":"1.99","MinAPIVersion":"1.60"}"#,
            "its oldest API version is 1.60, and driftlock supports up to 1.44",
        ),
        (r#"{"ApiVersion":"x\u001b"}"#, "its answer is malformed: `x\\u{1b}` is not an API version"),
        (r#"{"ApiVersion":"1.99999999999"}"#, "`1.99999999999` is not an API version"),
        (r#"{"ApiVersion":1.41}"#, "a key is missing or has the wrong type"),
        ("{}", "a key is missing or has the wrong type"),
    ] {
        let refused = connect(version).unwrap_err().to_string();
        assert!(refused.contains(problem) && !refused.contains('\u{1b}'), "{refused}");
    }
}

#[test]
fn podman_is_recognized() {
    for (name, expected) in [("Podman Engine", true), ("Engine", false)] {
        let version = format!(r#"{{"ApiVersion":"1.41","Components":[{{"Name":"{name}"}}]}}"#);
        let engine = Scripted::responses(&[(200, &version)]);
        assert_eq!(Client::new(engine.as_fd(), TIMEOUTS).unwrap().is_podman, expected);
    }
}

#[test]
fn json_is_parsed_and_never_quoted() {
    for (status, body, problem) in [
        (200, "", "it is not JSON"),
        (200, "[] x", "it is not JSON"),
        (200, "{\"secret\": 1}", "a key is missing or has the wrong type, at line 1"),
        (500, "{\"message\":\" \\u001b[x \"}", "it answers with status 500: \\u{1b}[x"),
        (500, "no JSON", "it answers with status 500: no JSON"),
        (302, "", "it answers with status 302: "),
    ] {
        let engine = Scripted::responses(&[(200, r#"{"ApiVersion":"1.41"}"#), (status, body)]);
        let mut client = Client::new(engine.as_fd(), TIMEOUTS).unwrap();
        let target = client.target(&["containers", "json"]);
        let refused = client.json::<Vec<String>>(&target).unwrap_err().to_string();
        assert!(refused.contains(problem) && !refused.contains("secret"), "{body:.100}: {refused}");
    }
    let nested = format!("{{\"x\":{}", "[".repeat(20_000));
    let engine = Scripted::responses(&[(200, r#"{"ApiVersion":"1.41"}"#), (200, &nested)]);
    let mut client = Client::new(engine.as_fd(), TIMEOUTS).unwrap();
    let target = client.target(&["containers", "json"]);
    let refused = client.json::<Value>(&target).unwrap_err().to_string();
    assert!(refused.contains("it is not JSON"), "{refused}");
    let long = format!("{{\"message\":\"{}\"}}", "x".repeat(1000));
    let engine = Scripted::responses(&[(200, r#"{"ApiVersion":"1.41"}"#), (404, "gone"), (200, "[1]"), (500, &long)]);
    let mut client = Client::new(engine.as_fd(), TIMEOUTS).unwrap();
    let target = client.target(&["images", "json"]);
    assert_eq!(client.json::<Value>(&target).unwrap(), None);
    assert_eq!(client.json::<Value>(&target).unwrap(), Some(serde_json::json!([1])));
    let EngineError::Status { status: 500, message } = client.json::<Value>(&target).unwrap_err() else { panic!() };
    assert_eq!(message.len(), MESSAGE_SHOWN);
}
