//! `driftlock check --server`: the checks on other machines, over SSH, against the locks here.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::arguments::{CheckArguments, Common, Servers};
use super::check::{baseline, conclude, judge, keep, keep_one, missing_locks, put, reports, since, window};
use super::progress;
use super::render::Rendering;
use crate::baseline::Baseline;
use crate::capability::launcher::{self, Launcher, Streams};
use crate::capability::{self, Declared, Program, raw, shown};
use crate::compare;
use crate::declaration::{self, Check, Server};
use crate::manifest::LockError;
use crate::path::escaped;
use crate::remote::connection::{Limits, Watch, watching};
use crate::remote::request::Asked;
use crate::remote::{Answer, AnswerError, push, request, ssh};
use crate::report::fleet::Fleet;
use crate::report::places::Places;
use crate::report::{self, CheckReport, Outcome, Report, ServerReport};
use crate::sandbox::Requirement;
use crate::session::{Run, Session};
use crate::trouble::Trouble;

/// The most memory that the differences between a check's lock and one server may take, in bytes: some 300,000 entries.
/// Without a bound, a server that lies could exhaust this machine.
pub const DIFFERENCES_LIMIT: usize = 64 << 20;

impl Servers {
    /// Whether the command is about servers.
    pub const fn are_named(&self) -> bool {
        self.all_servers || !self.servers.is_empty()
    }

    /// Makes sure that nothing is said of servers.
    ///
    /// # Errors
    /// The first option that is.
    pub fn none(&self) -> Result<(), Trouble> {
        let given = [
            (self.ssh_user.is_some(), "--ssh-user"),
            (self.ssh_key.is_some(), "--ssh-key"),
            (self.push, "--push"),
            (self.push_binary.is_some(), "--push-binary"),
            (self.jobs.is_some(), "--jobs"),
            (self.connect_timeout.is_some(), "--connect-timeout"),
            (self.idle_timeout.is_some(), "--idle-timeout"),
            (self.timeout.is_some(), "--timeout"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, option)) => Err(Trouble::new(
                format!("{option} is about servers, and none is named"),
                "name one with --server, or all with --all-servers",
            )),
        }
    }

    fn limits(&self) -> Limits {
        let seconds = |given: Option<std::num::NonZeroU32>, default| {
            Duration::from_secs(given.map_or(default, |seconds| seconds.get().into()))
        };
        Limits { idle: seconds(self.idle_timeout, 60), total: seconds(self.timeout, 3600) }
    }

    /// The servers that are meant, each once, in the order in which they are named.
    fn meant(&self, declared: &Declared) -> Result<Vec<Server>, Trouble> {
        let known = &declared.declaration.servers;
        if self.all_servers {
            if known.is_empty() {
                return Err(Trouble::new(
                    format!("--all-servers: {} declares no server", shown(&declared.file)),
                    "declare them, `[server.NAME]` with its `host`, or name a host with --server",
                ));
            }
            return Ok(known.clone());
        }
        let mut meant: Vec<Server> = Vec::with_capacity(self.servers.len());
        for name in &self.servers {
            let server = match known.iter().find(|server| server.name == *name) {
                Some(server) => server.clone(),
                None => Server::undeclared(name).map_err(|problem| {
                    let known: Vec<_> = known.iter().map(|server| server.name.as_str()).collect();
                    let declared =
                        if known.is_empty() { String::new() } else { format!("one of {}, or ", known.join(", ")) };
                    Trouble::new(
                        format!("--server {}: {problem}", escaped(name.as_bytes())),
                        format!("name {declared}a host as OpenSSH knows it"),
                    )
                })?,
            };
            if meant.iter().all(|other| other.name != server.name) {
                meant.push(server);
            }
        }
        Ok(meant)
    }
}

/// The connections of a run, none of them made yet.
pub struct Connections {
    pub servers: Vec<Server>,
    launcher: Launcher,
    /// Taken by whoever makes the connection.
    streams: Vec<Mutex<Option<Streams>>>,
    program: Option<Program>,
    limits: Limits,
    jobs: usize,
}

