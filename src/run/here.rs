//! Compares a baseline that came from a server or an export with the roots here.

use super::Follow;
use crate::compare::{self, DifferenceBudget};
use crate::declaration::Check;
use crate::session::{Collected, OpenCheck, Run, Wanted};

/// A lock that was made from the state of a server or an export.
pub struct New<'n, 'r> {
    pub check: OpenCheck<'r>,
    pub entries: &'n Collected,
    /// Whether it replaces an older lock, and has all of the state.
    pub takes_all: bool,
}

/// A check whose new baseline differs from the root here.
pub struct Differs<'r> {
    pub check: &'r Check,
    /// How many entries differ or could not be read; `None` if the root could not be compared.
    pub entries: Option<u64>,
    /// Whether a patch from the lock in git leads to the live state.
    pub takes_all: bool,
}

/// Compares new baselines with the roots that are open here, and returns those that differ.
pub fn differing<'n, 'r>(
    run: &'r Run,
    new: impl Iterator<Item = New<'n, 'r>>,
    follow: impl Follow,
) -> Vec<Differs<'r>> {
    let open: Vec<_> = new.filter(|new| new.check.has_root()).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let here = follow.follow(|progress| run.collect(open, |new| Wanted::of(&new.check), false, progress));
    let differing = here.into_iter().filter_map(|(New { check, entries: new, takes_all }, here)| {
        // Both are in memory, so there are no errors.
        let found = here.ok().and_then(|here| {
            compare::compare(&mut DifferenceBudget::unlimited(), &mut new.entries(), &mut here.entries()).ok()
        });
        let entries = found.map(|found| found.counts.drifted + found.counts.unverified);
        (entries != Some(0)).then_some(Differs { check: check.check, entries, takes_all })
    });
    differing.collect()
}
