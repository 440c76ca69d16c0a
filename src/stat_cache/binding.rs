//! What a cache belongs to, as one digest. A cache with another binding is thrown away, not asked why.

use super::location::Root;
use crate::baseline::Baseline;
use crate::capability::RunIdentity;
use crate::declaration::Check;
use crate::digest::Sha256;
use crate::manifest::Sha256Digest;

/// A binding in the making. Each part goes in with its length, so that no two lists of parts make the same bytes.
#[derive(Debug)]
pub struct Binding(Sha256);

impl Binding {
    /// Begins with the program and with who runs: a cache must not answer for files that this user could not read.
    /// The boot is in it since device numbers mean something in one boot only.
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

    /// Adds where the locks are.
    pub fn locks(&mut self, root: Option<&Root>) {
        self.add(&place(root));
    }

    /// Adds a check: what it reads, from where, and the lock that it is compared with (if there is one that can be).
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

/// Where a directory is, as bytes.
fn place(root: Option<&Root>) -> Vec<u8> {
    let place = root.map(|root| {
        let (major, minor) = root.device;
        [u64::from(major), u64::from(minor), root.inode, root.file_system].map(u64::to_le_bytes).concat()
    });
    place.unwrap_or_default()
}
