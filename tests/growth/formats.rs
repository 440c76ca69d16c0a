//! Each form of a report.

use driftlock::report::fleet::Reports;
use driftlock::report::places::{Place, Places};
use driftlock::report::{Outcome, changes, github, html, json, junit, prometheus, sarif, slack, text};
use std::io;
use std::rc::Rc;

use crate::Work;
use crate::reports::Any;

type Write = fn(&mut Vec<u8>, &Any) -> io::Result<()>;

/// Each form, by name.
const FORMS: &[(&str, Write)] = &[
    ("text", |out, report| match report {
        Any::One(report) => text::write(out, report, text::Style::default(), Some("kept")),
        Any::Several(fleet) => {
            text::write_fleet(out, fleet, text::Style { width: Some(80), ..text::Style::default() }, Some("kept"))
        }
    }),
    ("json", |out, report| match report {
        Any::One(report) => json::write(out, report),
        Any::Several(fleet) => json::write_fleet(out, fleet),
    }),
    ("html", |out, report| html::write(out, of(report), "host")),
    ("github", |out, report| github::write(out, of(report), &places(report))),
    ("junit", |out, report| junit::write(out, of(report))),
    ("sarif", |out, report| sarif::write(out, of(report), &places(report))),
    ("slack", |out, report| slack::write(out, of(report), "host")),
    ("prometheus", |out, report| prometheus::write(out, of(report), prometheus::Context::default())),
    ("changes", |out, report| {
        of(report).all().iter().flat_map(|report| &report.checks).try_for_each(|check| match &check.outcome {
            Outcome::Compared { comparison, .. } => changes::write(out, check.kind, &check.root, comparison),
            _ => Ok(()),
        })
    }),
    ("changes-json", |out, report| {
        of(report).all().iter().flat_map(|report| &report.checks).try_for_each(|check| match &check.outcome {
            Outcome::Compared { comparison, .. } => json::write_value(out, &changes::value(comparison)),
            _ => Ok(()),
        })
    }),
];

fn of(report: &Any) -> Reports<'_> {
    match report {
        Any::One(report) => Reports::One(report),
        Any::Several(fleet) => Reports::Several(fleet),
    }
}

/// Where all checks are declared.
fn places(report: &Any) -> Places {
    let mut places = Places::default();
    for check in of(report).all().first().iter().flat_map(|report| &report.checks) {
        let place = Place { file: "driftlock.toml".to_owned(), line: 3 };
        places.declare(&check.name, place);
    }
    places
}

/// Writing a report as text.
pub fn text(report: Any) -> Work {
    let (_, write) = FORMS[0];
    Box::new(move || written(&report, write))
}

fn written(report: &Any, write: Write) -> usize {
    let mut out = Vec::new();
    write(&mut out, report).expect("memory has no errors");
    out.len()
}

/// Writing a report in each form.
pub fn all(report: &Rc<Any>) -> Vec<(&'static str, Work)> {
    let form = |&(name, write): &(&'static str, Write)| {
        let report = Rc::clone(report);
        let work: Work = Box::new(move || written(&report, write));
        (name, work)
    };
    FORMS.iter().map(form).collect()
}
