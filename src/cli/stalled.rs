//! Reads that get no answer, from a network file system or one of FUSE: they are told on stderr, and where there is a report
//! to write, the run is given up when its time is up, or when it is told to end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::arguments::Common;
use super::progress::{EVERY, ticking};
use super::{complain, exit};
use crate::capability::{self, shown};
use crate::path::{escaped, joined};
use crate::trouble::Trouble;
use crate::walk::Progress;

/// How long a worker must not have gone on for it to be what a run that is given up waited for.
const WAITS: Duration = Duration::from_secs(1);

/// What is watched, and for how long.
pub struct Watch {
    begun: Instant,
    /// From when on a read is told of.
    after: Duration,
    /// When the run is given up.
    timeout: Option<Duration>,
    /// Whether it can be given up.
    gives_up: bool,
    given_up: bool,
    /// By worker.
    seen: HashMap<usize, Seen>,
    signals: Option<Signals>,
    /// Whether the reads are over.
    pub over: Arc<AtomicBool>,
}

/// What a worker was at when it was looked at last.
struct Seen {
    beat: u64,
    since: Instant,
    told: u32,
}

/// Whether to tell now of what has been waited for so long, and was told `told` times: after a time, and again each time that
/// twice as much has passed.
fn is_due(waited: Duration, after: Duration, told: &mut u32) -> bool {
    let due = waited >= after * (2 * *told + 1);
    *told += u32::from(due);
    due
}

impl Seen {
    fn new(beat: u64, now: Instant) -> Self {
        Self { beat, since: now, told: 0 }
    }
}

/// The signals that end the run by what was found until then. They are caught once something was told of, and only until
/// the reads are over; before and behind that they end the process at once, as if this did not exist.
struct Signals(Arc<AtomicUsize>);

impl Signals {
    fn catch(over: &Arc<AtomicBool>) -> Self {
        let caught = Arc::new(AtomicUsize::new(0));
        for (signal, name) in [(SIGTERM, 1), (SIGINT, 2)] {
            // Where it can't be caught, it ends the process.
            if flag::register_conditional_default(signal, over.clone()).is_ok() {
                let _ = flag::register_usize(signal, caught.clone(), name);
            }
        }
        Self(caught)
    }

    fn caught(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some("SIGTERM"),
            _ => Some("SIGINT"),
        }
    }
}

impl Watch {
    /// Tells of reads that get no answer.
    pub fn telling(common: &Common) -> Self {
        Self {
            begun: Instant::now(),
            after: Duration::from_secs(common.stalled_after.get().into()),
            timeout: None,
            gives_up: false,
            given_up: false,
            seen: HashMap::new(),
            signals: None,
            over: Arc::default(),
        }
    }

    /// The same, of a run that can be given up: after so long, or by a signal.
    pub fn giving_up(common: &Common, timeout: Option<Duration>) -> Self {
        Self { timeout, gives_up: true, ..Self::telling(common) }
    }

    /// Opens what a run needs, and meanwhile watches that. Without a single root there is nothing to report, so a run whose
    /// time is up ends here. The thread that watches has ended when this returns: the sandbox would not hold it.
    pub fn opening<T>(&self, open: impl FnOnce() -> T) -> T {
        let (mut at, mut told) = (None, 0);
        let look = || {
            let Some((path, since)) = capability::waiting_for() else { return };
            if at != Some(since) {
                (at, told) = (Some(since), 0);
            }
            let (path, waited) = (shown(&path), since.elapsed());
            if is_due(waited, self.after, &mut told) {
                complain(&waits(&path, waited));
            }
            let timeout = self.timeout.filter(|timeout| self.begun.elapsed() >= *timeout && waited >= WAITS);
            if let Some(timeout) = timeout {
                let problem = format!(
                    "the run was given up after {} s (--timeout): {path} does not answer, and nothing was verified",
                    timeout.as_secs()
                );
                complain(&Trouble::new(problem, REMEDY));
                std::process::exit(exit::TROUBLE.into());
            }
        };
        ticking(EVERY, look, open)
    }

    /// Looks at what the workers are at.
    pub fn look(&mut self, progress: &Progress) {
        let now = Instant::now();
        let mut waiting = Vec::new();
        for at in progress.at_work() {
            let seen = self.seen.entry(at.worker).or_insert_with(|| Seen::new(at.beat, now));
            if seen.beat != at.beat {
                *seen = Seen::new(at.beat, now);
            }
            let waited = now.duration_since(seen.since);
            if waited >= WAITS {
                waiting.push(at.worker);
            }
            if is_due(waited, self.after, &mut seen.told) {
                complain(&waits(&escaped(&joined(&at.root, &at.path)).to_string(), waited));
                if self.gives_up && self.signals.is_none() {
                    self.signals = Some(Signals::catch(&self.over));
                }
            }
        }
        let timeout = self.timeout.filter(|timeout| self.begun.elapsed() >= *timeout);
        let why = match (timeout, self.signals.as_ref().and_then(Signals::caught)) {
            (Some(timeout), _) => format!("after {} s (--timeout)", timeout.as_secs()),
            (None, Some(signal)) => format!("by {signal}"),
            (None, None) => return,
        };
        if self.gives_up && !self.given_up && progress.give_up(waiting) {
            self.given_up = true;
            complain(&Trouble::new(
                format!("the run was given up {why}: what was not read until then is unverified"),
                "look at what did not answer, or give the run more time (`--timeout`)",
            ));
        }
    }
}

const REMEDY: &str = "see whether its file system still answers (a network file system, FUSE), and mount it again";

fn waits(path: &str, waited: Duration) -> Trouble {
    let seconds = waited.as_secs();
    Trouble::new(format!("{path} has not answered for {seconds} s, and is still waited for"), REMEDY)
}
