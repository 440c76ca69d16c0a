//! The time zone of the user: what `TZ` says, or else that of the machine.
//!
//! One file is read, and no list of all zones: that would be hundreds of directories.
//!
//! Source: tzset(3), and POSIX, "Other Environment Variables".

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::declared::read;

/// Where zones lie: on most systems, and on NixOS.
const PLACES: [&str; 2] = ["/usr/share/zoneinfo", "/etc/zoneinfo"];

/// The largest file of a zone, in bytes; the largest that there is has some four thousand.
const LARGEST: u64 = 1 << 20;

/// The zone that counts; one that is known to be unknown if `TZ` names none that can be found.
pub(super) fn zone() -> TimeZone {
    let Some(named) = std::env::var_os("TZ") else { return TimeZone::system() };
    let named = named.as_bytes();
    let named = named.strip_prefix(b":").unwrap_or(named);
    let Ok(name) = std::str::from_utf8(named) else { return TimeZone::unknown() };
    if matches!(name, "" | "UTC") {
        return TimeZone::UTC;
    }
    let places = std::env::var_os("TZDIR").map(PathBuf::from).into_iter().chain(PLACES.map(PathBuf::from));
    // A name that is absolute is a file of its own.
    let found = places.map(|place| place.join(OsStr::from_bytes(named))).find_map(|file| of_file(name, &file));
    found.or_else(|| TimeZone::posix(name).ok()).unwrap_or_else(TimeZone::unknown)
}

fn of_file(name: &str, file: &Path) -> Option<TimeZone> {
    TimeZone::tzif(name, &read(file, LARGEST).ok()?).ok()
}
