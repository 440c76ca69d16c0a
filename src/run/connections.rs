//! The connections of a run: prepared outside of the sandbox, made inside it.

use std::io::BufReader;
use std::sync::{Mutex, PoisonError};

use super::servers::{Pushed, Servers};
use crate::capability::launcher::{self, Launcher, Streams};
use crate::capability::{self, Program, shown};
use crate::declaration::{self, Server};
use crate::remote::connection::{FollowUp, Limits, Monitor, RequestOptions, ServerOutput, with_monitor};
use crate::remote::request::{self, Asked, Extent};
use crate::remote::{Answer, AnswerError, Head, push, ssh};
use crate::sandbox::Requirement;
use crate::session::{Session, for_nothing, in_order, some};
use crate::trouble::Trouble;

/// A server of a run.
pub struct Target {
    pub server: Server,
    /// What a person types to run something there.
    pub typed: String,
    /// Why no connection is to be made.
    trouble: Option<Trouble>,
}

/// The servers of a run.
pub struct Targets {
    /// Those that are asked for something.
    pub asked: Vec<Target>,
    /// Those that were named, and are asked for none of the checks of this run.
    pub passed_over: Vec<Server>,
}

/// The connections to the servers of a run, none of them made yet.
pub struct Connections {
    launcher: Launcher,
    /// In the order of the servers.
    streams: Vec<Streams>,
    jobs: usize,
    limits: Limits,
    shared: Shared,
}

/// What all connections of a run have in common.
struct Shared {
    program: Option<Program>,
    /// Whether the servers are started with leave to give contents.
    contents: bool,
    requirement: Requirement,
    /// How many connections there are.
    number: usize,
}

