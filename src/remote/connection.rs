//! Conversations with servers, each over the streams of an `ssh` process, with time limits.

mod cause;
mod ssh_stderr;

use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{Answer, AnswerError, Head};
use crate::capability::Program;
use crate::capability::launcher::{Ended, Launcher, Streams, TICK};
use crate::error::{Error, ErrorKind};
use crate::sandbox::Requirement;
use cause::Cause;
use ssh_stderr::SshStderr;

/// The time limits for a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without receiving anything, at the start and later.
    pub idle: Duration,
    /// For the whole conversation.
    pub total: Duration,
}

/// How long an `ssh` process has to terminate before it is killed, and how long to wait after that.
const GRACE: Duration = Duration::from_secs(2);

/// The timing of a conversation.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    started: Option<Instant>,
    /// When something was last received, while waiting for the server.
    heard: Option<Instant>,
    /// Which limit it exceeded and when, and whether its `ssh` was killed.
    exceeded: Option<(Exceeded, Instant, bool)>,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
enum Exceeded {
    Idle,
    Total,
    /// The answer was refused.
    Refused,
}

/// All conversations of a run. The limits hold even if the launcher fails: each waiting thread checks the clock itself,
/// and stops when its time is up.
#[derive(Debug)]
pub struct Monitor<'a> {
    launcher: &'a Launcher,
    limits: Limits,
    state: Mutex<MonitorState>,
    changed: Condvar,
}

#[derive(Debug)]
struct MonitorState {
    clocks: Vec<Clock>,
    /// Whether the launcher is gone, so that no end of an `ssh` will be reported.
    launcher_gone: bool,
    done: bool,
}

