//! `driftlock lock`: write the lock files, and say what that changes.

mod printed;
mod servers;

use std::io;
use std::path::Path;

use cap_std::fs::Dir;

use super::arguments::{Common, Servers};
use super::check::nothing_found;
use super::ground::ground;
use super::here::{self, Differs, New};
use super::stalled::Watch;
use super::{complain, exit, progress, stdout_failed};
use crate::baseline::{Baseline, OldLock};
use crate::capability::{self, shown};
use crate::compare::{self, Comparison, Room};
use crate::compose::Misfits;
use crate::declaration::{Check, LockFormat};
use crate::manifest::{Entries, LockError, Sha256Digest, Uncovered, json, text};
use crate::path::{EntryPath, ROOT, escaped};
use crate::report::next::Ground;
use crate::report::uncovered;
use crate::session::{Collected, LocksAccess, Run, Session, not_written, whose};
use crate::store;
use crate::trouble::Trouble;

/// How many of the paths that could not be read are named; the count tells of the rest.
const NAMED: usize = 20;

/// What `lock` did about one check.
struct Done<'a> {
    check: &'a Check,
    /// The server that was asked, if one was.
    server: Option<String>,
    /// Where the entries are.
    place: String,
    path: String,
    /// Nothing if the export has no lock of a check that is not for every server.
    result: Result<Option<Change>, Trouble>,
    /// What an export has of it.
    taken: Option<Collected>,
}

impl Done<'_> {
    /// The lock as it is now, if it came from an export.
    fn taken(&self) -> Option<New<'_>> {
        let change = self.result.as_ref().ok()?.as_ref()?;
        Some(New { entries: self.taken.as_ref()?, takes_all: change.since.is_some() })
    }
}

/// How a lock changed.
struct Change {
    entries: u64,
    /// Against the lock that was there; nothing if there was none.
    since: Option<Comparison>,
    /// Whether the file was, or in a dry run would be, written.
    written: bool,
    /// What lies on the way and is not looked at.
    uncovered: Vec<Uncovered>,
    /// Which lock of the scripts that one was.
    old_lock: Option<OldLock>,
}

/// Writes the lock of every check of the run, or says what that would change.
///
/// # Errors
/// What keeps the run from starting. Trouble of single checks is told, and in the exit code.
pub fn run(common: &Common, dry_run: bool, export: Option<&Path>, options: &Servers) -> Result<u8, Trouble> {
    if options.are_named() {
        return servers::run(common, dry_run, options);
    }
    options.none()?;
    let access = if dry_run { LocksAccess::Read } else { LocksAccess::Write };
    let session = match export {
        None => Watch::telling(common).opening(|| Session::open(&common.request(), access))?,
        Some(export) => Session::from_export(&common.request(), access, export)?,
    };
    if export.is_none() {
        session.for_this_machine("lock")?;
    }
    let show_progress = capability::wants_progress() && !common.quiet;
    let ground = ground(common, &session.declared);
    let run = session.enter(&[])?;
    let collections = match export.map(shown) {
        None => {
            let wanted: Vec<bool> = run.session.checks().map(|check| check.modes.local).collect();
            let found = progress::during(show_progress, Watch::telling(common), |progress| {
                run.collect(&wanted, true, progress)
            });
            found.into_iter().map(|found| found.map(|found| found.map(Some))).collect()
        }
        Some(export) => {
            let checks = run.session.checks().zip(run.session.asked_everywhere());
            checks.map(|check| Some(exported(&run, check, &export))).collect::<Vec<_>>()
        }
    };
    let mut all = Vec::new();
    for (check, collection) in run.session.checks().zip(collections) {
        let Some(collection) = collection else { continue };
        let place = check.place();
        let wanted = Wanted { check, server: run.session.server(), place: &place };
        let (result, taken) = match collection {
            Err(trouble) => (Err(trouble), None),
            Ok(None) => (Ok(None), None),
            Ok(Some(live)) => (wanted.lock(&run, &live, dry_run).map(Some), export.map(|_| live)),
        };
        all.push(Done { check, server: None, path: run.new_lock_path(check), result, place, taken });
    }
    let new: Vec<_> = all.iter().map(Done::taken).collect();
    let differing = here::differing(&run, common, &new);
    Ok(tell(common, &all, (&run, &ground, &differing), dry_run))
}

