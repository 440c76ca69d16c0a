//! What a check says of a seal, in each form, and on each way to a check.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use needs::needs;

use super::scene::{OPS, SEAL, SIGNATURE, keygen, scene, seal, verdict};
use crate::harness::World;
use crate::watch::{says, shell, strace};

/// A sealed world, with the fingerprint of its key.
fn sealed_scene() -> (World, String) {
    let world = scene("ed25519");
    seal(&world);
    let mut list = Command::new("ssh-keygen");
    list.args(["-l", "-f", "key.pub"]);
    let fingerprint = world.command(list).code(0).stdout().split(' ').nth(1).unwrap().to_owned();
    (world, fingerprint)
}

#[needs("ssh-keygen")]
fn the_text_says_who_sealed_the_baseline() {
    let (world, fingerprint) = sealed_scene();
    let text = world.driftlock(["check", "--no-report", "--seal", "allowed"]).code(0).stdout();
    let line = format!("[INFO] Baseline sealed by {OPS} (ed25519 {fingerprint}), serial 1\n");
    says(
        &text,
        &[&line, "[PASS] Locks and declaration are what was sealed\n", "Total checks: 3\nPassed: 3\n", "OVERALL: PASS"],
    );
    assert_eq!(world.driftlock(["check", "--no-report", "--quiet", "--seal", "allowed"]).code(0).stdout(), "");
    fs::remove_file(world.path(SIGNATURE)).unwrap();
    let text = world.driftlock(["check", "--no-report", "--quiet", "--seal", "allowed"]).code(2).stdout();
    says(&text, &["[FAIL] Seal: the seal has no signature: locks/driftlock.seal.sig is missing\n", "OVERALL: FAIL"]);
    // Without allowed signers, nothing is said of seals.
    let report = world.driftlock(["check", "--json"]).code(0).json();
    assert!(report["seal"].is_null());
}

#[needs("ssh-keygen")]
fn every_form_of_a_report_says_what_is_wrong_with_the_seal() {
    let (world, fingerprint) = sealed_scene();
    world.write("m/backdoor", "1");
    world.driftlock(["lock"]).code(0);
    let found = "the lock locks/tree.lock.json is not the one that was sealed";
    for format in ["text", "json", "github", "junit", "sarif", "slack", "html"] {
        let run = world.driftlock(["check", "--seal", "allowed", "--format", format]).code(2);
        assert!(run.stdout().contains(found), "{format}: {}", run.stdout());
        // And so does the report that was kept.
        let kept = world.driftlock(["report", "--format", format]).code(0).stdout();
        assert!(kept.contains(found), "{format}: {kept}");
    }
    let metrics = [
        "\ndriftlock_sealed{run=\"driftlock\"} 0\n",
        "\ndriftlock_seal_serial{run=\"driftlock\"} 1\n",
        "\ndriftlock_run_exit_code{run=\"driftlock\"} 2\n",
    ];
    says(&world.driftlock(["check", "--seal", "allowed", "--format", "prometheus"]).code(2).stdout(), &metrics);
    says(&world.driftlock(["report", "--format", "prometheus"]).code(0).stdout(), &metrics);
    let (report, _) = verdict(&world, &["--seal", "allowed"], 2);
    assert_eq!(report["seal"]["fingerprint"], fingerprint);
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "seal").unwrap();
    assert_eq!((&check["status"], &check["trouble"]["problem"]), (&"FAIL".into(), &found.into()));
    seal(&world);
    says(
        &world.driftlock(["check", "--seal", "allowed", "--format", "prometheus"]).code(0).stdout(),
        &["\ndriftlock_sealed{run=\"driftlock\"} 1\n", "\ndriftlock_seal_serial{run=\"driftlock\"} 2\n"],
    );
}

