//! The connections of a run: prepared outside of the sandbox, made inside it.

use std::io::BufReader;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::capability::launcher::{self, Launcher, Streams};
use crate::capability::{self, Program, shown};
use crate::cli::arguments::Servers;
use crate::cli::{complain, progress};
use crate::declaration::{self, Server};
use crate::remote::connection::{Asking, Further, Heard, Limits, Watch, watching};
use crate::remote::request::{self, Asked, Extent};
use crate::remote::{Answer, AnswerError, Head, push, ssh};
use crate::sandbox::Requirement;
use crate::session::{Session, for_nothing, some};
use crate::trouble::Trouble;

/// The connections of a run, none of them made yet.
pub struct Connections {
    /// Those that are asked for something.
    pub servers: Vec<Server>,
    /// What a person types to run something on each of them.
    pub typed: Vec<String>,
    /// Those that were named, and are asked for none of the checks of this run.
    pub passed_over: Vec<Server>,
    launcher: Launcher,
    /// Taken by the thread that makes the connection.
    streams: Vec<Mutex<Option<Streams>>>,
    /// Why a connection is not to be made.
    troubles: Vec<Option<Trouble>>,
    program: Option<Program>,
    limits: Limits,
    jobs: usize,
    /// Whether the servers are started with leave to give contents.
    contents: bool,
}

impl Connections {
    /// Finds out which servers are meant, and starts the launcher, which stays outside of the sandbox.
    ///
    /// # Errors
    /// Servers that can't be, or are asked for nothing, a program that can't be sent, and a launcher that can't be started.
    pub fn prepare(session: &Session, options: &Servers) -> Result<Self, Trouble> {
        Self::prepare_for(session, options, false)
    }

    /// The same, where the servers may be asked for contents, too.
    ///
    /// # Errors
    /// Those of [`prepare`](Self::prepare).
    pub fn prepare_for(session: &Session, options: &Servers, contents: bool) -> Result<Self, Trouble> {
        let declared = &session.declared;
        let meant = options.meant(declared)?;
        let (servers, passed_over): (Vec<_>, Vec<_>) =
            meant.into_iter().partition(|server| !session.checks_of(server).is_empty());
        if servers.is_empty() {
            let names: Vec<_> = passed_over.iter().map(|server| server.name.as_str()).collect();
            return Err(for_nothing(&names, &session.checks().map(|check| check.name.as_str()).collect::<Vec<_>>()));
        }
        let user = options
            .ssh_user
            .as_deref()
            .map(declaration::user)
            .transpose()
            .map_err(|problem| Trouble::new(format!("--ssh-user: {problem}"), "name a user of the servers"))?;
        let program = match (&options.push_binary, options.push) {
            (None, false) => None,
            (file, _) => Some(capability::program(file.as_deref())?),
        };
        let remote = match &program {
            None if contents => "driftlock collect --contents".to_owned(),
            None => "driftlock collect".to_owned(),
            Some(program) => push::command(program, contents).map_err(|error| {
                Trouble::new(format!("the program to send could not be read: {error}"), "see why, or name another one")
            })?,
        };
        let connect = Duration::from_secs(options.connect_timeout.map_or(15, |seconds| seconds.get().into()));
        let overrides = ssh::Overrides { user, key: options.ssh_key.clone(), port: options.ssh_port };
        let version = capability::ssh_version().and_then(|printed| ssh::version(&printed));
        let command = |server: &Server| ssh::command(server, &overrides, &declared.base, connect, version, &remote);
        let commands: Vec<_> = servers.iter().map(command).collect();
        // Without the one that was meant, `ssh` would try others.
        let no_key = |server: &Server| {
            let key = ssh::key(server, &overrides, &declared.base)?;
            (!key.starts_with("~") && !capability::exists(&key)).then(|| {
                let problem = format!("its private key {} is not there", shown(&key));
                Trouble::new(problem, "correct `key` in the declaration, or --ssh-key")
            })
        };
        let typed = servers.iter().map(|server| ssh::typed(server, &overrides, &declared.base)).collect();
        let troubles = servers.iter().map(no_key).collect();
        let (launcher, streams) = launcher::start(&commands)?;
        Ok(Self {
            jobs: options.jobs.map_or(64, std::num::NonZeroUsize::get).min(servers.len()),
            servers,
            typed,
            passed_over,
            launcher,
            streams: streams.into_iter().map(|streams| Mutex::new(Some(streams))).collect(),
            troubles,
            program,
            limits: options.limits(),
            contents,
        })
    }

    /// Says which servers are asked for none of the checks of this run, and are passed over.
    pub fn tell_passed_over(&self, session: &Session) {
        let names: Vec<_> = self.passed_over.iter().map(|server| server.name.as_str()).collect();
        if !names.is_empty() {
            let (are, checks) = (if names.len() == 1 { "is" } else { "are" }, session.checks());
            let checks = some(&checks.map(|check| check.name.as_str()).collect::<Vec<_>>(), "or");
            complain(&Trouble::new(format!("{} {are} not asked for {checks}", some(&names, "and")), ""));
        }
    }

