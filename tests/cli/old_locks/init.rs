//! `init` where the scripts have left their locks: the first `check` has their verdict.

use std::fs;

use super::{bash, drift, the};
use crate::harness::World;
use crate::watch::says;

const MODULES: &str = "for m in a b; do h=$(find odoo_modules/seisei/$m -type f -exec sha256sum {} \\; | sort | sha256sum | cut -d' ' -f1); \
                       echo \"$h  $m\"; done >audit/locks/odoo_addons_modules.hash.txt";
const COMPOSE: &str =
    "find infra/stacks -name 'docker-compose*.yml' -exec sha256sum {} + >audit/locks/compose_sha256.lock.txt";

fn world() -> World {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    for path in [
        "infra/stacks/traefik/docker-compose.yml",
        "infra/stacks/odoo/docker-compose.yml",
        "odoo_modules/seisei/a/__manifest__.py",
        "odoo_modules/seisei/b/__manifest__.py",
    ] {
        fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
        fs::write(world.path(path), path).unwrap();
    }
    fs::create_dir_all(world.path("audit/locks")).unwrap();
    world
}

#[test]
fn the_locks_of_the_scripts_are_declared() {
    let world = world();
    bash(&world, &format!("{MODULES}\n{COMPOSE}"));
    fs::write(world.path("audit/locks/docker_images.lock.json"), "{\"generated_at\": \"x\", \"images\": {}}").unwrap();
    world.driftlock(["init"]).code(0);
    let text = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    says(&text, &["\nlock = \"compose_sha256.lock.txt\"\n", "\nlock = \"odoo_addons_modules.hash.txt\"\n"]);
    says(&text, &["[check.docker_images]\nkind = \"containers\"\n", "modes = [\"server\"]\n"]);
    let report = world.driftlock(["check", "--json"]).code(0).json();
    assert_eq!(the(&report, "compose_hashes")["old_lock"], "file_hashes");
    assert_eq!(the(&report, "addon_hashes")["old_lock"], "module_hashes");
    assert_eq!(the(&report, "docker_images")["skipped"], "other_mode");
    fs::write(world.path("infra/stacks/odoo/docker-compose.yml"), "changed").unwrap();
    fs::write(world.path("odoo_modules/seisei/b/new.py"), "new").unwrap();
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!(drift(&report, "compose_hashes"), ["modified odoo/docker-compose.yml"]);
    assert_eq!(drift(&report, "addon_hashes"), ["modified b"]);
}

#[test]
fn what_is_no_lock_of_the_scripts_is_not() {
    let world = world();
    world.driftlock(["init"]).code(0);
    let without = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    assert!(!without.contains("lock = ") && !without.contains("docker_images"), "{without}");
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    // A link is none, nor is a file of that name elsewhere.
    std::os::unix::fs::symlink("/etc/hostname", world.path("audit/locks/compose_sha256.lock.txt")).unwrap();
    fs::write(world.path("infra/stacks/odoo_addons_modules.hash.txt"), "").unwrap();
    world.driftlock(["init"]).code(0);
    let with = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    assert!(!with.contains("\nlock = "), "{with}");
}
