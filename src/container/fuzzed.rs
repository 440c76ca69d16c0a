//! Fuzz targets for data from an engine.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::containers::containers;
use super::error::EngineError;
use super::filter::ContainerFilter;
use super::http::{self, RequestTarget};
use super::stream::{Stream, Timeouts};
use super::tar::{Archive, EntryKind, Source};
use crate::declaration::Selection;
use crate::manifest::{AttributeSet, Entries as _, List};

struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        let taken = self.0.len().min(into.len());
        let (now, later) = self.0.split_at(taken);
        into[..taken].copy_from_slice(now);
        self.0 = later;
        Ok(taken)
    }
}

/// Reads an archive to its end, or until it is refused.
pub fn archive(data: &[u8]) {
    let mut archive = Archive::new(Bytes(data));
    let mut buffer = [0; 4096];
    while let Ok(Some(header)) = archive.next() {
        assert!(header.kind == EntryKind::File || header.size == 0, "{header:?}");
        let mut size = 0;
        while let Ok(read @ 1..) = archive.read(&mut buffer) {
            size += read as u64;
        }
        assert!(size <= header.size, "{header:?}");
    }
}

/// The records of all containers; `None` if a response is refused or an inspection failed.
pub fn recorded(socket: BorrowedFd<'_>, time: Duration, attributes: AttributeSet) -> Option<List> {
    let everything = Selection::everything();
    let timeouts = Timeouts { silence: time, answers: time, archive: time };
    let (list, _) = containers(socket, ContainerFilter::all(&everything), attributes, timeouts).ok()?;
    let mut entries = list.entries();
    while let Ok(Some(entry)) = entries.next() {
        entry.state.ok()?;
    }
    Some(list)
}

/// Sends requests over a connection until a response is refused.
pub fn answers(socket: BorrowedFd<'_>, time: Duration) {
    let mut stream = Stream::new(socket, Timeouts { silence: time, answers: time, archive: time });
    let target = RequestTarget::new(&["containers", "json"]).query("all", "1");
    while let Ok((_, body)) = http::get(&mut stream, &target) {
        if body.whole(1 << 16).is_err() {
            break;
        }
    }
}