/// A check of some of the checks alone looks at all locks.
#[needs("ssh-keygen")]
fn a_check_of_one_verifies_all_locks() {
    let declaration = format!("{}[check.more]\nkind = \"trees\"\nroot = \"root\"\n", crate::harness::TREES);
    let world = World::declaring(&declaration);
    world.write("m/a", "1");
    world.lock();
    keygen(&world, "ed25519", "key");
    super::scene::allow(&world, "allowed", &[(OPS, "key")]);
    seal(&world);
    assert!(verdict(&world, &["--seal", "allowed", "--check", "tree"], 0).1.is_empty());
    let lock = fs::read_to_string(world.path("locks/more.lock.json")).unwrap();
    fs::write(world.path("locks/more.lock.json"), lock.replace("\"size\":1", "\"size\":2")).unwrap();
    let (_, found) = verdict(&world, &["--seal", "allowed", "--check", "tree"], 2);
    assert_eq!(found, ["the lock locks/more.lock.json is not the one that was sealed"]);
}

/// What the stat cache knows of a lock takes the place of no verification.
#[needs("ssh-keygen")]
fn a_stat_cache_does_not_hide_another_lock() {
    let (world, _) = sealed_scene();
    fs::create_dir(world.path("cache")).unwrap();
    let arguments = ["--seal", "allowed", "--stat-cache", "cache/file"];
    for _ in 0..3 {
        assert!(verdict(&world, &arguments, 0).1.is_empty());
    }
    world.write("m/backdoor", "1");
    world.driftlock(["lock"]).code(0);
    for _ in 0..3 {
        let (_, found) = verdict(&world, &arguments, 2);
        assert_eq!(found, ["the lock locks/tree.lock.json is not the one that was sealed"]);
    }
}

/// A seal covers everything that decides which machine answers, and as which user it is asked.
#[needs("ssh-keygen")]
fn how_a_server_is_reached_is_sealed() {
    let (world, _) = sealed_scene();
    let server = "[server.web]\nhost = \"web\"\nuser = \"ops\"\nport = 22\nkey = \"keys/web\"\n";
    let declare = |server: &str| {
        fs::write(world.path("driftlock.toml"), format!("{}{server}", crate::harness::TREES)).unwrap();
    };
    declare(server);
    seal(&world);
    assert!(verdict(&world, &["--seal", "allowed"], 0).1.is_empty());
    for (from, to) in [("\"web\"", "\"evil\""), ("ops", "root"), ("22", "23"), ("keys/web", "keys/evil")] {
        declare(&server.replacen(from, to, 1));
        let (_, found) = verdict(&world, &["--seal", "allowed"], 2);
        assert_eq!(found, ["the declaration driftlock.toml is not the one that was sealed"], "{to}");
    }
}

/// A declaration that was made from the sealed one: on NixOS, by the module.
#[needs("ssh-keygen")]
fn another_declaration_can_be_the_sealed_one() {
    let (world, _) = sealed_scene();
    let text = fs::read_to_string(world.path("driftlock.toml")).unwrap();
    fs::write(world.path("generated.toml"), text + "modes = [\"local\"]\n").unwrap();
    let generated = ["--seal", "allowed", "--config", "generated.toml"];
    let (_, found) = verdict(&world, &generated, 2);
    assert_eq!(found, ["the declaration generated.toml is not the one that was sealed"]);
    let named = [&generated[..], &["--sealed-declaration", "driftlock.toml"]].concat();
    let (report, troubles) = verdict(&world, &named, 0);
    assert_eq!((&report["seal"]["declaration"], troubles.len()), (&"driftlock.toml".into(), 0));
    let said = "[PASS] Locks and driftlock.toml are what was sealed; this run's own declaration was not compared\n";
    says(&world.driftlock([&["check"], &named[..]].concat()).code(0).stdout(), &[said]);
    fs::write(world.path("driftlock.toml"), "[check.tree]\nkind = \"trees\"\nroot = \"other\"\n").unwrap();
    let (_, found) = verdict(&world, &named, 2);
    assert_eq!(found, ["the declaration driftlock.toml is not the one that was sealed"]);
    let alone = world.driftlock(["check", "--sealed-declaration", "driftlock.toml"]).code(2);
    says(&alone.stderr(), &["--sealed-declaration driftlock.toml: no seal is verified", "--seal FILE"]);
}

