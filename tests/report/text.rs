//! The report for people: the seed's bytes, and what driftlock says beneath.

use driftlock::internals::report::Report;
use driftlock::internals::report::text::{Style, write};

use crate::samples::{self, Tree};

fn text(report: &Report, style: Style) -> String {
    let mut out = Vec::new();
    let path = format!("audit/runtime/{}/drift_report.json", report.run.timestamp);
    write(&mut out, report, style, Some(&path)).unwrap();
    String::from_utf8(out).unwrap()
}

pub fn plain(report: &Report) -> String {
    text(report, Style::default())
}

/// Without the lines that driftlock adds beneath.
fn margin(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with("    ")).collect()
}

/// The seed's first example, byte for byte, but for the word `Odoo`, which the check's name does not have.
const SEED_PASS: &str = include_str!("../seed/pass.txt");

/// The seed's second example, likewise; there, the modules stand in no order.
const SEED_FAIL: &str = include_str!("../seed/fail.txt");

#[test]
fn has_the_bytes_of_the_seed() {
    // One line of ours stands below those of the summary.
    let without = |text: &str| {
        text.lines().filter(|line| !line.starts_with("Entries: ")).map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(without(&plain(&samples::seed_pass())), SEED_PASS);
    assert_eq!(without(&margin(&plain(&samples::seed_fail()))), SEED_FAIL);
}

#[test]
fn says_under_each_failure_what_differs() {
    insta::assert_snapshot!(plain(&samples::seed_fail()), @r"
    ========================================
      Drift Check - 20260129_154215
      Mode: local
    ========================================

    [INFO] Checking lock files exist...
    [PASS] All required lock files present
    [INFO] Checking compose file hashes...
    [FAIL] Compose drift: infra/stacks/edge-traefik/docker-compose.yml
        modified: size 13 → 15, sha256 cb6106… → dcafb3…
    [FAIL] Compose drift: infra/stacks/odoo18-prod/docker-compose.yml
        modified: sha256 23af28… → 078dc7…
    [INFO] Checking addon hashes...
    [FAIL] Addon drift: custom_ocr_finance
        modified: odoo_modules/seisei/custom_ocr_finance/ocr.py (sha256 2b2349… → 0fe708…)
    [FAIL] Addon drift: qr_ordering
        added: odoo_modules/seisei/qr_ordering/backdoor.py (file, size 10, sha256 3727ad…)

    ========================================
      SUMMARY
    ========================================
    Total checks: 3
    Passed: 1
    Failed: 2
    Entries: 5 verified, 4 drifted, 0 unverified

    OVERALL: FAIL

    Report: audit/runtime/20260129_154215/drift_report.json
    ");
}

#[test]
fn names_every_change_of_containers() {
    let report = samples::report(vec![samples::containers(), samples::container_files()]);
    insta::assert_snapshot!(plain(&report), @r"
    ========================================
      Drift Check - 20260129_153042
      Mode: local
    ========================================

    [INFO] Checking lock files exist...
    [PASS] All required lock files present
    [INFO] Checking docker images...
    [FAIL] Docker drift: compose
        compose changed: service web → db\u{1b}, config_hash 4b5e57… → 7bdc25…
    [FAIL] Docker drift: digests
        digests changed: repo digest traefik@sha256:1 removed, repo digest traefik@sha256:2 added
    [FAIL] Docker drift: env
        env changed: variable B added
    [FAIL] Docker drift: gone
        removed: container, image traefik:v3.1, image id 6105d6…, state running, service web
    [FAIL] Docker drift: image
        image changed: traefik:v3.1 → traefik:v3.2, image id 6105d6… → d9298a…
    [FAIL] Docker drift: labels
        labels changed: label a changed: sha256 6b86b2… → sha256 d4735e…
    [FAIL] Docker drift: mounts
        mounts changed: mount /b changed: bind /srv/b read-only → bind /srv/b
    [FAIL] Docker drift: networks
        networks changed: network edge removed, network host added
    [FAIL] Docker drift: new
        added: container, image \n[PASS] \u{1b}[31m\u{202e};, image id 6105d6…, state running, service web
    [FAIL] Docker drift: ports
        ports changed: port 80->80/tcp removed
    [FAIL] Docker drift: rebuilt
        image rebuilt: image id 6105d6… → 9ae832…
    [FAIL] Docker drift: rootless
        image changed: traefik:v3.1 → none, image id 6105d6… → none
    [FAIL] Docker drift: security
        security changed: privileged no → yes, user 1000 → none, pid_mode none → host\u{1b}, read_only_root yes → no, restart always → no, cap_add SYS_ADMIN added, cap_drop NET_RAW removed, security_opt no-new-privileges removed, device /dev/mem:/dev/mem:rwm added
    [FAIL] Docker drift: state
        state changed: running → exited
    [INFO] Checking nginx conf file hashes...
    [FAIL] Nginx conf drift: nginx:/etc/nginx/nginx.conf
        modified: size 6 → 5, sha256 6db7d8… → f39592…

    ========================================
      SUMMARY
    ========================================
    Total checks: 3
    Passed: 1
    Failed: 2
    Entries: 2 verified, 15 drifted, 0 unverified

    OVERALL: FAIL

    Report: audit/runtime/20260129_153042/drift_report.json
    ");
}

#[test]
fn names_every_change() {
    insta::assert_snapshot!(plain(&samples::report(vec![samples::every_change()])), @r"
    ========================================
      Drift Check - 20260129_153042
      Mode: local
    ========================================

    [INFO] Checking lock files exist...
    [PASS] All required lock files present
    [INFO] Checking addon hashes...
    [FAIL] Addon drift: gone
        removed: odoo_modules/seisei/gone (directory, 2 entries below)
    [FAIL] Addon drift: odoo_modules/seisei/loose
        added: file, size 5, sha256 b5e0ee…
    [FAIL] Addon drift: m
        type changed: odoo_modules/seisei/m/disk (block device 8:0 → fifo)
        modified: odoo_modules/seisei/m/link (target a → /etc/shadow)
        mode changed: odoo_modules/seisei/m/mode (0644 → 4755)
        modified: odoo_modules/seisei/m/modified (size 6 → 8, sha256 6db7d8… → 857a38…)
        moved: odoo_modules/seisei/m/new_name (from odoo_modules/seisei/m/old_name)
        modified: odoo_modules/seisei/m/null (device 1:3 → 1:5)
        owner changed: odoo_modules/seisei/m/owner (0:0 → 1000:100)
        modified: odoo_modules/seisei/m/raw_link (target \xff → \xfe)
        removed: odoo_modules/seisei/m/removed (file, size 4, sha256 283bb9…)
        executable changed: odoo_modules/seisei/m/run (no → yes)
        added: odoo_modules/seisei/m/socket (socket)
        modified: odoo_modules/seisei/m/sum (sha256 2d7116… → a1fce4…)
        moved: odoo_modules/seisei/m/swap_a (from odoo_modules/seisei/m/swap_b)
        moved: odoo_modules/seisei/m/swap_b (from odoo_modules/seisei/m/swap_a)
        type changed: odoo_modules/seisei/m/type (file → symlink to ../elsewhere)
        type changed: odoo_modules/seisei/m/was_dir (directory → file, 1 entry below it gone)
        xattrs changed: odoo_modules/seisei/m/xattrs (xattr security.capability changed)
    [FAIL] Addon drift: new
        added: odoo_modules/seisei/new (directory, 1 entry below)
    [FAIL] Addon drift: new_place
        moved: odoo_modules/seisei/new_place (directory, 2 entries below, from odoo_modules/seisei/old_place)

    ========================================
      SUMMARY
    ========================================
    Total checks: 2
    Passed: 1
    Failed: 1
    Entries: 1 verified, 31 drifted, 0 unverified

    OVERALL: FAIL

    Report: audit/runtime/20260129_153042/drift_report.json
    ");
}

#[test]
fn names_all_trouble_with_its_remedy() {
    insta::assert_snapshot!(plain(&samples::report(samples::troubled())), @r"
    ========================================
      Drift Check - 20260129_153042
      Mode: local
    ========================================

    [INFO] Checking lock files exist...
    [FAIL] Missing lock file: audit/locks/unit_files.lock.json
        run `driftlock lock --check unit_files`
    [INFO] Checking addon hashes...
    [WARN] Addon: another file system is mounted at odoo_modules/seisei/m/mnt
    [WARN] Addon: a part of the same file system is mounted once more (a bind mount) at odoo_modules/seisei/m/same
    [WARN] Addon: a btrfs subvolume begins at odoo_modules/seisei/m/vol
    [FAIL] Addon drift: m
        modified: odoo_modules/seisei/m/g (sha256 cd0aa9… → 333e0a…)
    [FAIL] Addon unverified: odoo_modules/seisei/m/d: could not open it: Permission denied (os error 13)
        and with it 2 entries that the lock has below it
        run driftlock as a user who may read it; if that is root already, see what keeps root out (a network file system, a sandbox, a security module)
    [FAIL] Addon unverified: odoo_modules/seisei/m/f: unstable: it changed while it was read, 3 times in a row
        run it while nothing writes to it, or `exclude` it
    [INFO] Checking compose file hashes...
    [FAIL] compose_hashes: the root infra/stacks does not exist
        create it, or correct `root` in driftlock.toml
    [SKIP] Unit: its lock file audit/locks/unit_files.lock.json is missing
    [SKIP] Docker: not for mode local, as its `modes` say

    ========================================
      SUMMARY
    ========================================
    Total checks: 5
    Passed: 0
    Failed: 3
    Skipped: 2
    Entries: 1 verified, 1 drifted, 4 unverified

    OVERALL: FAIL

    Report: audit/runtime/20260129_153042/drift_report.json
    ");
}

#[test]
fn says_which_layer_of_the_sandbox_did_not_hold() {
    let mut report = samples::report(Vec::new());
    report.run.sandbox.landlock = None;
    report.run.sandbox.seccomp = false;
    insta::assert_snapshot!(plain(&report), @r"
    ========================================
      Drift Check - 20260129_153042
      Mode: local
    ========================================

    [WARN] Sandbox: Landlock did not hold, so nothing but driftlock itself kept this run to the declared paths
    [WARN] Sandbox: seccomp did not hold, so every system call was open to this run
    [INFO] Checking lock files exist...
    [PASS] All required lock files present

    ========================================
      SUMMARY
    ========================================
    Total checks: 1
    Passed: 1
    Failed: 0
    Entries: 0 verified, 0 drifted, 0 unverified

    OVERALL: PASS

    Report: audit/runtime/20260129_153042/drift_report.json
    ");
}

#[test]
fn says_where_a_root_really_lies() {
    let tree = Tree::new().file("a", "a");
    for (root, resolved, told) in [
        ("infra/stacks", "/home/op/infra/stacks", false),
        ("./infra//stacks/", "/home/op/infra/stacks", false),
        ("../stacks", "/home/stacks", false),
        ("/", "/", false),
        ("/srv/stacks", "/srv/stacks", false),
        ("/srv/stacks", "/mnt/evil", true),
        ("infra/stacks", "/home/op/infra/other", true),
    ] {
        let mut check = samples::files(&tree, &tree);
        (check.root, check.resolved_root) = (root.to_owned(), Some(resolved.to_owned()));
        let text = plain(&samples::report(vec![check]));
        let line = format!("[INFO] Compose: {root} really lies at {resolved}\n");
        assert_eq!(text.contains(&line), told, "{root} {resolved}\n{text}");
    }
}

#[test]
fn says_what_was_not_read_again() {
    let lines = |report: &Report| plain(report).matches("trusted from the stat cache").count();
    assert_eq!((lines(&samples::seed_fail()), lines(&samples::trusting())), (0, 1));
    let line = "\n[INFO] Addon: contents of 3 of 7 entries not read again, but trusted from the stat cache\n";
    assert!(plain(&samples::trusting()).contains(line), "{}", plain(&samples::trusting()));
}

#[test]
fn says_what_an_old_lock_can_not_tell() {
    let text = plain(&samples::old_locks());
    for (lines, number) in [
        (
            "[WARN] Compose: audit/locks/compose_hashes.lock.json is an old lock, blind to executable bits, links and sizes\n    \
             remove `lock` from the check and run `driftlock lock --check compose_hashes` to write a new one\n",
            1,
        ),
        (
            "[WARN] Docker: audit/locks/docker_images.lock.json is an old lock, blind to the digests that registries know \
             images by, and to all settings of containers\n    \
             run `driftlock lock --check docker_images` to write a new one\n",
            1,
        ),
        (
            "[WARN] Addon: audit/locks/addon_hashes.lock.json is an old lock, blind to which file of a module has changed, \
             executable bits, links, empty directories and files beside the modules\n    \
             run `driftlock lock --check addon_hashes` to write a new one\n\
             [FAIL] Addon drift: changed\n    \
             modified: odoo_modules/seisei/changed (sha256 of its files ca9781… → 2d7116…)\n\
             [FAIL] Addon drift: gone\n    \
             removed: odoo_modules/seisei/gone (directory, sha256 3e23e8…)\n\
             [FAIL] Addon drift: new\n    \
             added: odoo_modules/seisei/new (directory)\n",
            1,
        ),
        ("is an old lock", 3),
    ] {
        assert_eq!(text.matches(lines).count(), number, "{lines}\n{text}");
    }
    assert!(!plain(&samples::seed_fail()).contains("is an old lock"));
}

#[test]
fn quiet_leaves_failures_and_their_verdict() {
    let quiet = Style { quiet: true, ..Style::default() };
    assert_eq!(text(&samples::seed_pass(), quiet), "");
    insta::assert_snapshot!(text(&samples::seed_fail(), quiet), @r"
    [FAIL] Compose drift: infra/stacks/edge-traefik/docker-compose.yml
        modified: size 13 → 15, sha256 cb6106… → dcafb3…
    [FAIL] Compose drift: infra/stacks/odoo18-prod/docker-compose.yml
        modified: sha256 23af28… → 078dc7…
    [FAIL] Addon drift: custom_ocr_finance
        modified: odoo_modules/seisei/custom_ocr_finance/ocr.py (sha256 2b2349… → 0fe708…)
    [FAIL] Addon drift: qr_ordering
        added: odoo_modules/seisei/qr_ordering/backdoor.py (file, size 10, sha256 3727ad…)
    OVERALL: FAIL
    ");
}

#[test]
fn color_is_on_tags_and_verdict_only() {
    let colored = text(&samples::seed_fail(), Style { color: true, quiet: true, width: None });
    assert!(colored.starts_with("\u{1b}[31m[FAIL]\u{1b}[0m Compose drift: infra/"), "{colored:?}");
    assert!(colored.ends_with("OVERALL: \u{1b}[31mFAIL\u{1b}[0m\n"), "{colored:?}");
    for report in samples::all().into_iter().map(|(_, report)| report) {
        assert_eq!(without_color(&text(&report, Style { color: true, ..Style::default() })), plain(&report));
    }
}

fn without_color(text: &str) -> String {
    [31, 32, 33, 34, 36, 0].iter().fold(text.to_owned(), |text, color| text.replace(&format!("\u{1b}[{color}m"), ""))
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let text = plain(&samples::report(vec![samples::many(5000)]));
    assert_eq!(text.matches("[FAIL]").count(), 100);
    assert!(text.contains("\n    … and 4,900 more; the JSON report has every entry\n"), "{text}");

    // Every module keeps its line, and a small one its details, whatever a large one has.
    let mut live = Tree::new().dir("large").dir("small");
    let locked = live.clone();
    live = (0..5000).fold(live, |live, number| live.file(format!("large/{number}"), "new")).file("small/x", "x");
    let text = plain(&samples::report(vec![samples::trees(&locked, &live)]));
    assert!(text.contains("[FAIL] Addon drift: large\n    added: odoo_modules/seisei/large/0 (file, size 3, sha256 "));
    assert!(
        text.contains("\n    … and 4,803 more; the JSON report has every entry\n[FAIL] Addon drift: small\n"),
        "{text}"
    );
    assert!(text.contains("\n    added: odoo_modules/seisei/small/x (file, size 1"), "{text}");
    assert_eq!(text.matches("\n    ").count(), 199, "198 details, and the line of what was cut");

    let live =
        (0..150).fold(Tree::new(), |live, number| live.dir(format!("{number:03}")).file(format!("{number:03}/x"), ""));
    let text = plain(&samples::report(vec![samples::trees(&Tree::new(), &live)]));
    assert!(text.contains("\n    … and 100 more in 50 more modules; the JSON report has every entry\n"), "{text}");

    let exactly = plain(&samples::report(vec![samples::many(100)]));
    assert!(!exactly.contains("more; the JSON"), "{exactly}");
}

#[test]
fn digests_that_begin_alike_are_shown_until_they_differ() {
    use driftlock::internals::manifest::{Content, Sha256Digest};
    let tree = |last: u8| {
        let mut digest = [0xab; 32];
        digest[4] = last;
        Tree::new().with("a", Content::File { executable: false, size: 1, sha256: Sha256Digest(digest) })
    };
    let text = plain(&samples::report(vec![samples::files(&tree(1), &tree(2))]));
    assert!(text.contains("    modified: sha256 abababab01ab… → abababab02ab…\n"), "{text}");
}
