//! The stages of a check by themselves: walk, write, parse and compare.
//!
//! `cargo bench --bench stages` makes 100,000 small files in a temporary directory and prints the time that each stage
//! takes over them, in milliseconds, warm; `cargo bench --bench stages -- DIR` takes what is below DIR instead.
//!
//! - walk: `walk::collect` with one thread and with one a core, and with the NAR of each module.
//! - write: the lock's bytes, digest included, from what was collected.
//! - parse: those bytes to their end, as strictly as any lock.
//! - compare: the parsed lock against what was collected, parsing included, as `check` does.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench makes and opens what it measures")]

use std::fs::{self, File};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Instant;

use driftlock::internals::compare::{DifferenceBudget, compare};
use driftlock::internals::declaration::Selection;
use driftlock::internals::manifest::json::{self, Header, Reader};
use driftlock::internals::manifest::{AttributeSet, Entries as _, Kind};
use driftlock::internals::walk::{Collection, NarOf, Progress, Task, Threads, collect, default_threads};

const FILES: usize = 100_000;
const ROUNDS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, without `--bench`: once over little is enough to see that it works.
    let measure = arguments.iter().any(|argument| argument == "--bench");
    let (files, rounds) = if measure { (FILES, ROUNDS) } else { (100, 1) };
    let made;
    let directory = match arguments.iter().find(|argument| !argument.starts_with("--")) {
        Some(directory) => Path::new(directory),
        None => {
            made = tempfile::tempdir().expect("a temporary directory");
            make(made.path(), files);
            made.path()
        }
    };
    let root = File::open(directory).expect("a directory that can be opened");
    let selection = Selection::everything();
    let walk = |nar, threads| -> Collection {
        let task = Task {
            root: root.as_fd(),
            name: String::new(),
            kind: Kind::Trees,
            selection: &selection,
            attributes: AttributeSet::default(),
            one_file_system: false,
            start: None,
            strict: false,
            nar,
            cache: None,
            links_on_the_way: false,
            coverage: None,
        };
        collect(vec![task], Threads::exactly(threads).into(), &Progress::default()).remove(0)
    };
    let all = default_threads();

    let found = walk(NarOf::Nothing, all);
    let header = Header { check: "bench".to_owned(), kind: Kind::Trees, attributes: AttributeSet::default() };
    let write = || {
        let mut lock = Vec::new();
        let digest = json::digest(&mut found.tree.entries()).expect("a tree has no errors of its own");
        json::write(&mut lock, &header, digest, &mut found.tree.entries()).expect("it is written to memory");
        lock
    };
    let lock = write();
    let read = || Reader::new(&*lock).expect("the header that was just written");
    let comparison = || {
        compare(&mut DifferenceBudget::unlimited(), &mut read(), &mut found.tree.entries())
            .expect("the lock that was just written")
    };
    assert_eq!(comparison().counts.drifted, 0, "the same tree, read once");
    let entries = comparison().counts.entries;

    println!("{entries} entries, {} bytes of lock, medians of {rounds} in ms (minimum to maximum)", lock.len());
    let time = |stage: &str, mut run: Box<dyn FnMut() + '_>| {
        let mut millis: Vec<f64> = (0..=rounds)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64() * 1e3
            })
            // The first round only warms up.
            .skip(1)
            .collect();
        millis.sort_by(f64::total_cmp);
        let (least, median, most) = (millis[0], millis[rounds / 2], millis[rounds - 1]);
        println!("{stage:30} {median:9.1} ({least:.1} to {most:.1})");
    };
    time("walk, one thread", Box::new(|| drop(black_box(walk(NarOf::Nothing, NonZeroUsize::MIN)))));
    time(&format!("walk, {all} threads"), Box::new(|| drop(black_box(walk(NarOf::Nothing, all)))));
    time(&format!("walk with NARs, {all} threads"), Box::new(|| drop(black_box(walk(NarOf::Modules, all)))));
    time("write", Box::new(|| drop(black_box(write()))));
    time(
        "parse",
        Box::new(|| {
            let mut reader = read();
            while reader.next().expect("a line that was just written").is_some() {}
        }),
    );
    time("compare", Box::new(|| drop(black_box(comparison()))));
}

/// Modules of directories of small files, as an application's source has them.
fn make(directory: &Path, files: usize) {
    for number in 0..files {
        let below = directory.join(format!("module{:02}/part{:03}", number % 40, number / 40 % 50));
        if number < 40 * 50 {
            fs::create_dir_all(&below).expect("a directory");
        }
        fs::write(below.join(format!("file{number}.py")), number.to_string().repeat(number % 400)).expect("a file");
    }
}
