//! What a walk found, kept by directory: names are stored once, however deep they lie.
//!
//! The entries come out in the one order of paths, that of their bytes, without any sort over whole paths: everything
//! below a directory `d` sorts as `d/`, so a directory's own entry and its contents are two items among its siblings.

use rustix::fs::FileType;

use crate::manifest::{Content, Entries, Kind, LockError, Observed, Record, Unverified};

/// Names of one directory that one worker takes at once; a directory with more is shared.
pub const PART: usize = 1024;

/// A directory's place in [`Tree`]; the root is 0.
pub type DirectoryId = u32;

/// One name in a directory.
#[derive(Debug)]
pub struct Node {
    pub name: Box<[u8]>,
    pub state: State,
}

/// What became of a name.
#[derive(Debug)]
pub enum State {
    Recorded(Record),
    // Boxed, since it is rare and the record is what there are a million of.
    Unverified(Box<Unverified>),
    /// A directory: its own record is in its [`Listing`].
    Directory(DirectoryId),
    /// Listed as this type, and not looked at yet. None is left when a walk has ended.
    Pending(FileType),
}

impl State {
    pub fn unverified(reason: Unverified) -> Self {
        Self::Unverified(Box::new(reason))
    }
}

/// What a directory holds, sorted by name.
#[derive(Debug, Default)]
pub struct Listing {
    /// The directory itself. Nothing for the root, which is no entry.
    pub own: Option<Result<Record, Unverified>>,
    pub nodes: Vec<Node>,
    /// What is behind `nodes` in a directory that was shared: all of them parts of [`PART`] names, save the last. They
    /// are not joined, since then a large directory would be there twice for a moment.
    pub more: Vec<Vec<Node>>,
}

impl Listing {
    fn node(&self, index: usize) -> Option<&Node> {
        match index.checked_sub(self.nodes.len()) {
            None => self.nodes.get(index),
            Some(behind) => self.more.get(behind / PART)?.get(behind % PART),
        }
    }
}

/// Everything that a walk found below one root.
#[derive(Debug)]
pub struct Tree {
    kind: Kind,
    directories: Vec<Listing>,
}

impl Tree {
    /// `directories[0]` is the root. Each listing is sorted by name.
    #[must_use]
    pub fn new(kind: Kind, directories: Vec<Listing>) -> Self {
        Self { kind, directories }
    }

    /// All entries in the one order of paths.
    #[must_use]
    pub fn entries(&self) -> TreeEntries<'_> {
        TreeEntries {
            tree: self,
            path: Vec::new(),
            frames: vec![Frame { directory: 0, next: 0, waiting: Vec::new() }],
            parent: 0,
        }
    }

    fn listing(&self, id: DirectoryId) -> &Listing {
        &self.directories[id as usize]
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
            let tree = self.tree;
            let frame = self.frames.last_mut()?;
            let listing = tree.listing(frame.directory);
            let upcoming = listing.node(frame.next);
            if let Some(&waiting) = frame.waiting.last()
                && let Some(directory) = listing.node(waiting)
                && upcoming.is_none_or(|node| contents_sort_before(&directory.name, &node.name))
            {
                frame.waiting.pop();
                if let State::Directory(id) = directory.state {
                    self.path.truncate(self.parent);
                    push_name(&mut self.path, &directory.name);
                    self.parent = self.path.len();
                    self.frames.push(Frame { directory: id, next: 0, waiting: Vec::new() });
                }
                continue;
            }
            if let Some(node) = upcoming {
                if matches!(node.state, State::Directory(_)) {
                    frame.waiting.push(frame.next);
                }
                frame.next += 1;
                self.path.truncate(self.parent);
                push_name(&mut self.path, &node.name);
                return Some(&node.state);
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
                Some(State::Unverified(reason)) => break Err(&**reason),
                Some(State::Pending(_)) => break Err(&Unverified::Vanished),
                Some(State::Directory(id)) => {
                    let own = tree.listing(*id).own.as_ref();
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
