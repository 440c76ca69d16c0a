//! The use cases as functions of a plan, for programs that use driftlock as a library.

use std::ffi::OsStr;
use std::io::{self, BufRead, Read};
use std::path::Path;

use super::lock::Change;
use super::sealing::{SealPlan, Sealing};
use super::{Unfollowed, accept as accepting, check as checking, diff as differing, export as exporting, state};
use crate::accept::Names;
use crate::capability;
use crate::compare::{self, Comparison, DifferenceBudget};
use crate::digest::{Sha256, Sha256Digest, nar};
use crate::error::Error;
use crate::manifest::{LockError, json};
use crate::report::{Report, RunInfo, Scope};
use crate::session::{LocksAccess, OpenCheck, Plan, Reads, Run, Session};

/// Opens everything that a plan needs on this machine. `what` is the command, for messages.
fn open(plan: &Plan, access: LocksAccess, what: &str) -> Result<Session, Error> {
    let session = Session::open(plan, access, &Reads::Here)?;
    session.for_this_machine(what)?;
    Ok(session)
}

/// Opens it and enters the sandbox.
fn enter(plan: &Plan, access: LocksAccess, what: &str) -> Result<Run, Error> {
    open(plan, access, what)?.enter(&[])
}

/// Reads the checks of this machine, and compares each with its lock. Writes nothing. If the machine has a file of allowed
/// signers (`/etc/driftlock/allowed_signers`), one of them must have sealed the locks.
///
/// Enters the [sandbox](crate#the-sandbox).
///
/// ```
/// use driftlock::{Change, Outcome, Plan, check};
///
/// let report = check(&Plan::of("examples/odoo-stack-drifted/driftlock.toml"))?;
/// assert_eq!(report.exit_code(), 1);
/// let Outcome::Compared { comparison, .. } = &report.hosts[0].checks[0].outcome else { panic!("{report:?}") };
/// let drift = &comparison.drift[0];
/// assert_eq!((drift.path.to_string(), drift.change), ("edge-traefik/docker-compose.yml".into(), Change::Modified));
/// # Ok::<(), driftlock::Error>(())
/// ```
///
/// # Errors
/// The run can't start. Trouble of single checks is in the report.
pub fn check(plan: &Plan) -> Result<Report, Error> {
    let (timestamp, started) = capability::now();
    let mut session = open(plan, LocksAccess::Read, "check")?;
    let sealing = Sealing::open(&SealPlan::default(), &mut session)?;
    // A thread that hangs may use it until the process ends.
    let run: &'static Run = Box::leak(Box::new(session.enter(&[])?));
    let (host, _) = checking::here(run, Unfollowed, None, false);
    let info = RunInfo {
        scope: Scope::ThisMachine,
        timestamp,
        started,
        previous: None,
        window: None,
        sandbox: run.enforced.clone(),
        ground: None,
    };
    let mut report = Report { run: info, hosts: vec![host] };
    Sealing::verify(sealing.as_ref(), run, &mut report);
    Ok(report)
}

/// The result of locking one check.
#[derive(Debug)]
pub struct Locked {
    pub check: String,
    /// The lock file as the declaration names it.
    pub path: String,
    /// How the lock changed, or why it did not.
    pub change: Result<Change, Error>,
    /// Reasons why the lock may not be a good baseline.
    pub warnings: Vec<Error>,
}

/// Reads the checks of this machine, and writes the locks that change. With `dry_run`, writes nothing.
///
/// Enters the [sandbox](crate#the-sandbox).
///
/// ```
/// use driftlock::{Plan, lock};
///
/// let dry_run = true;
/// for locked in lock(&Plan::of("examples/odoo-stack/driftlock.toml"), dry_run)? {
///     assert!(!locked.change?.written, "{} would change", locked.path);
/// }
/// # Ok::<(), driftlock::Error>(())
/// ```
///
/// # Errors
/// The run can't start.
pub fn lock(plan: &Plan, dry_run: bool) -> Result<Vec<Locked>, Error> {
    let run = enter(plan, if dry_run { LocksAccess::Read } else { LocksAccess::Write }, "lock")?;
    let live = state::here(&run, run.checks().filter(OpenCheck::applies), Unfollowed);
    let locks = super::lock::lock(live).into_iter().filter_map(|lock| {
        let change = lock.result.transpose()?;
        Some(Locked { check: lock.check.check.name.clone(), path: lock.path, change, warnings: lock.warnings })
    });
    Ok(locks.collect())
}

