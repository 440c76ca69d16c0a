//! The differences between two reports: `driftlock diff REPORT_A REPORT_B`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};

use super::format::{Prose, shown_path};
use super::json::details;
use super::row::Row;
use super::text::describe::{self, label};
use super::{HostReport, Outcome, Report, Status};
use crate::compare::{Comparison, Drift, UnverifiedEntry, difference};
use crate::manifest::Record;
use crate::path::{EntryPath, escaped};

/// The differences between an earlier and a later report.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Time and verdict of the earlier report, and of the later one.
    pub reports: [(&'a str, Status); 2],
    /// The checks that differ: first those of the later report in its order, then those that only the earlier one has.
    pub checks: Vec<CheckDifference<'a>>,
}

/// What is different about one check.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckDifference<'a> {
    pub name: &'a str,
    /// Its status in each report; `None` if the report does not have the check.
    pub status: [Option<Status>; 2],
    /// Whether they were compared with different locks: then the baseline changed, not only the live state.
    pub lock_changed: bool,
    /// Why it could not be carried out, or which lock files are missing, if the two reports differ in that.
    pub reason: [Option<String>; 2],
    pub drift: Changes<'a, Drift>,
    pub unverified: Changes<'a, UnverifiedEntry>,
    root: [&'a str; 2],
}

/// The difference between two lists, by path. Items that are equal in both are left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes<'a, T> {
    /// Only in the later list.
    pub new: Vec<&'a T>,
    /// Only in the earlier list.
    pub gone: Vec<&'a T>,
    /// In both, but different: first the earlier item, then the later one.
    pub changed: Vec<(&'a T, &'a T)>,
}

impl<T> Changes<'_, T> {
    /// Whether the lists are equal.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

impl Difference<'_> {
    /// Whether the reports are equal in every check. Their times and the version of driftlock do not count.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }
}

/// The part of a check's report that is compared.
struct Side<'a> {
    name: &'a str,
    status: Status,
    reason: Option<String>,
    digest: Option<&'a str>,
    drift: &'a [Drift],
    unverified: &'a [UnverifiedEntry],
    root: &'a str,
}

impl<'a> Side<'a> {
    fn of(host: &'a HostReport, row: Row<'a>) -> Self {
        // The checks that every run makes, such as that of the lock files, have only `details`.
        let details = || Some(details::of(host, row)).filter(|details| !details.is_empty());
        let (name, status) = (row.name(), row.status());
        let side = Self { name, status, reason: None, digest: None, drift: &[], unverified: &[], root: "" };
        let Row::Check(check) = row else { return Self { reason: details(), ..side } };
        match &check.outcome {
            Outcome::Compared { comparison: Comparison { drift, unverified, .. }, digest, .. } => {
                Self { digest: digest.as_deref(), drift, unverified, root: &check.root, ..side }
            }
            Outcome::Failed(trouble) => Self { reason: Some(trouble.problem.clone()), ..side },
            Outcome::NoLock | Outcome::OtherMode | Outcome::NotCollected => side,
        }
    }
}

fn sides(report: &Report) -> Vec<Side<'_>> {
    report.hosts.iter().flat_map(|host| host.rows().map(move |row| Side::of(host, row))).collect()
}

/// Compares two reports, each of one machine.
#[must_use]
pub fn compare<'a>(earlier: &'a Report, later: &'a Report) -> Difference<'a> {
    let [before, now] = [earlier, later].map(sides);
    let by_name: HashMap<_, _> = before.iter().map(|check| (check.name, check)).collect();
    let known: HashSet<_> = now.iter().map(|check| check.name).collect();
    let both = now.iter().map(|check| (by_name.get(check.name).copied(), Some(check)));
    let only_earlier = before.iter().filter(|check| !known.contains(check.name));
    let pairs = both.chain(only_earlier.map(|check| (Some(check), None)));
    Difference {
        reports: [earlier, later].map(|report| (report.run.timestamp.as_str(), report.overall())),
        checks: pairs.filter_map(|(before, now)| check(before, now)).collect(),
    }
}

fn check<'a>(before: Option<&Side<'a>>, now: Option<&Side<'a>>) -> Option<CheckDifference<'a>> {
    let sides = [before, now];
    let digest = sides.map(|side| side.and_then(|check| check.digest));
    let mut reason = sides.map(|side| side.and_then(|check| check.reason.clone()));
    if reason[0] == reason[1] {
        reason = [None, None];
    }
    let difference = CheckDifference {
        name: now.or(before)?.name,
        status: sides.map(|side| side.map(|check| check.status)),
        lock_changed: matches!(digest, [Some(before), Some(now)] if before != now),
        reason,
        drift: changes(sides.map(|side| side.map_or(&[][..], |check| check.drift)), |drift| &drift.path, same_drift),
        unverified: changes(
            sides.map(|side| side.map_or(&[][..], |check| check.unverified)),
            |entry| &entry.path,
            |before, now| before.reason.to_string() == now.reason.to_string(),
        ),
        root: sides.map(|side| side.map(|check| check.root).unwrap_or_default()),
    };
    let alike = difference.status[0] == difference.status[1]
        && !difference.lock_changed
        && difference.reason == [None, None]
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

/// As in a check, the `nar` of a directory does not count: it follows from the entries below, which are items too.
fn same_record(before: Option<&Record>, now: Option<&Record>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => difference(before, now).is_none(),
        (None, None) => true,
        _ => false,
    }
}

/// Writes the differences for people. Escaped, as every text report. Lines about an entry are indented by four blanks.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, difference: &Difference<'_>) -> io::Result<()> {
    let [before, now] = difference.reports;
    for (title, (timestamp, overall)) in [("Earlier", before), ("Later  ", now)] {
        writeln!(out, "{title}: {} {}", escaped(timestamp.as_bytes()), overall.word())?;
    }
    if difference.is_empty() {
        return writeln!(out, "\nBoth reports are equal in every check.");
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
        writeln!(out, "    the reports were compared with different locks")?;
    }
    for (word, reason) in ["gone", "new"].into_iter().zip(&check.reason) {
        if let Some(reason) = reason {
            writeln!(out, "    {word}: {}", Prose(reason))?;
        }
    }
    let drift = |root: &str, drift: &Drift| format!("{} ({})", label(drift.change), describe::drift(root, drift));
    let [earlier, later] = check.root;
    list(out, &check.drift, check.root, |drift| &drift.path, |root, item| drift(root, item))?;
    let unverified = |_: &str, entry: &UnverifiedEntry| format!("unverified ({})", Prose(&entry.reason.to_string()));
    list(out, &check.unverified, [earlier, later], |entry| &entry.path, unverified)
}

fn list<T>(
    out: &mut impl Write,
    changes: &Changes<'_, T>,
    [earlier, later]: [&str; 2],
    path: impl Fn(&T) -> &EntryPath,
    words: impl Fn(&str, &T) -> String,
) -> io::Result<()> {
    let path = |root, item| shown_path(root, path(item).as_bytes());
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
