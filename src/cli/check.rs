//! `driftlock check`: read the declared paths again and say what has drifted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::arguments::{CheckArguments, Common};
use super::ground::ground;
use super::keeping::KeptIn;
use super::metrics::Metrics;
use super::render::Rendering;
use super::stalled::Watch;
use super::stat_cache::StatCache;
use super::{after_printing, complain, exit, progress, render};
use crate::baseline::Baseline;
use crate::capability;
use crate::compare::{self, Comparison, Hidden, Room};
use crate::declaration::Check;
use crate::manifest::{Kind, Record, json};
use crate::patch::Effort;
use crate::path::escaped;
use crate::report::fleet::Reports;
use crate::report::places::Places;
use crate::report::{CheckReport, Outcome, Report, Window, WindowError};
use crate::session::{LocksAccess, Run, Session};
use crate::trouble::Trouble;

/// Checks, prints the report, and keeps it.
///
/// # Errors
/// What keeps the run from starting. Trouble of single checks is in the report, and in the exit code.
pub fn run(common: &Common, arguments: &CheckArguments) -> Result<u8, Trouble> {
    let rendering = Rendering::of(common, &arguments.form)?;
    let window = window(arguments)?;
    let (timestamp, started) = capability::now();
    let watch = Watch::giving_up(common, arguments.servers.none_but_timeout()?);
    let (session, in_store, kept_in) = watch.opening(|| {
        let mut session = Session::open(&common.request(), LocksAccess::Read)?;
        session.for_this_machine("check")?;
        if arguments.show_changes || session.checks().any(|check| check.show_changes) {
            session.open_references(None)?;
        }
        let in_store = in_nix_store(&session);
        let kept_in = KeptIn::open(&session, arguments, &timestamp)?;
        Ok::<_, Trouble>((session, in_store, kept_in))
    })?;
    let show_progress = capability::wants_progress() && !common.quiet;
    let mut stat_cache = arguments.stat_cache.as_deref().map(|file| StatCache::open(file, &session)).transpose()?;
    let metrics =
        arguments.metrics.as_deref().map(|file| Metrics::open(file, arguments.every, &session)).transpose()?;
    let written = [
        kept_in.as_ref().and_then(KeptIn::written),
        stat_cache.as_ref().and_then(StatCache::directory),
        metrics.as_ref().and_then(Metrics::directory),
    ];
    let ground = ground(common, &session.declared);
    // A thread that hangs may look at it as long as the process lives.
    let run: &Run = Box::leak(Box::new(
        session.enter_removing(written.into_iter().flatten(), kept_in.as_ref().and_then(KeptIn::pruned))?,
    ));
    let (mut report, given_up) = check(run, timestamp, started, (show_progress, watch), stat_cache.as_mut());
    report.window = window;
    report.ground = Some(Arc::new(ground));
    // What did not answer would not answer now.
    if !given_up {
        look_again(run, &mut report, arguments.show_changes);
    }
    if in_store {
        tell_untracked(&report.missing_locks);
    }

    let mut code = report.exit_code();
    // What was not looked at would be forgotten.
    if stat_cache.filter(|_| !given_up).is_some_and(|stat_cache| !stat_cache.keep()) {
        code |= exit::TROUBLE;
    }
    code |= metrics.map_or(0, |metrics| metrics.keep(Reports::One(&report)));
    let kept = kept_in.map(|kept_in| kept_in.keep_one(&mut report));
    let found = Reports::One(&report);
    let places = if rendering.has_places() { places(run, found) } else { Places::default() };
    Ok(conclude(code, kept, |kept| rendering.print(found, &places, kept)))
}

/// Adds to what drifted when it was written and whose it is, and the lines that changed, of the checks that ask for them or of all.
fn look_again(run: &Run, report: &mut Report, all: bool) {
    let mut effort = Effort::default();
    for (index, (check, found)) in run.session.checks().zip(&mut report.checks).enumerate() {
        let Outcome::Compared { comparison, .. } = &mut found.outcome else { continue };
        run.look_at(index, comparison);
        if all || check.show_changes {
            let contents =
                |path: &[u8], record: &Record| run.live_contents(index, path, record).map_err(|_| Hidden::Unread);
            run.show_changes((index, check), comparison, &contents, &mut effort);
        }
    }
}

/// Whether the declaration lies in a Nix store. Asked before the sandbox is entered.
pub fn in_nix_store(session: &Session) -> bool {
    let base = capability::future(&session.declared.base);
    base.is_some_and(|base| base.as_os_str().as_encoded_bytes().windows(11).any(|part| part == b"/nix/store/"))
}

/// Says of locks that are missing why they may not have come into the store with the declaration.
pub fn tell_untracked(missing: &[String]) {
    let missing: Vec<_> = missing.iter().take(5).map(|lock| escaped(lock.as_bytes()).to_string()).collect();
    if !missing.is_empty() {
        complain(&Trouble::new(
            format!("missing beside a declaration in the Nix store: {}", missing.join(", ")),
            "a flake sees only the files that git tracks: run `git add` on the locks, and build it again",
        ));
    }
}

