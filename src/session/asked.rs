//! Which checks of a run a server is asked for.

use super::Session;
use crate::declaration::{Check, Declaration, Server};
use crate::path::escaped;
use crate::trouble::Trouble;

impl Session {
    /// The checks of this run that a server is asked for, in the order of the declaration, each with its place in the run. Where
    /// nothing says which, those for this machine alone are among them: a report says that they do not apply.
    #[must_use]
    pub fn checks_of(&self, server: &Server) -> Vec<(usize, &Check)> {
        let Some(named) = server.named_checks() else { return self.checks().enumerate().collect() };
        let checks = &self.declared.declaration.checks;
        let found =
            named.into_iter().filter_map(|place| Some((self.selected.binary_search(&place).ok()?, &checks[place])));
        found.collect()
    }

    /// Of each check of this run, whether every server is asked for it.
    #[must_use]
    pub fn asked_everywhere(&self) -> Vec<bool> {
        let Declaration { checks, servers, .. } = &self.declared.declaration;
        let choosy: Vec<_> = servers.iter().filter_map(Server::named_checks).collect();
        let mut asked = vec![0; checks.len()];
        choosy.iter().flatten().for_each(|&place| asked[place] += 1);
        let everywhere = |&place: &usize| checks[place].modes.server && asked[place] == choosy.len();
        self.selected.iter().map(everywhere).collect()
    }

    /// The checks of this run that are for servers, and that none of these is asked for.
    #[must_use]
    pub fn checks_of_none(&self, servers: &[Server]) -> Vec<&Check> {
        if servers.iter().any(|server| server.checks.is_empty()) {
            return Vec::new();
        }
        let mut asked = vec![false; self.declared.declaration.checks.len()];
        servers
            .iter()
            .flat_map(|server| &server.checks)
            .flat_map(|named| named.iter())
            .for_each(|&place| asked[place] = true);
        let left = self.selected.iter().filter(|place| !asked[**place]);
        left.map(|&place| &self.declared.declaration.checks[place]).filter(|check| check.modes.server).collect()
    }
}

/// What to say of servers that are asked for none of the checks of a run.
#[must_use]
pub fn for_nothing(servers: &[&str], checks: &[&str]) -> Trouble {
    let (whose, are) = if servers.len() == 1 { ("its", "is") } else { ("their", "are") };
    let (servers, checks) = (some(servers, "and"), some(checks, "or"));
    Trouble::new(
        format!(
            "there is nothing to ask for: {servers} {are} not asked for {checks}, as {whose} `checks` or those of {whose} groups say"
        ),
        "leave out --check, or name the check in `checks` of the server or of a group that it is in",
    )
}

/// Names in a sentence: a few, and how many there are beside them.
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
