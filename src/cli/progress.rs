//! Shows progress in a line on stderr, on a terminal; and warns while a file system does not answer.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::arguments::Common;
use super::stalled::Watch;
use crate::capability;
use crate::run::Follow;
use crate::walk::Progress;

/// How often the line is drawn. A shorter run shows none.
pub const EVERY: Duration = Duration::from_millis(200);

/// Follows the reads of a command: warns if a file system does not answer, and shows progress on a terminal.
pub struct Shown {
    show: bool,
    watch: Watch,
}

impl Shown {
    /// For a command with this watch.
    pub fn new(common: &Common, watch: Watch) -> Self {
        Self { show: is_shown(common), watch }
    }

    /// For a command that can't be given up.
    pub fn telling(common: &Common) -> Self {
        Self::new(common, Watch::telling(common))
    }
}

/// Whether progress is shown.
fn is_shown(common: &Common) -> bool {
    capability::wants_progress() && !common.quiet
}

impl Follow for Shown {
    fn follow<T>(self, work: impl FnOnce(&'static Progress) -> T) -> T {
        let Self { show, mut watch } = self;
        // A thread that hangs may use it until the process ends.
        let progress: &Progress = Box::leak(Box::default());
        let over = watch.over.clone();
        let bar = if show { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        // The template is a constant, so this can't fail.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} entries, {msg}, {elapsed}") {
            bar.set_style(style);
        }
        let mut before = 0;
        let tick = || {
            bar.suspend(|| watch.look(progress));
            if show {
                let bytes = progress.bytes.load(Ordering::Relaxed);
                let rate = (bytes - before) * 1000 / EVERY.as_millis() as u64;
                before = bytes;
                bar.set_position(progress.entries.load(Ordering::Relaxed));
                let human = indicatif::HumanBytes;
                bar.set_message(format!("{}, {}/s", human(bytes), human(rate)));
                bar.tick();
            }
        };
        let result = ticking(EVERY, tick, || work(progress));
        over.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        result
    }
}

/// A bar with the number of servers that have finished, on a terminal.
pub fn of_servers(common: &Common, servers: usize) -> ProgressBar {
    if !is_shown(common) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(servers as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} servers, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// Calls `work`, and meanwhile `tick` at intervals, in a thread that ends before this returns.
pub fn ticking<T>(every: Duration, mut tick: impl FnMut() + Send, work: impl FnOnce() -> T) -> T {
    let ended = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        let ticks = || {
            let mut done = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
            while !*done {
                let (guard, timeout) = ended.1.wait_timeout(done, every).unwrap_or_else(PoisonError::into_inner);
                done = guard;
                if timeout.timed_out() {
                    tick();
                }
            }
        };
        // If the system can't start a thread, the work goes on without `tick`.
        let thread = std::thread::Builder::new().spawn_scoped(scope, ticks);
        let result = work();
        *ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        ended.1.notify_all();
        // The scope waits until the closure returns, but the thread may exist a moment longer.
        if let Ok(Err(panicked)) = thread.map(std::thread::ScopedJoinHandle::join) {
            std::panic::resume_unwind(panicked);
        }
        result
    })
}
