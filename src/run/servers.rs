//! Which servers a run asks, and how.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::capability::{Declared, shown};
use crate::declaration::{Group, Problem, Server};
use crate::error::{Error, ErrorKind};
use crate::path::escaped;
use crate::remote::connection::Limits;

/// Which servers a run asks, and how.
#[derive(Clone, Debug)]
pub struct Servers {
    /// Names of declared servers, and hosts.
    pub named: Vec<String>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Whether to ask all declared servers.
    pub all: bool,
    /// The user, the private key and the port for all servers, instead of the declared ones.
    pub user: Option<String>,
    pub key: Option<PathBuf>,
    pub port: Option<u16>,
    pub program: Pushed,
    /// How many servers are asked at once.
    pub jobs: NonZeroUsize,
    pub connect_timeout: Duration,
    pub limits: Limits,
}

/// The program that answers on a server.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// The installed one.
    Nothing,
    /// This program, which is sent.
    Own,
    /// The program in this file, which is sent.
    File(PathBuf),
}

impl Servers {
    /// The selected servers, each once, in the order in which they are named.
    pub(super) fn selected(&self, declared: &Declared) -> Result<Vec<Server>, Error> {
        let known = &declared.declaration.servers;
        if self.all {
            if known.is_empty() {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("--all-servers: {} declares no server", shown(&declared.file)),
                    "declare them, `[server.NAME]` with its `host`, or name a host with --server",
                ));
            }
            return Ok(known.clone());
        }
        let by_name: HashMap<&str, &Server> = known.iter().map(|server| (server.name.as_str(), server)).collect();
        let mut selected = Selected::default();
        for given in &self.named {
            let server = match by_name.get(given.as_str()) {
                Some(server) => (*server).clone(),
                None => {
                    let server = undeclared(given, known)?;
                    if let Some(declared) = by_name.get(server.name.as_str()) {
                        let (given, name) = (escaped(given.as_bytes()), escaped(declared.name.as_bytes()));
                        return Err(Error::new(
                            ErrorKind::Usage,
                            format!("--server {given}: the server {name} is declared, with its own login"),
                            format!("write --server {name} and --ssh-user"),
                        ));
                    }
                    server
                }
            };
            selected.add("--server", given, server)?;
        }
        let groups: HashMap<&str, &Group> =
            declared.declaration.groups.iter().map(|group| (group.name.as_str(), group)).collect();
        for given in &self.groups {
            let group = groups.get(given.as_str()).ok_or_else(|| no_group(given, declared))?;
            group.servers.iter().try_for_each(|&place| selected.add("--group", given, known[place].clone()))?;
        }
        Ok(selected.servers)
    }
}

/// The selected servers, each once.
#[derive(Default)]
struct Selected {
    servers: Vec<Server>,
    places: HashMap<String, usize>,
}

impl Selected {
    /// Adds a server that an option names.
    fn add(&mut self, option: &str, given: &str, server: Server) -> Result<(), Error> {
        match self.places.get(&server.name).map(|&place| &self.servers[place]) {
            None => {
                self.places.insert(server.name.clone(), self.servers.len());
                self.servers.push(server);
                Ok(())
            }
            Some(other) if *other == server => Ok(()),
            Some(_) => {
                let (given, name) = (escaped(given.as_bytes()), escaped(server.name.as_bytes()));
                Err(Error::new(
                    ErrorKind::Usage,
                    format!("{option} {given}: there is another server {name} in this run"),
                    "check them one after the other, or declare them under two names",
                ))
            }
        }
    }
}

/// A host that is not declared.
fn undeclared(given: &str, known: &[Server]) -> Result<Server, Error> {
    Server::undeclared(given).map_err(|problem| {
        let known: Vec<_> = known.iter().map(|server| server.name.as_str()).collect();
        let declared = if known.is_empty() { String::new() } else { format!("one of {}, or ", known.join(", ")) };
        let help = match &problem {
            Problem::HostWithPort { host, port } => {
                let user = given.rsplit_once('@').map_or("", |(user, _)| user);
                let at = if user.is_empty() { "" } else { "@" };
                // The whole line is escaped: an address that begins with `::` is not at the beginning of it.
                let arguments = format!("--server {user}{at}{host} --ssh-port {port}");
                format!("write `{}`", escaped(arguments.as_bytes()))
            }
            _ => format!("name {declared}a host as OpenSSH knows it"),
        };
        Error::new(ErrorKind::Usage, format!("--server {}: {problem}", escaped(given.as_bytes())), help)
    })
}

fn no_group(given: &str, declared: &Declared) -> Error {
    let known: Vec<_> = declared.declaration.groups.iter().map(|group| group.name.as_str()).collect();
    let help = match &known[..] {
        [] => "declare it, `[group.NAME]` with its `servers`".to_owned(),
        _ => format!("name one of: {}", known.join(", ")),
    };
    let file = shown(&declared.file);
    Error::new(ErrorKind::Usage, format!("--group {}: {file} declares no such group", escaped(given.as_bytes())), help)
}
