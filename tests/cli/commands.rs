//! The commands as an operator uses them: what they print, where, and with which exit code.

mod check;
mod declared;
mod diff;
mod generated;
mod hash;
mod history;
mod init;
mod layouts;
mod lock;
mod metrics;
mod relock;
mod report;
mod retention;
mod seed;
mod zones;
