//! Reads that get no answer, as from a dead network file system: told, given up, and never a PASS.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use needs::needs;
use serde_json::Value;

use crate::fuse::{Fuse, Served};
use crate::harness::{TREES, World, drift, kernel, the_check, unverified};
use crate::watch::says;

/// What is read before `stuck`, in the order of names: more than a thread reads at once.
const GOOD: [&str; 18] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"];

fn serve(world: &World, stuck: Served) -> Fuse {
    let files = GOOD.map(|name| Served::new(name, "1")).into_iter().chain([stuck]).collect();
    Fuse::mount(&world.path("root"), files)
}

/// A tree on FUSE beside one on the disk, both locked while all is well.
fn locked() -> World {
    let other = "[check.disk]\nkind = \"trees\"\nroot = \"disk\"\n";
    let world = World::declaring(&format!("{TREES}{other}"));
    std::fs::create_dir_all(world.path("disk/m")).unwrap();
    std::fs::write(world.path("disk/m/a"), "a").unwrap();
    let fuse = serve(&world, Served::new("stuck", "2"));
    world.lock();
    drop(fuse);
    world
}

/// For one run alone: where the kernel waits for a page that never came, the next one to open the file can't be killed.
fn stuck(world: &World) -> Fuse {
    serve(world, Served::new("stuck", "2").hanging())
}

fn started(world: &World, arguments: &[&str]) -> Child {
    let mut run = world.driftlock(arguments);
    run.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Why entries of a check could not be verified, by path.
fn causes(check: &Value) -> Vec<(&str, &str)> {
    let entries = check["unverified"].as_array().unwrap().iter();
    entries.map(|entry| (entry["path"].as_str().unwrap(), entry["cause"].as_str().unwrap())).collect()
}

/// What was verified is verified, what hangs is named with what to do about it, and what was not come to is neither.
fn is_partial(report: &Value) {
    let check = the_check(report);
    let mut unverified = causes(check);
    assert_eq!(unverified.pop(), Some(("stuck", "hangs")));
    // A thread reads as many files side by side as the kernel has lanes; those beside the one that hangs may be given up.
    let beside = kernel().lanes() - 1;
    assert!(unverified.len() <= beside && unverified.iter().all(|(_, cause)| *cause == "given_up"), "{unverified:?}");
    assert_eq!(check["counts"]["verified"], GOOD.len() - unverified.len());
    assert_eq!(drift(report), []);
    let reason = check["unverified"].as_array().unwrap().last().unwrap()["reason"].as_str().unwrap();
    assert!(reason.contains("it did not answer, and the run was given up"), "{reason}");
    // The other root was read as far as there was a thread for it.
    let disk = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "disk").unwrap();
    assert_eq!(disk["drift"], Value::Array(Vec::new()));
    assert!(causes(disk).iter().all(|(_, cause)| *cause == "given_up"), "{disk:#}");
    assert_eq!((&report["overall"], &report["exit_code"]), (&"FAIL".into(), &2.into()));
}

#[needs(fuse)]
fn a_run_is_given_up_when_its_time_is_up() {
    let world = locked();
    for threads in ["1", "2", "5"] {
        let _fuse = stuck(&world);
        let finished = world.driftlock(["check", "--json", "--timeout", "2", "--threads", threads]).code(2);
        is_partial(&finished.json());
        says(&finished.stderr(), &["the run was given up after 2 s (--timeout)"]);
    }
    // It was kept, too.
    let kept = world.driftlock(["report", "--json"]).code(0).json();
    is_partial(&kept);
    let _fuse = serve(&world, Served::new("stuck", "2"));
    world.check(0);
}

#[needs(fuse)]
fn drift_beside_what_hangs_is_not_hidden() {
    let world = locked();
    let files = GOOD.map(|name| Served::new(name, if name == "a" { "2" } else { "1" }));
    let stuck = Served::new("stuck", "2").hanging();
    let _fuse = Fuse::mount(&world.path("root"), files.into_iter().chain([stuck]).collect());
    let report = world.driftlock(["check", "--json", "--timeout", "2"]).code(3).json();
    assert_eq!(drift(&report), [("modified".to_owned(), "a".to_owned())]);
    assert_eq!(causes(the_check(&report)).last(), Some(&("stuck", "hangs")));
}

