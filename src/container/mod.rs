//! Collects containers, and files in them, from a container engine: over a socket that was connected before the sandbox
//! was entered, and only with GET requests.
//!
//! Engines are not trusted: responses are validated, and their time and memory are limited. If an engine breaks the
//! rules, its check is trouble, and other checks continue.

mod client;
mod containers;
mod error;
mod files;
mod filter;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod http;
mod inventory;
mod names;
mod record;
mod responses;
#[cfg(test)]
mod scripted;
mod security;
mod stream;
mod tar;

pub use containers::containers;
pub use error::EngineError;
pub use files::{Files, files};
pub use filter::ContainerFilter;
pub use inventory::{ALL_ATTRIBUTES, Image, Inventory, Labels, Network, Volume, inventory};
pub use stream::{TIMEOUTS, Timeouts};
