//! Kernels with less, which strace plays by answering system calls in the kernel's place, and requirements.

use std::fs;
use std::sync::mpsc;
use std::thread;

use driftlock::internals::sandbox::{self, Enforced, Grants, Requirement};
use rustix::fs::{Mode, OFlags, openat};

use crate::attempts::{self, Attempt};
use crate::child::{Inside, call, describe};
use crate::scene::{Layers, Scene, is_root, said};

/// In the order in which the ABIs brought them, as the documentation of [`sandbox::Landlock`] has it.
const NAMES: [(u32, &str); 6] =
    [(1, "filesystem"), (2, "refer"), (3, "truncate"), (4, "tcp"), (5, "ioctl"), (6, "scope")];

/// Newer kernels get the rights of this ABI, until the new rights were reviewed.
const NEWEST_THAT_IS_KNOWN: i64 = 10;

fn offered() -> Enforced {
    let offered = sandbox::available();
    assert!(offered.is_everything(), "these tests need a kernel with Landlock and seccomp, this has {offered:?}");
    offered
}

fn abi() -> u32 {
    // Later ones than NAMES tells of may well hold more; what is played here goes as far as it tells.
    offered().landlock.map_or(0, |landlock| landlock.abi).min(8)
}

pub fn full_on_this_kernel() {
    // Asked of the kernel by other means, with the flag LANDLOCK_CREATE_RULESET_VERSION.
    let newest = call(libc::SYS_landlock_create_ruleset, &[0, 0, 1]).expect("a kernel with Landlock");
    let asked = offered().landlock.map(|landlock| i64::from(landlock.abi));
    assert_eq!(asked, Some(newest.min(NEWEST_THAT_IS_KNOWN)));
    for task in ["degraded:available", "degraded:everything"] {
        assert_eq!(said(Scene::new(false).command(task, Layers::None)), describe(&offered()));
    }
}

pub fn older_abis_hold_what_they_name() {
    for abi in 1..=abi() {
        let scene = Scene::new(false);
        let answer = format!("inject=landlock_create_ruleset:retval={abi}:when=1..3");
        let names: Vec<_> = NAMES.iter().filter(|(since, _)| *since <= abi).map(|(_, name)| *name).collect();
        let expected = format!("landlock {abi} {}; seccomp", names.join(","));
        for task in ["degraded:available", "degraded:everything"] {
            assert_eq!(said(played(&scene, &answer, task, Layers::None)), expected, "ABI {abi}");
        }
        // One question fewer than by the way of `enter`, which asks before it begins.
        let answer = format!("inject=landlock_create_ruleset:retval={abi}:when=1..2");
        let newer = |attempt: &&'static Attempt| attempt.landlock.is_some_and(|(since, _)| since > 1);
        for attempt in attempts::all().filter(|attempt| attempt.shows(is_root())).filter(newer) {
            let scene = Scene::new(false);
            let said = said(played(&scene, &answer, &format!("attempt:{}", attempt.name), Layers::Landlock));
            assert_eq!(said, attempt.expected(Layers::Landlock, abi), "{} under ABI {abi}", attempt.name);
        }
    }
}

pub fn a_missing_layer_is_named() {
    let scene = Scene::new(false);
    let landlock = describe(&Enforced { seccomp: false, ..offered() });
    for (answer, kept, reason) in [
        ("inject=landlock_create_ruleset:error=ENOSYS", "no landlock; seccomp", "Linux 5.13"),
        ("inject=landlock_create_ruleset:error=EOPNOTSUPP", "no landlock; seccomp", "`lsm=`"),
        ("inject=seccomp:error=EINVAL", &landlock, "CONFIG_SECCOMP_FILTER"),
        ("inject=seccomp:error=EPERM", &landlock, "Operation not permitted"),
    ] {
        assert_eq!(said(played(&scene, answer, "degraded:available", Layers::None)), kept, "{answer}");
        let refusal = said(played(&scene, answer, "degraded:everything", Layers::None));
        assert!(refusal.starts_with("refused: a full sandbox is required"), "{answer}: {refusal}");
        assert!(refusal.contains(reason), "{answer}: {refusal}");
    }
}

pub fn a_layer_that_breaks_its_word_is_an_error() {
    let scene = Scene::new(false);
    for (answer, reason) in [
        ("inject=landlock_create_ruleset:error=EINVAL:when=3", "refused rights that it offers"),
        ("inject=landlock_add_rule:error=EINVAL", "refused rights that it offers"),
        ("inject=landlock_restrict_self:error=E2BIG", "refused rights that it offers"),
        ("inject=prctl:error=EINVAL", ""),
    ] {
        for task in ["degraded:available", "degraded:everything"] {
            let said = said(played(&scene, answer, task, Layers::None));
            assert!(said.starts_with("refused: ") && said.contains(reason), "{answer}, {task}: {said}");
        }
    }
}

pub fn a_second_thread_is_refused() {
    let scene = Scene::new(false);
    let said_of_two = said(scene.command("degraded:two threads", Layers::None));
    assert!(
        said_of_two.starts_with("refused: ") && said_of_two.contains("before a second thread starts"),
        "{said_of_two}"
    );
    // One that has ended is none, however lately.
    assert_eq!(said(scene.command("degraded:ended threads", Layers::None)), describe(&offered()));
    // Where a container forbids the question, it is left out.
    let unanswered = played(&scene, "inject=unshare:error=EPERM", "degraded:everything", Layers::None);
    assert_eq!(said(unanswered), describe(&offered()));
}

pub fn asking_changes_nothing() {
    assert_eq!(said(Scene::new(false).command("degraded:ask", Layers::None)), "ok");
}

fn played(scene: &Scene, answer: &str, task: &str, layers: Layers) -> std::process::Command {
    scene.traced(&["-o", "/dev/null", "-e", "trace=all", "-e", answer], task, layers)
}

/// The child's side.
pub fn run(task: &str, inside: &Inside) {
    match task {
        "available" => enter(inside, Requirement::AsAvailable),
        "everything" => enter(inside, Requirement::Everything),
        "two threads" => {
            let (end, wait) = mpsc::channel::<()>();
            let thread = thread::spawn(move || wait.recv());
            enter(inside, Requirement::AsAvailable);
            drop(end);
            let _ = thread.join();
        }
        "ended threads" => {
            for _ in 0..200 {
                thread::spawn(|| ()).join().expect("a thread");
            }
            enter(inside, Requirement::Everything);
        }
        "ask" => {
            // A container may have set some of it before.
            let restrictions = || -> Vec<String> {
                let status = fs::read_to_string("/proc/self/status").expect("a status");
                let is_one = |line: &&str| line.starts_with("NoNewPrivs:") || line.starts_with("Seccomp");
                status.lines().filter(is_one).map(str::to_owned).collect()
            };
            let before = restrictions();
            assert!(before.len() >= 2, "{before:?}");
            assert!(sandbox::available().is_everything());
            assert_eq!(restrictions(), before);
            openat(&inside.root, "../secret", OFlags::RDWR, Mode::empty()).expect("still open to us");
            println!("ok");
        }
        _ => panic!("no such task: {task}"),
    }
}

fn enter(inside: &Inside, requirement: Requirement) {
    use std::os::fd::AsFd as _;
    let grants = Grants { read: vec![inside.root.as_fd()], ..Grants::default() };
    match sandbox::enter(&grants, requirement) {
        Ok(enforced) => println!("{}", describe(&enforced)),
        Err(error) => println!("refused: {error}"),
    }
}
