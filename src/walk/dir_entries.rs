//! The names in one directory, and the state of each.

use super::tree::EntryState;

/// The names in one directory, and the state of each.
///
/// All names share one allocation: a million small ones take time and memory.
#[derive(Debug, Default)]
pub struct DirEntries {
    names: Vec<u8>,
    nodes: Vec<DirEntry>,
}

#[derive(Debug)]
struct DirEntry {
    /// Where its name starts in `names`.
    start: usize,
    length: u32,
    state: EntryState,
}

impl DirEntry {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        &names[self.start..][..self.length as usize]
    }
}

impl DirEntries {
    pub fn push(&mut self, name: &[u8], state: EntryState) {
        // The kernel's longest names have a few hundred bytes.
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        self.nodes.push(DirEntry { start: self.names.len(), length, state });
        self.names.extend_from_slice(name);
    }

    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn get(&self, index: usize) -> Option<(&[u8], &EntryState)> {
        let node = self.nodes.get(index)?;
        Some((node.name(&self.names), &node.state))
    }

    /// Sets the state of the name at a valid index.
    pub fn put(&mut self, index: usize, state: EntryState) {
        self.nodes[index].state = state;
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut EntryState)> {
        self.nodes.iter_mut().map(|node| (node.name(&self.names), &mut node.state))
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
        for node in self.nodes.drain(at..) {
            behind.push(node.name(&self.names), node.state);
        }
        behind
    }

    pub fn shrink_to_fit(&mut self) {
        self.nodes.shrink_to_fit();
        self.names.shrink_to_fit();
    }
}
