//! Public keys that can verify a seal: ed25519 and ECDSA over P-256, each in software or on a security key (`sk`).
//!
//! Sources: RFC 8709, section 4; RFC 5656, section 3; OpenSSH's PROTOCOL.u2f.

use std::fmt;

use data_encoding::BASE64_NOPAD;
use p256::ecdsa::signature::Verifier as _;

use super::document::digest as sha256;
use super::wire::Wire;

/// The bit of a security key's flags that says that a person touched it (user presence).
const TOUCHED: u8 = 1;

/// A public key. Two are equal if they have the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The SSH encoding, with the type.
    blob: Vec<u8>,
    point: Point,
    /// The application of a security key, `ssh:` for example; `None` for a key in software.
    application: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Point {
    Ed25519([u8; 32]),
    /// Uncompressed.
    P256([u8; 65]),
}

/// Why bytes are no key that can verify a seal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("keys of type {0} can't sign seals")]
    Type(String),
    #[error("the key is malformed")]
    Malformed,
}

/// Why a signature is not one of this key for these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("its type is not that of the key")]
    Type,
    #[error("it is malformed")]
    Malformed,
    #[error("it was made with a security key that was not touched")]
    NotTouched,
    #[error("it is not a signature of these bytes")]
    Bytes,
}

impl PublicKey {
    /// Parses a key as SSH encodes it.
    ///
    /// # Errors
    /// A key of another type, and one that is malformed.
    pub fn parse(blob: &[u8]) -> Result<Self, KeyError> {
        let mut wire = Wire::new(blob);
        let name = wire.text().ok_or(KeyError::Malformed)?;
        let Some((is_p256, is_sk)) = kind_of(name) else { return Err(KeyError::Type(name.to_owned())) };
        let rest = || -> Option<(Point, Option<String>)> {
            if is_p256 && wire.text()? != "nistp256" {
                return None;
            }
            let point = wire.string()?;
            let application = if is_sk { Some(wire.text()?.to_owned()) } else { None };
            let point = match is_p256 {
                false => Point::Ed25519(point.try_into().ok()?),
                true if point.first() == Some(&4) => Point::P256(point.try_into().ok()?),
                true => return None,
            };
            wire.is_at_end().then_some((point, application))
        };
        let mut rest = rest;
        let (point, application) = rest().ok_or(KeyError::Malformed)?;
        let key = Self { blob: blob.to_vec(), point, application };
        // This checks that the point is on the curve.
        match &key.point {
            Point::Ed25519(point) => ed25519_dalek::VerifyingKey::from_bytes(point).map(drop).ok(),
            Point::P256(point) => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(drop).ok(),
        }
        .ok_or(KeyError::Malformed)?;
        Ok(key)
    }

    /// As SSH encodes it.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The type as it is in a file of keys, `ssh-ed25519` for example.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match (&self.point, &self.application) {
            (Point::Ed25519(_), None) => "ssh-ed25519",
            (Point::Ed25519(_), Some(_)) => "sk-ssh-ed25519@openssh.com",
            (Point::P256(_), None) => "ecdsa-sha2-nistp256",
            (Point::P256(_), Some(_)) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The type as `ssh-keygen -t` has it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match (&self.point, &self.application) {
            (Point::Ed25519(_), None) => "ed25519",
            (Point::Ed25519(_), Some(_)) => "ed25519-sk",
            (Point::P256(_), None) => "ecdsa",
            (Point::P256(_), Some(_)) => "ecdsa-sk",
        }
    }

    /// The fingerprint that `ssh-keygen -l` prints.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64_NOPAD.encode(&sha256(&self.blob).0))
    }

    /// Verifies a signature, as SSH encodes it, of `signed`.
    ///
    /// # Errors
    /// Why it is not a signature of this key for these bytes.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        let mut wire = Wire::new(signature);
        if wire.text() != Some(self.type_name()) {
            return Err(Unverified::Type);
        }
        let raw = wire.string().ok_or(Unverified::Malformed)?;
        let flags = match self.application {
            None => None,
            Some(_) => Some(wire.array::<5>().ok_or(Unverified::Malformed)?),
        };
        if !wire.is_at_end() {
            return Err(Unverified::Malformed);
        }
        let signed = match (&self.application, flags) {
            (Some(application), Some(flags)) => {
                if flags[0] & TOUCHED == 0 {
                    return Err(Unverified::NotTouched);
                }
                // Flags and counter are signed as they are encoded.
                [&sha256(application.as_bytes()).0[..], &flags, &sha256(signed).0].concat()
            }
            _ => signed.to_vec(),
        };
        match &self.point {
            Point::Ed25519(point) => {
                let raw = raw.try_into().map_err(|_| Unverified::Malformed)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| Unverified::Malformed)?;
                let signature = ed25519_dalek::Signature::from_bytes(raw);
                key.verify_strict(&signed, &signature).map_err(|_| Unverified::Bytes)
            }
            Point::P256(point) => {
                let mut wire = Wire::new(raw);
                let (Some(r), Some(s), true) = (wire.scalar(), wire.scalar(), wire.is_at_end()) else {
                    return Err(Unverified::Malformed);
                };
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| Unverified::Malformed)?;
                let signature = p256::ecdsa::Signature::from_scalars(r, s).map_err(|_| Unverified::Malformed)?;
                key.verify(&signed, &signature).map_err(|_| Unverified::Bytes)
            }
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.fingerprint())
    }
}

/// Whether a type of key is over P-256, and whether it is one of security keys.
fn kind_of(name: &str) -> Option<(bool, bool)> {
    match name {
        "ssh-ed25519" => Some((false, false)),
        "sk-ssh-ed25519@openssh.com" => Some((false, true)),
        "ecdsa-sha2-nistp256" => Some((true, false)),
        "sk-ecdsa-sha2-nistp256@openssh.com" => Some((true, true)),
        _ => None,
    }
}
