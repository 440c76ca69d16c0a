//! A baseline that came from elsewhere, and the roots that are here: how many entries differ.

use super::Follow;
use crate::compare;
use crate::declaration::Check;
use crate::session::{Collected, OpenCheck, Run, Wanted};

/// A lock that was written of what is elsewhere.
pub struct New<'n, 'r> {
    pub check: OpenCheck<'r>,
    pub entries: &'n Collected,
    /// Whether it takes the place of one, and has all that is there.
    pub takes_all: bool,
}

/// A check whose new baseline is not what is here.
pub struct Differs<'r> {
    pub check: &'r Check,
    /// How many differ or could not be read; nothing where the root could not be compared.
    pub entries: Option<u64>,
    /// Whether what git has of the lock leads to the live state.
    pub takes_all: bool,
}

/// Compares new baselines with the roots that are open here; gives those that differ.
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
        // Both are in memory, and have no errors of their own.
        let found = here.ok().and_then(|here| compare::compare(&mut new.entries(), &mut here.entries()).ok());
        let entries = found.map(|found| found.counts.drifted + found.counts.unverified);
        (entries != Some(0)).then_some(Differs { check: check.check, entries, takes_all })
    });
    differing.collect()
}
