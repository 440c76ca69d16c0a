//! Every lock file in the locks directory, for seals.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use cap_std::fs::Dir;

use super::{OpenCheck, Run, Session, projects};
use crate::baseline::{self, LockReads, LockSource};
use crate::capability::{Declared, raw, shown};
use crate::declaration;
use crate::digest::Sha256Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Entries as _, LockError};
use crate::path::{self, escaped};
use crate::seal::{Files, Seal};

/// The most locks that differ from the seal to name; the last message counts the others.
const TOLD: usize = 20;

/// The largest file that is hashed without being read as a lock, in bytes: some 20 million entries. Hashing a huge
/// sparse file would take years.
const HASHED_LIMIT: u64 = 4 << 30;

/// The endings of the names of lock files, including those of the old scripts.
const ENDINGS: [&[u8]; 3] = [b".lock.json", b".lock.txt", b".hash.txt"];

/// The lock files below the locks directory: those in it, and those in the folders of servers.
#[derive(Debug, Default)]
struct LockFiles {
    /// Their paths, sorted.
    found: BTreeSet<Vec<u8>>,
    /// The folders that could not be listed, sorted, each with the reason.
    unlisted: BTreeMap<Vec<u8>, io::Error>,
}

impl LockFiles {
    /// Lists them. A folder counts only if a server can have its name: driftlock looks for locks in no other, such as
    /// `lost+found`. Its permissions do not matter, so the result is the same for all users who can read the locks.
    ///
    /// # Errors
    /// The locks directory itself can't be listed.
    fn below(locks: &Dir) -> io::Result<Self> {
        let is_lock = |name: &[u8]| ENDINGS.iter().any(|ending| name.ends_with(ending));
        let mut files = Self::default();
        for entry in locks.entries()? {
            let name = entry?.file_name();
            // As in a check, links are followed, but not out of the directory.
            let is_folder = || locks.metadata(&name).is_ok_and(|status| status.is_dir());
            if name.to_str().is_some_and(declaration::can_name_server)
                && is_folder()
                && let Err(error) = files.add_folder(locks, &name, is_lock)
            {
                files.unlisted.insert(name.clone().into_vec(), error);
            }
            let name = name.into_vec();
            if is_lock(&name) {
                files.found.insert(name);
            }
        }
        Ok(files)
    }

    fn add_folder(&mut self, locks: &Dir, folder: &OsStr, is_lock: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        for below in locks.open_dir(folder)?.entries()? {
            let below = below?.file_name().into_vec();
            if is_lock(&below) {
                self.found.insert([folder.as_encoded_bytes(), b"/", &below].concat());
            }
        }
        Ok(())
    }

    /// Whether a path lies in a folder that could not be listed.
    fn is_in_unlisted(&self, path: &str) -> bool {
        path.split_once('/').is_some_and(|(folder, _)| self.unlisted.contains_key(folder.as_bytes()))
    }
}

/// Reads a file of the locks directory; `None` if it is missing.
///
/// # Errors
/// It can't be read, is not a regular file, or is larger than `limit` bytes.
pub fn small_file(locks: &Dir, name: &str, limit: u64) -> Result<Option<Vec<u8>>, LockError> {
    let file = baseline::open(locks, name)?;
    file.map(|file| baseline::whole(file.into(), limit).map(|(bytes, _)| bytes)).transpose()
}

impl Session {
    /// Records the digest of every lock that this run reads, for a seal.
    pub fn record_lock_reads(&mut self) {
        self.lock_reads = Some(LockReads::default());
    }
}

impl Run {
    /// The path of a file in the locks directory, as messages show it. Escaped.
    #[must_use]
    pub fn shown_in_locks(&self, path: &[u8]) -> String {
        let locks = raw(&self.session.declared.declaration.locks);
        escaped(&path::joined(&locks, path)).to_string()
    }

