//! Every system call by its number, including those that no attempt uses.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::child::{self, Inside, call};
use crate::scene::{Layers, Scene, is_root, output, said};

/// What the filter lets in, whatever the arguments: copied here so that no line is added there alone.
const LET_IN: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fadvise64,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getdents64,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getxattr,
    libc::SYS_listxattr,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_preadv2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The same for what it lets in only where something may be written. 38 is `renameat`'s number on aarch64.
const LET_IN_TO_WRITERS: &[i64] = &[
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_mkdirat,
    libc::SYS_openat,
    if cfg!(target_arch = "aarch64") { 38 } else { 264 },
    libc::SYS_renameat2,
    libc::SYS_syncfs,
    libc::SYS_umask,
];

/// What must never get in, and can be asked for with senseless arguments without harm to the machine.
const NEVER: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_add_key,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_capset,
    libc::SYS_chdir,
    libc::SYS_chroot,
    libc::SYS_connect,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_inotify_add_watch,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_ioctl,
    libc::SYS_kcmp,
    libc::SYS_keyctl,
    libc::SYS_kill,
    libc::SYS_linkat,
    libc::SYS_listen,
    libc::SYS_lsetxattr,
    libc::SYS_memfd_create,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_recvmsg,
    libc::SYS_removexattr,
    libc::SYS_request_key,
    libc::SYS_sched_setaffinity,
    libc::SYS_seccomp,
    libc::SYS_sendfile,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setns,
    libc::SYS_setxattr,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_splice,
    libc::SYS_swapon,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_umount2,
    libc::SYS_unlinkat,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_utimensat,
    libc::SYS_vmsplice,
];

/// Far beyond the last number of any kernel so far.
const END: i64 = 1024;

/// `uretprobe` and `uprobe` of x86_64, which the kernel from 6.14 on keeps from every filter. They are its own means of
/// tracing: called from anywhere but its trampoline, they do nothing but end in SIGILL.
const UNFILTERED: [i64; 2] = [335, 336];

/// The bit that makes a number on x86_64 one of the x32 interface.
const X32: i64 = 0x4000_0000;

pub fn no_call_beside_the_list_gets_through() {
    for unprivileged in [false, is_root()] {
        for task in ["numbers:read", "numbers:write"] {
            let scene = Scene::new(unprivileged);
            assert_eq!(said(scene.command(task, Layers::Seccomp)), "ok", "{task}");
        }
    }
}

pub fn these_calls_would_get_through_without() {
    for &number in NEVER {
        assert!(!LET_IN.contains(&number) && !LET_IN_TO_WRITERS.contains(&number), "{number} is on the list");
    }
    if !is_root() {
        println!("note: an unprivileged user is refused some calls anyway, which shows nothing");
        return;
    }
    let scene = Scene::new(false);
    assert_eq!(said(scene.command("numbers:never", Layers::None)), "ok");
}

pub fn calls_of_another_architecture_end_the_process() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let run = |layers| {
        let scene = Scene::new(false);
        let output = output(scene.command("numbers:i386", layers));
        let said = String::from_utf8(output.stdout).expect("text").trim().to_owned();
        (said, output.status)
    };
    match run(Layers::None) {
        (said, status) if said == "ok" && status.success() => {}
        (said, status) => println!("note: i386 calls are off in this kernel ({said}, {status})"),
    }
    let (said, status) = run(Layers::All);
    let killed = |signal| status == ExitStatus::from_raw(signal) || status == ExitStatus::from_raw(signal | 0x80);
    assert_eq!(said, "");
    assert!(killed(libc::SIGSYS) || killed(libc::SIGSEGV), "{status}");
}

/// The child's side.
pub fn run(task: &str, inside: &Inside) {
    match task {
        "read" | "write" => {
            let writes = task == "write";
            inside.enter(writes);
            child::say(&everything(writes));
        }
        "never" => {
            let refused: Vec<_> = NEVER.iter().filter(|&&number| errno(number) == libc::EPERM).collect();
            println!("{}", if refused.is_empty() { "ok".into() } else { format!("refused anyway: {refused:?}") });
        }
        "i386" => {
            inside.enter(false);
            child::say(&i386());
        }
        _ => panic!("no such task: {task}"),
    }
}

fn everything(writes: bool) -> io::Result<()> {
    let numbers = 0..END;
    let numbers: Vec<_> =
        if cfg!(target_arch = "x86_64") { numbers.flat_map(|n| [n, n | X32]).collect() } else { numbers.collect() };
    let passed_over = |number: &i64| {
        LET_IN.contains(number)
            || (writes && LET_IN_TO_WRITERS.contains(number))
            || (cfg!(target_arch = "x86_64") && UNFILTERED.contains(number))
    };
    for number in numbers.into_iter().filter(|number| !passed_over(number)) {
        let expected = if number == libc::SYS_clone3 { libc::ENOSYS } else { libc::EPERM };
        let errno = errno(number);
        if errno != expected {
            return Err(io::Error::other(format!("call {number} got in (errno {errno})")));
        }
    }
    for &number in LET_IN_TO_WRITERS {
        let errno = errno(number);
        if (errno == libc::EPERM) == writes {
            return Err(io::Error::other(format!("call {number}, of writers: errno {errno}")));
        }
    }
    Ok(())
}

/// What a call with senseless arguments ends in; every bit of them is set, so each flag that a filter minds is.
fn errno(number: i64) -> i32 {
    match call(number, &[usize::MAX; 6]) {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().expect("an error of the system"),
    }
}

#[cfg(target_arch = "x86_64")]
fn i386() -> io::Result<()> {
    const GETPID: u32 = 20;
    let answer: u32;
    // SAFETY: the kernel answers in eax and touches no memory; what it may clobber is named.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") GETPID => answer,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    if answer == std::process::id() { Ok(()) } else { Err(io::Error::other(format!("answer {answer:#x}"))) }
}

#[cfg(not(target_arch = "x86_64"))]
fn i386() -> io::Result<()> {
    Err(io::Error::other("there is no such call here"))
}
