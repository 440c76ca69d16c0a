//! What is kept of a directory: the names in it.
//!
//! A listing is a statement about an inode, as a [`Fact`](super::Fact) is: while this directory had these times, these
//! names were in it, each of this type and with this inode. It says nothing of what they are now: each name in a
//! listing from here is looked at all the same.

use rustix::fs::FileType;

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

/// The bytes of a name beside itself: its type, its length, and its inode.
const BESIDE: usize = 1 + 1 + 8;

/// What a directory says of a name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub file_type: FileType,
    /// Where something is mounted over the name, not that of what is seen there.
    pub inode: u64,
}

/// The names in one directory as they come.
#[derive(Debug, Default)]
pub struct Names {
    /// Of each, its type, its length, its inode and itself.
    bytes: Vec<u8>,
    /// Whether one of them can't be written down.
    unfit: bool,
}

impl Names {
    /// Adds a name, in any order.
    pub fn push(&mut self, listed: Listed, name: &[u8]) {
        let number = TYPES.iter().find(|(known, _)| *known == listed.file_type).map(|(_, number)| *number);
        match (number, u8::try_from(name.len())) {
            (Some(number), Ok(length)) => {
                self.bytes.extend_from_slice(&[number, length]);
                self.bytes.extend_from_slice(&listed.inode.to_le_bytes());
                self.bytes.extend_from_slice(name);
            }
            _ => self.unfit = true,
        }
    }

    /// The names sorted, as the bytes of which there is one form only; nothing if one of them can't be kept.
    #[must_use]
    pub fn sorted(&self) -> Option<Vec<u8>> {
        let mut names: Vec<(&[u8], &[u8])> = std::iter::successors(split(&self.bytes), |one| split(one.behind))
            .map(|one| (one.name, one.bytes))
            .collect();
        names.sort_unstable();
        let sorted = names.into_iter().flat_map(|(_, bytes)| bytes).copied().collect::<Vec<u8>>();
        (!self.unfit && are_names(&sorted)).then_some(sorted)
    }
}

/// One name off the front of such bytes.
struct One<'a> {
    number: u8,
    inode: [u8; 8],
    name: &'a [u8],
    /// All of it.
    bytes: &'a [u8],
    behind: &'a [u8],
}

fn split(bytes: &[u8]) -> Option<One<'_>> {
    let (&[number, length], rest) = bytes.split_first_chunk()?;
    let (&inode, rest) = rest.split_first_chunk()?;
    let (name, behind) = rest.split_at_checked(length.into())?;
    Some(One { number, inode, name, bytes: &bytes[..BESIDE + name.len()], behind })
}

fn file_type(number: u8) -> Option<FileType> {
    // Nearly all are these.
    match number {
        8 => Some(FileType::RegularFile),
        4 => Some(FileType::Directory),
        _ => TYPES.iter().find(|(_, known)| *known == number).map(|(file_type, _)| *file_type),
    }
}

/// The names in a listing, sorted by their bytes.
pub fn names(mut bytes: &[u8]) -> impl Iterator<Item = (Listed, &[u8])> + Clone {
    std::iter::from_fn(move || {
        let One { number, inode, name, behind, .. } = split(bytes)?;
        bytes = behind;
        Some((Listed { file_type: file_type(number)?, inode: u64::from_le_bytes(inode) }, name))
    })
}

/// Whether bytes are names as a directory can have them, sorted, each once.
#[must_use]
pub fn are_names(mut bytes: &[u8]) -> bool {
    let mut before: &[u8] = b"";
    while !bytes.is_empty() {
        let Some(One { number, name, behind, .. }) = split(bytes) else { return false };
        // Without a way out in the middle, several bytes are looked at at once.
        let or_bad = |bad: bool, &byte: &u8| bad | (byte == b'/') | (byte == 0);
        // The empty name is not behind itself, so it is refused here too.
        let fits = name > before
            && !name.iter().fold(false, or_bad)
            && !matches!(name, b"." | b"..")
            && file_type(number).is_some();
        if !fits {
            return false;
        }
        (before, bytes) = (name, behind);
    }
    true
}

/// Whether bytes are the target of a link as it can have one whose status says `size`.
#[must_use]
pub fn is_target(bytes: &[u8], size: u64) -> bool {
    bytes.len() as u64 == size && !bytes.is_empty() && !bytes.contains(&0)
}