/// Prints what was found and kept, and adds what went wrong with that to the exit code.
pub fn conclude(
    code: u8,
    kept: Option<Result<String, Trouble>>,
    print: impl FnOnce(Option<&str>) -> io::Result<()>,
) -> u8 {
    let mut code = code;
    if let Some(Err(trouble)) = &kept {
        complain(trouble);
        code |= exit::TROUBLE;
    }
    let kept = kept.and_then(Result::ok);
    after_printing(code, print(kept.as_deref()))
}

/// Until when drift is expected, if the arguments say so.
pub fn window(arguments: &CheckArguments) -> Result<Option<Window>, Trouble> {
    let (Some(until), Some(reason)) = (&arguments.expect_until, &arguments.reason) else { return Ok(None) };
    Window::new(until, reason).map(Some).map_err(|error| {
        let remedy = match error {
            WindowError::NoTime(_) => "write it as RFC 3339 has it, such as 2026-01-29T18:00:00+09:00",
            _ => "say in one line with --reason why drift is expected",
        };
        Trouble::new(format!("--expect-until: {error}"), remedy)
    })
}

/// Where the findings are at home. The locks were read a moment ago; one that can't be read once more only has no lines.
pub fn places(run: &Run, reports: Reports<'_>) -> Places {
    let session = &run.session;
    render::places(&session.declared, run.locks(), reports)
}

/// Opens the lock of a check, or says what its outcome is without one. `server` is whose, where each server has one of its own.
pub fn baseline(run: &Run, check: &Check, server: Option<&str>, applies: bool) -> Result<Baseline, Box<Outcome>> {
    if !applies {
        return Err(Box::new(Outcome::OtherMode));
    }
    run.project(check).map_err(|trouble| Box::new(Outcome::Failed(trouble)))?;
    match run.baseline_of(check, server) {
        Ok(Some(baseline)) => match baseline.belongs_to(check) {
            Ok(()) => Ok(baseline),
            Err(error) => Err(Box::new(Outcome::Failed(run.refused_of(check, server, &error)))),
        },
        Ok(None) => Err(Box::new(Outcome::NoLock)),
        Err(trouble) => Err(Box::new(Outcome::Failed(trouble))),
    }
}

/// Runs all checks in one pass over their roots, and compares each with its lock. Says whether it was given up.
fn check(
    run: &'static Run,
    timestamp: String,
    started: String,
    (show_progress, watch): (bool, Watch),
    mut stat_cache: Option<&mut StatCache>,
) -> (Report, bool) {
    let begun = Instant::now();
    let server = run.session.server();
    let baselines: Vec<_> = run.session.checks().map(|check| baseline(run, check, server, check.modes.local)).collect();
    let wanted: Vec<bool> = baselines.iter().map(Result::is_ok).collect();
    if let Some(stat_cache) = &mut stat_cache {
        let baselines = baselines.iter().map(|baseline| baseline.as_ref().ok());
        stat_cache.load(&run.session.checks().zip(baselines).collect::<Vec<_>>());
    }
    let known = stat_cache.as_ref().map_or(&[][..], |stat_cache| stat_cache.known());
    let ((collections, given_up), bytes) = progress::during(show_progress, watch, |progress| {
        (run.collect_until_given_up(known, &wanted, progress), progress.bytes.load(Ordering::Relaxed))
    });
    let mut room = Room::default();
    let checks = run.session.checks().zip(baselines).zip(collections).enumerate();
    let checks = checks.map(|(index, ((check, baseline), collection))| {
        let mut mounts = Vec::new();
        let mut uncovered = Vec::new();
        let mut touched = Vec::new();
        let mut trusted = 0;
        let old_lock = baseline.as_ref().ok().and_then(Baseline::old);
        let outcome = match (baseline, collection) {
            (Err(outcome), _) => *outcome,
            (Ok(_), Some(Err(trouble))) => Outcome::Failed(trouble),
            (Ok(mut baseline), Some(Ok(mut collection))) => {
                // What was as this lock has it in the run before, entry for entry, and is what it was then.
                // Who owns it depends on how it is mounted, too.
                let comparable = stat_cache.as_ref().filter(|_| !check.attributes.owner);
                let equal = comparable.and_then(|stat_cache| stat_cache.equal(index, &baseline));
                let compared = match equal.filter(|_| collection.is_as_known()) {
                    Some(entries) => Ok(Comparison::of_equal(entries)),
                    None => {
                        let project = run.project(check).ok().flatten();
                        compare::with_declared(&mut room, project, &mut baseline, &mut collection.entries())
                    }
                };
                let equal = compared.as_ref().ok().and_then(Comparison::equal).filter(|_| collection.is_as_listed());
                mounts = std::mem::take(&mut collection.mounts);
                uncovered = std::mem::take(&mut collection.uncovered);
                touched = std::mem::take(&mut collection.touched);
                trusted = collection.learned.trusted.len() as u64;
                if let Some(stat_cache) = &mut stat_cache {
                    stat_cache.learn(index, std::mem::take(&mut collection.learned), equal, &baseline);
                }
                let outcome = match compared {
                    Err(error) => Outcome::Failed(run.refused(check, &error)),
                    Ok(comparison) => {
                        // A stream of what was collected has no errors of its own.
                        let live = || json::digest(&mut collection.entries()).ok().map(|digest| digest.sri());
                        judge(
                            check,
                            (&check.place(), collection.root_is_empty),
                            comparison,
                            baseline.stated_digest(),
                            live,
                        )
                    }
                };
                // Freeing every name by itself takes some milliseconds, and the process is about to end.
                std::mem::forget(collection);
                outcome
            }
            (Ok(_), None) => Outcome::Failed(Trouble::new("it was not collected", "report this as a bug")),
        };
        if !matches!(outcome, Outcome::Compared { .. }) {
            touched.clear();
        }
        CheckReport {
            name: check.name.clone(),
            kind: check.kind,
            root: check.place(),
            resolved_root: run.resolved_root(index),
            declared_root: None,
            lock: run.lock_path(check),
            uncovered: if matches!(outcome, Outcome::Compared { .. }) { uncovered } else { Vec::new() },
            uncovered_is_trouble: check.uncovered_is_trouble,
            outcome,
            mounts,
            touched,
            trusted,
            old_lock,
        }
    });
    let checks: Vec<_> = checks.collect();
    let report = Report {
        timestamp,
        started,
        previous: None,
        duration: since(begun),
        bytes,
        window: None,
        missing_locks: missing_locks(&checks),
        checks,
        sandbox: run.enforced.clone(),
        server: None,
        ground: None,
    };
    (report, given_up)
}

