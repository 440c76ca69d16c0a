//! The other side: a process that prepares outside, enters some layers, does its task inside, and says how it went.

use std::env;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use driftlock::internals::sandbox::{self, Enforced, Grants, Requirement};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::scene::{LAYERS, Layers, NOBODY, PLACE, PORT, TASK, UNPRIVILEGED};
use crate::{attempts, degraded, library, numbers, working};

/// Where a child is, with the handles that it opened before it entered anything.
pub struct Inside {
    pub place: PathBuf,
    pub port: u16,
    pub layers: Layers,
    pub root: OwnedFd,
    pub out: OwnedFd,
}

/// The one group that a file may be given, where something may be written.
pub const GROUP: u32 = 4242;

impl Inside {
    fn new() -> Self {
        let place = PathBuf::from(env::var_os(PLACE).expect("a place"));
        let layers = Layers::named(&env::var(LAYERS).expect("layers"));
        let port = env::var(PORT).expect("a port").parse().expect("a number");
        if env::var_os(UNPRIVILEGED).is_some() {
            become_nobody();
        }
        Self { root: directory(&place.join("root")), out: directory(&place.join("out")), place, port, layers }
    }

    /// Grants reading below `root`, and writing below `out` if `writes`; enters what the parent asked for.
    pub fn enter(&self, writes: bool) {
        self.enter_with(writes, false);
    }

    /// The same, and removing below `out` if `removes`.
    pub fn enter_with(&self, writes: bool, removes: bool) {
        let mut grants = Grants { read: vec![self.root.as_fd()], ..Grants::default() };
        if writes {
            grants.write.push(self.out.as_fd());
            grants.groups.insert(GROUP);
        }
        grants.remove = removes.then(|| self.out.as_fd());
        enter(self.layers, &grants);
    }
}

pub fn enter(layers: Layers, grants: &Grants<'_>) {
    match layers {
        Layers::None => {}
        Layers::Landlock => {
            sandbox::landlock::restrict(grants).expect("Landlock");
        }
        Layers::Seccomp => sandbox::seccomp::install(grants).expect("seccomp"),
        Layers::All => {
            let enforced = sandbox::enter(grants, Requirement::Everything).expect("the sandbox");
            assert!(enforced.is_everything(), "{enforced:?}");
        }
    }
}

/// Does the task of a child, if this process is one.
pub fn run() -> Option<ExitCode> {
    let task = env::var(TASK).ok()?;
    let inside = Inside::new();
    let (kind, name) = task.split_once(':').expect("a kind of task and a name");
    match kind {
        "attempt" => say(&attempts::attempt(name, &inside)),
        "numbers" => numbers::run(name, &inside),
        "working" => working::run(name, &inside),
        "degraded" => degraded::run(name, &inside),
        "library" => library::run(&inside.place),
        _ => panic!("no such task: {task}"),
    }
    Some(ExitCode::SUCCESS)
}

pub fn say(result: &io::Result<()>) {
    match result {
        Ok(()) => println!("ok"),
        Err(error) => match error.raw_os_error() {
            Some(errno) => println!("errno {errno}"),
            None => println!("{error}"),
        },
    }
}

pub fn describe(enforced: &Enforced) -> String {
    let landlock = match &enforced.landlock {
        Some(landlock) => format!("landlock {} {}", landlock.abi, landlock.restrictions.join(",")),
        None => "no landlock".into(),
    };
    format!("{landlock}; {}", if enforced.seccomp { "seccomp" } else { "no seccomp" })
}

pub fn directory(path: &std::path::Path) -> OwnedFd {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("a directory")
}

/// A system call by number.
///
/// The one place of these tests that is unsafe: pointers among the arguments are valid for as long as the call takes,
/// or are meant to be refused.
pub fn call(number: i64, arguments: &[usize]) -> io::Result<i64> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: see above; what the kernel writes through a pointer lies in a buffer that the caller owns.
    let result =
        unsafe { libc::syscall(number, argument(0), argument(1), argument(2), argument(3), argument(4), argument(5)) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn become_nobody() {
    let user = NOBODY as usize;
    call(libc::SYS_setgroups, &[0, 0]).expect("setgroups");
    call(libc::SYS_setresgid, &[user; 3]).expect("setresgid");
    call(libc::SYS_setresuid, &[user; 3]).expect("setresuid");
}
