//! Opens the lock of a check, in the format that the declaration says. Recognises locks of the old scripts by their
//! contents.

#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod modules;
mod old;
mod source;
pub mod spellings;

pub use old::OldLock;
pub use source::{LockReads, LockSource};
pub use spellings::Spellings;

use std::io::{self, BufReader, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use cap_std::fs::{Dir, File, OpenOptions};

use crate::declaration::{Check, LockFormat};
use crate::digest::Sha256;
use crate::manifest::{AttributeSet, Entries, Kind, LockError, Observed, Sha256Digest, json, text};
use modules::ModulesOf;
use old::{ImagesOf, RootInPaths};

/// The largest `sha256sum` lock that is read, in bytes. The JSON format is read as a stream and has no such limit.
const TEXT_LIMIT: u64 = 1 << 30;

/// A lock that is being read.
#[derive(Debug)]
pub enum Baseline {
    Json(Box<json::Reader<BufReader<LockSource>>>),
    Text(TextLock),
    Old(Old),
}

/// A lock in the format of `sha256sum`.
#[derive(Debug)]
pub struct TextLock {
    pub reader: text::Reader,
    /// The digest of the whole file.
    digest: Sha256Digest,
    /// A directory that its paths could also be below, if it were a lock of the scripts.
    pub or_below: Option<Vec<u8>>,
}

/// A lock of the old scripts.
#[derive(Debug)]
pub struct Old {
    lock: OldLock,
    reader: text::Reader,
    /// The digest of the whole file.
    digest: Sha256Digest,
    /// Spellings of the check's root.
    spellings: Spellings,
}

/// The bytes of a lock.
#[derive(Clone, Copy, Debug)]
pub enum Whole<'a> {
    /// They were read when it was opened; this is their digest.
    Digest(Sha256Digest),
    /// They are read as a stream.
    File(&'a File),
}

impl Baseline {
    /// Opens the lock of a check; `None` if it is missing. `path` is its path below `locks`; `spellings` are those of the
    /// check's root; `reads` records what is read of it.
    ///
    /// # Errors
    /// The lock can't be read, or its beginning is malformed.
    pub fn of(
        check: &Check,
        locks: &Dir,
        path: &str,
        spellings: &Spellings,
        reads: Option<&LockReads>,
    ) -> Result<Option<Self>, LockError> {
        let source = |file, path| match reads {
            Some(reads) => LockSource::recorded(file, path, reads),
            None => LockSource::from(file),
        };
        if let Some(file) = open(locks, path)? {
            return Self::of_file(check, source(file, path), spellings).map(Some);
        }
        let Some(old) = &check.lock.old else { return Ok(None) };
        open(locks, old)?.map(|file| Self::of_modules(check, source(file, old), spellings)).transpose()
    }

    /// The same for an open file with the name of the new lock or of the declared text lock.
    ///
    /// # Errors
    /// The lock can't be read, or its beginning is malformed.
    pub fn of_file(check: &Check, file: impl Into<LockSource>, spellings: &Spellings) -> Result<Self, LockError> {
        let file = file.into();
        match check.lock.format {
            LockFormat::Json => {
                let lock = Self::read(file, LockFormat::Json)?;
                if let (Self::Old(old), Some(_)) = (&lock, &check.engine) {
                    old::records(&old.reader, &check.selection)?;
                }
                Ok(lock)
            }
            LockFormat::Sha256sum => {
                let (bytes, digest) = whole(file, TEXT_LIMIT)?;
                let lines = text::lines(&bytes)?;
                let or_below = match old::root_of(&lines, spellings, &check.selection)? {
                    RootInPaths::Here(root) => {
                        let reader = old::without_root(lines, &root)?;
                        let spellings = Spellings::default();
                        return Ok(Self::Old(Old { lock: OldLock::FileHashes, reader, digest, spellings }));
                    }
                    RootInPaths::NowhereOr(root) => Some(root),
                    RootInPaths::Nowhere => None,
                };
                Ok(Self::Text(TextLock { reader: text::Reader::of_lines(lines)?, digest, or_below }))
            }
        }
    }

    /// The same for a file with the name of an old lock of modules.
    ///
    /// # Errors
    /// The lock can't be read, or is malformed.
    pub fn of_modules(check: &Check, file: impl Into<LockSource>, spellings: &Spellings) -> Result<Self, LockError> {
        let (bytes, digest) = whole(file.into(), modules::LIMIT)?;
        let reader = modules::read(&bytes, &check.selection)?;
        Ok(Self::Old(Old { lock: OldLock::ModuleHashes, reader, digest, spellings: spellings.clone() }))
    }

    /// Opens a lock by its name; `None` if it is missing. The paths of a text lock are relative to the root.
    ///
    /// # Errors
    /// The lock can't be read, or its beginning is malformed.
    pub fn open(locks: &Dir, name: &str, format: LockFormat) -> Result<Option<Self>, LockError> {
        open(locks, name)?.map(|file| Self::read(file, format)).transpose()
    }

    /// The same for an open file.
    ///
    /// # Errors
    /// The lock can't be read, or its beginning is malformed.
    pub fn read(file: impl Into<LockSource>, format: LockFormat) -> Result<Self, LockError> {
        let file = file.into();
        if !file.file().metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
        }
        Ok(match format {
            LockFormat::Json if holds_images(file.file())? => {
                let (bytes, digest) = whole(file, old::IMAGES_LIMIT)?;
                let (reader, spellings) = (old::images(&bytes)?, Spellings::default());
                Self::Old(Old { lock: OldLock::ContainerImages, reader, digest, spellings })
            }
            LockFormat::Json => Self::Json(Box::new(json::Reader::new(BufReader::with_capacity(128 << 10, file))?)),
            LockFormat::Sha256sum => {
                let (bytes, digest) = whole(file, TEXT_LIMIT)?;
                Self::Text(TextLock { reader: text::Reader::new(&bytes)?, digest, or_below: None })
            }
        })
    }

    /// Which of the old locks it is, if it is one.
    #[must_use]
    pub const fn old(&self) -> Option<OldLock> {
        match self {
            Self::Old(old) => Some(old.lock),
            Self::Json(_) | Self::Text(_) => None,
        }
    }

    /// Reduces a stream of live entries to what this lock can record. The memory for that is limited to about `limit`
    /// bytes.
    ///
    /// # Errors
    /// Those of the stream, and one that needs more memory.
    pub fn project_live<'a, E: Entries>(
        &self,
        limit: usize,
        live: &'a mut E,
    ) -> Result<ProjectedLive<'a, E>, LockError> {
        Ok(match self {
            Self::Old(Old { lock: OldLock::ModuleHashes, reader, spellings, .. }) => {
                ProjectedLive::Modules(ModulesOf::new(reader, spellings, limit, live)?)
            }
            Self::Old(Old { lock: OldLock::ContainerImages, .. }) => ProjectedLive::Images(ImagesOf::new(live)),
            Self::Old(Old { lock: OldLock::FileHashes, .. }) | Self::Json(_) | Self::Text(_) => {
                ProjectedLive::All(live)
            }
        })
    }

    /// Checks that this is the lock of that check.
    ///
    /// # Errors
    /// It belongs to another check, has another kind, or other attributes.
    pub fn belongs_to(&self, check: &Check) -> Result<(), LockError> {
        let (kind, attributes) = match self {
            Self::Text(_) => return Ok(()),
            Self::Old(old) => (old.lock.kind(), AttributeSet::default()),
            Self::Json(reader) => (reader.header().kind, reader.header().attributes),
        };
        if let Self::Json(reader) = self
            && let header = reader.header()
            && header.check != check.name
        {
            return Err(LockError::OtherCheck { found: header.check.clone(), expected: check.name.clone() });
        }
        if kind != check.kind {
            return Err(LockError::OtherKind { found: kind.name(), expected: check.kind.name() });
        }
        if attributes != check.attributes {
            let names = |set: AttributeSet| set.names().collect::<Vec<_>>().join(", ");
            return Err(LockError::OtherAttributes { found: names(attributes), expected: names(check.attributes) });
        }
        Ok(())
    }

    /// The line number, from 1, of the entry that was returned last.
    #[must_use]
    pub fn line(&self) -> u64 {
        match self {
            Self::Json(reader) => reader.line(),
            Self::Text(TextLock { reader, .. }) | Self::Old(Old { reader, .. }) => reader.line(),
        }
    }

    /// The digest that it states, in SRI form; the `sha256sum` format has none.
    #[must_use]
    pub fn stated_digest(&self) -> Option<&str> {
        match self {
            Self::Json(reader) => Some(reader.stated_digest()),
            Self::Text(_) | Self::Old(_) => None,
        }
    }

    /// Its bytes, if its entries depend on nothing else, and may be read a second time. The entries of an old lock also
    /// depend on the name of the root. Of a lock that is recorded for a seal, only the first read counts.
    #[must_use]
    pub fn whole(&self) -> Option<Whole<'_>> {
        match self {
            Self::Json(reader) if reader.input().get_ref().is_recorded() => None,
            Self::Json(reader) => Some(Whole::File(reader.input().get_ref().file())),
            Self::Text(TextLock { digest, .. }) => Some(Whole::Digest(*digest)),
            Self::Old(_) => None,
        }
    }

    /// What identifies this version of the lock: the digest that it states, or that of the whole file.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        match self {
            Self::Json(reader) => reader.stated_digest().as_bytes().to_vec(),
            Self::Text(TextLock { digest, .. }) | Self::Old(Old { digest, .. }) => digest.0.to_vec(),
        }
    }
}

