//! Old locks against what a server sends.

use std::fs;

use super::{bash, drift, the};
use crate::harness::World;
use crate::servers::site::{Far, Site};
use needs::needs;

#[needs(sshd)]
fn files_and_modules_of_a_server() {
    let world = World::declaring("");
    for path in
        ["stacks/traefik/docker-compose.yml", "stacks/odoo/docker-compose.yml", "addons/a/x.py", "addons/b/x.py"]
    {
        fs::create_dir_all(world.path("srv").join(path).parent().unwrap()).unwrap();
        fs::write(world.path("srv").join(path), path).unwrap();
    }
    let srv = world.path("srv").display().to_string();
    fs::write(
        world.path("driftlock.toml"),
        format!(
            "[check.compose_hashes]\nkind = \"files\"\nroot = \"infra/stacks\"\ninclude = [\"*/*.yml\"]\n\
             lock = \"compose_sha256.lock.txt\"\nserver_root = \"{srv}/stacks\"\n\
             [check.addon_hashes]\nkind = \"trees\"\nroot = \"odoo_modules\"\nlock = \"modules.hash.txt\"\n\
             [server.web]\nhost = \"web\"\nroots.addon_hashes = \"{srv}/addons\"\n"
        ),
    )
    .unwrap();
    // As the export script makes them on the server.
    bash(
        &world,
        &format!(
            "mkdir -p audit/locks; find {srv}/stacks -name '*.yml' -exec sha256sum {{}} + >audit/locks/compose_sha256.lock.txt\n\
             for m in a b; do echo \"$(find {srv}/addons/$m -type f -exec sha256sum {{}} + | sort | sha256sum | cut -d' ' -f1)  $m\"; done \
             >audit/locks/modules.hash.txt"
        ),
    );
    let site = Site::with(world, &[("web", Far::Driftlock)]);
    let report = site.driftlock(&["check", "--server", "web", "--json"]).code(0).json();
    for (check, old) in [("compose_hashes", "file_hashes"), ("addon_hashes", "module_hashes")] {
        assert_eq!(
            (&the(&report, check)["old_lock"], &the(&report, check)["counts"]["verified"]),
            (&old.into(), &2.into())
        );
    }
    fs::write(site.world.path("srv/stacks/odoo/docker-compose.yml"), "changed").unwrap();
    fs::write(site.world.path("srv/addons/b/new.py"), "").unwrap();
    let report = site.driftlock(&["check", "--server", "web", "--json"]).code(1).json();
    assert_eq!(drift(&report, "compose_hashes"), ["modified odoo/docker-compose.yml"]);
    assert_eq!(drift(&report, "addon_hashes"), ["modified b"]);
    let text = site.driftlock(&["check", "--server", "web"]).code(1).stdout();
    assert_eq!(text.matches("is an old lock, blind to").count(), 2, "{text}");
}
