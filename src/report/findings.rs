//! The list of findings, which each format renders; and summaries in a sentence.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::format::{Prose, counted, grouped, joined, shown_path};
use super::next::{self, Next};
use super::places::{Place, Places};
use super::row::Row;
use super::text::describe;
use super::uncovered;
use super::{CheckReport, Error, HostReport, Outcome, Report, RunInfo, SEAL, Status};
use crate::compare::{Change, Comparison, Drift, UnverifiedEntry};
use crate::manifest::{Kind, Uncovered};
use crate::path::{EntryPath, ROOT, escaped};

/// One finding: something that is wrong with a check.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    MissingLock,
    Failed(&'a Error),
    Drift(&'a Drift),
    Unverified(&'a UnverifiedEntry),
    /// Only if the check says that this is trouble.
    Uncovered(&'a Uncovered),
}

/// All findings of a check, drift first.
pub(super) fn of(check: &CheckReport) -> Vec<Finding<'_>> {
    match &check.outcome {
        Outcome::NoLock => vec![Finding::MissingLock],
        Outcome::OtherMode | Outcome::NotCollected => Vec::new(),
        Outcome::Failed(trouble) => vec![Finding::Failed(trouble)],
        Outcome::Compared { comparison, .. } => {
            let drift = comparison.drift.iter().map(Finding::Drift);
            let uncovered = check.uncovered.iter().filter(|_| check.uncovered_is_trouble).map(Finding::Uncovered);
            drift.chain(comparison.unverified.iter().map(Finding::Unverified)).chain(uncovered).collect()
        }
    }
}

/// A row of a host's report that failed: a declared check, the collection, or the seal.
#[derive(Debug)]
pub(super) struct Failed<'a> {
    run: &'a RunInfo,
    host: &'a HostReport,
    pub row: Row<'a>,
    /// Its findings.
    pub findings: Vec<Finding<'a>>,
}

/// Everything that failed, host by host. What is wrong with the locks is listed once, for the first host.
pub(super) fn all(report: &Report) -> Vec<Failed<'_>> {
    let mut missing = HashSet::new();
    report.hosts.iter().flat_map(|host| failed(&report.run, host, &mut missing)).collect()
}

/// Everything that failed on a host, except locks that are already in `missing`.
pub(super) fn failed<'a>(run: &'a RunInfo, host: &'a HostReport, missing: &mut HashSet<&'a str>) -> Vec<Failed<'a>> {
    let failed = |row| {
        let findings = match row {
            Row::LockFiles(_) => return None,
            Row::Collection(server) => server.trouble.iter().map(Finding::Failed).collect(),
            // The seal is the same for all hosts. No lock has this name.
            Row::Seal(_) if !missing.insert(SEAL) => return None,
            Row::Seal(seal) => seal.troubles.iter().map(Finding::Failed).collect(),
            Row::Check(CheckReport { outcome: Outcome::NoLock, lock, .. }) if !missing.insert(lock) => return None,
            Row::Check(check) => of(check),
        };
        let is_without_lock = matches!(findings[..], [Finding::MissingLock]);
        (is_without_lock || row.status() == Status::Fail).then_some(Failed { run, host, row, findings })
    };
    host.rows().filter_map(failed).collect()
}

impl<'a> Failed<'a> {
    /// The name of the check. Not escaped; nor are the next ones.
    pub fn name(&self) -> &'a str {
        self.row.name()
    }

    /// The server, unless this is about the locks here.
    pub fn server(&self) -> Option<&'a str> {
        let server = self.host.server.as_ref().filter(|_| !self.is_about_locks());
        server.map(|server| server.name.as_str())
    }

    pub fn root(&self) -> &'a str {
        self.check().map_or("", |check| &check.root)
    }

    /// Whether it is about the locks here, not about the host.
    pub fn is_about_locks(&self) -> bool {
        matches!(self.row, Row::Seal(_)) || matches!(self.findings[..], [Finding::MissingLock])
    }

    /// The declared check; `None` for the other rows.
    const fn check(&self) -> Option<&'a CheckReport> {
        match self.row {
            Row::Check(check) => Some(check),
            Row::LockFiles(_) | Row::Collection(_) | Row::Seal(_) => None,
        }
    }

    /// What to do about it.
    pub fn next(&self) -> Option<Next> {
        next::of(self.run, self.host, self.check()?)
    }

    /// A finding in one line, with its path and without its server. Escaped.
    pub fn message(&self, finding: Finding<'_>) -> String {
        match (self.check(), finding) {
            (Some(check), Finding::MissingLock) => match self.next() {
                Some(next) => {
                    let lines =
                        next.steps.iter().map(|step| format!("`{}`", step.line)).collect::<Vec<_>>().join(" and ");
                    format!("missing lock file: {}; run {lines}", escaped(check.lock.as_bytes()))
                }
                None => finding.message(check),
            },
            (Some(check), finding) => finding.message(check),
            (None, Finding::Failed(trouble)) if matches!(self.row, Row::Seal(_)) => with_help(trouble),
            (None, Finding::Failed(trouble)) => format!("not collected: {}", with_help(trouble)),
            (None, _) => String::new(),
        }
    }

    /// The file that drifted, if it is in this repository.
    pub fn file(&self, finding: Finding<'_>) -> Option<Place> {
        let (Some(check), Finding::Drift(drift), None) = (self.check(), finding, &self.host.server) else {
            return None;
        };
        let ground = self.run.ground.as_ref()?;
        let footing = ground.checks.get(&check.name).filter(|footing| footing.place == check.root)?;
        footing.git.as_ref()?;
        drift.actual.as_ref()?.content.sha256()?;
        let path = joined(&check.root, drift.path.as_bytes());
        let file = ground.base.join(OsStr::from_bytes(&path)).into_os_string().into_string().ok()?;
        Some(Place { file, line: 1 })
    }

    /// The file and line that a finding belongs to.
    pub fn place(&self, finding: Finding<'_>, places: &Places) -> Place {
        self.check().map_or_else(|| places.declaration(), |check| places.of(check, finding))
    }
}

