//! The connections of a run: prepared outside the sandbox, made inside it.

use std::io::BufReader;
use std::sync::{Mutex, PoisonError};

use super::servers::{Pushed, Servers};
use crate::capability::launcher::{self, Launcher, Streams};
use crate::capability::{self, Program, shown};
use crate::declaration::{self, Server};
use crate::error::{Error, ErrorKind};
use crate::remote::connection::{FollowUp, Limits, Monitor, RequestOptions, ServerOutput, with_monitor};
use crate::remote::request::{self, Asked, Extent};
use crate::remote::{Answer, AnswerError, Head, push, ssh};
use crate::sandbox::Requirement;
use crate::session::{Session, in_order, nothing_asked, some};

/// A server of a run.
pub struct Target {
    pub server: Server,
    /// The command that a person would type to run something there.
    pub typed: String,
    /// Why it can't be connected to.
    trouble: Option<Error>,
}

/// The servers of a run.
pub struct Targets {
    /// The servers that are asked for something.
    pub asked: Vec<Target>,
    /// The servers that were named, but are asked for none of the checks of this run.
    pub skipped: Vec<Server>,
}

/// The connections to the servers of a run. None is made yet.
pub struct Connections {
    launcher: Launcher,
    /// In the order of the servers.
    streams: Vec<Streams>,
    jobs: usize,
    limits: Limits,
    shared: Shared,
}

/// The data that all connections of a run share.
struct Shared {
    program: Option<Program>,
    /// Whether the servers may be asked for the contents of files.
    contents: bool,
    requirement: Requirement,
    /// The number of connections.
    number: usize,
}

/// Resolves the servers, and starts the launcher, which stays outside the sandbox. `contents`: whether the servers may
/// be asked for the contents of files.
///
/// # Errors
/// A server is invalid, no server is asked for anything, the program can't be sent, or the launcher can't be started.
pub fn prepare(session: &Session, wanted: &Servers, contents: bool) -> Result<(Targets, Connections), Error> {
    let declared = &session.declared;
    let (servers, skipped): (Vec<_>, Vec<_>) =
        wanted.selected(declared)?.into_iter().partition(|server| !session.checks_of(server).is_empty());
    if servers.is_empty() {
        let names: Vec<_> = skipped.iter().map(|server| server.name.as_str()).collect();
        return Err(nothing_asked(&names, &session.checks().map(|check| check.name.as_str()).collect::<Vec<_>>()));
    }
    let user = wanted.user.as_deref().map(declaration::user).transpose();
    let user = user.map_err(|problem| {
        Error::new(ErrorKind::Usage, format!("--ssh-user: {problem}"), "name a user that exists on the servers")
    })?;
    let program = match &wanted.program {
        Pushed::Nothing => None,
        Pushed::Own => Some(capability::program(None)?),
        Pushed::File(file) => Some(capability::program(Some(file))?),
    };
    let remote = match &program {
        None if contents => "driftlock collect --contents".to_owned(),
        None => "driftlock collect".to_owned(),
        Some(program) => push::command(program, contents).map_err(|error| {
            Error::new(
                ErrorKind::Server,
                format!("the program to send could not be read: {error}"),
                "check the path and its permissions, or name another program",
            )
        })?,
    };
    let overrides = ssh::Overrides { user, key: wanted.key.clone(), port: wanted.port };
    let version = capability::ssh_version().and_then(|printed| ssh::version(&printed));
    let command =
        |server: &Server| ssh::command(server, &overrides, &declared.base, wanted.connect_timeout, version, &remote);
    let commands: Vec<_> = servers.iter().map(command).collect();
    // If this key does not exist, `ssh` would try others.
    let no_key = |server: &Server| {
        let key = ssh::key(server, &overrides, &declared.base)?;
        (!key.starts_with("~") && !capability::exists(&key)).then(|| {
            let problem = format!("its private key {} does not exist", shown(&key));
            Error::new(ErrorKind::Usage, problem, "correct `key` in the declaration, or --ssh-key")
        })
    };
    let target = |server: Server| Target {
        typed: ssh::typed(&server, &overrides, &declared.base),
        trouble: no_key(&server),
        server,
    };
    let asked: Vec<_> = servers.into_iter().map(target).collect();
    let (launcher, streams) = launcher::start(&commands, launcher::Asking::Never)?;
    let number = asked.len();
    let shared = Shared { program, contents, requirement: session.requirement(), number };
    let connections =
        Connections { launcher, streams, jobs: wanted.jobs.get().min(number), limits: wanted.limits, shared };
    Ok((Targets { asked, skipped }, connections))
}

impl Targets {
    /// The servers that are asked for something.
    pub fn servers(&self) -> impl Iterator<Item = &Server> + Clone {
        self.asked.iter().map(|target| &target.server)
    }

    /// The number of servers that were named.
    #[must_use]
    pub const fn named(&self) -> usize {
        self.asked.len() + self.skipped.len()
    }

    /// A note about servers that are skipped, because they are asked for none of the checks of this run.
    #[must_use]
    pub fn skipped(&self, session: &Session) -> Option<Error> {
        let names: Vec<_> = self.skipped.iter().map(|server| server.name.as_str()).collect();
        if names.is_empty() {
            return None;
        }
        let (are, checks) = (if names.len() == 1 { "is" } else { "are" }, session.checks());
        let checks = some(&checks.map(|check| check.name.as_str()).collect::<Vec<_>>(), "or");
        Some(Error::new(ErrorKind::Usage, format!("{} {are} not asked for {checks}", some(&names, "and")), ""))
    }
}

