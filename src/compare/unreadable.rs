//! Tracks what could not be read on either side. Everything that the other side has below such a path is unverified
//! too.

/// The unreadable paths of each side. A lock has none.
#[derive(Default)]
pub(super) struct UnreadableDirs {
    pub expected: PathStack,
    pub actual: PathStack,
}

/// The unreadable paths that are prefixes of the current path, each a prefix of the next. Entries come in byte order,
/// so everything with a given prefix is contiguous: a prefix that the current path does not have is done.
#[derive(Default)]
pub(super) struct PathStack(Vec<Box<[u8]>>);

impl PathStack {
    pub fn add(&mut self, path: &[u8]) {
        self.forget(path);
        self.0.push(path.into());
    }

    /// The outermost unreadable directory above a path.
    pub fn above<'a>(&mut self, path: &'a [u8]) -> Option<&'a [u8]> {
        self.forget(path);
        let above = self.0.iter().find(|above| path.get(above.len()) == Some(&b'/'))?;
        path.get(..above.len())
    }

    fn forget(&mut self, path: &[u8]) {
        while self.0.pop_if(|last| !path.starts_with(last)).is_some() {}
    }
}
