//! driftlock pins the state of servers in lock files that are byte for byte reproducible, and says exactly what has
//! drifted.
//!
//! Each module knows only those that come before it in this list, which a test holds:
//!
//! 1. [`path`], [`trouble`], [`shell`]: paths of entries, and what is said to people, harmless on a terminal.
//! 2. [`digest`]: SHA-256 and Nix archives of bytes that others read.
//! 3. [`manifest`]: the canonical, sorted entries, and their two forms at rest.
//! 4. [`declaration`]: which checks, over which roots. [`compose`]: what Compose files declare.
//! 5. [`baseline`]: a lock, opened, of ours or of the scripts that came before. [`seal`]: a signed statement over all locks.
//! 6. [`compare`]: an ordered merge of a lock and what is there. [`accept`]: single drifts taken into a lock. [`patch`]: drift
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

pub mod accept;
pub mod baseline;
pub mod capability;
pub mod cli;
pub mod compare;
pub mod compose;
pub mod container;
pub mod declaration;
pub mod digest;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod init;
#[cfg(test)]
mod layers;
pub mod manifest;
pub mod merge;
pub mod patch;
pub mod path;
pub mod remote;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod seal;
pub mod session;
pub mod shell;
pub mod stat_cache;
pub mod store;
pub mod trouble;
pub mod walk;
