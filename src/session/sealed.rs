//! Every lock file in the locks directory, for seals.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use cap_std::fs::Dir;

use super::{OpenCheck, Run, Session, projects};
use crate::baseline::{self, LockReads, LockSource};
use crate::capability::{Declared, raw, shown};
use crate::digest::Sha256Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Entries as _, LockError};
use crate::path::escaped;
use crate::seal::{Files, Seal};

/// The most locks that differ from the seal to name; the last message counts the others.
const TOLD: usize = 20;

/// The largest file that is hashed without being read as a lock, in bytes: some 20 million entries. Hashing a huge
/// sparse file would take years.
const HASHED_LIMIT: u64 = 4 << 30;

/// The endings of the names of lock files, including those of the old scripts.
const ENDINGS: [&[u8]; 3] = [b".lock.json", b".lock.txt", b".hash.txt"];

/// The paths of all lock files below the locks directory, sorted: those in it, and those in the folders of servers.
///
/// # Errors
/// A directory can't be listed.
pub fn lock_files(locks: &Dir) -> io::Result<BTreeSet<Vec<u8>>> {
    let is_lock = |name: &[u8]| ENDINGS.iter().any(|ending| name.ends_with(ending));
    let mut found = BTreeSet::new();
    for entry in locks.entries()? {
        let name = entry?.file_name();
        // As in a check, links are followed, but not out of the directory.
        if locks.metadata(&name).is_ok_and(|status| status.is_dir()) {
            for below in locks.open_dir(&name)?.entries()? {
                let below = below?.file_name().into_vec();
                if is_lock(&below) {
                    found.insert([name.as_encoded_bytes(), b"/", &below].concat());
                }
            }
        }
        let name = name.into_vec();
        if is_lock(&name) {
            found.insert(name);
        }
    }
    Ok(found)
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
        escaped(&crate::path::joined(&locks, path)).to_string()
    }

    /// The seal of the present locks and declaration. Reads each lock in full, as `check` does.
    ///
    /// # Errors
    /// A lock is missing, belongs to no check, or is one that `check` would refuse; or a file that Compose printed
    /// can't be read.
    pub fn to_be_sealed(&self, serial: u64) -> Result<Seal, Error> {
        let Some(locks) = self.locks() else { return Err(self.nothing_to_seal()) };
        let found = lock_files(locks).map_err(|error| {
            Error::new(
                ErrorKind::Seal,
                format!("the locks directory {} could not be listed: {error}", self.shown_in_locks(b".")),
                "check its permissions, and those of the directories in it",
            )
        })?;
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
        let unlisted = |error: io::Error| {
            let problem = format!("the locks directory {} could not be listed: {error}", self.shown_in_locks(b"."));
            Error::new(ErrorKind::Seal, problem, "check its permissions, and those of the directories in it")
        };
        let mut found = match self.locks().map_or_else(|| Ok(BTreeSet::new()), lock_files) {
            Ok(found) => found,
            Err(error) => {
                told.add(|| unlisted(error));
                return told.troubles();
            }
        };
        let mut read: HashMap<String, Vec<Sha256Digest>> = HashMap::new();
        for (path, digest) in self.session.lock_reads.iter().flat_map(LockReads::all) {
            // A lock that this run has read may be gone by now.
            found.insert(path.clone().into_bytes());
            read.entry(path).or_default().push(digest);
        }
        let not_sealed = "review it (`git log -p`); restore it from git, or run `driftlock seal` where your key is";
        for path in &found {
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
        for path in seal.locks.keys().filter(|path| !found.contains(path.as_bytes())) {
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

    fn nothing_to_seal(&self) -> Error {
        let problem = format!("there is no lock in {}, so there is nothing to seal", self.shown_in_locks(b"."));
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
