//! Reports that lie in one directory: their order in time, and the chain that each makes with the one kept before it.
//!
//! - A report's folder is named by the run's start in local time, `20260129_153042`. If several runs start in one
//!   second, the later ones get `_2` and so on at the end. Local time goes back by an hour once a year, so the names do
//!   not give the order. The start with its offset from UTC does; the JSON has it, and it must agree with the name.
//! - `previous` in the JSON names the report that was written before it in the same directory, with the digest of its
//!   bytes. Runs may overlap, so reports are not always written in the order of their starts.
//!
//! So exactly one other report names each report but the last, with its digest. Retention removes the oldest reports.
//! Any other gap is an error. A chain has no key: `docs/reports.md` says what it can't detect.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::Sha256Digest;

/// The report that was written before another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PreviousItem", into = "PreviousItem")]
pub struct Previous {
    /// The name of its folder.
    pub report: String,
    /// When its run started, in RFC 3339.
    pub started: String,
    /// Over the bytes of its JSON.
    pub digest: Sha256Digest,
}

/// [`Previous`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviousItem {
    report: String,
    started: String,
    digest: String,
}

impl From<Previous> for PreviousItem {
    fn from(Previous { report, started, digest }: Previous) -> Self {
        Self { report, started, digest: digest.sri() }
    }
}

impl TryFrom<PreviousItem> for Previous {
    type Error = &'static str;

    fn try_from(PreviousItem { report, started, digest }: PreviousItem) -> Result<Self, Self::Error> {
        let digest = Sha256Digest::from_sri(&digest).ok_or("`previous`: its digest is not `sha256-` and Base64")?;
        match FolderName::parse(&report) {
            Some(name) if name.timestamp == timestamp(&started) && started.parse::<Timestamp>().is_ok() => {
                Ok(Self { report, started, digest })
            }
            _ => Err("`previous`: the name of its folder does not fit its start"),
        }
    }
}

/// A folder's name: the time, and the number among the reports of that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderName<'a> {
    /// `20260129_153042`.
    pub timestamp: &'a str,
    pub number: u32,
}

impl<'a> FolderName<'a> {
    /// Parses a name; `None` if it is not that of a report's folder. Does not check that the digits are a date.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let (timestamp, rest) = name.split_at_checked("20260129_153042".len())?;
        let is_digit = |(at, byte): (usize, u8)| if at == 8 { byte == b'_' } else { byte.is_ascii_digit() };
        let number = match rest.strip_prefix('_') {
            None if rest.is_empty() => 1,
            None => return None,
            Some(number) => number.parse().ok().filter(|&parsed: &u32| parsed > 1 && parsed.to_string() == number)?,
        };
        timestamp.bytes().enumerate().all(is_digit).then_some(Self { timestamp, number })
    }

    /// The moment that the name stands for if local time has this offset from UTC, such as `+09:00`. `None` if it is
    /// not a date.
    #[must_use]
    pub fn moment(&self, offset: &str) -> Option<Timestamp> {
        let part = |from, to| self.timestamp.get(from..to);
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(9, 11)?, part(11, 13)?, part(13, 15)?);
        format!("{year}-{month}-{day}T{hour}:{minute}:{second}{offset}").parse().ok()
    }
}

/// The name of the folder of a run that started at this time, which is in RFC 3339: `20260129_153042`.
#[must_use]
pub fn timestamp(started: &str) -> String {
    let (date, time) = started.split_once(['T', 't', ' ']).unwrap_or_default();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    format!("{}_{}", digits(date), digits(time.get(..8).unwrap_or_default()))
}

/// A report in a directory of reports, with its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The name of its folder.
    pub name: String,
    pub start: Timestamp,
    /// The report that it names as the one before it.
    pub started: String,
    /// The number among the reports that started in the same second.
    pub number: u32,
    pub previous: Option<Previous>,
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("the report {report} is gone: {by} names it as the one before it")]
    TakenOut { report: String, by: String },
    #[error("the report {report} was changed after {by} was written, which has its digest")]
    Changed { report: String, by: String },
    #[error("the reports {} all name {report} as the one before them, and only one of them can be right", .by.join(", "))]
    Forked { report: String, by: Vec<String> },
    #[error("no report names one of {} as the one before it, and only one report can be the last", .reports.join(", "))]
    ManyLast { reports: Vec<String> },
}

/// The report that was written last: the one that no other report names. A broken chain may have several; then the
/// latest.
#[must_use]
pub fn last(kept: &[Dated]) -> Option<&Dated> {
    unnamed(kept).last().or_else(|| kept.last())
}

