//! A signature as `ssh-keygen -Y sign` writes it: OpenSSH's PROTOCOL.sshsig.
//!
//! ```text
//! -----BEGIN SSH SIGNATURE-----
//! base64, 70 characters a line, of: "SSHSIG" u32(1) key namespace reserved hash signature
//! -----END SSH SIGNATURE-----
//! ```
//!
//! Any other bytes for the same signature are refused. What is signed is not the message but its digest, with the
//! namespace: `"SSHSIG" namespace reserved hash digest`.

use data_encoding::BASE64;
use sha2::{Digest as _, Sha512};

use super::NAMESPACE;
use super::document::digest;
use super::key::{KeyError, PublicKey, Unverified};
use super::wire::{Wire, push};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8; 6] = b"SSHSIG";
/// Characters of Base64 in a line.
const WIDTH: usize = 70;

/// A signature that was parsed, and not verified.
#[derive(Debug)]
pub struct Signature {
    /// The key that it claims. Never use it to verify: look it up among the allowed signers.
    claimed: PublicKey,
    namespace: String,
    hash: Hash,
    /// As SSH encodes it.
    raw: Vec<u8>,
    /// All of it, without the armor.
    blob: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha512,
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("it is not a signature as `ssh-keygen -Y sign` writes it")]
    Malformed,
    #[error("its format version is {0}, and only 1 is known")]
    Version(u32),
    #[error("its key can't be used: {0}")]
    Key(#[from] KeyError),
    #[error("it was made for the namespace {0:?}, not for {NAMESPACE:?}")]
    Namespace(String),
    #[error("it uses the hash {0:?}, and only sha256 and sha512 are known")]
    Hash(String),
    #[error("{0}")]
    Unverified(#[from] Unverified),
}

impl Signature {
    /// Parses a signature with its armor.
    ///
    /// # Errors
    /// It is malformed, or of a key or a hash that is not known.
    pub fn parse(armored: &[u8]) -> Result<Self, SignatureError> {
        let text = std::str::from_utf8(armored).map_err(|_| SignatureError::Malformed)?;
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let blob = BASE64.decode(base64.as_bytes()).map_err(|_| SignatureError::Malformed)?;
        let signature = Self::decode(blob)?;
        if signature.armored() == text { Ok(signature) } else { Err(SignatureError::Malformed) }
    }

    fn decode(blob: Vec<u8>) -> Result<Self, SignatureError> {
        let malformed = || SignatureError::Malformed;
        let mut wire = Wire::new(&blob);
        if wire.array() != Some(*MAGIC) {
            return Err(malformed());
        }
        let version = wire.u32().ok_or_else(malformed)?;
        if version != 1 {
            return Err(SignatureError::Version(version));
        }
        let key = wire.string().ok_or_else(malformed)?;
        let namespace = wire.text().ok_or_else(malformed)?.to_owned();
        let reserved = wire.string().ok_or_else(malformed)?;
        let hash = wire.text().ok_or_else(malformed)?;
        let raw = wire.string().ok_or_else(malformed)?.to_vec();
        if !reserved.is_empty() || !wire.is_at_end() {
            return Err(malformed());
        }
        let hash = match hash {
            "sha256" => Hash::Sha256,
            "sha512" => Hash::Sha512,
            other => return Err(SignatureError::Hash(other.to_owned())),
        };
        let claimed = PublicKey::parse(key)?;
        Ok(Self { claimed, namespace, hash, raw, blob })
    }

    /// The key that it claims to be of.
    #[must_use]
    pub const fn claimed(&self) -> &PublicKey {
        &self.claimed
    }

    /// The only valid encoding in a file.
    #[must_use]
    pub fn armored(&self) -> String {
        let base64 = BASE64.encode(&self.blob);
        let mut text = format!("{BEGIN}\n");
        // Base64 is ASCII.
        for line in base64.as_bytes().chunks(WIDTH) {
            text.push_str(std::str::from_utf8(line).unwrap_or_default());
            text.push('\n');
        }
        text + END + "\n"
    }

    /// Verifies that `key` signed `message` for the namespace of seals.
    ///
    /// # Errors
    /// It is of another namespace or another key, or not of these bytes.
    pub fn verify(&self, key: &PublicKey, message: &[u8]) -> Result<(), SignatureError> {
        if self.namespace != NAMESPACE {
            return Err(SignatureError::Namespace(self.namespace.clone()));
        }
        if self.claimed != *key {
            return Err(Unverified::Bytes.into());
        }
        let (name, digest) = match self.hash {
            Hash::Sha256 => ("sha256", digest(message).0.to_vec()),
            Hash::Sha512 => ("sha512", Sha512::digest(message).to_vec()),
        };
        let mut signed = MAGIC.to_vec();
        for part in [NAMESPACE.as_bytes(), b"", name.as_bytes(), &digest] {
            push(&mut signed, part);
        }
        Ok(key.verify(&signed, &self.raw)?)
    }
}
