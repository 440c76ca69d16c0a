//! The seal that was seen last, so that an older one is refused: version 1 of the file of `--seal-state`.
//!
//! ```text
//! {
//! "driftlock_seal_state": 1,
//! "serial": 12,
//! "declaration": "sha256-<base64>",
//! "seal": "sha256-<base64>"
//! }
//! ```

use serde::Deserialize;

use crate::digest::Sha256Digest;

/// The largest state that is read, in bytes: more than any that is written.
pub const LIMIT: u64 = 4 << 10;

/// The highest serial number that was seen, the declaration that its seal has, and the digest of that seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub serial: u64,
    /// Only for messages: a declaration may change from seal to seal.
    pub declaration: Sha256Digest,
    pub seal: Sha256Digest,
}

/// A file that is no state as driftlock writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not as driftlock writes it")]
pub struct StateError;

/// A seal that is not the successor of the one that was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rollback {
    #[error("its serial is {serial}, but {seen} was seen before")]
    Older { serial: u64, seen: u64 },
    #[error("its serial is {serial}, but another seal with this serial was seen before")]
    Other { serial: u64 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "driftlock_seal_state")]
    version: u64,
    serial: u64,
    declaration: String,
    seal: String,
}

impl State {
    /// Parses a state.
    ///
    /// # Errors
    /// Any bytes that [`write`](Self::write) would not have written.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let Raw { version, serial, declaration, seal } = serde_json::from_slice(bytes).map_err(|_| StateError)?;
        let digest = |sri: &str| Sha256Digest::from_sri(sri).ok_or(StateError);
        let state = Self { serial, declaration: digest(&declaration)?, seal: digest(&seal)? };
        if version == 1 && state.write() == bytes { Ok(state) } else { Err(StateError) }
    }

    /// The only valid encoding.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let Self { serial, declaration, seal } = self;
        let (declaration, seal) = (declaration.sri(), seal.sri());
        format!(
            "{{\n\"driftlock_seal_state\": 1,\n\"serial\": {serial},\n\"declaration\": \"{declaration}\",\n\"seal\": \"{seal}\"\n}}\n"
        )
        .into_bytes()
    }

    /// Makes sure that a seal is this one or a later one.
    ///
    /// # Errors
    /// It is an older one, or another one with the same serial number.
    pub fn admits(&self, seal: &Self) -> Result<(), Rollback> {
        let serial = seal.serial;
        if serial < self.serial {
            Err(Rollback::Older { serial, seen: self.serial })
        } else if serial == self.serial && seal.seal != self.seal {
            Err(Rollback::Other { serial })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(serial: u64, byte: u8) -> State {
        State { serial, declaration: Sha256Digest([2; 32]), seal: Sha256Digest([byte; 32]) }
    }

    #[test]
    fn the_bytes_are_these_and_no_others() {
        let text = "{\n\"driftlock_seal_state\": 1,\n\"serial\": 12,\n\"declaration\": \"sha256-AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\",\n\"seal\": \"sha256-AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"\n}\n";
        assert_eq!(state(12, 1).write(), text.as_bytes());
        assert_eq!(State::parse(text.as_bytes()), Ok(state(12, 1)));
        for (from, to) in [
            ("1,", "2,"),
            ("12", "012"),
            ("12", "-1"),
            ("AQE=", "AQF="),
            ("AgI=", "AgJ="),
            ("declaration", "declared"),
            ("\n}", "}"),
            ("12", "12,\n\"serial\": 12"),
        ] {
            assert_eq!(State::parse(text.replacen(from, to, 1).as_bytes()), Err(StateError), "{from} → {to}");
        }
        for end in 0..text.len() {
            assert_eq!(State::parse(&text.as_bytes()[..end]), Err(StateError), "{end}");
        }
    }

    #[test]
    fn serials_only_rise() {
        let seen = state(12, 1);
        assert_eq!(seen.admits(&state(12, 1)), Ok(()));
        assert_eq!(seen.admits(&state(13, 2)), Ok(()));
        assert_eq!(seen.admits(&state(u64::MAX, 2)), Ok(()));
        assert_eq!(seen.admits(&state(11, 1)), Err(Rollback::Older { serial: 11, seen: 12 }));
        assert_eq!(seen.admits(&state(12, 2)), Err(Rollback::Other { serial: 12 }));
    }
}
