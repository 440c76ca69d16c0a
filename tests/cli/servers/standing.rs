//! `--as SERVER`: on the machine itself, what `--server` would read there.

use std::fs;

use crate::harness::World;
use crate::watch::{refused, says};

/// A clone of the repository on a server, whose stacks lie elsewhere.
fn clone() -> World {
    let world = World::declaring("");
    let srv = world.path("srv/stacks");
    fs::create_dir_all(srv.join("edge")).unwrap();
    fs::create_dir_all(world.path("notes")).unwrap();
    for path in [srv.join("edge/a.yml"), world.write("edge/a.yml", "1"), world.path("notes/x")] {
        fs::write(path, "1").unwrap();
    }
    let declaration = format!(
        "locks = \"locks\"\nreports = \"reports\"\n\n[check.stacks]\nkind = \"files\"\nroot = \"root\"\ninclude = \
         [\"*/*.yml\"]\nserver_root = {srv:?}\n\n[check.notes]\nkind = \"files\"\nroot = \"notes\"\ninclude = [\"*\"]\nmodes = \
         [\"local\"]\n\n[server.web]\nhost = \"web.example.org\"\n"
    );
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    world.lock();
    world
}

#[test]
fn the_live_tree_is_checked_and_not_the_clone() {
    let world = clone();
    fs::write(world.path("srv/stacks/edge/a.yml"), "edited").unwrap();
    world.driftlock(["check"]).code(0);
    let text = world.driftlock(["check", "--as", "web"]).code(1).stdout();
    let shown = world.path("srv/stacks/edge/a.yml").display().to_string();
    says(
        &text,
        &[&format!("[FAIL] Stacks drift: {shown}\n"), "[SKIP] Notes: not for mode local", "driftlock accept --as web "],
    );
    // What it says to do works.
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("take it")).unwrap().trim();
    let arguments: Vec<_> = line.split(' ').skip(1).collect();
    says(&world.driftlock(&arguments).code(0).stdout(), &["accepted 1, 0 drifts left"]);
    world.driftlock(["check", "--as", "web"]).code(0);
    says(&world.driftlock(["check"]).code(1).stdout(), &["[FAIL] Stacks drift: root/edge/a.yml"]);
    says(&world.driftlock(["lock"]).code(0).stdout(), &["wrote locks/stacks.lock.json"]);
    says(&world.driftlock(["lock", "--as", "web"]).code(0).stdout(), &["wrote locks/stacks.lock.json"]);
    world.driftlock(["check", "--as", "web"]).code(0);
}

#[test]
fn what_it_can_not_be() {
    let world = clone();
    refused(
        world.driftlock(["check", "--as", "db"]),
        &["--as db: driftlock.toml declares no such server", "name one of: web"],
    );
    refused(world.driftlock(["check", "--as", "web", "--server", "web"]), &["leave out one of --as and --server"]);
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    let without: String =
        declaration.lines().filter(|line| !line.starts_with("server_root")).map(|line| format!("{line}\n")).collect();
    fs::write(world.path("driftlock.toml"), without).unwrap();
    refused(
        world.driftlock(["check", "--as", "web"]),
        &["the declaration does not say where the root of the check stacks is on web", "`server_root`"],
    );
}
