//! What no checker goes below: opening, looking at and reading every file below a directory, without hashing a byte.
//!
//! `cargo bench --bench limit -- DIR [THREADS]` reads DIR once to warm the cache, then some more times, and prints the
//! bytes and the median of the seconds. `--once` reads it one time and prints only bytes and files, so that you can
//! time the whole process. The limit that `docs/performance.md` speaks of is this time, and on top of it the bytes
//! divided by what all cores together hash (`cargo bench --bench lanes`).
//!
//! It shares no code with the walk it is held against, and is as simple as can be: threads take directories from one
//! stack, and read what is in them through one buffer each.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags};

/// What fits into the L2 cache beside everything else.
const BUFFER: usize = 128 << 10;
const ROUNDS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let once = arguments.iter().any(|argument| argument == "--once");
    let mut arguments = arguments.iter().filter(|argument| !argument.starts_with("--"));
    // `cargo test --benches` names no directory: enough to see that it works.
    let directory = arguments.next().map_or("src", String::as_str);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.next().map_or_else(cores, |count| count.parse().expect("the second argument is a number"));
    let rounds = if once { 0 } else { ROUNDS };
    let mut seconds = Vec::new();
    let mut read = (0, 0);
    for round in 0..=rounds {
        let start = Instant::now();
        read = walk(directory.into(), threads);
        if round > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    println!("files {} bytes {}", read.0, read.1);
    if !once {
        seconds.sort_by(f64::total_cmp);
        let (least, median, most) = (seconds[0], seconds[ROUNDS / 2], seconds[ROUNDS - 1]);
        println!("seconds: median {median:.3}, minimum {least:.3}, maximum {most:.3}, {threads} threads");
    }
}

struct Shared {
    /// Directories that wait, and how many threads may still find some.
    stack: Mutex<(Vec<PathBuf>, usize)>,
    wake: Condvar,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// Files and bytes below a directory.
fn walk(directory: PathBuf, threads: usize) -> (u64, u64) {
    let shared = Shared {
        stack: Mutex::new((vec![directory], threads)),
        wake: Condvar::new(),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&shared));
        }
    });
    (shared.files.into_inner(), shared.bytes.into_inner())
}

fn work(shared: &Shared) {
    let mut buffer = vec![0; BUFFER];
    let mut names = Vec::with_capacity(64 << 10);
    while let Some(path) = take(shared) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, &path, flags, Mode::empty()).expect("a directory that can be opened");
        let mut below = Vec::new();
        let mut files = Vec::new();
        list(&directory, &mut names, |name, kind| match kind {
            FileType::Directory => below.push(path.join(name.to_str().expect("a name in UTF-8"))),
            FileType::RegularFile => files.push(name.to_owned()),
            _ => {}
        });
        if !below.is_empty() {
            shared.stack.lock().unwrap_or_else(PoisonError::into_inner).0.append(&mut below);
            shared.wake.notify_all();
        }
        for name in files {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&directory, &*name, flags, Mode::empty()).expect("a file that can be opened");
            let status = rustix::fs::statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).expect("a status");
            let mut left = status.stx_size;
            while left > 0 {
                match rustix::io::read(&file, &mut *buffer).expect("a file that can be read") {
                    0 => break,
                    read => left = left.saturating_sub(read as u64),
                }
            }
            shared.files.fetch_add(1, Ordering::Relaxed);
            shared.bytes.fetch_add(status.stx_size, Ordering::Relaxed);
        }
    }
}

fn list(directory: &OwnedFd, names: &mut Vec<u8>, mut found: impl FnMut(&std::ffi::CStr, FileType)) {
    let spare: &mut [MaybeUninit<u8>] = names.spare_capacity_mut();
    let mut entries = RawDir::new(directory, spare);
    while let Some(entry) = entries.next() {
        let entry = entry.expect("a directory that can be listed");
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found(entry.file_name(), entry.file_type());
        }
    }
}

/// The next directory, once there is one; nothing when every thread waits.
fn take(shared: &Shared) -> Option<PathBuf> {
    let mut stack = shared.stack.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(path) = stack.0.pop() {
            return Some(path);
        }
        stack.1 -= 1;
        if stack.1 == 0 {
            shared.wake.notify_all();
            return None;
        }
        stack = shared.wake.wait(stack).unwrap_or_else(PoisonError::into_inner);
        if stack.1 == 0 {
            return None;
        }
        stack.1 += 1;
    }
}
