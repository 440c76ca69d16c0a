//! Nasty inputs, one test a row of the list that the design keeps: what checkers of today get wrong, most of them in
//! silence. The rule above all rows: every entry ends as verified, drifted or unverified, the counts add up
//! ([`harness::the_check`] sees to that in each test), and nothing unverified is a PASS or gets into a lock.

mod changes;
mod entries;
mod locks;
mod moving;
mod proportion;

use std::sync::atomic::{AtomicBool, Ordering};

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(change, path)| (change.to_owned(), path.to_owned())).collect()
}

/// Runs `change` again and again while `driftlock` runs.
pub fn meanwhile<T>(change: impl Fn(u64) + Sync, run: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                change(turn);
            }
        });
        // A panic of `run` has to end the other thread too.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
