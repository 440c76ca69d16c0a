//! What two reports say differently: `driftlock diff REPORT_A REPORT_B`.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::Status;
use super::json::{Parsed, ParsedCheck, ParsedUnverified};
use super::text::describe::{self, label};
use super::words::{Prose, shown};
use crate::compare::{Drift, difference};
use crate::manifest::Record;
use crate::path::{EntryPath, escaped};

/// The differences between an earlier and a later report. Borrows from both.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Time and verdict of the earlier one and of the later one.
    pub reports: [(&'a str, Status); 2],
    /// Checks that differ: those of the later report in its order, then those that only the earlier one has.
    pub checks: Vec<CheckDifference<'a>>,
}

/// What is different about one check.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckDifference<'a> {
    pub name: &'a str,
    /// How it ended in each; `None` in a report that does not have it.
    pub status: [Option<Status>; 2],
    /// Whether the two were compared with different locks, so that the baseline changed and not only the live state.
    pub lock_changed: bool,
    /// Why it could not be carried out, or which lock files are missing, if that is not the same in both.
    pub reason: [Option<&'a str>; 2],
    pub drift: Changes<'a, Drift>,
    pub unverified: Changes<'a, ParsedUnverified>,
    root: [&'a str; 2],
}

/// Items of two lists, by path. What is alike in both is left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes<'a, T> {
    /// Only in the later one.
    pub new: Vec<&'a T>,
    /// Only in the earlier one.
    pub gone: Vec<&'a T>,
    /// In both, and not the same: as it was, and as it is.
    pub changed: Vec<(&'a T, &'a T)>,
}

impl<T> Changes<'_, T> {
    /// Whether the lists are alike.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

impl Difference<'_> {
    /// Whether the reports say the same of every check; when they were written and by which version is no difference.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }
}

/// Compares two reports.
#[must_use]
pub fn compare<'a>(earlier: &'a Parsed, later: &'a Parsed) -> Difference<'a> {
    let by_name = |report: &'a Parsed| -> HashMap<&'a str, &'a ParsedCheck> {
        report.checks.iter().map(|check| (check.name.as_str(), check)).collect()
    };
    let (before, now) = (by_name(earlier), by_name(later));
    let both = later.checks.iter().map(|check| (before.get(check.name.as_str()).copied(), Some(check)));
    let only_earlier = earlier.checks.iter().filter(|check| !now.contains_key(check.name.as_str()));
    let pairs = both.chain(only_earlier.map(|check| (Some(check), None)));
    Difference {
        reports: [earlier, later].map(|report| (report.timestamp.as_str(), report.overall)),
        checks: pairs.filter_map(|(before, now)| check(before, now)).collect(),
    }
}

fn check<'a>(before: Option<&'a ParsedCheck>, now: Option<&'a ParsedCheck>) -> Option<CheckDifference<'a>> {
    let sides = [before, now];
    let digest = sides.map(|side| side.and_then(|check| check.digest.as_deref()));
    let mut reason = sides.map(|side| {
        let check = side?;
        match check.kind {
            Some(_) => Some(check.trouble.as_ref()?.problem.as_str()),
            None => Some(check.details.as_str()).filter(|details| !details.is_empty()),
        }
    });
    if reason[0] == reason[1] {
        reason = [None; 2];
    }
    let difference = CheckDifference {
        name: now.or(before)?.name.as_str(),
        status: sides.map(|side| side.map(|check| check.status)),
        lock_changed: matches!(digest, [Some(before), Some(now)] if before != now),
        reason,
        drift: changes(sides.map(|side| side.map_or(&[][..], |check| &check.drift)), |drift| &drift.path, same_drift),
        unverified: changes(
            sides.map(|side| side.map_or(&[][..], |check| &check.unverified)),
            |entry| &entry.path,
            |before, now| before.reason == now.reason,
        ),
        root: sides.map(|side| side.and_then(|check| check.root.as_deref()).unwrap_or_default()),
    };
    let alike = difference.status[0] == difference.status[1]
        && !difference.lock_changed
        && difference.reason == [None; 2]
        && difference.drift.is_empty()
        && difference.unverified.is_empty();
    (!alike).then_some(difference)
}

