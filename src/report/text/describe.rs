//! Describes how an entry differs.

mod container;

use std::collections::HashMap;

use crate::compare::{Change, Drift};
use crate::manifest::{Attributes, Container, Content, Record, Sha256Digest};
use crate::path::escaped;
use crate::report::format::{counted, grouped, shown_path};
use crate::report::group::{Item, Shape};

/// The word before the colon, and the text after the path. Escaped.
pub(in crate::report) fn item(root: &str, item: &Item<'_>) -> (&'static str, String) {
    let below = || format!("directory, {} below", counted(item.below, "entry", "entries"));
    match item.shape {
        Shape::MovedWhole { from } => ("moved", format!("{}, from {}", below(), shown_path(root, from))),
        Shape::MovedAway { to } if item.below > 0 => {
            ("moved away", format!("{}, to {}", below(), shown_path(root, to)))
        }
        Shape::MovedAway { to } => ("moved away", format!("to {}", shown_path(root, to))),
        Shape::Entry(drift) => {
            let mut text = self::drift(root, drift);
            if item.below > 0 {
                let what = match drift.change {
                    Change::Added | Change::Removed => "below",
                    _ if matches!(drift.actual, Some(Record { content: Content::Directory { .. }, .. })) => {
                        "new below it"
                    }
                    _ => "below it gone",
                };
                text.push_str(&format!(", {} {what}", counted(item.below, "entry", "entries")));
            }
            if let Some(live) = &drift.live {
                text.push_str(&format!(", mtime {}, uid {}, gid {}", live.mtime(), live.uid, live.gid));
            }
            (label(drift.change), text)
        }
    }
}

/// A change, for people.
pub(in crate::report) const fn label(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::TypeChanged => "type changed",
        Change::Modified => "modified",
        Change::Moved => "moved",
        Change::ExecutableChanged => "executable changed",
        Change::ModeChanged => "mode changed",
        Change::OwnerChanged => "owner changed",
        Change::XattrsChanged => "xattrs changed",
        Change::ImageChanged => "image changed",
        Change::ImageRebuilt => "image rebuilt",
        Change::DigestsChanged => "digests changed",
        Change::SecurityChanged => "security changed",
        Change::StateChanged => "state changed",
        Change::MountsChanged => "mounts changed",
        Change::NetworksChanged => "networks changed",
        Change::PortsChanged => "ports changed",
        Change::LabelsChanged => "labels changed",
        Change::EnvChanged => "env changed",
        Change::ComposeChanged => "compose changed",
    }
}

/// A drift without its path. Escaped, and never empty.
pub(in crate::report) fn drift(root: &str, drift: &Drift) -> String {
    let mut parts = Vec::new();
    if let Some(from) = &drift.from {
        parts.push(format!("from {}", shown_path(root, from.as_bytes())));
    }
    match (&drift.expected, &drift.actual) {
        (None, None) => {}
        (Some(record), None) | (None, Some(record)) => describe(record, &mut parts),
        (Some(expected), Some(actual)) => differences(expected, actual, &mut parts),
    }
    let mut text = parts.join(", ");
    // The label already says this.
    let said = match drift.change {
        Change::ExecutableChanged => "executable ",
        Change::ModeChanged => "mode ",
        Change::OwnerChanged => "owner ",
        Change::ImageChanged => "image ",
        Change::SecurityChanged => "security changed",
        Change::StateChanged => "state ",
        _ => "",
    };
    if text.starts_with(said) {
        text.drain(..said.len());
    }
    text
}

fn describe(record: &Record, parts: &mut Vec<String>) {
    parts.push(kind(&record.content));
    match &record.content {
        Content::File { size, sha256, .. } => {
            parts.push(format!("size {}", grouped(*size)));
            parts.push(format!("sha256 {}…", &sha256.hex()[..SHORT]));
        }
        Content::Checksum { sha256 } | Content::Module { sha256 } => {
            parts.push(format!("sha256 {}…", &sha256.hex()[..SHORT]));
        }
        Content::Container(container) => container::describe(container, parts),
        _ => {}
    }
    attributes_of(record, parts);
}

/// What the check's `attributes` add. Escaped.
pub(in crate::report) fn attributes_of(record: &Record, parts: &mut Vec<String>) {
    let Some(attributes) = &record.attributes else { return };
    parts.extend(attributes.mode.map(|mode| format!("mode {mode:04o}")));
    parts.extend(attributes.owner.map(|(user, group)| format!("owner {user}:{group}")));
    let names = attributes.xattrs.iter().flatten().map(|(name, _)| format!("xattr {}", escaped(name)));
    parts.extend(names);
}

/// Everything that is recorded of a container, with the full id of its image. Escaped.
pub(in crate::report) fn whole_container(container: &Container, parts: &mut Vec<String>) {
    container::whole(container, parts);
}