/// The drift of one check, or why it is not known.
#[derive(Debug)]
pub struct Drifted {
    pub check: String,
    pub found: Result<Comparison, Error>,
}

/// Reads the checks of this machine, and compares each with its lock, without verdicts.
///
/// Enters the [sandbox](crate#the-sandbox).
///
/// ```
/// use driftlock::{Plan, diff};
///
/// let drifted = diff(&Plan::of("examples/odoo-stack-drifted/driftlock.toml"))?;
/// let counts = drifted.into_iter().map(|drifted| Ok(drifted.found?.counts.drifted));
/// assert_eq!(counts.collect::<Result<Vec<_>, _>>()?, [2, 5]);
/// # Ok::<(), driftlock::Error>(())
/// ```
///
/// # Errors
/// The run can't start.
pub fn diff(plan: &Plan) -> Result<Vec<Drifted>, Error> {
    let run = enter(plan, LocksAccess::Read, "compare")?;
    let found = differing::patch::here(&run, Unfollowed).found.into_iter();
    Ok(found.map(|found| Drifted { check: found.check.check.name.clone(), found: found.compared }).collect())
}

/// The contents of an export, and what is missing from it.
#[derive(Debug)]
pub struct Exported {
    /// Each exported check, with the number of its entries.
    pub checks: Vec<(String, u64)>,
    /// What is missing and why, and reasons why a lock may not be a good baseline.
    pub told: Vec<Error>,
    /// Whether nothing is missing.
    pub is_whole: bool,
}

/// Reads all checks, for any `modes`, and the inventories of container engines, and writes them into a directory, which
/// must be empty or must not exist.
///
/// Enters the [sandbox](crate#the-sandbox).
///
/// ```
/// use driftlock::{Plan, export};
///
/// let plan = Plan::of("examples/odoo-stack/driftlock.toml");
/// let refused = export(&plan, "docs".as_ref()).unwrap_err();
/// assert_eq!(refused.problem, "the directory docs is not empty");
/// ```
///
/// # Errors
/// The run can't start, or the directory can't be written to.
pub fn export(plan: &Plan, output: &Path) -> Result<Exported, Error> {
    let session = Session::open(plan, LocksAccess::Read, &Reads::Everything)?;
    let directory = exporting::open(&session, output)?;
    let run = session.enter([&directory])?;
    let live = state::here(&run, run.checks(), Unfollowed);
    let export = exporting::export((output, &directory), None, live, run.inventories());
    export.ended?;
    let checks = export.checks.into_iter().map(|exported| (exported.check.check.name.clone(), exported.entries));
    Ok(Exported { checks: checks.collect(), told: export.told, is_whole: export.is_whole })
}

/// What one lock accepted.
#[derive(Debug)]
pub struct Accepted {
    pub check: String,
    /// The lock file as the declaration names it.
    pub path: String,
    pub taken: Comparison,
}

