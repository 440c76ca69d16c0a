//! What stands below entries that could not be verified: to each cause its own remedy, and the same one in a report that
//! was kept.

use std::collections::HashSet;

use driftlock::internals::manifest::{Boundary, Cause, Kind, Unverified};
use driftlock::internals::report::{Outcome, json};

use crate::samples::{self, Tree};
use crate::text::plain;

/// A reason for each cause.
fn reasons() -> Vec<Unverified> {
    let refused = |errno| Unverified::Refused { action: "open it", errno };
    vec![
        refused(libc::EACCES),
        refused(libc::EIO),
        refused(libc::ENAMETOOLONG),
        refused(libc::EOPNOTSUPP),
        refused(libc::ESTALE),
        refused(libc::EMFILE),
        refused(libc::ENODEV),
        Unverified::Unstable { attempts: 3 },
        Unverified::Touched,
        Unverified::Vanished,
        Unverified::OtherFileSystem(Boundary::BindMount),
        Unverified::OtherFileSystem(Boundary::Subvolume),
        Unverified::Leased,
        Unverified::Hangs,
        Unverified::GivenUp,
        Unverified::Sizeless { limit: 7 },
        Unverified::Absent,
        Unverified::Engine { status: 500, message: "no such layer".into() },
        Unverified::Below((*b"m").into()),
    ]
}

#[test]
fn each_cause_has_its_own_remedy_below_what_it_kept_from_being_verified() {
    let mut remedies = HashSet::new();
    assert_eq!(reasons().iter().map(Unverified::cause).collect::<Vec<_>>(), Cause::ALL);
    for reason in reasons() {
        let (cause, remedy) = (reason.cause(), reason.help());
        assert_eq!(Cause::named(cause.name()), Some(cause));
        // Only one who may not read is told to become one who may.
        assert_eq!(remedy.contains("as a user who may read"), cause == Cause::Permission, "{cause:?}");
        // What is touched is what is unstable, under another rule.
        assert_eq!(remedies.insert(remedy), cause != Cause::Touched, "{cause:?}: {remedy}");

        // What is absent is drift, and what is below a directory is in the line of that.
        if matches!(cause, Cause::Absent | Cause::Below) {
            continue;
        }
        let locked = Tree::new().dir("m").file("m/a", "1").file("m/b", "1");
        let live = Tree::new().dir("m").unverified("m/a", reason.clone()).unverified("m/b", reason.clone());
        let report =
            samples::report(vec![samples::check("tree", Kind::Trees, "root", samples::outcome(&locked, &live))]);
        let text = plain(&report);
        let expected = format!(
            "[FAIL] Tree unverified: root/m/a: {reason}\n[FAIL] Tree unverified: root/m/b: {reason}\n    {remedy}\n"
        );
        assert!(text.contains(&expected), "{text}");
        // In the report that was kept, too.
        let kept = json::read(&samples::json(&report)).unwrap();
        let Outcome::Compared { comparison, .. } = &kept.hosts[0].checks[0].outcome else { panic!("it was compared") };
        assert!(comparison.unverified.iter().any(|entry| entry.reason.cause() == cause));
        assert_eq!(plain(&kept), text);
    }
}

#[test]
fn causes_that_alternate_each_have_theirs() {
    let io = Unverified::Refused { action: "read it", errno: libc::EIO };
    let locked = Tree::new().dir("m").file("m/a", "1").file("m/b", "1");
    let live = Tree::new().dir("m").unverified("m/a", io).unverified("m/b", Unverified::Leased);
    let report = samples::report(vec![samples::check("tree", Kind::Trees, "root", samples::outcome(&locked, &live))]);
    let text = plain(&report);
    let lines: Vec<_> = text.lines().skip_while(|line| !line.contains("unverified: ")).take(4).collect();
    assert!(lines[0].contains("root/m/a") && lines[1].contains("dmesg"), "{text}");
    assert!(lines[2].contains("root/m/b") && lines[3].contains("/proc/locks"), "{text}");
}
