//! `driftlock export --server`: the same of another machine, over SSH.

use std::io::BufRead;
use std::path::Path;

use super::{Live, State, empty, write_down};
use crate::capability::raw;
use crate::cli::arguments::{Common, Servers};
use crate::cli::servers::{Connection, Connections, no_root, place};
use crate::container::Inventory;
use crate::declaration::Server;
use crate::manifest::List;
use crate::path::escaped;
use crate::remote::request::{Asked, Extent};
use crate::remote::{Answer, AnswerError};
use crate::sandbox::Requirement;
use crate::session::{Collected, LocksAccess, Run, Session};
use crate::trouble::Trouble;

/// What a server has sent.
#[derive(Default)]
struct Received {
    /// In the order in which they were asked for.
    checks: Vec<Result<Collected, Trouble>>,
    engines: Engines,
}

/// Asks the server for all that is to be read there. An answer that is not whole is none, and nothing is written.
///
/// # Errors
/// Servers that are not one, and one that can't be reached or does not answer in full.
pub(super) fn run(common: &Common, output: &Path, options: &Servers) -> Result<u8, Trouble> {
    let request = common.request();
    let session = Session::for_servers(&request, LocksAccess::Read)?;
    let connections = Connections::prepare(&session, options)?;
    let server = connections.only("export writes down what one server has")?;
    let directory = empty(&session, output)?;
    let run = session.enter([&directory])?;
    let (checks, engines) = connections
        .one(|connection| state(&run, connection, server, request.requirement))
        .map_err(|trouble| Trouble::new(format!("{}; nothing was written", trouble.problem), trouble.remedy))?;
    write_down(common, output, &directory, State { server: Some(&server.name), checks, engines })
}

/// Each engine, by its socket.
type Engines = Vec<(String, Result<Inventory, Trouble>)>;

/// All that a server has of the checks that it is asked for.
///
/// # Errors
/// One that can't be reached, or does not answer in full.
pub fn state<'a>(
    run: &'a Run,
    connection: &Connection<'_>,
    server: &Server,
    requirement: Requirement,
) -> Result<(Vec<Live<'a>>, Engines), Trouble> {
    // What is for this machine alone is no state of a server.
    let checks: Vec<_> = run.session.checks_of(server).into_iter().map(|(_, check)| check).collect();
    let checks = || checks.iter().copied().filter(|check| check.modes.server);
    let asked = checks().filter(|check| run.project(check).is_ok());
    let asked: Vec<_> = asked.filter_map(|check| Some(Asked { check, root: server.root(check)? })).collect();
    let name = escaped(server.name.as_bytes());
    if asked.is_empty() {
        checks().try_for_each(|check| run.project(check).map(drop))?;
        return Err(Trouble::new(
            format!("there is nothing to ask {name} for"),
            "declare a check whose `modes` have \"server\", and where it looks there: `server_root`",
        ));
    }
    let mut received = Received::default();
    let (_, answered) =
        connection.ask(&asked, requirement, Extent::Export, |answer| receive(answer, &asked, &mut received));
    let of_server = |trouble: Trouble| Trouble::new(format!("{name}: {}", trouble.problem), trouble.remedy);
    answered.map_err(of_server)?;
    let mut found = received.checks.into_iter();
    let live = |check| {
        let root = server.root(check);
        let missing = || Err(Trouble::new("it was not collected", "report this as a bug"));
        let found = match (run.project(check), root) {
            (Err(trouble), _) => Err(trouble),
            (Ok(_), None) => Err(no_root(check, server)),
            (Ok(_), Some(_)) => found.next().unwrap_or_else(missing).map_err(of_server),
        };
        Live { check, place: place(check, root), found }
    };
    let checks = checks().map(live).collect();
    let engines = received.engines.into_iter();
    let engines = engines.map(|(socket, inventory)| (socket, inventory.map_err(of_server))).collect();
    Ok((checks, engines))
}

/// Reads an answer to its end.
fn receive(answer: Answer<impl BufRead>, asked: &[Asked<'_>], received: &mut Received) -> Result<(), AnswerError> {
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
        received.checks.push(found);
    }
    for (number, Asked { check, .. }) in asked.iter().enumerate() {
        let Some(engine) = &check.engine else { continue };
        let mut before = asked[..number].iter().filter_map(|asked| asked.check.engine.as_ref());
        if before.all(|before| before.socket != engine.socket) {
            let socket = raw(&engine.socket);
            let inventory = answer.engine(&socket)?;
            received.engines.push((socket, inventory));
        }
    }
    answer.end()
}