/// The time since then, as exact as it is kept, so that a report that was read back says the same.
pub fn since(begun: Instant) -> Duration {
    Duration::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The lock files that are not there.
pub fn missing_locks(checks: &[CheckReport]) -> Vec<String> {
    let missing = checks.iter().filter(|check| matches!(check.outcome, Outcome::NoLock));
    missing.map(|check| check.lock.clone()).collect()
}

/// The outcome of a check that was compared. `place` is where its entries are, and whether that is known to be empty; `live`
/// gives the digest of what was there.
pub fn judge(
    check: &Check,
    (place, is_empty): (&str, bool),
    comparison: Comparison,
    stated: Option<&str>,
    live: impl FnOnce() -> Option<String>,
) -> Outcome {
    // Where attributes are asked for, the root itself is an entry, and one entry is nothing but that.
    let none = u64::from(!check.attributes.is_empty() && matches!(check.kind, Kind::Files | Kind::Trees));
    if comparison.counts.entries <= none && !check.allow_empty {
        return Outcome::Failed(nothing_found(check, place, is_empty));
    }
    // Of Compose projects the lock tells only what the files do not say.
    let digest = stated.filter(|_| check.kind != Kind::Compose).map(str::to_owned);
    let live_digest = match comparison.counts {
        // So many bytes of paths are not gone through once more, to know what nothing is compared with.
        _ if !comparison.left_out.is_nothing() => None,
        counts if counts.unverified > 0 => None,
        counts if counts.drifted == 0 && digest.is_some() => digest.clone(),
        _ => live(),
    };
    Outcome::Compared { comparison, digest, live_digest }
}

/// What to say of a check that has nothing to check in this place.
pub fn nothing_found(check: &Check, place: &str, is_empty: bool) -> Trouble {
    if check.kind.is_of_containers() {
        let picks_some = check.engine.as_ref().is_some_and(|engine| {
            !(engine.labels.is_empty() && engine.containers.is_empty() && check.selection.exclude.is_empty())
        });
        let picked = if picks_some { " that the check picks" } else { "" };
        return Trouble::new(
            format!("the check {} finds nothing: the engine has no containers{picked}", check.name),
            "start them, or write `allow_empty = true` if that is what you expect",
        );
    }
    let root = escaped(place.as_bytes()).to_string();
    if is_empty {
        return Trouble::new(
            format!("the check {} finds nothing: the root {root} is empty", check.name),
            "see whether it is a submodule that is not checked out (`git submodule update --init`), or a file system that is \
             not mounted; write `allow_empty = true` if that is what you expect",
        );
    }
    let include = check.selection.include.join("\", \"");
    let problem = if include.is_empty() {
        format!("the check {} finds nothing: {root} is empty, or all of it is excluded", check.name)
    } else {
        format!("the check {} finds nothing: nothing below {root} matches \"{include}\"", check.name)
    };
    Trouble::new(problem, "correct `root` and `include`, or write `allow_empty = true` if that is what you expect")
}
