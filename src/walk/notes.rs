//! What a worker found in addition to entries.

use super::Task;
use super::tree::EntryState;
use super::worker::join;
use crate::declaration::Matched;
use crate::manifest::{Content, Crossing, Record, Uncovered};
use crate::path::EntryPath;
use crate::stat_cache::CacheUpdates;

/// What one worker found for one task in addition to entries.
#[derive(Default)]
pub struct Notes {
    pub mounts: Vec<Crossing>,
    /// The number of entries that were touched during the run and recorded anyway.
    pub touched: u64,
    pub updates: CacheUpdates,
    pub matched: Matched,
    /// Links whose targets no check covers.
    pub links: Vec<Uncovered>,
}

impl Notes {
    /// Notes a link whose target no check covers.
    pub fn note_link(&mut self, task: &Task<'_>, directory: &[u8], name: &[u8], state: &EntryState) {
        if let EntryState::Recorded(Record { content: Content::Symlink { target }, .. }) = state
            && let Some((coverage, root)) = task.coverage
        {
            let path = join(directory, name);
            if !coverage.covers(root, &path, target) {
                let path = EntryPath::new(path).ok();
                self.links.extend(path.map(|path| Uncovered::Link { path, target: target.clone() }));
            }
        }
    }
}
