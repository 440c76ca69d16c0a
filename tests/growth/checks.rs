//! Trees on a disk, walked, compared and reported; and what a run keeps of them for the next one.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use driftlock::internals::compare::{DifferenceBudget, compare};
use driftlock::internals::declaration::Selection;
use driftlock::internals::manifest::{AttributeSet, Kind, List, Sha256Digest};
use driftlock::internals::report::{Outcome, text};
use driftlock::internals::stat_cache::file::{Origin, read, write};
use driftlock::internals::stat_cache::listing::{Listed, Names};
use driftlock::internals::stat_cache::{CachedDigest, CheckCache, Moment, Stamp};
use driftlock::internals::walk::{NarOf, Progress, Task, Threads, collect};
use rustix::fs::{FileType, Mode, OFlags, mkdirat, openat};

use crate::samples;
use crate::{Case, Input};

pub fn cases() -> Vec<Case> {
    let trees: [(&str, NarOf, fn(usize) -> Vec<usize>); 5] = [
        // Names of so many bytes, each in the one before.
        ("directories-in-directories", NarOf::Nothing, |size| vec![200; size / 40]),
        ("directories-in-directories-with-short-names", NarOf::Nothing, |size| vec![1; size / 15]),
        ("directories-in-directories-for-a-lock", NarOf::Modules, |size| vec![1; size / 60]),
        ("directories-beside-each-other", NarOf::Nothing, |size| vec![0; size / 60]),
        ("directories-beside-each-other-for-a-lock", NarOf::Modules, |size| vec![0; size / 60]),
    ];
    let walks = trees
        .into_iter()
        .map(|(name, nar, make)| Case::new(format!("check/{name}"), move |size| of_names(&make(size), nar)));
    walks.chain(stat_caches()).collect()
}

/// A tree of directories, one in the other; names of no length are beside each other.
fn of_names(names: &[usize], nar: NarOf) -> Input {
    let directory = Rc::new(tempfile::tempdir_in(memory()).expect("a temporary directory"));
    let root: OwnedFd = std::fs::File::open(directory.path()).expect("a directory").into();
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut at = root.try_clone().expect("a descriptor");
    for (number, &length) in names.iter().enumerate() {
        let name = if length == 0 { format!("d{number}") } else { "d".repeat(length) };
        mkdirat(&at, &name, Mode::RWXU).expect("room");
        if length > 0 {
            at = openat(&at, &name, flags, Mode::empty()).expect("a directory");
        }
    }
    let bytes = names.iter().map(|length| 60 + length).sum();
    let work = move || {
        let _kept = directory;
        let selection = Selection::everything();
        let task = Task {
            root: root.as_fd(),
            name: String::new(),
            kind: Kind::Trees,
            selection: &selection,
            attributes: AttributeSet::default(),
            one_file_system: false,
            nar,
            start: None,
            strict: false,
            cache: None,
            links_on_the_way: false,
            coverage: None,
        };
        let collection =
            collect(vec![task], Threads::exactly(NonZeroUsize::MIN).into(), &Progress::default()).remove(0);
        if nar != NarOf::Nothing {
            return 0;
        }
        let nothing = List::default();
        let comparison =
            compare(&mut DifferenceBudget::default(), &mut nothing.entries(), &mut collection.tree.entries());
        let comparison = comparison.expect("a tree");
        let outcome = Outcome::Compared { comparison, digest: Some(samples::sha256(b"lock").sri()), live_digest: None };
        let report = samples::report(vec![samples::check("tree", Kind::Trees, "root", outcome)]);
        let mut out = samples::json(&report);
        text::write(&mut out, &report, text::Style::default(), None).expect("memory has no errors");
        out.len()
    };
    Input::to("read", bytes, work)
}

/// A directory in memory where the machine offers that.
fn memory() -> PathBuf {
    Some(PathBuf::from("/dev/shm")).filter(|directory| directory.is_dir()).unwrap_or_else(std::env::temp_dir)
}

fn stamp(inode: usize, size: usize) -> Stamp {
    let moment = Moment { seconds: 1, nanoseconds: 1 };
    Stamp { inode: inode as u64, size: size as u64, modified: moment, changed: moment }
}

fn stat_caches() -> Vec<Case> {
    let makes: [(&str, fn(usize) -> Vec<CheckCache>); 5] = [
        ("many-files", |size| {
            let file = |number| CachedDigest { stamp: stamp(number, 1), sha256: Sha256Digest([1; 32]) };
            vec![CheckCache { files: (0..size / 72).map(file).collect(), ..CheckCache::default() }]
        }),
        ("many-checks", |size| vec![CheckCache::default(); size / 80]),
        ("many-directories", |size| {
            let mut facts = CheckCache::default();
            (0..size / 60).for_each(|number| facts.listings.push(stamp(number, 1), &names(1)));
            vec![facts]
        }),
        ("a-directory-with-many-names", |size| {
            let mut facts = CheckCache::default();
            facts.listings.push(stamp(1, 1), &names(size / 16));
            vec![facts]
        }),
        ("many-links", |size| {
            let mut facts = CheckCache::default();
            (0..size / 60).for_each(|number| facts.links.push(stamp(number, 4), b"../x"));
            vec![facts]
        }),
    ];
    let case = |(name, make): (&'static str, fn(usize) -> Vec<CheckCache>)| {
        Case::new(format!("stat-cache/{name}"), move |size| {
            let origin = Origin { binding: Sha256Digest([7; 32]), booted: 1 };
            let mut bytes = Vec::new();
            write(&mut bytes, &origin, &make(size)).expect("memory has no errors");
            let length = bytes.len();
            let work = move || read(&mut &bytes[..], length as u64, &origin).expect("a stat cache").len();
            Input::to("read", length, work)
        })
    };
    makes.into_iter().map(case).collect()
}

fn names(number: usize) -> Vec<u8> {
    let mut names = Names::default();
    for number in 0..number {
        names.push(Listed { file_type: FileType::RegularFile, inode: 9 }, format!("{number:06}").as_bytes());
    }
    names.sorted().expect("names")
}
