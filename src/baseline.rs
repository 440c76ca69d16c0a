//! The lock of a check, opened in whichever format the declaration says; locks of the scripts that driftlock replaces
//! are recognised by what is in them.

#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod modules;
mod old;
pub mod spellings;

pub use old::OldLock;
pub use spellings::Spellings;

use std::io::{self, BufReader, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use cap_std::fs::{Dir, File, OpenOptions};

use crate::declaration::{Check, LockFormat};
use crate::digest::Sha256;
use crate::manifest::{AttributeSet, Entries, Kind, LockError, Observed, Sha256Digest, json, text};
use modules::ModulesOf;
use old::{ImagesOf, RootInPaths};

/// The largest `sha256sum` lock that is read, in bytes; the JSON format is read as a stream and has no such limit.
const TEXT_LIMIT: u64 = 1 << 30;

/// A lock that is being read.
#[derive(Debug)]
pub enum Baseline {
    Json(Box<json::Reader<BufReader<File>>>),
    Text(Text),
    Old(Old),
}

/// A lock in the format of `sha256sum`.
#[derive(Debug)]
pub struct Text {
    pub reader: text::Reader,
    /// Of the whole file.
    digest: Sha256Digest,
    /// A directory that its paths would make sense below as well, if it were the scripts'.
    pub or_below: Option<Vec<u8>>,
}

/// A lock of the scripts.
#[derive(Debug)]
pub struct Old {
    lock: OldLock,
    reader: text::Reader,
    /// Of the whole file.
    digest: Sha256Digest,
    /// Of the check's root.
    spellings: Spellings,
}

/// All bytes of a lock.
#[derive(Clone, Copy, Debug)]
pub enum Whole<'a> {
    /// They were read when it was opened, and this is their digest.
    Digest(Sha256Digest),
    /// They are read as a stream.
    File(&'a File),
}

impl Baseline {
    /// Opens the lock of a check; nothing if it is missing. `path` is where it is below `locks`, and `spellings` are those of
    /// its root.
    ///
    /// # Errors
    /// A lock that can't be read, or whose beginning is malformed.
    pub fn of(check: &Check, locks: &Dir, path: &str, spellings: &Spellings) -> Result<Option<Self>, LockError> {
        if let Some(file) = open(locks, path)? {
            return Self::of_file(check, file, spellings).map(Some);
        }
        let Some(old) = &check.lock.old else { return Ok(None) };
        open(locks, old)?.map(|file| Self::of_modules(check, file, spellings)).transpose()
    }

    /// The same of a file that is open, and has the name of the new lock or of the text lock that was declared.
    ///
    /// # Errors
    /// A lock that can't be read, or whose beginning is malformed.
    pub fn of_file(check: &Check, file: File, spellings: &Spellings) -> Result<Self, LockError> {
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
                Ok(Self::Text(Text { reader: text::Reader::of_lines(lines)?, digest, or_below }))
            }
        }
    }

    /// The same of a file that has the name of an old lock of modules.
    ///
    /// # Errors
    /// A lock that can't be read, or is malformed.
    pub fn of_modules(check: &Check, file: File, spellings: &Spellings) -> Result<Self, LockError> {
        let (bytes, digest) = whole(file, modules::LIMIT)?;
        let reader = modules::read(&bytes, &check.selection)?;
        Ok(Self::Old(Old { lock: OldLock::ModuleHashes, reader, digest, spellings: spellings.clone() }))
    }

    /// Opens a lock by its name; nothing if it is missing. Of a text lock, paths are relative to the root.
    ///
    /// # Errors
    /// A lock that can't be read, or whose beginning is malformed.
    pub fn open(locks: &Dir, name: &str, format: LockFormat) -> Result<Option<Self>, LockError> {
        open(locks, name)?.map(|file| Self::read(file, format)).transpose()
    }

    /// The same of a file that is open.
    ///
    /// # Errors
    /// A lock that can't be read, or whose beginning is malformed.
    pub fn read(file: File, format: LockFormat) -> Result<Self, LockError> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
        }
        Ok(match format {
            LockFormat::Json if holds_images(&file)? => {
                let (bytes, digest) = whole(file, old::IMAGES_LIMIT)?;
                let (reader, spellings) = (old::images(&bytes)?, Spellings::default());
                Self::Old(Old { lock: OldLock::ContainerImages, reader, digest, spellings })
            }
            LockFormat::Json => Self::Json(Box::new(json::Reader::new(BufReader::with_capacity(128 << 10, file))?)),
            LockFormat::Sha256sum => {
                let (bytes, digest) = whole(file, TEXT_LIMIT)?;
                Self::Text(Text { reader: text::Reader::new(&bytes)?, digest, or_below: None })
            }
        })
    }

    /// Which lock of the scripts it is, if it is one.
    #[must_use]
    pub const fn old(&self) -> Option<OldLock> {
        match self {
            Self::Old(old) => Some(old.lock),
            Self::Json(_) | Self::Text(_) => None,
        }
    }

    /// Of a stream of what is there, what this lock can tell. What has to be remembered of it may take about `limit`
    /// bytes of memory.
    ///
    /// # Errors
    /// Those of the stream, and one that takes more.
    pub fn seen<'a, E: Entries>(&self, limit: usize, live: &'a mut E) -> Result<Seen<'a, E>, LockError> {
        Ok(match self {
            Self::Old(Old { lock: OldLock::ModuleHashes, reader, spellings, .. }) => {
                Seen::Modules(ModulesOf::new(reader, spellings, limit, live)?)
            }
            Self::Old(Old { lock: OldLock::ContainerImages, .. }) => Seen::Images(ImagesOf::new(live)),
            Self::Old(Old { lock: OldLock::FileHashes, .. }) | Self::Json(_) | Self::Text(_) => Seen::All(live),
        })
    }

    /// Checks that this is the lock of that check.
    ///
    /// # Errors
    /// One of another check, of another kind, or with other attributes.
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

    /// The line, from 1, of the entry that was given last.
    #[must_use]
    pub fn line(&self) -> u64 {
        match self {
            Self::Json(reader) => reader.line(),
            Self::Text(Text { reader, .. }) | Self::Old(Old { reader, .. }) => reader.line(),
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

    /// All of its bytes, if they alone tell its entries; those of a lock of the scripts depend on what the root is called
    /// too.
    #[must_use]
    pub fn whole(&self) -> Option<Whole<'_>> {
        match self {
            Self::Json(reader) => Some(Whole::File(reader.input().get_ref())),
            Self::Text(Text { digest, .. }) => Some(Whole::Digest(*digest)),
            Self::Old(_) => None,
        }
    }

    /// What tells this lock from all others of its check: the digest that it states, or that of the whole file.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        match self {
            Self::Json(reader) => reader.stated_digest().as_bytes().to_vec(),
            Self::Text(Text { digest, .. }) | Self::Old(Old { digest, .. }) => digest.0.to_vec(),
        }
    }
}

