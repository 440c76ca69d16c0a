//! The output of `lock`.

use std::collections::HashMap;
use std::io::{self, Write as _};

use crate::baseline::OldLock;
use crate::path::escaped;
use crate::report::{self, changes, uncovered};
use crate::run::here::Differs;
use crate::run::lock::Lock;

/// Prints what was done, for people.
///
/// # Errors
/// Those of stdout.
pub(super) fn text(all: &[Lock<'_>], style: report::text::Style, dry_run: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for done in all {
        let (check, place) = (done.check.check, done.check.place());
        let Ok(change) = &done.result else { continue };
        // With `--quiet`, print only problems; but a dry run always shows what would be written.
        let quiet = style.quiet && !dry_run;
        let Some(change) = change else {
            if quiet {
                continue;
            }
            let why = if check.modes.server {
                "not every server is asked for its check"
            } else {
                "its check is not for servers"
            };
            writeln!(out, "left {} unchanged: the export has no such lock, and {why}", done.path)?;
            continue;
        };
        let entries = changes::entries(change.entries);
        let verb = if dry_run { "would write" } else { "wrote" };
        match (&change.since, change.written) {
            _ if quiet => {}
            (None, _) => writeln!(out, "{verb} {}: {entries}, there was no lock before", done.path)?,
            (Some(_), false) if style.quiet => {}
            (Some(_), false) => writeln!(out, "unchanged {}: {entries}", done.path)?,
            (Some(since), true) => {
                writeln!(out, "{verb} {}: {entries}, {} changed since the last lock", done.path, since.counts.drifted)?;
                match (change.old_lock, &check.lock.old) {
                    (Some(OldLock::ModuleHashes), Some(old)) => {
                        let old = escaped(old.as_bytes());
                        writeln!(out, "    it replaces {old}; remove that file, and `lock` from the check")?;
                    }
                    (Some(_), _) => writeln!(out, "    it replaces an old lock")?,
                    (None, _) => {}
                }
                changes::write(&mut out, check.kind, &place, since)?;
            }
        }
        for sentence in uncovered::sentences(&place, &change.uncovered) {
            writeln!(out, "[WARN] {}: {sentence}", check.name)?;
        }
    }
    out.flush()
}

/// Prints the same as JSON, with the number of entries here that differ from a baseline that came from elsewhere.
///
/// # Errors
/// Those of stdout.
pub(super) fn json(all: &[Lock<'_>], dry_run: bool, differing: &[Differs<'_>]) -> io::Result<()> {
    let differing: HashMap<&str, u64> =
        differing.iter().filter_map(|differs| Some((&*differs.check.name, differs.entries?))).collect();
    let locks: Vec<_> = all
        .iter()
        .map(|done| {
            let (result, change) = match &done.result {
                Err(_) => ("failed", None),
                Ok(None) => ("left", None),
                Ok(Some(change)) if !change.written => ("unchanged", Some(change)),
                Ok(Some(change)) if dry_run => ("would_write", Some(change)),
                Ok(Some(change)) => ("written", Some(change)),
            };
            let trouble = done.result.as_ref().err();
            serde_json::json!({
                "check": done.check.check.name,
                "server": done.check.on.map(|server| &server.name),
                "lock": done.path,
                "result": result,
                "old_lock": change.and_then(|change| change.old_lock).map(OldLock::name),
                "entries": change.map(|change| change.entries),
                "uncovered": change.map_or_else(Vec::new, |change| report::json::uncovered(&change.uncovered)),
                "differ_here": differing.get(&*done.check.check.name),
                "since_last_lock": change.and_then(|change| change.since.as_ref()).map(changes::value),
                "trouble": trouble.map(|trouble| serde_json::json!({"problem": trouble.problem, "remedy": trouble.help})),
            })
        })
        .collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    report::json::write_value(&mut out, &serde_json::json!({ "dry_run": dry_run, "locks": locks }))?;
    out.flush()
}
