//! Reports in which each field is as bad as it gets, and reading them back.

use std::rc::Rc;

use driftlock::internals::manifest::{Boundary, Crossing, Kind};
use driftlock::internals::report::next::{Footing, Ground, InGit};
use driftlock::internals::report::{CheckReport, Error, ErrorKind, Outcome, Report, changes, difference, json};

use crate::samples::{self, Tree};
use crate::trees::{Pair, WORST};
use crate::{Case, Input, formats};

/// The same, read by an operator who stands where git knows all of it, so that each failed check has its next steps.
fn in_git(mut report: Report) -> Report {
    let footing = |check: &CheckReport| Footing {
        local: true,
        place: check.root.clone(),
        git: Some(InGit { root: check.root.clone().into(), lock: check.lock.clone().into() }),
        ..Footing::default()
    };
    let checks = report.checks().map(|check| (check.name.clone(), footing(check))).collect();
    report.run.ground = Some(Ground { checks, ..Ground::default() });
    report
}

/// By name: those with one check over one of the [`WORST`] trees, and those that are bad in other ways.
pub fn all() -> Vec<(String, Box<dyn Fn(usize) -> Report>)> {
    let of_trees = WORST.iter().map(|&(name, make)| {
        let one = move |size| samples::report(vec![of_pair("tree", &make(size))]);
        (name.to_owned(), Box::new(one) as Box<dyn Fn(usize) -> Report>)
    });
    let others: [(&str, fn(usize) -> Report); 11] = [
        ("many-checks", |size| {
            let (locked, live) = (Tree::new().file("a", "before"), Tree::new().file("a", "after"));
            let check =
                |number| samples::check(&format!("c{number}"), Kind::Files, "root", samples::outcome(&locked, &live));
            samples::report((0..size / 1000).map(check).collect())
        }),
        ("many-locks-are-missing", |size| {
            samples::report(
                (0..size / 600)
                    .map(|number| samples::check(&format!("c{number}"), Kind::Files, "root", Outcome::NoLock))
                    .collect(),
            )
        }),
        ("many-checks-failed", |size| {
            let failed = |number| {
                let trouble =
                    Error::new(ErrorKind::Recorded, format!("the root {number} could not be opened"), "create it");
                samples::check(&format!("c{number}"), Kind::Trees, "root", Outcome::Failed(trouble))
            };
            samples::report((0..size / 700).map(failed).collect())
        }),
        ("long-texts", |size| {
            let trouble = Error::new(ErrorKind::Recorded, "##::\u{200b}".repeat(size / 30), "##[x]".repeat(size / 20));
            let mut check = samples::check(
                &"c;".repeat(size / 20),
                Kind::Trees,
                &"root/".repeat(size / 20),
                Outcome::Failed(trouble),
            );
            check.resolved_root = Some("/root".repeat(size / 20));
            check.lock = "l/".repeat(size / 20);
            samples::report(vec![check])
        }),
        ("many-mounts", |size| {
            let mut check =
                of_pair("tree", &Pair { kind: Kind::Trees, locked: Tree::new().dir("m"), live: Tree::new().dir("m") });
            check.mounts =
                (0..size / 40).map(|number| Crossing::into(Boundary::FileSystem, format!("m/{number:06}"))).collect();
            samples::report(vec![check])
        }),
        ("many-servers-that-differ", |size| {
            let server = |number| {
                let (locked, live) = (Tree::new().file("a", "before"), Tree::new().file("a", &format!("{number}")));
                samples::on(format!("web{number}"), samples::report(vec![samples::files(&locked, &live)]))
            };
            samples::fleet((0..size / 2500).map(server).collect())
        }),
        ("lines-that-changed", |size| {
            let tree = |contents: &str| {
                (0..size / 6000).fold(Tree::new(), |tree, number| tree.file(format!("{number:06}"), contents))
            };
            samples::report(vec![samples::showing(tree("before"), tree("after"))])
        }),
        ("many-servers-with-checks-of-their-own", |size| {
            let server = |number| {
                let (locked, live) = (Tree::new().file("a", "before"), Tree::new().file("a", "after"));
                let outcome = samples::outcome(&locked, &live);
                let check = samples::check(&format!("c{number}"), Kind::Files, "root", outcome);
                samples::on(format!("web{number}"), samples::report(vec![check]))
            };
            samples::fleet((0..size / 2500).map(server).collect())
        }),
        ("many-servers-that-are-alike", |size| {
            samples::fleet(
                (0..size / 5000).map(|number| samples::on(format!("web{number}"), samples::seed_fail())).collect(),
            )
        }),
        ("many-servers-that-were-not-reached", |size| {
            samples::fleet((0..size / 4000).map(|number| samples::unreached_on(&format!("web{number}"))).collect())
        }),
        ("many-checks-on-two-servers", |size| {
            let server = |name: &str| {
                let (locked, live) = (Tree::new().file("a", "before"), Tree::new().file("a", "after"));
                let check = |number| {
                    samples::check(&format!("c{number}"), Kind::Files, "root", samples::outcome(&locked, &live))
                };
                samples::on(name, samples::report((0..size / 2000).map(check).collect()))
            };
            samples::fleet(vec![server("a"), server("b")])
        }),
    ];
    let others =
        others.into_iter().map(|(name, make)| (name.to_owned(), Box::new(make) as Box<dyn Fn(usize) -> Report>));
    of_trees.chain(others).collect()
}

fn of_pair(name: &str, Pair { kind, locked, live }: &Pair) -> CheckReport {
    samples::check(name, *kind, "root", samples::outcome(locked, live))
}

/// Writing them in all forms, reading them back, and comparing what was read with another report.
pub fn cases() -> Vec<Case> {
    let case = |(name, make): (String, Box<dyn Fn(usize) -> Report>)| {
        Case::new(format!("report/{name}"), move |size| {
            let report = Rc::new(make(size));
            let json = samples::json(&report);
            let mut work = formats::all(&report);
            work.push(("next steps", formats::text(in_git(make(size)))));
            let read = json.clone();
            work.push(("read back", Box::new(move || samples::json(&json::read(&read).expect("a report")).len())));
            // Those of several servers are not compared.
            if report.only().is_some() {
                let nothing = samples::json(&samples::seed_pass());
                for (name, later, form) in [("difference", true, false), ("difference in JSON", false, true)] {
                    let (report, nothing) = (json.clone(), nothing.clone());
                    work.push((name, Box::new(move || compare(&report, &nothing, later, form))));
                }
            }
            Input { bytes: json.len(), work }
        })
    };
    all().into_iter().map(case).collect()
}

fn compare(report: &[u8], nothing: &[u8], later: bool, json: bool) -> usize {
    let [report, nothing] = [report, nothing].map(|report| json::read_one(report).expect("a report"));
    let difference =
        if later { difference::compare(&nothing, &report) } else { difference::compare(&report, &nothing) };
    let mut out = Vec::new();
    let written = if json {
        json::write_value(&mut out, &changes::between_reports(&difference))
    } else {
        difference::write(&mut out, &difference)
    };
    written.expect("memory has no errors");
    out.len()
}
