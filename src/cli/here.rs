//! Prints how the roots here differ from a baseline that came from elsewhere, and the command that fetches the entries.

use std::io::{self, Write};

use crate::path::escaped;
use crate::report::changes;
use crate::report::next::Ground;
use crate::run::here::Differs;
use crate::session::Run;
use crate::shell;

/// Prints the checks whose roots here differ from the new baseline.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, run: &Run, ground: &Ground, all: &[Differs<'_>]) -> io::Result<()> {
    let servers = &run.session.declared.declaration.servers;
    for Differs { check, entries, takes_all } in all {
        let name = escaped(check.name.as_bytes());
        let Some(entries) = entries else {
            writeln!(
                out,
                "[WARN] {name}: the state here could not be compared with this baseline: run `driftlock check`"
            )?;
            continue;
        };
        let differ = changes::counted(*entries, "entry here differs", "entries here differ");
        writeln!(out, "[WARN] {name}: {differ} from this baseline")?;
        let git = ground.checks.get(&check.name).and_then(|footing| footing.git.as_ref());
        let (Some(git), [server], true) = (git, &servers[..], takes_all) else {
            writeln!(out, "    `driftlock check` fails here until they are equal")?;
            continue;
        };
        let [diff, lock_it] = ["diff", "lock"].map(|command| ground.driftlock(command));
        let base = ground.git_directory();
        let [name, server] = [&check.name, &server.name].map(|name| shell::word(name.as_bytes()));
        let lock = shell::word(git.lock.as_os_str().as_encoded_bytes());
        // The patch leads from the lock in git, which is the state here, to the live state of the server.
        writeln!(
            out,
            "    fetch them: git{base} checkout -- {lock} && {diff} --server {server} --patch --check {name} | \
             git{base} apply && {lock_it} --server {server} --check {name}",
        )?;
    }
    Ok(())
}
