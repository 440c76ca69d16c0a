//! `check --stat-cache FILE`: reads the stat cache before a run, and writes it after the run.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{SeekFrom, seek, tell};

use super::locked::Locked;
use crate::baseline::{Baseline, Whole};
use crate::capability::{Directory, shown};
use crate::error::{Error, ErrorKind};
use crate::manifest::Sha256Digest;
use crate::session::{OpenCheck, Run, Session, not_written};
use crate::stat_cache::binding::Binding;
use crate::stat_cache::location::{Loaded, Location, Root};
use crate::stat_cache::{CacheUpdates, CacheView, CheckCache, Equal, Moment, Stamp};
use crate::store;
use crate::walk;

/// The cache of the lock files.
#[derive(Default)]
struct Locks {
    root: Option<Root>,
    known: Option<CacheView>,
    updates: CacheUpdates,
}

/// The cache of a check.
#[derive(Default)]
struct Cached {
    /// Its root, if files below it can be cached.
    root: Option<Root>,
    known: Option<Arc<CacheView>>,
    updates: CacheUpdates,
    /// The result of this run's comparison, if everything was equal.
    equal: Option<Equal>,
    lock: Option<Lock>,
}

/// A lock: the digest of all its bytes, and its stamp if it is read as a stream.
#[derive(Clone, Copy)]
struct Lock {
    sha256: Sha256Digest,
    stamp: Option<Stamp>,
}

impl Locks {
    fn look_at(&mut self, lock: &Baseline) -> Option<Lock> {
        match lock.whole()? {
            Whole::Digest(sha256) => Some(Lock { sha256, stamp: None }),
            Whole::File(file) => {
                // The second handle shares its position with the lock's reader, so restore it afterwards.
                let file: OwnedFd = file.try_clone().ok()?.into();
                let position = tell(&file).ok()?;
                let cached = walk::cached_digest(&file, self.known.as_ref()?, &mut self.updates);
                seek(&file, SeekFrom::Start(position)).ok()?;
                let cached = cached?;
                Some(Lock { sha256: cached.sha256, stamp: Some(cached.stamp) })
            }
        }
    }
}

impl Cached {
    /// The digest of the check's lock, if the lock has not changed since.
    fn still(&self, lock: &Baseline) -> Option<Sha256Digest> {
        let Lock { sha256, stamp } = self.lock?;
        let now = match lock.whole()? {
            Whole::Digest(_) => None,
            Whole::File(file) => walk::stamp(file),
        };
        (stamp == now).then_some(sha256)
    }
}

/// Prints a message that is not trouble.
pub type Note = fn(&str);

/// The cache of a run. If something is wrong with it, a message says so, and everything is read.
pub struct StatCache {
    location: Result<Location, Error>,
    /// The checks of the run, in order.
    checks: Vec<Cached>,
    binding: Sha256Digest,
    locks: Locks,
    /// Whether the file must be written even if nothing new is cached.
    outdated: bool,
    note: Note,
}

impl StatCache {
    /// Opens the directory of the cache, before the sandbox is entered.
    ///
    /// # Errors
    /// The cache is where no cache may be: where a check would record it, or with the locks. Anything else that is
    /// wrong with it is trouble that does not stop the check.
    pub fn open(file: &Path, session: &Session, note: Note) -> Result<Self, Error> {
        let location = Location::open(file);
        if let Ok(Location { directory, name, .. }) = &location {
            keep_apart(directory, name, session).map_err(|error| {
                error.with_help("name a FILE with --stat-cache in a directory of its own, outside every root")
            })?;
        }
        let checks = session.roots().map(|(check, root)| {
            let root = match root.filter(|_| location.is_ok()).map(Root::of).transpose() {
                Ok(root) => root,
                Err(why) => {
                    note(&format!(
                        "the stat cache is not used for the check {}: {} can't be trusted, since {why}",
                        check.name,
                        shown(&check.root)
                    ));
                    None
                }
            };
            Cached { root, ..Cached::default() }
        });
        Ok(Self {
            checks: checks.collect(),
            location,
            binding: Sha256Digest([0; 32]),
            locks: Locks { root: session.locks().and_then(|locks| Root::of(locks).ok()), ..Locks::default() },
            outdated: false,
            note,
        })
    }