impl Old {
    /// The kind of the checks that it can belong to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.lock.kind()
    }
}

impl Entries for Baseline {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        match self {
            Self::Json(reader) => reader.next(),
            Self::Text(TextLock { reader, .. }) | Self::Old(Old { reader, .. }) => reader.next(),
        }
    }

    fn skip_if_equal(&mut self, same: &Observed<'_>) -> Result<bool, LockError> {
        match self {
            Self::Json(reader) => reader.skip_if_equal(same),
            Self::Text(TextLock { reader, .. }) | Self::Old(Old { reader, .. }) => reader.skip_if_equal(same),
        }
    }
}

/// Whether a file begins like an old lock of images.
///
/// # Errors
/// The file can't be read.
pub fn holds_images(file: &File) -> Result<bool, LockError> {
    Ok(old::is_images(&start(file)?))
}

/// See [`Baseline::project_live`].
#[derive(Debug)]
pub enum ProjectedLive<'a, E> {
    All(&'a mut E),
    Modules(ModulesOf),
    Images(ImagesOf<'a, E>),
}

impl<E: Entries> Entries for ProjectedLive<'_, E> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        match self {
            Self::All(live) => live.next(),
            Self::Modules(modules) => modules.next(),
            Self::Images(images) => images.next(),
        }
    }
}

