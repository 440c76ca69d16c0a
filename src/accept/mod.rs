//! Takes single drifts into a lock, and leaves all other entries as they were locked.
//!
//! [`Drifted`] is the drift of one check. [`Names`] are the operator's arguments, and find drifts by path. [`units()`]
//! says which drifts can only be taken together, and [`taken`] builds the lock with the chosen ones. Nothing here reads
//! or writes a file.

mod merge;
mod names;
mod units;

pub use merge::taken;
pub use names::Names;
pub use units::{Choice, Unit, units, whole};

use crate::compare::{Comparison, Counts};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Kind, LockError, Unverified};
use crate::path::{EntryPath, escaped, joined};
use crate::shell;

/// The drift of one check.
#[derive(Debug)]
pub struct Drifted {
    pub kind: Kind,
    /// The roots of its entries, as the operator may name them. Reports show the first.
    pub places: Vec<String>,
    pub found: Comparison,
}

/// Why a drift can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The live entry could not be read.
    #[error("{0} could not be read: {1}")]
    Unverified(EntryPath, Unverified),
    /// Only some of a module's drifts were chosen.
    #[error("{}", in_parts(.modules, .left))]
    InParts {
        /// As the operator names them; several if something moved between modules.
        modules: Vec<Vec<u8>>,
        /// Likewise, the drifts that were not chosen.
        left: Vec<Vec<u8>>,
    },
    /// Something in a module could not be read.
    #[error("the module {} can't be taken: {path} in it could not be read: {reason}", escaped(.module))]
    Unread { module: Vec<u8>, path: EntryPath, reason: Unverified },
    #[error("more entries drifted than a run keeps, so single entries can't be accepted")]
    TooMuch,
}

/// The most paths that were not chosen to name in the message.
const NAMED: usize = 5;

fn in_parts(modules: &[Vec<u8>], left: &[Vec<u8>]) -> String {
    let named = |paths: &[Vec<u8>]| {
        let mut named: Vec<_> = paths.iter().take(NAMED).map(|path| escaped(path).to_string()).collect();
        if paths.len() > NAMED {
            named.push(format!("and {} more", paths.len() - NAMED));
        }
        named.join(", ")
    };
    let (subject, rest) = match modules {
        [_] => ("the module", "is locked as a whole, by its `nar`, and more of it drifted"),
        _ => ("the modules", "are locked as a whole, by their `nar`, something moved between them, and more drifted"),
    };
    format!("{subject} {} {rest}: {}", named(modules), named(left))
}

impl AcceptError {
    /// The error with its remedy.
    #[must_use]
    pub fn trouble(&self, check: &str) -> Error {
        let help = match self {
            Self::Lock(error) => error.help().to_owned(),
            Self::Unverified(_, reason) | Self::Unread { reason, .. } => reason.help().to_owned(),
            Self::InParts { modules, .. } => {
                format!("take all of it, `driftlock accept {}`, or nothing of it", shell::arguments(modules))
            }
            Self::TooMuch => format!("take all of it: driftlock lock --check {}", shell::word(check.as_bytes())),
        };
        Error::new(ErrorKind::Lock, format!("the check {check}: {self}"), help)
    }
}

impl Drifted {
    /// The chosen drifts, as if nothing else had drifted.
    #[must_use]
    pub fn chosen(&self, choice: &Choice) -> Comparison {
        self.only(choice.iter().enumerate().filter(|(_, chosen)| **chosen).map(|(index, _)| index))
    }

    /// The drifts of one unit, as if nothing else had drifted.
    #[must_use]
    pub fn of(&self, unit: &Unit) -> Comparison {
        self.only(unit.drifts.iter().copied())
    }

    fn only(&self, drifts: impl Iterator<Item = usize>) -> Comparison {
        let all = &self.found.drift;
        let drift: Vec<_> = drifts.filter_map(|index| all.get(index)).cloned().collect();
        // A moved file drifted at its old path too.
        let drifted = drift.iter().map(|item| 1 + u64::from(units::left(item, all).is_some())).sum();
        Comparison { drift, counts: Counts { entries: drifted, drifted, ..Counts::default() }, ..Comparison::default() }
    }

    /// A path as reports show it, not escaped.
    #[must_use]
    pub fn reported_path(&self, path: &[u8]) -> Vec<u8> {
        joined(self.places.first().map_or("", String::as_str), path)
    }
}
