//! What to do about a check that failed: commands that show the change and its author, and that accept or undo it. Each
//! can be pasted into a shell.
//!
//! They follow from the drift and from [`Ground`]: the reader's directory and checks. Nothing is run to find them. JSON
//! reports do not have them: they depend on the reader's directory, and commands from a file that another user may have
//! written are not safe to paste.

mod git;
mod server;

use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::group::{self, Item, Shape};
use super::{CheckReport, HostReport, Outcome, RunInfo};
use crate::manifest::Kind;
use crate::path::{EntryPath, first_name, joined};
use crate::shell;

/// With more items than this, commands are about one of them, or about all.
const MOST: usize = 4;

/// The longest command, in bytes. A terminal cuts longer ones, and a path that long is suspicious.
const LONGEST: usize = 4000;

/// The reader's directory and checks: what commands depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// The declaration, if driftlock would not find it by itself.
    pub config: Option<PathBuf>,
    /// The server of `--as`.
    pub as_server: Option<String>,
    /// The declaration's directory, relative to the working directory; empty if they are the same.
    pub base: PathBuf,
    /// The path of that directory below the top of its git work tree, where patches begin.
    pub below_work_tree: PathBuf,
    /// The command that runs a shell command on each server, such as `ssh -p 2222 deploy@web.example.org`.
    pub ssh: HashMap<String, String>,
    pub checks: HashMap<String, Footing>,
}

impl Ground {
    /// The beginning of a command that runs driftlock with this declaration.
    #[must_use]
    pub fn driftlock(&self, command: &str) -> String {
        let config =
            self.config.as_deref().map(|file| format!(" --config {}", shell::word(file.as_os_str().as_bytes())));
        let server = self.as_server.as_deref().map(|server| format!(" --as {}", shell::word(server.as_bytes())));
        format!("driftlock {command}{}{}", config.unwrap_or_default(), server.unwrap_or_default())
    }

    /// The option that makes git work in the declaration's directory; empty if that is the working directory.
    #[must_use]
    pub fn git_directory(&self) -> String {
        match self.base.as_os_str().as_bytes() {
            b"" => String::new(),
            base => format!(" -C {}", shell::word(base)),
        }
    }
}

/// A check, as far as commands depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footing {
    /// Whether a run on this machine can write its lock.
    pub local: bool,
    /// Its root, as the present declaration says.
    pub place: String,
    /// Its paths in the declaration's git work tree, if both root and lock are in it.
    pub git: Option<InGit>,
    /// Whether it declares a `reference`.
    pub reference: bool,
    /// The socket of its engine.
    pub engine: Option<PathBuf>,
}

/// Paths for git, relative to the declaration's directory, or absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InGit {
    pub root: PathBuf,
    pub lock: PathBuf,
}

/// What to do about a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The likely cause, and the resolution.
    pub cause: &'static str,
    pub steps: Vec<Step>,
}

/// A command to paste, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub what: &'static str,
    pub line: String,
}

impl Step {
    fn new(what: &'static str, line: String) -> Self {
        Self { what, line }
    }
}

/// What to do about a check of a host. `None` if it did not drift and has its lock, or if the ground is not known.
#[must_use]
pub fn of(run: &RunInfo, host: &HostReport, check: &CheckReport) -> Option<Next> {
    let ground = run.ground.as_ref()?;
    let footing = ground.checks.get(&check.name)?;
    let server = host.server.as_ref().map(|server| server.name.as_str());
    let driftlock = |command: &str| ground.driftlock(command);
    let comparison = match &check.outcome {
        Outcome::NoLock => return Some(without_lock(check, footing, server, driftlock)),
        Outcome::Compared { comparison, .. } if check.drifted() => comparison,
        _ => return None,
    };
    let groups = group::groups(check.kind, &comparison.drift);
    let items: Vec<&Item<'_>> = groups.iter().flat_map(|group| &group.items).collect();
    let mut steps = Vec::new();
    // The report may be about another root than the one that is declared now.
    let git = footing.git.as_ref().filter(|_| footing.place == check.root);
    match (server, git) {
        (None, Some(in_git)) => git::steps(&mut steps, ground, in_git, &items),
        (None, None) => {
            if footing.reference {
                let name = shell::word(check.name.as_bytes());
                steps.push(Step::new("see it", format!("{} --patch --check {name}", driftlock("diff"))));
            }
            look(&mut steps, ground, footing, check, &items);
        }
        (Some(name), _) => {
            let is_here = footing.git.is_some() || footing.reference;
            if let (Some(server), Kind::Files | Kind::Trees) = (&host.server, check.kind) {
                let patch = |options: &str| {
                    let (check, server) = (shell::word(check.name.as_bytes()), shell::word(name.as_bytes()));
                    format!("{} --server {server} --patch{options} --check {check}", driftlock("diff"))
                };
                server::steps(&mut steps, ground, (server, check), &items, is_here.then_some(&patch));
            }
        }
    }
    if check.kind == Kind::Compose {
        // Correct the stack first: what its Compose files contradict can't be accepted.
        steps.push(lock_it(check, server, driftlock));
        return Some(Next { cause: cause(check.kind), steps });
    }
    let name = shell::word(check.name.as_bytes());
    let server = server.map(|server| format!(" --server {}", shell::word(server.as_bytes()))).unwrap_or_default();
    // Entries that the run did not keep can't be accepted one by one.
    let mut all = taken(check, &items);
    let places = steps.iter().position(|step| step.what.starts_with("undo")).unwrap_or(steps.len());
    let mut take = Vec::new();
    if comparison.left_out.is_nothing() {
        let few = all.len() <= MOST;
        all.truncate(if few { MOST } else { 1 });
        let what = if few { "take it" } else { "take one" };
        take.push(Step::new(what, format!("{} {}", driftlock("accept") + &server, shell::arguments(&all))));
    }
    if take.is_empty() || take[0].what != "take it" {
        let line = match server.is_empty() {
            true => format!("{} --check {name}", driftlock("lock")),
            false => format!("{} --check {name} {}", driftlock("accept") + &server, shell::arguments(&[&check.root])),
        };
        take.push(Step::new("take all", line));
    }
    let undo = steps.split_off(places);
    steps.extend(take);
    steps.extend(undo);
    steps.retain(|step| step.line.len() <= LONGEST);
    Some(Next { cause: cause(check.kind), steps })
}

