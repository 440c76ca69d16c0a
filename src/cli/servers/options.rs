//! What the options say of servers: which ones, and how long they may take.

use std::collections::HashMap;
use std::time::Duration;

use crate::capability::{Declared, shown};
use crate::cli::arguments::Servers;
use crate::declaration::{Group, Problem, Server};
use crate::path::escaped;
use crate::remote::connection::Limits;
use crate::trouble::Trouble;

impl Servers {
    /// Whether the command is about servers.
    pub const fn are_named(&self) -> bool {
        self.all_servers || !self.servers.is_empty() || !self.groups.is_empty()
    }

    /// Makes sure that nothing is said of servers, and gives how long the run itself may take.
    ///
    /// # Errors
    /// The first option that is about servers alone.
    pub fn none_but_timeout(&self) -> Result<Option<Duration>, Trouble> {
        Self { timeout: None, ..self.clone() }.none()?;
        Ok(self.timeout.map(|seconds| Duration::from_secs(seconds.get().into())))
    }

    /// Makes sure that nothing is said of servers.
    ///
    /// # Errors
    /// The first option that is.
    pub fn none(&self) -> Result<(), Trouble> {
        let given = [
            (self.ssh_user.is_some(), "--ssh-user"),
            (self.ssh_key.is_some(), "--ssh-key"),
            (self.ssh_port.is_some(), "--ssh-port"),
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
                "name one with --server, those of a group with --group, or all with --all-servers",
            )),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let seconds = |given: Option<std::num::NonZeroU32>, default| {
            Duration::from_secs(given.map_or(default, |seconds| seconds.get().into()))
        };
        Limits { idle: seconds(self.idle_timeout, 60), total: seconds(self.timeout, 3600) }
    }

    /// The servers that are meant, each once, in the order in which they are named.
    pub(super) fn meant(&self, declared: &Declared) -> Result<Vec<Server>, Trouble> {
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
        let by_name: HashMap<&str, &Server> = known.iter().map(|server| (server.name.as_str(), server)).collect();
        let mut meant = Meant::default();
        for given in &self.servers {
            let server = match by_name.get(given.as_str()) {
                Some(server) => (*server).clone(),
                None => {
                    let server = undeclared(given, known)?;
                    if let Some(declared) = by_name.get(server.name.as_str()) {
                        let (given, name) = (escaped(given.as_bytes()), escaped(declared.name.as_bytes()));
                        return Err(Trouble::new(
                            format!("--server {given}: {name} is declared, with a way in of its own"),
                            format!("write --server {name} and --ssh-user"),
                        ));
                    }
                    server
                }
            };
            meant.add("--server", given, server)?;
        }
        let groups: HashMap<&str, &Group> =
            declared.declaration.groups.iter().map(|group| (group.name.as_str(), group)).collect();
        for given in &self.groups {
            let group = groups.get(given.as_str()).ok_or_else(|| no_group(given, declared))?;
            group.servers.iter().try_for_each(|&place| meant.add("--group", given, known[place].clone()))?;
        }
        Ok(meant.servers)
    }
}

/// Servers that are meant, each once.
#[derive(Default)]
struct Meant {
    servers: Vec<Server>,
    places: HashMap<String, usize>,
}

impl Meant {
    /// Adds a server that an option names.
    fn add(&mut self, option: &str, given: &str, server: Server) -> Result<(), Trouble> {
        match self.places.get(&server.name).map(|&place| &self.servers[place]) {
            None => {
                self.places.insert(server.name.clone(), self.servers.len());
                self.servers.push(server);
                Ok(())
            }
            Some(other) if *other == server => Ok(()),
            Some(_) => {
                let (given, name) = (escaped(given.as_bytes()), escaped(server.name.as_bytes()));
                Err(Trouble::new(
                    format!("{option} {given}: there is another server {name} in this run"),
                    "check them one after the other, or declare them under two names",
                ))
            }
        }
    }
}

/// A host that is not declared.
fn undeclared(given: &str, known: &[Server]) -> Result<Server, Trouble> {
    Server::undeclared(given).map_err(|problem| {
        let known: Vec<_> = known.iter().map(|server| server.name.as_str()).collect();
        let declared = if known.is_empty() { String::new() } else { format!("one of {}, or ", known.join(", ")) };
        let remedy = match &problem {
            Problem::HostWithPort { host, port } => {
                let user = given.rsplit_once('@').map_or("", |(user, _)| user);
                let at = if user.is_empty() { "" } else { "@" };
                // Escaped whole: an address that begins with `::` is no line that does.
                let arguments = format!("--server {user}{at}{host} --ssh-port {port}");
                format!("write `{}`", escaped(arguments.as_bytes()))
            }
            _ => format!("name {declared}a host as OpenSSH knows it"),
        };
        Trouble::new(format!("--server {}: {problem}", escaped(given.as_bytes())), remedy)
    })
}

fn no_group(given: &str, declared: &Declared) -> Trouble {
    let known: Vec<_> = declared.declaration.groups.iter().map(|group| group.name.as_str()).collect();
    let remedy = match &known[..] {
        [] => "declare it, `[group.NAME]` with its `servers`".to_owned(),
        _ => format!("name one of: {}", known.join(", ")),
    };
    let file = shown(&declared.file);
    Trouble::new(format!("--group {}: {file} declares no such group", escaped(given.as_bytes())), remedy)
}
