//! A process outside the sandbox that starts programs, so that no code inside has to: OpenSSH's `ssh` for `--server`, and
//! its `ssh-keygen` for `seal`.
//!
//! Before a run enters the sandbox, it starts this program again as a launcher. Over a socket, it passes the commands
//! that the launcher may start, each with the far ends of its three streams. After that, the run can only say "start
//! number 3" and "end number 3". So what runs is fixed, and the launcher reads nothing that comes from a server. Each
//! command is started at most once.
//!
//! When the run ends for any reason, the socket closes, and the launcher ends its commands. When the launcher ends for
//! any reason, the kernel signals the commands (`PR_SET_PDEATHSIG`, see `prctl(2)`). To set that up, the launcher
//! starts this program once more, which sets the signal and then becomes the command.
//!
//! The launcher is its own session without a terminal, so its commands can't ask for a password there. `ssh` may not open
//! a window either; `ssh-keygen` may, if the user has set up a program for that (`SSH_ASKPASS`).
//!
//! The socket carries whole messages (`SOCK_SEQPACKET`):
//!
//! ```text
//! 'C' argument NUL argument …       a command, with three descriptors: its stdin, stdout and stderr
//! 'A' argument NUL argument …       the same, and it may ask the user in a window
//! 'F'                               that was the last command
//! 'S' u32 · 'T' u32 · 'K' u32       start it; SIGTERM; SIGKILL
//! 'Q'                               quit
//! 'E' u32 i32                       from the launcher: it ended, with this exit code (-1: by a signal)
//! 'N' u32 i32                       from the launcher: it could not be started, with the kernel's error number
//! ```

mod messages;

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process_group, set_parent_process_death_signal, setsid,
    waitid,
};

use crate::error::{Error, ErrorKind};
use messages::{message, parsed, receive};

/// The longest message, in bytes: far more than the command of a connection needs.
const MESSAGE_LIMIT: usize = 64 << 10;

/// How long a command may take to end after SIGTERM, before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// The subcommand that runs the launcher.
pub const SUBCOMMAND: &str = "launcher";

/// The longest time that this side waits for a stream or for the launcher before it checks its deadlines: then the
/// kernel says `EAGAIN`.
pub const TICK: Duration = Duration::from_millis(100);

/// Our ends of a command's streams.
#[derive(Debug)]
pub struct Streams {
    /// Blocks for at most [`TICK`]; so does the next one.
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    /// Never blocks.
    pub stderr: OwnedFd,
}

/// A running launcher, as seen from the sandbox.
#[derive(Debug)]
pub struct Launcher {
    socket: OwnedFd,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    BySignal,
    NotStarted(Errno),
}

/// Whether commands may ask the user for something in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    Never,
    InAWindow,
}

/// Starts a launcher for these commands, but none of the commands yet.
///
/// # Errors
/// The launcher can't be started, or the process may not open so many files.
pub fn start(commands: &[Vec<OsString>], asking: Asking) -> Result<(Launcher, Vec<Streams>), Error> {
    super::raise_descriptor_limit();
    let prepared = || -> io::Result<(Launcher, Vec<Streams>)> {
        let (ours, theirs) = connected(SocketType::SEQPACKET)?;
        // It gets none of our streams: a reader of these waits for this process only.
        let (stdout, stderr) = (Stdio::null(), Stdio::null());
        Command::new("/proc/self/exe").arg(SUBCOMMAND).stdin(theirs).stdout(stdout).stderr(stderr).spawn()?;
        let streams = commands.iter().map(|command| hand_over(&ours, command, asking)).collect::<io::Result<_>>()?;
        rustix::io::write(&ours, b"F")?;
        // Set only now: a launcher may take time to start.
        impatient(&ours)?;
        Ok((Launcher { socket: ours }, streams))
    };
    prepared().map_err(|error| {
        let help = match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => "raise the limit of open files (`ulimit -n`), or name fewer servers",
            _ => "check that /proc is mounted, and that driftlock's own file may be executed",
        };
        Error::new(ErrorKind::Server, format!("the connections could not be prepared: {error}"), help)
    })
}

fn connected(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

fn impatient(socket: &OwnedFd) -> io::Result<()> {
    for timeout in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(socket, timeout, Some(TICK))?;
    }
    Ok(())
}

