//! What the lock of a project takes, and what it can't.

use needs::needs;

use super::{both, hash, label, remove, set_state};
use crate::containers::compose::all;
use crate::containers::recorded::id;

/// `accept` takes what the lock alone knows, and nothing that the files speak against.
#[test]
fn what_is_accepted() {
    both(|world, engine, hashes| {
        label(engine, "shop-worker-1", "config-hash", &id('0'));
        let code = if hashes { 2 } else { 0 };
        let said = world.driftlock(["accept", "shop-worker-1"]).code(code);
        if hashes {
            let told = said.stderr();
            assert!(told.contains("shop-worker-1 is not what the Compose files of the check tree declare"), "{told}");
            label(engine, "shop-worker-1", "config-hash", hash("worker"));
        }
        world.check(0);
        set_state(engine, "shop-web-1", "exited");
        let told = world.driftlock(["accept", "shop-web-1"]).code(2).stderr();
        assert!(told.contains("shop-web-1 is not what"), "{told}");
        set_state(engine, "shop-web-1", "running");
        world.check(0);
    });
}

/// `lock` takes what is there, and says what of it the files speak against.
#[test]
fn what_is_locked_is_told() {
    both(|world, engine, _| {
        remove(engine, "shop-web-1");
        set_state(engine, "shop-worker-1", "exited");
        let said = world.lock().stderr();
        assert!(
            said.contains(
                "the check tree: of its containers 1 are not what its Compose files declare: shop-worker-1; 1 are not there: shop-web-1"
            ),
            "{said}"
        );
        *engine.lock().unwrap() = all();
        assert_eq!(world.lock().stderr(), "");
    });
}

#[needs("python3")]
fn exported_and_diffed() {
    both(|world, engine, _| {
        crate::containers::verified(world);
        let lock = world.lock_bytes();
        world.driftlock(["export", "--output", "runtime"]).code(0);
        assert_eq!(std::fs::read(world.path("runtime/locks/tree.lock.json")).unwrap(), lock);
        assert_eq!(
            world.driftlock(["lock", "--from", "runtime"]).code(0).stdout(),
            "unchanged locks/tree.lock.json: 7 entries\n"
        );
        world.driftlock(["diff", "locks/tree.lock.json", "live"]).code(0);
        remove(engine, "shop-web-1");
        let said = world.driftlock(["diff", "locks/tree.lock.json", "live"]).code(1).stdout();
        assert!(said.contains("removed: shop-web-1"), "{said}");
    });
}