impl Old {
    /// The kind of the checks that it can be the lock of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.lock.kind()
    }
}

impl Entries for Baseline {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        match self {
            Self::Json(reader) => reader.next(),
            Self::Text(Text { reader, .. }) | Self::Old(Old { reader, .. }) => reader.next(),
        }
    }

    fn pass(&mut self, same: &Observed<'_>) -> Result<bool, LockError> {
        match self {
            Self::Json(reader) => reader.pass(same),
            Self::Text(Text { reader, .. }) | Self::Old(Old { reader, .. }) => reader.pass(same),
        }
    }
}

/// Whether a file begins as a lock of images of the scripts does.
///
/// # Errors
/// A file that can't be read.
pub fn holds_images(file: &File) -> Result<bool, LockError> {
    Ok(old::is_images(&start(file)?))
}

/// See [`Baseline::seen`].
#[derive(Debug)]
pub enum Seen<'a, E> {
    All(&'a mut E),
    Modules(ModulesOf),
    Images(ImagesOf<'a, E>),
}

impl<E: Entries> Entries for Seen<'_, E> {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        match self {
            Self::All(live) => live.next(),
            Self::Modules(modules) => modules.next(),
            Self::Images(images) => images.next(),
        }
    }
}

/// Opens a file of the locks directory; nothing if it is missing.
fn open(locks: &Dir, name: &str) -> Result<Option<File>, LockError> {
    let mut options = OpenOptions::new();
    options.read(true);
    cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    match locks.open_with(name, &options) {
        Ok(file) => Ok(Some(file)),
        Err(error) => match locks.read_link_contents(name) {
            // It leads nowhere, or where the directory's handle does not reach.
            Ok(target) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error().is_none() => {
                Err(LockError::LinkAway { target: target.into_os_string().into_vec().into() })
            }
            Err(_) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Err(error.into()),
        },
    }
}

/// A whole file, and its digest.
fn whole(file: File, limit: u64) -> Result<(Vec<u8>, Sha256Digest), LockError> {
    if !file.metadata()?.is_file() {
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

/// The first bytes of a file, which is read from its start afterwards all the same.
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
