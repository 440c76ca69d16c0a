//! The line of the operator's files that a finding belongs to: the line of the entry in the lock, or else the line of
//! the check in the declaration.

use std::collections::{HashMap, HashSet};

use super::findings::Finding;
use super::{CheckReport, Outcome};
use crate::manifest::{Entries, LockError};

/// A line of a file. The path is relative to the working directory; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: u64,
}

/// The known lines. It may be empty, for a report without its declaration.
#[derive(Debug, Default)]
pub struct Places {
    declaration: Option<String>,
    /// Where each check is declared.
    checks: HashMap<String, Place>,
    /// By the path of the lock, as in reports.
    locks: HashMap<String, Lock>,
}

#[derive(Debug, Default)]
struct Lock {
    file: String,
    lines: HashMap<Vec<u8>, u64>,
}

impl Places {
    /// Adds a check and the line that declares it.
    pub fn declare(&mut self, check: &str, declared: Place) {
        self.declaration.get_or_insert_with(|| declared.file.clone());
        self.checks.insert(check.to_owned(), declared);
    }

    /// Looks up the lines for the findings of a check in its lock, which is `file`. `line` returns the line of the
    /// entry that was read last.
    ///
    /// # Errors
    /// The lock is malformed. Lines that were found before are kept.
    pub fn look_up<L: Entries>(
        &mut self,
        check: &CheckReport,
        (lock, file): (&mut L, &str),
        line: impl Fn(&L) -> u64,
    ) -> Result<(), LockError> {
        let Outcome::Compared { comparison, .. } = &check.outcome else { return Ok(()) };
        let drift = comparison.drift.iter().filter(|drift| drift.expected.is_some());
        let mut wanted: HashSet<&[u8]> =
            drift.map(|drift| drift.from.as_ref().unwrap_or(&drift.path).as_bytes()).collect();
        wanted.extend(comparison.unverified.iter().map(|entry| entry.path.as_bytes()));
        let known = self.locks.entry(check.lock.clone()).or_default();
        file.clone_into(&mut known.file);
        // Another server may differ in other entries of the same lock.
        wanted.retain(|path| !known.lines.contains_key(*path));
        while !wanted.is_empty()
            && let Some(entry) = lock.next()?
        {
            let Some(path) = wanted.take(entry.path) else { continue };
            known.lines.insert(path.to_vec(), line(lock));
        }
        Ok(())
    }

    /// The first line of the declaration.
    #[must_use]
    pub fn declaration(&self) -> Place {
        let file = self.declaration.clone().unwrap_or_else(|| "driftlock.toml".to_owned());
        Place { file, line: 1 }
    }

    /// The line that a finding of a check belongs to.
    #[must_use]
    pub fn of(&self, check: &CheckReport, finding: Finding<'_>) -> Place {
        let Some(declared) = self.checks.get(&check.name) else {
            return Place { file: check.lock.clone(), line: 1 };
        };
        let path = match finding {
            Finding::Drift(drift) => drift.from.as_ref().unwrap_or(&drift.path),
            Finding::Unverified(entry) => &entry.path,
            Finding::Uncovered(_) | Finding::Failed(_) | Finding::MissingLock => return declared.clone(),
        };
        let line = self.locks.get(&check.lock).and_then(|lock| Some((lock, *lock.lines.get(path.as_bytes())?)));
        line.map_or_else(|| declared.clone(), |(lock, line)| Place { file: lock.file.clone(), line })
    }
}
