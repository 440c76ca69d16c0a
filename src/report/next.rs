//! What to do next about a check that failed: see what changed, who did it, take it, undo it; each as a line that works when
//! it is pasted into a shell.
//!
//! All of it follows from what drifted and from [`Ground`], where the reader stands; nothing is run for it. A report as JSON
//! has none of it: the lines depend on the reader's directory, a program has the paths, and commands out of a
//! file that another user may have written are not to be pasted.

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

/// With more items than this, lines are about one of them, or about all.
const MOST: usize = 4;

/// The longest line, in bytes. A terminal cuts a longer one, and a path like that is no accident.
const LONGEST: usize = 4000;

/// Where the operator stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// The declaration, if it is not found unless it is named.
    pub config: Option<PathBuf>,
    /// The server that this machine is taken for.
    pub as_server: Option<String>,
    /// The declaration's directory, as from the working directory; empty if that is it.
    pub base: PathBuf,
    /// The same directory below the top of its git work tree, where patches begin.
    pub below_work_tree: PathBuf,
    /// What starts a shell command on each server, such as `ssh -p 2222 deploy@web.example.org`.
    pub ssh: HashMap<String, String>,
    pub checks: HashMap<String, Footing>,
}

impl Ground {
    /// The beginning of a line that starts driftlock for this declaration.
    #[must_use]
    pub fn driftlock(&self, command: &str) -> String {
        let config =
            self.config.as_deref().map(|file| format!(" --config {}", shell::word(file.as_os_str().as_bytes())));
        let server = self.as_server.as_deref().map(|server| format!(" --as {}", shell::word(server.as_bytes())));
        format!("driftlock {command}{}{}", config.unwrap_or_default(), server.unwrap_or_default())
    }

    /// What has git work in the declaration's directory; empty where that is the working directory.
    #[must_use]
    pub fn git_directory(&self) -> String {
        match self.base.as_os_str().as_bytes() {
            b"" => String::new(),
            base => format!(" -C {}", shell::word(base)),
        }
    }
}

/// What is known of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footing {
    /// Whether this machine can write its lock.
    pub local: bool,
    /// Where its entries are, as the declaration says now.
    pub place: String,
    /// If root and lock lie in the git work tree that the declaration is in.
    pub git: Option<InGit>,
    /// Whether it declares a tree that may have what is locked.
    pub reference: bool,
    /// The socket of its engine.
    pub engine: Option<PathBuf>,
}

/// Paths as git takes them in the declaration's directory: relative to it, or absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InGit {
    pub root: PathBuf,
    pub lock: PathBuf,
}

/// What to do about one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The likely reason, and the resolution.
    pub cause: &'static str,
    pub steps: Vec<Step>,
}

/// A line to paste, and what it is for.
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

/// What to do next about a check of a host; nothing where it did not drift and has its lock, or where nothing is known of the
/// ground.
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
    // A report of other roots knows other files.
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
        // Nothing is to be taken before the stack is as its files say.
        steps.push(lock_it(check, server, driftlock));
        return Some(Next { cause: cause(check.kind), steps });
    }
    let name = shell::word(check.name.as_bytes());
    let server = server.map(|server| format!(" --server {}", shell::word(server.as_bytes()))).unwrap_or_default();
    // What there is no room for can't be taken one by one.
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

/// The likely reason of drift, and the resolution.
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

/// The line that writes the lock of a check, out of what is here or on a server.
fn lock_it(check: &CheckReport, server: Option<&str>, driftlock: impl Fn(&str) -> String) -> Step {
    let name = shell::word(check.name.as_bytes());
    let server = server.map(|server| format!(" --server {}", shell::word(server.as_bytes()))).unwrap_or_default();
    Step::new("lock it", format!("{} --check {name}{server}", driftlock("lock")))
}

/// What `accept` has to be told: of trees the modules, which are taken whole. Raw.
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

/// The items of which something is there: a few, or the first of many.
fn there<'a, 'b>(items: &'b [&'b Item<'a>]) -> impl Iterator<Item = &'b Item<'a>> {
    let there = items.iter().copied().filter(|item| match item.shape {
        Shape::Entry(drift) => drift.actual.is_some(),
        Shape::MovedWhole { .. } => true,
        Shape::MovedAway { .. } => false,
    });
    there.take(if items.len() > MOST { 1 } else { MOST })
}

/// Where there is no git: when it was changed and whose it is; what an engine says of a container.
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
                // The engine's own name for it has the id of the task behind that.
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

/// Whether a container is called as the slot of a service of Swarm's is: `shop_web.1`.
fn is_slot(name: &[u8]) -> bool {
    let slot = name.rsplit(|&byte| byte == b'.').next().filter(|slot| slot.len() < name.len());
    slot.is_some_and(|slot| !slot.is_empty() && slot.iter().all(u8::is_ascii_digit))
}
