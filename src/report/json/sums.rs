//! What a report that was read back says of all checks together.

use std::collections::HashSet;

use super::document::Skipped;
use super::{Parsed, ReportError};
use crate::report::status::sum;
use crate::report::{LOCK_FILES_EXIST, SERVER_COLLECTION, Status};

/// It has to follow from the checks.
pub(super) fn check(report: &Parsed) -> Result<(), ReportError> {
    let inconsistent = |problem: &str| Err(ReportError::Inconsistent { problem: problem.to_owned() });
    let [lock_files, checks @ ..] = report.checks.as_slice() else {
        return inconsistent("it has no checks");
    };
    if lock_files.name != LOCK_FILES_EXIST || lock_files.status == Status::Skip {
        return inconsistent("its first check is not that of the lock files");
    }
    let collection = checks.iter().position(|check| check.name == SERVER_COLLECTION);
    if collection != report.server.as_ref().map(|_| 0) || (report.mode == "server") != report.server.is_some() {
        return inconsistent("its mode, its server and the check of the collection do not fit each other");
    }
    let mut names = HashSet::new();
    if !report.checks.iter().all(|check| names.insert(check.name.as_str())) {
        return inconsistent("two checks have the same name");
    }
    if report.summary != report.checks.iter().map(|check| check.status).collect() {
        return inconsistent("its summary does not fit its checks");
    }
    if report.counts != sum(checks.iter().map(|check| check.counts)) {
        return inconsistent("its counts do not fit those of its checks");
    }
    let missing = checks.iter().any(|check| check.skipped == Some(Skipped::NoLock));
    if missing != (lock_files.status == Status::Fail) {
        return inconsistent("what it says of the lock files does not fit its checks");
    }
    let drift = lock_files.status == Status::Fail || checks.iter().any(|check| check.counts.drifted > 0);
    let trouble = checks.iter().any(|check| check.trouble.is_some() || check.counts.unverified > 0);
    if report.exit_code != u8::from(drift) | u8::from(trouble) << 1 {
        return inconsistent("its exit code does not fit its checks");
    }
    if report.overall != Status::pass_if(report.exit_code == 0) {
        return inconsistent("its verdict does not fit its checks");
    }
    Ok(())
}
