//! Files in a container → entries. They are hashed from the engine's archive as it arrives; nothing is written to disk.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use serde::Deserialize;

use super::client::Client;
use super::error::EngineError;
use super::responses::ContainerDetails;
use super::stream::Timeouts;
use super::tar::{Archive, EntryKind, Header, Source};
use crate::declaration::{Matched, Selection};
use crate::digest::Sha256;
use crate::manifest::{AttributeSet, Attributes, Content, List, Record, Uncovered};
use crate::path::{EntryPath, ROOT};

/// The most entries of an archive, and the most bytes of their paths and links together.
const MOST_ENTRIES: usize = 1_000_000;
const MOST_NAMES: usize = 64 << 20;
/// The most contents of an archive, in bytes.
const MOST_CONTENTS: u64 = 64 << 30;

/// Which files to collect.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The container's name.
    pub container: &'a str,
    /// An absolute directory in the container.
    pub root: &'a str,
    pub selection: &'a Selection,
    pub attributes: AttributeSet,
}

/// What the engine reports about the root, in Base64, before the archive.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PathStat {
    /// A mode of Go: the type is in the upper bits.
    mode: u32,
    #[serde(default)]
    link_target: String,
}

/// Go's `fs.ModeDir` and `fs.ModeSymlink`.
const MODE_DIRECTORY: u32 = 1 << 31;
const MODE_SYMLINK: u32 = 1 << 27;

/// Collects the selected files below a root in a container, through a connected socket; also links and special files,
/// but no directories.
///
/// # Errors
/// The engine does not respond, its responses are invalid, or the container or the root is missing.
pub fn files(
    socket: BorrowedFd<'_>,
    files: &Files<'_>,
    timeouts: Timeouts,
) -> Result<(List, Vec<Uncovered>), EngineError> {
    let mut client = Client::new(socket, timeouts)?;
    if client.is_podman && files.attributes.owner {
        return Err(EngineError::NoOwners);
    }
    let no_container = || EngineError::NoContainer(files.container.to_owned());
    let target = client.target(&["containers", files.container, "json"]);
    let inspected: ContainerDetails = client.json(&target)?.ok_or_else(no_container)?;
    // Engines also accept the prefix of an id as a name.
    if inspected.name.strip_prefix('/') != Some(files.container) {
        return Err(no_container());
    }
    // With `/.`, paths do not start with the root's name, and for Docker the root may be a link, as for other checks.
    let below = format!("{}/.", files.root.trim_end_matches('/'));
    let target = client.target(&["containers", &inspected.id, "archive"]).query("path", &below);
    let no_root = || EngineError::NoRoot { container: files.container.to_owned(), root: files.root.to_owned() };
    let answer = match client.archive(&target) {
        // Docker responds so if the root is a file.
        Err(EngineError::Status { message, .. }) if message.contains("not a directory") => return Err(no_root()),
        answer => answer?,
    };
    let (head, body) = answer.ok_or_else(no_root)?;
    let stat = path_stat(head.path_stat.as_deref())?;
    if stat.mode & MODE_SYMLINK != 0 {
        // Docker follows links. Podman sends the target, without saying whether it is a directory.
        return Err(EngineError::RootIsLink { root: files.root.to_owned(), target: stat.link_target });
    }
    if stat.mode & MODE_DIRECTORY == 0 {
        return Err(no_root());
    }
    collect(body, files.selection, files.attributes)
}

fn path_stat(stat: Option<&str>) -> Result<PathStat, EngineError> {
    let decoded = stat.and_then(|stat| data_encoding::BASE64.decode(stat.as_bytes()).ok());
    let stat = decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    stat.ok_or_else(|| EngineError::malformed("it does not describe the root of the archive"))
}