    /// The one server that is named.
    ///
    /// # Errors
    /// Several, of which `what` can't be done at once.
    pub fn only(&self, what: &str) -> Result<&Server, Trouble> {
        match (&self.servers[..], self.servers.len() + self.passed_over.len()) {
            ([server], 1) => Ok(server),
            (_, named) => Err(Trouble::new(format!("{what}, and {named} are named"), "name one with --server")),
        }
    }

    /// Does `with` with the first connection.
    pub fn one<T>(&self, with: impl FnOnce(&Connection<'_>) -> T) -> T {
        watching(&self.launcher, self.servers.len(), self.limits, |watch| {
            with(&Connection { all: self, watch, index: 0 })
        })
    }

    /// Does `with` with the first two connections, which it can have at the same time.
    pub fn both<T>(&self, with: impl FnOnce(&Connection<'_>, &Connection<'_>) -> T) -> T {
        watching(&self.launcher, self.servers.len(), self.limits, |watch| {
            with(&Connection { all: self, watch, index: 0 }, &Connection { all: self, watch, index: 1 })
        })
    }

    /// Does `each` for every server, so many at once as the operator wants, and gives the results in their order.
    pub fn each<T: Send>(&self, show_progress: bool, each: impl Fn(&Connection<'_>, &Server) -> T + Sync) -> Vec<T> {
        let results: Vec<_> = self.servers.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let bar = progress::of_servers(show_progress, self.servers.len());
        watching(&self.launcher, self.servers.len(), self.limits, |watch| {
            let work = || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(server) = self.servers.get(index) else { break };
                    let connection = Connection { all: self, watch, index };
                    let result = each(&connection, server);
                    *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    bar.inc(1);
                }
            };
            std::thread::scope(|scope| {
                // This thread is one of them. Where the system has no thread left, those that there are do all of it.
                for _ in 1..self.jobs {
                    if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                        break;
                    }
                }
                work();
            });
        });
        bar.finish_and_clear();
        let results = results.into_iter().map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner));
        results.flatten().collect()
    }
}

/// One connection, which can be made once.
pub struct Connection<'a> {
    all: &'a Connections,
    watch: &'a Watch<'a>,
    index: usize,
}

impl Connection<'_> {
    pub fn server(&self) -> &Server {
        &self.all.servers[self.index]
    }

    /// How many connections there are in this run.
    pub fn of(&self) -> usize {
        self.all.servers.len()
    }

    /// Asks the server for these checks; `read` reads its answer up to the end.
    pub fn ask(
        &self,
        asked: &[Asked<'_>],
        requirement: Requirement,
        extent: Extent,
        read: impl FnOnce(Answer<BufReader<Heard<'_>>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Trouble>) {
        self.converse(asked, requirement, extent, |answer, way| {
            // The end of what is asked is heard on the other side.
            drop(way);
            read(answer)
        })
    }

    /// The same where the conversation may go on: `read` reads the answer, asks further if there is a way to, and reads on.
    pub fn converse(
        &self,
        asked: &[Asked<'_>],
        requirement: Requirement,
        extent: Extent,
        read: impl FnOnce(Answer<BufReader<Heard<'_>>>, Option<Further<'_>>) -> Result<(), AnswerError>,
    ) -> (Option<Head>, Result<(), Trouble>) {
        let (streams, request) = match self.begun(asked, requirement, extent) {
            Ok(begun) => begun,
            Err(trouble) => return (None, Err(trouble)),
        };
        let program = self.all.program.as_ref();
        // What sends a program along ends behind it, unless contents are wanted.
        let goes_on = extent != Extent::Export && (program.is_none() || self.all.contents);
        let asking = Asking { request: &request, program, requirement, goes_on };
        self.watch.ask(self.index, streams, &asking, read)
    }

    /// The streams of the connection, and the request that goes into it.
    fn begun(
        &self,
        asked: &[Asked<'_>],
        requirement: Requirement,
        extent: Extent,
    ) -> Result<(Streams, Vec<u8>), Trouble> {
        if asked.is_empty() {
            let trouble = Trouble::new(
                "there is nothing to ask it for: no check applies to it and has its lock",
                "declare a check whose `modes` have \"server\", and lock it",
            );
            return Err(trouble);
        }
        if let Some(trouble) = &self.all.troubles[self.index] {
            return Err(trouble.clone());
        }
        let request = request::line(asked, requirement == Requirement::Everything, extent)?;
        let streams = self.all.streams[self.index].lock().unwrap_or_else(PoisonError::into_inner).take();
        let streams = streams.ok_or_else(|| Trouble::new("it was asked before", "report this as a bug"))?;
        Ok((streams, request))
    }
}
