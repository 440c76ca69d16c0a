//! Checks that the two digests of a check fit its counts.

use crate::compare::Counts;
use crate::manifest::Sha256Digest;

/// What is wrong with the digests of the lock and of the live state; `None` if they fit.
pub(super) fn problem(lock: Option<&str>, live: Option<&str>, counts: Counts) -> Option<&'static str> {
    if [lock, live].into_iter().flatten().any(|digest| Sha256Digest::from_sri(digest).is_none()) {
        return Some("its `digest` or its `live_digest` is not `sha256-` and Base64");
    }
    match (counts, live) {
        (Counts { unverified: 1.., .. }, Some(_)) => Some("it has a `live_digest`, although it has unverified entries"),
        // The entries are equal exactly if their digests are. Locks in other formats state no digest.
        (Counts { unverified: 0, drifted: 0, .. }, live) if lock.is_some() && live != lock => {
            Some("everything is verified, but its `live_digest` is not that of the lock")
        }
        (Counts { drifted: 1.., .. }, Some(_)) if live == lock => {
            Some("it drifted, but its `live_digest` is that of the lock")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_alike_exactly_if_everything_is_verified() {
        let (a, b) = (Sha256Digest([1; 32]).sri(), Sha256Digest([2; 32]).sri());
        let (a, b) = (Some(a.as_str()), Some(b.as_str()));
        let verified = Counts { entries: 1, verified: 1, ..Counts::default() };
        let drifted = Counts { entries: 1, drifted: 1, ..Counts::default() };
        let unverified = Counts { entries: 1, unverified: 1, ..Counts::default() };
        for (lock, live, counts, fits) in [
            (a, a, verified, true),
            (a, b, verified, false),
            (a, None, verified, false),
            (None, b, verified, true),
            (a, b, drifted, true),
            (a, a, drifted, false),
            (a, None, drifted, true),
            (a, None, unverified, true),
            (a, b, unverified, false),
            (a, Some("\u{1b}[31m"), drifted, false),
            (Some("sha256-"), b, drifted, false),
        ] {
            assert_eq!(problem(lock, live, counts).is_none(), fits, "{lock:?} {live:?} {counts:?}");
        }
    }
}