/// Says what was done, and gives the exit code.
fn tell(
    common: &Common,
    all: &[Done<'_>],
    (run, ground, differing): (&Run, &Ground, &[Differs<'_>]),
    dry_run: bool,
) -> u8 {
    for trouble in all.iter().filter_map(|done| done.result.as_ref().err()) {
        complain(trouble);
    }
    let printed = if common.json {
        printed::json(all, dry_run, differing)
    } else {
        printed::text(all, common.style(), dry_run)
            .and_then(|()| here::write(&mut io::stdout().lock(), run, ground, differing))
    };
    let mut code = if all.iter().any(|done| done.result.is_err()) { exit::TROUBLE } else { 0 };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&stdout_failed(&error));
            code |= exit::TROUBLE;
        }
        _ => {}
    }
    code
}

/// What an export has of a check. Only one of a server has nothing of a check that it is not asked for.
pub fn exported(run: &Run, (check, everywhere): (&Check, bool), export: &str) -> Result<Option<Collected>, Trouble> {
    match run.exported(check, export)? {
        None if everywhere => Err(Trouble::new(
            format!("the export {export} has no lock of the check {}", check.name),
            "see what `driftlock export` said of it, or name the other checks with --check",
        )),
        found => Ok(found),
    }
}

/// A lock that may be written.
struct Wanted<'a> {
    check: &'a Check,
    /// Whose it is, where each server has one of its own.
    server: Option<&'a str>,
    /// Where the entries are.
    place: &'a str,
}

impl Wanted<'_> {
    /// Writes it if it would change.
    fn lock(&self, run: &Run, live: &Collected, dry_run: bool) -> Result<Change, Trouble> {
        let &Self { check, server, place } = self;
        whose(check, server)?;
        let refused = |error: &LockError| run.refused_of(check, server, error);
        let entries = acceptable(check, place, live)?;
        tell_touched(check, live);
        tell_misfits(check, &run.misfits(check, live)?);
        // What was collected has no errors of its own.
        let digest = json::digest(&mut live.entries()).map_err(|error| refused(&error))?;
        let old = run.baseline_of(check, server).map_err(|trouble| keep_evidence(trouble, check))?;
        let mut changed = true;
        let old_lock = old.as_ref().and_then(Baseline::old);
        let since = match old {
            None => None,
            Some(mut old) => {
                let belongs = old.belongs_to(check);
                if let Err(error @ LockError::OtherCheck { .. }) = &belongs {
                    return Err(keep_evidence(refused(error), check));
                }
                let compared = compare::against(&mut Room::default(), &mut old, &mut live.entries());
                let comparison = compared.map_err(|error| keep_evidence(refused(&error), check))?;
                changed = belongs.is_err()
                    || match &old {
                        Baseline::Json(old) => old.stated_digest() != digest.sri(),
                        // Its order and spelling may be those of `sha256sum`, so only the bytes tell.
                        Baseline::Old(_) => true,
                        Baseline::Text(_) => comparison.counts.drifted > 0 || !self.is_canonical(run, live),
                    };
                Some(comparison)
            }
        };
        if changed && !dry_run {
            let locks = run.locks_to_write(check, server);
            let written = locks.and_then(|locks| write(&locks, check, live, digest));
            written.map_err(|error| not_written(&run.new_lock_path_of(check, server), &error))?;
        }
        Ok(Change { entries, since, written: changed, uncovered: live.uncovered.clone(), old_lock })
    }

    /// Whether the text lock that is there has exactly the bytes that would be written.
    fn is_canonical(&self, run: &Run, live: &Collected) -> bool {
        let mut bytes = Vec::new();
        let path = self.check.lock.path(self.server);
        text::write(&mut bytes, &mut live.entries()).is_ok()
            && run.locks().and_then(|locks| locks.read(path).ok()).is_some_and(|there| there == bytes)
    }
}

/// Tells what of a new lock may be no baseline: what was there while something wrote to it.
pub fn tell_touched(check: &Check, live: &Collected) {
    let touched: Vec<_> = live.touched.iter().map(|path| escaped(path).to_string()).collect();
    if !touched.is_empty() {
        complain(&Trouble::new(
            format!("the check {}: {}", check.name, listed(&touched, "were touched during the run")),
            "see what writes there, and run it again; with `strict = true` in the check, it is not taken",
        ));
    }
}

