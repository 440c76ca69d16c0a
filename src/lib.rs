//! driftlock pins the state of servers in reproducible lock files, and reports exactly what has drifted.
//!
//! A [`Plan`] names a declaration. The functions [`check`], [`lock`], [`diff`], [`export`] and [`accept`](accept()) do
//! what the commands of `driftlock` with these names do on this machine:
//!
//! ```
//! use driftlock::{Plan, check};
//!
//! let report = check(&Plan::of("examples/odoo-stack/driftlock.toml"))?;
//! assert_eq!(report.exit_code(), 0, "nothing drifted");
//! # Ok::<(), driftlock::Error>(())
//! ```
//!
//! They return an [`Error`], whose [`ErrorKind`] a program can match. [`compare_locks`] and [`nar_digest`] take
//! readers, and open nothing.
//!
//! # The sandbox
//!
//! A function with a plan opens everything that it needs, and then permanently gives up all other authority of the
//! process: it can open no other file, start no program and reach no network any more, as far as the kernel supports
//! that ([`Requirement`]). So call only one of them in a process, once, and before you start a second thread.
//!
//! # Modules
//!
//! The modules are private. Tests, benches and fuzzers use them through one hidden module, `internals`.
//!
//! Each module uses only the modules before it in this list. A test enforces that.
//!
//! 1. [`path`], [`error`], [`shell`]: paths of entries, errors, and texts that are harmless on a terminal.
//! 2. [`digest`]: SHA-256 and Nix archives, of bytes that other modules read.
//! 3. [`manifest`]: the canonical, sorted entries, and the two lock formats.
//! 4. [`declaration`]: the checks and their roots. [`compose`]: what Compose files declare.
//! 5. [`baseline`]: an open lock, of driftlock or of the old scripts. [`seal`]: a signed statement over all locks.
//! 6. [`compare`]: an ordered merge of a lock and the live state. [`accept`](mod@accept): takes single drifts into a
//!    lock. [`patch`]: writes drift for `git apply`. [`merge`]: merges two locks with a common ancestor.
//! 7. [`capability`]: the only module that opens paths by name; it returns handles. [`sandbox`]: from then on, the
//!    kernel restricts the process to these handles. [`store`]: writes files whole or not at all.
//! 8. [`stat_cache`]: stores what was read for the next run, if asked. [`walk`]: reads everything below the roots, on
//!    all cores. [`container`]: asks container engines.
//! 9. [`session`]: all of this for one run.
//! 10. [`remote`]: the same entries, collected by driftlock on a server.
//! 11. [`report`]: the result of a run, for people and for programs.
//! 12. [`run`]: the use cases: check, lock, diff, export, accept.
//! 13. [`init`]: writes a first declaration. [`cli`]: one file for each command.
//!
//! `fuzzing` is only for tests and fuzzers.
#![forbid(unsafe_code)]
// No panic on any input.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used))]

mod accept;
mod baseline;
mod capability;
mod cli;
mod compare;
mod compose;
mod container;
mod declaration;
mod digest;
mod error;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod init;
#[cfg(test)]
mod layers;
mod manifest;
mod merge;
mod patch;
mod path;
mod remote;
mod report;
mod run;
mod sandbox;
mod seal;
mod session;
mod shell;
mod stat_cache;
mod store;
mod walk;

/// The modules for tests, benches and fuzzers. Not part of the library's interface.
#[doc(hidden)]
pub mod internals {
    macro_rules! expose {
        ($($module:ident)*) => { $(pub mod $module { pub use crate::$module::*; })* };
    }
    expose!(accept baseline compare compose container declaration digest error manifest merge patch path remote report);
    expose!(sandbox seal session stat_cache walk);
    #[cfg(any(test, fuzzing))]
    expose!(fuzzing);
}

#[doc(hidden)]
pub use cli::run as main;

pub use compare::{Change, Comparison, Counts, Drift, UnverifiedEntry};
pub use digest::Sha256Digest;
pub use error::{Error, ErrorKind};
pub use manifest::{LockError, Record};
pub use path::EntryPath;
pub use report::{CheckReport, HostReport, Outcome, Report, RunInfo, Scope};
pub use run::api::{Accepted, Drifted, Exported, Locked, accept, check, compare_locks, diff, export, lock, nar_digest};
pub use run::lock::Change as LockChange;
pub use sandbox::Requirement;
pub use session::Plan;
