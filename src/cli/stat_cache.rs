//! `check --stat-cache FILE`: what is known before a run, and kept after it.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{SeekFrom, seek, tell};

use super::complain;
use crate::baseline::{Baseline, Whole};
use crate::capability::{Directory, shown};
use crate::declaration::Check;
use crate::manifest::Sha256Digest;
use crate::session::{Session, not_written};
use crate::stat_cache::binding::Binding;
use crate::stat_cache::location::{Found, Location, Root};
use crate::stat_cache::{Equal, Facts, Known, Learned, Moment, Stamp};
use crate::store;
use crate::trouble::Trouble;
use crate::walk;

/// What is known of the locks: they are files like any other.
#[derive(Default)]
struct Locks {
    root: Option<Root>,
    known: Option<Known>,
    learned: Learned,
    /// For each check, what its lock is.
    all: Vec<Option<Lock>>,
}

/// A lock: the digest of all its bytes, and its stamp if it is read as a stream.
#[derive(Clone, Copy)]
struct Lock {
    sha256: Sha256Digest,
    stamp: Option<Stamp>,
}

impl Locks {
    fn look_at(&mut self, baseline: &Baseline) -> Option<Lock> {
        match baseline.whole()? {
            Whole::Digest(sha256) => Some(Lock { sha256, stamp: None }),
            Whole::File(file) => {
                // A second handle has the same reading position, which is to stay where the lock's reader left it.
                let file: OwnedFd = file.try_clone().ok()?.into();
                let position = tell(&file).ok()?;
                let fact = walk::fact(&file, self.known.as_ref()?, &mut self.learned);
                seek(&file, SeekFrom::Start(position)).ok()?;
                let fact = fact?;
                Some(Lock { sha256: fact.sha256, stamp: Some(fact.stamp) })
            }
        }
    }

    /// The digest of a check's lock, if that is still what it was.
    fn still(&self, check: usize, baseline: &Baseline) -> Option<Sha256Digest> {
        let Lock { sha256, stamp } = (*self.all.get(check)?)?;
        let now = match baseline.whole()? {
            Whole::Digest(_) => None,
            Whole::File(file) => walk::stamp(file),
        };
        (stamp == now).then_some(sha256)
    }
}

/// The cache of a run. Whatever is wrong with it is said at once, and costs no more than reading everything.
pub struct StatCache {
    location: Result<Location, Trouble>,
    /// For each check: its root, if files below it can be known again.
    roots: Vec<Option<Root>>,
    binding: Sha256Digest,
    /// For each check, what is known; all empty before [`load`](Self::load).
    known: Vec<Option<Arc<Known>>>,
    learned: Vec<Learned>,
    /// How what this run found compared.
    equal: Vec<Option<Equal>>,
    locks: Locks,
    /// Whether the file has to be written even if nothing new was learnt.
    outdated: bool,
}

impl StatCache {
    /// Opens the directory of the cache, before the sandbox is entered.
    ///
    /// # Errors
    /// A place where no cache may be: where a check looks, or with the locks. What can be wrong with a good place is
    /// trouble that does not keep the check from running.
    pub fn open(file: &Path, session: &Session) -> Result<Self, Trouble> {
        let location = Location::open(file);
        if let Ok(Location { directory, name, .. }) = &location {
            keep_apart(directory, name, session).map_err(|trouble| {
                Trouble::new(
                    trouble.problem,
                    "name a FILE with --stat-cache in a directory of its own, outside every root",
                )
            })?;
        }
        let roots = session.checks().zip(session.roots()).map(|(check, root)| match Root::of(root?) {
            Ok(root) => Some(root),
            Err(why) => {
                note(&format!(
                    "the stat cache is not used for the check {}: {} can't be trusted, since {why}",
                    check.name,
                    shown(&check.root)
                ));
                None
            }
        });
        Ok(Self {
            roots: if location.is_ok() { roots.collect() } else { Vec::new() },
            location,
            binding: Sha256Digest([0; 32]),
            known: Vec::new(),
            learned: Vec::new(),
            equal: Vec::new(),
            locks: Locks { root: session.locks().and_then(|locks| Root::of(locks).ok()), ..Locks::default() },
            outdated: false,
        })
    }

    /// Where the cache is going to be written.
    pub fn directory(&self) -> Option<&Directory> {
        self.location.as_ref().ok().map(|location| &location.directory)
    }

