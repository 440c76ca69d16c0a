//! The reports in a directory, in their order.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use cap_std::fs::{Dir, File};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use super::{complain, stored};
use crate::capability::{self, shown};
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind};
use crate::manifest::Sha256Digest;
use crate::path::escaped;
use crate::report::chain::{self, Dated, FolderName, Previous};
use crate::report::json;

/// How far the clock of another machine may be ahead, in seconds.
const SKEW: i64 = 60;

/// The most problems to print one by one.
const TOLD: usize = 10;

/// The number of attempts to lock a directory that another run holds, and the time between them: ten seconds in all.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// The contents of a directory of reports.
#[derive(Debug, Default)]
pub struct History {
    /// Valid reports, sorted by their starts.
    pub kept: Vec<Dated>,
    /// Folders whose JSON is missing or can't be read, for example because the run was interrupted.
    damaged: Vec<String>,
    /// Folders that are refused, with the reasons.
    refused: Vec<Refused>,
}

/// Why a folder is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("{0} is named like the folder of a report, but the name is not a date")]
    NoDate(String),
    #[error("{name} says that its run started at {}, which is in the future", escaped(.started.as_bytes()))]
    Future { name: String, started: String },
    #[error("{name} says that its run started at {}, which does not fit the name of its folder", escaped(.started.as_bytes()))]
    OtherTime { name: String, started: String },
}

/// The offset from UTC of a time in a report: `+09:00` of `2026-01-29T15:30:42+09:00`.
pub fn offset(stated: &str) -> &str {
    stated.get("2026-01-29T15:30:42".len()..).unwrap_or("Z")
}

impl History {
    /// Reads the beginnings of all reports in a directory.
    ///
    /// # Errors
    /// The directory can't be listed.
    pub fn read(reports: &Dir) -> io::Result<Self> {
        let now = capability::moment();
        let mut history = Self::default();
        for entry in reports.entries()? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str()
                && let Some(folder) = FolderName::parse(name)
            {
                history.add(reports, name, folder, now);
            }
        }
        history.kept.sort_by_key(|kept| (kept.start, kept.number));
        Ok(history)
    }

    fn add(&mut self, reports: &Dir, name: &str, folder: FolderName<'_>, now: Timestamp) {
        let name = name.to_owned();
        if folder.moment("Z").is_none() {
            return self.refused.push(Refused::NoDate(name));
        }
        let head = reports.open_dir(&name).and_then(|folder| stored::open_in(&folder)).ok().and_then(json::head);
        let started = head.as_ref().and_then(|head| Some((head, head.started.parse::<Timestamp>().ok()?)));
        let Some((json::Head { started, previous }, start)) = started else {
            return self.damaged.push(name);
        };
        let (started, previous) = (started.clone(), previous.clone());
        if chain::timestamp(&started) != folder.timestamp {
            self.refused.push(Refused::OtherTime { name, started });
        } else if start.as_second() > now.as_second().saturating_add(SKEW) {
            self.refused.push(Refused::Future { name, started });
        } else {
            self.kept.push(Dated { name, start, started, number: folder.number, previous });
        }
    }

    /// Whether a valid report has this folder: another one may name it as the one before.
    pub fn is_in_chain(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept.name == name)
    }

    /// The folders of all reports that are not refused, the oldest first. A folder without a readable JSON is sorted by
    /// its name, as a local time with this offset from UTC.
    pub fn folders(&self, offset: &str) -> Vec<&str> {
        let damaged = self.damaged.iter().filter_map(|name| {
            let folder = FolderName::parse(name)?;
            Some((folder.moment(offset)?, folder.number, name.as_str()))
        });
        let kept = self.kept.iter().map(|kept| (kept.start, kept.number, kept.name.as_str()));
        let mut all: Vec<_> = kept.chain(damaged).collect();
        all.sort_unstable();
        all.into_iter().map(|(.., name)| name).collect()
    }

    /// Prints on stderr what is wrong with the reports in a directory. Returns whether anything is. `digest` is as for
    /// [`chain::broken`].
    pub fn complain(&self, directory: &Path, digest: impl FnMut(&Dated) -> Option<Sha256Digest>) -> bool {
        let place = shown(directory);
        let refused = self.refused.iter().map(|refused| {
            let help = "find out whether the clock was wrong then, or who put it there; then move it elsewhere";
            Error::new(ErrorKind::Input, format!("{place}: {refused}"), help)
        });
        let broken = chain::broken(&self.kept, digest);
        let broken = broken.iter().map(|broken| {
            let help = "find out who changed this directory; to stop this message, move its reports elsewhere";
            Error::new(ErrorKind::Input, format!("{place}: {broken}"), help)
        });
        let mut told = 0;
        for trouble in refused.chain(broken) {
            told += 1;
            if told <= TOLD {
                complain(&trouble);
            }
        }
        if let more @ 1.. = told.max(TOLD) - TOLD {
            complain(&Error::new(
                ErrorKind::Input,
                format!("{place}: something is wrong with {more} more reports"),
                "",
            ));
        }
        told > 0
    }
}

/// The present digest of a report's JSON.
///
/// # Errors
/// Those of the file system.
pub fn digest(reports: &Dir, name: &str) -> io::Result<Sha256Digest> {
    let mut file: File = stored::open_in(&reports.open_dir(name)?)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// The report that was written last in a directory, for the next one to name. A report that can't be read is skipped;
/// the next reader of the directory gets a message about it.
///
/// # Errors
/// The directory can't be listed.
pub fn previous(reports: &Dir) -> io::Result<Option<Previous>> {
    let history = History::read(reports)?;
    let last = chain::last(&history.kept);
    Ok(last.and_then(|last| {
        let digest = digest(reports, &last.name).ok()?;
        Some(Previous { report: last.name.clone(), started: last.started.clone(), digest })
    }))
}

/// Locks a directory of reports, so that no two runs name the same report as the one before them. Closing the handle
/// releases the lock.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if another process holds it for ten seconds, and those of the file system.
pub fn hold(reports: &Dir) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = openat(reports.as_fd(), c".", flags, Mode::empty())?;
    for _ in 1..TRIES {
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            held => return held.map(|()| handle).map_err(io::Error::from),
        }
    }
    flock(&handle, FlockOperation::NonBlockingLockExclusive)?;
    Ok(handle)
}
