//! `driftlock diff --server A --server B`: how two hosts differ from one another, without a lock.

use std::collections::HashSet;
use std::io::{self, Write as _};

use super::arguments::{Common, Servers};
use super::servers::{Connections, DIFFERENCES_LIMIT, no_root, place};
use super::{after_printing, exit};
use crate::compare::{Comparison, compare_within};
use crate::declaration::{Check, Server};
use crate::manifest::LockError;
use crate::path::escaped;
use crate::remote::AnswerError;
use crate::remote::request::{Asked, Extent};
use crate::report::{self, changes};
use crate::session::{LocksAccess, Session};
use crate::trouble::Trouble;

/// What was compared.
type Found<'a> = Vec<(Asked<'a>, Comparison)>;

/// A check that only this server is asked for.
type OfOne<'a> = (&'a Check, &'a Server);

/// Compares two servers, check by check. What only the second has is added, what only the first has removed.
///
/// # Errors
/// Servers that are not two, and one that can't be reached or read in full.
pub fn run(common: &Common, options: &Servers) -> Result<u8, Trouble> {
    let session = Session::for_servers(&common.request(), LocksAccess::Read)?;
    let connections = Connections::prepare(&session, options)?;
    let run = session.enter(std::iter::empty())?;
    let named = connections.servers.len() + connections.passed_over.len();
    let [a, b] = &connections.servers[..] else {
        return Err(match &connections.passed_over[..] {
            [other] if named == 2 => nothing_in_common(&connections.servers[0], other),
            _ => Trouble::new(
                format!("diff compares two servers, and {named} are named"),
                "write `driftlock diff --server A --server B`",
            ),
        });
    };
    let (checks, of_one) = shared(&run.session, [a, b]);
    if checks.is_empty() && !of_one.is_empty() {
        return Err(nothing_in_common(a, b));
    }
    checks.iter().try_for_each(|check| run.project(check).map(drop))?;
    let asked = [asked(&checks, a)?, asked(&checks, b)?];
    let found = compare(&connections, &asked, common)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = match common.json {
        true => json(&mut out, [a, b], &found, &of_one),
        false => text(&mut out, [a, b], &found, &of_one),
    };
    let printed = printed.and_then(|()| out.flush());
    let drift = found.iter().any(|(_, found)| found.counts.drifted > 0);
    let trouble = found.iter().any(|(_, found)| found.counts.unverified > 0);
    let code = if drift { exit::DRIFT } else { 0 } | if trouble { exit::TROUBLE } else { 0 };
    Ok(after_printing(code, printed))
}

/// The checks that both are asked for, and those that one of them is, with that one.
fn shared<'a>(session: &'a Session, servers: [&'a Server; 2]) -> (Vec<&'a Check>, Vec<OfOne<'a>>) {
    let [of_a, of_b] = servers.map(|server| session.checks_of(server));
    let [in_a, in_b] = [&of_a, &of_b].map(|of| of.iter().map(|(place, _)| *place).collect::<HashSet<_>>());
    let is_for_servers = |(_, check): &&(usize, &Check)| check.modes.server;
    let both = of_a.iter().filter(is_for_servers).filter(|(place, _)| in_b.contains(place)).map(|(_, check)| *check);
    let only = |of: &[(usize, &'a Check)], others: &HashSet<usize>, server: &'a Server| {
        let only = of.iter().filter(is_for_servers).filter(|(place, _)| !others.contains(place));
        only.map(|(_, check)| (*check, server)).collect::<Vec<_>>()
    };
    let of_one = [only(&of_a, &in_b, servers[0]), only(&of_b, &in_a, servers[1])].concat();
    (both.collect(), of_one)
}

fn nothing_in_common(a: &Server, b: &Server) -> Trouble {
    let (a, b) = (escaped(a.name.as_bytes()), escaped(b.name.as_bytes()));
    Trouble::new(
        format!("there is nothing to compare: no check of this run is asked of both {a} and {b}"),
        "name two servers that are asked for the same, see `checks` of servers and groups in the declaration",
    )
}

fn asked<'a>(checks: &[&'a Check], server: &'a Server) -> Result<Vec<Asked<'a>>, Trouble> {
    let root = |check: &&'a Check| match server.root(check) {
        Some(root) => Ok(Asked { check, root }),
        None => Err(no_root(check, server)),
    };
    checks.iter().map(root).collect()
}

