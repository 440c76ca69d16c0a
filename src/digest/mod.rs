//! SHA-256 and the Nix archive format: digests of bytes that others read. Nothing here knows a path.
//!
//! Two take a long stream to a second thread: [`Aside`] hashes what it is given piece by piece, and [`Ahead`] reads and hashes
//! what is going to be taken.

mod ahead;
mod aside;
pub mod nar;
mod sha256;
mod sha256_digest;

pub use ahead::Ahead;
pub use aside::Aside;
pub use sha256::{Sha256, digest_of, padding};
pub use sha256_digest::Sha256Digest;
