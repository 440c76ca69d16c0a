//! `odoo_addons_modules.hash.txt`: `<64 hex>  <module>` on each line, in any order.
//!
//! The hash is the SHA-256 of the lines that `sha256sum` prints for the module's regular files, sorted by bytes. The
//! paths in those lines are as `find` printed them, so they begin with the modules' directory as `find` got it. The
//! lock does not record that directory. So all spellings of the root are tried, and one must fit all modules, because
//! the scripts used one for all. If each module could have its own, a file could move from `m/m/` to `m/` unseen in a
//! root named `m`.
//!
//! Names with a backslash, line feed or carriage return are escaped, as in coreutils 9; older versions do not escape
//! the carriage return.

use std::collections::BTreeMap;

use super::spellings::Spellings;
use crate::declaration::Selection;
use crate::digest::Sha256;
use crate::manifest::list::EntryResult;
use crate::manifest::{Cause, Content, Entries, Entry, LockError, Observed, Record, Sha256Digest, Unverified, text};
use crate::path::{EntryPath, escaped};

/// The largest lock of modules that is read, in bytes: some 150,000 modules.
pub const LIMIT: u64 = 16 << 20;

/// Reads a lock.
///
/// # Errors
/// The first invalid line, a duplicate module, or a module that the check does not record.
pub fn read(bytes: &[u8], selection: &Selection) -> Result<text::Reader, LockError> {
    if bytes.is_empty() {
        return Err(LockError::Empty);
    }
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
        let line = line.strip_suffix(b"\n").ok_or(LockError::Truncated { line: number })?;
        let (sha256, path) = parse(line).map_err(|problem| LockError::Old {
            problem: format!("line {number} is not 64 hexadecimal digits, two blanks and a module: {problem}"),
            help: "restore it from git, or remove it and run `driftlock lock` after a review",
        })?;
        if selection.excludes(path.as_bytes()) {
            return Err(LockError::Old {
                problem: format!("line {number}: the module {path} is not among what the check records"),
                help: "write `exclude` so that it leaves out no module of the lock, or correct the lock",
            });
        }
        entries.push((Entry { path, record: record(sha256) }, number));
    }
    text::Reader::of_entries(entries)
}

fn parse(line: &[u8]) -> Result<(Sha256Digest, EntryPath), &'static str> {
    let (digest, module) = line.split_at_checked(64).ok_or("it is too short")?;
    let digest = std::str::from_utf8(digest).ok().and_then(Sha256Digest::from_hex);
    let digest = digest.ok_or("its digits are not lower-case hexadecimal ones")?;
    let module = module.strip_prefix(b"  ").ok_or("it has no two blanks after the digits")?;
    if module.ends_with(b"\r") {
        return Err("it ends in a carriage return");
    }
    let module = EntryPath::new(module).ok().filter(|module| !module.as_bytes().contains(&b'/'));
    Ok((digest, module.ok_or("it does not name a directory directly below the root")?))
}

const fn record(sha256: Sha256Digest) -> Record {
    Record { content: Content::Module { sha256 }, attributes: None }
}

/// What is hashed of a module.
#[derive(Debug, Default)]
struct Module {
    is_directory: bool,
    /// The record, if it is not a directory.
    other: Option<Record>,
    /// Regular files, by their path below the module.
    files: Vec<(Sha256Digest, Box<[u8]>)>,
    /// The first entry that could not be read, and the number of such entries.
    unread: Option<(Cause, String, u64)>,
}

impl Module {
    fn take(&mut self, path: &[u8], below: &[u8], state: Result<&Record, &Unverified>) {
        match state {
            Err(reason) => match &mut self.unread {
                None => self.unread = Some((reason.cause(), format!("{}: {reason}", escaped(path)), 1)),
                Some((_, _, number)) => *number += 1,
            },
            Ok(Record { content: Content::Directory { .. }, .. }) if below.is_empty() => self.is_directory = true,
            Ok(record) if below.is_empty() => self.other = Some(record.clone()),
            Ok(Record { content: Content::File { sha256, .. }, .. }) => self.files.push((*sha256, below.into())),
            Ok(_) => {}
        }
    }

    /// The module's hash, if `find` was given `directory` (which includes the separator before the module's name).
    fn hash(&self, directory: &[u8], name: &[u8]) -> Sha256Digest {
        let mut text = Vec::new();
        for (sha256, below) in &self.files {
            text::push_line(&mut text, *sha256, &[directory, name, b"/", below].concat());
        }
        let mut lines: Vec<_> = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
        lines.sort();
        let mut hasher = Sha256::new();
        for line in lines {
            hasher.update(line);
            hasher.update(b"\n");
        }
        hasher.finish()
    }
}

/// Reduces a stream of a tree to what a lock of modules can record: one entry for each module. Such a lock does not
/// record what lies beside the modules.
#[derive(Debug)]
pub struct ModulesOf {
    entries: Vec<(EntryPath, EntryResult)>,
    next: usize,
}

