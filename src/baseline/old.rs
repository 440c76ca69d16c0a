//! Recognises and reads the locks of the old scripts, by their contents.
//!
//! - `compose_sha256.lock.txt`: `<64 hex>  <path>` on each line, in any order. Unlike a lock in `sha256sum` format, its
//!   paths contain the root: see [`root_of`].
//! - `odoo_addons_modules.hash.txt`: see [`modules`](super::modules).
//! - `docker_images.lock.json`: `{"generated_at": "<ISO 8601>", "images": {"<container>": {"image": "<name:tag>",
//!   "imageId": "sha256:…"}}}`.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::spellings::{Spellings, below};
use crate::declaration::Selection;
use crate::declaration::engine::is_container_name;
use crate::manifest::{Container, Content, Entries, Entry, Kind, LockError, Observed, Record, json, text};
use crate::path::{EntryPath, escaped};

/// Which of the old locks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldLock {
    /// Digests of single files.
    FileHashes,
    /// One digest of all files of each module.
    ModuleHashes,
    /// Image and image id of each container.
    ContainerImages,
}

impl OldLock {
    pub const ALL: [Self; 3] = [Self::FileHashes, Self::ModuleHashes, Self::ContainerImages];

    /// The kind of the checks that it can belong to.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::FileHashes => Kind::Files,
            Self::ModuleHashes => Kind::Trees,
            Self::ContainerImages => Kind::Containers,
        }
    }

    /// Its name in JSON reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FileHashes => "file_hashes",
            Self::ModuleHashes => "module_hashes",
            Self::ContainerImages => "container_images",
        }
    }

    /// What it does not record, but driftlock's own locks do.
    #[must_use]
    pub const fn blind_to(self) -> &'static str {
        match self {
            Self::FileHashes => "executable bits, links and sizes",
            Self::ModuleHashes => {
                "which file of a module has changed, executable bits, links, empty directories and files beside the modules"
            }
            Self::ContainerImages => "the digests that registries know images by, and to all settings of containers",
        }
    }
}

/// Whether the paths of a text lock contain the root.
#[derive(Debug, PartialEq, Eq)]
pub enum RootInPaths {
    /// No: paths are relative to the root.
    Nowhere,
    /// No; but the paths would also be valid with this root.
    NowhereOr(Vec<u8>),
    /// Yes, they begin with it.
    Here(Vec<u8>),
}

/// Finds out whether the paths of a text lock begin with the root, as those of the scripts do.
///
/// The globs of the check decide, because they pick every path that `lock` writes. If they pick a path as it stands,
/// paths are relative to the root. If they pick none, and all paths are below one spelling of the root and picked
/// there, the lock is one of the scripts. If only some are, or none is picked there, the lock is refused. Absolute
/// paths can only come from the scripts.
///
/// # Errors
/// The paths are the scripts', but are not all below the root or not all picked; or both readings are valid.
pub fn root_of(lines: &[text::Line], spellings: &Spellings, selection: &Selection) -> Result<RootInPaths, LockError> {
    let holds_all = |root: &&[u8]| lines.iter().all(|line| below(&line.path, root).is_some());
    let picks_all = |root: &&[u8]| lines.iter().all(|line| is_picked(line, root, selection));
    let fitting: Vec<_> = spellings.iter().filter(holds_all).collect();
    let picking: Vec<_> = fitting.iter().copied().filter(picks_all).collect();
    if !lines.iter().any(|line| line.path.starts_with(b"/")) {
        if lines.iter().any(|line| selection.picks(&line.path)) {
            return Ok(picking.first().map_or(RootInPaths::Nowhere, |root| RootInPaths::NowhereOr(root.to_vec())));
        }
        if spellings.iter().all(|root| lines.iter().all(|line| below(&line.path, root).is_none())) {
            return Ok(RootInPaths::Nowhere);
        }
    }
    match (&*picking, fitting.first()) {
        ([root], _) => Ok(RootInPaths::Here(root.to_vec())),
        ([a, b, ..], _) => Err(LockError::Old {
            problem: format!("its paths could begin with the root {} as well as with {}", escaped(a), escaped(b)),
            help: "write `include` so that it picks the paths below one of the two only",
        }),
        ([], Some(root)) => Err(LockError::Old {
            problem: format!(
                "{} is not among what the check records",
                first(lines, |line| !is_picked(line, root, selection))
            ),
            help: "write `include` and `exclude` so that they pick all paths of the lock, or correct the lock",
        }),
        ([], None) => {
            // The spelling that fits most lines.
            let right = |root: &&[u8]| lines.iter().filter(|line| below(&line.path, root).is_some()).count();
            let root = spellings.iter().rev().max_by_key(right).unwrap_or_default();
            Err(LockError::Old {
                problem: format!(
                    "{} is not below the root {}",
                    first(lines, |line| below(&line.path, root).is_none()),
                    escaped(root)
                ),
                help: "declare a `root` that all of its paths are below, and with `server_root` where it lies on a server",
            })
        }
    }
}

