//! Listings of directories that were read before.
//!
//! A listing is a statement about an inode, as a [`Fact`](super::Fact) is: while this directory had these times, these
//! names were in it, each of this type. It says nothing of what they are: whoever takes a listing from here looks at each
//! name in it all the same.

use rustix::fs::FileType;

use super::Stamp;

/// The types of names, and the numbers that stand for them: those of `d_type` in `getdents64(2)`.
pub const TYPES: [(FileType, u8); 7] = [
    (FileType::Fifo, 1),
    (FileType::CharacterDevice, 2),
    (FileType::Directory, 4),
    (FileType::BlockDevice, 6),
    (FileType::RegularFile, 8),
    (FileType::Symlink, 10),
    (FileType::Socket, 12),
];

fn file_type(number: u8) -> Option<FileType> {
    TYPES.iter().find(|(_, known)| *known == number).map(|(file_type, _)| *file_type)
}

/// The names in one directory as they come, each with its type.
#[derive(Debug, Default)]
pub struct Names {
    /// For each, its type, its length and itself.
    bytes: Vec<u8>,
    /// Whether one of them can't be written down.
    unfit: bool,
}

impl Names {
    /// Adds a name, in any order.
    pub fn push(&mut self, listed: FileType, name: &[u8]) {
        let number = TYPES.iter().find(|(known, _)| *known == listed).map(|(_, number)| *number);
        match (number, u8::try_from(name.len())) {
            (Some(number), Ok(length)) => {
                self.bytes.extend_from_slice(&[number, length]);
                self.bytes.extend_from_slice(name);
            }
            _ => self.unfit = true,
        }
    }
}

/// One name off the front of such bytes: its type's number, itself, and what is behind it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[number, length], rest) = bytes.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(length.into())?;
    Some((number, name, rest))
}

/// All names in such bytes, as far as they are right.
fn each(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> + Clone {
    std::iter::from_fn(move || {
        let (number, name, rest) = split(bytes)?;
        bytes = rest;
        Some((number, name))
    })
}

/// Whether bytes are names as a directory can have them, sorted, each once.
fn are_names(mut bytes: &[u8]) -> bool {
    let mut before: &[u8] = b"";
    while !bytes.is_empty() {
        let Some((number, name, rest)) = split(bytes) else { return false };
        // The empty name is not behind itself, so it is refused here too.
        let fits = name > before
            && !name.iter().any(|&byte| byte == b'/' || byte == 0)
            && !matches!(name, b"." | b"..")
            && file_type(number).is_some();
        if !fits {
            return false;
        }
        (before, bytes) = (name, rest);
    }
    true
}

/// A directory, and where its names are among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    stamp: Stamp,
    start: usize,
    length: u32,
}

/// Listings of directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listings {
    directories: Vec<Listed>,
    names: Vec<u8>,
}

impl Listings {
    /// Adds a directory whose names were just read, unless one of them is none that can be kept.
    pub fn push(&mut self, stamp: Stamp, names: &Names) {
        let mut sorted: Vec<(&[u8], u8)> = each(&names.bytes).map(|(number, name)| (name, number)).collect();
        sorted.sort_unstable();
        let start = self.names.len();
        for (name, number) in sorted {
            // A length that was written as one byte is one.
            self.names.extend_from_slice(&[number, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            self.names.extend_from_slice(name);
        }
        match u32::try_from(self.names.len() - start) {
            Ok(length) if !names.unfit && are_names(&self.names[start..]) => {
                self.directories.push(Listed { stamp, start, length });
            }
            _ => self.names.truncate(start),
        }
    }

    /// What [`written`](Self::written) gave: the stamps, each with the length of its names, and all names in a row.
    /// Nothing if they are not as it gives them, sorted by inode.
    #[must_use]
    pub fn from_written(stamps: Vec<(Stamp, u32)>, names: Vec<u8>) -> Option<Self> {
        let mut start = 0;
        let mut directories: Vec<Listed> = Vec::with_capacity(stamps.len());
        for (stamp, length) in stamps {
            let end = length as usize + start;
            let in_order = directories.last().is_none_or(|before| before.stamp.inode < stamp.inode);
            if !in_order || !are_names(names.get(start..end)?) {
                return None;
            }
            directories.push(Listed { stamp, start, length });
            start = end;
        }
        (start == names.len()).then_some(Self { directories, names })
    }

    /// Each directory's stamp, and its names as bytes of which there is one form only.
    pub fn written(&self) -> impl Iterator<Item = (&Stamp, &[u8])> {
        self.directories.iter().map(|listed| (&listed.stamp, self.bytes(listed)))
    }

    fn bytes(&self, listed: &Listed) -> &[u8] {
        &self.names[listed.start..][..listed.length as usize]
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.directories.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Where the directory with this stamp stands, among directories that are sorted by inode.
    #[must_use]
    pub fn find(&self, stamp: &Stamp) -> Option<u32> {
        let at = self.directories.binary_search_by_key(&stamp.inode, |listed| listed.stamp.inode).ok()?;
        if self.directories[at].stamp == *stamp { u32::try_from(at).ok() } else { None }
    }

    /// The names in the directory that stands there, sorted by their bytes, each with its type.
    pub fn names(&self, at: u32) -> impl Iterator<Item = (FileType, &[u8])> + Clone {
        let bytes = self.directories.get(at as usize).map_or(&[][..], |listed| self.bytes(listed));
        each(bytes).filter_map(|(number, name)| Some((file_type(number)?, name)))
    }

    /// Adds the directories of another.
    pub fn append(&mut self, other: &mut Self) {
        let behind = self.names.len();
        self.names.append(&mut other.names);
        let moved = |listed: Listed| Listed { start: listed.start + behind, ..listed };
        self.directories.extend(other.directories.drain(..).map(moved));
    }

    /// Those that stand at the places `kept`, and those that were learnt, sorted by inode.
    #[must_use]
    pub fn merged(&self, kept: impl Iterator<Item = usize>, learned: &Self) -> Self {
        let mut all: Vec<(&Stamp, &[u8])> = kept
            .filter_map(|at| self.directories.get(at))
            .map(|listed| (&listed.stamp, self.bytes(listed)))
            .chain(learned.written())
            .collect();
        all.sort_unstable_by_key(|&(stamp, bytes)| (stamp.inode, stamp.changed, bytes));
        all.dedup();
        let mut merged = Self::default();
        for same in all.chunk_by(|(a, _), (b, _)| a.inode == b.inode) {
            // One of which two different things were learnt has changed since.
            if let [(stamp, bytes)] = same {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                merged.directories.push(Listed { stamp: **stamp, start: merged.names.len(), length });
                merged.names.extend_from_slice(bytes);
            }
        }
        merged
    }
}