/// The type and, for a link or a device, its target or number. Escaped.
pub(in crate::report) fn kind(content: &Content) -> String {
    match content {
        Content::File { executable: true, .. } => "executable file".to_owned(),
        Content::File { .. } | Content::Checksum { .. } => "file".to_owned(),
        Content::Directory { .. } | Content::Module { .. } => "directory".to_owned(),
        Content::Symlink { target } => format!("symlink to {}", escaped(target)),
        Content::Fifo => "fifo".to_owned(),
        Content::Socket => "socket".to_owned(),
        Content::CharDevice { major, minor } => format!("character device {major}:{minor}"),
        Content::BlockDevice { major, minor } => format!("block device {major}:{minor}"),
        Content::Container(_) => "container".to_owned(),
    }
}

fn differences(expected: &Record, actual: &Record, parts: &mut Vec<String>) {
    use Content::{BlockDevice, CharDevice, Checksum, File, Module, Symlink};
    match (&expected.content, &actual.content) {
        (
            File { size, sha256, executable },
            File { size: size_now, sha256: sha256_now, executable: executable_now },
        ) => {
            if size != size_now {
                parts.push(format!("size {} → {}", grouped(*size), grouped(*size_now)));
            }
            digests("sha256", sha256, sha256_now, parts);
            if executable != executable_now {
                parts.push(format!("executable {} → {}", yes_or_no(*executable), yes_or_no(*executable_now)));
            }
        }
        (File { sha256, .. } | Checksum { sha256 }, File { sha256: now, .. } | Checksum { sha256: now }) => {
            digests("sha256", sha256, now, parts);
        }
        (Module { sha256 }, Module { sha256: now }) => digests("sha256 of its files", sha256, now, parts),
        (Symlink { target }, Symlink { target: now }) if target != now => {
            parts.push(format!("target {} → {}", escaped(target), escaped(now)));
        }
        (
            CharDevice { major, minor } | BlockDevice { major, minor },
            CharDevice { major: major_now, minor: minor_now } | BlockDevice { major: major_now, minor: minor_now },
        ) if expected.content.type_name() == actual.content.type_name() && (major, minor) != (major_now, minor_now) => {
            parts.push(format!("device {major}:{minor} → {major_now}:{minor_now}"));
        }
        (Content::Container(before), Content::Container(now)) => container::differences(before, now, parts),
        (before, now) if before.type_name() != now.type_name() => {
            parts.push(format!("{} → {}", kind(before), kind(now)));
        }
        _ => {}
    }
    let none = Attributes::default();
    let (before, now) = (expected.attributes.as_deref(), actual.attributes.as_deref());
    attributes(before.unwrap_or(&none), now.unwrap_or(&none), parts);
}

fn attributes(before: &Attributes, now: &Attributes, parts: &mut Vec<String>) {
    let mode = |mode: Option<u16>| mode.map_or("none".to_owned(), |mode| format!("{mode:04o}"));
    if before.mode != now.mode {
        parts.push(format!("mode {} → {}", mode(before.mode), mode(now.mode)));
    }
    let owner = |owner: Option<(u32, u32)>| owner.map_or("none".to_owned(), |(user, group)| format!("{user}:{group}"));
    if before.owner != now.owner {
        parts.push(format!("owner {} → {}", owner(before.owner), owner(now.owner)));
    }
    let (before, now) = (before.xattrs.as_deref().unwrap_or(&[]), now.xattrs.as_deref().unwrap_or(&[]));
    let (was, is): (HashMap<_, _>, HashMap<_, _>) = (
        before.iter().map(|(name, value)| (name, value)).collect(),
        now.iter().map(|(name, value)| (name, value)).collect(),
    );
    for (name, value) in before {
        match is.get(name) {
            None => parts.push(format!("xattr {} removed", escaped(name))),
            Some(other) if *other != value => parts.push(format!("xattr {} changed", escaped(name))),
            Some(_) => {}
        }
    }
    for (name, _) in now.iter().filter(|(name, _)| !was.contains_key(name)) {
        parts.push(format!("xattr {} added", escaped(name)));
    }
}

const fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The number of hexadecimal digits of a digest to show.
const SHORT: usize = 6;

/// `sha256 9f86d0… → 1b2c3d…`, with as many digits as it takes to look different.
fn digests(noun: &str, before: &Sha256Digest, now: &Sha256Digest, parts: &mut Vec<String>) {
    if before == now {
        return;
    }
    let (before, now) = (before.hex(), now.hex());
    let alike = before.bytes().zip(now.bytes()).take_while(|(before, now)| before == now).count();
    let digits = (alike + 1).next_multiple_of(SHORT).min(before.len());
    parts.push(format!("{noun} {}… → {}…", &before[..digits], &now[..digits]));
}
