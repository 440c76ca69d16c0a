//! `driftlock capabilities`: what an auditor is told, and sees at work.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{World, is_root};
use crate::watch::{no_panic, says, snapshot, strace};
use needs::needs;

#[needs(landlock)]
fn what_lies_beside_the_root_is_out_of_reach() {
    let world = World::new();
    world.write("m/a", "1");
    fs::write(world.path("secret"), "1").unwrap();
    symlink("../../secret", world.root("m/link")).unwrap();
    fs::create_dir(world.path("beside")).unwrap();
    let secret = world.path("secret");
    // What the user may read outside of the sandbox.
    let machine = if is_root() { "/etc/shadow" } else { "/etc/passwd" };
    for path in [secret.to_str().unwrap(), "secret", "beside", "root/m/link", "root/../secret", ".", machine, "/"] {
        let finished = world.driftlock(["capabilities", "--probe", path]).code(0);
        no_panic(&finished);
        let text = finished.stdout();
        says(&text, &["outside the sandbox: ", ": opened\n", "inside the sandbox: ", ": refused: ", "out of reach of"]);
        let value = world.driftlock(["capabilities", "--json", "--probe", path]).code(0).json();
        assert_eq!((&value["reachable"], &value["seccomp"]), (&false.into(), &true.into()));
    }
}

#[needs(landlock)]
fn what_lies_below_the_root_or_the_locks_is_within() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    for path in ["root", "root/m", "root/m/a", "locks", "locks/tree.lock.json"] {
        let finished = world.driftlock(["capabilities", "--probe", path]).code(1);
        says(&finished.stdout(), &["inside the sandbox: ", ": opened\n", "a check can read it"]);
        let value = world.driftlock(["capabilities", "--json", "--probe", path]).code(1).json();
        assert_eq!(value["reachable"], true);
    }
    let report = world.check(0);
    let reports = report["timestamp"].as_str().unwrap();
    world.driftlock(["capabilities", "--probe", &format!("reports/{reports}")]).code(0);
}

/// Only the roots of the checks that are gone through.
#[needs(landlock)]
fn another_check_s_root_is_out_of_reach() {
    let both = format!("{}\n[check.other]\nkind = \"trees\"\nroot = \"other\"\n", crate::harness::TREES);
    let world = World::declaring(&both);
    fs::create_dir(world.path("other")).unwrap();
    world.driftlock(["capabilities", "--probe", "other"]).code(1);
    world.driftlock(["capabilities", "--probe", "other", "--check", "tree"]).code(0);
}

/// The probe shows the kernel at work and not a promise: where Landlock is missing, it says so.
#[needs(strace)]
fn a_probe_without_landlock_is_honest() {
    let world = World::new();
    fs::write(world.path("secret"), "1").unwrap();
    let inject = ["-e", "inject=landlock_create_ruleset:error=ENOSYS"];
    let finished = strace(&world, &inject, &["capabilities", "--probe", "secret"]).code(1);
    says(&finished.stdout(), &["inside the sandbox: ", "a check can read it"]);
    let finished = strace(&world, &inject, &["capabilities"]).code(0);
    says(&finished.stdout(), &["Landlock: NOT OFFERED"]);
    let value = strace(&world, &inject, &["capabilities", "--json"]).code(0).json();
    assert!(value["offered"]["landlock"].is_null());
    strace(&world, &inject, &["capabilities", "--require-sandbox", "--probe", "secret"]).code(2);
}

#[test]
fn capabilities_names_all_that_is_declared_and_opens_none_of_it() {
    let declaration = "locks = \"audit/locks\"\nreports = \"audit/runtime\"\n\n\
                       [check.compose]\nkind = \"files\"\nroot = \"no/stacks\"\ninclude = [\"*/c.yml\"]\nexclude = [\"old/**\"]\n\n\
                       [check.addons]\nkind = \"trees\"\nroot = \"no/addons\"\nlock = \"a.lock.json\"\n";
    let world = World::declaring(declaration);
    let before = snapshot(&world, &["."]);
    let text = world.driftlock(["capabilities"]).code(0).stdout();
    says(
        &text,
        &["declaration: driftlock.toml", "no/stacks", "\"*/c.yml\" but not \"old/**\"", "no/addons", "everything"],
    );
    says(&text, &["audit/locks/compose.lock.json", "audit/locks/a.lock.json", "audit/runtime/<time>/", "by seccomp: "]);
    let value = world.driftlock(["capabilities", "--json"]).code(0).json();
    assert_eq!(value["read"][0]["root"], "no/stacks");
    assert_eq!(value["read"][1]["lock"], "audit/locks/a.lock.json");
    assert_eq!((&value["locks"], &value["reports"]), (&"audit/locks".into(), &"audit/runtime".into()));
    assert_eq!(snapshot(&world, &["."]), before);
}
