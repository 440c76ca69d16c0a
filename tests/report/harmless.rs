//! No name forges a line, and none reaches a terminal as a command.

use driftlock::internals::manifest::{Boundary, Crossing, Kind};
use driftlock::internals::path::is_hazardous;
use driftlock::internals::report::{Error, ErrorKind, Outcome, Report};
use proptest::prelude::*;

use crate::samples::{self, HOSTILE, Tree};
use crate::text::plain;

/// Everything that a line may begin with.
const BEGINNINGS: [&str; 19] = [
    "========================================",
    "  Drift Check - 20260129_153042",
    "  Mode: local",
    "  SUMMARY",
    "[INFO] Checking ",
    "[INFO] C",
    "[PASS] All ",
    "[FAIL] Missing lock file: ",
    "[FAIL] C",
    "[WARN] C",
    "[SKIP] C",
    "    ",
    "Total checks: ",
    "Passed: ",
    "Failed: ",
    "Skipped: ",
    "Entries: ",
    "OVERALL: ",
    "Report: ",
];

fn assert_harmless(report: &Report) {
    let shown = plain(report);
    for line in shown.split('\n') {
        assert!(!line.chars().any(is_hazardous), "{line:?}");
        assert!(line.is_empty() || BEGINNINGS.iter().any(|known| line.starts_with(known)), "{line:?}");
    }
    assert_eq!(shown.matches("\nOVERALL: ").count(), 1);
    // A line of drift or trouble for each there is, and not one more.
    assert_eq!(
        shown.lines().filter(|line| line.starts_with("[PASS]")).count() as u64,
        report.hosts[0].summary().passed
    );
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let nasty = prop::sample::select(HOSTILE.map(<[u8]>::to_vec).to_vec());
    let byte = prop_oneof![1..=255_u8, Just(b'\n'), Just(0x1b), Just(0xe2), Just(0x80), Just(0xae)];
    let bytes = prop::collection::vec(byte.prop_filter("names have no slash", |&byte| byte != b'/'), 1..12);
    prop_oneof![nasty, bytes].prop_filter("names are no dots", |name| !matches!(name.as_slice(), b"." | b".."))
}

fn tree() -> impl Strategy<Value = Tree> {
    prop::collection::vec((name(), name(), 0..6_u8, name()), 0..8).prop_map(|entries| {
        entries.into_iter().fold(Tree::new(), |tree, (module, name, what, other)| {
            let tree = tree.dir(&module);
            let path = [module.as_slice(), b"/", name.as_slice()].concat();
            match what {
                0 => tree.link(path, other),
                1 => tree.unverified(path, samples::DENIED),
                2 => tree.file(other, "loose"),
                _ => tree.file(path, &what.to_string()),
            }
        })
    })
}

proptest! {
    #[test]
    fn no_name_forges_a_line_or_reaches_the_terminal(
        locked in tree(), live in tree(), texts in prop::collection::vec(name(), 6), kind: bool,
    ) {
        let text = |number: usize| format!("C{}", String::from_utf8_lossy(&texts[number]));
        let kind = if kind { Kind::Files } else { Kind::Trees };
        let mut compared = samples::check(&text(0), kind, &text(1), samples::outcome(&locked, &live));
        compared.resolved_root = Some(text(2));
        compared.mounts = texts.iter().map(|text| Crossing::into(Boundary::BindMount, text.clone())).collect();
        let trouble = Error::new(ErrorKind::Recorded, text(3), text(4));
        let failed = samples::check(&text(5), kind, &text(1), Outcome::Failed(trouble));
        let mut no_lock = samples::check(&text(4), kind, &text(1), Outcome::NoLock);
        no_lock.lock = text(3);
        let report = samples::report(vec![compared, failed, no_lock]);
        assert_harmless(&report);
        let json = String::from_utf8(samples::json(&report)).unwrap();
        prop_assert!(!json.chars().any(|character| character != '\n' && is_hazardous(character)), "{json}");
    }
}

#[test]
fn hostile_names_are_shown_harmlessly() {
    let mut report = samples::hostile();
    for check in &mut report.hosts[0].checks {
        check.name.insert(0, 'C');
    }
    for line in plain(&report).split('\n').filter(|line| line.starts_with("[FAIL] Addon")) {
        assert!(!line.chars().any(is_hazardous), "{line:?}");
    }
    report.hosts[0].checks.remove(0);
    assert_harmless(&report);
}
