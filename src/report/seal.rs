//! The result of verifying the seal of the baseline.

use super::{Error, Status};

/// The result of verifying a seal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealReport {
    /// The seal; `None` if its signature could not be verified.
    pub sealed: Option<Sealed>,
    /// Why the seal is refused, and what is not as it was sealed.
    pub troubles: Vec<Error>,
}

impl SealReport {
    /// Whether the baseline is what was sealed.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::pass_if(self.sealed.is_some() && self.troubles.is_empty())
    }
}

/// A seal whose signature is one of an allowed signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub serial: u64,
    /// The principals of the signer, as the allowed signers have them.
    pub signer: String,
    /// The type of the key, as `ssh-keygen -t` has it.
    pub key: String,
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The declaration that was compared with the seal, if it is not the run's own.
    pub declaration: Option<String>,
}