/// Of a run that is not given up, stderr names the file, again and again, until it is ended by a signal.
#[needs(fuse, "kill")]
fn what_hangs_is_named_and_is_in_the_report_of_a_run_that_is_ended() {
    let world = locked();
    for signal in ["TERM", "INT"] {
        let _fuse = stuck(&world);
        let mut child = started(&world, &["check", "--json", "--stalled-after", "1"]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = "root/stuck has not answered for";
        let mut lines = stderr.by_ref().map(Result::unwrap).filter(|line| line.contains(told));
        assert!(lines.next().unwrap().ends_with("for 1 s; still waiting"));
        assert!(lines.next().unwrap().ends_with("for 3 s; still waiting"));
        let killed = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let rest: Vec<_> = stderr.map(Result::unwrap).collect();
        says(&rest.join("\n"), &[&format!("the run was given up by SIG{signal}")]);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        is_partial(&serde_json::from_slice(&output.stdout).unwrap());
    }
}

/// One that nothing was told of yet is ended by the signal itself.
#[needs(fuse, "kill")]
fn a_signal_before_that_ends_the_run_at_once() {
    let world = locked();
    let fuse = stuck(&world);
    let mut child = started(&world, &["check", "--json"]);
    let taken = || std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().count();
    while taken() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    drop(fuse);
}

/// Opening and listing can hang as well.
#[needs(fuse)]
fn a_directory_that_answers_nothing_any_more_is_given_up() {
    let world = World::new();
    world.write("m/a", "1");
    std::fs::create_dir(world.root("z")).unwrap();
    let fuse = Fuse::mount(&world.root("z"), vec![Served::new("a", "1")]);
    world.lock();
    fuse.silence();
    let finished = world.driftlock(["check", "--json", "--timeout", "2", "--stalled-after", "1"]).code(2);
    let report = finished.json();
    let mut unverified = causes(the_check(&report));
    // The thread that lists `z` may have this before it.
    unverified.retain(|entry| *entry != ("m/a", "given_up"));
    assert_eq!((drift(&report), unverified), (vec![], vec![("z", "hangs"), ("z/a", "below")]));
    says(&finished.stderr(), &["root/z has not answered for 1 s; still waiting", "mount it again"]);
    drop(fuse);
}

/// Nothing that was not read is taken for gone, however large the directory is.
#[needs(fuse)]
fn what_was_not_reached_is_neither_removed_nor_verified() {
    let world = World::new();
    for number in 0..3000 {
        world.write(format!("m/d/{number}"), "1");
    }
    std::fs::create_dir(world.root("z")).unwrap();
    let good = vec![Served::new("a", "1"), Served::new("b", "1")];
    let fuse = Fuse::mount(&world.root("z"), good.clone());
    world.lock();
    drop(fuse);
    let stuck = good.into_iter().map(Served::hanging).collect();
    let fuse = Fuse::mount(&world.root("z"), stuck);
    let report = world.driftlock(["check", "--json", "--timeout", "3", "--threads", "1"]).code(2).json();
    assert_eq!(drift(&report), []);
    assert!(unverified(&report).iter().any(|path| path.starts_with("z/")), "{:?}", unverified(&report));
    assert_eq!(the_check(&report)["counts"]["entries"], 3005);
    drop(fuse);
}

/// A stat cache keeps what it knew.
#[needs(fuse)]
fn a_run_that_was_given_up_teaches_the_stat_cache_nothing() {
    let world = locked();
    std::fs::create_dir(world.path("state")).unwrap();
    let arguments = ["check", "--json", "--timeout", "2", "--stat-cache", "state/cache"];
    std::thread::sleep(driftlock::internals::stat_cache::SETTLING);
    let fuse = serve(&world, Served::new("stuck", "2"));
    world.driftlock(arguments).code(0);
    drop(fuse);
    let before = std::fs::read(world.path("state/cache")).unwrap();
    let fuse = stuck(&world);
    is_partial(&world.driftlock(arguments).code(2).json());
    assert_eq!(std::fs::read(world.path("state/cache")).unwrap(), before);
    drop(fuse);
}

#[needs(fuse)]
fn lock_tells_of_it_too() {
    let world = locked();
    let fuse = stuck(&world);
    let mut child = started(&world, &["lock", "--stalled-after", "1"]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(stderr.any(|line| line.contains("root/stuck has not answered for 1 s")));
    child.kill().unwrap();
    child.wait().unwrap();
    drop(fuse);
}

/// What is opened before the sandbox is entered is waited for in no other way.
#[needs(fuse, "kill")]
fn a_root_that_can_not_be_opened_is_told_and_given_up() {
    let world = locked();
    let fuse = serve(&world, Served::new("stuck", "2"));
    fuse.silence();
    let finished = world.driftlock(["check", "--json", "--timeout", "3", "--stalled-after", "1"]).code(2);
    says(
        &finished.stderr(),
        &[
            "root has not answered for 1 s; still waiting",
            "the run was given up after 3 s (--timeout): root does not answer, and nothing was verified",
            "mount it again",
        ],
    );
    assert_eq!(finished.stdout(), "");
    assert!(!world.path("reports").exists());
    for command in [&["lock"][..], &["check"], &["accept", "root/a"], &["diff", "locks/tree.lock.json", "live"]] {
        let mut child = started(&world, &[command, &["--stalled-after", "1"]].concat());
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let first = stderr.next().unwrap();
        assert!(first.contains("root has not answered for 1 s"), "{command:?}: {first}");
        std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(15));
    }
    drop(fuse);
}
