//! The use cases: what `driftlock check`, `lock`, `diff`, `export` and `accept` do, without their arguments and output.
//!
//! A [`Session`] opens what is planned, and enters the sandbox. Then each use case goes the same way:
//!
//! 1. Where entries come from: this machine ([`state::here`]), an export ([`Run::exported`]), or a server
//!    ([`state::of_server`]), each check by check. What is only compared is not kept, but read as a stream ([`check`]).
//! 2. [`Locked`] is a check with its lock. The live state is compared with it, and judged.
//! 3. The result is a typed value. Nothing here prints; what is to be told to people is in the result.

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

/// The most memory that the differences between the locks and one server may take, in bytes: some 300,000 entries. Without
/// a bound, a server that lies could exhaust this machine.
const DIFFERENCES_LIMIT: usize = 64 << 20;

/// The same of all servers of a run, each of which has its share: all are kept until the report is written.
const ALL_DIFFERENCES_LIMIT: usize = 2 << 30;

/// Follows the reads of a run, from a thread of its own if it wants: to show how far they are, or to give them up.
pub trait Follow {
    /// Does `work`, which reads, and tells how far it is.
    fn follow<T>(self, work: impl FnOnce(&'static Progress) -> T) -> T;
}

/// Follows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unfollowed;

impl Follow for Unfollowed {
    fn follow<T>(self, work: impl FnOnce(&'static Progress) -> T) -> T {
        // A thread that hangs may look at it as long as the process lives.
        work(Box::leak(Box::default()))
    }
}

/// The time since then, as exact as it is kept, so that a report that was read back says the same.
fn since(begun: Instant) -> Duration {
    Duration::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// What a server is asked for of these checks: nothing of those of which nothing says where their roots lie there.
fn asked<'r>(checks: impl Iterator<Item = OpenCheck<'r>>, server: &'r Server) -> Vec<Asked<'r>> {
    checks.filter_map(|OpenCheck { check, .. }| Some(Asked { check, root: server.root(check)? })).collect()
}
