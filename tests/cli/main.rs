//! The built binary, run on real trees: what a user would do, and what an adversary would.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test builds the scene that the crate only reads"
)]

mod accept;
mod adversarial;
mod bad_input;
mod ci_logs;
mod commands;
mod containers;
mod crash;
mod damage;
mod filesystems;
mod fuse;
mod gentle;
mod hanging;
mod harness;
mod kernels;
mod machine;
mod many;
mod merge;
mod model;
mod mounts;
mod nar;
mod next;
mod old_locks;
mod oracles;
mod own_files;
mod patch;
mod properties;
mod reading;
mod real_tree;
mod sandboxed;
mod seal;
mod servers;
mod several_names;
mod stat_cache;
mod touched;
mod uncovered;
mod watch;
