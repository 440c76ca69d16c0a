//! A digest, in hex and as SRI.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// 64 lower-case hexadecimal digits, as `sha256sum` prints them.
    #[must_use]
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Parses the form of [`hex`](Self::hex), and no other.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// `sha256-` and padded Base64, the SRI form that Nix prints.
    ///
    /// Source: <https://www.w3.org/TR/SRI/#the-integrity-attribute>, and Nix's manual on `nix hash`.
    #[must_use]
    pub fn sri(&self) -> String {
        format!("sha256-{}", BASE64.encode(&self.0))
    }

    /// Parses the form of [`sri`](Self::sri), and no other.
    #[must_use]
    pub fn from_sri(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix("sha256-")?.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}
