//! driftlock pins the state of servers in lock files that are byte for byte reproducible, and says exactly what has
//! drifted.
//!
//! A [`Plan`] names a declaration. What `driftlock check`, `lock`, `diff`, `export` and `accept` do with it on this machine are
//! the functions [`check`], [`lock`], [`diff`], [`export`] and [`accept`](accept()):
//!
//! ```
//! use driftlock::{Plan, check};
//!
//! let report = check(&Plan::of("examples/odoo-stack/driftlock.toml"))?;
//! assert_eq!(report.exit_code(), 0, "nothing drifted");
//! # Ok::<(), driftlock::Error>(())
//! ```
//!
//! [`compare_locks`] and [`nar_digest`] take readers, and open nothing.
//!
//! # The sandbox
//!
//! A function of a plan opens everything that the plan names, and then gives up all other authority of the calling process, for
//! good: it can open no other file, start no program and reach no network any more, as far as the kernel offers that
//! ([`Requirement`]). So a process calls one of them, once, before it starts a second thread.
//!
//! # Modules
//!
//! The modules are not part of the library's interface. Those that tests, benches and fuzzers use are public and hidden.
//!
//! Each module knows only those that come before it in this list, which a test holds:
//!
//! 1. [`path`], [`error`], [`shell`]: paths of entries, and what is said to people, harmless on a terminal.
//! 2. [`digest`]: SHA-256 and Nix archives of bytes that others read.
//! 3. [`manifest`]: the canonical, sorted entries, and their two forms at rest.
//! 4. [`declaration`]: which checks, over which roots. [`compose`]: what Compose files declare.
//! 5. [`baseline`]: a lock, opened, of ours or of the scripts that came before. [`seal`]: a signed statement over all locks.
//! 6. [`compare`]: an ordered merge of a lock and what is there. [`accept`](mod@accept): single drifts taken into a lock. [`patch`]: drift
//!    as `git apply` takes it. [`merge`]: two locks that grew out of one.
//! 7. [`capability`]: the only place where paths are opened by name; what comes out are handles. [`sandbox`]: from here on
//!    the kernel holds the process to those handles. [`store`]: files written whole or not at all.
//! 8. [`stat_cache`]: what was read, kept from one run to the next, where that was asked for. [`walk`]: everything below the
//!    roots, by all cores. [`container`]: what an engine says.
//! 9. [`session`]: all of this for one run.
//! 10. [`remote`]: the same entries, collected by a driftlock on a server and read from a connection.
//! 11. [`report`]: what was found, for people and for machines.
//! 12. [`run`]: the use cases: check, lock, diff, export, accept.
//! 13. [`init`]: a first declaration. [`cli`]: one file a command.
//!
//! `fuzzing` is for tests and fuzzers alone.
#![forbid(unsafe_code)]
// No panic on any input.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used))]

#[doc(hidden)]
pub mod accept;
#[doc(hidden)]
pub mod baseline;
mod capability;
mod cli;
#[doc(hidden)]
pub mod compare;
#[doc(hidden)]
pub mod compose;
#[doc(hidden)]
pub mod container;
#[doc(hidden)]
pub mod declaration;
#[doc(hidden)]
pub mod digest;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod init;
#[cfg(test)]
mod layers;
#[doc(hidden)]
pub mod manifest;
#[doc(hidden)]
pub mod merge;
#[doc(hidden)]
pub mod patch;
#[doc(hidden)]
pub mod path;
#[doc(hidden)]
pub mod remote;
#[doc(hidden)]
pub mod report;
mod run;
#[doc(hidden)]
pub mod sandbox;
#[doc(hidden)]
pub mod seal;
#[doc(hidden)]
pub mod session;
mod shell;
#[doc(hidden)]
pub mod stat_cache;
mod store;
#[doc(hidden)]
pub mod walk;

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
