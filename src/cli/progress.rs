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
    let progress = Progress::default();
    if !show {
        return work(&progress);
    }
    let ended = (Mutex::new(false), Condvar::new());
    std::thread::scope(|scope| {
        let show = || {
            let bar = ProgressBar::new_spinner();
            // The template is a constant of ours; were it wrong, the bar would keep its own.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} entries, {msg}, {elapsed}") {
                bar.set_style(style);
            }
            let mut done = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut before = 0;
            while !*done {
                let (guard, timeout) = ended.1.wait_timeout(done, EVERY).unwrap_or_else(PoisonError::into_inner);
                done = guard;
                if timeout.timed_out() {
                    let bytes = progress.bytes.load(Ordering::Relaxed);
                    let rate = (bytes - before) * 1000 / EVERY.as_millis() as u64;
                    before = bytes;
                    bar.set_position(progress.entries.load(Ordering::Relaxed));
                    let human = indicatif::HumanBytes;
                    bar.set_message(format!("{}, {}/s", human(bytes), human(rate)));
                    bar.tick();
                }
            }
            bar.finish_and_clear();
        };
        // On a machine that has no thread left for it, the work goes on unseen.
        let _ = std::thread::Builder::new().spawn_scoped(scope, show);
        let result = work(&progress);
        *ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        ended.1.notify_all();
        result
    })
}
