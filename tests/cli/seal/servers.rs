//! Locks of servers are verified where they are: on the operator's side.

use std::fs;

use needs::needs;

use super::scene::{OPS, allow, keygen, seal, verdict};
use crate::harness::World;
use crate::servers::site::{Far, Site};
use crate::watch::says;

#[needs(sshd, "ssh-keygen")]
fn a_seal_is_verified_on_the_operators_side() {
    let site = Site::new(&[("web", Far::Driftlock), ("db", Far::Driftlock)]);
    let world = &site.world;
    world.write("m/a", "1");
    site.driftlock(&["lock", "--server", "web"]).code(0);
    keygen(world, "ed25519", "key");
    allow(world, "allowed", &[(OPS, "key")]);
    seal(world);
    let one = site.driftlock(&["check", "--server", "web", "--json", "--seal", "allowed"]).code(0).json();
    assert_eq!((&one["seal"]["signer"], &one["seal"]["serial"]), (&OPS.into(), &1.into()));
    let all = ["check", "--server", "web", "--server", "db", "--seal", "allowed"];
    says(&site.driftlock(&all).code(0).stdout(), &["[INFO] Baseline sealed by ops@example.org (ed25519 SHA256:"]);
    world.write("m/backdoor", "1");
    site.driftlock(&["lock", "--server", "web"]).code(0);
    let one = site.driftlock(&["check", "--server", "web", "--json", "--seal", "allowed"]).code(2).json();
    let found = "the lock locks/tree.lock.json is not the one that was sealed";
    assert_eq!(one["seal"]["troubles"][0]["problem"], found);
    let text = site.driftlock(&all).code(2).stdout();
    assert_eq!(text.matches(found).count(), 1, "{text}");
    let several = site.driftlock(&[&all[..], &["--json"]].concat()).code(2).json();
    assert_eq!(several["servers"][1]["seal"]["troubles"][0]["problem"], found);
    fs::remove_dir_all(world.path("locks")).unwrap();
    let text = site.driftlock(&all).code(3).stdout();
    says(&text, &["[FAIL] Seal: there is no seal: locks/driftlock.seal is missing"]);
}

/// A good lock in the place of another: each is sealed under its own path.
#[needs("ssh-keygen")]
fn locks_of_two_servers_can_not_be_exchanged() {
    let declaration = "locks = \"locks\"\nreports = \"reports\"\n[check.conf]\nkind = \"files\"\nroot = \"root\"\n\
                       server_root = \"@\"\ninclude = [\"**\"]\nlock_per_server = true\n\
                       [server.web]\nhost = \"web\"\n[server.db]\nhost = \"db\"\n";
    let world = World::declaring(declaration);
    let root = world.path("root").to_str().unwrap().to_owned();
    fs::write(world.path("driftlock.toml"), declaration.replace('@', &root)).unwrap();
    for server in ["web", "db"] {
        world.write("whose", server);
        world.driftlock(["lock", "--as", server]).code(0);
    }
    keygen(&world, "ed25519", "key");
    allow(&world, "allowed", &[(OPS, "key")]);
    seal(&world);
    let check = ["--seal", "allowed", "--as", "db"];
    assert!(verdict(&world, &check, 0).1.is_empty());
    fs::rename(world.path("locks/db"), world.path("locks/aside")).unwrap();
    fs::rename(world.path("locks/web"), world.path("locks/db")).unwrap();
    fs::rename(world.path("locks/aside"), world.path("locks/web")).unwrap();
    // The machine is as the other one should be.
    world.write("whose", "web");
    let found = verdict(&world, &check, 2).1;
    let told = |server| format!("the lock locks/{server}/conf.lock.json is not the one that was sealed");
    assert_eq!(found, [told("db"), told("web")]);
}
