//! What a container engine says of its containers, and the files in them: over a socket that was connected before the
//! sandbox was entered, and with nothing but GET requests.
//!
//! An engine is asked like any other stranger: its answers are malformed until proven otherwise, and there is a bound on
//! the time that they take and on the memory. Where one breaks the rules, the check is trouble, and the others go on.

mod answers;
mod client;
mod containers;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod http;
mod inventory;
mod names;
mod picks;
mod record;
mod security;
mod stream;
mod tar;

pub use containers::containers;
pub use error::EngineError;
pub use files::{Files, files};
pub use inventory::{EVERYTHING, Image, Inventory, Labels, Network, Volume, inventory};
pub use picks::Picks;
pub use stream::{PATIENCE, Patience};
