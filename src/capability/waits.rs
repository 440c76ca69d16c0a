//! What is being opened by its name just now. A file system that does not answer is waited for without end, and the thread
//! that waits can't tell.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

static AT: Mutex<Option<(PathBuf, Instant)>> = Mutex::new(None);

/// The path that is waited for, and for how long so far.
#[must_use]
pub fn waiting_for() -> Option<(PathBuf, Duration)> {
    let at = AT.lock().unwrap_or_else(PoisonError::into_inner);
    at.as_ref().map(|(path, since)| (path.clone(), since.elapsed()))
}

/// Does what may have to wait for a path.
pub(super) fn waits<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let set = |at| *AT.lock().unwrap_or_else(PoisonError::into_inner) = at;
    set(Some((path.to_path_buf(), Instant::now())));
    let result = work();
    set(None);
    result
}
