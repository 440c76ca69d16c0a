//! A baseline that came from elsewhere, and the roots that are here: how many entries differ, and the line that fetches them.

use std::io::{self, Write};

use super::arguments::Common;
use super::progress;
use super::stalled::Watch;
use crate::capability;
use crate::compare;
use crate::declaration::Check;
use crate::path::escaped;
use crate::report::changes;
use crate::report::next::Ground;
use crate::session::{Collected, Run};
use crate::shell;

/// A lock that was written of what is elsewhere.
#[derive(Clone, Copy)]
pub struct New<'a> {
    pub entries: &'a Collected,
    /// Whether it takes the place of one, and has all that is there.
    pub takes_all: bool,
}

/// A check whose new baseline is not what is here.
pub struct Differs<'a> {
    pub check: &'a Check,
    /// How many differ or could not be read; nothing where the root could not be compared.
    pub entries: Option<u64>,
    /// Whether what git has of the lock leads to what is there.
    takes_all: bool,
}

/// Compares new baselines with the roots that are open here; gives those that differ. `new` has one for each check of the run
/// whose baseline is new.
pub fn differing<'a>(run: &'a Run, common: &Common, new: &[Option<New<'_>>]) -> Vec<Differs<'a>> {
    let open = run.session.roots().zip(new);
    let wanted: Vec<bool> = open.map(|(root, new)| root.is_some() && new.is_some()).collect();
    if !wanted.contains(&true) {
        return Vec::new();
    }
    let show_progress = capability::wants_progress() && !common.quiet;
    let watch = Watch::telling(common);
    let here = progress::during(show_progress, watch, |progress| run.collect(&wanted, false, progress));
    let all = run.session.checks().zip(here).zip(new);
    let differing = all.filter_map(|((check, here), new)| {
        let (here, new) = (here?, new.as_ref()?);
        // Both are in memory, and have no errors of their own.
        let found = here.ok().and_then(|here| compare::compare(&mut new.entries.entries(), &mut here.entries()).ok());
        let entries = found.map(|found| found.counts.drifted + found.counts.unverified);
        (entries != Some(0)).then_some(Differs { check, entries, takes_all: new.takes_all })
    });
    differing.collect()
}

/// Says which baselines are not what is here.
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
                "[WARN] {name}: what is here could not be compared with this baseline: run `driftlock check`"
            )?;
            continue;
        };
        let differ = changes::counted(*entries, "entry here differs", "entries here differ");
        writeln!(out, "[WARN] {name}: {differ} from this baseline")?;
        let git = ground.checks.get(&check.name).and_then(|footing| footing.git.as_ref());
        let (Some(git), [server], true) = (git, &servers[..], takes_all) else {
            writeln!(out, "    until they are as they are there, `driftlock check` fails here")?;
            continue;
        };
        let [diff, lock_it] = ["diff", "lock"].map(|command| ground.driftlock(command));
        let base = ground.git_directory();
        let [name, server] = [&check.name, &server.name].map(|name| shell::word(name.as_bytes()));
        let lock = shell::word(git.lock.as_os_str().as_encoded_bytes());
        // The patch leads from the lock that git has, which is what is here, to what is there.
        writeln!(
            out,
            "    fetch them: git{base} checkout -- {lock} && {diff} --server {server} --patch --check {name} | \
             git{base} apply && {lock_it} --server {server} --check {name}",
        )?;
    }
    Ok(())
}
