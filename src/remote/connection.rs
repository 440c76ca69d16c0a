//! One conversation with a server, over the streams of an `ssh` that is started for it, and the clocks that bound it.

mod cause;
mod said;

use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{Answer, AnswerError, Head};
use crate::capability::Program;
use crate::capability::launcher::{Ended, Launcher, Streams, TICK};
use crate::sandbox::Requirement;
use crate::trouble::Trouble;
use cause::Cause;
use said::Said;

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until something is heard, at the beginning and at any time after.
    pub idle: Duration,
    /// For all of it.
    pub total: Duration,
}

/// How long an `ssh` has to end after it was asked to, before it is made to; and how long after that it is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    started: Option<Instant>,
    /// When something was heard from it, if we wait for more.
    heard: Option<Instant>,
    /// Which limit it went over, and whether its `ssh` was killed since.
    over: Option<(Over, Instant, bool)>,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug)]
enum Over {
    Idle,
    Total,
    /// We have heard enough.
    Refused,
}

/// All conversations of a run: who has them, and since when. The limits hold whatever becomes of the launcher: a thread that
/// waits, for a stream or for the end of an `ssh`, looks at the clock itself, and goes away when its time is over.
#[derive(Debug)]
pub struct Watch<'a> {
    launcher: &'a Launcher,
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    clocks: Vec<Clock>,
    /// Whether the launcher is gone, and nothing will ever be heard of an `ssh` again.
    alone: bool,
    done: bool,
}

