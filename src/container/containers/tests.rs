//! Containers of an engine whose responses are written in advance.

use std::os::fd::AsFd as _;

use super::*;
use crate::container::scripted::Scripted;
use crate::container::{ALL_ATTRIBUTES, TIMEOUTS};
use crate::declaration::Selection;
use crate::manifest::{Container, Content, Record};

const VERSION: (u16, &str) = (200, r#"{"ApiVersion":"1.41"}"#);
const ID: &str = "1def0e5e177c719cb7ec448fb2d140ba8f2e35cb93e77059f858820a1862a119";
const IMAGE: &str = "sha256:2f61006af360f7a1f3aadd7ebf198de8b4428d9bc44a2ddbb94786d5fc1dcf3c";
const DIGESTS: &str = r#"{"RepoDigests":["web@sha256:1"]}"#;

fn list() -> String {
    format!(r#"[{{"Id":"{ID}","Names":["/web"]}}]"#)
}

fn details() -> String {
    format!(
        r#"{{"Id":"{ID}","Name":"/web","Image":"{IMAGE}","State":{{"Status":"running"}},"Config":{{"Image":"web:1","Env":["A=secret"],"Labels":null}},"HostConfig":{{"NetworkMode":"default"}},"Mounts":[],"NetworkSettings":{{"Networks":null}}}}"#
    )
}

fn collected(responses: &[(u16, &str)]) -> Result<List, EngineError> {
    let everything = Selection::everything();
    let engine = Scripted::responses(&[&[VERSION], responses].concat());
    containers(engine.as_fd(), ContainerFilter::all(&everything), ALL_ATTRIBUTES, TIMEOUTS).map(|(list, _)| list)
}

fn entries(list: &List) -> Vec<(String, Result<&Container, &Unverified>)> {
    list.iter().map(|(path, found)| (path.to_string(), found.as_ref().map(container))).collect()
}

fn container(record: &Record) -> &Container {
    let Content::Container(container) = &record.content else { panic!("{record:?}") };
    container
}

#[test]
fn a_container_is_recorded_without_values() {
    let list = collected(&[(200, &list()), (200, &details()), (200, DIGESTS)]).unwrap();
    let [(name, Ok(container))] = &entries(&list)[..] else { panic!("{list:?}") };
    assert_eq!((&**name, &*container.image, container.state.as_deref()), ("web", "web:1", Some("running")));
    assert_eq!(container.env.as_deref(), Some(&["A".into()][..]));
    assert_eq!(container.networks.as_deref(), Some(&["default".into()][..]));
    assert!(!format!("{list:?}").contains("secret"));
}

#[test]
fn malformed_lists_are_refused() {
    for (body, problem) in [
        ("{}".to_owned(), "a key is missing"),
        (r#"[{"Id":1}]"#.to_owned(), "a key is missing"),
        ("[{}]".to_owned(), "a key is missing"),
        ("[] x".to_owned(), "it is not JSON"),
        (format!("[{0},{0}]", list().trim_matches(['[', ']'])), "two containers are named web"),
        (format!(r#"[{{"Id":"{ID}"}},{{"Id":"{ID}"}}]"#), "it lists a container twice"),
    ] {
        let refused = collected(&[(200, &body), (200, &details()), (200, DIGESTS)]).unwrap_err().to_string();
        assert!(refused.contains(problem), "{problem}: {refused}");
    }
}

#[test]
fn malformed_details_are_refused_and_never_quoted() {
    for (from, to, problem) in [
        (ID, "another", "it describes another container than the requested one"),
        ("/web", "/../../etc/passwd", "a container has no valid name"),
        ("/web", "web", "a container has no valid name"),
        ("/web", "/a\\nb", "a container has no valid name"),
        ("/web", "/", "a container has no valid name"),
        (IMAGE, "sha256:abc", "the id of an image is not `sha256:` and 64 hexadecimal digits"),
        (IMAGE, "sha256", "the id of an image is not `sha256:` and 64 hexadecimal digits"),
        ("[\"A=secret\"]", "[\"A=secret\", 1]", "a key is missing or has the wrong type"),
    ] {
        let body = details().replace(from, to);
        let refused = collected(&[(200, &list()), (200, &body), (200, DIGESTS)]).unwrap_err().to_string();
        assert!(refused.contains(problem) && !refused.contains("secret"), "{from} → {to}: {refused}");
    }
}

/// Whether it was removed is not known as long as the engine lists it.
#[test]
fn a_container_that_is_listed_and_never_found_is_unverified() {
    let round = [(200, list()), (404, "{}".to_owned())];
    let responses: Vec<_> = round.iter().cycle().take(2 * MAX_ATTEMPTS).chain([&round[0]]).cloned().collect();
    let responses: Vec<_> = responses.iter().map(|(status, body)| (*status, body.as_str())).collect();
    let list = collected(&responses).unwrap();
    assert_eq!(entries(&list), [("web".to_owned(), Err(&Unverified::Vanished))]);
}

#[test]
fn a_container_that_is_removed_after_it_was_listed_is_absent() {
    let list = collected(&[(200, &list()), (404, "{}"), (200, "[]")]).unwrap();
    assert_eq!(entries(&list), []);
}

/// A failure of the engine is about one container, and a list is requested again.
#[test]
fn failures_are_retried_and_are_about_one_container() {
    let other = ID.replace('1', "2");
    let two = format!(r#"[{{"Id":"{ID}","Names":["/web"]}},{{"Id":"{other}","Names":["/db"]}}]"#);
    let failure = (500, r#"{"message":"layer does not exist"}"#);
    let rest = [(200, &*two), failure];
    let rest: Vec<_> = rest.into_iter().cycle().take(2 * MAX_ATTEMPTS - 2).chain([(200, &*two)]).collect();
    let details = details();
    let first = [failure, failure, (200, &*two), (200, &details), (200, DIGESTS), failure];
    let list = collected(&[&first[..], &rest].concat()).unwrap();
    let reason = Unverified::Engine { status: 500, message: "layer does not exist".into() };
    let [(db, Err(failed)), (web, Ok(_))] = &entries(&list)[..] else { panic!("{list:?}") };
    assert_eq!((&**db, *failed, &**web), ("db", &reason, "web"));
    let refused = collected(&[failure; MAX_ATTEMPTS]).unwrap_err();
    assert_eq!(refused.to_string(), "it answers with status 500: layer does not exist");
}
