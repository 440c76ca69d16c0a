//! Which servers a run asks, and how.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::capability::{Declared, shown};
use crate::declaration::{Group, Problem, Server};
use crate::path::escaped;
use crate::remote::connection::Limits;
use crate::trouble::Trouble;

/// Which servers a run asks, and how.
#[derive(Clone, Debug)]
pub struct Servers {
    /// Declared names, and hosts.
    pub named: Vec<String>,
    /// The names of groups.
    pub groups: Vec<String>,
    /// All that are declared.
    pub all: bool,
    /// The user, the private key and the port on all of them, in the place of what is declared.
    pub user: Option<String>,
    pub key: Option<PathBuf>,
    pub port: Option<u16>,
    pub program: Pushed,
    /// How many are asked at once.
    pub jobs: NonZeroUsize,
    pub connect_timeout: Duration,
    pub limits: Limits,
}

/// The program that answers on a server.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// The one that is installed there.
    Nothing,
    /// This one, which is sent along.
    Own,
    /// The one in this file, which is sent along.
    File(PathBuf),
}

impl Servers {
    /// The servers that are meant, each once, in the order in which they are named.
    pub(super) fn meant(&self, declared: &Declared) -> Result<Vec<Server>, Trouble> {
        let known = &declared.declaration.servers;
        if self.all {
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
        for given in &self.named {
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
