//! `driftlock init`.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::World;
use crate::watch::{names, refused_and_untouched, says};

fn repository() -> World {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    for path in [
        "infra/stacks/edge-traefik/docker-compose.yml",
        "infra/stacks/odoo18-prod/docker-compose.yml",
        "odoo_modules/seisei/qr_ordering/__manifest__.py",
        "odoo_modules/seisei/qr_ordering/models/order.py",
        "odoo_modules/seisei/custom_ocr_finance/__manifest__.py",
    ] {
        fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
        fs::write(world.path(path), path).unwrap();
    }
    world
}

#[test]
fn the_declaration_works_with_lock_and_check() {
    let world = repository();
    let finished = world.driftlock(["init"]).code(0);
    says(&finished.stdout(), &["wrote driftlock.toml", "driftlock lock"]);
    says(&finished.stdout(), &["    git config merge.driftlock.driver 'driftlock merge-driver --marker-size %L"]);
    let text = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    says(&text, &["[check.compose_hashes]", "root = \"infra/stacks\"", "[check.addon_hashes]"]);
    says(&text, &["root = \"odoo_modules/seisei\"", "# Where lock files live."]);
    let text = world.driftlock(["lock"]).code(0).stdout();
    says(&text, &["wrote audit/locks/compose_hashes.lock.json: 2 entries", "wrote audit/locks/addon_hashes.lock.json"]);
    world.driftlock(["check"]).code(0);
    fs::write(world.path("odoo_modules/seisei/qr_ordering/models/order.py"), "changed").unwrap();
    says(&world.driftlock(["check"]).code(1).stdout(), &["[FAIL] Addon drift: qr_ordering"]);
    assert_eq!(names(world.path("audit")), ["locks", "runtime"]);
    assert_eq!(names(world.path(".")), ["audit", "driftlock.toml", "infra", "odoo_modules", "root"]);
}

#[test]
fn never_overwrites() {
    for name in ["driftlock.toml", "driftlock.json"] {
        let world = repository();
        fs::write(world.path(name), "precious").unwrap();
        let expected = [&*format!("there is a {name} already"), "never overwrites", "move it away"];
        refused_and_untouched(&world, &["init"], &expected);
        // Whatever it is: an empty file, a directory, a link that leads nowhere or elsewhere.
        fs::write(world.path(name), "").unwrap();
        refused_and_untouched(&world, &["init"], &expected);
        fs::remove_file(world.path(name)).unwrap();
        fs::create_dir(world.path(name)).unwrap();
        refused_and_untouched(&world, &["init"], &expected);
        fs::remove_dir(world.path(name)).unwrap();
        for target in ["nowhere", "../elsewhere.toml", "/etc/hostname"] {
            symlink(target, world.path(name)).unwrap();
            refused_and_untouched(&world, &["init"], &expected);
            fs::remove_file(world.path(name)).unwrap();
        }
    }
}

#[test]
fn a_directory_with_nothing_in_it_has_nothing_to_lock() {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    let expected = ["there is nothing to lock here yet", "run `driftlock init` where your files are", "`[check.NAME]`"];
    refused_and_untouched(&world, &["init"], &expected);
}

/// A checkout that changes line ends would make each lock one that was tampered with.
#[test]
fn git_leaves_the_line_ends_of_locks_alone() {
    let world = repository();
    world.driftlock(["init"]).code(0);
    let attributes = fs::read_to_string(world.path("audit/locks/.gitattributes")).unwrap();
    assert_eq!(attributes, "* -text\n*.lock.json merge=driftlock\n");
    fs::write(world.path("audit/locks/.gitattributes"), "mine\n").unwrap();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    let said = world.driftlock(["init"]).code(0).stdout();
    says(&said, &["and add this to audit/locks/.gitattributes, which exists already: *.lock.json merge=driftlock"]);
    assert_eq!(fs::read_to_string(world.path("audit/locks/.gitattributes")).unwrap(), "mine\n");
}

#[test]
fn hostile_names_make_no_hostile_declaration() {
    let world = repository();
    let name = "a\"]\nroot = \"/etc\"\n[check.x]\u{1b}[2J";
    fs::create_dir_all(world.path("infra/stacks").join(name)).unwrap();
    fs::write(world.path("infra/stacks").join(name).join("docker-compose.yml"), "x").unwrap();
    let modules = world.path("infra").join(name);
    for module in ["one", "two"] {
        fs::create_dir_all(modules.join(module)).unwrap();
        fs::write(modules.join(module).join("__manifest__.py"), "x").unwrap();
    }
    let finished = world.driftlock(["init"]).code(0);
    assert!(!finished.stdout().contains('\u{1b}'));
    let text = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line == "root = \"/etc\""), "{text}");
    world.driftlock(["lock"]).code(0);
    world.driftlock(["check"]).code(0);
}
