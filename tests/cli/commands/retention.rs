//! `reports_keep`: the oldest reports go, and nothing else does.

use std::fs;
use std::os::unix::fs::symlink;

use super::history::{checked, days, keep};
use crate::harness::World;
use crate::watch::{names, says, snapshot};

/// A world with reports of so many days, of which so many are to be kept.
fn world(days: u32, most: &str) -> (World, Vec<String>) {
    let (world, json) = checked();
    let kept = self::days(&world, &json, days);
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("driftlock.toml"), format!("reports_keep = {most}\n{declaration}")).unwrap();
    (world, kept)
}

/// The folders of days that are left, beside that of the run itself, which has to be there.
fn left(world: &World) -> Vec<String> {
    let mut names = names(world.path("reports"));
    let own = names.iter().rposition(|name| !name.starts_with("202601")).expect("the report of the run itself");
    names.remove(own);
    names
}

#[test]
fn the_oldest_go_and_the_chain_stays_whole() {
    let (world, days) = world(5, "3");
    let finished = world.driftlock(["check"]).code(0);
    assert_eq!((left(&world), finished.stderr()), (days[3..].to_vec(), String::new()));
    // The report that was removed is still named, and that is no gap.
    let report = world.driftlock(["report"]).code(0);
    assert_eq!(report.stderr(), "");
    world.driftlock(["check"]).code(0);
    world.driftlock(["check"]).code(0);
    assert_eq!(names(world.path("reports")).len(), 3);
    assert_eq!(world.driftlock(["report"]).code(0).stderr(), "");
}

#[test]
fn one_is_enough_and_fewer_than_there_may_be_are_left_alone() {
    let (world, days) = world(2, "3");
    world.driftlock(["check"]).code(0);
    assert_eq!(left(&world), days);
    let (world, _) = self::world(4, "1");
    world.write("a", "b");
    world.driftlock(["check"]).code(1);
    assert_eq!(left(&world), [""; 0]);
}

#[test]
fn a_report_of_servers_goes_with_the_reports_in_it() {
    let (world, days) = world(2, "2");
    let folder = world.path("reports").join(&days[0]);
    for server in ["web", "db.example.org"] {
        fs::create_dir_all(folder.join("servers").join(server)).unwrap();
        fs::write(folder.join("servers").join(server).join("drift_report.json"), "{}").unwrap();
        fs::write(folder.join("servers").join(server).join("drift_report.txt"), "").unwrap();
    }
    world.driftlock(["check"]).code(0);
    assert_eq!(left(&world), days[1..]);
}

/// What is not ours stays, and so does all that the chain needs to be whole.
#[test]
fn what_is_not_ours_stays_and_is_told() {
    for (name, expected) in [
        ("notes.txt", "it contains notes.txt, which `driftlock check` does not write"),
        ("drift_report.json.bak", "it contains drift_report.json.bak, which `driftlock check` does not write"),
        ("servers/a", "it contains servers/a, which `driftlock check` does not write"),
        ("servers/web/b", "it contains servers/web/b, which `driftlock check` does not write"),
        ("servers/web/c/d", "it contains servers/web/c, which `driftlock check` does not write"),
        ("sub/e", "it contains sub, which `driftlock check` does not write"),
    ] {
        let (world, days) = world(5, "2");
        let file = world.path("reports").join(&days[1]).join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let before = snapshot(&world, &[&format!("reports/{}", days[1])]);
        let finished = world.driftlock(["check"]).code(0);
        says(
            &finished.stderr(),
            &[&format!("reports_keep: reports/{} stays: {expected}", days[1]), "move it elsewhere or remove it"],
        );
        assert_eq!(left(&world), days[1..], "the one before it went, and nothing after it");
        assert_eq!(snapshot(&world, &[&format!("reports/{}", days[1])]), before);
        assert_eq!(world.driftlock(["report"]).code(0).stderr(), "");
    }
}

