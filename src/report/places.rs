//! Where in the operator's own files a finding belongs: the line of the lock that says what was expected, or else
//! the line of the declaration that names the check.

use std::collections::{HashMap, HashSet};

use super::findings::Finding;
use super::{CheckReport, Outcome};
use crate::manifest::{Entries, LockError};

/// A line of a file. The file is named as it is from the working directory; the line counts from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: u64,
}

/// What is known of the lines; all of it can be missing where a report is far from its declaration.
#[derive(Debug, Default)]
pub struct Places {
    declaration: Option<String>,
    /// Where each check is declared.
    checks: HashMap<String, Place>,
    /// By the lock, as reports have it.
    locks: HashMap<String, Lock>,
}

#[derive(Debug, Default)]
struct Lock {
    file: String,
    lines: HashMap<Vec<u8>, u64>,
}

impl Places {
    /// Adds a check, and where it is declared.
    pub fn declare(&mut self, check: &str, declared: Place) {
        self.declaration.get_or_insert_with(|| declared.file.clone());
        self.checks.insert(check.to_owned(), declared);
    }

    /// Looks up the lines that the findings of a check need in its lock, which is `file`. `line` gives that of the entry read last.
    ///
    /// # Errors
    /// A lock that turns out to be malformed; what was found before is kept.
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
        // Those that another server differs in, too.
        wanted.retain(|path| !known.lines.contains_key(*path));
        while !wanted.is_empty()
            && let Some(entry) = lock.next()?
        {
            let Some(path) = wanted.take(entry.path) else { continue };
            known.lines.insert(path.to_vec(), line(lock));
        }
        Ok(())
    }

    /// Where all of the declaration belongs.
    #[must_use]
    pub fn declaration(&self) -> Place {
        let file = self.declaration.clone().unwrap_or_else(|| "driftlock.toml".to_owned());
        Place { file, line: 1 }
    }

    /// Where a finding of a check belongs.
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