/// Asks both, each while the other is asked, and compares as their answers come.
fn compare<'a>(connections: &Connections, asked: &[Vec<Asked<'a>>; 2], common: &Common) -> Result<Found<'a>, Trouble> {
    let requirement = common.request().requirement;
    let [asked_a, asked_b] = asked;
    let mut found: Found<'a> = Vec::new();
    let mut budget = DIFFERENCES_LIMIT;
    // What went wrong on neither side of the connections, or in the first answer while the second was read.
    let (mut trouble, mut wrong_a, mut result_b) = (None, false, Ok(()));
    let result_a = connections.both(|a, b| {
        let reading_a = a.ask(asked_a, requirement, Extent::Entries, |mut answer_a| {
            let mut error_a = None;
            let (_, result) = b.ask(asked_b, requirement, Extent::Entries, |mut answer_b| {
                for (ask_a, ask_b) in asked_a.iter().zip(asked_b) {
                    let mut left = match answer_a.check(ask_a.check) {
                        Ok(Ok(left)) => left,
                        Ok(Err(failed)) => {
                            trouble = Some(of(a.server(), &failed));
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
                            trouble = Some(of(b.server(), &failed));
                            return Err(AnswerError::Abandoned);
                        }
                    };
                    let compared = compare_within(&mut budget, &mut left, &mut right);
                    if let Err(error @ LockError::TooDifferent) = compared {
                        let problem = format!("the check {}: {error}", ask_a.check.name);
                        trouble = Some(Trouble::new(problem, "see whether both name the same tree in `server_root`"));
                        return Err(AnswerError::Abandoned);
                    }
                    if let Err(error) = left.finish(&mut budget) {
                        error_a = Some(error);
                        return Err(AnswerError::Abandoned);
                    }
                    right.finish(&mut budget)?;
                    match compared {
                        Ok(compared) => found.push((*ask_b, compared)),
                        Err(error) => {
                            trouble = Some(Trouble::new(error.to_string(), error.remedy()));
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
        reading_a.1.map_err(|trouble| of(a.server(), &trouble))
    });
    match (trouble, result_b) {
        (Some(trouble), _) => Err(trouble),
        (None, Err(trouble)) if !wrong_a => Err(of(&connections.servers[1], &trouble)),
        _ => result_a.map(|()| found),
    }
}

/// The trouble of one server, with its name.
fn of(server: &Server, trouble: &Trouble) -> Trouble {
    Trouble::new(format!("{}: {}", escaped(server.name.as_bytes()), trouble.problem), trouble.remedy.clone())
}

fn text(out: &mut impl io::Write, [a, b]: [&Server; 2], found: &Found<'_>, of_one: &[OfOne<'_>]) -> io::Result<()> {
    let (a, b) = (escaped(a.name.as_bytes()), escaped(b.name.as_bytes()));
    writeln!(out, "{a} → {b}")?;
    for (asked, found) in found {
        let counts = found.counts;
        let entries = changes::entries(counts.entries);
        let name = escaped(asked.check.name.as_bytes());
        writeln!(out, "{name}: {entries}, {} differ, {} could not be read", counts.drifted, counts.unverified)?;
        changes::write(out, asked.check.kind, &place(asked.check, Some(asked.root)), found)?;
    }
    for (check, server) in of_one {
        let (check, server) = (escaped(check.name.as_bytes()), escaped(server.name.as_bytes()));
        writeln!(out, "{check}: not compared, only {server} is asked for it")?;
    }
    Ok(())
}

fn json(out: &mut impl io::Write, [a, b]: [&Server; 2], found: &Found<'_>, of_one: &[OfOne<'_>]) -> io::Result<()> {
    let checks = found.iter().map(|(asked, found)| {
        let mut value = changes::value(found);
        value["name"] = asked.check.name.as_str().into();
        value
    });
    let of_one = of_one.iter().map(|(check, server)| serde_json::json!({ "name": check.name, "server": server.name }));
    let (checks, of_one): (Vec<_>, Vec<_>) = (checks.collect(), of_one.collect());
    let value = serde_json::json!({ "servers": [a.name, b.name], "checks": checks, "not_compared": of_one });
    report::json::write_value(out, &value)
}