/// The likely cause of drift, and the resolution.
const fn cause(kind: Kind) -> &'static str {
    match kind {
        Kind::Files | Kind::ContainerFiles => {
            "Likely a change of the configuration that was not committed: commit it and update the lock, or undo it."
        }
        Kind::Trees => "Likely a change of code that is not in the baseline: update the lock, or undo it.",
        Kind::Compose => {
            "Likely the stack is not what its files declare: bring it up as they say (`docker compose up --detach --remove-orphans`), or hand over what they say now; then update the lock."
        }
        Kind::Containers => {
            "Likely a container that was made anew, from another image: document the upgrade and update the lock, or undo it."
        }
    }
}

fn without_lock(
    check: &CheckReport,
    footing: &Footing,
    server: Option<&str>,
    driftlock: impl Fn(&str) -> String,
) -> Next {
    let steps = match (footing.local, server) {
        (true, _) => vec![lock_it(check, None, driftlock)],
        (false, Some(server)) => vec![lock_it(check, Some(server), driftlock)],
        (false, None) => Vec::new(),
    };
    Next { cause: "Likely nothing was locked yet, or the lock is not committed.", steps }
}

/// The command that writes the lock of a check, from the state here or on a server.
fn lock_it(check: &CheckReport, server: Option<&str>, driftlock: impl Fn(&str) -> String) -> Step {
    let name = shell::word(check.name.as_bytes());
    let server = server.map(|server| format!(" --server {}", shell::word(server.as_bytes()))).unwrap_or_default();
    Step::new("lock it", format!("{} --check {name}{server}", driftlock("lock")))
}

/// The arguments for `accept`: paths or, in a `trees` check, modules, which are accepted whole. Not escaped.
fn taken(check: &CheckReport, items: &[&Item<'_>]) -> Vec<Vec<u8>> {
    let paths = items.iter().flat_map(|item| {
        let from = match item.shape {
            Shape::Entry(drift) => drift.from.as_ref().map(EntryPath::as_bytes),
            Shape::MovedWhole { from } => Some(from),
            Shape::MovedAway { .. } => None,
        };
        std::iter::once(item.path).chain(from.filter(|_| check.kind == Kind::Trees))
    });
    let mut known = BTreeSet::new();
    let paths = paths.map(|path| if check.kind == Kind::Trees { first_name(path) } else { path });
    paths.filter(|path| known.insert(*path)).map(|path| joined(&check.root, path)).collect()
}

/// The items that exist now: all if they are few, otherwise the first.
fn there<'a, 'b>(items: &'b [&'b Item<'a>]) -> impl Iterator<Item = &'b Item<'a>> {
    let there = items.iter().copied().filter(|item| match item.shape {
        Shape::Entry(drift) => drift.actual.is_some(),
        Shape::MovedWhole { .. } => true,
        Shape::MovedAway { .. } => false,
    });
    there.take(if items.len() > MOST { 1 } else { MOST })
}

/// Commands without git: the time and owner of a file, and the engine's description of a container.
fn look(steps: &mut Vec<Step>, ground: &Ground, footing: &Footing, check: &CheckReport, items: &[&Item<'_>]) {
    match (check.kind, &footing.engine) {
        (Kind::Files | Kind::Trees, _) => {
            let paths = there(items).map(|item| {
                let path = joined(&check.root, item.path);
                ground.base.join(std::ffi::OsStr::from_bytes(&path)).into_os_string().into_encoded_bytes()
            });
            let paths: Vec<_> = paths.collect();
            if !paths.is_empty() {
                steps.push(Step::new("who did it", format!("stat {}", shell::arguments(&paths))));
            }
        }
        (Kind::Containers | Kind::Compose, Some(socket)) => {
            let (slots, names): (Vec<_>, Vec<_>) = there(items).map(|item| item.path).partition(|name| is_slot(name));
            if !names.is_empty() || !slots.is_empty() {
                let address = shell::word(&[b"unix://", socket.as_os_str().as_bytes()].concat());
                let is_podman = socket.to_string_lossy().contains("podman");
                let program = if is_podman { "podman --url" } else { "docker --host" };
                if !names.is_empty() {
                    steps
                        .push(Step::new("see it", format!("{program} {address} inspect {}", shell::arguments(&names))));
                }
                // The engine's name for it ends in the id of the task.
                let filter = |slot: &&[u8]| format!(" --filter {}", shell::word(&[b"name=", *slot].concat()));
                if !slots.is_empty() {
                    let filters: String = slots.iter().map(filter).collect();
                    steps.push(Step::new("see it", format!("{program} {address} ps --all --no-trunc{filters}")));
                }
            }
        }
        _ => {}
    }
}

/// Whether the name of a container is that of a slot of a Swarm service: `shop_web.1`.
fn is_slot(name: &[u8]) -> bool {
    let slot = name.rsplit(|&byte| byte == b'.').next().filter(|slot| slot.len() < name.len());
    slot.is_some_and(|slot| !slot.is_empty() && slot.iter().all(u8::is_ascii_digit))
}
