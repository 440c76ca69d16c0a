//! Finds and reads the declaration.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::waits::waits;
use super::{ownership, shown};
use crate::declaration::{self, Declaration};
use crate::digest::Sha256Digest;
use crate::error::{Error, ErrorKind};

/// A declaration that was read, and its location.
#[derive(Debug)]
pub struct Declared {
    /// A run changes it for itself by [`change`](Self::change) alone.
    pub declaration: Declaration,
    /// See [`digest`](Self::digest).
    digest: OnceLock<Sha256Digest>,
    /// The file, as the operator named it or as it was found.
    pub file: PathBuf,
    /// The directory that its relative paths are relative to.
    pub base: PathBuf,
}

impl Declared {
    /// A declaration of this file, whose relative paths are relative to `base`.
    #[must_use]
    pub const fn new(declaration: Declaration, file: PathBuf, base: PathBuf) -> Self {
        Self { declaration, digest: OnceLock::new(), file, base }
    }

    /// The digest of its canonical form, as it was read. Only seals need it.
    pub fn digest(&self) -> Sha256Digest {
        *self.digest.get_or_init(|| self.declaration.digest())
    }

    /// The declaration, to be changed for this run. The digest stays that of what was read.
    pub fn change(&mut self) -> &mut Declaration {
        self.digest();
        &mut self.declaration
    }
}

/// The names of a declaration, in the order of the search.
pub const DECLARATION_NAMES: [&str; 2] = ["driftlock.toml", "driftlock.json"];

/// The largest declaration that is read, in bytes.
const DECLARATION_LIMIT: u64 = 4 << 20;

/// Reads the declaration: the given file, or `driftlock.toml` (or `.json`) here or in a directory above.
///
/// # Errors
/// None is found, or two in one directory; it can't be read or is invalid; or it was found, not given, and belongs to
/// another user.
pub fn declaration(given: Option<&Path>) -> Result<Declared, Error> {
    let file = match given {
        Some(file) => file.to_path_buf(),
        None => find_declaration()?,
    };
    let format = match file.extension().map(OsStr::as_bytes) {
        Some(b"toml") => declaration::Format::Toml,
        Some(b"json") => declaration::Format::Json,
        _ => {
            return Err(Error::new(
                ErrorKind::Declaration,
                format!("{}: the declaration's name ends neither in .toml nor in .json", shown(&file)),
                "rename it so that it ends in one of these",
            ));
        }
    };
    let unreadable = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "write one with `driftlock init`, or say where it is with --config FILE",
            _ => "say with --config FILE which file to read, or correct its permissions",
        };
        Error::new(ErrorKind::Declaration, format!("the declaration {} could not be read: {error}", shown(&file)), help)
    };
    let opened = waits(&file, || open(&file)).map_err(unreadable)?;
    if given.is_none() {
        ownership::trusted(&file, &opened)?;
    }
    let bytes = waits(&file, || contents(opened, DECLARATION_LIMIT)).map_err(unreadable)?;
    // The error includes the remedy.
    let declaration = Declaration::parse(&shown(&file), format, &bytes)
        .map_err(|error| Error::new(ErrorKind::Declaration, error.to_string(), ""))?;
    let base = file.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Declared::new(declaration, file, base))
}

fn find_declaration() -> Result<PathBuf, Error> {
    let here = std::env::current_dir().map_err(|error| {
        Error::new(
            ErrorKind::Declaration,
            format!("the working directory is not known: {error}"),
            "say where the declaration is with --config FILE",
        )
    })?;
    for (up, directory) in here.ancestors().enumerate() {
        let found: Vec<_> = DECLARATION_NAMES.into_iter().filter(|name| directory.join(name).is_file()).collect();
        // Relative, so that messages print what the operator would type.
        let relative: PathBuf = std::iter::repeat_n(Component::ParentDir, up).collect();
        match found[..] {
            [] => {}
            [name] => return Ok(relative.join(name)),
            _ => {
                return Err(Error::new(
                    ErrorKind::Declaration,
                    format!("{} has both a driftlock.toml and a driftlock.json", shown(directory)),
                    "remove one of them, or say which one to read with --config FILE",
                ));
            }
        }
    }
    Err(Error::new(
        ErrorKind::Declaration,
        "there is no driftlock.toml or driftlock.json here or in a directory above",
        "write one with `driftlock init`, or say where it is with --config FILE",
    ))
}

/// Reads a whole regular file of limited size.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    contents(open(path)?, limit)
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A FIFO in its place must not block the run.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

fn contents(file: std::fs::File, limit: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}