fn hand_over(socket: &OwnedFd, command: &[OsString], asking: Asking) -> io::Result<Streams> {
    // Sockets instead of pipes, because pipes have no timeout.
    let ((stdin, their_stdin), (stdout, their_stdout)) =
        (connected(SocketType::STREAM)?, connected(SocketType::STREAM)?);
    impatient(&stdin)?;
    impatient(&stdout)?;
    let (stderr, their_stderr) = io::pipe()?;
    fcntl_setfl(&stderr, OFlags::NONBLOCK)?;
    let mut message = match asking {
        Asking::Never => b"C".to_vec(),
        Asking::InAWindow => b"A".to_vec(),
    };
    for (number, argument) in command.iter().enumerate() {
        message.extend_from_slice(if number == 0 { b"" } else { b"\0" });
        message.extend_from_slice(argument.as_bytes());
    }
    if message.len() > MESSAGE_LIMIT {
        return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, "a command is too long"));
    }
    let streams = [their_stdin.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&streams));
    rustix::net::sendmsg(socket, &[IoSlice::new(&message)], &mut control, SendFlags::empty())?;
    Ok(Streams { stdin, stdout, stderr: stderr.into() })
}

impl Launcher {
    /// Starts a command, by its index in the list.
    ///
    /// # Errors
    /// The launcher is gone.
    pub fn launch(&self, index: usize) -> io::Result<()> {
        self.say(b'S', index)
    }

    /// Sends a command `SIGTERM`.
    ///
    /// # Errors
    /// The launcher is gone.
    pub fn terminate(&self, index: usize) -> io::Result<()> {
        self.say(b'T', index)
    }

    /// Sends a command `SIGKILL`.
    ///
    /// # Errors
    /// The launcher is gone.
    pub fn kill(&self, index: usize) -> io::Result<()> {
        self.say(b'K', index)
    }

    /// Ends the launcher and its commands. If it is gone, it has done so.
    pub fn quit(&self) {
        let _ = rustix::io::write(&self.socket, b"Q");
    }

    fn say(&self, what: u8, index: usize) -> io::Result<()> {
        let index = u32::try_from(index).map_err(io::Error::other)?;
        rustix::io::write(&self.socket, &message(what, index, None))?;
        Ok(())
    }

