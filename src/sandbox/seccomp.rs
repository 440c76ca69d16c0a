//! The layer that decides by system call: a list of allowed calls, EPERM for all others. See `seccomp(2)`.
//!
//! It uses EPERM instead of a signal, so that a refused call is an error that can be reported, and a library can fall
//! back. Calls of another architecture (i386 on x86_64) end the process.
//!
//! A filter sees only numbers, not memory. So Landlock must decide about paths and about the flags of `openat2`, which
//! are behind a pointer. If nothing may be written, this filter restricts `openat` to reading, but can't restrict
//! `openat2`. `openat2` must stay allowed, because it keeps paths beneath their root.

use std::collections::BTreeMap;

use libc::c_int;
use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::Grants;

/// Allowed with any arguments.
const ALLOWED: &[i64] = &[
    // Reading, and writing to open files.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fadvise64,
    // Metadata. By path too: those of a link, a FIFO or a device are only available through /proc/self/fd.
    libc::SYS_openat2,
    libc::SYS_getdents64,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_getxattr,
    libc::SYS_listxattr,
    // Memory that is never executable; mmap and mprotect are below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads. In a new one, glibc reads the affinity (for the guard page of the stack), and sets a robust list and an
    // rseq area.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals to this process, and the call that the kernel resumes with after a stop.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time and random numbers.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    // The filter before this one returns ENOSYS for it, so that glibc uses `clone`.
    libc::SYS_clone3,
];

/// Allowed if something may be written.
const ALLOWED_TO_WRITERS: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    // For the stat cache, which is written. It accepts any handle on a file system.
    libc::SYS_syncfs,
    libc::SYS_flock,
    // A replacing file is created with its final mode, regardless of the umask.
    libc::SYS_umask,
    libc::SYS_mkdirat,
    SYS_RENAMEAT,
    libc::SYS_renameat2,
];

/// `libc` lacks it for aarch64, but the kernel has it.
#[cfg(target_arch = "aarch64")]
const SYS_RENAMEAT: i64 = 38;
#[cfg(not(target_arch = "aarch64"))]
const SYS_RENAMEAT: i64 = libc::SYS_renameat;

/// With any of these, an `openat` does more than read. (`O_TMPFILE` is refused without one of the first two.)
const OPENING_TO_WRITE: c_int = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;

/// A clone with all of these is a thread of this process.
const THREAD: c_int = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND;

/// A clone with any of these is more than a thread.
const MORE_THAN_A_THREAD: c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS
    | libc::CLONE_PARENT
    | libc::CLONE_PIDFD
    | libc::CLONE_PTRACE
    | libc::CLONE_VFORK;

/// Whether it is a terminal, and its width. The numbers are the same on x86_64 and aarch64; since glibc 2.42
/// `tcgetattr` uses the second.
const TERMINAL: [u64; 3] = [0x5401 /* TCGETS */, 0x802c_542a /* TCGETS2 */, 0x5413 /* TIOCGWINSZ */];

/// Names of anonymous mappings in /proc; a glibc tunable makes glibc set them.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Why the filter could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    #[error("seccomp: `no_new_privs` could not be set: {0}")]
    NoNewPrivs(Errno),
    /// The kernel, or something above this process, refuses filters.
    #[error("seccomp: the kernel refused the filter: {0}")]
    Refused(Errno),
    #[error("seccomp: the filter is wrong (this is a bug: report it): {0}")]
    Filter(Error),
}

impl From<BackendError> for SeccompError {
    fn from(error: BackendError) -> Self {
        Self::Filter(Error::Backend(error))
    }
}

/// Whether the kernel has seccomp, and this module knows its system calls.
#[must_use]
pub fn offered() -> bool {
    target().is_some() && rustix::thread::secure_computing_mode().is_ok()
}