/// Reads a whole archive, including entries that are not selected: hard links may refer to them.
fn collect(
    source: impl Source,
    selection: &Selection,
    attributes: AttributeSet,
) -> Result<(List, Vec<Uncovered>), EngineError> {
    let mut archive = Archive::new(source);
    let mut all: BTreeMap<EntryPath, Record> = BTreeMap::new();
    let (mut names, mut contents) = (0, 0_u64);
    while let Some(header) = archive.next()? {
        let path = match path(&header.path)? {
            Some(path) => path,
            // The root itself has only attributes to record.
            None if attributes.is_empty() || !matches!(header.kind, EntryKind::Directory) => continue,
            None => EntryPath::new(ROOT).map_err(|error| EngineError::malformed(error.to_string()))?,
        };
        names += header.path.len();
        contents = contents.saturating_add(header.size);
        for (what, found, limit) in [
            ("entries in an archive", all.len() as u64, MOST_ENTRIES as u64),
            ("bytes of names in an archive", names as u64, MOST_NAMES as u64),
            ("bytes in an archive", contents, MOST_CONTENTS),
        ] {
            if found > limit {
                return Err(EngineError::TooLarge { what, limit });
            }
        }
        let content = content(&mut archive, &header, &all)?;
        if let Content::Symlink { target } = &content {
            names += target.len();
        }
        let attributes = (!attributes.is_empty()).then(|| {
            let mode = attributes.mode.then_some(header.mode);
            Box::new(Attributes { mode, owner: attributes.owner.then_some(header.owner), xattrs: None })
        });
        if all.insert(path, Record { content, attributes }).is_some() {
            return Err(EngineError::malformed("the archive has an entry twice"));
        }
    }
    let mut matched = selection.unmatched_yet();
    let picked = |(path, record): &(EntryPath, Record)| {
        path.as_bytes() == ROOT || is_recorded(selection, path.as_bytes(), &record.content, &mut matched)
    };
    let mut kept: Vec<_> = all.into_iter().filter(picked).map(|(path, record)| (path, Ok(record))).collect();
    // The root alone does not count as a finding.
    if kept.iter().all(|(path, _)| path.as_bytes() == ROOT) {
        kept.clear();
    }
    Ok((List::new(kept), selection.unmatched(&matched)))
}

/// Whether a path is recorded, by the rules for a root on this machine, with links where a glob has directories.
fn is_recorded(selection: &Selection, path: &[u8], content: &Content, matched: &mut Matched) -> bool {
    // An excluded directory is in the archive too, and the glob is noted there.
    if selection.excludes_noting(path, matched) || selection.is_below_excluded(path) {
        return false;
    }
    match content {
        Content::Directory { .. } => false,
        Content::Symlink { .. } => selection.includes_noting(path, matched) || selection.descends(path),
        _ => selection.includes_noting(path, matched),
    }
}

/// Converts a path of the archive to one below the root; `None` for the root itself.
fn path(bytes: &[u8]) -> Result<Option<EntryPath>, EngineError> {
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    if bytes == ROOT {
        return Ok(None);
    }
    let path = EntryPath::new(bytes);
    path.map(Some).map_err(|error| EngineError::malformed(format!("the archive has an invalid path: {error}")))
}

fn content(
    archive: &mut Archive<impl Source>,
    header: &Header,
    all: &BTreeMap<EntryPath, Record>,
) -> Result<Content, EngineError> {
    Ok(match &header.kind {
        EntryKind::File => {
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                match archive.read(&mut buffer)? {
                    0 => break,
                    read => hasher.update(&buffer[..read]),
                }
            }
            Content::File { executable: header.mode & 0o100 != 0, size: header.size, sha256: hasher.finish() }
        }
        EntryKind::HardLink(target) => {
            let target = path(target)?.and_then(|target| all.get(&target)).map(|record| &record.content);
            let target = target.filter(|content| !matches!(content, Content::Directory { .. }));
            target
                .ok_or_else(|| EngineError::malformed("the archive has a hard link to an entry that is not in it"))?
                .clone()
        }
        EntryKind::Symlink(target) => Content::Symlink { target: target.as_slice().into() },
        EntryKind::Directory => Content::Directory { nar: None },
        &EntryKind::CharDevice(major, minor) => Content::CharDevice { major, minor },
        &EntryKind::BlockDevice(major, minor) => Content::BlockDevice { major, minor },
        EntryKind::Fifo => Content::Fifo,
    })
}

#[cfg(test)]
mod tests;
