//! What `driftlock seal` makes, of which keys, and what it refuses.

use std::fs;
use std::process::Command;

use needs::needs;

use super::scene::{Agent, OPS, SEAL, SIGNATURE, allow, keygen, oracle, public, scene, seal, sealed};
use crate::harness::World;
use crate::watch::{names, says, shell, snapshot};

#[needs("ssh-keygen", "sha256sum")]
fn a_seal_is_what_the_page_says_and_ssh_keygen_verifies_it() {
    for kind in ["ed25519", "ecdsa"] {
        let world = scene(kind);
        let finished = seal(&world);
        let mut list = Command::new("ssh-keygen");
        list.args(["-l", "-f", "key.pub"]);
        let listed = world.command(list).code(0).stdout();
        let fingerprint = listed.split(' ').nth(1).unwrap();
        let expected = format!("wrote {SEAL}: serial 1, 1 lock, signed with {kind} {fingerprint}\n");
        assert_eq!((finished.stdout(), finished.stderr()), (expected, String::new()));
        assert_eq!(names(world.path("locks")), ["driftlock.seal", "driftlock.seal.sig", "tree.lock.json"]);
        let text = fs::read_to_string(world.path(SEAL)).unwrap();
        let digest = shell(&world, "sh", "sha256sum locks/tree.lock.json | cut -c-64").code(0).stdout();
        let declaration = sealed(&world)["declaration"].as_str().unwrap().to_owned();
        assert_eq!(
            text,
            format!(
                "{{\n\"driftlock_seal\": 1,\n\"serial\": 1,\n\"declaration\": \"{declaration}\",\n\"locks\": [\n\
                 {{\"path\":\"tree.lock.json\",\"sha256\":\"{}\"}}\n],\n\"inputs\": [\n]\n}}\n",
                digest.trim()
            )
        );
        assert!(oracle(&world, "allowed", OPS), "{kind}");
        // The oracle tells a good one from a bad one.
        fs::write(world.path(SEAL), text.replace("\"serial\": 1", "\"serial\": 2")).unwrap();
        assert!(!oracle(&world, "allowed", OPS), "{kind}");
    }
}

/// The digest of the declaration, from the page alone: `docs/lock-format.md`.
#[needs("ssh-keygen", "sha256sum")]
fn the_digest_of_the_declaration_can_be_computed_by_hand() {
    let world = scene("ed25519");
    seal(&world);
    let canonical = "{\"checks\":{\"tree\":{\"allow_empty\":false,\"attributes\":[],\"compose\":null,\"engine\":null,\"exclude\":[],\
                     \"include\":[],\"kind\":\"trees\",\"lock\":{\"format\":\"json\",\"name\":\"tree.lock.json\",\"old\":null,\
                     \"per_server\":false},\"modes\":{\"local\":true,\"server\":true},\"one_file_system\":false,\"root\":\"root\",\
                     \"server_root\":null,\"strict\":false,\"uncovered_is_trouble\":false}},\"driftlock_declaration\":1,\
                     \"groups\":{},\"servers\":{}}";
    fs::write(world.path("canonical"), canonical).unwrap();
    let script = "sha256sum canonical | cut -c-64 | tr a-f A-F | basenc -d --base16 | base64";
    let digest = shell(&world, "sh", script).code(0).stdout();
    assert_eq!(sealed(&world)["declaration"], format!("sha256-{}", digest.trim()));
}

#[needs("ssh-keygen")]
fn each_seal_has_one_serial_more() {
    let world = scene("ed25519");
    for serial in 1..4 {
        seal(&world);
        assert_eq!(sealed(&world)["serial"], serial);
        assert!(oracle(&world, "allowed", OPS));
    }
    let refused = world.driftlock(["seal", "--key", "key", "--serial", "3"]).code(2);
    says(&refused.stderr(), &["--serial 3 is not higher than that of the last seal, 3", "to do: "]);
    world.driftlock(["seal", "--key", "key", "--serial", "90"]).code(0);
    assert_eq!(sealed(&world)["serial"], 90);
    // Without the last one, nothing says how far it went.
    let whole = fs::read(world.path(SEAL)).unwrap();
    fs::write(world.path(SEAL), &whole[1..]).unwrap();
    let refused = world.driftlock(["seal", "--key", "key"]).code(2);
    says(
        &refused.stderr(),
        &["the last seal, locks/driftlock.seal, is refused: it is not as driftlock writes it", "--serial N"],
    );
    world.driftlock(["seal", "--key", "key", "--serial", "91"]).code(0);
    let highest = String::from_utf8(fs::read(world.path(SEAL)).unwrap()).unwrap().replace("91", &u64::MAX.to_string());
    fs::write(world.path(SEAL), highest).unwrap();
    says(
        &world.driftlock(["seal", "--key", "key"]).code(2).stderr(),
        &["which is too high to be one more than the last"],
    );
}