/// Reads the checks of this machine, and takes the drift at these paths into the locks: paths as a report shows them,
/// directories, or globs. All other entries stay as they were locked. With `dry_run`, writes nothing.
///
/// Enters the [sandbox](crate#the-sandbox).
///
/// ```
/// use driftlock::{Plan, accept};
///
/// let plan = Plan::of("examples/odoo-stack-drifted/driftlock.toml");
/// let dry_run = true;
/// let accepted = accept(&plan, ["infra/stacks/edge-traefik/docker-compose.yml"], dry_run)?;
/// assert_eq!(accepted[0].check, "compose_hashes");
/// assert_eq!(accepted[0].taken.counts.drifted, 1);
/// # Ok::<(), driftlock::Error>(())
/// ```
///
/// # Errors
/// The run can't start, a check can't be read, nothing drifted at a path, or a drift can't be accepted. Then no lock is
/// written.
pub fn accept<P: AsRef<OsStr>>(
    plan: &Plan,
    paths: impl IntoIterator<Item = P>,
    dry_run: bool,
) -> Result<Vec<Accepted>, Error> {
    let paths: Vec<P> = paths.into_iter().collect();
    let names = Names::new(paths.iter().map(AsRef::as_ref))?;
    let run = enter(plan, if dry_run { LocksAccess::Read } else { LocksAccess::Write }, "accept")?;
    let cases = accepting::here(&run, Unfollowed).into_iter().collect::<Result<Vec<_>, _>>()?;
    let choices = names.find(&cases.iter().map(|case| &case.drifted).collect::<Vec<_>>())?;
    let chosen = cases.iter().zip(&choices).filter(|(_, choice)| choice.contains(&true));
    let new = chosen.map(|(case, choice)| case.with(choice)).collect::<Result<Vec<_>, _>>()?;
    let write = |new: accepting::New<'_, '_>| {
        new.write(|_| ())?;
        Ok(Accepted { check: new.case.check.check.name.clone(), path: new.path, taken: new.taken })
    };
    new.into_iter().map(write).collect()
}

/// Compares two JSON locks, which it reads as streams: from `before` to `now`.
///
/// ```
/// let lock = std::fs::read("examples/odoo-stack/audit/locks/compose_hashes.lock.json")?;
/// let found = driftlock::compare_locks(&lock[..], &lock[..])?;
/// assert!(found.drift.is_empty());
///
/// // A lock that was edited by hand is refused.
/// let edited = String::from_utf8(lock.clone())?.replacen("\"size\":", "\"size\":1", 1);
/// assert!(driftlock::compare_locks(&lock[..], edited.as_bytes()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// driftlock would not have written one of the locks, or they have different kinds or attributes.
pub fn compare_locks(before: impl BufRead, now: impl BufRead) -> Result<Comparison, LockError> {
    let (mut before, mut now) = (json::Reader::new(before)?, json::Reader::new(now)?);
    let (expected, found) = (before.header(), now.header());
    if expected.kind != found.kind {
        return Err(LockError::OtherKind { found: found.kind.name(), expected: expected.kind.name() });
    }
    if expected.attributes != found.attributes {
        let names = |header: &json::Header| header.attributes.names().collect::<Vec<_>>().join(", ");
        return Err(LockError::OtherAttributes { found: names(found), expected: names(expected) });
    }
    compare::compare(&mut DifferenceBudget::unlimited(), &mut before, &mut now)
}

/// The digest of a regular file's Nix archive, as `nix hash path` prints it. The reader must have exactly `size` bytes.
///
/// ```
/// let digest = driftlock::nar_digest(&b"hello\n"[..], 6, false)?;
/// assert_eq!(digest.sri(), "sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM=");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Those of the reader, and a reader with fewer or more bytes.
pub fn nar_digest(mut reader: impl Read, size: u64, executable: bool) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    let mut frame = Vec::new();
    nar::archive(&mut frame);
    nar::regular(&mut frame, executable, size);
    hasher.update(&frame);
    let mut buffer = vec![0; 64 << 10];
    let mut left = size;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let more = || io::Error::new(io::ErrorKind::InvalidData, format!("there are more than {size} bytes"));
        left = left.checked_sub(read as u64).ok_or_else(more)?;
        hasher.update(&buffer[..read]);
    }
    if left > 0 {
        let problem = format!("there are {left} bytes less than {size}");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
    }
    frame.clear();
    frame.extend_from_slice(nar::padding(size));
    nar::close(&mut frame);
    hasher.update(&frame);
    Ok(hasher.finish())
}
