//! SHA-256 and the Nix archive format: digests of bytes that somebody else reads. Nothing here knows a path.

mod aside;
pub mod lanes;
pub mod nar;
mod sha256;

pub use aside::Aside;
pub use sha256::{Sha256, digest_of, padding};
