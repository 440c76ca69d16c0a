//! Warns on stderr of file systems that do not answer (network file systems, FUSE). A run with a report is given up
//! when its time limit is reached, or when a signal tells it to end.

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
use crate::error::{Error, ErrorKind};
use crate::path::{escaped, joined};
use crate::walk::Progress;

/// After this time without progress, a worker counts as waiting.
const WAITS: Duration = Duration::from_secs(1);

/// Watches the reads of a run.
pub struct Watch {
    begun: Instant,
    /// After this time, a warning is printed.
    after: Duration,
    /// After this time, the run is given up.
    timeout: Option<Duration>,
    /// Whether the run can be given up.
    gives_up: bool,
    given_up: bool,
    /// The last observation of each worker.
    seen: HashMap<usize, Observation>,
    signals: Option<Signals>,
    /// Set when all reads are done.
    pub over: Arc<AtomicBool>,
}

/// The last observation of a worker.
struct Observation {
    beat: u64,
    since: Instant,
    told: u32,
}

/// Whether to print a warning now, after `told` warnings: the first after a time, the others at twice that interval.
fn is_due(waited: Duration, after: Duration, told: &mut u32) -> bool {
    let due = waited >= after * (2 * *told + 1);
    *told += u32::from(due);
    due
}

impl Observation {
    fn new(beat: u64, now: Instant) -> Self {
        Self { beat, since: now, told: 0 }
    }
}

/// Signals that end the run with a report of what was read until then. They are caught only between the first warning
/// and the end of the reads. At other times, they end the process at once.
struct Signals(Arc<AtomicUsize>);

impl Signals {
    fn catch(over: &Arc<AtomicBool>) -> Self {
        let caught = Arc::new(AtomicUsize::new(0));
        for (signal, name) in [(SIGTERM, 1), (SIGINT, 2)] {
            // If a signal can't be caught, it ends the process.
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
    /// A watch that only warns.
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

    /// A watch for a run that can be given up: after a time limit, or by a signal.
    pub fn giving_up(common: &Common, timeout: Option<Duration>) -> Self {
        Self { timeout, gives_up: true, ..Self::telling(common) }
    }

    /// Calls `open`, which opens the files of the run, and watches it. There is nothing to report yet, so the process
    /// ends if the time limit is reached. The thread that watches ends before this returns: the sandbox would not
    /// restrict it.
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
                complain(&Error::new(ErrorKind::Input, problem, HELP));
                std::process::exit(exit::TROUBLE.into());
            }
        };
        ticking(EVERY, look, open)
    }

    /// Observes the workers.
    pub fn look(&mut self, progress: &Progress) {
        let now = Instant::now();
        let mut waiting = Vec::new();
        for at in progress.at_work() {
            let seen = self.seen.entry(at.worker).or_insert_with(|| Observation::new(at.beat, now));
            if seen.beat != at.beat {
                *seen = Observation::new(at.beat, now);
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
            complain(&Error::new(
                ErrorKind::Input,
                format!("the run was given up {why}: everything that was not read by then is unverified"),
                "look at what did not answer, or give the run more time (`--timeout`)",
            ));
        }
    }
}

const HELP: &str = "check whether its file system still answers (a network file system, FUSE), and mount it again";

fn waits(path: &str, waited: Duration) -> Error {
    let seconds = waited.as_secs();
    Error::new(ErrorKind::Input, format!("{path} has not answered for {seconds} s; still waiting"), HELP)
}