    /// Waits up to [`TICK`] for a command to end; returns its index and how it ended.
    ///
    /// # Errors
    /// The launcher is gone.
    pub fn ended(&self) -> io::Result<Option<(usize, Ended)>> {
        let mut bytes = [0; 9];
        let read = match rustix::io::read(&self.socket, &mut bytes) {
            Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            result => result?,
        };
        let ended = bytes.get(..read).and_then(|message| {
            let (what, index, value) = parsed(message)?;
            let ended = match (what, value?) {
                (b'E', -1) => Ended::BySignal,
                (b'E', code) => Ended::Code(u8::try_from(code).ok()?),
                (b'N', errno) => Ended::NotStarted(Errno::from_raw_os_error(errno)),
                _ => return None,
            };
            Some((index as usize, ended))
        });
        ended.map(Some).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// A command that was passed to the launcher.
enum Slot {
    Prepared(Prepared),
    Started(Running),
}

struct Prepared {
    command: Command,
    /// Whether the program exists.
    found: bool,
}

/// The process group of a command that has not ended. Its number is not reused while it is stored here.
type Running = Arc<Mutex<Option<Pid>>>;

/// Runs the launcher, on the socket that is its stdin, until the run is gone.
///
/// # Errors
/// stdin is not such a socket, or the run sends an invalid message.
pub fn serve() -> Result<(), Error> {
    // The signals of the terminal go to the run only; then the socket closes. This fails if the process leads a session
    // already.
    let _ = setsid();
    let mut slots = Vec::new();
    let result = obey(rustix::stdio::stdin(), &mut slots);
    let running: Vec<_> =
        slots.iter().filter_map(|slot| if let Slot::Started(pid) = slot { Some(pid) } else { None }).collect();
    let left = |signal| running.iter().filter(|running| send(running, signal)).count();
    let mut waited = Duration::ZERO;
    while left(if waited.is_zero() { Some(Signal::TERM) } else { None }) > 0 && waited < GRACE {
        std::thread::sleep(GRACE / 40);
        waited += GRACE / 40;
    }
    left(Some(Signal::KILL));
    result.map_err(|error| {
        Error::new(
            ErrorKind::Server,
            format!("the launcher got an invalid message: {error}"),
            "do not start it yourself: `driftlock check --server` does",
        )
    })
}

fn obey(socket: BorrowedFd<'_>, slots: &mut Vec<Slot>) -> io::Result<()> {
    let unknown = || io::Error::from(io::ErrorKind::InvalidData);
    let mut buffer = vec![0; MESSAGE_LIMIT];
    let mut complete = false;
    loop {
        let (length, descriptors) = receive(socket, &mut buffer)?;
        match buffer.get(..length) {
            None | Some([]) => return Ok(()),
            Some([what @ (b'C' | b'A'), command @ ..]) if !complete => {
                let asking = if *what == b'A' { Asking::InAWindow } else { Asking::Never };
                slots.push(Slot::Prepared(prepare(command, descriptors, asking).ok_or_else(unknown)?));
            }
            Some(b"F") => complete = true,
            Some(b"Q") => return Ok(()),
            Some(message) if complete => {
                let (what, index, None) = parsed(message).ok_or_else(unknown)? else { return Err(unknown()) };
                let slot = slots.get_mut(index as usize).ok_or_else(unknown)?;
                match (what, &mut *slot) {
                    (b'S', Slot::Prepared(prepared)) => *slot = Slot::Started(launch(socket, index, prepared)),
                    (b'T', Slot::Started(running)) => drop(send(running, Some(Signal::TERM))),
                    (b'K', Slot::Started(running)) => drop(send(running, Some(Signal::KILL))),
                    _ => return Err(unknown()),
                }
            }
            Some(_) => return Err(unknown()),
        }
    }
}

fn prepare(command: &[u8], descriptors: Vec<OwnedFd>, asking: Asking) -> Option<Prepared> {
    let mut arguments = command.split(|&byte| byte == 0).map(OsStr::from_bytes);
    let program = on_path(arguments.next()?);
    let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(descriptors).ok()?;
    let mut command = Command::new("/proc/self/exe");
    command.args([SUBCOMMAND, "--parent", &getpid().to_string(), "--"]);
    command.arg(program.as_deref().unwrap_or(Path::new(""))).args(arguments);
    // There is no terminal to ask on.
    if asking == Asking::Never {
        command.env("SSH_ASKPASS_REQUIRE", "never");
    }
    command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
    Some(Prepared { command, found: program.is_some() })
}

/// Finds a program that is named without a slash.
pub(super) fn on_path(program: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(runs)
}

/// Becomes a command that the kernel signals when the launcher (process `launcher`) ends.
///
/// # Errors
/// The launcher is gone already, or the kernel can't execute the command.
pub fn become_command(launcher: i32, command: &[OsString]) -> Result<(), Error> {
    let [program, arguments @ ..] = command else {
        return Err(Error::new(
            ErrorKind::Server,
            "there is no command to start",
            "do not start it yourself: the launcher does",
        ));
    };
    let started = set_parent_process_death_signal(Some(Signal::TERM)).map_err(io::Error::from).and_then(|()| {
        if getppid().map(Pid::as_raw_pid) != Some(launcher) {
            return Err(io::Error::other("the launcher is gone"));
        }
        Err(Command::new(program).args(arguments).exec())
    });
    started.map_err(|error: io::Error| {
        let problem = format!("{} could not be started: {error}", super::shown(Path::new(program)));
        Error::new(ErrorKind::Server, problem, "check that it is installed and that you may run it")
    })
}

/// Starts a command, and a thread that waits for its end. If the run is gone by then, there is no process to tell.
fn launch(socket: BorrowedFd<'_>, index: u32, prepared: &mut Prepared) -> Running {
    // The far ends of the streams go with the command, so that they close when it ends.
    let mut command = std::mem::replace(&mut prepared.command, Command::new(""));
    let spawned = if prepared.found { command.spawn() } else { Err(Errno::NOENT.into()) };
    drop(command);
    let not_started = |error: &io::Error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        let _ = rustix::io::write(socket, &message(b'N', index, Some(errno)));
        Running::default()
    };
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return not_started(&error),
    };
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return Running::default() };
    let running = Arc::new(Mutex::new(Some(pid)));
    let shared = Arc::clone(&running);
    let wait = move || {
        // First without reaping the process, so that its number is not reused and no signal can reach another process.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        let mut running = shared.lock().unwrap_or_else(PoisonError::into_inner);
        *running = None;
        let code = child.wait().ok().and_then(|status| status.code());
        drop(running);
        let _ = rustix::io::write(rustix::stdio::stdin(), &message(b'E', index, Some(code.unwrap_or(-1))));
    };
    if let Err(error) = std::thread::Builder::new().spawn(wait) {
        send(&running, Some(Signal::KILL));
        return not_started(&error);
    }
    running
}

/// Signals a command, if `signal` is given; returns whether it was still running.
fn send(running: &Running, signal: Option<Signal>) -> bool {
    let running = running.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(pid), Some(signal)) = (*running, signal) {
        let _ = kill_process_group(pid, signal);
    }
    running.is_some()
}
