//! Describes how a container differs.

use std::collections::HashMap;

use super::{SHORT, digests};
use crate::manifest::json::image_id;
use crate::manifest::{Compose, Container, Mount, Sha256Digest};
use crate::path::{Escaped, escaped};

fn escaped_text(text: &str) -> Escaped<'_> {
    escaped(text.as_bytes())
}

/// The image by its name and id, as far as it has them; "none" if it has neither.
fn image(container: &Container, id: impl Fn(&Sha256Digest) -> String, parts: &mut Vec<String>) {
    if container.image_id.is_none() || !container.image.is_empty() {
        parts.push(format!("image {}", or_none(&container.image)));
    }
    parts.extend(container.image_id.as_ref().map(|found| format!("image id {}", id(found))));
}

/// A word, or "none". Escaped.
fn or_none(word: &str) -> String {
    if word.is_empty() { "none".to_owned() } else { escaped_text(word).to_string() }
}

/// The image, and the state and the service if they are recorded.
pub(super) fn describe(container: &Container, parts: &mut Vec<String>) {
    image(container, |id| format!("{}…", &id.hex()[..SHORT]), parts);
    parts.extend(container.state.as_deref().map(|state| format!("state {}", escaped_text(state))));
    let service = container.compose.as_ref().map(|compose| &*compose.service).filter(|service| !service.is_empty());
    parts.extend(service.map(|service| format!("service {}", escaped_text(service))));
}

/// Everything that is recorded; each list is one part.
pub(super) fn whole(container: &Container, parts: &mut Vec<String>) {
    image(container, image_id, parts);
    parts.extend(container.state.as_deref().map(|state| format!("state {}", escaped_text(state))));
    let mut list = |noun: &str, items: Vec<String>| {
        if !items.is_empty() {
            parts.push(format!("{noun} {}", items.join(" ")));
        }
    };
    let strings = |list: Option<&[Box<str>]>| -> Vec<String> {
        list.unwrap_or_default().iter().map(|text| escaped_text(text).to_string()).collect()
    };
    list("repo digests", strings(Some(&container.repo_digests)));
    let mounts = container.mounts.iter().flatten();
    list("mounts", mounts.map(|mount| format!("{} ({})", escaped_text(&mount.destination), what(mount))).collect());
    list("networks", strings(container.networks.as_deref()));
    list("ports", strings(container.ports.as_deref()));
    let labels = container.labels.iter().flatten();
    list("labels", labels.map(|(name, value)| format!("{} (sha256 {})", escaped_text(name), value.hex())).collect());
    list("variables", strings(container.env.as_deref()));
    if let Some(security) = &container.security {
        for (noun, items) in security.lists() {
            list(noun, strings(Some(items)));
        }
        for (noun, word) in security.words() {
            list(noun, vec![or_none(word)]);
        }
    }
    for (noun, word) in container.compose.iter().flat_map(|compose| compose.words()) {
        list(noun, vec![or_none(word)]);
    }
}

pub(super) fn differences(expected: &Container, actual: &Container, parts: &mut Vec<String>) {
    if expected.image != actual.image {
        parts.push(format!("image {} → {}", or_none(&expected.image), or_none(&actual.image)));
    }
    match (&expected.image_id, &actual.image_id) {
        (Some(expected), Some(actual)) => digests("image id", expected, actual, parts),
        (Some(expected), None) => parts.push(format!("image id {}… → none", &expected.hex()[..SHORT])),
        (None, Some(actual)) => parts.push(format!("image id none → {}…", &actual.hex()[..SHORT])),
        (None, None) => {}
    }
    strings("repo digest", Some(&expected.repo_digests), Some(&actual.repo_digests), parts);
    if expected.state != actual.state {
        let state = |state: &Option<Box<str>>| escaped_text(state.as_deref().unwrap_or("none")).to_string();
        parts.push(format!("state {} → {}", state(&expected.state), state(&actual.state)));
    }
    let (before, now) = (expected.mounts.as_deref(), actual.mounts.as_deref());
    list("mount", before, now, |mount| &mount.destination, |a, b| format!("{} → {}", what(a), what(b)), parts);
    strings("network", expected.networks.as_deref(), actual.networks.as_deref(), parts);
    strings("port", expected.ports.as_deref(), actual.ports.as_deref(), parts);
    let (before, now) = (expected.labels.as_deref(), actual.labels.as_deref());
    let value = |label: &(Box<str>, Sha256Digest)| format!("sha256 {}…", &label.1.hex()[..SHORT]);
    list("label", before, now, |label| &label.0, |a, b| format!("{} → {}", value(a), value(b)), parts);
    strings("variable", expected.env.as_deref(), actual.env.as_deref(), parts);
    if let (Some(expected), Some(actual)) = (&expected.security, &actual.security) {
        for ((noun, before), (_, now)) in expected.words().into_iter().zip(actual.words()) {
            if before != now {
                parts.push(format!("{noun} {} → {}", or_none(before), or_none(now)));
            }
        }
        for ((noun, before), (_, now)) in expected.lists().into_iter().zip(actual.lists()) {
            strings(noun, Some(before), Some(now), parts);
        }
    }
    if let (Some(expected), Some(actual)) = (&expected.compose, &actual.compose) {
        compose(expected, actual, parts);
    }
}

fn compose(expected: &Compose, actual: &Compose, parts: &mut Vec<String>) {
    for ((noun, before), (_, now)) in expected.words().into_iter().zip(actual.words()) {
        match (Sha256Digest::from_hex(before), Sha256Digest::from_hex(now)) {
            (Some(before), Some(now)) => digests(noun, &before, &now, parts),
            _ if before != now => parts.push(format!("{noun} {} → {}", or_none(before), or_none(now))),
            _ => {}
        }
    }
}

/// `bind /srv/data, read-only`.
fn what(mount: &Mount) -> String {
    let mut text = escaped_text(&mount.kind).to_string();
    if let Some(source) = &mount.source {
        text.push_str(&format!(" {}", escaped_text(source)));
    }
    if mount.read_only {
        text.push_str(" read-only");
    }
    text
}

fn strings(noun: &str, before: Option<&[Box<str>]>, now: Option<&[Box<str>]>, parts: &mut Vec<String>) {
    list(noun, before, now, |text| text, |_, _| String::new(), parts);
}

/// Items that only one list has, and items that differ under the same key.
fn list<T: PartialEq>(
    noun: &str,
    before: Option<&[T]>,
    now: Option<&[T]>,
    key: impl Fn(&T) -> &str,
    both: impl Fn(&T, &T) -> String,
    parts: &mut Vec<String>,
) {
    let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
    let (was, is) = (by_key(before, &key), by_key(now, &key));
    for item in before {
        match is.get(key(item)) {
            None => parts.push(format!("{noun} {} removed", escaped_text(key(item)))),
            Some(other) if *other != item => {
                parts.push(format!("{noun} {} changed: {}", escaped_text(key(item)), both(item, other)));
            }
            Some(_) => {}
        }
    }
    for item in now.iter().filter(|item| !was.contains_key(key(item))) {
        parts.push(format!("{noun} {} added", escaped_text(key(item))));
    }
}

/// The items by their keys. If several have the same key, the first.
fn by_key<T>(items: &[T], key: impl Fn(&T) -> &str) -> HashMap<&str, &T> {
    items.iter().rev().map(|item| (key(item), item)).collect()
}
