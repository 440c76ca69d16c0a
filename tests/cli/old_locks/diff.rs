//! `diff A B` of a lock of the scripts and one of ours, in any order: what `check` says, or a refusal, and never a list of all.

use std::fs;

use super::bash;
use crate::harness::World;
use crate::watch::{refused, says};

const CHECKS: &str = "[check.compose_hashes]\nkind = \"files\"\nroot = \"infra/stacks\"\n\
                      include = [\"*/docker-compose*.yml\"]\n[check.addon_hashes]\nkind = \"trees\"\nroot = \"modules\"\n";

fn world() -> World {
    let world = World::declaring(CHECKS);
    for (path, contents) in [("infra/stacks/a", "a"), ("infra/stacks/b", "b"), ("modules/m", "m"), ("modules/n", "n")] {
        fs::create_dir_all(world.path(path)).unwrap();
        fs::write(world.path(path).join("docker-compose.yml"), contents).unwrap();
    }
    world.lock();
    let compose = "find infra/stacks -name '*.yml' -exec sha256sum {} + >compose_sha256.lock.txt";
    let modules = "for m in m n; do echo \"$(find modules/$m -type f -exec sha256sum {} \\; | sort | sha256sum | cut -d' ' -f1)  \
                   $m\"; done | sed 's/ *m$/  m/; s/ *n$/  n/' >odoo_addons_modules.hash.txt";
    bash(&world, &format!("{compose}\n{modules}\n(cd infra/stacks && sha256sum */*.yml) >relative.lock.txt"));
    world
}

#[test]
fn paths_with_the_root_in_them_are_refused_in_any_order() {
    let world = world();
    let (old, new) = ("compose_sha256.lock.txt", "audit/locks/compose_hashes.lock.json");
    for sides in [[old, new], [new, old], [old, "relative.lock.txt"]] {
        refused(world.driftlock(["diff", sides[0], sides[1]]), &["have no path in common", "live`"]);
    }
    // With the paths below the root, it is what `check` says.
    for sides in [["relative.lock.txt", new], [new, "relative.lock.txt"]] {
        world.driftlock(["diff", sides[0], sides[1]]).code(0);
    }
    fs::write(world.path("infra/stacks/a/docker-compose.yml"), "other").unwrap();
    world.lock();
    for sides in [["relative.lock.txt", new], [new, "relative.lock.txt"]] {
        says(&world.driftlock(["diff", sides[0], sides[1]]).code(1).stdout(), &["2 entries: 1 differ"]);
    }
}

#[test]
fn modules_are_refused_in_any_order() {
    let world = world();
    let (old, new) = ("odoo_addons_modules.hash.txt", "audit/locks/addon_hashes.lock.json");
    for sides in [[old, new], [new, old]] {
        let expected = [
            "can't be compared: one is a lock of",
            "files",
            "trees",
            "`driftlock diff odoo_addons_modules.hash.txt live`",
        ];
        refused(world.driftlock(["diff", sides[0], sides[1]]), &expected);
    }
    let (compose, trees) = ("audit/locks/compose_hashes.lock.json", "audit/locks/addon_hashes.lock.json");
    refused(
        world.driftlock(["diff", compose, trees]),
        &["can't be compared: one is a lock of files, the other of trees"],
    );
}
