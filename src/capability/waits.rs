//! Records the path that an open or a `stat` by name waits for. If its file system does not answer, the thread waits
//! forever and can't report it itself.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

static AT: Mutex<Option<(PathBuf, Instant)>> = Mutex::new(None);

/// The path that is waited for, and since when.
#[must_use]
pub fn waiting_for() -> Option<(PathBuf, Instant)> {
    AT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs work that may have to wait for a path.
pub(super) fn waits<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let set = |at| *AT.lock().unwrap_or_else(PoisonError::into_inner) = at;
    set(Some((path.to_path_buf(), Instant::now())));
    let result = work();
    set(None);
    result
}
