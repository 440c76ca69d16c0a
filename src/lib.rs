//! driftlock pins the state of servers in lock files that are byte for byte reproducible, and says exactly what has
//! drifted.
//!
//! Data flows one way, and each module knows nothing of those after it:
//!
//! 1. [`declaration`]: which checks, over which roots.
//! 2. [`capability`]: the only place where paths are opened by name; what comes out are handles.
//! 3. [`sandbox`]: from here on the kernel holds the process to those handles.
//! 4. [`walk`] and [`digest`]: everything below the roots, by all cores; [`container`]: what an engine says.
//! 5. [`manifest`]: the canonical, sorted entries, and their two forms at rest; [`baseline`] opens a lock;
//!    [`stat_cache`] keeps what was read from one run to the next, where that was asked for.
//! 6. [`compare`]: an ordered merge of a lock and what is there; [`accept`]: single drifts taken into a lock,
//!    [`patch`]: drift as `git apply` takes it, and [`merge`]: two locks that grew out of one.
//! 7. [`remote`]: the same entries, collected by a driftlock on a server and read from a connection.
//! 8. [`report`]: what was found, for people and for machines.
//!
//! [`session`] strings these together for one run, and [`cli`] has one file a command. `fuzzing` is for tests and fuzzers alone.
#![forbid(unsafe_code)]
// No panic on any input.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unwrap_used))]

pub mod accept;
pub mod baseline;
pub mod capability;
pub mod cli;
pub mod compare;
pub mod container;
pub mod declaration;
pub mod digest;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod init;
pub mod manifest;
pub mod merge;
pub mod patch;
pub mod path;
pub mod remote;
pub mod report;
pub mod sandbox;
pub mod session;
pub mod shell;
pub mod stat_cache;
pub mod store;
pub mod trouble;
pub mod walk;
