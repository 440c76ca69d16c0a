//! The names in one directory, and the state of each.

use rustix::fs::{FileType, RawMode};

use super::tree::{DirectoryId, EntryState};
use crate::manifest::{Attributes, Content, Record, Sha256Digest};
use crate::stat_cache::listing::Listed;

/// The names in one directory, and the state of each.
///
/// All names share one allocation, and a plain file takes 44 bytes beside its name: a million small ones take time and
/// memory.
#[derive(Debug, Default)]
pub struct DirEntries {
    names: Vec<u8>,
    nodes: Vec<Node>,
    /// Files that do not fit into a [`Node`].
    files: Vec<LargeRecord>,
    /// States of anything that is no file.
    others: Vec<EntryState>,
}

/// The state of an entry, as it is read.
#[derive(Clone, Copy, Debug)]
pub enum EntryRef<'a> {
    File {
        executable: bool,
        size: u64,
        sha256: Sha256Digest,
        attributes: &'a Option<Box<Attributes>>,
    },
    Directory(DirectoryId),
    Pending(Listed),
    /// None of those above.
    Other(&'a EntryState),
}

/// A name and its state.
#[derive(Debug)]
struct Node {
    /// Where its name starts in `names`: the low 32 bits, and the high 8 in `start_high`.
    start: u32,
    /// What the tag makes of it: a size, a [`DirectoryId`], or an index.
    number: u32,
    /// A digest, or the inode of a pending entry.
    data: [u8; 32],
    length: u16,
    start_high: u8,
    tag: Tag,
}

#[derive(Clone, Copy, Debug)]
enum Tag {
    /// `number` is the size.
    File,
    Executable,
    /// `number` is an index into `files`.
    LargeRecord,
    Directory,
    /// `number` is the type.
    Pending,
    /// `number` is an index into `others`.
    Other,
}

/// A file with attributes, or of 4 GiB and more. Its digest is in the [`Node`].
#[derive(Debug)]
struct LargeRecord {
    size: u64,
    attributes: Option<Box<Attributes>>,
    executable: bool,
}

impl Node {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize | usize::from(self.start_high) << 32;
        &names[start..][..self.length as usize]
    }

    /// What a pending entry was listed as.
    fn listed(&self) -> Listed {
        let inode = self.data.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        Listed { file_type: FileType::from_raw_mode(RawMode::from(self.number)), inode }
    }
}

