//! What the digests of a module are for, and how they get into the results of a worker.

use super::nar_streams::NarStreams;
use super::tree::{DirectoryId, EntryState};
use super::worker::{ResultSlot, Worker};
use crate::manifest::{Attributes, Content, Record, Sha256Digest};

/// The archives of one worker.
pub type Archives = NarStreams<FileTag, ModuleTag>;

/// Where the digest of a file belongs, and the rest of its record.
pub struct FileTag {
    pub slot: ResultSlot,
    pub record: Record,
    pub touched: bool,
}

/// Where the digest of a module's archive belongs, and the rest of its record.
pub struct ModuleTag {
    pub task: usize,
    pub id: DirectoryId,
    pub attributes: Option<Box<Attributes>>,
}

/// In a record whose file is not hashed yet.
pub const UNKNOWN: Sha256Digest = Sha256Digest([0; 32]);

pub fn with_digest(mut record: Record, digest: Sha256Digest) -> Record {
    if let Content::File { sha256, .. } = &mut record.content {
        *sha256 = digest;
    }
    record
}

/// Hashes what is left of all modules that this worker has walked.
pub fn finish(worker: &mut Worker<'_>) {
    if let Some(mut archives) = worker.archives.take() {
        archives.hash_stages();
        store(worker, &mut archives);
        worker.archives = Some(archives);
    }
}

/// Stores the digests so far.
pub fn store(worker: &mut Worker<'_>, archives: &mut Archives) {
    for (FileTag { slot, record, touched }, sha256) in archives.done.files.drain(..) {
        let record = with_digest(record, sha256);
        let state = if touched { EntryState::Touched(Box::new(record)) } else { EntryState::Recorded(record) };
        slot.put(worker.run, state);
    }
    for (ModuleTag { task, id, attributes }, nar) in archives.done.archives.drain(..) {
        let record = Record { content: Content::Directory { nar: Some(nar) }, attributes };
        worker.state.with_tree(task, |tree| tree.directories.push((id, Ok(record))));
    }
}
