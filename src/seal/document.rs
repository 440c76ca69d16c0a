//! The seal file, version 1. `docs/lock-format.md` specifies it.
//!
//! ```text
//! {
//! "driftlock_seal": 1,
//! "serial": 12,
//! "declaration": "sha256-<base64>",
//! "locks": [
//! {"path":"compose_hashes.lock.json","sha256":"<hex>"}
//! ],
//! "inputs": [
//! {"key":"check.shop.config","sha256":"<hex>"}
//! ]
//! }
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Deserialize;

use crate::digest::{Sha256, Sha256Digest};
use crate::manifest::json::push_string;

/// Digests of files by their paths or keys, ordered by bytes.
pub type Files = BTreeMap<String, Sha256Digest>;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Higher than that of the seal before.
    pub serial: u64,
    /// The digest of the declaration's canonical form.
    pub declaration: Sha256Digest,
    /// All lock files, by their paths below the locks directory.
    pub locks: Files,
    /// All other files that say what is expected, by the keys of the declaration that name them.
    pub inputs: Files,
}

/// Why a seal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("it is empty")]
    Empty,
    #[error("its format version is {0}, and only 1 is known")]
    Version(u64),
    #[error("it is not as driftlock writes it: {0}")]
    Malformed(String),
    #[error("it is not as driftlock writes it: the spaces, the line feeds or the order differ")]
    NotCanonical,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "driftlock_seal")]
    version: u64,
    serial: u64,
    declaration: String,
    locks: Vec<RawFile>,
    inputs: Vec<RawInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    key: String,
    sha256: String,
}

/// Only the version, to recognise other formats.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "driftlock_seal")]
    version: u64,
}

impl Seal {
    /// Parses a seal.
    ///
    /// # Errors
    /// Any bytes that [`write`](Self::write) would not have written.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.is_empty() {
            return Err(DocumentError::Empty);
        }
        if let Ok(Version { version }) = serde_json::from_slice(bytes)
            && version != 1
        {
            return Err(DocumentError::Version(version));
        }
        let malformed = |problem: String| DocumentError::Malformed(problem);
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let digest = |digest: Option<Sha256Digest>| digest.ok_or_else(|| malformed("a digest is malformed".to_owned()));
        let file = |name, sha256: String| Ok((name, digest(Sha256Digest::from_hex(&sha256))?));
        let locks = raw.locks.into_iter().map(|RawFile { path, sha256 }| file(path, sha256));
        let inputs = raw.inputs.into_iter().map(|RawInput { key, sha256 }| file(key, sha256));
        let seal = Self {
            serial: raw.serial,
            declaration: digest(Sha256Digest::from_sri(&raw.declaration))?,
            locks: locks.collect::<Result<_, DocumentError>>()?,
            inputs: inputs.collect::<Result<_, DocumentError>>()?,
        };
        // If a path occurs twice, one was dropped here, so the bytes differ too.
        if raw.version == 1 && seal.write() == bytes { Ok(seal) } else { Err(DocumentError::NotCanonical) }
    }

    /// The only valid encoding.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let Self { serial, declaration, locks, inputs } = self;
        let mut out = b"{\n\"driftlock_seal\": 1,\n".to_vec();
        // Writing to a vector can't fail.
        let _ = write!(out, "\"serial\": {serial},\n\"declaration\": \"{}\",\n\"locks\": [\n", declaration.sri());
        write_files(&mut out, "path", locks);
        out.extend_from_slice(b"],\n\"inputs\": [\n");
        write_files(&mut out, "key", inputs);
        out.extend_from_slice(b"]\n}\n");
        out
    }
}

fn write_files(out: &mut Vec<u8>, by: &str, files: &Files) {
    for (number, (name, sha256)) in files.iter().enumerate() {
        let _ = write!(out, "{}{{\"{by}\":", if number == 0 { "" } else { ",\n" });
        push_string(out, name);
        let _ = write!(out, ",\"sha256\":\"{}\"}}", sha256.hex());
    }
    if !files.is_empty() {
        out.push(b'\n');
    }
}

/// The digest of all bytes of a seal, which identifies it.
#[must_use]
pub fn digest(bytes: &[u8]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        let digest = |byte| Sha256Digest([byte; 32]);
        Seal {
            serial: 12,
            declaration: digest(1),
            locks: [("b.lock.json", 2), ("a/\u{202e}\".lock.txt", 3)]
                .map(|(path, byte)| (path.to_owned(), digest(byte)))
                .into(),
            inputs: [("check.shop.config".to_owned(), digest(4))].into(),
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let expected = format!(
            "{{\n\"driftlock_seal\": 1,\n\"serial\": 12,\n\"declaration\": \"sha256-AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\",\n\
             \"locks\": [\n{{\"path\":\"a/\\u202e\\\".lock.txt\",\"sha256\":\"{}\"}},\n{{\"path\":\"b.lock.json\",\"sha256\":\"{}\"}}\n],\n\
             \"inputs\": [\n{{\"key\":\"check.shop.config\",\"sha256\":\"{}\"}}\n]\n}}\n",
            "03".repeat(32),
            "02".repeat(32),
            "04".repeat(32)
        );
        assert_eq!(String::from_utf8(seal().write()).unwrap(), expected);
        assert_eq!(Seal::parse(expected.as_bytes()), Ok(seal()));
    }

    #[test]
    fn whatever_else_says_the_same_is_refused() {
        let text = String::from_utf8(seal().write()).unwrap();
        for (from, to) in [
            ("\"serial\": 12", "\"serial\":12"),
            ("\"serial\": 12", "\"serial\": 1.2e1"),
            ("\"serial\": 12", "\"serial\": -12"),
            ("\"serial\": 12", "\"serial\": 18446744073709551616"),
            ("\"serial\": 12,", "\"serial\": 12,\n\"serial\": 12,"),
            ("\"serial\": 12,", "\"serial\": 12,\n\"more\": 1,"),
            ("\\u202e", "\u{202e}"),
            ("b.lock.json", "\\u0062.lock.json"),
            ("\"b.lock.json\"", "\"a/\\u202e\\\".lock.txt\""),
            ("a/", "z/"),
            ("AQE=", "AQF="),
            ("0303", "03"),
            ("\n}\n", "\n}"),
            ("\n}\n", "\n}\n\n"),
            ("\n", "\r\n"),
            ("\"inputs\": [\n", "\"inputs\": ["),
            ("\"key\"", "\"path\""),
        ] {
            let other = text.replacen(from, to, if from == "\n" { 99 } else { 1 });
            assert_ne!(other, text, "{from}");
            assert!(Seal::parse(other.as_bytes()).is_err(), "{from} → {to}");
        }
        assert_eq!(Seal::parse(text.replace("seal\": 1", "seal\": 2").as_bytes()), Err(DocumentError::Version(2)));
        assert_eq!(Seal::parse(b""), Err(DocumentError::Empty));
        for end in 1..text.len() {
            assert!(Seal::parse(&text.as_bytes()[..end]).is_err(), "{end}");
        }
    }
}
