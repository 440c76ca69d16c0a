//! The output of `accept`.

use std::io::{self, Write as _};

use serde_json::json;

use crate::cli::arguments::Common;
use crate::path::escaped;
use crate::report::{self, changes};
use crate::run::accept::{Case, New};

/// Prints what was accepted into the locks, and how much is left.
///
/// # Errors
/// Those of stdout.
pub(super) fn print(common: &Common, dry_run: bool, cases: &[Case<'_>], written: &[&New<'_, '_>]) -> io::Result<()> {
    let counts = || cases.iter().map(|case| case.drifted.found.counts);
    let accepted: u64 = written.iter().map(|new| new.taken.counts.drifted).sum();
    let left = counts().map(|counts| counts.drifted).sum::<u64>() - accepted;
    let unverified: u64 = counts().map(|counts| counts.unverified).sum();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if common.json {
        let locks = written.iter().map(|new| {
            let mut value = changes::value(&new.taken);
            json!({ "check": new.case.check.check.name, "lock": new.path, "accepted": value["drift"].take() })
        });
        let locks: Vec<_> = locks.collect();
        let value = json!({
            "dry_run": dry_run, "accepted": accepted, "left": left, "unverified": unverified, "locks": locks,
        });
        report::json::write_value(&mut out, &value)?;
        return out.flush();
    }
    let verb = if dry_run { "would accept" } else { "accepted" };
    if common.quiet {
        return Ok(());
    }
    for new in written {
        let path = escaped(new.path.as_bytes());
        writeln!(out, "{verb} into {path}:")?;
        changes::write(&mut out, new.case.check.check.kind, &new.case.drifted.places[0], &new.taken)?;
    }
    let drifts = changes::counted(left, "drift", "drifts");
    write!(out, "{verb} {}, {drifts} {}", changes::number(accepted), if dry_run { "would be left" } else { "left" })?;
    if unverified > 0 {
        write!(out, ", {} unverified", changes::number(unverified))?;
    }
    writeln!(out)?;
    out.flush()
}