/// Tells what of a new lock Compose files speak against: it is drift all the same.
fn tell_misfits(check: &Check, Misfits { different, missing }: &Misfits) {
    let parts = [(different, "are not what its Compose files declare"), (missing, "are not there")];
    let parts = parts.iter().filter(|(names, _)| !names.is_empty()).map(|(names, what)| {
        let shown: Vec<_> = names.iter().take(NAMED).map(EntryPath::to_string).collect();
        let more = if names.len() > NAMED { ", …" } else { "" };
        format!("{} {what}: {}{more}", names.len(), shown.join(", "))
    });
    let parts: Vec<_> = parts.collect();
    if !parts.is_empty() {
        complain(&Trouble::new(
            format!("the check {}: of its containers {}", check.name, parts.join("; ")),
            "bring the stack up as its files say, or write `config` anew, and lock it again",
        ));
    }
}

/// Writes a lock, whatever is there.
pub fn write(locks: &Dir, check: &Check, live: &Collected, digest: Sha256Digest) -> io::Result<()> {
    store::replace(locks, &check.lock.name, |out| match check.lock.format {
        LockFormat::Json => {
            let header = json::Header { check: check.name.clone(), kind: check.kind, attributes: check.attributes };
            json::write(out, &header, digest, &mut live.entries())
        }
        LockFormat::Sha256sum => text::write(out, &mut live.entries()),
    })
}

/// A lock that is refused is never overwritten: it may be the only trace of what happened to it.
pub fn keep_evidence(trouble: Trouble, check: &Check) -> Trouble {
    Trouble::new(
        format!("{}; the lock of {} was left as it is", trouble.problem, check.name),
        "restore it from git; or look at it, remove it, and run `driftlock lock` again",
    )
}

/// Makes sure that everything could be read and that the format can hold it; gives the number of entries. `place` is
/// where they are.
pub fn acceptable(check: &Check, place: &str, live: &Collected) -> Result<u64, Trouble> {
    let mut count: u64 = 0;
    let mut below: u64 = 0;
    let mut unverified = Vec::new();
    let mut others = Vec::new();
    // There are a dozen of them, however many entries there are.
    let mut remedies: Vec<&str> = Vec::new();
    let mut entries = live.entries();
    while let Ok(Some(entry)) = entries.next() {
        count += 1;
        below += u64::from(entry.path != ROOT);
        match entry.state {
            Err(reason) => {
                unverified.push(format!("{}: {reason}", escaped(entry.path)));
                if !remedies.contains(&reason.remedy()) {
                    remedies.push(reason.remedy());
                }
            }
            Ok(record) if check.lock.format == LockFormat::Sha256sum && record.content.sha256().is_none() => {
                others.push(format!("{} is a {}", escaped(entry.path), record.content.type_name()));
            }
            Ok(_) => {}
        }
    }
    if !unverified.is_empty() {
        return Err(Trouble::new(
            format!("the check {} was not locked: {}", check.name, listed(&unverified, "could not be read")),
            format!("{}; the old lock is untouched", remedies.join("; ")),
        ));
    }
    if below == 0 && !check.allow_empty {
        return Err(nothing_found(check, place, live.root_is_empty));
    }
    if count == 0 && check.lock.format == LockFormat::Sha256sum {
        return Err(Trouble::new(
            format!(
                "the check {} finds nothing, and a sha256sum lock of nothing could not be told from one that was cut off",
                check.name
            ),
            "leave `lock` out of the check, so that it gets a JSON lock",
        ));
    }
    if !others.is_empty() {
        return Err(Trouble::new(
            format!("the check {} was not locked: {}", check.name, listed(&others, "can't be in a sha256sum lock")),
            "leave `lock` out of the check, so that it gets a JSON lock, or `exclude` them",
        ));
    }
    if check.uncovered_is_trouble && !live.uncovered.is_empty() {
        let sentences = uncovered::sentences(place, &live.uncovered).join("; ");
        return Err(Trouble::new(
            format!("the check {} was not locked: {sentences}", check.name),
            uncovered::remedy(&live.uncovered),
        ));
    }
    Ok(count)
}

fn listed(items: &[String], what: &str) -> String {
    let mut text = format!("{} of its entries {what}:", items.len());
    for item in items.iter().take(NAMED) {
        text.push_str("\n    ");
        text.push_str(item);
    }
    if items.len() > NAMED {
        text.push_str(&format!("\n    … and {} more", items.len() - NAMED));
    }
    text
}