/// With it, nothing is known of the run's own declaration: docs/seals.md says so.
#[needs("ssh-keygen")]
fn the_declaration_of_the_run_is_then_taken_as_it_is() {
    let (world, _) = sealed_scene();
    let named = ["--seal", "allowed", "--config", "own.toml", "--sealed-declaration", "driftlock.toml", "--no-report"];
    let own = |text: &str| fs::write(world.path("own.toml"), text).unwrap();
    world.write("m/backdoor", "1");
    own(crate::harness::TREES);
    assert!(verdict(&world, &named, 1).1.is_empty());
    // What it excludes, and where it looks: drift goes unseen, and the seal holds.
    own(&format!("{}exclude = [\"**/backdoor\"]\n", crate::harness::TREES));
    assert!(verdict(&world, &named, 0).1.is_empty());
    fs::create_dir_all(world.path("copy/m")).unwrap();
    fs::write(world.path("copy/m/a"), "1").unwrap();
    own(&crate::harness::TREES.replace("\"root\"", "\"copy\""));
    assert!(verdict(&world, &named, 0).1.is_empty());
    // The locks are compared all the same, and they are those of the run's own declaration.
    world.driftlock(["lock"]).code(0);
    own(crate::harness::TREES);
    let (_, found) = verdict(&world, &named, 2);
    assert_eq!(found, ["the lock locks/tree.lock.json is not the one that was sealed"]);
    own(&crate::harness::TREES.replace("\"locks\"", "\"elsewhere\""));
    let (_, found) = verdict(&world, &named, 3);
    assert_eq!(found, ["there is no seal: elsewhere/driftlock.seal is missing"]);
}

/// A user who can write all files of a project can replace them by those of another project: docs/seals.md says so, and
/// that a sealed declaration in another place shows it.
#[needs("ssh-keygen")]
fn the_baseline_of_another_project_is_told_by_a_declaration_that_lies_elsewhere() {
    let (world, _) = sealed_scene();
    let copy = |from: &str, to: &str| assert!(fs::copy(world.path(from), world.path(to)).is_ok());
    fs::create_dir_all(world.path("shop/locks")).unwrap();
    fs::create_dir_all(world.path("shop/root/m")).unwrap();
    fs::write(world.path("shop/root/m/a"), "1").unwrap();
    fs::write(world.path("pinned.toml"), format!("{}strict = true\n", crate::harness::TREES)).unwrap();
    for file in ["driftlock.toml", "locks/tree.lock.json", SEAL, SIGNATURE] {
        copy(file, &format!("shop/{file}"));
    }
    let shop = ["--seal", "allowed", "--config", "shop/driftlock.toml", "--no-report"];
    assert!(verdict(&world, &shop, 0).1.is_empty());
    let pinned = [&shop[..], &["--sealed-declaration", "pinned.toml"]].concat();
    let (_, found) = verdict(&world, &pinned, 2);
    assert_eq!(found, ["the declaration pinned.toml is not the one that was sealed"]);
}

#[needs("ssh-keygen")]
fn allowed_signers_that_are_named_have_to_be_there() {
    let (world, _) = sealed_scene();
    let gone = world.driftlock(["check", "--seal", "gone"]).code(2);
    says(&gone.stderr(), &["the allowed signers gone could not be opened: No such file", "to do: "]);
    says(&world.driftlock(["check", "--seal", "root"]).code(2).stderr(), &["it is not a regular file"]);
    fs::write(world.path("huge"), "#".repeat((1 << 20) + 1)).unwrap();
    let (_, found) = verdict(&world, &["--seal", "huge"], 2);
    says(&found[0], &["the allowed signers huge are refused: it is larger than 1048576 bytes"]);
}