/// Does `work`, which can have a conversation with each of so many servers, and notes meanwhile which have ended.
pub fn watching<T>(launcher: &Launcher, servers: usize, limits: Limits, work: impl FnOnce(&Watch<'_>) -> T) -> T {
    let state = State { clocks: vec![Clock::default(); servers], alone: false, done: false };
    let watch = Watch { launcher, limits, state: Mutex::new(state), changed: Condvar::new() };
    std::thread::scope(|scope| {
        // On a machine that has no thread for it, no end would be heard of, so there are no conversations.
        let listener = std::thread::Builder::new().spawn_scoped(scope, || watch.listen());
        watch.state().alone |= listener.is_err();
        let result = work(&watch);
        watch.state().done = true;
        launcher.quit();
        result
    })
}

impl Watch<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the launcher says.
    fn listen(&self) {
        while !self.state().done {
            match self.launcher.ended() {
                Ok(None) => continue,
                Ok(Some((index, ended))) => {
                    if let Some(clock) = self.state().clocks.get_mut(index) {
                        clock.ended = Some(ended);
                    }
                }
                Err(_) => self.state().alone = true,
            }
            self.changed.notify_all();
            if self.state().alone {
                break;
            }
        }
    }

    /// Looks at the clock of a conversation, and has it ended if it took too long. Called by the thread that waits for it, every
    /// [`TICK`].
    ///
    /// # Errors
    /// Nothing more is to be waited for, whether its `ssh` ends or not.
    fn look(&self, index: usize) -> io::Result<()> {
        let mut state = self.state();
        let alone = state.alone;
        let Some(clock) = state.clocks.get_mut(index) else { return Ok(()) };
        if clock.ended.is_none() && alone {
            return Err(io::Error::other("the launcher is gone"));
        }
        let now = Instant::now();
        if let Some((_, since, killed)) = &mut clock.over {
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
        let over = if past(clock.started, self.limits.total) {
            Over::Total
        } else if past(clock.heard, self.limits.idle) {
            Over::Idle
        } else {
            return Ok(());
        };
        clock.over = Some((over, now, false));
        let _ = self.launcher.terminate(index);
        Ok(())
    }

    /// Notes that we wait for the server from now on, or don't. A server that waits for us is not idle.
    fn wait_for(&self, index: usize, waits: bool) {
        if let Some(clock) = self.state().clocks.get_mut(index) {
            clock.heard = waits.then(Instant::now);
        }
    }

    /// Ends a conversation that is no use.
    fn refuse(&self, index: usize) {
        if let Some(clock) = self.state().clocks.get_mut(index)
            && clock.over.is_none()
            && clock.ended.is_none()
        {
            clock.over = Some((Over::Refused, Instant::now(), false));
            let _ = self.launcher.terminate(index);
        }
    }

    /// Waits for the end of an `ssh`: how it ended, if anybody knows, and which limit it went over.
    fn end(&self, index: usize) -> (Option<Ended>, Option<Over>) {
        loop {
            let given_up = self.look(index).is_err();
            let state = self.state();
            match state.clocks.get(index) {
                Some(clock) if clock.ended.is_none() && !given_up => {}
                clock => return clock.map_or((None, None), |clock| (clock.ended, clock.over.map(|(over, ..)| over))),
            }
            drop(self.changed.wait_timeout(state, TICK));
        }
    }

    /// Asks a server, and lets `read` read the answer up to its end, and ask further where that was said. What answered, if
    /// something did.
    ///
    /// # Errors
    /// Why there is no answer, or it counts for nothing, in words that name no server.
    pub fn ask(
        &self,
        index: usize,
        streams: Streams,
        asking: &Asking<'_>,
        read: impl FnOnce(Answer<BufReader<Heard<'_>>>, Option<Further<'_>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Trouble>) {
        let Asking { request, program, requirement, goes_on } = *asking;
        let Streams { stdin, stdout, stderr } = streams;
        if self.state().alone || self.launcher.launch(index).is_err() {
            return (None, Err(no_launcher()));
        }
        let now = Some(Instant::now());
        if let Some(clock) = self.state().clocks.get_mut(index) {
            (clock.started, clock.heard) = (now, now);
        }
        let said = RefCell::new(Said::new(stderr));
        // An `ssh` that has ended does not read; what it says about that is worth more than the broken pipe.
        let _ = self.send(index, &stdin, request, program, &said);
        // Where nothing more is asked, the end of it is heard on the other side.
        let further = goes_on.then_some(stdin).map(|stdin| Further { stdin, watch: self, index, said: &said });
        let input =
            BufReader::with_capacity(64 << 10, Heard { stdout, watch: self, index, said: &said, answers: false });
        let mut head = None;
        let answered = Answer::new(input).and_then(|(answer, hello)| {
            let held = hello.fits(requirement);
            head = Some(hello);
            held.and_then(|()| read(answer, further))
        });
        // Where the stream has ended, so will the `ssh`, and how it does says why. All else needs no more hearing.
        if answered.as_ref().is_err_and(|error| !error.is_end()) {
            self.refuse(index);
        }
        self.wait_for(index, true);
        let (ended, over) = self.end(index);
        let mut said = said.into_inner();
        let result = answered.map_err(|error| self.explain(&error, ended, over, program.is_some(), &mut said));
        (head, result)
    }

    fn send(
        &self,
        index: usize,
        stdin: &OwnedFd,
        request: &[u8],
        program: Option<&Program>,
        said: &RefCell<Said>,
    ) -> io::Result<()> {
        let write = |mut bytes: &[u8]| -> io::Result<()> {
            while !bytes.is_empty() {
                self.look(index)?;
                said.borrow_mut().listen();
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
        over: Option<Over>,
        pushed: bool,
        said: &mut Said,
    ) -> Trouble {
        let cause = said.cause();
        let user = said.refused_user();
        let said = &*said.shown();
        let because = |problem: String| if said.is_empty() { problem } else { format!("{problem}: {said}") };
        match (error, over, ended) {
            (AnswerError::Told(_), ..) => {}
            (_, Some(Over::Idle), _) => {
                let seconds = self.limits.idle.as_secs();
                return Trouble::new(
                    because(format!("nothing was heard from it for {seconds} seconds")),
                    "see whether the machine and its disks respond, and whether a forced command (`ForceCommand`, \
                     `command=` in authorized_keys) runs something else than `driftlock collect`, or give it longer with \
                     --idle-timeout",
                );
            }
            (_, Some(Over::Total), _) => {
                let seconds = self.limits.total.as_secs();
                return Trouble::new(
                    because(format!("it had not finished after {seconds} seconds")),
                    "give it longer with --timeout, or check less of it at once with --check",
                );
            }
            (_, _, None) if self.state().alone => return no_launcher(),
            (_, _, Some(Ended::NotStarted(errno))) => {
                return Trouble::new(format!("ssh could not be started: {errno}"), "install OpenSSH's client, on PATH");
            }
            (error, None, Some(Ended::Code(255))) if error.is_end() => {
                let problem = cause.problem().map_or_else(|| format!("{error}, and ssh failed"), str::to_owned);
                let remedy = match user.filter(|_| cause == Cause::LoginRefused) {
                    Some(user) => format!(
                        "log in as another user than {user} with --ssh-user or `user` in the declaration, or, as {user}: {}",
                        cause.remedy()
                    ),
                    None => cause.remedy().to_owned(),
                };
                return Trouble::new(because(problem), remedy);
            }
            (error, None, _) if error.is_end() && cause == Cause::Password => {
                return Trouble::new(because(cause.problem().unwrap_or_default().to_owned()), cause.remedy());
            }
            (AnswerError::Nothing, None, Some(Ended::Code(126 | 127))) => {
                let remedy = if pushed {
                    "see what its shell and its `sh` say"
                } else {
                    "install driftlock there, on the PATH that sshd gives, or send this one along with --push"
                };
                return Trouble::new(because("it has no driftlock to start".to_owned()), remedy);
            }
            (AnswerError::Nothing, None, Some(Ended::Code(2))) if pushed && !said.is_empty() => {
                return Trouble::new(said.to_owned(), "mend that there, or install driftlock on it");
            }
            _ => {}
        }
        Trouble::new(because(error.to_string()), error.remedy())
    }
}

fn no_launcher() -> Trouble {
    Trouble::new("the launcher, which starts ssh, is gone", "see whether something ends it, and check again")
}

/// What a server is asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The line of the request.
    pub request: &'a [u8],
    /// The program that is sent behind it.
    pub program: Option<&'a Program>,
    pub requirement: Requirement,
    /// Whether there may be a second request on the same connection.
    pub goes_on: bool,
}

/// The way to the server, which is open for one request more.
#[derive(Debug)]
pub struct Further<'a> {
    stdin: OwnedFd,
    watch: &'a Watch<'a>,
    index: usize,
    said: &'a RefCell<Said>,
}

impl Further<'_> {
    /// Asks further, for the last time.
    ///
    /// # Errors
    /// A connection that is gone.
    pub fn ask(self, request: &[u8]) -> io::Result<()> {
        self.watch.send(self.index, &self.stdin, request, None, self.said)
    }
}

/// What a server sends, with a note of when we wait for it.
#[derive(Debug)]
pub struct Heard<'a> {
    stdout: OwnedFd,
    watch: &'a Watch<'a>,
    index: usize,
    said: &'a RefCell<Said>,
    /// Whether something was heard.
    answers: bool,
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.wait_for(self.index, true);
        let read = loop {
            self.watch.look(self.index)?;
            self.said.borrow_mut().listen();
            match rustix::io::read(&self.stdout, &mut *buffer) {
                // What asks for a password would wait for as long as more could come from here.
                Err(Errno::AGAIN) if !self.answers && self.said.borrow_mut().cause() == Cause::Password => {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                read => break read?,
            }
        };
        self.answers = true;
        self.watch.wait_for(self.index, false);
        Ok(read)
    }
}
