//! SHA-256 and the Nix archive format: digests of bytes that others read. Nothing here knows a path.
//!
//! Two take a long stream to a second thread: [`BackgroundHasher`] hashes what it is given piece by piece, and [`ReadAhead`] reads and hashes
//! what is going to be taken.

mod background;
mod kernel;
pub mod nar;
mod read_ahead;
mod sha256;
mod sha256_digest;

pub use background::BackgroundHasher;
pub use kernel::{choose, kernel};
pub use read_ahead::ReadAhead;
pub use sha256::{Sha256, digest_of, padding};
pub use sha256_digest::Sha256Digest;
