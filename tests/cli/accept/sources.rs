//! From an export, from a server, and from a container engine.

use std::fs;
use std::sync::{Arc, Mutex};

use super::super::containers::fake::{ID, answer, inspected, listen, well_behaved};
use super::super::servers::site::{Far, Site};
use super::drifted;
use crate::harness::World;
use crate::watch::{refused, says, snapshot};
use needs::needs;

#[test]
fn from_an_export() {
    let world = drifted();
    world.driftlock(["export", "--output", "runtime"]).code(0);
    // What is here now is of no matter.
    let root = world.path("root");
    fs::rename(&root, world.path("elsewhere")).unwrap();
    let text = world.driftlock(["accept", "--from", "runtime", "root/stacks/edge/a.yml", "qr"]).code(0).stdout();
    says(&text, &["accepted 2, 2 drifts left\n"]);
    fs::rename(world.path("elsewhere"), &root).unwrap();
    let report = world.driftlock(["check", "--json"]).code(1).json();
    let left: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|check| check["counts"]["drifted"].clone()).collect();
    assert_eq!(left[1..], [1, 1]);
    refused(world.driftlock(["accept", "--from", "nothing", "qr"]), &["the locks of the export", "nothing"]);
    refused(world.driftlock(["accept", "--ssh-user", "x", "qr"]), &["--ssh-user is for servers"]);
}

/// A server's state, by the paths that its report shows, and by those of the repository.
#[needs(landlock, sshd)]
fn from_a_server() {
    let site = Site::new(&[("web", Far::Driftlock), ("db", Far::Driftlock)]);
    let world = &site.world;
    world.write("loose", "1");
    world.write("module/a.py", "changed\n");
    let shown = world.path("root/loose").display().to_string();
    let before = snapshot(world, &["locks"]);
    let dry = site.driftlock(&["accept", "--server", "web", "--dry-run", &shown]).code(0).stdout();
    says(&dry, &[&format!("    added: {shown} ("), "would accept 1, 1 drift would be left\n"]);
    refused(
        site.driftlock(&["accept", "--server", "web", "--server", "db", &shown]),
        &["the state of one server, and 2 are"],
    );
    assert_eq!(snapshot(world, &["locks"]), before);
    says(&site.driftlock(&["accept", "--server", "web", &shown]).code(0).stdout(), &["accepted 1, 1 drift left\n"]);
    let text = site.driftlock(&["accept", "--server", "web", "--require-sandbox", "root/module"]).code(0).stdout();
    says(&text, &["accepted 1, 0 drifts left\n"]);
    // What is here is what is there, so this is what `lock` writes, `nar` and all.
    let accepted = world.lock_bytes();
    fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
    world.lock();
    assert_eq!(accepted, world.lock_bytes());
    site.driftlock(&["check", "--server", "web"]).code(0);
}

/// A server that can't be asked: nothing is accepted.
#[needs(sshd)]
fn a_server_that_does_not_answer() {
    let site = Site::new(&[("web", Far::Nothing)]);
    let before = snapshot(&site.world, &["locks"]);
    refused(site.driftlock(&["accept", "--server", "web", "module"]), &["web: "]);
    assert_eq!(snapshot(&site.world, &["locks"]), before);
}

/// Containers go by their names; one that is declared and gone can't be taken, as `lock` doesn't take it.
#[test]
fn containers_by_name() {
    let declared =
        |more: &str| format!("locks = \"locks\"\n[check.images]\nkind = \"containers\"\nsocket = \"socket\"\n{more}");
    let world = World::declaring(&declared(""));
    let state: Arc<Mutex<(bool, &str)>> = Arc::new(Mutex::new((true, "web:1")));
    let seen = Arc::clone(&state);
    let _requests = listen(&world.path("socket"), move |target| {
        let (two, image) = *seen.lock().unwrap();
        let one = |name: &str| inspected().replace("/web", name).replace("web:1", image);
        match target {
            "/v1.41/containers/json?all=1" if two => {
                let other = ID.replacen('1', "2", 1);
                answer(200, format!(r#"[{{"Id":"{ID}","Names":["/web"]}},{{"Id":"{other}","Names":["/db"]}}]"#))
            }
            _ if target.starts_with("/v1.41/containers/2") => answer(200, one("/db").replacen(&ID[..1], "2", 1)),
            _ if target.starts_with(&format!("/v1.41/containers/{ID}")) => answer(200, one("/web")),
            _ => well_behaved(target),
        }
    });
    world.lock();
    state.lock().unwrap().1 = "web:2";
    let text = world.driftlock(["accept", "web"]).code(0).stdout();
    says(&text, &["    image changed: web (web:1 → web:2)", "accepted 1, 1 drift left\n"]);
    let report = world.driftlock(["check", "--json"]).code(1).json();
    assert_eq!(report["checks"][1]["drift"][0]["path"], "db");
    state.lock().unwrap().0 = false;
    fs::write(world.path("driftlock.toml"), declared("containers = [\"web\", \"db\"]\n")).unwrap();
    refused(
        world.driftlock(["accept", "db"]),
        &["db could not be read: it is declared, and the engine has no such container"],
    );
    fs::write(world.path("driftlock.toml"), declared("")).unwrap();
    says(&world.driftlock(["accept", "d*"]).code(0).stdout(), &["removed: db", "accepted 1, 0 drifts left\n"]);
    world.driftlock(["check"]).code(0);
}

#[test]
fn an_old_lock_takes_no_single_entries() {
    let world = drifted();
    let lock = world.path("audit/locks/compose_hashes.lock.json");
    fs::remove_file(&lock).unwrap();
    let declaration = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    let declaration = declaration.replace("[check.addon", "lock = \"old.lock.txt\"\n\n[check.addon");
    fs::write(world.path("driftlock.toml"), declaration).unwrap();
    let sums = format!("{}  root/stacks/edge/a.yml\n", "0".repeat(64));
    fs::write(world.path("audit/locks/old.lock.txt"), sums).unwrap();
    refused(
        world.driftlock(["accept", "--check", "compose_hashes", "root/stacks/edge/a.yml"]),
        &["audit/locks/old.lock.txt is an old lock", "driftlock lock --check compose_hashes"],
    );
}