#[test]
fn a_link_is_never_followed() {
    let (world, days) = world(3, "1");
    fs::create_dir(world.path("elsewhere")).unwrap();
    let elsewhere = world.path("elsewhere").join("drift_report.json");
    fs::write(&elsewhere, "precious").unwrap();
    let first = world.path("reports").join(&days[0]);
    // In a folder, in the place of a file.
    fs::remove_file(first.join("drift_report.json")).unwrap();
    symlink(&elsewhere, first.join("drift_report.json")).unwrap();
    // In the place of folders, one of them inside of the directory.
    symlink(world.path("elsewhere"), world.path("reports/20251231_080000")).unwrap();
    symlink(&days[2], world.path("reports/20251230_080000")).unwrap();
    let finished = world.driftlock(["check"]).code(0);
    says(&finished.stderr(), &["reports/20251231_080000 stays: it is not a directory"]);
    says(&finished.stderr(), &[&format!("reports/{} stays: it contains drift_report.json, which", days[0])]);
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "precious");
    assert!(world.path("reports/20251231_080000").is_symlink() && world.path("reports/20251230_080000").is_symlink());
    assert!(first.join("drift_report.json").is_symlink());
}

/// A run that was ended before its time leaves a folder without a report.
#[test]
fn what_a_crash_has_left_goes_and_breaks_no_chain() {
    let (world, days) = world(3, "3");
    let folder = world.path("reports/20260101_120000");
    fs::create_dir(&folder).unwrap();
    for name in ["drift_report.txt", ".drift_report.json.tmp", ".drift_report.txt.tmp"] {
        fs::write(folder.join(name), "half").unwrap();
    }
    world.driftlock(["check"]).code(0);
    assert_eq!(left(&world), days[1..]);
    assert_eq!(world.driftlock(["report"]).code(0).stderr(), "");
}

/// Names that are no report's, and reports that are refused, are not counted and not touched.
#[test]
fn other_folders_are_left_alone() {
    let (world, days) = world(2, "1");
    for name in ["latest", "20260101_080000.bak", "20261345_990000", "99980101_000000"] {
        fs::create_dir(world.path("reports").join(name)).unwrap();
        fs::write(world.path("reports").join(name).join("drift_report.txt"), "").unwrap();
    }
    let json = fs::read_to_string(world.path("reports").join(&days[0]).join("drift_report.json")).unwrap();
    keep(&world, &json, "99980102_000000", "9998-01-02T00:00:00Z", None);
    world.driftlock(["check"]).code(0);
    let others = ["20260101_080000.bak", "20261345_990000", "99980102_000000", "latest"];
    for name in others {
        assert!(world.path("reports").join(name).is_dir(), "{name}");
    }
    assert!(days.iter().all(|day| !world.path("reports").join(day).exists()));
}

/// With a clock that was set back the run itself is the oldest.
#[test]
fn the_report_of_the_run_itself_is_never_removed() {
    let (world, json) = checked();
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("driftlock.toml"), format!("reports_keep = 1\n{declaration}")).unwrap();
    // Half a minute ahead, which counts as clocks that differ.
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(30);
    let name = ahead.strftime("%Y%m%d_%H%M%S").to_string();
    keep(&world, &json, &name, &ahead.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), None);
    let told = world.driftlock(["check"]).env("TZ", "UTC").code(0).stdout();
    let own = told.lines().find_map(|line| line.strip_prefix("Report: ")).unwrap().to_owned();
    assert!(world.path(own).is_file());
    assert!(world.path("reports").join(name).is_dir());
}

#[test]
fn what_can_not_be_a_number_of_reports_is_refused() {
    for (most, expected) in [
        ("0", "can't keep 0 reports: the newest one is always kept; write a number of at least 1"),
        ("-1", "can't keep -1 reports"),
        ("\"30\"", "must be an integer, not a string; write `reports_keep = 30`"),
    ] {
        let (world, days) = world(1, most);
        says(&world.driftlock(["check"]).code(2).stderr(), &["driftlock.toml:1: reports_keep: ", expected]);
        assert_eq!(names(world.path("reports")), days);
    }
}

#[test]
fn an_auditor_is_told_of_it() {
    let (world, _) = world(1, "7");
    let text = world.driftlock(["capabilities"]).code(0).stdout();
    says(&text, &["removed, by `check` alone, which keeps 7 reports"]);
    assert_eq!(world.driftlock(["capabilities", "--json"]).code(0).json()["reports_keep"], 7);
    let (world, _) = checked();
    assert!(!world.driftlock(["capabilities"]).code(0).stdout().contains("removed, by"));
}