#[needs("ssh-keygen", "ssh-agent", "ssh-add")]
fn an_agent_signs_for_a_public_key() {
    let world = scene("ed25519");
    let agent = Agent::with(&world, "key");
    let sealed = world.driftlock(["seal", "--key", "key.pub"]).env("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    sealed.code(0);
    assert!(oracle(&world, "allowed", OPS));
    // Without the agent, there is only half a key.
    let before = snapshot(&world, &["locks"]);
    let refused = world.driftlock(["seal", "--key", "key.pub"]).code(2);
    says(&refused.stderr(), &["ssh-keygen did not sign with key.pub: ", "to do: ", "ssh-add"]);
    assert_eq!(snapshot(&world, &["locks"]), before);
}

#[needs("ssh-keygen")]
fn a_passphrase_is_asked_for_in_a_window_or_not_at_all() {
    let world = scene("ed25519");
    let mut lock = Command::new("ssh-keygen");
    lock.args(["-q", "-p", "-P", "", "-N", "secret", "-f", "key"]);
    world.command(lock).code(0);
    let refused = world.driftlock(["seal", "--key", "key"]).code(2);
    says(&refused.stderr(), &["ssh-keygen did not sign with key", "ssh-add"]);
    assert!(!world.path(SEAL).exists() && !world.path(SIGNATURE).exists());
    // What the user has set up for such questions answers.
    fs::write(world.path("askpass"), "#!/bin/sh\necho secret\n").unwrap();
    let mut make = Command::new("chmod");
    make.args(["755", "askpass"]);
    world.command(make).code(0);
    let run = world.driftlock(["seal", "--key", "key"]).env("SSH_ASKPASS_REQUIRE", "force");
    run.env("SSH_ASKPASS", world.path("askpass").to_str().unwrap()).code(0);
    assert!(oracle(&world, "allowed", OPS));
}

#[needs("ssh-keygen")]
fn keys_that_no_check_could_verify_are_refused() {
    let world = scene("ed25519");
    for (kind, bits) in [("rsa", "2048"), ("ecdsa", "384"), ("ecdsa", "521")] {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(format!("{kind}{bits}"));
        world.command(command).code(0);
        let refused = world.driftlock(["seal", "--key", &format!("{kind}{bits}")]).code(2);
        says(&refused.stderr(), &["can't be used for a seal: its key can't be used", "use a key of type ed25519"]);
        assert!(!world.path(SEAL).exists() && !world.path(SIGNATURE).exists());
    }
    says(
        &world.driftlock(["seal"]).code(2).stderr(),
        &["no key is named to sign the seal with", "--key ~/.ssh/id_ed25519"],
    );
    says(
        &world.driftlock(["seal", "--key", "gone"]).code(2).stderr(),
        &["ssh-keygen did not sign with gone", "No such file"],
    );
    let run = world.driftlock(["seal", "--key", "key"]).env("PATH", "/nonexistent").code(2);
    says(&run.stderr(), &["ssh-keygen could not be started", "install OpenSSH"]);
    // A name that looks like an option is none.
    keygen(&world, "ed25519", "./-Y");
    world.driftlock(["seal", "--key=-Y"]).code(0);
}

#[needs("ssh-keygen")]
fn only_whole_locks_of_declared_checks_are_sealed() {
    let world = scene("ed25519");
    let lock = world.lock_bytes();
    let refuses = |texts: &[&str]| {
        let before = snapshot(&world, &["locks"]);
        says(&world.driftlock(["seal", "--key", "key"]).code(2).stderr(), texts);
        says(&world.driftlock(["seal", "--dry-run"]).code(2).stderr(), texts);
        assert_eq!(snapshot(&world, &["locks"]), before);
    };
    fs::write(world.path("locks/old.lock.json"), &lock).unwrap();
    refuses(&["locks/old.lock.json is the lock of no check of the declaration", "remove it"]);
    fs::remove_file(world.path("locks/old.lock.json")).unwrap();
    fs::create_dir(world.path("locks/web")).unwrap();
    fs::write(world.path("locks/web/tree.lock.json"), &lock).unwrap();
    refuses(&["locks/web/tree.lock.json is the lock of no check of the declaration"]);
    fs::remove_dir_all(world.path("locks/web")).unwrap();
    let tampered = String::from_utf8(lock.clone()).unwrap().replace("\"size\":1", "\"size\":2");
    fs::write(world.path("locks/tree.lock.json"), tampered).unwrap();
    refuses(&["the lock locks/tree.lock.json is refused: its entries have the digest"]);
    fs::write(world.path("locks/tree.lock.json"), &lock[..40]).unwrap();
    refuses(&["the lock locks/tree.lock.json is refused: "]);
    fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
    refuses(&["there is no lock in locks", "driftlock lock"]);
    fs::write(world.path("locks/tree.lock.json"), &lock).unwrap();
    let two = format!("{}[check.more]\nkind = \"trees\"\nroot = \"root\"\n", crate::harness::TREES);
    fs::write(world.path("driftlock.toml"), two).unwrap();
    refuses(&["the check more has no lock: locks/more.lock.json is missing", "driftlock lock --check more"]);
    let arguments = [&["--check", "tree"][..], &["--as", "web"]];
    for more in arguments {
        let refused = world.driftlock([&["seal", "--key", "key"], more].concat()).code(2);
        says(&refused.stderr(), &[more[0], "a seal is over"]);
    }
}

/// With both in a seal, an attacker could take the new one away while the old one, which says less, is read.
#[needs("ssh-keygen")]
fn an_old_lock_beside_the_new_one_is_not_sealed() {
    let world = scene("ed25519");
    let old = format!("{}lock = \"modules.hash.txt\"\n", crate::harness::TREES);
    fs::write(world.path("driftlock.toml"), old).unwrap();
    seal(&world);
    fs::write(world.path("locks/modules.hash.txt"), "").unwrap();
    let refused = world.driftlock(["seal", "--key", "key"]).code(2).stderr();
    says(
        &refused,
        &[
            "locks/modules.hash.txt is the old lock of the check tree, which has a new one",
            "remove it: locks/tree.lock.json takes its place",
        ],
    );
}

/// Each server's own locks are sealed with the others.
#[needs("ssh-keygen")]
fn locks_of_servers_are_sealed() {
    let declaration = "locks = \"locks\"\n[check.conf]\nkind = \"files\"\nroot = \"root\"\nserver_root = \"/etc/x\"\ninclude = [\"*\"]\n\
                       lock_per_server = true\n[server.web]\nhost = \"localhost\"\nroots = { conf = \"@\" }\n";
    let world = World::declaring(declaration);
    let root = world.path("root").to_str().unwrap().to_owned();
    fs::write(world.path("driftlock.toml"), declaration.replace('@', &root)).unwrap();
    world.write("a", "1");
    world.driftlock(["lock", "--as", "web"]).code(0);
    keygen(&world, "ed25519", "key");
    seal(&world);
    assert_eq!(sealed(&world)["locks"][0]["path"], "web/conf.lock.json");
}

#[needs("ssh-keygen")]
fn a_dry_run_signs_and_writes_nothing() {
    let world = scene("ed25519");
    let before = snapshot(&world, &["locks"]);
    let dry = world.driftlock(["seal", "--dry-run"]).code(0);
    assert_eq!((dry.stdout(), dry.stderr()), (format!("would write {SEAL}: serial 1, 1 lock\n"), String::new()));
    let json = world.driftlock(["seal", "--dry-run", "--json"]).code(0).json();
    assert_eq!((&json["dry_run"], &json["serial"], &json["fingerprint"]), (&true.into(), &1.into(), &().into()));
    assert_eq!(snapshot(&world, &["locks"]), before);
    let json = world.driftlock(["seal", "--json", "--key", "key"]).code(0).json();
    assert_eq!(
        (&json["dry_run"], &json["locks"][0], &json["key"]),
        (&false.into(), &"tree.lock.json".into(), &"ed25519".into())
    );
    assert_eq!(world.driftlock(["seal", "--quiet", "--key", "key"]).code(0).stdout(), "");
}

/// The user who writes a lock is told that the seal is of another one.
#[needs("ssh-keygen")]
fn lock_and_accept_say_that_the_seal_is_out_of_date() {
    let world = scene("ed25519");
    let outdated = ["locks/driftlock.seal is out of date", "driftlock seal"];
    world.write("m/a", "2");
    assert_eq!(world.lock().stderr(), "", "there is no seal yet");
    seal(&world);
    assert_eq!(world.lock().stderr(), "", "nothing was written");
    world.write("m/a", "3");
    assert_eq!(world.driftlock(["lock", "--dry-run"]).code(0).stderr(), "");
    assert_eq!(world.driftlock(["accept", "--dry-run", "root/m/a"]).code(0).stderr(), "");
    says(&world.lock().stderr(), &outdated);
    seal(&world);
    world.write("m/a", "4");
    says(&world.driftlock(["accept", "root/m/a"]).code(0).stderr(), &outdated);
}

#[needs("ssh-keygen")]
fn several_signers_can_be_allowed() {
    let world = scene("ed25519");
    keygen(&world, "ecdsa", "second");
    allow(&world, "both", &[("a@x,b@x", "key"), ("second@x namespaces=\"driftlock\"", "second")]);
    seal(&world);
    assert!(oracle(&world, "both", "b@x") && !oracle(&world, "both", "second@x"));
    world.driftlock(["seal", "--key", "second"]).code(0);
    assert!(oracle(&world, "both", "second@x"));
    assert!(public(&world, "second").starts_with("ecdsa-sha2-nistp256 "));
}
