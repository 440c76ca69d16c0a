//! What a walk found, kept by directory: names are stored once, however deep they lie.
//!
//! The entries come out in the one order of paths, that of their bytes, without any sort over whole paths: everything
//! below a directory `d` sorts as `d/`, so a directory's own entry and its contents are two items among its siblings.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::nodes::Nodes;
use crate::manifest::{Content, Entries, Kind, LockError, Observed, Record, Unverified};
use crate::stat_cache::listing::Listed;

/// Names of one directory that one worker takes at once; a directory with more is shared.
pub const PART: usize = 1024;

/// A directory's place in [`Tree`]; the root is 0.
pub type DirectoryId = u32;

/// What became of a name.
#[derive(Debug)]
pub enum State {
    Recorded(Record),
    /// The same, touched during the run.
    Touched(Box<Record>),
    // Boxed, since it is rare and the record is what there are a million of.
    Unverified(Box<Unverified>),
    /// A directory: its own record is in its [`Listing`].
    Directory(DirectoryId),
    /// Listed as this, and not looked at yet. None is left when a walk has ended.
    Pending(Listed),
}

impl State {
    pub fn unverified(reason: Unverified) -> Self {
        Self::Unverified(Box::new(reason))
    }
}

/// Some of the names of a directory.
#[derive(Debug)]
pub struct Part {
    pub directory: DirectoryId,
    pub number: usize,
    pub nodes: Nodes,
}

/// What one worker found below one root, as it came.
#[derive(Debug, Default)]
pub struct Pieces {
    /// The directories themselves.
    pub own: Vec<(DirectoryId, Result<Record, Unverified>)>,
    /// The names in them.
    pub parts: Vec<Part>,
}

/// What a directory holds, sorted by name.
#[derive(Debug, Default)]
struct Listing {
    /// The directory itself. The root is no entry.
    own: Option<Result<Record, Unverified>>,
    nodes: Nodes,
    /// What is behind `nodes` in a directory that was shared: all of them parts of [`PART`] names, save the last. They
    /// are not joined, since then a large directory would be there twice for a moment.
    more: Vec<Nodes>,
}

impl Listing {
    fn node(&self, index: usize) -> Option<(&[u8], &State)> {
        match index.checked_sub(self.nodes.len()) {
            None => self.nodes.get(index),
            Some(behind) => self.more.get(behind / PART)?.get(behind % PART),
        }
    }
}

/// Everything that a walk found below one root.
///
/// It is put together when it is first asked for, since what is known to be as it was is not asked for.
#[derive(Debug)]
pub struct Tree {
    kind: Kind,
    /// How many directories there are.
    count: usize,
    pieces: Mutex<Vec<Pieces>>,
    directories: OnceLock<Vec<Listing>>,
    /// What to say of what was not looked at.
    left: Unverified,
}

impl Tree {
    /// `pieces` are what all workers found: of each of `count` directories the names, sorted and then parted. Where not all
    /// of that is there, `left` says why.
    #[must_use]
    pub fn new(kind: Kind, count: usize, pieces: Vec<Pieces>, left: Unverified) -> Self {
        Self { kind, count, pieces: Mutex::new(pieces), directories: OnceLock::new(), left }
    }

    /// All entries in the one order of paths.
    #[must_use]
    pub fn entries(&self) -> TreeEntries<'_> {
        TreeEntries {
            tree: self,
            directories: self.directories.get_or_init(|| self.assemble()),
            path: Vec::new(),
            frames: vec![Frame { directory: 0, next: 0, waiting: Vec::new() }],
            parent: 0,
        }
    }

    /// The paths of all that was touched during the run, in the one order.
    #[must_use]
    pub fn touched(&self) -> Vec<Vec<u8>> {
        let mut entries = self.entries();
        let mut paths = Vec::new();
        while let Some(state) = entries.step() {
            if matches!(state, State::Touched(_)) {
                paths.push(entries.path.clone());
            }
        }
        paths
    }

    /// The directories by their numbers; the root is the first.
    fn assemble(&self) -> Vec<Listing> {
        let mut directories: Vec<Listing> = (0..self.count).map(|_| Listing::default()).collect();
        let mut parts = Vec::new();
        for mut pieces in std::mem::take(&mut *self.pieces.lock().unwrap_or_else(PoisonError::into_inner)) {
            for (id, own) in pieces.own {
                directories[id as usize].own = Some(own);
            }
            parts.append(&mut pieces.parts);
        }
        for listing in &mut directories {
            listing.own.get_or_insert_with(|| Err(self.left.clone()));
        }
        parts.sort_by_key(|part| (part.directory, part.number));
        for part in parts {
            let listing = &mut directories[part.directory as usize];
            if part.number == 0 {
                listing.nodes = part.nodes;
            } else {
                listing.more.push(part.nodes);
            }
        }
        directories
    }

    /// A `files` check records files, links and special files; of directories only those that could not be read.
    fn shows(&self, own: &Result<Record, Unverified>) -> bool {
        match own {
            Ok(record) => self.kind == Kind::Trees || !matches!(record.content, Content::Directory { .. }),
            Err(_) => true,
        }
    }
}

struct Frame {
    directory: DirectoryId,
    /// The next node to show.
    next: usize,
    /// Directories among the nodes shown, whose contents still wait. Each is a prefix of the one behind it, so the
    /// last one's contents come first.
    waiting: Vec<usize>,
}

/// See [`Tree::entries`].
pub struct TreeEntries<'a> {
    tree: &'a Tree,
    directories: &'a [Listing],
    path: Vec<u8>,
    frames: Vec<Frame>,
    /// Length of the path of the directory that the last frame stands for.
    parent: usize,
}

/// Whether everything below `directory` sorts before the sibling `name`.
fn contents_sort_before(directory: &[u8], name: &[u8]) -> bool {
    directory.iter().chain(b"/").lt(name.iter())
}

impl<'a> TreeEntries<'a> {
    /// The next entry of the tree, shown or not.
    fn step(&mut self) -> Option<&'a State> {
        loop {
            let frame = self.frames.last_mut()?;
            let listing = &self.directories[frame.directory as usize];
            let upcoming = listing.node(frame.next);
            if let Some(&waiting) = frame.waiting.last()
                && let Some((directory, state)) = listing.node(waiting)
                && upcoming.is_none_or(|(name, _)| contents_sort_before(directory, name))
            {
                frame.waiting.pop();
                if let State::Directory(id) = state {
                    self.path.truncate(self.parent);
                    push_name(&mut self.path, directory);
                    self.parent = self.path.len();
                    self.frames.push(Frame { directory: *id, next: 0, waiting: Vec::new() });
                }
                continue;
            }
            if let Some((name, state)) = upcoming {
                if matches!(state, State::Directory(_)) {
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
                Some(State::Recorded(record)) => break Ok(record),
                Some(State::Touched(record)) => break Ok(&**record),
                Some(State::Unverified(reason)) => break Err(&**reason),
                Some(State::Pending(_)) => break Err(&tree.left),
                Some(State::Directory(id)) => {
                    let own = self.directories[*id as usize].own.as_ref();
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
