//! Which checks of a run each server is asked for.

use std::collections::HashSet;

use super::{CheckHandles, Session};
use crate::declaration::{Check, Declaration, Server};
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::shell;

impl Session {
    /// The server that this run is about, if it is only one.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        match &self.servers[..] {
            [server] => Some(server),
            _ => None,
        }
    }

    /// Records which servers this run is about.
    pub fn is_about<'a>(&mut self, servers: impl Iterator<Item = &'a Server>) {
        self.servers = servers.map(|server| server.name.clone()).collect();
    }

    /// The command that locks a check of this run.
    #[must_use]
    pub fn lock_line(&self, check: &Check) -> String {
        let option = if check.modes.local { "--as" } else { "--server" };
        let server = self.server().filter(|_| check.lock.per_server);
        let server = server.map(|server| format!(" {option} {}", shell::word(server.as_bytes()))).unwrap_or_default();
        format!("driftlock lock --check {}{server}", shell::word(check.name.as_bytes()))
    }

    /// The paths of the locks that this run may write, below the locks directory.
    pub(super) fn lock_paths(&self) -> Vec<String> {
        let paths = self.checks().flat_map(|check| match check.lock.per_server {
            true => self.servers.iter().map(|server| check.lock.path(Some(server))).collect(),
            false => vec![check.lock.name.clone()],
        });
        paths.collect()
    }

    /// Checks that at least one check of this run is for this machine. `what` is the command, for the message.
    ///
    /// # Errors
    /// All checks are only for servers.
    pub fn for_this_machine(&self, what: &str) -> Result<(), Error> {
        if self.checks().any(|check| check.modes.local) {
            return Ok(());
        }
        let names: Vec<_> = self.checks().map(|check| shell::word(check.name.as_bytes())).collect();
        let declared = self.declared.declaration.servers.first().map(|server| shell::word(server.name.as_bytes()));
        let server = declared.as_deref().unwrap_or("HOST");
        let checks: String = names.iter().map(|name| format!(" --check {name}")).collect();
        let here =
            declared.as_ref().map(|server| format!("; on the server itself: driftlock {what}{checks} --as {server}"));
        let here = here.unwrap_or_default();
        let help = match what {
            "check" => format!("check a server: driftlock check{checks} --server {server}{here}"),
            "lock" => format!("lock the state of a server: driftlock lock{checks} --server {server}{here}"),
            _ => format!(
                "export the state of a server: driftlock export{checks} --server {server} --output runtime, and then driftlock \
                 {what}{checks} --from runtime"
            ),
        };
        let (subject, are) = if names.len() == 1 { ("the check", "is") } else { ("the checks", "are") };
        let problem = format!("there is nothing to {what} here: {subject} {} {are} only for servers", names.join(", "));
        Err(Error::new(ErrorKind::Usage, problem, format!("{help}; or add \"local\" to `modes`")))
    }

    /// The checks of this run that a server is asked for, in the order of the declaration, each with its index in it.
    /// Without `checks` in the declaration, these include checks that are only for this machine: the report says that
    /// they do not apply.
    #[must_use]
    pub fn checks_of(&self, server: &Server) -> Vec<(usize, &Check)> {
        self.opened_of(server).into_iter().map(|opened| (opened.place, opened.check(&self.declared))).collect()
    }

    /// The same checks, with what is open for them.
    pub(super) fn opened_of(&self, server: &Server) -> Vec<&CheckHandles> {
        let Some(named) = server.named_checks() else { return self.checks.iter().collect() };
        let at = |place| self.checks.binary_search_by_key(&place, |opened| opened.place).ok();
        named.into_iter().filter_map(|place| Some(&self.checks[at(place)?])).collect()
    }

    /// The checks of this run that every server is asked for, by their indices in the declaration.
    pub(super) fn asked_everywhere(&self) -> HashSet<usize> {
        let Declaration { checks, servers, .. } = &self.declared.declaration;
        let choosy: Vec<_> = servers.iter().filter_map(Server::named_checks).collect();
        let mut asked = vec![0; checks.len()];
        choosy.iter().flatten().for_each(|&place| asked[place] += 1);
        let everywhere = |&place: &usize| checks[place].modes.server && asked[place] == choosy.len();
        self.checks.iter().map(|opened| opened.place).filter(everywhere).collect()
    }

    /// The checks of this run that are for servers, but that none of these servers is asked for.
    #[must_use]
    pub fn checks_of_none<'a>(&self, servers: impl Iterator<Item = &'a Server> + Clone) -> Vec<&Check> {
        if servers.clone().any(|server| server.check_lists().next().is_none()) {
            return Vec::new();
        }
        let mut asked = vec![false; self.declared.declaration.checks.len()];
        servers.flat_map(Server::check_lists).flatten().for_each(|&place| asked[place] = true);
        let left = self.checks.iter().filter(|opened| !asked[opened.place]);
        left.map(|opened| opened.check(&self.declared)).filter(|check| check.modes.server).collect()
    }
}

/// The error for servers that are asked for none of the checks of a run.
#[must_use]
pub fn nothing_asked(servers: &[&str], checks: &[&str]) -> Error {
    let (whose, are) = if servers.len() == 1 { ("its", "is") } else { ("their", "are") };
    let (servers, checks) = (some(servers, "and"), some(checks, "or"));
    Error::new(
        ErrorKind::Usage,
        format!(
            "there is nothing to check: {servers} {are} not asked for {checks}, because of {whose} `checks` or those of {whose} groups"
        ),
        "leave out --check, or name the check in `checks` of the server or of a group that it is in",
    )
}

/// Names in a sentence: a few, and the number of the others.
#[must_use]
pub fn some(names: &[&str], last: &str) -> String {
    const MOST: usize = 12;
    let names: Vec<_> = names.iter().map(|name| escaped(name.as_bytes()).to_string()).collect();
    match &names[..] {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] if names.len() <= MOST => format!("{} {last} {end}", first.join(", ")),
        _ => format!("{} {last} {} more", names[..MOST].join(", "), names.len() - MOST),
    }
}
