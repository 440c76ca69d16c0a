//! `check --metrics FILE`: writes metrics for the textfile collector of Prometheus' node_exporter.
//!
//! The collector reads every `*.prom` file in a directory, from any program. So the file is written under a temporary
//! name with another ending, and renamed. Each series has the file's name as its label `run`: if two files had a series
//! in common, the collector would drop both.

use std::io::Read as _;
use std::path::Path;

use cap_std::fs::OpenOptions;

use super::{complain, exit};
use crate::capability::{Directory, shown};
use crate::error::{Error, ErrorKind};
use crate::report::Report;
use crate::report::prometheus::{self, Context};
use crate::session::{Session, not_written};
use crate::store;

/// The largest file of metrics that is read back, in bytes: ten times that of a thousand checks.
const LIMIT: u64 = 16 << 20;

/// The file for the metrics of a run.
pub struct Metrics {
    /// An error if the directory is gone. The check runs all the same.
    directory: Result<Directory, Error>,
    /// The file's name in it.
    name: String,
    shown: String,
    interval: Option<u64>,
}

impl Metrics {
    /// Opens the directory. `interval` is the time between runs, in seconds.
    ///
    /// # Errors
    /// The collector would ignore the name, or a check would record the file.
    pub fn open(file: &Path, interval: Option<u64>, session: &Session) -> Result<Self, Error> {
        let name = file.file_name().and_then(|name| name.to_str()).filter(|name| {
            let stem = name.strip_suffix(".prom").unwrap_or_default();
            !stem.is_empty() && !stem.starts_with('.') && !stem.chars().any(crate::path::is_hazardous)
        });
        let Some(name) = name else {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("--metrics {}: node_exporter reads files whose names end in .prom", shown(file)),
                "name a file such as /var/lib/node_exporter/driftlock.prom",
            ));
        };
        let above = file.parent().unwrap_or(Path::new(""));
        let directory = session.existing(above, "metrics", |_| name.to_owned())?;
        Ok(Self { directory, name: name.to_owned(), shown: shown(file), interval })
    }

    /// The directory that the run writes to.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref().ok()
    }

    /// Writes the metrics of a run. Returns its exit code, with the bit for trouble if that failed.
    pub fn save(&self, report: &Report) -> u8 {
        match self.write(report) {
            Ok(()) => 0,
            Err(trouble) => {
                complain(&trouble);
                exit::TROUBLE
            }
        }
    }

    /// Writes the file. After an error, the old file is unchanged.
    fn write(&self, report: &Report) -> Result<(), Error> {
        let Directory { dir, .. } = self.directory.as_ref().map_err(Clone::clone)?;
        let run = self.name.strip_suffix(".prom").unwrap_or(&self.name);
        let before = self.before(dir);
        let now = report.run.started.parse().map_or(0, jiff::Timestamp::as_second);
        let last_success = before.and_then(|before| prometheus::last_success(&before, run, now));
        let context = Context { run, last_success, interval: self.interval };
        store::replace(dir, &self.name, |out| prometheus::write(out, report, context))
            .map_err(|error| not_written(&format!("the metrics {}", self.shown), &error))
    }

    /// The metrics of the run before; `None` if they can't be read.
    fn before(&self, dir: &cap_std::fs::Dir) -> Option<String> {
        let mut options = OpenOptions::new();
        options.read(true);
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOFOLLOW);
        let file = dir.open_with(&self.name, &options).ok()?;
        let metadata = file.metadata().ok().filter(cap_std::fs::Metadata::is_file)?;
        let mut text = String::new();
        (metadata.len() <= LIMIT).then_some(())?;
        file.take(LIMIT).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

/// Reads a duration such as `90s`, `30m`, `24h` or `7d`, in seconds.
///
/// # Errors
/// It is not such a duration, or zero.
pub fn duration(text: &str) -> Result<u64, String> {
    let refused = || "write it as 90s, 30m, 24h or 7d".to_owned();
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86400,
        _ => return Err(refused()),
    };
    let number = text[..text.len() - 1].parse::<u32>().ok().filter(|&number| number > 0);
    let digits = text.bytes().rev().skip(1).all(|byte| byte.is_ascii_digit());
    number.filter(|_| digits).map(|number| u64::from(number) * unit).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in ["", "s", "90", "0h", "-1h", "+1h", "1.5h", "1w", "99999999999s", "1ö"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
