//! The live state, check by check, to be written down: on this machine, on a server, or in an export.

use std::collections::HashSet;
use std::io::BufRead;

use super::Follow;
use super::asked;
use super::connections::Connection;
use crate::capability::raw;
use crate::container::Inventory;
use crate::declaration::Server;
use crate::manifest::List;
use crate::path::escaped;
use crate::remote::request::{Asked, Extent};
use crate::remote::{Answer, AnswerError};
use crate::session::{Collected, OpenCheck, Run, Wanted, in_order};
use crate::trouble::Trouble;

/// A check, and the live state of it.
pub struct Live<'r> {
    pub check: OpenCheck<'r>,
    pub found: Result<Collected, Trouble>,
}

/// Each engine, by its socket.
pub type Engines = Vec<(String, Result<Inventory, Trouble>)>;

/// All that this machine has of these checks, with the NAR of each module.
pub fn here<'r>(run: &'r Run, checks: impl Iterator<Item = OpenCheck<'r>>, follow: impl Follow) -> Vec<Live<'r>> {
    let found = follow.follow(|progress| run.collect(checks.collect(), Wanted::of, true, progress));
    found.into_iter().map(|(check, found)| Live { check, found }).collect()
}

/// All that a server has of the checks that it is asked for. An answer that is not whole is none.
///
/// # Errors
/// One that can't be reached, or does not answer in full.
pub fn of_server<'r>(
    run: &'r Run,
    connection: Connection<'_>,
    server: &'r Server,
) -> Result<(Vec<Live<'r>>, Engines), Trouble> {
    let name = escaped(server.name.as_bytes());
    let of_server = |trouble: Trouble| Trouble::new(format!("{name}: {}", trouble.problem), trouble.remedy);
    // What is for this machine alone is no state of a server.
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
        return Err(Trouble::new(
            format!("there is nothing to ask {name} for"),
            "declare a check whose `modes` have \"server\", and where it looks there: `server_root`",
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

/// What a server has sent.
#[derive(Default)]
struct Received {
    /// In the order in which they were asked for.
    checks: Vec<Result<Collected, Trouble>>,
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
                    // What was wrong with the answer comes first.
                    // The length of the whole answer is the bound here.
                    collected.finish(&mut usize::MAX.clone())?;
                    list.map(Collected::from).map_err(|error| Trouble::new(error.to_string(), error.remedy()))
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
