//! The time zone of the user: that of `TZ`, or else that of the machine.
//!
//! Reads one file only. Listing all zones would read hundreds of directories.
//!
//! Source: tzset(3), and POSIX, "Other Environment Variables".

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::declared::read;

/// The directories of zones: on most systems, and on NixOS.
const PLACES: [&str; 2] = ["/usr/share/zoneinfo", "/etc/zoneinfo"];

/// The largest zone file that is read, in bytes; real ones have up to about four thousand.
const LARGEST: u64 = 1 << 20;

/// The time zone to use; the unknown zone if `TZ` names one that can't be found.
#[must_use]
pub fn zone() -> TimeZone {
    let Some(named) = std::env::var_os("TZ") else { return TimeZone::system() };
    let named = named.as_bytes();
    let named = named.strip_prefix(b":").unwrap_or(named);
    let Ok(name) = std::str::from_utf8(named) else { return TimeZone::unknown() };
    if matches!(name, "" | "UTC") {
        return TimeZone::UTC;
    }
    let places = std::env::var_os("TZDIR").map(PathBuf::from).into_iter().chain(PLACES.map(PathBuf::from));
    // An absolute name is the path of a zone file.
    let found = places.map(|place| place.join(OsStr::from_bytes(named))).find_map(|file| of_file(name, &file));
    found.or_else(|| TimeZone::posix(name).ok()).unwrap_or_else(TimeZone::unknown)
}

fn of_file(name: &str, file: &Path) -> Option<TimeZone> {
    TimeZone::tzif(name, &read(file, LARGEST).ok()?).ok()
}