/// Everything that is wrong with a chain of reports, which are in the order of their starts. `digest` returns the
/// present digest of a report's JSON; `None` if it is not to be checked, or can't be read.
pub fn broken(kept: &[Dated], mut digest: impl FnMut(&Dated) -> Option<Sha256Digest>) -> Vec<Broken> {
    let places: HashMap<_, _> = kept.iter().map(|report| (report.name.as_str(), report)).collect();
    let mut found = Vec::new();
    let mut named_by: HashMap<&str, Vec<&Dated>> = HashMap::new();
    for (by, previous) in kept.iter().filter_map(|by| Some((by, by.previous.as_ref()?))) {
        let (report, by_name) = (previous.report.clone(), by.name.clone());
        let Some(there) = places.get(previous.report.as_str()) else {
            // What retention removed started before everything that is left.
            let start: Option<Timestamp> = previous.started.parse().ok();
            if start.is_none_or(|start| kept.first().is_some_and(|oldest| start > oldest.start)) {
                found.push(Broken::TakenOut { report, by: by_name });
            }
            continue;
        };
        named_by.entry(there.name.as_str()).or_default().push(by);
        if digest(there).is_some_and(|digest| digest != previous.digest) {
            found.push(Broken::Changed { report, by: by_name });
        }
    }
    for there in kept {
        if let Some(by) = named_by.get(there.name.as_str())
            && by.len() > 1
        {
            let by = by.iter().map(|by| by.name.clone()).collect();
            found.push(Broken::Forked { report: there.name.clone(), by });
        }
    }
    // If two runs overlapped, the report that named the oldest one may be gone by retention. Each report that was taken
    // out leaves one unnamed. Of several that name the same report, all but one leave one unnamed too.
    let last: Vec<_> = unnamed(kept).filter(|report| kept.first() != Some(report)).collect();
    let explained = found.iter().map(|broken| match broken {
        Broken::TakenOut { .. } => 1,
        Broken::Forked { by, .. } => by.len() - 1,
        _ => 0,
    });
    if last.len() > 1 + explained.sum::<usize>() {
        found.push(Broken::ManyLast { reports: last.iter().map(|report| report.name.clone()).collect() });
    }
    found
}

fn unnamed(kept: &[Dated]) -> impl DoubleEndedIterator<Item = &Dated> {
    let named: std::collections::HashSet<_> =
        kept.iter().filter_map(|report| Some(report.previous.as_ref()?.report.as_str())).collect();
    kept.iter().filter(move |report| !named.contains(report.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_its_name() {
        let names = ["20260129_153042", "20260129_153042_2", "20260129_153042_10", "20260129_153043"];
        let parsed = names.map(|name| FolderName::parse(name).unwrap());
        assert!(parsed.is_sorted());
        assert_eq!(parsed[2], FolderName { timestamp: "20260129_153042", number: 10 });
        for other in ["", "latest", "20260129-153042", "20260129_153042_1", "20260129_153042_02", "20260129_153042x"] {
            assert_eq!(FolderName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_is_a_moment_where_its_zone_is_known() {
        let moment = |name, offset| FolderName::parse(name).unwrap().moment(offset);
        assert_eq!(moment("20260129_153042", "+09:00"), Some("2026-01-29T06:30:42Z".parse().unwrap()));
        for no_date in ["20261301_000000", "20260229_000000", "20260101_240000", "20260101_006000", "00000101_000000_2"]
        {
            let expected = no_date.starts_with("0000").then(|| "0000-01-01T00:00:00Z".parse().unwrap());
            assert_eq!(moment(no_date, "Z"), expected, "{no_date}");
        }
    }

    /// Reports of which each names the one before it, but for those that `named` says name another.
    fn chain(number: usize, named: &[(usize, Option<usize>)]) -> Vec<Dated> {
        let name = |number: usize| format!("202601{:02}_080000", number + 1);
        let started = |number: usize| format!("2026-01-{:02}T08:00:00Z", number + 1);
        let all = (0..number).map(|at| {
            let other = named.iter().find(|(of, _)| *of == at).map(|(_, other)| *other);
            let previous = other.unwrap_or(at.checked_sub(1)).map(|before| Previous {
                report: name(before),
                started: started(before),
                digest: Sha256Digest([u8::try_from(before).unwrap(); 32]),
            });
            Dated { name: name(at), start: started(at).parse().unwrap(), started: started(at), number: 1, previous }
        });
        all.collect()
    }

    fn as_kept(report: &Dated) -> Option<Sha256Digest> {
        Some(Sha256Digest([report.name[6..8].parse::<u8>().unwrap() - 1; 32]))
    }

    #[test]
    fn runs_that_overlap_and_what_retention_takes_are_no_break() {
        // The third started before the fourth, and ended after it.
        let overlapping = [(3, Some(1)), (2, Some(3)), (4, Some(2))];
        for mut kept in [chain(6, &[]), chain(6, &overlapping)] {
            assert_eq!(last(&kept).unwrap().name, "20260106_080000");
            while !kept.is_empty() {
                assert_eq!(broken(&kept, as_kept), []);
                kept.remove(0);
            }
            assert_eq!((broken(&kept, as_kept), last(&kept)), (Vec::new(), None));
        }
    }

    #[test]
    fn any_gap_any_addition_and_any_change_is_a_break() {
        for gap in 1..5 {
            let mut kept = chain(6, &[]);
            let report = kept.remove(gap).name;
            let by = kept[gap].name.clone();
            assert_eq!(broken(&kept, as_kept), [Broken::TakenOut { report, by }], "{gap}");
        }
        for put_in in 1..6 {
            for other in (0..6).filter(|&other| other != put_in && other + 1 != put_in).map(Some).chain([None]) {
                // The one behind it names the one before it, as if it were not there.
                let named = [(put_in, other), (put_in + 1, Some(put_in - 1))];
                let kept = chain(6, &named);
                // A run that began between the others and ended after all of them names the last.
                assert_eq!(broken(&kept, as_kept).is_empty(), other == Some(5), "{put_in} {other:?}");
            }
        }
        for changed in 0..5 {
            let kept = chain(6, &[]);
            let found =
                broken(
                    &kept,
                    |report| {
                        if report == &kept[changed] { Some(Sha256Digest([9; 32])) } else { as_kept(report) }
                    },
                );
            let (report, by) = (kept[changed].name.clone(), kept[changed + 1].name.clone());
            assert_eq!(found, [Broken::Changed { report, by }]);
        }
        // Without the digests, only which files exist and which do not.
        assert_eq!(broken(&chain(6, &[]), |_| None), []);
    }
}
