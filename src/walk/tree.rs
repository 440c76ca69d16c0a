//! The entries that a walk found, stored by directory: each name is stored once, at any depth.
//!
//! The entries come out sorted by the bytes of their paths, without sorting whole paths: everything below a directory
//! `d` sorts as `d/`, so a directory's own entry and its contents are two items among its siblings.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::dir_entries::{DirEntries, EntryRef};
use crate::manifest::{Content, Entries, Kind, LockError, Observed, Record, Unverified};
use crate::stat_cache::listing::Listed;

/// The names of one directory that one worker takes at once. Several workers share a larger directory.
pub const CHUNK: usize = 1024;

/// The number of a directory in a [`Tree`]; the root is 0.
pub type DirectoryId = u32;

/// The result for one name.
#[derive(Clone, Debug)]
pub enum EntryState {
    Recorded(Record),
    /// Recorded, and touched during the run.
    Touched(Box<Record>),
    Unverified(Box<Unverified>),
    /// A directory; its own record is in its [`Listing`].
    Directory(DirectoryId),
    /// Listed, and not inspected yet. None is left at the end of a walk.
    Pending(Listed),
}

impl EntryState {
    pub fn unverified(reason: Unverified) -> Self {
        Self::Unverified(Box::new(reason))
    }
}

/// Some of the names of a directory.
#[derive(Debug)]
pub struct NameChunk {
    pub directory: DirectoryId,
    pub number: usize,
    pub nodes: DirEntries,
}

/// What one worker found below one root, in the order in which it came.
#[derive(Debug, Default)]
pub struct PartialTree {
    /// The records of the directories themselves.
    pub directories: Vec<(DirectoryId, Result<Record, Unverified>)>,
    /// The names in them.
    pub chunks: Vec<NameChunk>,
}

/// The contents of a directory, sorted by name.
#[derive(Debug, Default)]
struct Listing {
    /// The record of the directory itself. The root has none.
    own: Option<Result<Record, Unverified>>,
    nodes: DirEntries,
    /// The names after `nodes` in a directory that several workers shared: chunks of [`CHUNK`] names, except for the
    /// last. They are not joined, because then a large directory would be in memory twice for a moment.
    more: Vec<DirEntries>,
}

impl Listing {
    fn node(&self, index: usize) -> Option<(&[u8], EntryRef<'_>)> {
        match index.checked_sub(self.nodes.len()) {
            None => self.nodes.get(index),
            Some(behind) => self.more.get(behind / CHUNK)?.get(behind % CHUNK),
        }
    }
}

/// Everything that a walk found below one root.
///
/// It is assembled on first use: a check whose entries are all unchanged never uses it.
#[derive(Debug)]
pub struct Tree {
    kind: Kind,
    /// The number of directories.
    count: usize,
    partial: Mutex<Vec<PartialTree>>,
    directories: OnceLock<Vec<Listing>>,
    /// Why entries that were not inspected are unverified.
    left: Unverified,
}

impl Tree {
    /// `trees` are the results of all workers, for `count` directories. If they are not complete, `left` is the reason.
    #[must_use]
    pub fn new(kind: Kind, count: usize, trees: Vec<PartialTree>, left: Unverified) -> Self {
        Self { kind, count, partial: Mutex::new(trees), directories: OnceLock::new(), left }
    }

