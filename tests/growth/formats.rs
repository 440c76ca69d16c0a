//! Each form of a report.

use driftlock::internals::report::places::{Place, Places};
use driftlock::internals::report::{
    Outcome, Report, changes, github, html, json, junit, prometheus, sarif, slack, text,
};
use std::io;
use std::rc::Rc;

use crate::Work;

type Write = fn(&mut Vec<u8>, &Report) -> io::Result<()>;

/// Each form, by name.
const FORMS: &[(&str, Write)] = &[
    ("text", |out, report| {
        text::write(out, report, text::Style { width: Some(80), ..text::Style::default() }, Some("kept"))
    }),
    ("json", |out, report| json::write(out, report)),
    ("html", |out, report| html::write(out, report, "host")),
    ("github", |out, report| github::write(out, report, &places(report))),
    ("junit", |out, report| junit::write(out, report)),
    ("sarif", |out, report| sarif::write(out, report, &places(report))),
    ("slack", |out, report| slack::write(out, report, "host")),
    ("prometheus", |out, report| prometheus::write(out, report, prometheus::Context::default())),
    ("changes", |out, report| {
        report.checks().try_for_each(|check| match &check.outcome {
            Outcome::Compared { comparison, .. } => changes::write(out, check.kind, &check.root, comparison),
            _ => Ok(()),
        })
    }),
    ("changes-json", |out, report| {
        report.checks().try_for_each(|check| match &check.outcome {
            Outcome::Compared { comparison, .. } => json::write_value(out, &changes::value(comparison)),
            _ => Ok(()),
        })
    }),
];

/// Where all checks are declared.
fn places(report: &Report) -> Places {
    let mut places = Places::default();
    for check in report.hosts.first().iter().flat_map(|host| &host.checks) {
        let place = Place { file: "driftlock.toml".to_owned(), line: 3 };
        places.declare(&check.name, place);
    }
    places
}

/// Writing a report as text.
pub fn text(report: Report) -> Work {
    let (_, write) = FORMS[0];
    Box::new(move || written(&report, write))
}

fn written(report: &Report, write: Write) -> usize {
    let mut out = Vec::new();
    write(&mut out, report).expect("memory has no errors");
    out.len()
}

/// Writing a report in each form.
pub fn all(report: &Rc<Report>) -> Vec<(&'static str, Work)> {
    let form = |&(name, write): &(&'static str, Write)| {
        let report = Rc::clone(report);
        let work: Work = Box::new(move || written(&report, write));
        (name, work)
    };
    FORMS.iter().map(form).collect()
}