/// The connections to exactly `N` servers, to be used at the same time.
pub struct Exactly<'t, const N: usize> {
    launcher: Launcher,
    limits: Limits,
    shared: Shared,
    lines: [Line<'t>; N],
}

impl<'t, const N: usize> Exactly<'t, N> {
    /// The servers.
    #[must_use]
    pub fn servers(&self) -> [&'t Server; N] {
        self.lines.each_ref().map(|line| &line.target.server)
    }

    /// Calls `with` with the connections.
    pub fn connect<T>(self, with: impl FnOnce([Connection<'_>; N]) -> T) -> T {
        let Self { launcher, limits, shared, lines } = self;
        with_monitor(&launcher, N, limits, |monitor| {
            with(lines.map(|line| Connection { shared: &shared, monitor, line }))
        })
    }
}

impl Connections {
    fn lines(streams: Vec<Streams>, targets: &Targets) -> impl Iterator<Item = Line<'_>> {
        let lines = targets.asked.iter().zip(streams).enumerate();
        lines.map(|(index, (target, streams))| Line { index, target, streams })
    }

    /// The connections, if exactly `N` servers were named and are asked.
    #[must_use]
    pub fn exactly<const N: usize>(self, targets: &Targets) -> Option<Exactly<'_, N>> {
        let Self { launcher, streams, limits, shared, .. } = self;
        let lines: Vec<_> = Self::lines(streams, targets).collect();
        let lines = lines.try_into().ok().filter(|_| targets.named() == N)?;
        Some(Exactly { launcher, limits, shared, lines })
    }

    /// The connection to the only server.
    ///
    /// # Errors
    /// Several servers are named. `what` says why that is not possible.
    pub fn only<'t>(self, targets: &'t Targets, what: &str) -> Result<Exactly<'t, 1>, Error> {
        let several = || {
            Error::new(ErrorKind::Usage, format!("{what}, and {} are named", targets.named()), "name one with --server")
        };
        self.exactly(targets).ok_or_else(several)
    }

    /// Calls `each` for every server, with `--jobs` of them at once, and returns the results in the order of the
    /// servers. Calls `ended` after each.
    pub fn each<'t, T: Send>(
        self,
        targets: &'t Targets,
        ended: impl Fn() + Sync,
        each: impl Fn(Connection<'_>, &'t Server) -> T + Sync,
    ) -> Vec<T> {
        let Self { launcher, streams, jobs, limits, shared } = self;
        let results = Mutex::new(Vec::with_capacity(shared.number));
        let left = Mutex::new(Self::lines(streams, targets));
        with_monitor(&launcher, shared.number, limits, |monitor| {
            let work = || {
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(line) = next else { break };
                    let (index, server) = (line.index, &line.target.server);
                    let result = each(Connection { shared: &shared, monitor, line }, server);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                    ended();
                }
            };
            std::thread::scope(|scope| {
                // This thread works too. If the system can't start more threads, those that exist do all the work.
                for _ in 1..jobs {
                    if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                        break;
                    }
                }
                work();
            });
        });
        in_order(results.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The streams of one connection.
struct Line<'t> {
    index: usize,
    target: &'t Target,
    streams: Streams,
}

/// A connection to a server, which is made by the request.
pub struct Connection<'a> {
    shared: &'a Shared,
    monitor: &'a Monitor<'a>,
    line: Line<'a>,
}

impl Connection<'_> {
    /// The number of connections in this run.
    #[must_use]
    pub const fn of(&self) -> usize {
        self.shared.number
    }

    /// Asks the server for these checks. `read` must read its answer to the end.
    ///
    /// # Errors
    /// The inner error says why there is no answer, or why it is refused.
    pub fn ask(
        self,
        asked: &[Asked<'_>],
        extent: Extent,
        read: impl FnOnce(Answer<BufReader<ServerOutput<'_>>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Error>) {
        self.converse(asked, extent, |answer, way| {
            // This closes the stream, so the server knows that nothing else is asked.
            drop(way);
            read(answer)
        })
    }

    /// The same with a second request: `read` reads the answer, may send a request with [`FollowUp`], and reads that
    /// answer.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask).
    pub fn converse(
        self,
        asked: &[Asked<'_>],
        extent: Extent,
        read: impl FnOnce(Answer<BufReader<ServerOutput<'_>>>, Option<FollowUp<'_>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Error>) {
        let Shared { program, contents, requirement, .. } = self.shared;
        let request = match self.request(asked, extent) {
            Ok(request) => request,
            Err(trouble) => return (None, Err(trouble)),
        };
        let program = program.as_ref();
        // If a program is sent, the stream ends after it, unless contents are wanted.
        let goes_on = extent != Extent::Export && (program.is_none() || *contents);
        let options = RequestOptions { request: &request, program, requirement: *requirement, goes_on };
        self.monitor.ask(self.line.index, self.line.streams, &options, read)
    }

    /// The bytes of the request.
    fn request(&self, asked: &[Asked<'_>], extent: Extent) -> Result<Vec<u8>, Error> {
        if asked.is_empty() {
            let trouble = Error::new(
                ErrorKind::Usage,
                "there is nothing to check on it: no check for it has a lock",
                "declare a check whose `modes` have \"server\", and lock it",
            );
            return Err(trouble);
        }
        match &self.line.target.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => request::line(asked, self.shared.requirement == Requirement::Everything, extent),
        }
    }
}