impl Connections {
    /// Finds out which servers are meant, and starts the launcher, which stays outside of the sandbox.
    ///
    /// # Errors
    /// Servers that can't be, a program that can't be sent, and a launcher that can't be started.
    pub fn prepare(declared: &Declared, options: &Servers) -> Result<Self, Trouble> {
        let servers = options.meant(declared)?;
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
        let remote =
            program.as_ref().map_or_else(|| "driftlock collect".to_owned(), |program| push::command(program.size));
        let connect = Duration::from_secs(options.connect_timeout.map_or(15, |seconds| seconds.get().into()));
        let overrides = ssh::Overrides { user, key: options.ssh_key.clone() };
        let command = |server: &Server| ssh::command(server, &overrides, &declared.base, connect, &remote);
        let commands: Vec<_> = servers.iter().map(command).collect();
        let (launcher, streams) = launcher::start(&commands)?;
        Ok(Self {
            jobs: options.jobs.map_or(64, std::num::NonZeroUsize::get).min(servers.len()),
            servers,
            launcher,
            streams: streams.into_iter().map(|streams| Mutex::new(Some(streams))).collect(),
            program,
            limits: options.limits(),
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

    /// Asks the server for these checks; `read` reads its answer up to the end.
    pub fn ask(
        &self,
        asked: &[Asked<'_>],
        requirement: Requirement,
        read: impl FnOnce(Answer<std::io::BufReader<crate::remote::connection::Heard<'_>>>) -> Result<(), AnswerError>,
    ) -> (Option<crate::remote::Head>, Result<(), Trouble>) {
        if asked.is_empty() {
            let trouble = Trouble::new(
                "there is nothing to ask it for: no check applies to it and has its lock",
                "declare a check whose `modes` have \"server\", and lock it",
            );
            return (None, Err(trouble));
        }
        let request = match request::line(asked, requirement == Requirement::Everything) {
            Ok(request) => request,
            Err(trouble) => return (None, Err(trouble)),
        };
        let streams = self.all.streams[self.index].lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(streams) = streams else {
            return (None, Err(Trouble::new("it was asked before", "report this as a bug")));
        };
        self.watch.ask(self.index, streams, &request, self.all.program.as_ref(), read)
    }
}

/// Checks servers, prints the report, and keeps it.
///
/// # Errors
/// What keeps the run from starting. Trouble of single servers is in the report, and in the exit code.
pub fn check(common: &Common, arguments: &CheckArguments) -> Result<u8, Trouble> {
    let options = &arguments.servers;
    let rendering = Rendering::of(common, &arguments.form)?;
    rendering.of_servers()?;
    let window = window(arguments)?;
    let (timestamp, started) = capability::now();
    let session = Session::for_servers(&common.request())?;
    let (directory, reports) = reports(&session, arguments.output.as_deref(), &timestamp)?;
    let show_progress = capability::wants_progress() && !common.quiet;
    let connections = Connections::prepare(&session.declared, options)?;
    let run = session.enter(reports.as_ref().ok())?;
    let requirement = common.request().requirement;
    let mut found = connections.each(show_progress, |connection, server| {
        let report = one(&run, connection, server, requirement, (&timestamp, &started));
        Report { window: window.clone(), ..report }
    });
    // Whoever names one server gets the report of that server.
    if let ([_], false, [_]) = (&options.servers[..], options.all_servers, &found[..])
        && let Some(report) = found.pop()
    {
        let kept = reports.and_then(|reports| keep_one(&report, &reports, &directory));
        return Ok(conclude(report.exit_code(), kept, |kept| rendering.print(&report, &Places::default(), kept)));
    }
    let fleet = Fleet { timestamp, started, sandbox: run.enforced.clone(), servers: found };
    let kept = reports.and_then(|reports| {
        keep(&fleet.timestamp, &reports, &directory, |folder| {
            folder.create_dir("servers")?;
            let servers = folder.open_dir("servers")?;
            for report in &fleet.servers {
                let Some(server) = &report.server else { continue };
                servers.create_dir(&server.name)?;
                put(&servers.open_dir(&server.name)?, report)?;
            }
            let mut text = Vec::new();
            report::text::write_fleet(&mut text, &fleet, report::text::Style::default(), None)?;
            crate::store::create(folder, report::TEXT_NAME, &text)?;
            crate::store::replace(folder, report::JSON_NAME, |out| report::json::write_fleet(out, &fleet))
        })
    });
    Ok(conclude(fleet.exit_code(), kept, |kept| rendering.print_fleet(&fleet, kept)))
}

/// A check of one server, on its way to a report.
struct Pending<'a> {
    check: &'a Check,
    root: Option<&'a Path>,
    /// What it is compared with, or how it has ended.
    state: Result<Baseline, Box<Outcome>>,
    resolved_root: Option<String>,
    mounts: Vec<Vec<u8>>,
}

fn one(
    run: &Run,
    connection: &Connection<'_>,
    server: &Server,
    requirement: Requirement,
    (timestamp, started): (&str, &str),
) -> Report {
    let begun = Instant::now();
    let pending = |check| {
        let root = server.root(check);
        let state = match (baseline(run, check, check.modes.server), root) {
            (Ok(_), None) => Err(Box::new(Outcome::Failed(no_root(check, server)))),
            (state, _) => state,
        };
        Pending { check, root, state, resolved_root: None, mounts: Vec::new() }
    };
    let mut all: Vec<_> = run.session.checks().map(pending).collect();
    let asked = all.iter().filter(|pending| pending.state.is_ok());
    let asked: Vec<_> = asked.filter_map(|pending| Some(Asked { check: pending.check, root: pending.root? })).collect();
    let mut bytes = 0;
    let (head, collected) = connection.ask(&asked, requirement, |mut answer| {
        for pending in all.iter_mut().filter(|pending| pending.state.is_ok()) {
            receive(run, pending, &mut answer)?;
            bytes = answer.bytes();
        }
        answer.end()
    });
    let checks: Vec<_> = all
        .into_iter()
        .map(|pending| CheckReport {
            name: pending.check.name.clone(),
            kind: pending.check.kind,
            root: place(pending.check, pending.root),
            resolved_root: pending.resolved_root,
            lock: run.lock_path(pending.check),
            trusted: 0,
            outcome: pending.state.err().map_or(Outcome::NotCollected, |outcome| *outcome),
            mounts: pending.mounts,
        })
        .collect();
    Report {
        timestamp: timestamp.to_owned(),
        started: started.to_owned(),
        missing_locks: missing_locks(&checks),
        checks,
        sandbox: run.enforced.clone(),
        duration: since(begun),
        bytes,
        window: None,
        server: Some(ServerReport {
            name: server.name.clone(),
            host: server.host.clone(),
            head,
            trouble: collected.err(),
        }),
    }
}

/// Compares one check with what the server sends.
fn receive<R: std::io::BufRead>(
    run: &Run,
    pending: &mut Pending<'_>,
    answer: &mut Answer<R>,
) -> Result<(), AnswerError> {
    let (Ok(baseline), Some(root)) = (&mut pending.state, pending.root) else { return Ok(()) };
    let check = pending.check;
    let mut collected = match answer.check(check)? {
        Ok(collected) => collected,
        Err(trouble) => {
            pending.state = Err(Box::new(Outcome::Failed(trouble)));
            return Ok(());
        }
    };
    let resolved_root = collected.resolved_root.clone();
    let compared = compare::compare_within(DIFFERENCES_LIMIT, baseline, &mut collected);
    if let Err(LockError::TooDifferent { limit }) = compared {
        return Err(AnswerError::TooDifferent { check: check.name.clone(), limit });
    }
    // What was wrong with the answer comes first: a comparison with it says nothing.
    let (mounts, live) = collected.finish()?;
    let outcome = match compared {
        Ok(comparison) => judge(check, &place(check, Some(root)), comparison, baseline.stated_digest(), || Some(live)),
        Err(error) => Outcome::Failed(run.refused(check, &error)),
    };
    pending.resolved_root = resolved_root;
    pending.mounts = mounts;
    pending.state = Err(Box::new(outcome));
    Ok(())
}

/// Where the entries of a check are on a server, as the operator knows it.
pub fn place(check: &Check, root: Option<&Path>) -> String {
    match (&check.engine, root) {
        (None, Some(root)) => raw(root),
        _ => check.place(),
    }
}

/// What to say of a check that no server can carry out.
pub fn no_root(check: &Check, server: &Server) -> Trouble {
    if check.engine.is_some() {
        return Trouble::new(
            format!(
                "the socket of the check {} is not absolute, and {} has nothing that it could be relative to",
                check.name,
                escaped(server.name.as_bytes())
            ),
            "write the absolute path of the engine's socket on the server",
        );
    }
    Trouble::new(
        format!("nothing says where the root of the check {} lies on {}", check.name, escaped(server.name.as_bytes())),
        format!(
            "write `server_root` in the check, `roots = {{ {} = \"/…\" }}` in the server, or `modes = [\"local\"]`",
            check.name
        ),
    )
}
