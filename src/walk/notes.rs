//! What a worker found beside entries.

use super::Task;
use super::tree::State;
use super::worker::join;
use crate::declaration::Matched;
use crate::manifest::{Content, Crossing, Record, Uncovered};
use crate::path::EntryPath;
use crate::stat_cache::Learned;

/// What one worker found for one task beside its entries.
#[derive(Default)]
pub struct Notes {
    pub mounts: Vec<Crossing>,
    /// How many entries were touched during the run, and are taken all the same.
    pub touched: u64,
    pub learned: Learned,
    pub matched: Matched,
    /// Links that lead to what no check covers.
    pub links: Vec<Uncovered>,
}

impl Notes {
    /// Looks where a link leads.
    pub fn note_link(&mut self, task: &Task<'_>, directory: &[u8], name: &[u8], state: &State) {
        if let State::Recorded(Record { content: Content::Symlink { target }, .. }) = state
            && let Some((reach, root)) = task.reach
        {
            let path = join(directory, name);
            if !reach.covers(root, &path, target) {
                let path = EntryPath::new(path).ok();
                self.links.extend(path.map(|path| Uncovered::Link { path, target: target.clone() }));
            }
        }
    }
}
