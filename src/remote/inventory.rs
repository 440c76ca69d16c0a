//! The lines of an engine's inventory.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};

use crate::container::{Image, Inventory, Labels, Network, Volume};
use crate::manifest::container::sorted;
use crate::manifest::{Entries as _, Sha256Digest, json};

/// A line of anything but a container. Container lines are as in a lock.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line<'a> {
    Image(Cow<'a, Image>),
    Network(Cow<'a, Network>),
    Volume(Cow<'a, Volume>),
}

/// Calls `each` with every line of an inventory, except for containers that were removed meanwhile.
///
/// # Errors
/// Those of `each`.
pub(super) fn lines(inventory: &Inventory, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut containers = inventory.containers.entries();
    while let Some(container) = containers.next().map_err(io::Error::other)? {
        if let Ok(record) = container.state {
            each(&json::entry_line(container.path, record))?;
        }
    }
    let images = inventory.images.iter().map(|image| Line::Image(Cow::Borrowed(image)));
    let networks = inventory.networks.iter().map(|network| Line::Network(Cow::Borrowed(network)));
    let volumes = inventory.volumes.iter().map(|volume| Line::Volume(Cow::Borrowed(volume)));
    for line in images.chain(networks).chain(volumes) {
        each(&serde_json::to_string(&line)?)?;
    }
    Ok(())
}

/// Parses a line of anything but a container, and adds it.
///
/// # Errors
/// The problem: it is not in the form that [`lines`] writes, or out of order.
pub(super) fn add(inventory: &mut Inventory, line: &[u8]) -> Result<(), String> {
    let read: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if serde_json::to_vec(&read).is_ok_and(|written| written != line) {
        return Err("it is not in canonical form".to_owned());
    }
    let later = !inventory.volumes.is_empty();
    match read {
        Line::Image(image) => {
            if json::parse_image_id(&image.id).is_none() {
                return Err("the id of an image is not `sha256:` and 64 hexadecimal digits".to_owned());
            }
            let lists = [&image.repo_tags, &image.repo_digests];
            if !lists.into_iter().all(is_sorted) {
                return Err("a list is not sorted, or has a duplicate".to_owned());
            }
            push(&mut inventory.images, image.into_owned(), later || !inventory.networks.is_empty())
        }
        Line::Network(network) => {
            are_digests(&network.labels)?;
            push(&mut inventory.networks, network.into_owned(), later)
        }
        Line::Volume(volume) => {
            are_digests(&volume.labels)?;
            push(&mut inventory.volumes, volume.into_owned(), false)
        }
    }
}

fn push<T: Ord>(list: &mut Vec<T>, item: T, late: bool) -> Result<(), String> {
    if late || list.last().is_some_and(|last| *last >= item) {
        return Err("it is out of order".to_owned());
    }
    list.push(item);
    Ok(())
}

fn is_sorted(list: &Vec<String>) -> bool {
    sorted(list.clone()) == *list
}

/// A label's value may be secret, so only digests are accepted, even from a faulty server.
fn are_digests(labels: &Labels) -> Result<(), String> {
    if labels.values().all(|value| Sha256Digest::from_hex(value).is_some()) {
        Ok(())
    } else {
        Err("the value of a label is not 64 lower-case hexadecimal digits".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digit: char, tags: &[&str]) -> Image {
        let id = format!("sha256:{}", digit.to_string().repeat(64));
        Image { id, repo_tags: tags.iter().map(|&tag| tag.to_owned()).collect(), repo_digests: Vec::new() }
    }

    fn whole() -> Inventory {
        let labels: Labels = [("a\n\u{1b}".to_owned(), "0".repeat(64))].into();
        let network = |name: &str| Network {
            name: name.to_owned(),
            driver: "bridge".to_owned(),
            scope: "local".to_owned(),
            internal: false,
            ipv6: true,
            labels: labels.clone(),
        };
        let volume = Volume { name: "data".to_owned(), driver: "local".to_owned(), labels: labels.clone() };
        Inventory {
            images: vec![image('1', &["a", "b"]), image('2', &[])],
            networks: vec![network("a"), network("b")],
            volumes: vec![volume],
            ..Inventory::default()
        }
    }

    fn written(inventory: &Inventory) -> Vec<String> {
        let mut written = Vec::new();
        lines(inventory, |line| {
            written.push(line.to_owned());
            Ok(())
        })
        .unwrap();
        written
    }

    fn read<'a>(lines: impl IntoIterator<Item = &'a String>) -> Result<Inventory, String> {
        let mut inventory = Inventory::default();
        lines.into_iter().try_for_each(|line| add(&mut inventory, line.as_bytes()))?;
        Ok(inventory)
    }

    #[test]
    fn what_is_written_is_read() {
        let lines = written(&whole());
        assert_eq!(lines.len(), 5);
        assert_eq!(read(&lines), Ok(whole()));
    }

    #[test]
    fn any_other_line_or_order_is_refused() {
        let good = written(&whole());
        for first in 0..good.len() {
            for second in first..good.len() {
                let mut lines = good.clone();
                if first == second {
                    lines.insert(first, good[first].clone());
                } else {
                    lines.swap(first, second);
                }
                assert_eq!(read(&lines), Err("it is out of order".to_owned()), "{first} {second}");
            }
        }
        for (line, from, to, problem) in [
            (0, "sha256:1", "sha256:x", "the id of an image"),
            (0, "[\"a\",\"b\"]", "[\"b\",\"a\"]", "a list is not sorted"),
            (0, "[\"a\",\"b\"]", "[\"a\",\"a\"]", "a list is not sorted"),
            (0, "}}", ",\"more\":1}}", "unknown field `more`"),
            (0, ":{", ": {", "not in canonical form"),
            (0, "image", "engine", "unknown variant `engine`"),
            (0, "}}", "}}{}", "trailing characters"),
            (2, "000\"", "00x\"", "the value of a label"),
            (2, "000\"", "00\"", "the value of a label"),
            (2, "\"internal\":false", "\"internal\":0", "invalid type"),
            (2, "\\n", "\\u000a", "not in canonical form"),
            (4, &"0".repeat(64), "hunter2", "the value of a label"),
        ] {
            let mut lines = good.clone();
            lines[line] = good[line].replacen(from, to, 1);
            assert_ne!(lines[line], good[line]);
            let refused = read(&lines).unwrap_err();
            assert!(refused.contains(problem), "{line}: {refused}");
        }
    }
}