/// Opens a file of the locks directory; `None` if it is missing.
///
/// # Errors
/// It can't be opened, or is a link that leads elsewhere.
pub fn open(locks: &Dir, name: &str) -> Result<Option<File>, LockError> {
    let mut options = OpenOptions::new();
    options.read(true);
    cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    match locks.open_with(name, &options) {
        Ok(file) => Ok(Some(file)),
        Err(error) => match locks.read_link_contents(name) {
            // The target does not exist, or is out of reach of the directory's handle.
            Ok(target) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error().is_none() => {
                Err(LockError::LinkAway { target: target.into_os_string().into_vec().into() })
            }
            Err(_) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Err(error.into()),
        },
    }
}

/// Reads a whole file; returns its bytes and digest.
///
/// # Errors
/// It can't be read, is not a regular file, or is larger than `limit` bytes.
pub fn whole(file: LockSource, limit: u64) -> Result<(Vec<u8>, Sha256Digest), LockError> {
    if !file.file().metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let problem = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem).into());
    }
    let mut hasher = Sha256::new();
    hasher.update(&bytes);
    Ok((bytes, hasher.finish()))
}

/// The first bytes of a file; the position does not change.
fn start(file: &File) -> Result<Vec<u8>, LockError> {
    let mut start = vec![0; 4096];
    let mut have = 0;
    while have < start.len() {
        match rustix::io::pread(file, &mut start[have..], have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    }
    start.truncate(have);
    Ok(start)
}