fn changes<'a, T>(
    lists: [&'a [T]; 2],
    path: impl Fn(&T) -> &EntryPath,
    same: impl Fn(&T, &T) -> bool,
) -> Changes<'a, T> {
    let mut changes = Changes { new: Vec::new(), gone: Vec::new(), changed: Vec::new() };
    let [before, now] = lists;
    let mut known: BTreeMap<&EntryPath, &T> = before.iter().map(|item| (path(item), item)).collect();
    for item in now {
        match known.remove(path(item)) {
            None => changes.new.push(item),
            Some(before) if !same(before, item) => changes.changed.push((before, item)),
            Some(_) => {}
        }
    }
    changes.gone = known.into_values().collect();
    changes
}

fn same_drift(before: &Drift, now: &Drift) -> bool {
    before.change == now.change
        && before.from == now.from
        && same_record(before.expected.as_ref(), now.expected.as_ref())
        && same_record(before.actual.as_ref(), now.actual.as_ref())
}

/// As in a check, a directory's `nar` is not looked at: it follows from the entries below, which are items, too.
fn same_record(before: Option<&Record>, now: Option<&Record>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => difference(before, now).is_none(),
        (None, None) => true,
        _ => false,
    }
}

/// Writes the differences for people. Harmless, like every text report; every line about an entry is four blanks in.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, difference: &Difference<'_>) -> io::Result<()> {
    let [before, now] = difference.reports;
    for (title, (timestamp, overall)) in [("Earlier", before), ("Later  ", now)] {
        writeln!(out, "{title}: {} {}", escaped(timestamp.as_bytes()), overall.word())?;
    }
    if difference.is_empty() {
        return writeln!(out, "\nBoth say the same of every check.");
    }
    for check in &difference.checks {
        let name = escaped(check.name.as_bytes());
        match check.status {
            [Some(before), Some(now)] if before == now => writeln!(out, "\n{name}: {}", now.word())?,
            [Some(before), Some(now)] => writeln!(out, "\n{name}: {} → {}", before.word(), now.word())?,
            [Some(before), None] => writeln!(out, "\n{name}: {}, only in the earlier report", before.word())?,
            [None, now] => {
                writeln!(out, "\n{name}: {}, only in the later report", now.unwrap_or(Status::Skip).word())?;
            }
        }
        entries(out, check)?;
    }
    Ok(())
}

fn entries(out: &mut impl Write, check: &CheckDifference<'_>) -> io::Result<()> {
    if check.lock_changed {
        writeln!(out, "    the lock is another one")?;
    }
    for (word, reason) in ["gone", "new"].into_iter().zip(check.reason) {
        if let Some(reason) = reason {
            writeln!(out, "    {word}: {}", Prose(reason))?;
        }
    }
    let drift = |root: &str, drift: &Drift| format!("{} ({})", label(drift.change), describe::drift(root, drift));
    let [earlier, later] = check.root;
    list(out, &check.drift, check.root, |drift| &drift.path, |root, item| drift(root, item))?;
    let unverified = |_: &str, entry: &ParsedUnverified| format!("unverified ({})", Prose(&entry.reason));
    list(out, &check.unverified, [earlier, later], |entry| &entry.path, unverified)
}

fn list<T>(
    out: &mut impl Write,
    changes: &Changes<'_, T>,
    [earlier, later]: [&str; 2],
    path: impl Fn(&T) -> &EntryPath,
    words: impl Fn(&str, &T) -> String,
) -> io::Result<()> {
    let path = |root, item| shown(root, path(item).as_bytes());
    for item in &changes.new {
        writeln!(out, "    new: {}: {}", path(later, item), words(later, item))?;
    }
    for item in &changes.gone {
        writeln!(out, "    gone: {}: {}", path(earlier, item), words(earlier, item))?;
    }
    for (before, now) in &changes.changed {
        let (was, is) = (words(earlier, before), words(later, now));
        writeln!(out, "    changed: {}: was {was}, is {is}", path(later, now))?;
    }
    Ok(())
}
