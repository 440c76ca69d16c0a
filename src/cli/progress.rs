//! A line on stderr, while a run takes its time and somebody watches.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::walk::Progress;

/// How often the line is drawn; a run shorter than this never shows one.
const EVERY: Duration = Duration::from_millis(200);

/// Does `work` and meanwhile shows how far it is, if `show` says so.
pub fn during<T>(show: bool, work: impl FnOnce(&Progress) -> T) -> T {
    if !show {
        return work(&Progress::default());
    }
    let bar = ProgressBar::new_spinner();
    // The template is a constant of ours; were it wrong, the bar would keep its own.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} entries, {msg}, {elapsed}") {
        bar.set_style(style);
    }
    let mut before = 0;
    let draw = |progress: &Progress| {
        let bytes = progress.bytes.load(Ordering::Relaxed);
        let rate = (bytes - before) * 1000 / EVERY.as_millis() as u64;
        before = bytes;
        bar.set_position(progress.entries.load(Ordering::Relaxed));
        let human = indicatif::HumanBytes;
        bar.set_message(format!("{}, {}/s", human(bytes), human(rate)));
        bar.tick();
    };
    let result = ticking(EVERY, draw, work);
    bar.finish_and_clear();
    result
}

/// A bar of how many servers have been asked, on a terminal.
pub fn of_servers(show: bool, servers: usize) -> ProgressBar {
    if !show {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(servers as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} servers, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// Does `work` and meanwhile calls `tick` at intervals, in a thread of its own.
pub fn ticking<T>(every: Duration, mut tick: impl FnMut(&Progress) + Send, work: impl FnOnce(&Progress) -> T) -> T {
    let progress = Progress::default();
    let ended = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        let ticks = || {
            let mut done = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
            while !*done {
                let (guard, timeout) = ended.1.wait_timeout(done, every).unwrap_or_else(PoisonError::into_inner);
                done = guard;
                if timeout.timed_out() {
                    tick(&progress);
                }
            }
        };
        // On a machine that has no thread left for it, the work goes on unseen.
        let _ = std::thread::Builder::new().spawn_scoped(scope, ticks);
        let result = work(&progress);
        *ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        ended.1.notify_all();
        result
    })
}
