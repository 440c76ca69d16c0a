//! Declarations, configurations and hashes that are refused.

use std::os::unix::fs::symlink;

use super::{CONFIG, DECLARATION, HASHES, SECRET, all, world, write};
use crate::containers::recorded::start;
use crate::harness::World;

#[test]
fn declarations() {
    for (text, message) in [
        (
            DECLARATION.replace("config = \"shop.json\"\n", ""),
            "3: check.tree.config: missing; write `config = \"infra/shop.compose.json\"`",
        ),
        (DECLARATION.replace("socket = \"engine.sock\"\n", ""), "check.tree.socket: missing"),
        (DECLARATION.replace("\"shop.json\"", "1"), "check.tree.config: must be a string, not"),
        (format!("{DECLARATION}hashes = true"), "check.tree.hashes: must be a string"),
        (
            format!("{DECLARATION}containers = [\"a\"]"),
            "`compose` has no key `containers`, which is a key of `containers`",
        ),
        (format!("{DECLARATION}attributes = [\"state\"]"), "`compose` has no key `attributes`"),
        (format!("{DECLARATION}configs = \"a\""), "7: check.tree.configs: unknown key; write `config`"),
        (format!("{DECLARATION}lock = \"a.lock.txt\""), "which does not support `compose`"),
        (
            DECLARATION.replace("\"compose\"", "\"containers\""),
            "`containers` has no key `config`, which is a key of `compose`",
        ),
    ] {
        let world = World::declaring(&text);
        let said = world.driftlock(["check"]).code(2).stderr();
        assert!(said.contains(message), "{text}\n{said}");
    }
}

/// Each is trouble of that check alone, and `lock` leaves the lock that is there.
#[test]
fn configurations() {
    let world = world(true);
    write(
        &world,
        "driftlock.toml",
        &format!("{DECLARATION}hashes = \"shop.hashes\"\n[check.other]\nkind = \"trees\"\nroot = \"root\"\n"),
    );
    world.write("a", "a");
    start(&world, all());
    world.lock();
    let lock = world.lock_bytes();
    let refused = |problem: &str| {
        let said = world.driftlock(["check"]).code(2).stdout();
        assert!(
            said.contains(problem) && said.contains("[PASS] All other modules match baseline"),
            "{problem}\n{said}"
        );
        assert!(!said.contains(SECRET), "{said}");
        let said = world.driftlock(["lock"]).code(2).stderr();
        assert!(said.contains(problem) && !said.contains(SECRET), "{problem}\n{said}");
        assert_eq!(world.lock_bytes(), lock);
    };
    for (config, problem) in [
        (String::new(), "shop.json is refused: it is empty"),
        ("name: shop\nservices: {}\n".to_owned(), "shop.json is refused: it is not JSON, at line 1, column 2"),
        ("{\"name\": \"shop\", \"services\": {}}".to_owned(), "shop.json is refused: it has no services"),
        (CONFIG.replacen("\"web\": {", "\"web\": {\"image\": \"a\"}, \"web\": {", 1), "the service web appears twice"),
        (" ".repeat((16 << 20) + 1), "shop.json is refused: it is larger than 16777216 bytes"),
    ] {
        write(&world, "shop.json", &config);
        refused(problem);
    }
    write(&world, "shop.json", CONFIG);
    write(&world, "shop.hashes", &HASHES[1..]);
    refused("shop.hashes is refused: line 1: the configuration has no service uilt");
    write(&world, "shop.hashes", HASHES);
    world.check_all(0);
    std::fs::remove_file(world.path("shop.json")).unwrap();
    refused("shop.json could not be opened: No such file");
    std::fs::create_dir(world.path("shop.json")).unwrap();
    refused("shop.json could not be opened: it is not a regular file");
    std::fs::remove_dir(world.path("shop.json")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(world.path("shop.json")).status().unwrap();
    assert!(fifo.success());
    refused("shop.json could not be opened: it is not a regular file");
    std::fs::remove_file(world.path("shop.json")).unwrap();
    // The operator may name it by a link.
    write(&world, "elsewhere.json", CONFIG);
    symlink("elsewhere.json", world.path("shop.json")).unwrap();
    world.check_all(0);
}

impl World {
    /// Checks all of them.
    fn check_all(&self, code: i32) {
        self.driftlock(["check"]).code(code);
    }
}

/// A lock of `containers` is none of `compose`.
#[test]
fn a_lock_of_another_kind() {
    let world = world(false);
    start(&world, all());
    write(
        &world,
        "driftlock.toml",
        &DECLARATION.replace("compose\"", "containers\"").replace("config = \"shop.json\"\n", ""),
    );
    world.lock();
    write(&world, "driftlock.toml", DECLARATION);
    let said = world.driftlock(["check"]).code(2).stdout();
    assert!(said.contains("is refused: "), "{said}");
    world.lock();
    world.check_all(0);
}
