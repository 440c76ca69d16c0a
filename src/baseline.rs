//! The lock of a check, opened in whichever format the declaration says.

use std::io::{self, BufReader, Read as _};

use cap_std::fs::{Dir, File, OpenOptions};

use crate::declaration::{Check, LockFormat};
use crate::digest::Sha256;
use crate::manifest::{AttributeSet, Entries, LockError, Observed, Sha256Digest, json, text};

/// The largest `sha256sum` lock that is read, in bytes; the JSON format is read as a stream and has no such limit.
const TEXT_LIMIT: u64 = 1 << 30;

/// A lock that is being read.
#[derive(Debug)]
pub enum Baseline {
    Json(Box<json::Reader<BufReader<File>>>),
    /// With the digest of the whole file.
    Text(text::Reader, Sha256Digest),
}

impl Baseline {
    /// Opens a lock by its name; nothing if it is missing.
    ///
    /// # Errors
    /// A lock that can't be read, or whose beginning is malformed.
    pub fn open(locks: &Dir, name: &str, format: LockFormat) -> Result<Option<Self>, LockError> {
        let mut options = OpenOptions::new();
        options.read(true);
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
        let file = match locks.open_with(name, &options) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Self::read(file, format).map(Some)
    }

    /// Reads a lock from a file that is open.
    ///
    /// # Errors
    /// A lock that can't be read, or whose beginning is malformed.
    pub fn read(file: File, format: LockFormat) -> Result<Self, LockError> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
        }
        Ok(match format {
            LockFormat::Json => Self::Json(Box::new(json::Reader::new(BufReader::with_capacity(128 << 10, file))?)),
            LockFormat::Sha256sum => {
                let mut bytes = Vec::new();
                file.take(TEXT_LIMIT + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > TEXT_LIMIT {
                    let problem = format!("it is larger than {TEXT_LIMIT} bytes");
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem).into());
                }
                let mut hasher = Sha256::new();
                hasher.update(&bytes);
                Self::Text(text::Reader::new(&bytes)?, hasher.finish())
            }
        })
    }

    /// Checks that this is the lock of that check.
    ///
    /// # Errors
    /// One of another check, of another kind, or with other attributes.
    pub fn belongs_to(&self, check: &Check) -> Result<(), LockError> {
        let Self::Json(reader) = self else { return Ok(()) };
        let header = reader.header();
        if header.check != check.name {
            return Err(LockError::OtherCheck { found: header.check.clone(), expected: check.name.clone() });
        }
        if header.kind != check.kind {
            return Err(LockError::OtherKind { found: header.kind.name(), expected: check.kind.name() });
        }
        if header.attributes != check.attributes {
            let names = |set: AttributeSet| set.names().collect::<Vec<_>>().join(", ");
            return Err(LockError::OtherAttributes {
                found: names(header.attributes),
                expected: names(check.attributes),
            });
        }
        Ok(())
    }

    /// The line, from 1, of the entry that was given last.
    #[must_use]
    pub fn line(&self) -> u64 {
        match self {
            Self::Json(reader) => reader.line(),
            Self::Text(reader, _) => reader.line(),
        }
    }

    /// The digest that it states, in SRI form; the `sha256sum` format has none.
    #[must_use]
    pub fn stated_digest(&self) -> Option<&str> {
        match self {
            Self::Json(reader) => Some(reader.stated_digest()),
            Self::Text(..) => None,
        }
    }

    /// What tells this lock from all others of its check: the digest that it states, or that of the whole file.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        match self {
            Self::Json(reader) => reader.stated_digest().as_bytes().to_vec(),
            Self::Text(_, digest) => digest.0.to_vec(),
        }
    }
}

impl Entries for Baseline {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        match self {
            Self::Json(reader) => reader.next(),
            Self::Text(reader, _) => reader.next(),
        }
    }

    fn pass(&mut self, same: &Observed<'_>) -> Result<bool, LockError> {
        match self {
            Self::Json(reader) => reader.pass(same),
            Self::Text(reader, _) => reader.pass(same),
        }
    }
}
