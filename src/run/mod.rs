//! The use cases: what `driftlock check`, `lock`, `diff`, `export` and `accept` do, without arguments and output.
//!
//! A [`Session`] opens everything that the run needs, and enters the sandbox. Then each use case has three steps:
//!
//! 1. Collect entries, check by check: from this machine ([`state::here`]), an export ([`Run::exported`]), or a server
//!    ([`state::of_server`]). [`check`] does not keep the entries of a server, but compares them as a stream.
//! 2. Compare them with the lock ([`Locked`]), and judge the result.
//! 3. Return a typed value. Nothing here prints; the value has the messages for people.

pub mod accept;
pub mod api;
pub mod cache;
pub mod check;
pub mod connections;
pub mod diff;
pub mod export;
pub mod here;
pub mod lock;
mod locked;
pub mod sealing;
pub mod servers;
pub mod state;
mod verdict;

pub use locked::Locked;
pub use servers::Servers;
pub use verdict::nothing_found;

use std::time::{Duration, Instant};

use crate::declaration::Server;
use crate::remote::request::Asked;
use crate::session::OpenCheck;
#[cfg(doc)]
use crate::session::{Run, Session};
use crate::walk::Progress;

/// The most memory for the differences between the locks and one server, in bytes: some 300,000 entries. Without a
/// limit, a server that lies could exhaust this machine.
const DIFFERENCES_LIMIT: usize = 64 << 20;

/// The same for all servers of a run together, each with its share. Differences are kept until the report is written.
const ALL_DIFFERENCES_LIMIT: usize = 2 << 30;

/// Follows the progress of a run, to show it or to give up the run.
pub trait Follow {
    /// Calls `work`, which reads and updates the progress.
    fn follow<T>(self, work: impl FnOnce(&'static Progress) -> T) -> T;
}

/// Follows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unfollowed;

impl Follow for Unfollowed {
    fn follow<T>(self, work: impl FnOnce(&'static Progress) -> T) -> T {
        // A thread that hangs may use it until the process ends.
        work(Box::leak(Box::default()))
    }
}

/// The time since then, in whole milliseconds as in JSON, so that a report that is read back is equal.
fn since(begun: Instant) -> Duration {
    Duration::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The requests for these checks on a server. Checks whose root on it is not declared are left out.
fn asked<'r>(checks: impl Iterator<Item = OpenCheck<'r>>, server: &'r Server) -> Vec<Asked<'r>> {
    checks.filter_map(|OpenCheck { check, .. }| Some(Asked { check, root: server.root(check)? })).collect()
}
