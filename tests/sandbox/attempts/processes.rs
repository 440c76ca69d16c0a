//! Other processes, other programs, privileges, and memory that runs.

use std::fs;
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use libc::{EACCES, EFAULT, EINVAL, ENOSYS, EPERM};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, openat};

use super::files::{c_string, done};
use super::{Attempt, Plain};
use crate::child::call;

#[rustfmt::skip]
pub const ATTEMPTS: &[Attempt] = &[
    Attempt::new("run a program", |_| Box::new(|| {
        let arguments = [c"echo".as_ptr(), c"ok".as_ptr(), std::ptr::null()];
        done(call(libc::SYS_execve, &[c"/bin/echo".as_ptr() as usize, arguments.as_ptr() as usize, 0]))
    })).landlock(1, EACCES).seccomp(),
    Attempt::new("run a program by its handle", |_| {
        let program = openat(CWD, "/bin/echo", OFlags::PATH, Mode::empty()).expect("a handle").into_raw_fd();
        Box::new(move || {
            let arguments = [c"echo".as_ptr(), c"ok".as_ptr(), std::ptr::null()];
            let empty = libc::AT_EMPTY_PATH as usize;
            done(call(libc::SYS_execveat, &[program as usize, c"".as_ptr() as usize, arguments.as_ptr() as usize, 0, empty]))
        })
    }).landlock(1, EACCES).seccomp(),
    Attempt::new("run a program below a root", |i| {
        let program = i.place.join("root/program");
        fs::write(&program, "no program").expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
        let program = c_string(&program);
        Box::new(move || done(call(libc::SYS_execve, &[program.as_ptr() as usize, 0, 0])))
    // It is no program, which the kernel finds out when it has allowed to run it.
    }).plain(Plain::Fails(libc::ENOEXEC)).landlock(1, EACCES).seccomp(),
    Attempt::new("fork", |_| Box::new(|| clone(libc::SIGCHLD as usize))).seccomp(),
    Attempt::new("fork by clone3", |_| Box::new(|| {
        let mut arguments = [0_u64; 8];
        arguments[4] = libc::SIGCHLD as u64;
        end_in_child(call(libc::SYS_clone3, &[arguments.as_ptr() as usize, 64]))
    // The error that makes glibc use clone, where the filter can see the flags.
    })).seccomp_with(ENOSYS),
    Attempt::new("a thread that is a new namespace", |_| Box::new(|| {
        let thread = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_NEWNS | libc::CLONE_FS;
        done(call(libc::SYS_clone, &[thread as usize]))
    // The kernel wants no such thread either; it is the error that tells who refused.
    })).plain(Plain::Fails(EINVAL)).seccomp(),
    Attempt::new("trace another process", |_| {
        let victim = victim();
        Box::new(move || done(call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, victim.id(), 0, 0])))
    }).plain(Plain::MayBeOff(&[EPERM])).landlock(1, EPERM).seccomp(),
    Attempt::new("read another process", |_| {
        let victim = victim();
        Box::new(move || {
            let mut byte = 0_u8;
            let local = [(&raw mut byte).expose_provenance(), 1];
            let remote = [1_usize, 1];
            let arguments = [victim.id(), local.as_ptr() as usize, 1, remote.as_ptr() as usize, 1, 0];
            done(call(libc::SYS_process_vm_readv, &arguments))
        })
    // No address of another process is known here, so without a layer it is the address that is refused.
    }).plain(Plain::Fails(EFAULT)).landlock(1, EPERM).seccomp(),
    Attempt::new("signal another process", |_| {
        let victim = victim();
        Box::new(move || done(call(libc::SYS_kill, &[victim.id(), libc::SIGCONT as usize])))
    }).landlock(6, EPERM).seccomp(),
    Attempt::new("signal another process's thread", |_| {
        let victim = victim();
        Box::new(move || done(call(libc::SYS_tkill, &[victim.id(), libc::SIGCONT as usize])))
    }).landlock(6, EPERM).seccomp(),
    Attempt::new("signal another process's thread in its group", |_| {
        let victim = victim();
        Box::new(move || done(call(libc::SYS_tgkill, &[victim.id(), victim.id(), libc::SIGCONT as usize])))
    }).landlock(6, EPERM).seccomp(),
    Attempt::new("hold another process", |_| {
        let victim = victim();
        Box::new(move || done(call(libc::SYS_pidfd_open, &[victim.id(), 0])))
    }).seccomp(),
    Attempt::new("limit another process", |_| {
        let victim = victim();
        Box::new(move || {
            let limit = [64_u64, 64];
            let arguments = [victim.id(), libc::RLIMIT_NOFILE as usize, limit.as_ptr() as usize, 0];
            done(call(libc::SYS_prlimit64, &arguments))
        })
    }).seccomp(),
    Attempt::new("limit oneself", |_| Box::new(|| {
        let limit = [64_u64, 64];
        done(call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NOFILE as usize, limit.as_ptr() as usize, 0]))
    })).seccomp(),
    Attempt::new("mount", |i| {
        // In a namespace of its own, so that an attempt which succeeds ends with the process.
        let (none, slash, target) = (c"none", c"/", c_string(&i.place.join("root")));
        if rustix::process::geteuid().is_root() {
            call(libc::SYS_unshare, &[libc::CLONE_NEWNS as usize]).expect("a mount namespace");
            let private = (libc::MS_REC | libc::MS_PRIVATE) as usize;
            call(libc::SYS_mount, &[0, slash.as_ptr() as usize, 0, private, 0]).expect("private mounts");
        }
        Box::new(move || {
            let tmpfs = c"tmpfs".as_ptr() as usize;
            done(call(libc::SYS_mount, &[none.as_ptr() as usize, target.as_ptr() as usize, tmpfs, 0, 0]))
        })
    }).plain(Plain::WorksForRoot).landlock(1, EPERM).seccomp(),
    Attempt::new("a user namespace", |_| Box::new(|| done(call(libc::SYS_unshare, &[libc::CLONE_NEWUSER as usize]))))
        .plain(Plain::MayBeOff(&[EPERM, libc::ENOSPC, EINVAL])).seccomp(),
    Attempt::new("enter a namespace", |_| {
        let namespace = openat(CWD, "/proc/self/ns/uts", OFlags::RDONLY, Mode::empty()).expect("a handle").into_raw_fd();
        Box::new(move || done(call(libc::SYS_setns, &[namespace as usize, 0])))
    }).plain(Plain::WorksForRoot).seccomp(),
    Attempt::new("chroot", |i| {
        let path = c_string(&i.place.join("root"));
        Box::new(move || done(call(libc::SYS_chroot, &[path.as_ptr() as usize])))
    }).plain(Plain::WorksForRoot).seccomp(),
    Attempt::new("a file in memory", |_| Box::new(|| done(call(libc::SYS_memfd_create, &[c"".as_ptr() as usize, 0])))).seccomp(),
    Attempt::new("map memory that runs", |_| Box::new(|| {
        map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC).map(drop)
    })).seccomp(),
    Attempt::new("make memory run", |_| Box::new(|| {
        let page = map(libc::PROT_READ | libc::PROT_WRITE)?;
        done(call(libc::SYS_mprotect, &[page, 4096, (libc::PROT_READ | libc::PROT_EXEC) as usize]))
    })).seccomp(),
    Attempt::new("io_uring", |_| Box::new(|| {
        let mut parameters = [0_u64; 15];
        done(call(libc::SYS_io_uring_setup, &[1, (&raw mut parameters).expose_provenance()]))
    })).plain(Plain::MayBeOff(&[EPERM, ENOSYS])).seccomp(),
    Attempt::new("be dumped by others", |_| Box::new(|| {
        done(call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, 1]))
    })).seccomp(),
    // A device that is granted for reading can be read, and no more.
    Attempt::new("command a device", |i| {
        const RNDGETENTCNT: usize = 0x8004_5200;
        let urandom = rustix::fs::makedev(1, 9);
        let made = mknodat(&i.root, "device", FileType::CharacterDevice, Mode::RUSR, urandom);
        let root = i.root.try_clone().expect("a second handle");
        Box::new(move || {
            made?;
            let device = openat(root, "device", OFlags::RDONLY, Mode::empty())?;
            let mut count = 0_i32;
            let arguments = [device.into_raw_fd() as usize, RNDGETENTCNT, (&raw mut count).expose_provenance()];
            done(call(libc::SYS_ioctl, &arguments))
        })
    }).plain(Plain::WorksForRoot).landlock(5, EACCES).seccomp(),
    // Typing into the parent's terminal. There is none here, so this error shows that the call was allowed.
    Attempt::new("type into the terminal", |_| Box::new(|| {
        done(call(libc::SYS_ioctl, &[1, libc::TIOCSTI as usize, c"x".as_ptr() as usize]))
    })).plain(Plain::Fails(libc::ENOTTY)).seccomp(),
    Attempt::new("change the flags of a handle", |_| Box::new(|| {
        done(call(libc::SYS_fcntl, &[1, libc::F_SETFL as usize, libc::O_NONBLOCK as usize]))
    })).seccomp(),
];

/// A process that reads a pipe to its end, which comes when this one ends or drops it.
struct Victim(Child);

impl Victim {
    fn id(&self) -> usize {
        self.0.id() as usize
    }
}

fn victim() -> Victim {
    Victim(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a process"))
}

fn clone(flags: usize) -> io::Result<()> {
    end_in_child(call(libc::SYS_clone, &[flags, 0, 0, 0, 0]))
}

fn end_in_child(cloned: io::Result<i64>) -> io::Result<()> {
    if let Ok(0) = cloned {
        let _ = call(libc::SYS_exit_group, &[0]);
    }
    done(cloned)
}

fn map(protection: i32) -> io::Result<usize> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let page = call(libc::SYS_mmap, &[0, 4096, protection as usize, flags, usize::MAX, 0])?;
    Ok(page as usize)
}
