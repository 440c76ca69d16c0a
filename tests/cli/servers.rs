//! `--server`, against OpenSSH's own sshd on loopback: keys, known hosts and configuration of its own, and nothing of
//! the machine's.

mod between;
mod compose;
mod contents;
mod dead;
mod declared;
mod export;
mod fleet;
mod groups;
mod launched;
mod liars;
mod one;
mod own_locks;
mod pushed;
mod refused;
mod seed;
mod sessions;
pub mod site;
mod standing;
