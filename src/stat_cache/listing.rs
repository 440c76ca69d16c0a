//! Cached directory listings.
//!
//! A listing is a statement about an inode, as a [`CachedDigest`](super::CachedDigest) is: while this directory had these times, it
//! contained these names, each with this type and this inode. It does not describe their present state, so the walk
//! still looks at each name.

use rustix::fs::FileType;

/// The types of names, with their numbers: those of `d_type` in `getdents64(2)`.
pub const TYPES: [(FileType, u8); 7] = [
    (FileType::Fifo, 1),
    (FileType::CharacterDevice, 2),
    (FileType::Directory, 4),
    (FileType::BlockDevice, 6),
    (FileType::RegularFile, 8),
    (FileType::Symlink, 10),
    (FileType::Socket, 12),
];

/// The bytes that a name takes beside itself: its type, its length, and its inode.
const BESIDE: usize = 1 + 1 + 8;

/// What a directory says of a name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub file_type: FileType,
    /// If something is mounted over the name, this is not the inode of the mount.
    pub inode: u64,
}

/// The names in a directory, in the order of reading.
#[derive(Debug, Default)]
pub struct Names {
    /// For each name: type, length, inode, and the name itself.
    bytes: Vec<u8>,
    /// One of the names can't be encoded.
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

    /// The names sorted, in their only encoding; `None` if one of them can't be encoded.
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

/// The first name of an encoded listing.
struct One<'a> {
    number: u8,
    inode: [u8; 8],
    name: &'a [u8],
    /// Its whole encoding.
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
    // The most frequent types come first.
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

/// Whether these bytes encode valid names, sorted and without duplicates.
#[must_use]
pub fn are_names(mut bytes: &[u8]) -> bool {
    let mut before: &[u8] = b"";
    while !bytes.is_empty() {
        let Some(One { number, name, behind, .. }) = split(bytes) else { return false };
        // Without an early exit, the compiler can check several bytes at once.
        let or_bad = |bad: bool, &byte: &u8| bad | (byte == b'/') | (byte == 0);
        // This also refuses the empty name, which does not sort after itself.
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

/// Whether these bytes can be the target of a link whose status has `size`.
#[must_use]
pub fn is_target(bytes: &[u8], size: u64) -> bool {
    bytes.len() as u64 == size && !bytes.is_empty() && !bytes.contains(&0)
}
