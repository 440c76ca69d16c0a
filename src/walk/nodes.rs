//! The names in one directory, and what became of each.

use super::tree::State;

/// Names in one directory, and what became of each.
///
/// All names are in one piece of memory, since one of its own for each of a million takes time and room.
#[derive(Debug, Default)]
pub struct Nodes {
    names: Vec<u8>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    /// Where its name is.
    start: usize,
    length: u32,
    state: State,
}

impl Node {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        &names[self.start..][..self.length as usize]
    }
}

impl Nodes {
    pub fn push(&mut self, name: &[u8], state: State) {
        // The kernel's longest names have some hundred bytes.
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { start: self.names.len(), length, state });
        self.names.extend_from_slice(name);
    }

    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn get(&self, index: usize) -> Option<(&[u8], &State)> {
        let node = self.nodes.get(index)?;
        Some((node.name(&self.names), &node.state))
    }

    /// Says what became of the name at a place where there is one.
    pub fn put(&mut self, index: usize, state: State) {
        self.nodes[index].state = state;
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut State)> {
        self.nodes.iter_mut().map(|node| (node.name(&self.names), &mut node.state))
    }

    /// Sorts by the bytes of the names.
    pub fn sort(&mut self) {
        let names = &self.names;
        self.nodes.sort_unstable_by(|a, b| a.name(names).cmp(b.name(names)));
    }

    /// Makes room for so many names, of so many bytes in all.
    pub fn reserve(&mut self, nodes: usize, bytes: usize) {
        self.nodes.reserve_exact(nodes);
        self.names.reserve_exact(bytes);
    }

    /// Takes off what is behind `at`, with room for itself alone. The names of that stay here.
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
