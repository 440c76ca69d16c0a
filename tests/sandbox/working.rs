//! What a run does, which has to go on working inside.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use cap_std::fs::{Dir, OpenOptions};
use driftlock::internals::sandbox::Grants;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, StatxFlags, flock, ftruncate, openat, statx, unlinkat};
use rustix::process::{Pid, Signal, kill_process};

use crate::child::{self, Inside};
use crate::scene::{Layers, Scene, is_root, output, said};

/// Threads of the run under strace, too.
pub const THREADS: usize = 4;

pub fn threads_memory_and_reading() {
    everywhere("working:read");
}

pub fn replacing_a_file() {
    everywhere("working:replace");
}

pub fn removing_what_is_old() {
    everywhere("working:remove");
}

pub fn a_grant_of_one_file() {
    everywhere("working:file");
}

fn everywhere(task: &str) {
    for unprivileged in [false, is_root()] {
        for layers in Layers::EVERY {
            let scene = Scene::new(unprivileged);
            assert_eq!(said(scene.command(task, layers)), "ok", "{task} under {}", layers.name());
        }
    }
}

/// A call that a stop interrupts is gone on with by another call, which is easily left off a list.
pub fn a_stop_in_mid_sleep() {
    let scene = Scene::new(false);
    let mut child = scene
        .command("working:sleep", Layers::All)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut first = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut first).expect("a first line");
    assert_eq!(&first, b"ready\n");
    for signal in [Signal::STOP, Signal::CONT] {
        thread::sleep(Duration::from_millis(50));
        kill_process(Pid::from_child(&child), signal).expect("a signal");
    }
    let output = child.wait_with_output().expect("its end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{}", String::from_utf8_lossy(&output.stderr));
}

pub fn a_panic_prints_and_aborts() {
    for task in ["working:panic", "working:panic in a thread"] {
        for backtrace in ["0", "1"] {
            let scene = Scene::new(false);
            let mut command = scene.command(task, Layers::All);
            command.env("RUST_BACKTRACE", backtrace);
            let output = output(command);
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(message.contains("the reason of this panic"), "{task}: {message}");
            // musl's abort() can't name a thread other than the first to the filter; the process ends all the same.
            let signals: &[i32] =
                if cfg!(target_env = "musl") { &[libc::SIGABRT, libc::SIGSEGV] } else { &[libc::SIGABRT] };
            let signal = output.status.signal().unwrap_or_else(|| panic!("{task}: {}, {message}", output.status));
            assert!(signals.contains(&signal), "{task}: {}, {message}", output.status);
        }
    }
}

/// The child's side.
pub fn run(task: &str, inside: &Inside) {
    match task {
        "read" => {
            inside.enter(true);
            child::say(&in_threads(inside, read));
        }
        "both" => {
            inside.enter(true);
            child::say(&in_threads(inside, read).and_then(|()| replace(inside)));
        }
        "replace" => {
            inside.enter(true);
            child::say(&replace(inside));
        }
        "remove" => {
            inside.enter_with(true, true);
            let removed = unlinkat(&inside.out, "old", AtFlags::empty());
            let removed = removed.and_then(|()| unlinkat(&inside.out, "sub", AtFlags::REMOVEDIR));
            child::say(&removed.map_err(io::Error::from));
        }
        "file" => {
            let file = openat(&inside.root, "inside", OFlags::RDONLY, Mode::empty()).expect("a file");
            let written = openat(&inside.out, "old", OFlags::WRONLY, Mode::empty()).expect("a file");
            child::enter(
                inside.layers,
                &Grants { read: vec![file.as_fd()], write: vec![written.as_fd()], ..Grants::default() },
            );
            child::say(&one_file(inside));
        }
        "sleep" => {
            inside.enter(false);
            println!("ready");
            let start = Instant::now();
            thread::sleep(Duration::from_millis(300));
            assert!(start.elapsed() >= Duration::from_millis(300));
            println!("ok");
        }
        "panic" => {
            inside.enter(false);
            aborting();
        }
        "panic in a thread" => {
            inside.enter(false);
            let _ = thread::spawn(|| aborting()).join();
        }
        _ => panic!("no such task: {task}"),
    }
}