/// Installs the filter only, with the calls that `grants` need: to write, to set a file's group, to remove.
///
/// A run calls [`enter`](super::enter); this is public so that each layer can be tried alone.
///
/// # Errors
/// The kernel refuses the filter.
pub fn install(grants: &Grants<'_>) -> Result<(), SeccompError> {
    let target = target().ok_or(SeccompError::Refused(Errno::NOSYS))?;
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    // A filter has one action for all that it matches, so the call with another error needs its own filter. If both
    // filters return an error, the later one counts, so clone3 is on the list above.
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    for program in [
        compile(no_clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.cast_unsigned()), target)?,
        compile(rules(grants, pid)?, SeccompAction::Errno(libc::EPERM.cast_unsigned()), SeccompAction::Allow, target)?,
    ] {
        // For all threads, though there should be only one.
        apply_filter_all_threads(&program).map_err(|error| match error {
            Error::Prctl(error) => SeccompError::NoNewPrivs(errno(&error)),
            Error::Seccomp(error) => SeccompError::Refused(errno(&error)),
            error => SeccompError::Filter(error),
        })?;
    }
    Ok(())
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::NOTSUP)
}

fn target() -> Option<TargetArch> {
    if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
        Some(TargetArch::x86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(TargetArch::aarch64)
    } else {
        None
    }
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
    target: TargetArch,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, otherwise, matched, target)?.try_into()
}

/// The list of calls with the rules for their arguments. A call without rules is allowed with any arguments.
fn rules(grants: &Grants<'_>, pid: c_int) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let (writes, groups) = (!grants.write.is_empty(), &grants.groups);
    let mut rules: BTreeMap<_, _> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    if writes {
        rules.extend(ALLOWED_TO_WRITERS.iter().map(|&call| (call, Vec::new())));
    } else {
        rules.insert(libc::SYS_openat, vec![masked(2, OPENING_TO_WRITE, 0)?]);
    }
    if grants.remove.is_some() {
        rules.insert(libc::SYS_unlinkat, Vec::new());
    }
    if writes && !groups.is_empty() {
        rules.insert(libc::SYS_fchown, groups.iter().map(|&group| given_to(group)).collect::<Result<_, _>>()?);
    }
    rules.insert(libc::SYS_mmap, vec![masked(2, libc::PROT_EXEC, 0)?]);
    rules.insert(libc::SYS_mprotect, vec![masked(2, libc::PROT_EXEC, 0)?]);
    rules.insert(libc::SYS_clone, vec![masked(0, THREAD | MORE_THAN_A_THREAD, THREAD)?]);
    // For abort(). glibc signals the process. musl signals a thread, and only the main thread's id is allowed here; in
    // another thread, musl's abort() falls back to another way that also ends the process.
    rules.insert(libc::SYS_tgkill, vec![equal(0, word(pid))?]);
    rules.insert(libc::SYS_tkill, vec![equal(0, word(pid))?]);
    rules.insert(libc::SYS_prctl, vec![equal(0, word(libc::PR_SET_NAME))?, equal(0, PR_SET_VMA)?]);
    rules.insert(libc::SYS_ioctl, TERMINAL.into_iter().map(|command| equal(1, command)).collect::<Result<_, _>>()?);
    rules.insert(
        libc::SYS_fcntl,
        [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC]
            .into_iter()
            .map(|command| equal(1, word(command)))
            .collect::<Result<_, _>>()?,
    );
    // Reading our own limits: the new limit must be a null pointer.
    rules.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?,
            SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?,
        ])?],
    );
    Ok(rules)
}

/// Sets a file's group, but not its owner.
fn given_to(group: u32) -> Result<SeccompRule, BackendError> {
    let is =
        |argument, value: u32| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into());
    SeccompRule::new(vec![is(1, u32::MAX)?, is(2, group)?])
}

fn word(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

fn equal(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
}

fn masked(argument: u8, mask: c_int, value: c_int) -> Result<SeccompRule, BackendError> {
    let operator = SeccompCmpOp::MaskedEq(word(mask));
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, word(value))?])
}