/// The file of the machine counts where none is named.
#[needs(mounts, "ssh-keygen", "unshare", "mount")]
fn the_signers_of_the_machine_count_where_none_are_named() {
    let (world, _) = sealed_scene();
    fs::create_dir_all(world.path("etc/driftlock")).unwrap();
    fs::copy(world.path("allowed"), world.path("etc/driftlock/allowed_signers")).unwrap();
    let script = "mount --bind etc /etc && exec \"$DRIFTLOCK\" check --json";
    let inside = |code| {
        let script = format!("exec unshare --mount --propagation private sh -c '{}'", script.replace('\'', "'\\''"));
        shell(&world, "sh", &script).code(code).json()
    };
    assert_eq!(inside(0)["seal"]["signer"], OPS);
    world.write("m/backdoor", "1");
    world.driftlock(["lock"]).code(0);
    assert_eq!(inside(2)["overall"], "FAIL");
    assert_eq!(world.driftlock(["check", "--json"]).code(0).json()["overall"], "PASS");
    // A link to nothing is a file that got lost.
    fs::remove_file(world.path("etc/driftlock/allowed_signers")).unwrap();
    symlink("/nowhere", world.path("etc/driftlock/allowed_signers")).unwrap();
    let script = format!("unshare --mount --propagation private sh -c '{script}'");
    let lost = shell(&world, "sh", &script).code(2).stderr();
    says(&lost, &["the allowed signers /etc/driftlock/allowed_signers could not be opened: "]);
}

/// Verification is inside the sandbox, and starts nothing.
#[needs("ssh-keygen", "strace")]
fn no_program_is_started_to_verify_a_seal() {
    let (world, _) = sealed_scene();
    let arguments = ["check", "--no-report", "--require-sandbox", "--seal", "allowed"];
    strace(&world, &["-e", "trace=execve,execveat,socket,connect"], &arguments).code(0);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    assert_eq!(trace.matches("execve(").count(), 1, "{trace}");
    assert!(!trace.contains("socket(") && !trace.contains("connect("), "{trace}");
    // The seal is opened once to be read, and so is each lock.
    strace(&world, &["-e", "trace=openat,openat2"], &arguments).code(0);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    for name in [SEAL, SIGNATURE, "locks/tree.lock.json"].map(|path| path.trim_start_matches("locks/")) {
        let opens = trace.lines().filter(|line| line.contains(&format!("\"{name}\"")) && !line.contains("O_PATH"));
        assert_eq!(opens.count(), 1, "{name}: {trace}");
    }
}

/// Whatever form a lock has, the bytes that are compared with the seal are those that were compared with what is there.
#[needs("ssh-keygen", "strace")]
fn a_lock_of_any_form_is_opened_once() {
    let declaration = "locks = \"locks\"\nreports = \"reports\"\n\
                       [check.json]\nkind = \"trees\"\nroot = \"root\"\n\
                       [check.text]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"**\"]\nlock = \"text.lock.txt\"\n\
                       [check.old]\nkind = \"trees\"\nroot = \"root\"\nlock = \"modules.hash.txt\"\n\
                       [check.older]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"m/*\"]\nlock = \"files.lock.txt\"\n";
    let world = World::declaring(declaration);
    world.write("m/a", "1");
    world.driftlock(["lock", "--check", "json", "--check", "text"]).code(0);
    let digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    fs::write(world.path("locks/modules.hash.txt"), format!("{digest}  m\n")).unwrap();
    fs::write(world.path("locks/files.lock.txt"), format!("{digest}  root/m/a\n")).unwrap();
    keygen(&world, "ed25519", "key");
    super::scene::allow(&world, "allowed", &[(OPS, "key")]);
    seal(&world);
    let arguments = ["check", "--no-report", "--seal", "allowed"];
    let finished = strace(&world, &["-e", "trace=openat,openat2"], &arguments).code(1);
    says(&finished.stdout(), &["[PASS] Locks and declaration are what was sealed\n"]);
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    for name in ["json.lock.json", "text.lock.txt", "modules.hash.txt", "files.lock.txt"] {
        let opens = trace.lines().filter(|line| line.contains(&format!("\"{name}\"")) && !line.contains("O_PATH"));
        assert_eq!(opens.count(), 1, "{name}: {trace}");
    }
}
