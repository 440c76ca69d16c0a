//! A sealed Compose check as a whole: the seal covers its lock and the files that say what the project is.

use std::fs;

use needs::needs;

use super::{CONFIG, HASHES, all, drift, remove, set_image, start, the_check, world, write};
use crate::seal::scene::{OPS, allow, keygen, seal, verdict};

const ALLOWED: [&str; 2] = ["--seal", "allowed"];

#[needs("ssh-keygen")]
fn what_is_sealed_of_a_project() {
    let world = world(true);
    let (engine, _) = start(&world, all());
    world.lock();
    keygen(&world, "ed25519", "key");
    allow(&world, "allowed", &[(OPS, "key")]);
    seal(&world);
    let (report, troubles) = verdict(&world, &ALLOWED, 0);
    assert_eq!((&report["seal"]["serial"], troubles), (&1.into(), vec![]), "{report:#}");
    assert_eq!(the_check(&report)["counts"]["verified"], 7);

    // Drift is told, and the seal holds.
    remove(&engine, "shop-web-2");
    let (report, troubles) = verdict(&world, &ALLOWED, 1);
    assert_eq!((drift(&report), troubles), (super::one("removed", "shop-web-2"), vec![]));
    *engine.lock().unwrap() = all();

    // The same meaning in other bytes.
    for (key, file, text) in [("config", "shop.json", CONFIG), ("hashes", "shop.hashes", HASHES)] {
        write(&world, file, &format!("{text}\n"));
        let (report, troubles) = verdict(&world, &ALLOWED, 2);
        assert_eq!(troubles, [format!("the file that check.tree.{key} names is not the one that was sealed")]);
        assert!(drift(&report).is_empty());
        write(&world, file, text);
    }

    // Everything fits but the seal: the files, the containers and the lock are the attacker's.
    write(&world, "shop.json", &CONFIG.replace("shop/web:1", "shop/evil:1"));
    for name in ["shop-web-1", "shop-web-2", "shop-worker-1", "shop-init-1", "shop-migrate-1"] {
        set_image(&engine, name, "shop/evil:1");
    }
    world.lock();
    world.driftlock(["check"]).code(0);
    let (report, troubles) = verdict(&world, &ALLOWED, 2);
    assert_eq!(the_check(&report)["counts"]["drifted"], 0);
    let refused = ["the lock locks/tree.lock.json is not", "the file that check.tree.config names is not"];
    assert_eq!(troubles, refused.map(|what| format!("{what} the one that was sealed")));

    // A file that is gone is not passed over.
    fs::remove_file(world.path("shop.hashes")).unwrap();
    let (report, troubles) = verdict(&world, &ALLOWED, 2);
    assert_eq!(troubles, ["the lock locks/tree.lock.json is not the one that was sealed"]);
    let problem = the_check(&report)["trouble"]["problem"].as_str().unwrap();
    assert!(problem.contains("shop.hashes"), "{problem}");

    // Who has the key can make it the baseline.
    write(&world, "shop.hashes", HASHES);
    seal(&world);
    let (report, troubles) = verdict(&world, &ALLOWED, 0);
    assert_eq!((&report["seal"]["serial"], troubles), (&2.into(), vec![]));
}