/// Finds out which servers are meant, and starts the launcher, which stays outside of the sandbox. `contents` is whether they may
/// be asked for contents of files, too.
///
/// # Errors
/// Servers that can't be, or are asked for nothing, a program that can't be sent, and a launcher that can't be started.
pub fn prepare(session: &Session, wanted: &Servers, contents: bool) -> Result<(Targets, Connections), Trouble> {
    let declared = &session.declared;
    let (servers, passed_over): (Vec<_>, Vec<_>) =
        wanted.meant(declared)?.into_iter().partition(|server| !session.checks_of(server).is_empty());
    if servers.is_empty() {
        let names: Vec<_> = passed_over.iter().map(|server| server.name.as_str()).collect();
        return Err(for_nothing(&names, &session.checks().map(|check| check.name.as_str()).collect::<Vec<_>>()));
    }
    let user = wanted.user.as_deref().map(declaration::user).transpose();
    let user = user.map_err(|problem| Trouble::new(format!("--ssh-user: {problem}"), "name a user of the servers"))?;
    let program = match &wanted.program {
        Pushed::Nothing => None,
        Pushed::Own => Some(capability::program(None)?),
        Pushed::File(file) => Some(capability::program(Some(file))?),
    };
    let remote = match &program {
        None if contents => "driftlock collect --contents".to_owned(),
        None => "driftlock collect".to_owned(),
        Some(program) => push::command(program, contents).map_err(|error| {
            Trouble::new(
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
    // Without the one that was meant, `ssh` would try others.
    let no_key = |server: &Server| {
        let key = ssh::key(server, &overrides, &declared.base)?;
        (!key.starts_with("~") && !capability::exists(&key)).then(|| {
            let problem = format!("its private key {} is not there", shown(&key));
            Trouble::new(problem, "correct `key` in the declaration, or --ssh-key")
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
    Ok((Targets { asked, passed_over }, connections))
}

impl Targets {
    /// The servers that are asked for something.
    pub fn servers(&self) -> impl Iterator<Item = &Server> + Clone {
        self.asked.iter().map(|target| &target.server)
    }

    /// How many were named.
    #[must_use]
    pub const fn named(&self) -> usize {
        self.asked.len() + self.passed_over.len()
    }

    /// Which servers are asked for none of the checks of this run, and are passed over, if some are.
    #[must_use]
    pub fn told_passed_over(&self, session: &Session) -> Option<Trouble> {
        let names: Vec<_> = self.passed_over.iter().map(|server| server.name.as_str()).collect();
        if names.is_empty() {
            return None;
        }
        let (are, checks) = (if names.len() == 1 { "is" } else { "are" }, session.checks());
        let checks = some(&checks.map(|check| check.name.as_str()).collect::<Vec<_>>(), "or");
        Some(Trouble::new(format!("{} {are} not asked for {checks}", some(&names, "and")), ""))
    }
}

/// The connections to so many servers, which can be made at the same time.
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

    /// Does `with` with the connections.
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

    /// The connections, if so many servers are asked, and no more were named.
    #[must_use]
    pub fn exactly<const N: usize>(self, targets: &Targets) -> Option<Exactly<'_, N>> {
        let Self { launcher, streams, limits, shared, .. } = self;
        let lines: Vec<_> = Self::lines(streams, targets).collect();
        let lines = lines.try_into().ok().filter(|_| targets.named() == N)?;
        Some(Exactly { launcher, limits, shared, lines })
    }

    /// The connection to the one server that is named.
    ///
    /// # Errors
    /// Several, of which `what` can't be done at once.
    pub fn only<'t>(self, targets: &'t Targets, what: &str) -> Result<Exactly<'t, 1>, Trouble> {
        let several = || Trouble::new(format!("{what}, and {} are named", targets.named()), "name one with --server");
        self.exactly(targets).ok_or_else(several)
    }

    /// Does `each` for every server, so many at once as the operator wants, and gives the results in their order. Calls `ended`
    /// for each that is done.
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
                // This thread is one of them. Where the system has no thread left, those that there are do all of it.
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

/// One connection, which is made when something is asked, once.
pub struct Connection<'a> {
    shared: &'a Shared,
    monitor: &'a Monitor<'a>,
    line: Line<'a>,
}

impl Connection<'_> {
    /// How many connections there are in this run.
    #[must_use]
    pub const fn of(&self) -> usize {
        self.shared.number
    }

    /// Asks the server for these checks; `read` reads its answer up to the end.
    ///
    /// # Errors
    /// The inner error is why there is no answer, or it counts for nothing.
    pub fn ask(
        self,
        asked: &[Asked<'_>],
        extent: Extent,
        read: impl FnOnce(Answer<BufReader<ServerOutput<'_>>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Trouble>) {
        self.converse(asked, extent, |answer, way| {
            // The end of what is asked is heard on the other side.
            drop(way);
            read(answer)
        })
    }

    /// The same where the conversation may go on: `read` reads the answer, asks further if there is a way to, and reads on.
    ///
    /// # Errors
    /// Those of [`ask`](Self::ask).
    pub fn converse(
        self,
        asked: &[Asked<'_>],
        extent: Extent,
        read: impl FnOnce(Answer<BufReader<ServerOutput<'_>>>, Option<FollowUp<'_>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Trouble>) {
        let Shared { program, contents, requirement, .. } = self.shared;
        let request = match self.request(asked, extent) {
            Ok(request) => request,
            Err(trouble) => return (None, Err(trouble)),
        };
        let program = program.as_ref();
        // What sends a program along ends behind it, unless contents are wanted.
        let goes_on = extent != Extent::Export && (program.is_none() || *contents);
        let options = RequestOptions { request: &request, program, requirement: *requirement, goes_on };
        self.monitor.ask(self.line.index, self.line.streams, &options, read)
    }

    /// What is asked.
    fn request(&self, asked: &[Asked<'_>], extent: Extent) -> Result<Vec<u8>, Trouble> {
        if asked.is_empty() {
            let trouble = Trouble::new(
                "there is nothing to ask it for: no check applies to it and has its lock",
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
