//! SHA-256 and the Nix archive format: digests of bytes. Nothing here knows a path.
//!
//! Two types use a second thread for a long stream: [`BackgroundHasher`] hashes the bytes that it is given, and
//! [`ReadAhead`] reads and hashes the bytes before its consumer takes them.

mod background;
mod kernel;
pub mod nar;
mod read_ahead;
mod sha256;
mod sha256_digest;
mod side_by_side;

pub use background::BackgroundHasher;
pub use kernel::{choose, kernel};
pub use read_ahead::ReadAhead;
pub use sha256::{Sha256, digest_of, padding};
pub use sha256_digest::Sha256Digest;