fn with_help(Error { problem, help, .. }: &Error) -> String {
    if help.is_empty() { Prose(problem).to_string() } else { format!("{}; to do: {}", Prose(problem), Prose(help)) }
}

impl Finding<'_> {
    /// A word for the type of finding: a change as in JSON reports, `unverified`, `uncovered`, `trouble` or
    /// `missing_lock`.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::MissingLock => "missing_lock",
            Self::Failed(_) => "trouble",
            Self::Drift(drift) => drift.change.name(),
            Self::Unverified(_) => "unverified",
            Self::Uncovered(_) => "uncovered",
        }
    }

    /// Whether it is trouble, not drift.
    pub(super) const fn is_trouble(self) -> bool {
        matches!(self, Self::Failed(_) | Self::Unverified(_) | Self::Uncovered(_))
    }

    /// The finding in one line, with its path. Escaped.
    pub(super) fn message(self, check: &CheckReport) -> String {
        let path = |path: &EntryPath| match check.kind {
            // A container has no place in a file system, so the word says what the name is of.
            Kind::Containers | Kind::Compose => format!("container {}", shown_path(&check.root, path.as_bytes())),
            _ => shown_path(&check.root, path.as_bytes()),
        };
        match self {
            Self::MissingLock => {
                let (lock, name) = (escaped(check.lock.as_bytes()), escaped(check.name.as_bytes()));
                format!("missing lock file: {lock}; run `driftlock lock --check {name}`")
            }
            Self::Failed(trouble) => with_help(trouble),
            Self::Drift(drift) => {
                let (label, text) = (describe::label(drift.change), describe::drift(&check.root, drift));
                let text = if check.kind.is_of_containers() { text.trim_start_matches("container, ") } else { &text };
                format!("{label}: {} ({text})", path(&drift.path))
            }
            Self::Unverified(entry) => {
                format!("unverified: {}: {}", path(&entry.path), Prose(&entry.reason.to_string()))
            }
            Self::Uncovered(uncovered) => uncovered::message(&check.root, uncovered),
        }
    }
}

/// One sentence for the whole check if nothing that is locked is left; otherwise `None`. Escaped.
pub(super) fn emptied(check: &CheckReport) -> Option<String> {
    let Outcome::Compared { comparison: Comparison { drift, counts, .. }, .. } = &check.outcome else { return None };
    if !matches!(check.kind, Kind::Files | Kind::Trees) || drift.len() < 2 {
        return None;
    }
    let is_root = |drift: &&Drift| drift.path.as_bytes() == ROOT;
    let removed = |drift: &Drift| drift.change == Change::Removed;
    // The root itself is an entry where attributes are asked for, and it is there.
    let of_root = drift.iter().filter(is_root).count() as u64;
    let asks = drift.iter().any(|drift| drift.expected.as_ref().is_some_and(|record| record.attributes.is_some()));
    let others = if asks { counts.verified.saturating_sub(1 - of_root) } else { counts.verified };
    let all = others == 0 && counts.unverified == 0 && drift.iter().all(|drift| is_root(&drift) || removed(drift));
    all.then(|| {
        let gone = counted(drift.len() as u64 - of_root, "locked entry", "locked entries");
        let root = escaped(check.root.as_bytes());
        format!(
            "{root} is empty, or has nothing of what is locked: all {gone} are gone; is it a submodule that is not checked \
            out, or a file system that is not mounted?"
        )
    })
}

/// What is uncovered in checks that only warn of it: one line for each check and type, and once if several servers have
/// the same. Escaped.
pub(super) fn warnings(report: &Report) -> Vec<String> {
    let checks = report.checks().filter(|check| !check.uncovered_is_trouble);
    let mut known = HashSet::new();
    let all = checks.flat_map(|check| {
        let name = Prose(&check.name).to_string();
        uncovered::sentences(&check.root, &check.uncovered).into_iter().map(move |said| format!("{name}: {said}"))
    });
    all.filter(|line| known.insert(line.clone())).collect()
}

