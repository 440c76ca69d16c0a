//! The live state, check by check, for `lock` and `export`: of this machine or of a server.

use std::collections::HashSet;
use std::io::BufRead;

use super::Follow;
use super::asked;
use super::connections::Connection;
use crate::capability::raw;
use crate::compare::DifferenceBudget;
use crate::container::Inventory;
use crate::declaration::Server;
use crate::error::{Error, ErrorKind};
use crate::manifest::List;
use crate::path::escaped;
use crate::remote::request::{Asked, Extent};
use crate::remote::{Answer, AnswerError};
use crate::session::{Collected, OpenCheck, Run, Wanted, in_order};

/// A check and its live state.
pub struct Live<'r> {
    pub check: OpenCheck<'r>,
    pub found: Result<Collected, Error>,
}

/// Each engine, by its socket.
pub type Engines = Vec<(String, Result<Inventory, Error>)>;

/// Collects these checks on this machine, with the NAR of each module.
pub fn here<'r>(run: &'r Run, checks: impl Iterator<Item = OpenCheck<'r>>, follow: impl Follow) -> Vec<Live<'r>> {
    let found = follow.follow(|progress| run.collect(checks.collect(), Wanted::of, true, progress));
    found.into_iter().map(|(check, found)| Live { check, found }).collect()
}

/// Collects the checks that a server is asked for. An incomplete answer is an error.
///
/// # Errors
/// The server can't be reached, or does not answer in full.
pub fn of_server<'r>(
    run: &'r Run,
    connection: Connection<'_>,
    server: &'r Server,
) -> Result<(Vec<Live<'r>>, Engines), Error> {
    let name = escaped(server.name.as_bytes());
    let of_server = |error: Error| error.map_problem(|problem| format!("{name}: {problem}"));
    // Checks that are only for this machine are not part of a server's state.
    let checks = run.checks_of(server).filter(|check| check.check.modes.server);
    let mut failed = Vec::new();
    let mut open = Vec::new();
    for (place, check) in checks.enumerate() {
        match check.project().and_then(|_| check.root_there(server)) {
            Ok(_) => open.push((place, check)),
            Err(trouble) => failed.push((place, check, trouble)),
        }
    }
    if open.is_empty() {
        if let Some(trouble) = failed.iter().find_map(|(_, check, _)| check.project().err()) {
            return Err(trouble);
        }
        return Err(Error::new(
            ErrorKind::Usage,
            format!("there is nothing to read on {name}: no check is for it"),
            "declare a check with \"server\" in its `modes`, and its `server_root`",
        ));
    }
    let asked = asked(open.iter().map(|(_, check)| *check), server);
    let mut received = Received::default();
    let (_, answered) = connection.ask(&asked, Extent::Export, |answer| received.read(answer, &asked));
    answered.map_err(of_server)?;
    let failed = failed.into_iter().map(|(place, check, trouble)| (place, Live { check, found: Err(trouble) }));
    let found = open.into_iter().zip(received.checks);
    let found = found.map(|((place, check), found)| (place, Live { check, found: found.map_err(of_server) }));
    let all = in_order(failed.chain(found).collect());
    let engines = received.engines.into_iter();
    let engines = engines.map(|(socket, inventory)| (socket, inventory.map_err(of_server))).collect();
    Ok((all, engines))
}

/// The answer of a server.
#[derive(Default)]
struct Received {
    /// In the order of the request.
    checks: Vec<Result<Collected, Error>>,
    engines: Engines,
}

impl Received {
    /// Reads an answer to its end.
    fn read(&mut self, answer: Answer<impl BufRead>, asked: &[Asked<'_>]) -> Result<(), AnswerError> {
        let mut answer = answer.of_export();
        for Asked { check, .. } in asked {
            let found = match answer.check(check)? {
                Err(trouble) => Err(trouble),
                Ok(mut collected) => {
                    let list = List::read(&mut collected);
                    // An error in the answer comes first.
                    // The limit here is the length of the whole answer.
                    collected.finish(&mut DifferenceBudget::unlimited())?;
                    list.map(Collected::from)
                        .map_err(|error| Error::new(ErrorKind::Server, error.to_string(), error.help()))
                }
            };
            self.checks.push(found);
        }
        let mut known = HashSet::new();
        for engine in asked.iter().filter_map(|asked| asked.check.engine.as_ref()) {
            if known.insert(&engine.socket) {
                let socket = raw(&engine.socket);
                let inventory = answer.engine(&socket)?;
                self.engines.push((socket, inventory));
            }
        }
        answer.end()
    }
}