impl DirEntries {
    /// Adds a name of at most 65,535 bytes, which no kernel exceeds.
    pub fn push(&mut self, name: &[u8], state: EntryState) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let (tag, number, data) = self.packed(state);
        self.nodes.push(Node {
            // The rest is in `start_high`.
            start: start as u32,
            start_high: (start >> 32) as u8,
            length: u16::try_from(name.len()).unwrap_or(u16::MAX),
            number,
            data,
            tag,
        });
    }

    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn get(&self, index: usize) -> Option<(&[u8], EntryRef<'_>)> {
        let node = self.nodes.get(index)?;
        Some((node.name(&self.names), self.state(node)))
    }

    /// Sets the state of the name at a valid index.
    pub fn put(&mut self, index: usize, state: EntryState) {
        let (tag, number, data) = self.packed(state);
        let node = &mut self.nodes[index];
        (node.tag, node.number, node.data) = (tag, number, data);
    }

    /// Replaces states: that of each name for which `change` returns one.
    pub fn update(&mut self, mut change: impl FnMut(&[u8], EntryRef<'_>) -> Option<EntryState>) {
        for index in 0..self.len() {
            let state = self.get(index).and_then(|(name, state)| change(name, state));
            state.into_iter().for_each(|state| self.put(index, state));
        }
    }

    /// Sorts by the bytes of the names.
    pub fn sort(&mut self) {
        let names = &self.names;
        self.nodes.sort_unstable_by(|a, b| a.name(names).cmp(b.name(names)));
    }

    /// Reserves memory for so many names, of so many bytes together.
    pub fn reserve(&mut self, nodes: usize, bytes: usize) {
        self.nodes.reserve_exact(nodes);
        self.names.reserve_exact(bytes);
    }

    /// Splits off the names from `at` on, into an allocation of their own size. The bytes of their names stay here too.
    pub fn split_off(&mut self, at: usize) -> Self {
        let mut behind = Self::default();
        let bytes = self.nodes[at..].iter().map(|node| node.length as usize).sum();
        behind.reserve(self.nodes.len() - at, bytes);
        for node in self.nodes.split_off(at) {
            let state = self.take(&node);
            behind.push(node.name(&self.names), state);
        }
        behind
    }

    pub fn shrink_to_fit(&mut self) {
        self.nodes.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    fn state(&self, node: &Node) -> EntryRef<'_> {
        let small = |executable| EntryRef::File {
            executable,
            size: node.number.into(),
            sha256: Sha256Digest(node.data),
            attributes: &None,
        };
        match node.tag {
            Tag::File => small(false),
            Tag::Executable => small(true),
            Tag::LargeRecord => {
                let LargeRecord { size, attributes, executable } = &self.files[node.number as usize];
                let sha256 = Sha256Digest(node.data);
                EntryRef::File { executable: *executable, size: *size, sha256, attributes }
            }
            Tag::Directory => EntryRef::Directory(node.number),
            Tag::Pending => EntryRef::Pending(node.listed()),
            Tag::Other => EntryRef::Other(&self.others[node.number as usize]),
        }
    }

    /// The state of a node that is no longer used.
    fn take(&mut self, node: &Node) -> EntryState {
        match node.tag {
            Tag::File | Tag::Executable => EntryState::Recorded(Record {
                content: Content::File {
                    executable: matches!(node.tag, Tag::Executable),
                    size: node.number.into(),
                    sha256: Sha256Digest(node.data),
                },
                attributes: None,
            }),
            Tag::LargeRecord => {
                let LargeRecord { size, attributes, executable } = &mut self.files[node.number as usize];
                let content = Content::File { executable: *executable, size: *size, sha256: Sha256Digest(node.data) };
                EntryState::Recorded(Record { content, attributes: attributes.take() })
            }
            Tag::Directory => EntryState::Directory(node.number),
            Tag::Pending => EntryState::Pending(node.listed()),
            Tag::Other => {
                std::mem::replace(&mut self.others[node.number as usize], EntryState::Directory(DirectoryId::MAX))
            }
        }
    }

    /// What a [`Node`] stores of a state.
    fn packed(&mut self, state: EntryState) -> (Tag, u32, [u8; 32]) {
        // A chunk has far fewer than 2^32 entries.
        let next = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        match state {
            EntryState::Recorded(Record { content: Content::File { executable, size, sha256 }, attributes }) => {
                match u32::try_from(size) {
                    Ok(size) if attributes.is_none() => {
                        (if executable { Tag::Executable } else { Tag::File }, size, sha256.0)
                    }
                    _ => {
                        let number = next(self.files.len());
                        self.files.push(LargeRecord { size, attributes, executable });
                        (Tag::LargeRecord, number, sha256.0)
                    }
                }
            }
            EntryState::Directory(id) => (Tag::Directory, id, [0; 32]),
            EntryState::Pending(Listed { file_type, inode }) => {
                let mut data = [0; 32];
                data[..8].copy_from_slice(&inode.to_ne_bytes());
                (Tag::Pending, file_type.as_raw_mode(), data)
            }
            state => {
                let number = next(self.others.len());
                self.others.push(state);
                (Tag::Other, number, [0; 32])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::Unverified;

    fn states() -> impl Strategy<Value = EntryState> {
        let size = prop_oneof![Just(0), Just(u64::from(u32::MAX)), Just(1 << 32), any::<u64>()];
        let attributes = prop_oneof![
            Just(None),
            any::<u16>().prop_map(|mode| Some(Box::new(Attributes { mode: Some(mode), ..Attributes::default() })))
        ];
        let file =
            (any::<bool>(), size, any::<[u8; 32]>(), attributes).prop_map(|(executable, size, sha256, attributes)| {
                let content = Content::File { executable, size, sha256: Sha256Digest(sha256) };
                EntryState::Recorded(Record { content, attributes })
            });
        let types =
            [FileType::RegularFile, FileType::Directory, FileType::Symlink, FileType::Socket, FileType::Unknown];
        let pending = (proptest::sample::select(types.to_vec()), any::<u64>())
            .prop_map(|(file_type, inode)| EntryState::Pending(Listed { file_type, inode }));
        prop_oneof![
            4 => file,
            2 => pending,
            1 => any::<u32>().prop_map(EntryState::Directory),
            1 => Just(EntryState::Recorded(Record { content: Content::Fifo, attributes: None })),
            1 => Just(EntryState::unverified(Unverified::Vanished)),
        ]
    }

    /// As text, since states can't be compared.
    fn shown(state: EntryRef<'_>) -> String {
        match state {
            EntryRef::File { executable, size, sha256, attributes } => {
                let content = Content::File { executable, size, sha256 };
                format!("{:?}", EntryState::Recorded(Record { content, attributes: attributes.clone() }))
            }
            EntryRef::Directory(id) => format!("{:?}", EntryState::Directory(id)),
            EntryRef::Pending(listed) => format!("{:?}", EntryState::Pending(listed)),
            EntryRef::Other(state) => format!("{state:?}"),
        }
    }

    proptest! {
        #[test]
        fn what_is_put_comes_out_again(
            names in proptest::collection::btree_map("[a-z]{1,9}", (states(), states()), 1..40),
            at: proptest::sample::Index,
        ) {
            let mut entries = DirEntries::default();
            // Backwards, so that there is something to sort.
            for (name, (first, _)) in names.iter().rev() {
                let pushed = first.clone();
                entries.push(name.as_bytes(), pushed);
            }
            entries.sort();
            let at = at.index(names.len());
            let mut behind = entries.split_off(at);
            let all = |entries: &DirEntries, behind: &DirEntries| -> Vec<(Vec<u8>, String)> {
                [entries, behind]
                    .into_iter()
                    .flat_map(|part| (0..part.len()).filter_map(|index| part.get(index)))
                    .map(|(name, state)| (name.to_vec(), shown(state)))
                    .collect()
            };
            let expected: Vec<_> =
                names.iter().map(|(name, (first, _))| (name.clone().into_bytes(), format!("{first:?}"))).collect();
            prop_assert_eq!(all(&entries, &behind), expected);
            for (index, (_, (_, second))) in names.iter().enumerate() {
                match index.checked_sub(at) {
                    None => entries.put(index, second.clone()),
                    Some(index) => behind.put(index, second.clone()),
                }
            }
            let expected: Vec<_> =
                names.iter().map(|(name, (_, second))| (name.clone().into_bytes(), format!("{second:?}"))).collect();
            prop_assert_eq!(all(&entries, &behind), expected);
        }
    }

    #[test]
    fn a_plain_file_takes_44_bytes() {
        assert_eq!(size_of::<Node>(), 44);
    }
}
