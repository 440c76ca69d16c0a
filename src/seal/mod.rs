//! Seals: a signed statement over all locks and the declaration, with a serial number.
//!
//! `<locks>/driftlock.seal` is the statement ([`Seal`]), `<locks>/driftlock.seal.sig` its signature by an SSH key, made
//! by `ssh-keygen -Y sign -n driftlock` ([`Signature`]). Who may sign comes from a file of [allowed signers](Signers),
//! which lies where an attacker who can write the locks can't write. [`verify`] takes the key from there, never from
//! the signature. [`State`] remembers the last seal, so that an older one is refused.
//!
//! Nothing here reads a file or starts a program.

pub mod document;
mod key;
mod signature;
mod signers;
mod state;
mod wire;

pub use document::{DocumentError, Files, Seal};
pub use key::PublicKey;
pub use signature::{Signature, SignatureError};
pub use signers::{LIMIT as SIGNERS_LIMIT, NotAllowed, Signers, SignersError};
pub use state::{LIMIT as STATE_LIMIT, Rollback, State, StateError};

use jiff::Timestamp;

use crate::digest::Sha256Digest;

/// The namespace of signatures of seals. A signature for another purpose has another namespace.
pub const NAMESPACE: &str = "driftlock";
/// The seal, in the locks directory.
pub const NAME: &str = "driftlock.seal";
/// Its signature, in the locks directory.
pub const SIGNATURE_NAME: &str = "driftlock.seal.sig";
/// The largest seal that is read, in bytes: enough for a hundred thousand locks.
pub const LIMIT: u64 = 32 << 20;
/// The largest signature that is read, in bytes.
pub const SIGNATURE_LIMIT: u64 = 64 << 10;

/// A seal whose signature is one of an allowed signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub seal: Seal,
    /// The digest of the seal's bytes.
    pub digest: Sha256Digest,
    /// The principals of the signer, as the allowed signers have them. Not escaped.
    pub signer: String,
    /// The type of the key, as `ssh-keygen -t` has it.
    pub kind: &'static str,
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

/// Why a seal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("{NAME} is refused: {0}")]
    Document(#[from] DocumentError),
    #[error("{SIGNATURE_NAME} is refused: {0}")]
    Signature(#[from] SignatureError),
    #[error("the key that signed the seal, {kind} {fingerprint}, is refused: {why}")]
    Signer { kind: &'static str, fingerprint: String, why: NotAllowed },
}

impl Verified {
    /// The state that `--seal-state` stores for this seal.
    #[must_use]
    pub const fn state(&self) -> State {
        State { serial: self.seal.serial, declaration: self.seal.declaration, seal: self.digest }
    }
}

/// Verifies the bytes of a seal and of its signature, at a time.
///
/// # Errors
/// The signature is malformed, not of an allowed signer, or not of these bytes; or the seal is malformed.
pub fn verify(seal: &[u8], signature: &[u8], signers: &Signers, at: Timestamp) -> Result<Verified, SealError> {
    let signature = Signature::parse(signature)?;
    let claimed = signature.claimed();
    let signer = signers.find(claimed, at).map_err(|why| SealError::Signer {
        kind: claimed.kind(),
        fingerprint: claimed.fingerprint(),
        why,
    })?;
    // From here on, only the key of the allowed signers counts.
    signature.verify(&signer.key, seal)?;
    Ok(Verified {
        seal: Seal::parse(seal)?,
        digest: document::digest(seal),
        signer: signer.principals.clone(),
        kind: signer.key.kind(),
        fingerprint: signer.key.fingerprint(),
    })
}