    /// Reads the cache, if it belongs to these checks and their locks.
    pub fn load(&mut self, checks: &[(&Check, Option<&Baseline>)]) {
        let Ok(location) = &self.location else { return };
        let mut binding = Binding::new(&location.identity);
        binding.locks(self.locks.root.as_ref());
        for ((check, baseline), root) in checks.iter().zip(&self.roots) {
            binding.check(check, root.as_ref(), *baseline);
        }
        self.binding = binding.finish();
        let mut facts = match location.load(&self.binding) {
            Found::Facts(facts) if facts.len() == self.roots.len() + 1 => facts,
            Found::Facts(_) | Found::Nothing => Vec::new(),
            Found::ThrownAway(unfit) => {
                note(&format!("the stat cache {} is thrown away, and everything is read: {unfit}", location.shown));
                Vec::new()
            }
            Found::Foreign(trouble) => {
                self.location = Err(trouble);
                return;
            }
        };
        self.outdated = facts.is_empty();
        facts.resize_with(self.roots.len() + 1, Facts::default);
        let of_locks = facts.pop().unwrap_or_default();
        let settled_before = Moment::settled_before(location.identity.now);
        let known = self.roots.iter().zip(facts);
        let known = known.map(|(root, facts)| root.map(|root| Known::new(root.device, settled_before, facts)));
        self.known = known.map(|known| known.map(Arc::new)).collect();
        self.learned = self.known.iter().map(|_| Learned::default()).collect();
        self.equal = vec![None; self.known.len()];
        let Locks { root, known, .. } = &mut self.locks;
        *known = root.map(|root| Known::new(root.device, settled_before, of_locks));
        self.locks.all = checks.iter().map(|(_, baseline)| self.locks.look_at((*baseline)?)).collect();
    }

    /// For each check, what is known of its files.
    pub fn known(&self) -> &[Option<Arc<Known>>] {
        &self.known
    }

    /// How many entries the run before found, if all of them were as this very lock has them.
    pub fn equal(&self, check: usize, baseline: &Baseline) -> Option<u64> {
        let Equal { entries, lock } = self.known.get(check)?.as_ref()?.equal()?;
        (self.locks.still(check, baseline)? == lock).then_some(entries)
    }

    /// Takes in what the walk of a check learnt, and how many entries are as its lock has them if all are.
    pub fn learn(&mut self, check: usize, learned: Learned, equal: Option<u64>, baseline: &Baseline) {
        if let (Some(place), Some(found)) = (self.learned.get_mut(check), self.equal.get_mut(check)) {
            *place = learned;
            *found = equal.and_then(|entries| Some(Equal { entries, lock: self.locks.still(check, baseline)? }));
        }
    }

    /// Writes what is known now, unless the file says just that already. Whether that went well; if not, why is said.
    pub fn keep(self) -> bool {
        let location = match &self.location {
            Ok(location) => location,
            Err(trouble) => {
                complain(trouble);
                return false;
            }
        };
        let mut changed = self.outdated;
        let learned = self.learned.into_iter().zip(self.equal);
        // The walk is over, and no thread has it any more.
        let known = self.known.into_iter().map(|known| known.and_then(Arc::into_inner));
        let checks = known.zip(learned);
        let checks = checks.chain([(self.locks.known, (self.locks.learned, None))]);
        let known = checks.map(|(known, (learned, equal))| match known {
            Some(known) => {
                let (facts, other) = known.after(learned, equal);
                changed |= other;
                facts
            }
            None => Facts::default(),
        });
        let known: Vec<_> = known.collect();
        if !changed {
            return true;
        }
        match location.save(&self.binding, &known) {
            Ok(()) => true,
            // It has learnt much the same, and what this run learnt can be learnt again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                note(&format!("the stat cache {} is left to another run, which is writing it", location.shown));
                true
            }
            Err(error) => {
                complain(&not_written(&format!("the stat cache {}", location.shown), &error));
                false
            }
        }
    }
}

/// Refuses a directory whose files a check would record, one above a root, and one with the locks in it: those a run
/// may only read.
fn keep_apart(directory: &Directory, name: &str, session: &Session) -> Result<(), Trouble> {
    let Some(ours) = &directory.resolved else { return Ok(()) };
    for name in [name.to_owned(), store::temporary(name)] {
        session.keep_apart(ours, "stat cache's", true, |_| name.clone())?;
    }
    let locks = session.locks().and_then(|locks| locks.resolved.as_deref());
    match locks {
        Some(locks) if locks.starts_with(ours) || ours.starts_with(locks) => Err(Trouble::new(
            format!("the locks directory {} and that of the stat cache, {}, are not apart", shown(locks), shown(ours)),
            "",
        )),
        _ => Ok(()),
    }
}

fn note(text: &str) {
    // A closed stderr can't be told.
    let _ = writeln!(io::stderr().lock(), "driftlock: note: {text}");
}
