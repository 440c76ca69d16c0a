//! Locks of servers are verified where they are: on the operator's side.

use std::fs;

use needs::needs;

use super::scene::{OPS, allow, keygen, seal};
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