impl ModulesOf {
    /// Reads the whole stream. The memory for it is limited to about `limit` bytes.
    ///
    /// # Errors
    /// Those of the stream, and one that needs more memory.
    pub fn new(
        lock: &text::Reader,
        spellings: &Spellings,
        limit: usize,
        live: &mut impl Entries,
    ) -> Result<Self, LockError> {
        let mut modules: BTreeMap<&[u8], Module> =
            lock.entries().map(|entry| (entry.path.as_bytes(), Module::default())).collect();
        let mut entries = Vec::new();
        let mut weight = 0_usize;
        while let Some(Observed { path, state }) = live.next()? {
            let (name, below) = match path.iter().position(|&byte| byte == b'/') {
                Some(slash) => (&path[..slash], &path[slash + 1..]),
                None => (path, &b""[..]),
            };
            weight = weight.saturating_add(size_of::<(Sha256Digest, Box<[u8]>)>() + path.len());
            if weight > limit {
                return Err(LockError::Old {
                    problem: format!("comparing it with the live state needs more than {limit} bytes"),
                    help: "write a new lock with `driftlock lock`, which has no such limit",
                });
            }
            if let Some(module) = modules.get_mut(name) {
                module.take(path, below, state);
            } else if state.is_err() || (below.is_empty() && is_directory(state)) {
                // Streams have only valid paths.
                entries.extend(EntryPath::new(path).ok().map(|path| (path, state.cloned().map_err(Clone::clone))));
            }
        }
        let directory = directory(lock, spellings, &modules);
        entries.extend(modules.into_iter().filter_map(|(name, module)| {
            let found = match (&module.unread, &module.other) {
                (Some((cause, first, number)), _) => {
                    let more = if *number > 1 { format!(", and {} more", number - 1) } else { String::new() };
                    Err(Unverified::Reported(*cause, format!("{first}{more}").into()))
                }
                (None, Some(other)) => Ok(other.clone()),
                (None, None) if module.is_directory => Ok(record(module.hash(&directory, name))),
                (None, None) => return None,
            };
            Some((EntryPath::new(name).ok()?, found))
        }));
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self { entries, next: 0 })
    }
}

impl Entries for ModulesOf {
    fn next(&mut self) -> Result<Option<Observed<'_>>, LockError> {
        let entry = self.entries.get(self.next);
        self.next += 1;
        Ok(entry.map(|(path, found)| Observed { path: path.as_bytes(), state: found.as_ref() }))
    }
}

fn is_directory(state: Result<&Record, &Unverified>) -> bool {
    matches!(state, Ok(Record { content: Content::Directory { .. }, .. }))
}

/// The spelling of the modules' directory that fits most modules; the first of several.
fn directory(lock: &text::Reader, spellings: &Spellings, modules: &BTreeMap<&[u8], Module>) -> Vec<u8> {
    // An empty module has the same hash with every spelling, so it does not count.
    let tells = |module: &&Module| !module.files.is_empty() && module.unread.is_none() && module.other.is_none();
    let all = modules.values().filter(tells).count();
    let right = |directory: &[u8]| {
        let fits = |entry: &&Entry| {
            let name = entry.path.as_bytes();
            let module = modules.get(name).filter(tells);
            module.is_some_and(|module| entry.record == record(module.hash(directory, name)))
        };
        lock.entries().filter(fits).count()
    };
    let mut best = (0, None);
    for directory in directories(spellings) {
        let found = right(&directory);
        if best.1.is_none() || found > best.0 {
            best = (found, Some(directory));
        }
        // No other spelling can fit more.
        if found > all / 2 || all == 0 {
            break;
        }
    }
    best.1.unwrap_or_default()
}

/// Every prefix that a module's path can have.
fn directories(spellings: &Spellings) -> impl Iterator<Item = Vec<u8>> {
    let joined = |slashes: &'static [u8]| spellings.iter().map(move |spelling| [spelling, slashes].concat());
    let all = || joined(b"/").chain(joined(b"//")).chain([Vec::new()]);
    // `./` is meaningful only before a relative path.
    all().chain(all().filter(|directory| !directory.starts_with(b"/")).map(|directory| [b"./", &*directory].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::List;

    #[test]
    fn what_a_server_sends_takes_no_more_memory_than_it_may() {
        let lock = read(format!("{}  m\n", "0".repeat(64)).as_bytes(), &Selection::everything()).unwrap();
        let file = Content::File { executable: false, size: 0, sha256: Sha256Digest([0; 32]) };
        let file = Record { content: file, attributes: None };
        let entry = |number| (EntryPath::new(format!("m/{number:06}").into_bytes()).unwrap(), Ok(file.clone()));
        let live = List::new((0..1000).map(entry).collect());
        let of = |limit| ModulesOf::new(&lock, &Spellings::default(), limit, &mut live.entries());
        let refused = of(10_000).unwrap_err();
        assert!(matches!(&refused, LockError::Old { problem, .. } if problem.contains("10000 bytes")), "{refused}");
        assert_eq!(of(100_000).unwrap().entries.len(), 0, "the module itself was not in the stream");
    }
}
