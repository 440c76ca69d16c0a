//! What is waited for just now: a path that is opened, or asked about, by its name. A file system that does not answer is waited
//! for without end, and the thread that waits can't tell.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

static AT: Mutex<Option<(PathBuf, Instant)>> = Mutex::new(None);

/// The path that is waited for, and since when.
#[must_use]
pub fn waiting_for() -> Option<(PathBuf, Instant)> {
    AT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Does what may have to wait for a path.
pub(super) fn waits<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let set = |at| *AT.lock().unwrap_or_else(PoisonError::into_inner) = at;
    set(Some((path.to_path_buf(), Instant::now())));
    let result = work();
    set(None);
    result
}
