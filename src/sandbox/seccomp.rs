//! The layer that decides by system call: a list of what is allowed, EPERM for all else. See `seccomp(2)`.
//!
//! EPERM and not a signal, so that a refused call is an error which can be reported, and a library's fall-back has its
//! chance. Calls of another architecture (i386 on x86_64) end the process.
//!
//! A filter sees numbers, never memory. So where a path leads is Landlock's to decide, and so are the flags of
//! `openat2`, which lie behind a pointer: of the two ways to open a file only `openat` is held to reading here when
//! nothing may be written. `openat2` has to stay, because it is how a path is kept beneath its root.

use std::collections::BTreeMap;

use libc::c_int;
use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::Grants;

/// Allowed whatever their arguments.
const ALLOWED: &[i64] = &[
    // Reading, and writing to what is open.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fadvise64,
    // Looking. Attributes by path too: a link's, a FIFO's or a device's are to be had through /proc/self/fd alone.
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
    // Memory that is never executable: mmap and mprotect are below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads. A new one gives glibc its affinity (the guard page of its stack), its robust list and its rseq area.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals to ourselves, and the call that the kernel goes on with after a stop.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    // ENOSYS by the filter before this one, which is the error that makes glibc use `clone`.
    libc::SYS_clone3,
];

/// Allowed when something may be written.
const ALLOWED_TO_WRITERS: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    // For the stat cache, which is among what is written; it takes any handle on a file system.
    libc::SYS_syncfs,
    libc::SYS_flock,
    // A file that takes the place of another gets its mode when it is made, whatever the umask.
    libc::SYS_umask,
    libc::SYS_mkdirat,
    SYS_RENAMEAT,
    libc::SYS_renameat2,
];

/// `libc` leaves it out for aarch64, where the kernel has it.
#[cfg(target_arch = "aarch64")]
const SYS_RENAMEAT: i64 = 38;
#[cfg(not(target_arch = "aarch64"))]
const SYS_RENAMEAT: i64 = libc::SYS_renameat;

/// Any of these makes an `openat` more than a look. (`O_TMPFILE` is refused without one of the first two.)
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

/// Is it a terminal, and how wide is it. The same numbers on x86_64 and aarch64; from glibc 2.42 on `tcgetattr` uses the
/// second.
const TERMINAL: [u64; 3] = [0x5401 /* TCGETS */, 0x802c_542a /* TCGETS2 */, 0x5413 /* TIOCGWINSZ */];

/// Names of anonymous mappings in /proc: glibc sets them when asked to by a tunable.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Why the filter could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    #[error("seccomp: the kernel does not let this process give up new privileges: {0}")]
    NoNewPrivs(Errno),
    /// The kernel, or what lies above this process, takes no filter.
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

/// Whether the kernel knows seccomp, and we its system calls.
#[must_use]
pub fn offered() -> bool {
    target().is_some() && rustix::thread::secure_computing_mode().is_ok()
}

/// Installs the filter and nothing else, with the calls that `grants` need: to write, to give a file to a group, to remove.
///
/// [`enter`](super::enter) is what a run calls; this is public so that each layer can be tried without the other.
///
/// # Errors
/// When the kernel takes no filter.
pub fn install(grants: &Grants<'_>) -> Result<(), SeccompError> {
    let target = target().ok_or(SeccompError::Refused(Errno::NOSYS))?;
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    // A filter has one action for what it matches, so the one call with another error has a filter of its own. Where
    // both return an error the later filter's counts, hence clone3 on the list above.
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    for program in [
        compile(no_clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.cast_unsigned()), target)?,
        compile(rules(grants, pid)?, SeccompAction::Errno(libc::EPERM.cast_unsigned()), SeccompAction::Allow, target)?,
    ] {
        // All threads, though there should be one: a filter on too many is no harm.
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

/// The list, with what is asked of arguments. No rule for a call means: whatever they are.
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
    // For abort(): glibc's names the process; musl's names a thread alone, so only the main thread's can be let
    // through. In another thread musl's abort() goes on to its next means, which ends the process as well.
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
    // Our own limits, and only to read them: the new limit is a null pointer.
    rules.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?,
            SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?,
        ])?],
    );
    Ok(rules)
}

/// A file's group, and not its owner.
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
