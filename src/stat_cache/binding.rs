//! The binding: one digest of everything that a cache belongs to. A cache with another binding is discarded.

use super::location::Root;
use crate::baseline::Baseline;
use crate::capability::RunIdentity;
use crate::declaration::Check;
use crate::digest::Sha256;
use crate::manifest::Sha256Digest;

/// A binding under construction. Each part is hashed with its length, so that different lists of parts give different
/// bytes.
#[derive(Debug)]
pub struct Binding(Sha256);

impl Binding {
    /// Starts with the program and the user: a cache must not answer for files that this user can't read. The boot is
    /// included because device numbers are valid only within one boot.
    #[must_use]
    pub fn new(identity: &RunIdentity) -> Self {
        let RunIdentity { user, group, groups, boot, now: _, booted: _ } = identity;
        let mut binding = Self(Sha256::new());
        binding.add(env!("CARGO_PKG_VERSION").as_bytes());
        binding.add(&user.to_le_bytes());
        binding.add(&group.to_le_bytes());
        binding.list(groups.iter().map(|group| group.to_le_bytes()));
        binding.add(boot);
        binding
    }

    /// Adds the locks directory.
    pub fn locks(&mut self, root: Option<&Root>) {
        self.add(&place(root));
    }

    /// Adds a check: what it reads, its root, and its lock, if it has one to compare with.
    pub fn check(&mut self, check: &Check, root: Option<&Root>, baseline: Option<&Baseline>) {
        self.add(check.name.as_bytes());
        self.add(check.kind.name().as_bytes());
        self.add(&place(root));
        self.list(check.selection.include.iter());
        self.list(check.selection.exclude.iter());
        self.list(check.attributes.names());
        self.add(&[u8::from(check.one_file_system), u8::from(check.strict)]);
        self.add(check.lock.name.as_bytes());
        self.add(&baseline.map(Baseline::identity).unwrap_or_default());
    }

    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        self.0.finish()
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn list<T: AsRef<[u8]>>(&mut self, parts: impl Iterator<Item = T>) {
        let parts: Vec<T> = parts.collect();
        self.add(&(parts.len() as u64).to_le_bytes());
        for part in &parts {
            self.add(part.as_ref());
        }
    }
}

/// Identifies a directory, as bytes.
fn place(root: Option<&Root>) -> Vec<u8> {
    let place = root.map(|root| {
        let (major, minor) = root.device;
        [u64::from(major), u64::from(minor), root.inode, root.file_system].map(u64::to_le_bytes).concat()
    });
    place.unwrap_or_default()
}
