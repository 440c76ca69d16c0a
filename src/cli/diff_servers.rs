//! `driftlock diff --server A --server B`: the differences between two servers, without a lock.

use std::io::{self, Write as _};

use super::arguments::{Common, Servers};
use super::{after_printing, exit};
use crate::compare::Counts;
use crate::error::Error;
use crate::path::escaped;
use crate::report::{self, changes};
use crate::run::connections;
use crate::run::diff::servers::{Difference, servers};
use crate::session::{LocksAccess, Reads, Session};

/// Compares two servers, check by check. Entries that only the second has are added; those that only the first has are
/// removed.
///
/// # Errors
/// There are not exactly two servers, or one can't be reached or does not answer in full.
pub fn run(common: &Common, options: &Servers) -> Result<u8, Error> {
    let session = Session::open(&common.plan(), LocksAccess::Read, &Reads::Servers)?;
    let (targets, connections) = connections::prepare(&session, &options.wanted(), false)?;
    let run = session.enter(&[])?;
    let difference = servers(&run, &targets, connections)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = match common.json {
        true => json(&mut out, &difference),
        false => text(&mut out, &difference),
    };
    let printed = printed.and_then(|()| out.flush());
    let any = |counted: fn(&Counts) -> u64| difference.checks.iter().any(|(_, found)| counted(&found.counts) > 0);
    let drift = if any(|counts| counts.drifted) { exit::DRIFT } else { 0 };
    let trouble = if any(|counts| counts.unverified) { exit::TROUBLE } else { 0 };
    Ok(after_printing(drift | trouble, printed))
}

fn text(out: &mut impl io::Write, Difference { servers: [a, b], checks, of_one }: &Difference<'_>) -> io::Result<()> {
    let (a, b) = (escaped(a.name.as_bytes()), escaped(b.name.as_bytes()));
    writeln!(out, "{a} → {b}")?;
    for (open, found) in checks {
        let counts = found.counts;
        let entries = changes::entries(counts.entries);
        let name = escaped(open.check.name.as_bytes());
        writeln!(out, "{name}: {entries}, {} differ, {} could not be read", counts.drifted, counts.unverified)?;
        changes::write(out, open.check.kind, &open.place(), found)?;
    }
    for (check, server) in of_one {
        let (check, server) = (escaped(check.name.as_bytes()), escaped(server.name.as_bytes()));
        writeln!(out, "{check}: not compared, only {server} is asked for it")?;
    }
    Ok(())
}

fn json(out: &mut impl io::Write, Difference { servers: [a, b], checks, of_one }: &Difference<'_>) -> io::Result<()> {
    let checks = checks.iter().map(|(open, found)| {
        let mut value = changes::value(found);
        value["name"] = open.check.name.as_str().into();
        value
    });
    let of_one = of_one.iter().map(|(check, server)| serde_json::json!({ "name": check.name, "server": server.name }));
    let (checks, of_one): (Vec<_>, Vec<_>) = (checks.collect(), of_one.collect());
    let value = serde_json::json!({ "servers": [a.name, b.name], "checks": checks, "not_compared": of_one });
    report::json::write_value(out, &value)
}
