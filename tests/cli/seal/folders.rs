//! Folders in the locks directory that the user who runs the check can't read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use needs::needs;

use super::scene::{scene, seal};
use crate::harness::{World, unprivileged};
use crate::watch::says;

/// A sealed world with a folder beside the lock, which has a lock in it and this mode.
fn closed(folder: &str, mode: u32) -> World {
    let world = scene("ed25519");
    seal(&world);
    let folder = world.path("locks").join(folder);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("tree.lock.json"), world.lock_bytes()).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    world
}

/// What a user without rights finds wrong with the seal.
fn found(world: &World, code: i32) -> Vec<(String, String)> {
    let arguments = ["check", "--json", "--no-report", "--seal", "allowed"];
    let report = world.command(unprivileged(world, &arguments)).code(code).json();
    let troubles = report["seal"]["troubles"].as_array().unwrap().clone();
    let text = |trouble: &serde_json::Value, key: &str| trouble[key].as_str().unwrap().to_owned();
    troubles.iter().map(|trouble| (text(trouble, "problem"), text(trouble, "remedy"))).collect()
}

#[needs("ssh-keygen", "setpriv")]
fn a_folder_that_may_have_locks_and_can_not_be_read_is_named() {
    // Without the right to list, and without any.
    for mode in [0o300, 0o000] {
        let world = closed("web", mode);
        let found = found(&world, 2);
        let [(problem, remedy)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(problem, "locks/web may have locks, and could not be listed: Permission denied (os error 13)");
        says(remedy, &["let the user that runs driftlock read the folder; if it has no locks, move it out"]);
        // All else is still compared.
        fs::write(world.path("locks/more.lock.json"), "").unwrap();
        let problems: Vec<_> = self::found(&world, 2).into_iter().map(|(problem, _)| problem).collect();
        assert_eq!(problems, [problem, "the lock locks/more.lock.json is not in the seal"]);
        fs::remove_file(world.path("locks/more.lock.json")).unwrap();
        // Who can read it sees what is in it.
        fs::set_permissions(world.path("locks/web"), fs::Permissions::from_mode(0o755)).unwrap();
        let (problem, _) = self::found(&world, 2).remove(0);
        assert_eq!(problem, "the lock locks/web/tree.lock.json is not in the seal");
    }
}

/// No server has such a name, so driftlock looks for no lock there. A seal that root made holds for others, too.
#[needs("ssh-keygen", "setpriv")]
fn a_folder_that_can_not_have_locks_does_not_matter() {
    for folder in ["lost+found", ".git", "a b", "-x"] {
        let world = closed(folder, 0o000);
        assert_eq!(found(&world, 0), [], "{folder}");
        seal(&world);
        assert_eq!(found(&world, 0), [], "{folder}");
    }
}

/// What is sealed in there is not told as missing: whether it is can't be known.
#[needs("ssh-keygen", "setpriv")]
fn sealed_locks_in_a_folder_that_can_not_be_read_are_not_missing() {
    let declaration = "locks = \"locks\"\n[check.conf]\nkind = \"files\"\nroot = \"root\"\nserver_root = \"@\"\n\
                       include = [\"**\"]\nlock_per_server = true\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\nmodes = [\"local\"]\n\
                       [server.web]\nhost = \"localhost\"\n";
    let world = World::declaring(declaration);
    let root = world.path("root").to_str().unwrap().to_owned();
    fs::write(world.path("driftlock.toml"), declaration.replace('@', &root)).unwrap();
    world.write("m/a", "1");
    world.driftlock(["lock", "--as", "web"]).code(0);
    world.driftlock(["lock"]).code(0);
    super::scene::keygen(&world, "ed25519", "key");
    super::scene::allow(&world, "allowed", &[(super::scene::OPS, "key")]);
    seal(&world);
    assert_eq!(found(&world, 0), []);
    fs::set_permissions(world.path("locks/web"), fs::Permissions::from_mode(0o000)).unwrap();
    let problems: Vec<_> = found(&world, 2).into_iter().map(|(problem, _)| problem).collect();
    assert_eq!(problems, ["locks/web may have locks, and could not be listed: Permission denied (os error 13)"]);
    fs::set_permissions(world.path("locks/web"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[needs("ssh-keygen", "setpriv")]
fn nothing_is_sealed_beside_a_folder_that_can_not_be_read() {
    let world = closed("web", 0o000);
    let before = fs::read(world.path(super::scene::SEAL)).unwrap();
    let refused = world.command(unprivileged(&world, &["seal", "--dry-run"])).code(2).stderr();
    says(&refused, &["locks/web may have locks, and could not be listed: Permission denied", "to do: let the user"]);
    assert_eq!(fs::read(world.path(super::scene::SEAL)).unwrap(), before);
}