/// Runs `work`, which can have a conversation with each of `servers` servers. Meanwhile, a thread tracks which `ssh`
/// processes have ended.
pub fn with_monitor<T>(launcher: &Launcher, servers: usize, limits: Limits, work: impl FnOnce(&Monitor<'_>) -> T) -> T {
    let state = MonitorState { clocks: vec![Clock::default(); servers], launcher_gone: false, done: false };
    let monitor = Monitor { launcher, limits, state: Mutex::new(state), changed: Condvar::new() };
    std::thread::scope(|scope| {
        // Without this thread, no end would be reported, so there are no conversations.
        let listener = std::thread::Builder::new().spawn_scoped(scope, || monitor.listen());
        monitor.state().launcher_gone |= listener.is_err();
        let result = work(&monitor);
        monitor.state().done = true;
        launcher.quit();
        result
    })
}

impl Monitor<'_> {
    fn state(&self) -> MutexGuard<'_, MonitorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tracks the reports of the launcher.
    fn listen(&self) {
        while !self.state().done {
            match self.launcher.ended() {
                Ok(None) => continue,
                Ok(Some((index, ended))) => {
                    if let Some(clock) = self.state().clocks.get_mut(index) {
                        clock.ended = Some(ended);
                    }
                }
                Err(_) => self.state().launcher_gone = true,
            }
            self.changed.notify_all();
            if self.state().launcher_gone {
                break;
            }
        }
    }

    /// Checks the time limits of a conversation, and terminates it if one is exceeded. The thread that waits for it
    /// calls this every [`TICK`].
    ///
    /// # Errors
    /// Stop waiting, even if the `ssh` has not ended.
    fn check_limits(&self, index: usize) -> io::Result<()> {
        let mut state = self.state();
        let launcher_gone = state.launcher_gone;
        let Some(clock) = state.clocks.get_mut(index) else { return Ok(()) };
        if clock.ended.is_none() && launcher_gone {
            return Err(io::Error::other("the launcher is gone"));
        }
        let now = Instant::now();
        if let Some((_, since, killed)) = &mut clock.exceeded {
            let since = now.duration_since(*since);
            if since > 2 * GRACE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if since > GRACE && !std::mem::replace(killed, true) {
                let _ = self.launcher.kill(index);
            }
            return Ok(());
        }
        let past = |since: Option<Instant>, limit| since.is_some_and(|since| now.duration_since(since) > limit);
        let exceeded = if past(clock.started, self.limits.total) {
            Exceeded::Total
        } else if past(clock.heard, self.limits.idle) {
            Exceeded::Idle
        } else {
            return Ok(());
        };
        clock.exceeded = Some((exceeded, now, false));
        let _ = self.launcher.terminate(index);
        Ok(())
    }

    /// Notes whether we wait for the server from now on. A server that waits for us is not idle.
    fn wait_for(&self, index: usize, waits: bool) {
        if let Some(clock) = self.state().clocks.get_mut(index) {
            clock.heard = waits.then(Instant::now);
        }
    }

    /// Terminates a conversation whose answer was refused.
    fn refuse(&self, index: usize) {
        if let Some(clock) = self.state().clocks.get_mut(index)
            && clock.exceeded.is_none()
            && clock.ended.is_none()
        {
            clock.exceeded = Some((Exceeded::Refused, Instant::now(), false));
            let _ = self.launcher.terminate(index);
        }
    }

    /// Waits for the end of an `ssh`. Returns how it ended, if known, and which limit it exceeded.
    fn end(&self, index: usize) -> (Option<Ended>, Option<Exceeded>) {
        loop {
            let given_up = self.check_limits(index).is_err();
            let state = self.state();
            match state.clocks.get(index) {
                Some(clock) if clock.ended.is_none() && !given_up => {}
                clock => {
                    return clock
                        .map_or((None, None), |clock| (clock.ended, clock.exceeded.map(|(exceeded, ..)| exceeded)));
                }
            }
            drop(self.changed.wait_timeout(state, TICK));
        }
    }

    /// Sends a request to a server. `read` reads the answer to its end, and may send a second request if `options`
    /// allows that. Returns the head of the answer, if there is one.
    ///
    /// # Errors
    /// Why there is no valid answer, without the server's name.
    pub fn ask(
        &self,
        index: usize,
        streams: Streams,
        options: &RequestOptions<'_>,
        read: impl FnOnce(Answer<BufReader<ServerOutput<'_>>>, Option<FollowUp<'_>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Error>) {
        let RequestOptions { request, program, requirement, goes_on } = *options;
        let Streams { stdin, stdout, stderr } = streams;
        if self.state().launcher_gone || self.launcher.launch(index).is_err() {
            return (None, Err(no_launcher()));
        }
        let now = Some(Instant::now());
        if let Some(clock) = self.state().clocks.get_mut(index) {
            (clock.started, clock.heard) = (now, now);
        }
        let stderr = RefCell::new(SshStderr::new(stderr));
        // If the `ssh` has ended, its messages explain more than the broken pipe.
        let _ = self.send(index, &stdin, request, program, &stderr);
        // Without a second request, dropping `stdin` signals the end to the server.
        let further = goes_on.then_some(stdin).map(|stdin| FollowUp { stdin, monitor: self, index, stderr: &stderr });
        let input = BufReader::with_capacity(
            64 << 10,
            ServerOutput { stdout, monitor: self, index, stderr: &stderr, received: false },
        );
        let mut head = None;
        let answered = Answer::new(input).and_then(|(answer, hello)| {
            let held = hello.fits(requirement);
            head = Some(hello);
            held.and_then(|()| read(answer, further))
        });
        // If the stream has ended, the `ssh` will end too, and its exit code explains why. Other errors end the
        // conversation.
        if answered.as_ref().is_err_and(|error| !error.is_end()) {
            self.refuse(index);
        }
        self.wait_for(index, true);
        let (ended, exceeded) = self.end(index);
        let mut stderr = stderr.into_inner();
        let result = answered.map_err(|error| self.explain(&error, ended, exceeded, program.is_some(), &mut stderr));
        (head, result)
    }

    fn send(
        &self,
        index: usize,
        stdin: &OwnedFd,
        request: &[u8],
        program: Option<&Program>,
        stderr: &RefCell<SshStderr>,
    ) -> io::Result<()> {
        let write = |mut bytes: &[u8]| -> io::Result<()> {
            while !bytes.is_empty() {
                self.check_limits(index)?;
                stderr.borrow_mut().read_available();
                match rustix::io::write(stdin, bytes) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    written => {
                        bytes = bytes.get(written?..).unwrap_or_default();
                        self.wait_for(index, true);
                    }
                }
            }
            Ok(())
        };
        write(request)?;
        let Some(program) = program else { return Ok(()) };
        let mut buffer = vec![0; 64 << 10];
        let mut at = 0;
        while at < program.size {
            let read = program.read_at(&mut buffer, at)?;
            if read == 0 {
                break;
            }
            write(&buffer[..read])?;
            at += read as u64;
        }
        Ok(())
    }

    fn explain(
        &self,
        error: &AnswerError,
        ended: Option<Ended>,
        exceeded: Option<Exceeded>,
        pushed: bool,
        stderr: &mut SshStderr,
    ) -> Error {
        let cause = stderr.cause();
        let user = stderr.refused_user();
        let said = &*stderr.last_lines();
        let because = |problem: String| if said.is_empty() { problem } else { format!("{problem}: {said}") };
        match (error, exceeded, ended) {
            (AnswerError::Told(_), ..) => failed(because(error.to_string()), error.help()),
            (_, Some(Exceeded::Idle), _) => {
                let seconds = self.limits.idle.as_secs();
                failed(
                    because(format!("it sent nothing for {seconds} seconds")),
                    "check that the machine and its disks respond, and that no forced command (`ForceCommand`, `command=` in authorized_keys) runs something other than `driftlock collect`; or allow more time with --idle-timeout",
                )
            }
            (_, Some(Exceeded::Total), _) => failed(
                because(format!("it had not finished after {} seconds", self.limits.total.as_secs())),
                "allow more time with --timeout, or run fewer checks at a time with --check",
            ),
            (_, _, None) if self.state().launcher_gone => no_launcher(),
            (_, _, Some(Ended::NotStarted(errno))) => failed(
                format!("ssh could not be started: {errno}"),
                "install the OpenSSH client, and make sure that it is on PATH",
            ),
            (error, None, Some(Ended::Code(255))) if error.is_end() => {
                let problem = cause.problem().map_or_else(|| format!("{error}, and ssh failed"), str::to_owned);
                let help = match user.filter(|_| cause == Cause::LoginRefused) {
                    Some(user) => format!(
                        "log in as another user than {user} with --ssh-user or `user` in the declaration, or, as {user}: {}",
                        cause.help()
                    ),
                    None => cause.help().to_owned(),
                };
                failed(because(problem), help)
            }
            (error, None, _) if error.is_end() && cause == Cause::Password => {
                failed(because(cause.problem().unwrap_or_default().to_owned()), cause.help())
            }
            (AnswerError::Nothing, None, Some(Ended::Code(126 | 127))) => {
                let help = if pushed {
                    "check that `sh -c true` works for this user there"
                } else {
                    "install driftlock there, on the PATH of non-interactive ssh sessions, or send this one with --push"
                };
                failed(because("it has no driftlock to start".to_owned()), help)
            }
            (AnswerError::Nothing, None, Some(Ended::Code(2))) if pushed && !said.is_empty() => {
                failed(said.to_owned(), "fix that on the server, or install driftlock there")
            }
            _ => failed(because(error.to_string()), error.help()),
        }
    }
}