    /// The directory that the cache will be written to.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        self.location.as_ref().ok().map(|location| &location.directory)
    }

    /// Reads the cache, if it belongs to the checks of this run and to these locks.
    pub(super) fn load(&mut self, run: &Run, locked: &[Locked<'_>]) {
        let Ok(location) = &self.location else { return };
        let locks: HashMap<usize, &Baseline> = locked.iter().map(|locked| (locked.place, &locked.lock)).collect();
        let mut binding = Binding::new(&location.identity);
        binding.locks(self.locks.root.as_ref());
        for (place, (OpenCheck { check, .. }, cached)) in run.checks().zip(&self.checks).enumerate() {
            binding.check(check, cached.root.as_ref(), locks.get(&place).copied());
        }
        self.binding = binding.finish();
        let mut facts = match location.load(&self.binding) {
            Loaded::Cache(facts) if facts.len() == self.checks.len() + 1 => facts,
            Loaded::Cache(_) | Loaded::Nothing => Vec::new(),
            Loaded::Unusable(unfit) => {
                let shown = &location.shown;
                (self.note)(&format!("the stat cache {shown} is discarded, and everything is read: {unfit}"));
                Vec::new()
            }
            Loaded::Foreign(trouble) => {
                self.location = Err(trouble);
                return;
            }
        };
        self.outdated = facts.is_empty();
        facts.resize_with(self.checks.len() + 1, CheckCache::default);
        let of_locks = facts.pop().unwrap_or_default();
        let settled_before = Moment::settled_before(location.identity.now);
        let known = |root: Root, facts| CacheView::new(root.device, settled_before, facts);
        self.locks.known = self.locks.root.map(|root| known(root, of_locks));
        for (place, (cached, facts)) in self.checks.iter_mut().zip(facts).enumerate() {
            cached.known = cached.root.map(|root| Arc::new(known(root, facts)));
            cached.lock = locks.get(&place).and_then(|lock| self.locks.look_at(lock));
        }
    }

    /// The cache of a check, by its index in the run.
    pub(super) fn known(&self, place: usize) -> Option<Arc<CacheView>> {
        self.checks.get(place)?.known.clone()
    }

    /// The number of entries of the run before, if they were all equal to this same lock.
    pub(super) fn equal(&self, locked: &Locked<'_>) -> Option<u64> {
        let cached = self.checks.get(locked.place)?;
        let Equal { entries, lock } = cached.known.as_ref()?.equal()?;
        (cached.still(&locked.lock)? == lock).then_some(entries)
    }

    /// Stores the updates from the walk of a check, and the number of its entries if all are equal to the lock.
    pub(super) fn record(&mut self, locked: &Locked<'_>, updates: CacheUpdates, equal: Option<u64>) {
        if let Some(cached) = self.checks.get_mut(locked.place) {
            cached.updates = updates;
            cached.equal = equal.and_then(|entries| Some(Equal { entries, lock: cached.still(&locked.lock)? }));
        }
    }

    /// Writes the cache, unless nothing changed.
    ///
    /// # Errors
    /// Why it was not written.
    pub fn save(self) -> Result<(), Error> {
        let location = self.location?;
        let mut changed = self.outdated;
        // The walk is over, so no thread uses it any more.
        let checks = self
            .checks
            .into_iter()
            .map(|Cached { known, updates, equal, .. }| (known.and_then(Arc::into_inner), updates, equal));
        let checks = checks.chain([(self.locks.known, self.locks.updates, None)]);
        let facts = checks.map(|(known, updates, equal)| match known {
            Some(known) => {
                let (facts, other) = known.after(updates, equal);
                changed |= other;
                facts
            }
            None => CheckCache::default(),
        });
        let facts: Vec<_> = facts.collect();
        if !changed {
            return Ok(());
        }
        match location.save(&self.binding, &facts) {
            Ok(()) => Ok(()),
            // The other run's cache is nearly the same, so this one need not be written.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let shown = &location.shown;
                (self.note)(&format!("the stat cache {shown} was not updated: another run is writing it"));
                Ok(())
            }
            Err(error) => Err(not_written(&format!("the stat cache {}", location.shown), &error)),
        }
    }
}

/// Refuses a directory whose files a check would record, one above a root, and one that overlaps with the locks, which
/// this run may only read.
fn keep_apart(directory: &Directory, name: &str, session: &Session) -> Result<(), Error> {
    let Some(ours) = &directory.resolved else { return Ok(()) };
    for name in [name.to_owned(), store::temporary(name)] {
        session.keep_apart(ours, "stat cache's", true, |_| name.clone())?;
    }
    let locks = session.locks().and_then(|locks| locks.resolved.as_deref());
    match locks {
        Some(locks) if locks.starts_with(ours) || ours.starts_with(locks) => Err(Error::new(
            ErrorKind::Usage,
            format!("the locks directory {} and the stat cache's directory {} overlap", shown(locks), shown(ours)),
            "",
        )),
        _ => Ok(()),
    }
}