    /// The seal of the present locks and declaration. Reads each lock in full, as `check` does.
    ///
    /// # Errors
    /// A lock is missing, belongs to no check, or is one that `check` would refuse; or a file that Compose printed
    /// can't be read.
    pub fn to_be_sealed(&self, serial: u64) -> Result<Seal, Error> {
        let Some(locks) = self.locks() else { return Err(self.nothing_to_seal()) };
        let LockFiles { found, unlisted } = LockFiles::below(locks).map_err(|error| self.unlisted(&error))?;
        if let Some((folder, error)) = unlisted.first_key_value() {
            return Err(self.unlisted_folder(folder, error));
        }
        if found.is_empty() {
            return Err(self.nothing_to_seal());
        }
        let mut by_name: HashMap<&str, (OpenCheck<'_>, bool)> = HashMap::new();
        let mut missing: BTreeMap<&str, OpenCheck<'_>> = BTreeMap::new();
        for open in self.checks() {
            let lock = &open.check.lock;
            by_name.insert(&lock.name, (open, true));
            by_name.extend(lock.old.as_deref().map(|old| (old, (open, false))));
            if !lock.per_server {
                missing.insert(&open.check.name, open);
            }
        }
        let mut files = Files::new();
        for path in &found {
            let text = std::str::from_utf8(path).ok();
            let (server, name) = match text.and_then(|path| path.split_once('/')) {
                Some((server, name)) => (Some(server), Some(name)),
                None => (None, text),
            };
            let of_check = name.and_then(|name| by_name.get(name));
            let of_check = of_check.filter(|(open, _)| open.check.lock.per_server == server.is_some());
            let (Some(text), Some((open, is_declared))) = (text, of_check) else {
                return Err(Error::new(
                    ErrorKind::Seal,
                    format!("{} is the lock of no check of the declaration", self.shown_in_locks(path)),
                    "remove it, or declare its check: a seal has every lock in the directory",
                ));
            };
            let new = open.check.lock.path(server);
            if !is_declared && found.contains(new.as_bytes()) {
                return Err(Error::new(
                    ErrorKind::Seal,
                    format!(
                        "{} is the old lock of the check {}, which has a new one",
                        self.shown_in_locks(path),
                        open.check.name
                    ),
                    format!("remove it: {} takes its place", self.shown_in_locks(new.as_bytes())),
                ));
            }
            let sha256 = digest_of_lock(locks, text, open, *is_declared).map_err(|error| {
                let problem = format!("the lock {} is refused: {error}", self.shown_in_locks(path));
                Error::new(ErrorKind::Seal, problem, error.help())
            })?;
            missing.remove(&*open.check.name);
            files.insert(text.to_owned(), sha256);
        }
        if let Some(open) = missing.values().next() {
            return Err(Error::new(
                ErrorKind::Seal,
                format!("the check {} has no lock: {} is missing", open.check.name, open.lock_path()),
                format!("write it: {}", self.session.lock_line(open.check)),
            ));
        }
        Ok(Seal { serial, declaration: self.session.declared.digest(), locks: files, inputs: self.sealed_inputs()? })
    }

    /// Everything that differs from a seal: the declaration, the locks, and the files that Compose printed. For a lock
    /// that this run has read, the bytes that it read count. `declared` is the declaration that should be the sealed
    /// one.
    #[must_use]
    pub fn not_as_sealed(&self, seal: &Seal, declared: &Declared) -> Vec<Error> {
        let mut told = Differences::default();
        if seal.declaration != declared.digest() {
            told.add(|| {
                Error::new(
                    ErrorKind::Seal,
                    format!("the declaration {} is not the one that was sealed", shown(&declared.file)),
                    "review its changes (`git log -p`); undo them, or run `driftlock seal` where your key is",
                )
            });
        }
        let mut files = match self.locks().map_or_else(|| Ok(LockFiles::default()), LockFiles::below) {
            Ok(files) => files,
            Err(error) => {
                told.add(|| self.unlisted(&error));
                return told.troubles();
            }
        };
        for (folder, error) in &files.unlisted {
            told.add(|| self.unlisted_folder(folder, error));
        }
        let mut read: HashMap<String, Vec<Sha256Digest>> = HashMap::new();
        for (path, digest) in self.session.lock_reads.iter().flat_map(LockReads::all) {
            // A lock that this run has read may be gone by now.
            files.found.insert(path.clone().into_bytes());
            read.entry(path).or_default().push(digest);
        }
        let not_sealed = "review it (`git log -p`); restore it from git, or run `driftlock seal` where your key is";
        for path in &files.found {
            let lock = |what: &str, help: &str| {
                Error::new(ErrorKind::Seal, format!("the lock {} {what}", self.shown_in_locks(path)), help)
            };
            let text = std::str::from_utf8(path).ok();
            let Some((text, sealed)) = text.and_then(|path| Some((path, seal.locks.get(path)?))) else {
                told.add(|| lock("is not in the seal", not_sealed));
                continue;
            };
            let digests = match (read.remove(text), self.locks()) {
                (Some(digests), _) => Ok(digests),
                (None, Some(locks)) => digest_of_file(locks, text).map(|digest| vec![digest]),
                (None, None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
            };
            match digests {
                Ok(digests) if digests.iter().all(|digest| digest == sealed) => {}
                Ok(_) => told.add(|| lock("is not the one that was sealed", not_sealed)),
                Err(error) => told.add(|| lock(&format!("is refused: {error}"), error.help())),
            }
        }
        let is_missing = |path: &str| !files.found.contains(path.as_bytes()) && !files.is_in_unlisted(path);
        for path in seal.locks.keys().filter(|path| is_missing(path)) {
            told.add(|| {
                let problem = format!("the lock {} was sealed, and is missing", self.shown_in_locks(path.as_bytes()));
                Error::new(ErrorKind::Seal, problem, "restore it from git, or run `driftlock seal` where your key is")
            });
        }
        for (key, digest) in self.inputs() {
            if seal.inputs.get(&key) != Some(&digest) {
                told.add(|| {
                    let key = escaped(key.as_bytes());
                    Error::new(
                        ErrorKind::Seal,
                        format!("the file that {key} names is not the one that was sealed"),
                        not_sealed,
                    )
                });
            }
        }
        told.troubles()
    }

    /// The locks directory could not be listed.
    fn unlisted(&self, error: &io::Error) -> Error {
        let problem = format!("the locks directory {} could not be listed: {error}", self.shown_in_locks(path::ROOT));
        Error::new(ErrorKind::Seal, problem, "let the user that runs driftlock read it")
    }

    /// A folder in it could not be listed, so a lock may hide there.
    fn unlisted_folder(&self, folder: &[u8], error: &io::Error) -> Error {
        let problem = format!("{} may have locks, and could not be listed: {error}", self.shown_in_locks(folder));
        let help =
            "let the user that runs driftlock read the folder; if it has no locks, move it out of the locks directory";
        Error::new(ErrorKind::Seal, problem, help)
    }

    fn nothing_to_seal(&self) -> Error {
        let problem = format!("there is no lock in {}, so there is nothing to seal", self.shown_in_locks(path::ROOT));
        Error::new(ErrorKind::Seal, problem, "run `driftlock lock` first")
    }

    /// The digests of the files that Compose printed, by the keys of the declaration that name them.
    fn sealed_inputs(&self) -> Result<Files, Error> {
        for open in self.checks() {
            open.project()?;
        }
        Ok(self.inputs())
    }

    /// The same, for files that were already read.
    fn inputs(&self) -> Files {
        let mut files = Files::new();
        for open in self.checks() {
            if let Some(projects::Of::Read(_, inputs)) = &open.opened.project {
                let key = |key: &str| format!("check.{}.{key}", open.check.name);
                files.extend(inputs.iter().map(|(name, digest)| (key(name), *digest)));
            }
        }
        files
    }
}

/// A limited number of messages, and the number of the others, which may be as many as there are files.
#[derive(Default)]
struct Differences {
    troubles: Vec<Error>,
    left_out: u64,
}

impl Differences {
    fn add(&mut self, trouble: impl FnOnce() -> Error) {
        if self.troubles.len() < TOLD {
            self.troubles.push(trouble());
        } else {
            self.left_out += 1;
        }
    }

    fn troubles(mut self) -> Vec<Error> {
        if self.left_out > 0 {
            let problem = format!("{} more locks are not as they were sealed", self.left_out);
            self.troubles.push(Error::new(
                ErrorKind::Seal,
                problem,
                "look at `git status` and `git log` of the locks directory",
            ));
        }
        self.troubles
    }
}

/// The digest of a lock's bytes. Reads them once, and checks that they are a valid lock of this check.
fn digest_of_lock(locks: &Dir, path: &str, open: &OpenCheck<'_>, is_declared: bool) -> Result<Sha256Digest, LockError> {
    let reads = LockReads::default();
    let mut lock = open.lock_in(is_declared, recorded(locks, path, &reads)?)?;
    lock.belongs_to(open.check)?;
    while lock.next()?.is_some() {}
    only(&reads)
}

/// Opens a lock that must exist.
fn recorded(locks: &Dir, path: &str, reads: &LockReads) -> Result<LockSource, LockError> {
    let file = baseline::open(locks, path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
    }
    Ok(LockSource::recorded(file, path, reads))
}

/// The digest of the one file that was read.
fn only(reads: &LockReads) -> Result<Sha256Digest, LockError> {
    match reads.all()[..] {
        [(_, digest)] => Ok(digest),
        _ => Err(io::Error::other("it was not read to its end").into()),
    }
}

/// The digest of a lock that this run does not read.
fn digest_of_file(locks: &Dir, path: &str) -> Result<Sha256Digest, LockError> {
    let reads = LockReads::default();
    let source = recorded(locks, path, &reads)?;
    // It may grow while it is read.
    let is_larger = source.size()? > HASHED_LIMIT;
    if is_larger || io::copy(&mut source.take(HASHED_LIMIT + 1), &mut io::sink())? > HASHED_LIMIT {
        let problem = format!("it is larger than {HASHED_LIMIT} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem).into());
    }
    only(&reads)
}
