//! Two reports, and what the later one says differently.

use driftlock::internals::manifest::Kind;
use driftlock::internals::report::difference::{compare, write};
use driftlock::internals::report::json::read_one;
use driftlock::internals::report::{Outcome, Report};

use crate::samples::{self, HOSTILE, Tree, json};

fn read(report: &Report) -> Report {
    read_one(&json(report)).unwrap()
}

fn text(earlier: &Report, later: &Report) -> String {
    let (earlier, later) = (read(earlier), read(later));
    let mut out = Vec::new();
    write(&mut out, &compare(&earlier, &later)).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_report_does_not_differ_from_itself() {
    for (name, report) in samples::all() {
        let report = read(&report);
        assert!(compare(&report, &report).is_empty(), "{name}");
    }
    insta::assert_snapshot!(text(&samples::seed_pass(), &samples::seed_pass()), @r"
    Earlier: 20260129_153042 PASS
    Later  : 20260129_153042 PASS

    Both reports are equal in every check.
    ");
}

#[test]
fn says_what_is_new_gone_and_changed() {
    let locked = Tree::new().dir("m").file("m/a", "a").file("m/b", "b").file("m/c", "c");
    let earlier = locked.clone().file("m/a", "A").file("m/b", "B");
    let later = locked.clone().link("m/b", "c").file("m/d", "d").unverified("m/c", samples::DENIED);
    let earlier = samples::report(vec![samples::trees(&locked, &earlier), samples::every_change_as("only_before")]);
    let no_lock = samples::check("x", Kind::Files, ".", Outcome::NoLock);
    let later = samples::report(vec![samples::trees(&locked, &later), no_lock]);
    insta::assert_snapshot!(text(&earlier, &later), @r"
    Earlier: 20260129_153042 FAIL
    Later  : 20260129_153042 FAIL

    lock_files_exist: PASS → FAIL
        new: 1 lock file missing: audit/locks/x.lock.json;

    addon_hashes: FAIL
        new: odoo_modules/seisei/m/d: added (file, size 1, sha256 18ac3e…)
        gone: odoo_modules/seisei/m/a: modified (sha256 ca9781… → 559aea…)
        changed: odoo_modules/seisei/m/b: was modified (sha256 3e23e8… → df7e70…), is type changed (file → symlink to c)
        new: odoo_modules/seisei/m/c: unverified (could not open it: Permission denied (os error 13))

    x: SKIP, only in the later report

    only_before: FAIL, only in the earlier report
        gone: odoo_modules/seisei/gone: removed (directory)
        gone: odoo_modules/seisei/gone/1: removed (file, size 6, sha256 b78e1f…)
        gone: odoo_modules/seisei/gone/2: removed (directory)
        gone: odoo_modules/seisei/loose: added (file, size 5, sha256 b5e0ee…)
        gone: odoo_modules/seisei/m/disk: type changed (block device 8:0 → fifo)
        gone: odoo_modules/seisei/m/link: modified (target a → /etc/shadow)
        gone: odoo_modules/seisei/m/mode: mode changed (0644 → 4755)
        gone: odoo_modules/seisei/m/modified: modified (size 6 → 8, sha256 6db7d8… → 857a38…)
        gone: odoo_modules/seisei/m/new_name: moved (from odoo_modules/seisei/m/old_name)
        gone: odoo_modules/seisei/m/null: modified (device 1:3 → 1:5)
        gone: odoo_modules/seisei/m/owner: owner changed (0:0 → 1000:100)
        gone: odoo_modules/seisei/m/raw_link: modified (target \xff → \xfe)
        gone: odoo_modules/seisei/m/removed: removed (file, size 4, sha256 283bb9…)
        gone: odoo_modules/seisei/m/run: executable changed (no → yes)
        gone: odoo_modules/seisei/m/socket: added (socket)
        gone: odoo_modules/seisei/m/sum: modified (sha256 2d7116… → a1fce4…)
        gone: odoo_modules/seisei/m/swap_a: moved (from odoo_modules/seisei/m/swap_b)
        gone: odoo_modules/seisei/m/swap_b: moved (from odoo_modules/seisei/m/swap_a)
        gone: odoo_modules/seisei/m/type: type changed (file → symlink to ../elsewhere)
        gone: odoo_modules/seisei/m/was_dir: type changed (directory → file)
        gone: odoo_modules/seisei/m/was_dir/below: removed (file, size 5, sha256 8ada24…)
        gone: odoo_modules/seisei/m/xattrs: xattrs changed (xattr security.capability changed)
        gone: odoo_modules/seisei/new: added (directory)
        gone: odoo_modules/seisei/new/run: added (executable file, size 3, sha256 11507a…)
        gone: odoo_modules/seisei/new_place: added (directory)
        gone: odoo_modules/seisei/new_place/empty: added (file, size 0, sha256 e3b0c4…)
        gone: odoo_modules/seisei/new_place/x: moved (from odoo_modules/seisei/old_place/x)
        gone: odoo_modules/seisei/old_place: removed (directory)
        gone: odoo_modules/seisei/old_place/empty: removed (file, size 0, sha256 e3b0c4…)
    ");
}

#[test]
fn another_lock_is_said() {
    let tree = Tree::new().file("a", "a");
    let mut other = samples::files(&tree, &tree);
    if let Outcome::Compared { digest, live_digest, .. } = &mut other.outcome {
        *digest = Some(samples::sha256(b"another").sri());
        live_digest.clone_from(digest);
    }
    let earlier = samples::report(vec![samples::files(&tree, &tree)]);
    insta::assert_snapshot!(text(&earlier, &samples::report(vec![other])), @r"
    Earlier: 20260129_153042 PASS
    Later  : 20260129_153042 PASS

    compose_hashes: PASS
        the reports were compared with different locks
    ");
}

#[test]
fn no_name_forges_a_line() {
    for (earlier, later) in [(samples::seed_pass(), samples::hostile()), (samples::hostile(), samples::seed_pass())] {
        let text = text(&earlier, &later);
        for line in text.lines() {
            assert!(!line.chars().any(driftlock::internals::path::is_hazardous), "{line:?}");
            let known =
                ["Earlier: 2026", "Later  : 2026", "    new: ", "    gone: ", "addon_hashes: ", "compose_hashes: "];
            let checks = ["lock_files_exist: ", "a\\n[PASS] All addon modules match baseline: ", "a;\\u{9b}b_files: "];
            assert!(line.is_empty() || known.iter().chain(&checks).any(|known| line.starts_with(known)), "{line:?}");
        }
        assert!(text.lines().count() > HOSTILE.len());
    }
}
