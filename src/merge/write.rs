//! Writes the merged lock: a valid lock if there are no conflicts, otherwise with git's conflict markers.

use std::io::{self, Write};

use super::{Merged, Part};
use crate::manifest::json::{self, Header};
use crate::manifest::{Entry, List, LockError};

/// Writes a merged lock. `digests` are those that our and their lock state; `marker` is the length of git's conflict
/// markers.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    header: &Header,
    digests: [&str; 2],
    marker: usize,
    merged: &Merged<'_>,
) -> io::Result<()> {
    if merged.conflicts().next().is_none() {
        let entries = merged.0.iter().filter_map(|part| match part {
            Part::Entry(entry) => Some((entry.path.clone(), Ok(entry.record.clone()))),
            Part::Conflict(_) => None,
        });
        let list = List::new(entries.collect());
        // Writing to a `Vec` can't fail.
        let malformed = |error: LockError| io::Error::new(io::ErrorKind::InvalidData, error);
        let digest = json::digest(&mut list.entries()).map_err(malformed)?;
        return json::write(out, header, digest, &mut list.entries());
    }
    let marked = |out: &mut dyn Write, ours: &[String], theirs: &[String]| {
        let mark = |sign: &str| sign.repeat(marker);
        let (ours, theirs) = (ours.concat(), theirs.concat());
        write!(out, "{} ours\n{ours}{}\n{theirs}{} theirs\n", mark("<"), mark("="), mark(">"))
    };
    let mut head = Vec::new();
    header.write(&mut head, digests[0]);
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b"\"digest\"") {
            let [ours, theirs] = digests.map(|digest| [format!("\"digest\": \"{digest}\",\n")]);
            marked(out, &ours, &theirs)?;
        } else {
            out.write_all(line)?;
        }
    }
    for (index, part) in merged.0.iter().enumerate() {
        let is_last = index + 1 == merged.0.len();
        match part {
            Part::Entry(entry) => out.write_all(lines(&[entry], is_last).concat().as_bytes())?,
            Part::Conflict(conflict) => {
                marked(out, &lines(&conflict.ours, is_last), &lines(&conflict.theirs, is_last))?;
            }
        }
    }
    out.write_all(b"]\n}\n")
}

/// Entries as lines of a lock. Only the last line of the lock has no comma.
fn lines(entries: &[&Entry], with_the_last: bool) -> Vec<String> {
    let line = |(index, entry): (usize, &&Entry)| {
        let comma = if with_the_last && index + 1 == entries.len() { "" } else { "," };
        format!("{}{comma}\n", json::entry_line(entry.path.as_bytes(), &entry.record))
    };
    entries.iter().enumerate().map(line).collect()
}