fn failed(problem: impl Into<String>, help: impl Into<String>) -> Error {
    Error::new(ErrorKind::Server, problem, help)
}

fn no_launcher() -> Error {
    failed(
        "the launcher, which starts ssh, is gone",
        "check again; if this repeats, look in the system log for what ended it",
    )
}

/// A request to a server.
#[derive(Clone, Copy, Debug)]
pub struct RequestOptions<'a> {
    /// The line of the request.
    pub request: &'a [u8],
    /// The program to send after it.
    pub program: Option<&'a Program>,
    pub requirement: Requirement,
    /// Whether a second request may follow.
    pub goes_on: bool,
}

/// The open stream to the server, for a second request.
#[derive(Debug)]
pub struct FollowUp<'a> {
    stdin: OwnedFd,
    monitor: &'a Monitor<'a>,
    index: usize,
    stderr: &'a RefCell<SshStderr>,
}

impl FollowUp<'_> {
    /// Sends the second request.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn ask(self, request: &[u8]) -> io::Result<()> {
        self.monitor.send(self.index, &self.stdin, request, None, self.stderr)
    }
}

/// The output of a server. Tracks when we wait for it.
#[derive(Debug)]
pub struct ServerOutput<'a> {
    stdout: OwnedFd,
    monitor: &'a Monitor<'a>,
    index: usize,
    stderr: &'a RefCell<SshStderr>,
    /// Whether something was received.
    received: bool,
}

impl Read for ServerOutput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.monitor.wait_for(self.index, true);
        let read = loop {
            self.monitor.check_limits(self.index)?;
            self.stderr.borrow_mut().read_available();
            match rustix::io::read(&self.stdout, &mut *buffer) {
                // A password prompt would wait as long as input could come from here.
                Err(Errno::AGAIN) if !self.received && self.stderr.borrow_mut().cause() == Cause::Password => {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                read => break read?,
            }
        };
        self.received = true;
        self.monitor.wait_for(self.index, false);
        Ok(read)
    }
}