fn is_picked(line: &text::Line, root: &[u8], selection: &Selection) -> bool {
    below(&line.path, root).is_some_and(|path| selection.picks(path))
}

/// `line 3: infra/other/x`, for the first line that matches.
fn first(lines: &[text::Line], is_meant: impl Fn(&&text::Line) -> bool) -> String {
    lines
        .iter()
        .find(is_meant)
        .map_or_else(String::new, |line| format!("line {}: {}", line.number, escaped(&line.path)))
}

/// Removes the root from the paths.
pub fn without_root(mut lines: Vec<text::Line>, root: &[u8]) -> Result<text::Reader, LockError> {
    for line in &mut lines {
        line.path.drain(..(root.len() + 1).min(line.path.len()));
    }
    text::Reader::of_lines(lines)
}

/// The largest lock of images that is read, in bytes: some 50,000 containers.
pub const IMAGES_LIMIT: u64 = 16 << 20;

/// Whether these are the first bytes of a lock of images: an object whose first key is one of its two keys.
#[must_use]
pub fn is_images(start: &[u8]) -> bool {
    let Some(rest) = start.trim_ascii_start().strip_prefix(b"{") else { return false };
    let rest = rest.trim_ascii_start();
    rest.starts_with(b"\"generated_at\"") || rest.starts_with(b"\"images\"")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Images {
    #[serde(rename = "generated_at", default)]
    _generated_at: Option<String>,
    images: Pairs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    image: String,
    #[serde(rename = "imageId")]
    image_id: String,
}

/// An object as a list, to detect duplicate keys.
struct Pairs(Vec<(String, Image)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the images of containers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads a lock of images.
///
/// # Errors
/// Anything that the scripts would not have written.
pub fn images(bytes: &[u8]) -> Result<text::Reader, LockError> {
    const HELP: &str = "restore it from git, or remove it and write a new one with `driftlock lock` after a review";
    let refused = |problem: String| LockError::Old { problem: escaped(problem.as_bytes()).to_string(), help: HELP };
    if bytes.len() as u64 > IMAGES_LIMIT {
        return Err(refused(format!("it is larger than {IMAGES_LIMIT} bytes")));
    }
    let Images { images: Pairs(pairs), .. } =
        serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    let entry = |(name, Image { image, image_id }): (String, Image)| {
        let path = EntryPath::new(name.as_bytes()).ok().filter(|_| is_container_name(&name));
        let path = path.ok_or_else(|| refused(format!("{name:?} is not a name of a container")))?;
        let image_id = json::parse_image_id(&image_id);
        let image_id = image_id.ok_or_else(|| {
            refused(format!("the `imageId` of {name} is not `sha256:` and 64 lower-case hexadecimal digits"))
        })?;
        if image.is_empty() {
            return Err(refused(format!("the `image` of {name} is empty")));
        }
        let content = Content::Container(Box::new(Container::of_image(image.into(), Some(image_id))));
        Ok((Entry { path, record: Record { content, attributes: None } }, 1))
    };
    let entries: Vec<_> = pairs.into_iter().map(entry).collect::<Result<_, _>>()?;
    text::Reader::of_entries(entries).map_err(|error| match error {
        LockError::Duplicate { path, .. } => refused(format!("{path} is there twice")),
        error => error,
    })
}

/// Checks that a check records all containers of a lock, as far as their names show.
///
/// # Errors
/// The first container that it does not record.
pub fn records(lock: &text::Reader, selection: &Selection) -> Result<(), LockError> {
    match lock.entries().find(|entry| !selection.picks(entry.path.as_bytes())) {
        None => Ok(()),
        Some(entry) => Err(LockError::Old {
            problem: format!("the container {} is not among what the check records", entry.path),
            help: "name all containers of the lock in `containers`, or leave that out; or correct the lock",
        }),
    }
}

/// Reduces a stream of containers to what a lock of images can record.
#[derive(Debug)]
pub struct ImagesOf<'a, E> {
    live: &'a mut E,
    record: Option<Record>,
}

impl<'a, E: Entries> ImagesOf<'a, E> {
    pub const fn new(live: &'a mut E) -> Self {
        Self { live, record: None }
    }
}

impl<E: Entries> Entries for ImagesOf<'_, E> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        let Some(Observed { path, state }) = self.live.next()? else { return Ok(None) };
        let state = match state {
            Ok(Record { content: Content::Container(found), .. }) => {
                let content = Content::Container(Box::new(Container::of_image(found.image.clone(), found.image_id)));
                Ok(&*self.record.insert(Record { content, attributes: None }))
            }
            state => state,
        };
        Ok(Some(Observed { path, state }))
    }
}