/// The outcome of a check in a few words. Escaped.
pub(super) fn sentence(check: &CheckReport) -> String {
    match &check.outcome {
        Outcome::NoLock => format!("its lock file {} is missing", escaped(check.lock.as_bytes())),
        Outcome::OtherMode => "not for this mode".to_owned(),
        Outcome::NotCollected => "not collected".to_owned(),
        Outcome::Failed(trouble) => Prose(&trouble.problem).to_string(),
        Outcome::Compared { comparison, .. } => {
            let counts = comparison.counts;
            let (one, many) = match check.kind {
                Kind::Containers | Kind::Compose => ("container", "containers"),
                _ => ("entry", "entries"),
            };
            let all = counted(counts.entries, one, many);
            let uncovered = match check.uncovered_count() {
                0 => String::new(),
                number => format!(", {} uncovered", grouped(number)),
            };
            let sentence = match (counts.drifted, counts.unverified) {
                (0, 0) if counts.entries == 1 => format!("its 1 {one} verified"),
                (0, 0) => format!("all {all} verified"),
                (drifted, 0) => format!("{} of {all} drifted", grouped(drifted)),
                (0, unverified) => format!("{} of {all} unverified", grouped(unverified)),
                (drifted, unverified) => {
                    format!("{} of {all} drifted, {} unverified", grouped(drifted), grouped(unverified))
                }
            };
            sentence + &uncovered
        }
    }
}

/// The result of a run in one line, the verdict first. It has only words and numbers, no names.
pub(super) fn headline(report: &Report) -> String {
    let number = |of: fn(&CheckReport) -> bool| report.checks().filter(|check| of(check)).count() as u64;
    let (counts, summary) = (report.counts(), report.servers_summary());
    let is_of_one = report.only().is_some();
    let mut parts = Vec::new();
    if !is_of_one && report.exit_code() != 0 {
        let all = counted(summary.total, "server", "servers");
        parts.push(format!("{} of {all} failed", grouped(summary.failed)));
    }
    let drifted = number(CheckReport::drifted);
    if drifted > 0 {
        let entries = counted(counts.drifted, "entry", "entries");
        parts.push(format!("{entries} drifted in {}", counted(drifted, "check", "checks")));
    }
    match report.missing_locks().len() as u64 {
        0 => {}
        missing => parts.push(format!("{} missing", counted(missing, "lock file", "lock files"))),
    }
    if counts.unverified > 0 {
        parts.push(format!("{} unverified", counted(counts.unverified, "entry", "entries")));
    }
    let uncovered: u64 = report.checks().map(CheckReport::uncovered_count).sum();
    if report.checks().any(CheckReport::uncovered_is_wrong) {
        parts.push(format!("{} uncovered", grouped(uncovered)));
    }
    match number(|check| matches!(check.outcome, Outcome::Failed(_))) {
        0 => {}
        failed => parts.push(format!("{} could not be carried out", counted(failed, "check", "checks"))),
    }
    if report.hosts.iter().any(|host| host.sealed() == Some(Status::Fail)) {
        parts.push("the baseline is not as it was sealed".to_owned());
    }
    match summary.not_collected {
        0 => {}
        _ if is_of_one => parts.push("the server was not collected".to_owned()),
        number => parts.push(format!("{} not collected", counted(number, "server", "servers"))),
    }
    if parts.is_empty() {
        if !is_of_one {
            parts.push(counted(summary.total, "server", "servers"));
        }
        let passed = report.hosts.iter().map(|host| host.summary().passed).sum();
        let passed = counted(passed, "check", "checks");
        parts.push(format!("{passed} passed, {} verified", counted(counts.entries, "entry", "entries")));
        if uncovered > 0 {
            parts.push(format!("{} uncovered", grouped(uncovered)));
        }
    }
    format!("{}: {}", verdict(report.exit_code()), parts.join(", "))
}

/// The meaning of an exit code, in one or two words.
pub(super) const fn verdict(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "No drift",
        1 => "Drift",
        2 => "Trouble",
        _ => "Drift and trouble",
    }
}

/// The largest number of items to show of each list, so that all together are at most `budget`. At least one.
pub(super) fn share(lengths: impl Iterator<Item = usize> + Clone, budget: usize) -> usize {
    let fits = |share: usize| lengths.clone().map(|length| length.min(share)).sum::<usize>() <= budget;
    // The sum grows with the share.
    let (mut fitting, mut too_much) = (1, budget + 1);
    while too_much - fitting > 1 {
        let middle = fitting.midpoint(too_much);
        if fits(middle) {
            fitting = middle;
        } else {
            too_much = middle;
        }
    }
    fitting
}
