//! The file of a lock, and a record of what was read of it.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::File;

use crate::digest::{Sha256, Sha256Digest};

/// The locks that were read to their ends, by their paths below the locks directory, each with the digest of its bytes. A
/// lock that was read twice is there twice.
#[derive(Clone, Debug, Default)]
pub struct LockReads(Arc<Mutex<Vec<(String, Sha256Digest)>>>);

impl LockReads {
    /// All of them so far.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Sha256Digest)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, path: String, digest: Sha256Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, digest));
    }
}

/// The file of a lock. If reads are recorded, the digest is that of the bytes that were parsed, not of a second read.
#[derive(Debug)]
pub struct LockSource {
    file: File,
    /// Until the end was read.
    record: Option<Record>,
    is_recorded: bool,
}

#[derive(Debug)]
struct Record {
    path: String,
    hasher: Sha256,
    reads: LockReads,
}

impl LockSource {
    /// Records what is read, under this path.
    #[must_use]
    pub fn recorded(file: File, path: &str, reads: &LockReads) -> Self {
        let record = Record { path: path.to_owned(), hasher: Sha256::new(), reads: reads.clone() };
        Self { file, record: Some(record), is_recorded: true }
    }

    /// How large the file is, in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The file, for its status, and for what is not parsed.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Whether what is read counts as the bytes of a lock that may be sealed.
    pub(super) const fn is_recorded(&self) -> bool {
        self.is_recorded
    }
}

impl From<File> for LockSource {
    fn from(file: File) -> Self {
        Self { file, record: None, is_recorded: false }
    }
}

impl Read for LockSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(record) = &mut self.record {
            record.hasher.update(&buffer[..read]);
        }
        if read == 0
            && !buffer.is_empty()
            && let Some(Record { path, hasher, reads }) = self.record.take()
        {
            reads.add(path, hasher.finish());
        }
        Ok(read)
    }
}