/// What `panic = "abort"` does: a function that can't unwind.
extern "C" fn aborting() {
    panic!("the reason of this panic");
}

fn in_threads(inside: &Inside, task: fn(&Inside) -> io::Result<()>) -> io::Result<()> {
    let barrier = Arc::new(Barrier::new(THREADS));
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (barrier, sender) = (Arc::clone(&barrier), sender.clone());
            thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn_scoped(scope, move || {
                    barrier.wait();
                    let _ = sender.send(task(inside));
                })
                .expect("a thread");
        }
        drop(sender);
        for _ in 0..THREADS {
            receiver.recv_timeout(Duration::from_secs(30)).expect("a worker's answer")?;
        }
        Ok(())
    })
}

fn read(inside: &Inside) -> io::Result<()> {
    // The allocator's ways: small, large, grown, given back; and the seeds of a HashMap.
    let mut memory = vec![0_u8; 100];
    for size in [1 << 12, 1 << 18, 1 << 24] {
        memory.resize(size, 1);
    }
    let map: HashMap<usize, Vec<u8>> = (0..1000).map(|number| (number, vec![0; number])).collect();
    assert_eq!(map.len(), 1000);
    drop((map, memory));
    thread::sleep(Duration::from_millis(1));
    rustix::process::getrlimit(rustix::process::Resource::Nofile);

    // rustix, as the walk does it.
    for entry in rustix::fs::Dir::read_from(&inside.root)? {
        entry?;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(&inside.root, "inside", flags, Mode::empty())?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential)?;
    let mut buffer = [0; 64];
    assert_eq!(rustix::io::pread(&file, &mut buffer, 0)?, 11);
    assert_eq!(rustix::io::read(&file, &mut buffer)?, 11);
    rustix::fs::fstat(&file)?;
    statx(&inside.root, "link", AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
    assert_eq!(rustix::fs::readlinkat(&inside.root, "link", Vec::new())?.as_bytes(), b"../secret");
    rustix::fs::flistxattr(&file, &mut buffer)?;
    rustix::fs::listxattr(format!("/proc/self/fd/{}", file.as_raw_fd()), &mut buffer)?;

    // cap-std, on a handle from outside.
    let root = Dir::from_std_file(inside.root.try_clone()?.into());
    assert_eq!(root.read_to_string("sub/deep")?, "root/sub/deep");
    assert_eq!(root.open_dir("sub")?.entries()?.count(), 1);
    assert!(root.symlink_metadata("link")?.is_symlink());
    assert!(root.open("link").is_err());
    Ok(())
}

fn replace(inside: &Inside) -> io::Result<()> {
    let out = Dir::from_std_file(inside.out.try_clone()?.into());
    out.create_dir("run")?;
    let run = out.open_dir("run")?;
    run.write("report", b"first")?;
    let mut file = run.open_with("report.new", OpenOptions::new().write(true).read(true).create_new(true))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(b"second, and too long")?;
    ftruncate(&file, 6)?;
    file.sync_all()?;
    file.sync_data()?;
    file.rewind()?;
    run.rename("report.new", &run, "report")?;
    rustix::fs::fsync(inside.out.as_fd())?;
    assert_eq!(run.read_to_string("report")?, "second");
    out.open_with("old", OpenOptions::new().write(true).truncate(true))?;
    assert_eq!(out.read_to_string("old")?, "");
    Ok(())
}

fn one_file(inside: &Inside) -> io::Result<()> {
    let open = |from, path: &str, flags| openat(from, path, flags, Mode::empty());
    open(&inside.root, "inside", OFlags::RDONLY)?;
    open(&inside.out, "old", OFlags::WRONLY | OFlags::TRUNC)?;
    if matches!(inside.layers, Layers::Landlock | Layers::All) {
        for (from, path, flags) in [
            (&inside.root, "sub/deep", OFlags::RDONLY),
            (&inside.root, "other", OFlags::RDONLY),
            (&inside.root, ".", OFlags::RDONLY),
            (&inside.root, "inside", OFlags::WRONLY),
            (&inside.out, "new", OFlags::WRONLY | OFlags::CREATE),
        ] {
            assert_eq!(open(from, path, flags).err(), Some(rustix::io::Errno::ACCESS), "{path}");
        }
    }
    Ok(())
}