    /// All entries, in the order of their paths.
    #[must_use]
    pub fn entries(&self) -> TreeEntries<'_> {
        TreeEntries {
            tree: self,
            directories: self.directories.get_or_init(|| self.assemble()),
            path: Vec::new(),
            frames: vec![Frame { directory: 0, next: 0, waiting: Vec::new() }],
            parent: 0,
            current: Record { content: Content::Fifo, attributes: None },
        }
    }

    /// The paths of all entries that were touched during the run, in order.
    #[must_use]
    pub fn touched(&self) -> Vec<Vec<u8>> {
        let mut entries = self.entries();
        let mut paths = Vec::new();
        while let Some(state) = entries.step() {
            if matches!(state, EntryRef::Other(EntryState::Touched(_))) {
                paths.push(entries.path.clone());
            }
        }
        paths
    }

    /// The directories by [`DirectoryId`].
    fn assemble(&self) -> Vec<Listing> {
        let mut directories: Vec<Listing> = (0..self.count).map(|_| Listing::default()).collect();
        let mut chunks = Vec::new();
        for mut tree in std::mem::take(&mut *self.partial.lock().unwrap_or_else(PoisonError::into_inner)) {
            for (id, own) in tree.directories {
                directories[id as usize].own = Some(own);
            }
            chunks.append(&mut tree.chunks);
        }
        for listing in &mut directories {
            listing.own.get_or_insert_with(|| Err(self.left.clone()));
        }
        chunks.sort_by_key(|chunk| (chunk.directory, chunk.number));
        for chunk in chunks {
            let listing = &mut directories[chunk.directory as usize];
            if chunk.number == 0 {
                listing.nodes = chunk.nodes;
            } else {
                listing.more.push(chunk.nodes);
            }
        }
        directories
    }

    /// Whether a directory is an entry. A `files` check records directories only if they could not be read.
    fn shows(&self, own: &Result<Record, Unverified>) -> bool {
        match own {
            Ok(record) => self.kind == Kind::Trees || !matches!(record.content, Content::Directory { .. }),
            Err(_) => true,
        }
    }
}

struct Frame {
    directory: DirectoryId,
    /// The next name to return.
    next: usize,
    /// Returned directories whose contents are still to come. Each is a prefix of the next, so the contents of the last
    /// come first.
    waiting: Vec<usize>,
}

/// See [`Tree::entries`].
pub struct TreeEntries<'a> {
    tree: &'a Tree,
    directories: &'a [Listing],
    path: Vec<u8>,
    frames: Vec<Frame>,
    /// Length of the path of the last frame's directory.
    parent: usize,
    /// The record of the current file.
    current: Record,
}

/// Whether everything below `directory` sorts before the sibling `name`.
fn contents_sort_before(directory: &[u8], name: &[u8]) -> bool {
    directory.iter().chain(b"/").lt(name.iter())
}

impl<'a> TreeEntries<'a> {
    /// The next entry of the tree, including those that are skipped.
    fn step(&mut self) -> Option<EntryRef<'a>> {
        loop {
            let frame = self.frames.last_mut()?;
            let listing = &self.directories[frame.directory as usize];
            let upcoming = listing.node(frame.next);
            if let Some(&waiting) = frame.waiting.last()
                && let Some((directory, state)) = listing.node(waiting)
                && upcoming.is_none_or(|(name, _)| contents_sort_before(directory, name))
            {
                frame.waiting.pop();
                if let EntryRef::Directory(id) = state {
                    self.path.truncate(self.parent);
                    push_name(&mut self.path, directory);
                    self.parent = self.path.len();
                    self.frames.push(Frame { directory: id, next: 0, waiting: Vec::new() });
                }
                continue;
            }
            if let Some((name, state)) = upcoming {
                if matches!(state, EntryRef::Directory(_)) {
                    frame.waiting.push(frame.next);
                }
                frame.next += 1;
                self.path.truncate(self.parent);
                push_name(&mut self.path, name);
                return Some(state);
            }
            self.frames.pop();
            self.path.truncate(self.parent);
            self.parent = crate::path::split_last(&self.path).0.len();
        }
    }
}

fn push_name(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

impl Entries for TreeEntries<'_> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        let tree = self.tree;
        let state = loop {
            match self.step() {
                None => return Ok(None),
                Some(EntryRef::File { executable, size, sha256, attributes }) => {
                    self.current.content = Content::File { executable, size, sha256 };
                    self.current.attributes.clone_from(attributes);
                    break Ok(&self.current);
                }
                Some(EntryRef::Other(EntryState::Recorded(record))) => break Ok(record),
                Some(EntryRef::Other(EntryState::Touched(record))) => break Ok(&**record),
                Some(EntryRef::Other(EntryState::Unverified(reason))) => break Err(&**reason),
                Some(EntryRef::Pending(_) | EntryRef::Other(EntryState::Pending(_))) => break Err(&tree.left),
                Some(EntryRef::Directory(id) | EntryRef::Other(&EntryState::Directory(id))) => {
                    let own = self.directories[id as usize].own.as_ref();
                    if let Some(own) = own
                        && tree.shows(own)
                    {
                        break own.as_ref();
                    }
                }
            }
        };
        Ok(Some(Observed { path: &self.path, state }))
    }
}
