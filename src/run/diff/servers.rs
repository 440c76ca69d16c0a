//! The difference between two servers, without a lock.

use std::collections::HashSet;

use crate::compare::{self, Comparison, DifferenceBudget};
use crate::declaration::{Check, Server};
use crate::error::{Error, ErrorKind};
use crate::manifest::LockError;
use crate::path::escaped;
use crate::remote::AnswerError;
use crate::remote::request::{Asked, Extent};
use crate::run::DIFFERENCES_LIMIT;
use crate::run::connections::{Connections, Exactly, Targets};
use crate::session::{OpenCheck, Run};

/// The difference between two servers. Entries that only the second has are added; those that only the first has are
/// removed.
pub struct Difference<'r> {
    pub servers: [&'r Server; 2],
    /// The checks that both are asked for, with the roots of the second.
    pub checks: Vec<(OpenCheck<'r>, Comparison)>,
    /// The checks that only one of them is asked for, with that server.
    pub of_one: Vec<(&'r Check, &'r Server)>,
}

/// Compares two servers, check by check.
///
/// # Errors
/// There are not exactly two servers, or one can't be reached or does not answer in full.
pub fn servers<'r>(run: &'r Run, targets: &'r Targets, connections: Connections) -> Result<Difference<'r>, Error> {
    let Some(connections) = connections.exactly::<2>(targets) else {
        let mut asked = targets.servers();
        return Err(match (asked.next(), &targets.skipped[..]) {
            (Some(one), [other]) if targets.named() == 2 => nothing_in_common(one, other),
            _ => Error::new(
                ErrorKind::Usage,
                format!("diff compares two servers, and {} are named", targets.named()),
                "write `driftlock diff --server A --server B`",
            ),
        });
    };
    let servers @ [a, b] = connections.servers();
    let (both, of_one) = shared(run, servers);
    if both.is_empty() && !of_one.is_empty() {
        return Err(nothing_in_common(a, b));
    }
    both.iter().try_for_each(|check| check.project().map(drop))?;
    let asked = [asked(&both, a)?, asked(&both, b)?];
    let found = compare(connections, &asked)?;
    Ok(Difference { servers, checks: both.into_iter().zip(found).collect(), of_one })
}

/// The checks that both are asked for; and those that only one is asked for, with that server.
fn shared<'r>(run: &'r Run, [a, b]: [&'r Server; 2]) -> (Vec<OpenCheck<'r>>, Vec<(&'r Check, &'r Server)>) {
    let for_servers = |server| run.checks_of(server).filter(|check: &OpenCheck<'r>| check.applies());
    let names = |server| for_servers(server).map(|check| &*check.check.name).collect::<HashSet<_>>();
    let (in_a, in_b) = (names(a), names(b));
    let only = |server: &'r Server, others: &HashSet<&str>| {
        let only = for_servers(server).filter(|check| !others.contains(&*check.check.name));
        only.map(|check| (check.check, server)).collect::<Vec<_>>()
    };
    let of_one = [only(a, &in_b), only(b, &in_a)].concat();
    (for_servers(b).filter(|check| in_a.contains(&*check.check.name)).collect(), of_one)
}

fn nothing_in_common(a: &Server, b: &Server) -> Error {
    let (a, b) = (escaped(a.name.as_bytes()), escaped(b.name.as_bytes()));
    Error::new(
        ErrorKind::Usage,
        format!("there is nothing to compare: no check of this run is for both {a} and {b}"),
        "name two servers with a check in common: look at `checks` of servers and groups in the declaration",
    )
}

fn asked<'r>(checks: &[OpenCheck<'r>], server: &'r Server) -> Result<Vec<Asked<'r>>, Error> {
    checks.iter().map(|open| Ok(Asked { check: open.check, root: open.root_there(server)? })).collect()
}

/// Asks both servers at the same time, and compares their answers while they arrive.
fn compare(connections: Exactly<'_, 2>, asked: &[Vec<Asked<'_>>; 2]) -> Result<Vec<Comparison>, Error> {
    let [asked_a, asked_b] = asked;
    let [server_a, server_b] = connections.servers();
    let mut found = Vec::new();
    let mut budget = DifferenceBudget::refusing(DIFFERENCES_LIMIT);
    // Errors of neither connection, and errors in the first answer while the second was read.
    let (mut trouble, mut wrong_a, mut result_b) = (None, false, Ok(()));
    let result_a = connections.connect(|[a, b]| {
        let reading_a = a.ask(asked_a, Extent::Entries, |mut answer_a| {
            let mut error_a = None;
            let (_, result) = b.ask(asked_b, Extent::Entries, |mut answer_b| {
                for (ask_a, ask_b) in asked_a.iter().zip(asked_b) {
                    let mut left = match answer_a.check(ask_a.check) {
                        Ok(Ok(left)) => left,
                        Ok(Err(failed)) => {
                            trouble = Some(of(server_a, &failed));
                            return Err(AnswerError::Abandoned);
                        }
                        Err(error) => {
                            error_a = Some(error);
                            return Err(AnswerError::Abandoned);
                        }
                    };
                    let mut right = match answer_b.check(ask_b.check)? {
                        Ok(right) => right,
                        Err(failed) => {
                            trouble = Some(of(server_b, &failed));
                            return Err(AnswerError::Abandoned);
                        }
                    };
                    let compared = compare::compare(&mut budget, &mut left, &mut right);
                    if let Err(error @ LockError::TooDifferent) = compared {
                        let problem = format!("the check {}: {error}", ask_a.check.name);
                        trouble = Some(Error::new(
                            ErrorKind::Lock,
                            problem,
                            "check that `server_root` is the same tree on both servers",
                        ));
                        return Err(AnswerError::Abandoned);
                    }
                    if let Err(error) = left.finish(&mut budget) {
                        error_a = Some(error);
                        return Err(AnswerError::Abandoned);
                    }
                    right.finish(&mut budget)?;
                    match compared {
                        Ok(compared) => found.push(compared),
                        Err(error) => {
                            trouble = Some(Error::new(ErrorKind::Lock, error.to_string(), error.help()));
                            return Err(AnswerError::Abandoned);
                        }
                    }
                }
                answer_b.end()
            });
            result_b = result;
            match error_a {
                Some(error) => {
                    wrong_a = true;
                    Err(error)
                }
                None if result_b.is_err() => Err(AnswerError::Abandoned),
                None => answer_a.end(),
            }
        });
        reading_a.1.map_err(|trouble| of(server_a, &trouble))
    });
    match (trouble, result_b) {
        (Some(trouble), _) => Err(trouble),
        (None, Err(trouble)) if !wrong_a => Err(of(server_b, &trouble)),
        _ => result_a.map(|()| found),
    }
}

/// The error of one server, with its name.
fn of(server: &Server, trouble: &Error) -> Error {
    trouble.clone().map_problem(|problem| format!("{}: {problem}", escaped(server.name.as_bytes())))
}
