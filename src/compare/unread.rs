//! What could not be read on either side: all that the other side has below such a path is unverified too.

/// Of each side. A lock has none.
#[derive(Default)]
pub(super) struct Opaque {
    pub expected: Unread,
    pub actual: Unread,
}

/// Paths that could not be read, and that the path of an entry begins with, each the beginning of the next one. Entries come
/// in the order of their bytes, so what begins with a path follows it at once: what the next one does not begin with is
/// done.
#[derive(Default)]
pub(super) struct Unread(Vec<Box<[u8]>>);

impl Unread {
    pub fn add(&mut self, path: &[u8]) {
        self.forget(path);
        self.0.push(path.into());
    }

    /// The outermost directory of a path that could not be read.
    pub fn above<'a>(&mut self, path: &'a [u8]) -> Option<&'a [u8]> {
        self.forget(path);
        let above = self.0.iter().find(|above| path.get(above.len()) == Some(&b'/'))?;
        path.get(..above.len())
    }

    fn forget(&mut self, path: &[u8]) {
        while self.0.pop_if(|last| !path.starts_with(last)).is_some() {}
    }
}
